"""COCO-format folders: which split is which, and the pictures and sentences in one.

    <root>/annotations/captions_<split>.json      <root>/<split>/<file_name>

`read_split(root, "train")` understands the plain words train, val and test whatever the root calls
them (`train`, `train2017`, `train2014`). A root without val lends 5 % of its training pictures,
chosen by picture id from a fixed seed, so a picture never stands on both sides. COCO's test split
has no captions; val is used instead, and said so.

What is read may come from anywhere: annotations are believed only after a look at every field, and
a picture is whatever Pillow can open, made upright RGB.
"""

import gc
import hashlib
import os
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from textwrap import shorten

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from system.files import BadInput, content_hash, read_json, writable, write_json

CACHE = Path(os.environ.get("CAPTION_CACHE", "cache"))     # what is worked out once is kept here
VAL_SHARE = 0.05
LARGE = 2048                # pixels; a side that a JPEG larger both ways is still opened with
PREPARE = "prepare the data again, or give another --data"
FIELDS = {"images": {"id": int, "file_name": str}, "annotations": {"image_id": int, "caption": str}}
KINDS = {int: "whole number from 0 on", str: "text"}

# up to 179 million pixels Pillow only warns, and a photograph may have 108; beyond it refuses
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


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
                       "make one with 'python prepare.py scenes', or give another --data")
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
        held = ", ".join(split_names(root)) or "no annotations/captions_*.json at all"
        raise BadInput(f"{root} has no split '{word}': it holds {held}")
    pictures = _read(root, name)
    if lends and name == train and len(pictures) == 1:
        raise BadInput(f"{root} has a single captioned picture, too few to train on and to "
                       "validate with: add more")
    return Split(name, lend(pictures)[0] if lends and name == train else pictures)


def lend(pictures, seed=0):
    """Divide pictures into (train, val) by a hash of their ids: 5 %, at least one, are val."""
    def draw(picture):
        return hashlib.sha256(f"{seed} {picture.id}".encode()).digest()

    lent = set(sorted(pictures, key=draw)[:max(1, round(VAL_SHARE * len(pictures)))])
    return (tuple(p for p in pictures if p not in lent), tuple(p for p in pictures if p in lent))


def read_annotations(path, parts=tuple(FIELDS)):
    """The lists `images` and `annotations` of a COCO captions file, every field as FIELDS has it.

    Raises `BadInput` for the first entry that is otherwise, or whose file is outside its folder.
    """
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
    """Whether a file's name stays in the folder it is put into, here and on Windows."""
    path = PureWindowsPath(name)            # it knows both slashes
    return name.isprintable() and bool(path.name) and not (
        path.drive or path.root or ".." in path.parts)


def says_something(caption):
    """Whether a caption has any letter, digit or sign."""
    return any(sign.isprintable() and not sign.isspace() for sign in caption)


def captions_by_image(path, images, annotations):
    """{image id: captions} of a captions file, without captions that say nothing.

    Raises `BadInput` if two images share an id, a caption has no image, or no image a caption.
    """
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
    """The (id, file name, captions) of every captioned picture in a COCO captions file."""
    images, annotations = read_annotations(path)
    captions = captions_by_image(path, images, annotations)
    return [(image["id"], image["file_name"], tuple(captions[image["id"]]))
            for image in images if captions[image["id"]]]


def kept_captions(path):
    """`read_captions`, its result kept on disk, where that can be, under a hash of the file."""
    try:
        name = content_hash(path)
    except OSError:
        return read_captions(path)              # which says what is wrong
    kept = CACHE / "captions" / f"{name}.json"
    if kept.exists():
        return read_json(kept, "delete it, and it is made again")
    captions = read_captions(path)
    if content_hash(path) == name:              # nobody changed it meanwhile
        with suppress(BadInput):
            write_json(kept, captions)
    return captions


@contextmanager
def collector_paused():
    """Around the making of very many objects that stay: Python would search them over and over."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@collector_paused()             # of the time COCO takes when kept, more than half
def _read(root, name):
    path, folder = Path(root) / "annotations" / f"captions_{name}.json", Path(root) / name
    return tuple(Picture(id, folder / file_name, tuple(captions))
                 for id, file_name, captions in kept_captions(path))


def open_picture(path, remedy="replace it, or take it out of the captions file"):
    """The picture at `path` as upright RGB, what is transparent in white, 16 bits scaled to 8.

    A JPEG of more than twice LARGE both ways is opened at a half, a quarter or an eighth, which
    takes less memory and time. Of an animation it is the first picture. Raises `BadInput` if it
    cannot be read.
    """
    try:
        with Image.open(path) as image:
            image.draft(None, (LARGE, LARGE))
            return to_rgb(ImageOps.exif_transpose(image))
    except FileNotFoundError:
        raise BadInput(f"picture {path} is missing: {remedy}") from None
    except Exception as error:  # many kinds for one cause: the file is damaged, or no picture
        raise BadInput(f"picture {path} cannot be read ({fault(path, error)}): {remedy}") from None


def to_rgb(image):
    """A picture of any mode as RGB."""
    if image.mode.startswith("I"):              # 16 bits a pixel, which convert() would clip
        grey = np.asarray(image).clip(0, 65535) / 257
        image = Image.fromarray(grey.round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def fault(path, error):
    """Why a picture could not be read, in a few words."""
    if isinstance(error, UnidentifiedImageError):
        with open(path, "rb") as file:
            head = file.read(64).lstrip()
        return ("it is empty" if not head else "it is a web page" if head[:1] == b"<"
                else "it is in no format that Pillow knows")
    return shorten(str(error), 120) or type(error).__name__
