"""Does a decoder look at what it names? Measured on scenes, where every object's box is known.

    captioner, features --looked--> captions (B, T), weights (B, T, L)
    captions, weights, boxes --mentions--> Mentions --report--> shares that can be compared

Pointing is judged on captions the decoder wrote by itself. For every word that names a thing in the
picture, the cell that weighs most at the step which chose the word is the peak; it is right if its
middle lies in the box of a thing of that name. A named thing that is not there has no box: it is
counted, and not judged. The game is that of Zhang et al. 2016 (arXiv:1608.00507), there with
objects given instead of written.

Shape letters:  B pictures   T tokens   L grid cells   N words that name a thing
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch

from lexicon import LEXICON
from search import search
from vocabulary import END_ID


@dataclass(frozen=True)
class Mentions:
    """Words that name a thing that is there, over a split: whose they are, and where they look.

    `picture` and `step` (N,) say which word it is, `weights` (N, L) are the attention at that word,
    `inside` (N, L) is True for each cell whose middle lies in a box of that name. `absent` counts
    the words for things that are not there.
    """

    picture: torch.Tensor
    step: torch.Tensor
    weights: torch.Tensor
    inside: torch.Tensor
    absent: int

    @property
    def hits(self):
        """Whether each word's peak is where it should be, (N,)."""
        peaks = self.weights.argmax(dim=1, keepdim=True)
        return self.inside.gather(1, peaks).squeeze(1)


def looked(captioner, features, settings=None):
    """The captions (B, T) a captioner writes, filled with `<end>`, and its weights (B, T, L).

    features: the backbone's grids (B, L, D).  ValueError: its decoder does not look anywhere.
    """
    decoder = captioner.decoder
    if not hasattr(decoder, "attended"):
        raise ValueError(f"{type(decoder).__name__} looks nowhere: take one of decoders.GRIDS")
    device = next(decoder.parameters()).device
    with torch.no_grad():
        embedded = captioner.encoder.embed(torch.tensor(features, dtype=torch.float, device=device))
        found = [torch.tensor(best.words) for best, *_ in search(decoder, embedded, settings)]
        captions = torch.nn.utils.rnn.pad_sequence(found, True, END_ID).to(device)
        decoder.eval()                          # without dropout, as in the search
        return captions, decoder.attended(embedded, captions)[1]


def mentions(captions, weights, boxes, vocab):
    """All words that name a thing, gathered; boxes: `read_boxes`, picture by picture."""
    centres = cell_centres(weights.shape[2])
    found, absent = [], 0
    for picture, (words, there) in enumerate(zip(captions.tolist(), boxes, strict=True)):
        for step, word in enumerate(words):
            name = named(vocab.idx2word[word])
            if name in there:
                found.append((picture, step, inside(centres, there[name])))
            elif name:
                absent += 1
    picture, step = (torch.tensor([one[at] for one in found], dtype=torch.long) for at in (0, 1))
    marks = torch.stack([one[2] for one in found]) if found else weights.new_zeros(0, len(centres))
    return Mentions(picture, step, weights.cpu()[picture, step], marks.bool(), absent)


def report(mentions):
    """Shares of the words judged: peaks that are right, and what to compare them with.

    `a cell at random` is the share of cells in those boxes, `always the middle` the share of boxes
    that hold the middle cell, `mass` the weight inside of all that is spent on the picture.
    """
    marks, weights = mentions.inside.float(), mentions.weights
    spent = weights.sum(dim=1).clamp(min=1e-9)
    middle = marks.shape[1] // 2
    return {"words": len(marks), "absent": mentions.absent,
            "pointing": mentions.hits.float().mean().item(),
            "mass": ((weights * marks).sum(dim=1) / spent).mean().item(),
            "a cell at random": marks.mean().item(),
            "always the middle": marks[:, middle].mean().item()}


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
    side = math.isqrt(count)
    middles = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(middles, middles, indexing="ij")
    return torch.stack([x, y], dim=2).flatten(0, 1)


def inside(points, boxes):
    """Which of points (L, 2) lie in any of boxes (n, 4): (L,)."""
    corner, opposite = boxes[:, None, :2], boxes[:, None, 2:]
    return ((points >= corner) & (points <= opposite)).all(dim=2).any(dim=0)
