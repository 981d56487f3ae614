"""Measure whether a decoder attends to what it names, on scenes, where all boxes are known.

    captioner, features --caption_with_weights--> captions (B, T), weights (B, T, L)
    captions, weights, boxes --mentions--> Mentions --report--> fractions that can be compared

The captions are those that the decoder writes by itself. For every word that names a thing in the
picture, the peak is the cell of largest weight at the step which chose the word. The peak is right
if its middle lies in the box of a thing of that name. Since a cell is as large as a small thing,
the report also says whether the peak's cell touches such a box. A named thing that is not in the
picture has no box: it is counted and not judged. This is the pointing game of Zhang et al. 2016
(arXiv:1608.00507), where the names are given and the margin is 15 pixels.

Regions have boxes of their own, so they are judged as found boxes are: the peak is right if its
intersection with a box of that name is at least half of their union.

Shape letters:  B pictures   T tokens   L grid cells or regions   N words that name a thing
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.utils.rnn import pad_sequence
from torchvision.ops import box_iou

from coco.instances import NONE, read_instances
from decoders.base import grid_boxes
from decoders.search import search as run_search
from scenes.lexicon import LEXICON
from vocabulary import END_ID

SAME = 0.5          # intersection over union from which two boxes are of one thing


@dataclass(frozen=True)
class Mentions:
    """The words of a split's captions that name a thing which is in the picture.

    picture, step (N,): where each word stands, by picture and place in its caption.
    weights (N, L): the attention at the step that chose the word.
    inside (N, L): for each cell, whether its middle lies in a box of that name; for each region,
    whether it is such a box.
    touching (N, L): whether any part of it lies in one.
    there (N, L): whether it is a cell or region of the picture, and no filling.
    absent: number of words, not among the N, for things that are not in the picture.
    """

    picture: torch.Tensor
    step: torch.Tensor
    weights: torch.Tensor
    inside: torch.Tensor
    touching: torch.Tensor
    there: torch.Tensor
    absent: int

    @property
    def peaks(self):
        """The cell of largest weight, (N,)."""
        return self.weights.argmax(dim=1)

    @property
    def hits(self):
        """Whether the peak is right, (N,): see `inside`."""
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
        return captions, captioner.of_cells(decoder.attended(cells, captions)[1])


def mentions(captions, weights, boxes, vocab, regions=None):
    """Collect the words of captions (B, T) that name a thing.

    boxes: from `read_boxes`.  regions (B, L, 5): box and whether it is there, if the weights are of
    regions and not of the cells of a grid.
    """
    found, absent = [], 0
    for picture, (words, things) in enumerate(zip(captions.tolist(), boxes, strict=True)):
        for step, word in enumerate(words):
            name = named(vocab.idx2word[word])
            if name in things:
                marks = (cell_marks(weights.shape[2], things[name]) if regions is None
                         else region_marks(regions[picture].float(), things[name]))
                found.append((picture, step, *marks))
            elif name:
                absent += 1
    picture, step, *marks = zip(*found, strict=True) if found else ((), (), (), (), ())
    picture, step = torch.tensor(picture, dtype=torch.long), torch.tensor(step, dtype=torch.long)
    marks = [torch.stack(one) if one else torch.zeros(0, weights.shape[2], dtype=torch.bool)
             for one in marks]
    return Mentions(picture, step, weights.cpu()[picture, step], *marks, absent)


def cell_marks(count, boxes):
    """Return which of a grid's cells are right for boxes (n, 4), touch one, are there: (L,) each.
    """
    centres = cell_centres(count)
    half = centres[0, 0]                            # side of a cell / 2: the first cell's middle
    return (inside(centres, boxes), inside(centres, boxes, half),
            torch.ones(count, dtype=torch.bool))


def region_marks(regions, boxes):
    """Return which regions (L, 5) are right for boxes (n, 4), touch one, are there: (L,) each."""
    there = regions[:, 4] > 0
    shared = box_iou(regions[:, :4], boxes).amax(dim=1)
    return (shared >= SAME) & there, (shared > 0) & there, there


def report(mentions):
    """Return the fraction of words that are right by either rule, for three choices of the cell.

    The choices are the peak, a cell at random, and always the one in the middle of the list:
    pictures are often composed so that a grid's middle is right without any attention.
    """
    middle = torch.full_like(mentions.peaks, mentions.inside.shape[1] // 2)
    each = mentions.there.sum(dim=1)
    return {rule: (fraction(at(marks, mentions.peaks)),
                   (marks.sum(dim=1) / each).mean().item() if len(each) else 0.0,
                   fraction(at(marks, middle)))
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
    things = [read_instances(path).get(picture.id, NONE) for picture in split.pictures]
    return [{name: boxes[[one == name for one in names]] for name in names}
            for boxes, names in things]


def cell_centres(count):
    """Return the middles (L, 2) of a square grid's cells, as fractions of width and height."""
    cells = grid_boxes(count)
    return (cells[:, :2] + cells[:, 2:]) / 2


def inside(points, boxes, margin=0.0):
    """Return for each of points (L, 2) whether it is within `margin` of any of boxes (n, 4)."""
    corner, opposite = boxes[:, None, :2] - margin, boxes[:, None, 2:] + margin
    return ((points >= corner) & (points <= opposite)).all(dim=2).any(dim=0)
