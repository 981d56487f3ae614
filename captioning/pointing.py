"""Measure whether a decoder attends to what it names, on scenes, where all boxes are known.

    captioner, features --caption_with_weights--> captions (B, T), weights (B, T, L)
    captions, weights, boxes --mentions--> Mentions --report--> fractions that can be compared

The captions are those that the decoder writes by itself. For every word that names a thing in the
picture, the peak is the cell of largest weight at the step which chose the word. The peak is right
if its middle lies in the box of a thing of that name. Since a cell is as large as a small thing,
the report also says whether the peak's cell touches such a box. A named thing that is not in the
picture has no box: it is counted and not judged. This is the pointing game of Zhang et al. 2016
(arXiv:1608.00507), where the names are given and the margin is 15 pixels.

Shape letters:  B pictures   T tokens   L grid cells   N words that name a thing
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.utils.rnn import pad_sequence

from coco.dataset import PREPARE
from decoders.search import search as run_search
from decoders.transformer import grid_boxes
from scenes.lexicon import LEXICON
from system.files import BadInput, read_json
from vocabulary import END_ID

INSTANCES = {"categories": [{"id": int, "name": str}],
             "images": [{"id": int, "width": float, "height": float}],
             "annotations": [{"image_id": int, "category_id": int, "bbox": (float,) * 4}]}


@dataclass(frozen=True)
class Mentions:
    """The words of a split's captions that name a thing which is in the picture.

    picture, step (N,): where each word stands, by picture and place in its caption.
    weights (N, L): the attention at the step that chose the word.
    inside (N, L): for each cell, whether its middle lies in a box of that name.
    touching (N, L): for each cell, whether any part of it does.
    absent: number of words, not among the N, for things that are not in the picture.
    """

    picture: torch.Tensor
    step: torch.Tensor
    weights: torch.Tensor
    inside: torch.Tensor
    touching: torch.Tensor
    absent: int

    @property
    def peaks(self):
        """The cell of largest weight, (N,)."""
        return self.weights.argmax(dim=1)

    @property
    def hits(self):
        """Whether the middle of the peak lies in a box of the word's name, (N,)."""
        return at(self.inside, self.peaks)


def at(marks, cells):
    """Return the mark (N,) of one cell (N,) in each row of marks (N, L)."""
    return marks.gather(1, cells.unsqueeze(1)).squeeze(1)


def caption_with_weights(captioner, features, search=None):
    """Return captions (B, T) of grids (B, L, D), and the attention (B, T, L) that chose them."""
    decoder = captioner.decoder
    if not decoder.grid:
        raise ValueError(f"{type(decoder).__name__} has no attention: take a decoder for grids")
    cells = captioner.embed(features)
    found = [torch.tensor(best.words) for best, *_ in run_search(decoder, cells, search)]
    captions = pad_sequence(found, True, END_ID).to(cells.device)
    decoder.eval()                              # without dropout, as in the search
    with torch.no_grad():
        return captions, decoder.attended(cells, captions)[1]


def mentions(captions, weights, boxes, vocab):
    """Collect the words of captions (B, T) that name a thing; boxes: from `read_boxes`."""
    centres = cell_centres(weights.shape[2])
    half = centres[0, 0]                            # side of a cell / 2: the first cell's middle
    found, absent = [], 0
    for picture, (words, there) in enumerate(zip(captions.tolist(), boxes, strict=True)):
        for step, word in enumerate(words):
            name = named(vocab.idx2word[word])
            if name in there:
                found.append((picture, step, inside(centres, there[name]),
                              inside(centres, there[name], half)))
            elif name:
                absent += 1
    picture, step, *marks = zip(*found, strict=True) if found else ((), (), (), ())
    picture, step = torch.tensor(picture, dtype=torch.long), torch.tensor(step, dtype=torch.long)
    marks = [torch.stack(one) if one else torch.zeros(0, len(centres), dtype=torch.bool)
             for one in marks]
    return Mentions(picture, step, weights.cpu()[picture, step], *marks, absent)


def report(mentions):
    """Return the fraction of words that are right by either rule, for three choices of the cell.

    The choices are the peak, a cell at random, and always the cell in the middle of the picture:
    pictures are often composed so that this one is right without any attention.
    """
    middle = torch.full_like(mentions.peaks, mentions.inside.shape[1] // 2)
    return {rule: tuple(map(fraction, (at(marks, mentions.peaks), marks, at(marks, middle))))
            for rule, marks in (("middle in the box", mentions.inside),
                                ("cell touches the box", mentions.touching))}


def fraction(marks):
    """Return the fraction of marks that are true; 0 if there are none."""
    return marks.float().mean().item() if len(marks) else 0.0


def named(word):
    """Return the kind of thing that a word, singular or plural, names; None if not just one."""
    kind, meaning = LEXICON.get(word, ("unknown", None))
    shapes = meaning[0] if kind == "noun" else ()
    return next(iter(shapes)) if len(shapes) == 1 else None


def read_boxes(root, split):
    """Return {name: boxes (n, 4)} for each picture, left, top, right, bottom in fractions.

    The list is empty if there is no file of boxes; raises `BadInput` if it is damaged.
    """
    path = Path(root) / "annotations" / f"instances_{split.name}.json"
    if not path.exists():
        return []
    content = read_json(path, PREPARE, INSTANCES)
    names = {one["id"]: one["name"] for one in content["categories"]}
    sizes = {one["id"]: (one["width"], one["height"]) for one in content["images"]}
    boxes = {}
    for thing in content["annotations"]:
        width, height = sizes.get(thing["image_id"], (0, 0))
        if min(width, height) <= 0 or thing["category_id"] not in names:
            raise BadInput(f"{path} has a box of an image or category that it lacks, or of an "
                           f"image without a size ({thing['image_id']}): {PREPARE}")
        left, top, wide, high = thing["bbox"]
        box = [left / width, top / height, (left + wide) / width, (top + high) / height]
        boxes.setdefault(thing["image_id"], {}).setdefault(
            names[thing["category_id"]], []).append(box)
    return [{name: torch.tensor(found) for name, found in boxes.get(picture.id, {}).items()}
            for picture in split.pictures]


def cell_centres(count):
    """Return the middles (L, 2) of a square grid's cells, as fractions of width and height."""
    return grid_boxes(count)[:, :2]


def inside(points, boxes, margin=0.0):
    """Return for each of points (L, 2) whether it is within `margin` of any of boxes (n, 4)."""
    corner, opposite = boxes[:, None, :2] - margin, boxes[:, None, 2:] + margin
    return ((points >= corner) & (points <= opposite)).all(dim=2).any(dim=0)
