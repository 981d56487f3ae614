"""Judge found boxes by COCO's average precision, with pycocotools.

    found, things --average_precision--> {"AP": ..., "AP50": ...}

A found box is right if it has the name of a true box and overlaps it by some intersection over
union: 0.5 for AP50, and for AP the mean of 0.5, 0.55, ... 0.95. The precision is averaged over all
numbers of boxes that could be taken, the surest first, and over the names.
"""

import contextlib
import io

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

SIDE = 1000                 # of a picture: boxes are fractions, and areas are not asked for


def average_precision(found, things, names):
    """Return AP and AP50 (0 to 1) of the boxes that `Head.find` found in some pictures.

    things: the `Things` of each picture.  names: of the labels.
    """
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": picture} for picture in range(len(things))],
        "categories": [{"id": label, "name": name} for label, name in enumerate(names)],
        "annotations": [{**entry(picture, names.index(name), box), "iscrowd": 0}
                        for picture, one in enumerate(things)
                        for box, name in zip(one.boxes.tolist(), one.names, strict=True)]}
    for number, one in enumerate(truth.dataset["annotations"], 1):
        one["id"] = number
    guesses = [{**entry(picture, label, box), "score": score}
               for picture, one in enumerate(found)
               for box, label, score in zip(*(one[key].tolist() for key in
                                              ("boxes", "labels", "scores")), strict=True)]
    if not guesses:
        return {"AP": 0.0, "AP50": 0.0}
    with contextlib.redirect_stdout(io.StringIO()):     # it prints what it does
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(guesses), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return {"AP": float(judge.stats[0]), "AP50": float(judge.stats[1])}


def entry(picture, label, box):
    """Return what a true box and a found one have in common."""
    left, top, right, bottom = (SIDE * edge for edge in box)
    return {"image_id": picture, "category_id": label, "area": (right - left) * (bottom - top),
            "bbox": [left, top, right - left, bottom - top]}
