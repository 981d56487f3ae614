"""COCO-format folders: which split is which, and the pictures and sentences in one.

    <root>/annotations/captions_<split>.json      <root>/<split>/<file_name>

`read_split(root, "train")` understands the plain words train, val and test whatever the root calls
them (`train`, `train2017`, `train2014`). A root without val lends 5 % of its training pictures,
chosen by picture id from a fixed seed, so a picture never stands on both sides. COCO's test split
has no captions; val is used instead, and said so.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

from PIL import Image, ImageOps

from files import BadInput, read_json

VAL_SHARE = 0.05
PREPARE = "prepare the data again, or give another --data"


@dataclass(frozen=True)
class Picture:
    """One picture: its id, where its file is, and its reference sentences."""

    id: int
    file: Path
    sentences: tuple


@dataclass(frozen=True)
class Split:
    """The pictures of one split, in the order of the annotations file."""

    name: str
    pictures: tuple

    @property
    def sentences(self):
        """Every sentence, picture after picture."""
        return [sentence for picture in self.pictures for sentence in picture.sentences]

    def first(self, count):
        """The same split cut to its first `count` pictures (None: all)."""
        return Split(self.name, self.pictures[:count])


def split_names(root):
    """The captioned splits a root holds, e.g. `["train2017", "val2017"]`."""
    folder = Path(root) / "annotations"
    if not folder.is_dir():
        raise BadInput(f"{root} has no folder 'annotations', so it is no prepared dataset: "
                       "make one with 'python scenes.py data/scenes', or give another --data")
    return sorted(path.stem.removeprefix("captions_") for path in folder.glob("captions_*.json"))


def find_split(root, word):
    """What `root` calls the split `word`, or None: test -> test, test2017, test2014."""
    names = split_names(root)
    return next((name for name in (word, f"{word}2017", f"{word}2014") if name in names), None)


def read_split(root, word):
    """Read one split; `.name` says which pictures these really are.

    Raises `BadInput` if the root has no such split or its file is not a COCO captions file.
    """
    name = find_split(root, word)
    if name is None and word == "test":
        split = read_split(root, "val")
        return Split(f"{split.name} (no captioned test split)", split.pictures)
    train = find_split(root, "train")
    lends = find_split(root, "val") is None and train is not None
    if word == "val" and lends:
        return Split(f"val, lent by {train}", lend(_read(root, train))[1])
    if name is None:
        raise BadInput(f"{root} has no split '{word}': it holds {', '.join(split_names(root))}")
    pictures = _read(root, name)
    return Split(name, lend(pictures)[0] if lends and name == train else pictures)


def lend(pictures, seed=0):
    """Divide pictures into (train, val) by a hash of their ids: 5 %, at least one, are val."""
    def draw(picture):
        return hashlib.sha256(f"{seed} {picture.id}".encode()).digest()

    lent = set(sorted(pictures, key=draw)[:max(1, round(VAL_SHARE * len(pictures)))])
    return (tuple(p for p in pictures if p not in lent), tuple(p for p in pictures if p in lent))


def _read(root, name):
    path, folder = Path(root) / "annotations" / f"captions_{name}.json", Path(root) / name
    pictures = tuple(Picture(id, folder / file_name, sentences)
                     for id, file_name, sentences in read_captions(path) if sentences)
    if not pictures:
        raise BadInput(f"{path} holds no captioned picture: {PREPARE}")
    return pictures


def read_captions(path, remedy=PREPARE):
    """The (id, file name, sentences) of every picture in a COCO captions file."""
    content = read_json(path, remedy)
    try:
        sentences = {image["id"]: [] for image in content["images"]}
        for annotation in content["annotations"]:
            sentences[annotation["image_id"]].append(annotation["caption"])
        return [(image["id"], image["file_name"], tuple(sentences[image["id"]]))
                for image in content["images"]]
    except (KeyError, TypeError) as error:
        raise BadInput(f"{path} is not a COCO captions file ({type(error).__name__}: {error}): "
                       f"{remedy}") from None


def open_picture(path, remedy="replace it, or take it out of the captions file"):
    """The picture at `path` as upright RGB; raises `BadInput` if it cannot be read."""
    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except FileNotFoundError:
        raise BadInput(f"picture {path} is missing: {remedy}") from None
    except Exception as error:  # Pillow's readers raise many kinds for one cause: a broken file
        raise BadInput(f"picture {path} cannot be read ({shorten(str(error), 120)}): {remedy}"
                       ) from None
