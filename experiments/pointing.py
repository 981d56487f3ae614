"""Does an answerer look at what it is asked, and elsewhere when asked about something else?

    questions, programs --asked--> rows and boxes of those about one thing
    weights, boxes --pointing--> fractions, beside what looking anywhere or at the middle would give

The peak is the cell or region of largest weight. As in captioning/pointing.py a cell is right if
its middle lies in the thing's box, a region if it overlaps the box by half or more.

Shape letters:  N questions about one thing   L grid cells or regions
"""

from itertools import combinations, groupby

import numpy as np
import torch

from captioning.pointing import at, cell_marks, fraction, region_marks
from encoders.regions import BESIDE
from scenes.questions.dataset import FILES, PROGRAM
from scenes.scenery import SIDE
from system.files import BadInput, read_json

REMEDY = "draw the questions again with 'python prepare.py questions'"
KNOWN = {str: PROGRAM | {"box": list | None}}
FIGURES = {"questions": int, "right": float, "uniform": float, "centre": float | None,
           "moves": (int, int), "moves for one thing": (int, int)}


def read_programs(questions):
    """Return what the root of questions knows of each: a list of {"family", "program", "box"}.

    Raises `BadInput` if the file is not there, is damaged or lacks a question.
    """
    path = questions.root / FILES.format(questions.split, "programs")
    if not path.exists():
        raise BadInput(f"{questions.root} has no {path.name}, so it is not known how its questions "
                       "are answered: give questions drawn by prepare.py")
    found = read_json(path, REMEDY, KNOWN)
    ids = [str(id) for id in questions.ids.tolist()]
    boxes = {id: found[id]["box"] for id in ids if id in found and found[id]["box"] is not None}
    if len(found.keys() & {*ids}) < len(ids) or not all(
            len(box) == 4 and {*map(type, box)} <= {int, float} for box in boxes.values()):
        raise BadInput(f"{path} is damaged or of other questions: {REMEDY}")
    return [found[id] for id in ids]


def asked(programs):
    """Return the rows (N,) of questions about one thing, and its boxes (N, 4).

    A box is left, top, right, bottom, as fractions of the picture's sides.
    """
    rows = [row for row, one in enumerate(programs) if one["box"] is not None]
    boxes = torch.tensor([programs[row]["box"] for row in rows], dtype=torch.float).view(-1, 4)
    return np.array(rows, np.int64), torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]],
                                               dim=1) / SIDE


def pointing(weights, boxes, picture, regions=None):
    """Return the FIGURES of weights (N, L) of questions about things in boxes (N, 4).

    picture: (N,), which one each question is about.  regions: (N, L, 5), boxes and whether they
    are there, if the weights are of regions.  uniform: a cell or region at random.  centre: always
    the grid's middle cell.  moves: [pairs with different peaks, pairs] of questions about two
    things of one picture; "moves for one thing" is of two questions about the same thing.
    """
    if regions is None:
        marks = [cell_marks(weights.shape[1], box[None]) for box in boxes]
    else:
        marks = [region_marks(one, box[None]) for one, box in zip(regions, boxes, strict=True)]
    right, _, there = (torch.stack(one) for one in zip(*marks, strict=True))        # (N, L) each
    peaks = weights.argmax(dim=1)
    middle = torch.full_like(peaks, weights.shape[1] // 2)
    return {"questions": len(peaks), "right": fraction(at(right, peaks)),
            "uniform": (right.sum(dim=1) / there.sum(dim=1)).mean().item(),
            "centre": fraction(at(right, middle)) if regions is None else None,
            **moves(peaks.tolist(), boxes.tolist(), picture.tolist())}


def moves(peaks, boxes, picture):
    """Return how often two questions about a picture have different peaks, see `pointing`."""
    counts = {"moves": [0, 0], "moves for one thing": [0, 0]}
    order = sorted(range(len(peaks)), key=picture.__getitem__)
    for _, rows in groupby(order, key=picture.__getitem__):
        for one, other in combinations(rows, 2):
            count = counts["moves" if boxes[one] != boxes[other] else "moves for one thing"]
            count[0] += peaks[one] != peaks[other]
            count[1] += 1
    return counts


def report(answerer, questions, features, weights):
    """Return the FIGURES of an answerer's weights of all questions, None if it only looks at one.

    features: (P, ...) of the pictures.  weights: (questions, L) or None.
    """
    if weights is None or weights.shape[1] == 1:
        return None
    rows, boxes = asked(read_programs(questions))
    if not len(rows):
        return None
    picture, regions = questions.picture[rows], None
    if "boxes" in answerer.architecture["encoder"]:
        regions = torch.from_numpy(features[..., -BESIDE:][picture]).float()
    return pointing(weights[rows], boxes, picture, regions)
