"""Judge a detector on a split: look for objects in its pictures and compare with the true boxes."""

import torch
from tqdm.auto import tqdm

from coco.instances import Things, boxes_of
from detection.average_precision import average_precision
from encoders.backbones import transform_of
from encoders.features import load

BATCH_SIZE = 16             # pictures in one pass


def evaluate(backbone, split):
    """Return {"AP", "AP50", "boxes"} of a `RegionBackbone` with a head; boxes are a mean."""
    names = backbone.source["names"]
    found = list(find(backbone, split))
    things = [known(boxes_of(picture), names) for picture in split.pictures]
    return {**average_precision(found, things, names),
            "boxes": sum(len(one["boxes"]) for one in found) / len(found)}


def find(backbone, split):
    """Yield what the head finds in each picture, see `Head.find`."""
    transform, pictures = transform_of(backbone.name), split.pictures
    for start in tqdm(range(0, len(pictures), BATCH_SIZE), "objects", leave=False, unit="batch"):
        images = torch.stack([load(one, transform) for one in pictures[start:start + BATCH_SIZE]])
        device = next(backbone.parameters()).device
        yield from backbone.head.find(backbone.maps(images.to(device)))


def known(things, names):
    """Return those of a picture's `Things` that have one of these names."""
    kept = [name in names for name in things.names]
    return Things(things.boxes[kept], tuple(name for name in things.names if name in names))
