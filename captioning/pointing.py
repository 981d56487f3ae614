"""Does a decoder look at what it names? Measured on scenes, where every object's box is known.

    captioner, features --looked--> captions (B, T), weights (B, T, L)
    captions, weights, boxes --mentions--> Mentions --report--> shares that can be compared

Pointing is judged on captions the decoder wrote by itself. For every word that names a thing in the
picture, the cell that weighs most at the step which chose the word is the peak; it is right if its
middle lies in the box of a thing of that name. A cell is as large as a small thing, so it is also
told whether the peak's cell touches such a box. A named thing that is not there has no box: it is
counted, and not judged. The game is that of Zhang et al. 2016 (arXiv:1608.00507), where the names
are given and the margin is 15 pixels.

Shape letters:  B pictures   T tokens   L grid cells   N words that name a thing
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.utils.rnn import pad_sequence

from captioning.evaluation import embedded
from decoders.search import search
from decoders.transformer import grid_boxes
from scenes.lexicon import LEXICON
from vocabulary import END_ID


@dataclass(frozen=True)
class Mentions:
    """Words that name a thing that is there, over a split: whose they are, and where they look.

    `picture` and `step` (N,) say which word it is, `weights` (N, L) are the attention at that word,
    `inside` (N, L) is True for each cell whose middle lies in a box of that name, `touching` for
    each that shares any of its square with one. `absent` counts the words for things that are not
    there.
    """

    picture: torch.Tensor
    step: torch.Tensor
    weights: torch.Tensor
    inside: torch.Tensor
    touching: torch.Tensor
    absent: int

    @property
    def peaks(self):
        """The cell (N,) that weighs most."""
        return self.weights.argmax(dim=1)

    @property
    def hits(self):
        """Whether the middle of each peak lies where it should, (N,)."""
        return at(self.inside, self.peaks)


def at(marks, cells):
    """What marks (N, L) say of one cell (N,) each."""
    return marks.gather(1, cells.unsqueeze(1)).squeeze(1)


def looked(captioner, features, settings=None):
    """The captions (B, T) a captioner writes, filled with `<end>`, and its weights (B, T, L).

    features: the backbone's grids (B, L, D).  ValueError: its decoder reads no grid.
    """
    decoder = captioner.decoder
    if not decoder.grid:
        raise ValueError(f"{type(decoder).__name__} attends to nothing: take one that reads a grid")
    cells = embedded(captioner, features)
    found = [torch.tensor(best.words) for best, *_ in search(decoder, cells, settings)]
    captions = pad_sequence(found, True, END_ID).to(cells.device)
    decoder.eval()                              # without dropout, as in the search
    with torch.no_grad():
        return captions, decoder.attended(cells, captions)[1]


def mentions(captions, weights, boxes, vocab):
    """All words that name a thing, gathered; boxes: `read_boxes`, picture by picture."""
    centres = cell_centres(weights.shape[2])
    half = centres[0, 0]                            # of a cell's side: the first one's middle
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
    """What share of the words is right by either rule: (its peak, a cell at random, the middle).

    A cell at random is right as often as the share of cells that would be; the middle is what one
    gets who looks there always, knowing that pictures are often composed so.
    """
    middle = torch.full_like(mentions.peaks, mentions.inside.shape[1] // 2)
    return {rule: (share(at(marks, mentions.peaks)), share(marks), share(at(marks, middle)))
            for rule, marks in (("middle in the box", mentions.inside),
                                ("cell touches the box", mentions.touching))}


def share(marks):
    """How many of the marks are true, 0 to 1; of none, 0."""
    return marks.float().mean().item() if len(marks) else 0.0


def named(word):
    """The one kind of thing a word names, singular or plural, or None."""
    kind, meaning = LEXICON.get(word, ("unknown", None))
    shapes = meaning[0] if kind == "noun" else ()
    return next(iter(shapes)) if len(shapes) == 1 else None


def read_boxes(root, split):
    """For every picture of a split, in order, {name: boxes (n, 4)}; none if there are none.

    A box is left, top, right, bottom as shares of the picture's width and height.
    """
    path = Path(root) / "annotations" / f"instances_{split.name}.json"
    if not path.exists():
        return []
    content = json.loads(path.read_text(encoding="utf-8"))
    names = {one["id"]: one["name"] for one in content["categories"]}
    sizes = {one["id"]: (one["width"], one["height"]) for one in content["images"]}
    boxes = {}
    for thing in content["annotations"]:
        (left, top, wide, high), (width, height) = thing["bbox"], sizes[thing["image_id"]]
        box = [left / width, top / height, (left + wide) / width, (top + high) / height]
        boxes.setdefault(thing["image_id"], {}).setdefault(
            names[thing["category_id"]], []).append(box)
    return [{name: torch.tensor(found) for name, found in boxes.get(picture.id, {}).items()}
            for picture in split.pictures]


def cell_centres(count):
    """The middles (L, 2) of a square grid's cells, row by row, as shares of width and height."""
    return grid_boxes(count)[:, :2]


def inside(points, boxes, margin=0.0):
    """Which of points (L, 2) lie in any of boxes (n, 4), or that near to one: (L,)."""
    corner, opposite = boxes[:, None, :2] - margin, boxes[:, None, 2:] + margin
    return ((points >= corner) & (points <= opposite)).all(dim=2).any(dim=0)
