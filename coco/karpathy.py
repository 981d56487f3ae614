"""Apply Karpathy's split to COCO, on which captioners are compared: 113,287, 5,000 and 5,000.

    dataset_coco.json + a COCO root --> root/annotations/captions_{train,val,test}.json, pictures

Karpathy and Fei-Fei 2015 (arXiv:1412.2306) took val and test from val2014; the rest of it, called
restval, joins train. Pictures are copied or, if that is asked for, become hard links into the COCO
root, which take no room and work on Windows as well: two names of one file, so that a picture
changed in one place is changed in both. Where a disk cannot link them they are copied all the same.
"""

import os
import shutil
from pathlib import Path

from tqdm.auto import tqdm

from coco.dataset import inside
from system.files import (
    BadInput,
    holds,
    make_room,
    read_json,
    refuse_web_address,
    whole_file,
    write_json,
)
from system.roots import sweep_root
from system.shapes import misfit

SPLITS = ("test", "val", "train")       # train last: a root that has it is whole
INFO = {"description": "COCO in the split of Karpathy and Fei-Fei 2015"}
ENTRY = {"filepath": str, "filename": str, "cocoid": int, "split": str,
         "sentences": [{"raw": str, "sentid": int}]}
GIVE = "give Karpathy's dataset_coco.json"


def karpathy(root, split_file, coco_root, linked=False):
    """Make `root` from the split file and those of its pictures that `coco_root` has.

    linked: hard links in place of copies.  Only one process at a time may make a root.
    Raises `BadInput` for what cannot be read and for a root that holds something else.
    """
    refuse_web_address(coco_root)
    root, coco_root = Path(root), Path(coco_root)
    holds(root, "annotations/captions_*.json", INFO, partly=True)
    found, missing = {split: [] for split in SPLITS}, []
    for image in read_images(split_file):
        source = find_picture(coco_root, image)
        if source:
            found["train" if image["split"] == "restval" else image["split"]].append(
                (image, source))
        else:
            missing.append(image["filename"])
    empty = [split for split in SPLITS if not found[split]]
    if empty:
        raise BadInput(f"{coco_root} has no picture of {' and '.join(empty)}: give --coco the "
                       "folder that holds train2014 and val2014, or train2017 and val2017")
    if missing:
        print(f"left out {len(missing)} pictures that {coco_root} does not have: "
              f"{', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}")
    pictures = [(source, root / split / source.name)
                for split in SPLITS for _, source in found[split]]
    sweep_root(root)
    place(pictures, root, linked)
    for split in SPLITS:
        write_json(root / "annotations" / f"captions_{split}.json", captions(found[split]))


def read_images(split_file):
    """Return the split file's entries; raise `BadInput` for one that lacks a field."""
    content, seen = read_json(split_file, GIVE), set()
    if place := misfit(content, {"images": [ENTRY]}):
        raise BadInput(f"{split_file} is not Karpathy's split of COCO ({place} is not what it "
                       f"should be): {GIVE}")
    for image in content["images"]:
        names = {image["cocoid"], image["filename"]}    # a picture is placed by its name alone
        if (image["cocoid"] < 0 or image["split"] not in (*SPLITS, "restval") or names & seen
                or not inside(f"{image['filepath']}/{image['filename']}")):
            raise BadInput(f"{split_file} is not Karpathy's split of COCO (its entry of "
                           f"{image['filename']!r} has other fields, or there are two): {GIVE}")
        seen |= names
    return content["images"]


def find_picture(coco_root, image):
    """Return the path of a picture in a COCO root of either year, or None."""
    name = f"{image['cocoid']:012}.jpg"
    places = (f"{image['filepath']}/{image['filename']}", f"train2017/{name}", f"val2017/{name}")
    return next((coco_root / place for place in places if (coco_root / place).exists()), None)


def place(pictures, root, linked=False):
    """Make every target of (source, target) a copy of the source or, if `linked`, a hard link.

    A target that is there stays.  root: the folder named where room is asked for.
    """
    todo = [(source, target) for source, target in pictures if not target.exists()]
    if todo and not (linked and link(*todo[0])):
        make_room(root, sum(source.stat().st_size for source, _ in todo),
                  "copies of the pictures, which this disk cannot link" if linked else
                  "copies of the pictures (--link makes none)")
    for source, target in tqdm(todo, "placing", unit="picture", leave=False):
        if not (linked and link(source, target)):
            with whole_file(target) as beside:
                shutil.copyfile(source, beside)


def link(source, target):
    """Make `target` a hard link to `source`, if it is not there; return whether it is now."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if not target.exists():
            os.link(source.resolve(), target)
    except OSError:
        return False
    return True


def captions(found):
    """Return the content of a split's captions file."""
    return {"info": INFO,
            "images": [{"id": image["cocoid"], "file_name": source.name}
                       for image, source in found],
            "annotations": [{"id": sentence["sentid"], "image_id": image["cocoid"],
                             "caption": sentence["raw"]}
                            for image, _ in found for sentence in image["sentences"]]}
