"""Read the boxes of the things in pictures, from a COCO instances file.

    <root>/annotations/instances_<split>.json --read_instances--> {image id: Things}
    picture --boxes_of--> the same for one picture of a dataset
"""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch

from coco.dataset import PREPARE
from system.contents import state_of
from system.files import BadInput, read_json

INSTANCES = {"categories": [{"id": int, "name": str}],
             "images": [{"id": int, "width": float, "height": float}],
             "annotations": [{"image_id": int, "category_id": int, "bbox": (float,) * 4}]}


class Things(NamedTuple):
    """The things of one picture: boxes (n, 4) and their categories' names.

    A box is left, top, right and bottom as fractions of the picture's width and height.
    """

    boxes: torch.Tensor
    names: tuple


NONE = Things(torch.zeros(0, 4), ())


def read_instances(path):
    """Return the `Things` of every picture that has some, by image id; `BadInput` if damaged."""
    return things_in(path, state_of(path))


@lru_cache(maxsize=4)       # files: one for each split of a dataset
def things_in(path, state):
    """Read what `read_instances` returns, once for each `state` of the file."""
    content = read_json(path, PREPARE, INSTANCES)
    names = {one["id"]: one["name"] for one in content["categories"]}
    sizes = {one["id"]: (one["width"], one["height"]) for one in content["images"]}
    found = {}
    for thing in content["annotations"]:
        width, height = sizes.get(thing["image_id"], (0, 0))
        if min(width, height) <= 0 or thing["category_id"] not in names:
            raise BadInput(f"{path} has a box of an image or category that it lacks, or of an "
                           f"image without a size ({thing['image_id']}): {PREPARE}")
        left, top, wide, high = thing["bbox"]
        box = [left / width, top / height, (left + wide) / width, (top + high) / height]
        if box[0] < box[2] and box[1] < box[3]:         # COCO has some of no area
            found.setdefault(thing["image_id"], []).append((box, names[thing["category_id"]]))
    return {image: Things(torch.tensor([box for box, _ in things]), tuple(n for _, n in things))
            for image, things in found.items()}


def find_instances(picture):
    """Return the instances file of a picture's split, or None if there is none."""
    for folder in Path(picture.file).parents:           # a name may have folders of its own
        path = folder.parent / "annotations" / f"instances_{folder.name}.json"
        if path.exists():
            return path
    return None


def instances_file(picture):
    """Return the instances file of a picture's split; raise `BadInput` if there is none."""
    if path := find_instances(picture):
        return path
    split = Path(picture.file).parent
    raise BadInput(f"{split.parent / 'annotations'} has no instances_{split.name}.json, so nobody "
                   f"knows the boxes of {picture.file}: take boxes that are found in the picture, "
                   "those of a detector")


def boxes_of(picture):
    """Return the `Things` of a picture of a dataset; none if its file names none."""
    return read_instances(instances_file(picture)).get(picture.id, NONE)
