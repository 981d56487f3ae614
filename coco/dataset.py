"""COCO-format folders: which split is which, and the pictures and sentences in one.

    <root>/annotations/captions_<split>.json      <root>/<split>/<file_name>

`read_split(root, "train")` understands the plain words train, val and test whatever the root calls
them (`train`, `train2017`, `train2014`; WORDS has more). A root without val lends 5 % of its
training pictures, chosen by picture id from a fixed seed, so a picture never stands on both sides.
COCO's test split has no captions; val is used instead, and said so.

What is read may come from anywhere, so annotations are used only after a check of every field.
coco/pictures.py opens the pictures.
"""

import hashlib
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PureWindowsPath

from coco.pictures import open_picture
from system.cache import CACHE
from system.commands import CONTROL, command_line
from system.contents import read_kept
from system.files import BadInput, content_hash, read_json, refuse_web_address, writable, write_json
from system.records import collector_paused

VAL_SHARE = 0.05
WORDS = {"train": ("train", "training"), "val": ("val", "valid", "validation", "dev"),
         "test": ("test", "testing")}
YEARS = "", "2017", "2014"
PREPARE = "prepare the data again, or give another --data"
FIELDS = {"images": {"id": int, "file_name": str}, "annotations": {"image_id": int, "caption": str}}
KINDS = {int: "whole number from 0 on", str: "text"}


@dataclass(frozen=True)
class Picture:
    """One picture: its id, where its file is, and its reference sentences."""

    id: int
    file: Path
    sentences: tuple

    def open(self):
        """Return it as upright RGB; raise `BadInput` if that cannot be done."""
        return open_picture(self.file)


@dataclass(frozen=True)
class Split:
    """The pictures of one split, in the order of the annotations file."""

    name: str
    pictures: tuple

    @property
    def sentences(self):
        """All sentences as one list, picture after picture."""
        return [sentence for picture in self.pictures for sentence in picture.sentences]

    def first(self, count):
        """Return the split cut to its first `count` pictures (None: all)."""
        return Split(self.name, self.pictures[:count])


def split_names(root):
    """Return the captioned splits that a root holds, e.g. `["train2017", "val2017"]`."""
    folder = Path(root) / "annotations"
    if not folder.is_dir():
        refuse_web_address(root)
        what = "is a file and " if Path(root).is_file() else ""
        raise BadInput(f"{root} {what}has no folder 'annotations', so it is no prepared dataset: "
                       "make one with 'python prepare.py scenes' or, of your own pictures, 'python "
                       "prepare.py folder', or give another --data")
    return sorted(path.stem.removeprefix("captions_") for path in folder.glob("captions_*.json"))


def find_split(root, word):
    """Return the name in `root` of the split `word`, or None: test -> test, test2017, testing."""
    names = split_names(root)
    fitting = [name for one in WORDS.get(word, (word,))
               for name in (one + year for year in YEARS) if name in names]
    if len(fitting) > 1:
        tell(f"{root} has {' and '.join(fitting)}: {fitting[0]} is used as {word}, and no other")
    return fitting[0] if fitting else None


def unknown_splits(root):
    """Return the splits in a root whose names are none that `find_split` understands."""
    known = {one + year for words in WORDS.values() for one in words for year in YEARS}
    return [name for name in split_names(root) if name not in known]


def tell_of_val(root, train, val):
    """Say on stderr what a person may not expect of the split that validates `train`."""
    others = unknown_splits(root)
    if val is None and others:
        tell(f"{root} has no split val, so {VAL_SHARE:.0%} of {train} are set aside: if "
             f"{' or '.join(others)} is for that, call it {' or '.join(WORDS['val'])}")
    if {train[-4:], val and val[-4:]} == set(YEARS[1:]):
        tell(f"{root} has {train} and {val}, and COCO's two years share pictures: see "
             f"with {command_line('python', 'prepare.py', 'check', root)}, or give val the year of "
             "train")


@cache
def tell(sentence):
    """Print a sentence on stderr, once."""
    print(sentence, file=sys.stderr)


def read_split(root, word):
    """Read one split; its `.name` says where the pictures come from.

    Raises `BadInput` if the root has no such split or its file is not a COCO captions file.
    """
    name = find_split(root, word)
    if name is None and word == "test":
        split = read_split(root, "val")
        return Split(f"{split.name} (no captioned test split)", split.pictures)
    train, val = find_split(root, "train"), find_split(root, "val")
    lends = val is None and train is not None
    if train:
        tell_of_val(root, train, val)
    if word == "val" and lends:
        return Split(f"val, lent by {train}", lend(_read(root, train))[1])
    if name is None:
        held = ", ".join(split_names(root)) or "no annotations/captions_*.json at all"
        raise BadInput(f"{root} has no split '{word}': it holds {held}")
    pictures = _read(root, name)
    if lends and name == train and len(pictures) == 1:
        raise BadInput(f"{root} has a single captioned picture, too few to train on and to "
                       "validate with: add more")
    return Split(name, lend(pictures)[0] if lends and name == train else pictures)


def lend(items, key=lambda picture: picture.id):
    """Divide items into (train, val) by a hash of their keys: 5 %, at least one, are val."""
    lent = set(in_drawn_order(items, 0, key)[:max(1, round(VAL_SHARE * len(items)))])
    return tuple(i for i in items if i not in lent), tuple(i for i in items if i in lent)


def in_drawn_order(items, seed, key):
    """Return `items` by a hash of `seed` and `key(item)`, the same whatever else is among them."""
    return sorted(items, key=lambda item: hashlib.sha256(f"{seed} {key(item)}".encode()).digest())


def read_annotations(path, parts=tuple(FIELDS)):
    """Return the lists of `parts` in a COCO captions file; `BadInput` for an unsound entry."""
    content = read_json(path, PREPARE)
    for part in parts:
        entries = content.get(part) if isinstance(content, dict) else None
        if not isinstance(entries, list):
            raise BadInput(f"{path} is not a COCO captions file (it has no list '{part}'): "
                           f"{PREPARE}")
        for number, entry in enumerate(entries):
            for field, kind in FIELDS[part].items():
                value = entry.get(field) if isinstance(entry, dict) else None
                if type(value) is not kind or kind is int and value < 0:
                    raise BadInput(f"{path} is not a COCO captions file ({part}[{number}] has no "
                                   f"{KINDS[kind]} '{field}'): {PREPARE}")
                if kind is str:
                    entry[field] = writable(value)
                if field == "file_name" and not inside(value):
                    raise BadInput(f"{path} names the picture {value!r}, which is no file inside "
                                   f"the dataset: {PREPARE}")
    return [content[part] for part in parts]


def inside(name):
    """Return whether a file's name stays in the folder it is put into, here and on Windows."""
    path = PureWindowsPath(name)            # it knows both slashes
    # no control characters; other signs that print nothing are in the names that systems give
    return not CONTROL.search(name) and bool(path.name) and not (
        path.drive or path.root or ".." in path.parts)


def says_something(caption):
    """Return whether a caption has any letter, digit or sign."""
    return any(sign.isprintable() and not sign.isspace() for sign in caption)


def captions_by_image(path, images, annotations):
    """Return {image id: captions that say something}; `BadInput` if ids do not fit together."""
    captions = {}
    for image in images:
        if image["id"] in captions:
            raise BadInput(f"{path} has two images of id {image['id']}: {PREPARE}")
        captions[image["id"]] = []
    for number, annotation in enumerate(annotations):
        if annotation["image_id"] not in captions:
            raise BadInput(f"{path} describes an image that it does not have (annotations[{number}]"
                           f" names id {annotation['image_id']}): {PREPARE}")
        if says_something(annotation["caption"]):
            captions[annotation["image_id"]].append(annotation["caption"])
    if not any(captions.values()):
        raise BadInput(f"{path} holds no captioned picture: {PREPARE}")
    return captions


def read_captions(path):
    """Return (id, file name, captions) of every captioned picture in a COCO captions file."""
    images, annotations = read_annotations(path)
    captions = captions_by_image(path, images, annotations)
    return [(image["id"], image["file_name"], tuple(captions[image["id"]]))
            for image in images if captions[image["id"]]]


def kept_captions(path):
    """Return `read_captions(path)`, kept in the cache under a hash of the file's content."""
    try:
        name = content_hash(path)
    except OSError:
        return read_captions(path)              # to raise what says which file is missing
    kept = CACHE / "captions" / f"{name}.json"
    columns = read_kept(kept, ([int], [str], [[str]]))
    if columns is not None:
        return list(zip(*columns, strict=False))
    captions = read_captions(path)
    if content_hash(path) == name:              # unchanged meanwhile
        with suppress(BadInput):                # where nothing can be kept, it is read again
            write_json(kept, [list(column) for column in zip(*captions, strict=True)])
    return captions


@collector_paused()
def _read(root, name):
    """Return the pictures of the split that `root` calls `name`."""
    path, folder = Path(root) / "annotations" / f"captions_{name}.json", Path(root) / name
    return tuple(Picture(id, folder / file_name, tuple(captions))
                 for id, file_name, captions in kept_captions(path))
