"""The layouts in which people have bottom-up features, read safely.

    scan(path) --> (key, offset, regions, D) of every picture in a file, its features not decoded
    read(path, offset) --> Found

    NAME.tsv, NAME.tsv.0    a picture a line: image_id, image_w, image_h, num_boxes, boxes and
                            features, the last two as base64 of float32, (K, 4) and (K, D)
    ID.npz                  arrays x (D, K) or (K, D), bbox (K, 4), num_bbox, image_w, image_h
    cocobu_att/ID.npz       array feat (K, D); its boxes (K, 4) are in cocobu_box/ID.npy

The first is of github.com/peteanderson80/bottom-up-attention, whose files say some pictures twice,
once cut short; the second of MILVLG/bottom-up-attention.pytorch and OpenVQA, the third of
ruotianluo/ImageCaptioning.pytorch. Nothing is unpickled, and no array is read before its type and
shape are known. A box is left, top, right, bottom in pixels, or in fractions if none exceeds 1.

Shape letters:  K regions   D features of a region
"""

import base64
import math
import re
from contextlib import contextmanager
from typing import NamedTuple
from zipfile import ZipFile

import numpy as np
from tqdm.auto import tqdm

from system.distributed import bar_options
from system.files import BadInput

LIMITS = 1000, 16384        # regions, features: a file with more is damaged or meant to do harm
COLUMNS = b"image_id", b"image_w", b"image_h", b"num_boxes", b"boxes", b"features"
LONGEST = 4 * 4 * LIMITS[0] * (LIMITS[1] + 4) // 3 + 1000   # bytes of a line
KIND = re.compile(r"\.(npz|tsv)(\.\d+)?$", re.I)
SUFFIXES = re.compile(r"(\.(jpe?g|png))?(\.npz)?$", re.I)
COCO_ID = re.compile(r"(?:COCO_\w+_)?0*(\d+)", re.A)
KINDS = ("give a .tsv file, or a folder of .tsv or .npz files, in one of the layouts that "
         "encoders/bottom_up_files.py names")
AGAIN = "make or download it again, or take the picture out of the captions file"


class Found(NamedTuple):
    """What a file says of one picture; size: (width, height) in pixels, None if it does not say."""

    size: tuple | None
    count: int
    boxes: np.ndarray
    features: np.ndarray


def key_of(name):
    """Return what a picture is known by: its COCO id without leading zeros, otherwise its name."""
    name = SUFFIXES.sub("", name)
    found = COCO_ID.fullmatch(name)
    return found[1] if found else name


def layout_of(path):
    """Return the functions (scan, read) of a file, None for one of another kind."""
    found = KIND.search(path.name)
    return LAYOUTS[found[1].lower()] if found else None


@contextmanager
def readable(where):
    """Raise `BadInput` in place of any error of the block, which reads `where`."""
    try:
        yield
    except BadInput:
        raise
    except Exception as error:  # many kinds for one cause: this is no such file, or damaged
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise BadInput(f"{where} cannot be read ({reason}): {AGAIN}") from None


def scan_tsv(path):
    """Yield (key, offset, regions, D) of every line of a TSV file; 0, 0 where it is damaged."""
    size, offset = path.stat().st_size, 0
    with open(path, "rb") as file, tqdm(total=size, desc=path.name, unit="B", unit_scale=True,
                                        leave=False, delay=1, **bar_options()) as bar:
        for line in iter(lambda: file.readline(LONGEST), b""):
            fields = fields_of(line)
            if offset or fields:
                name = line.split(b"\t", 1)[0][:100].decode(errors="replace")
                yield key_of(name), offset, *(sizes_of(fields) if fields else (0, 0))
            elif tuple(line.rstrip().split(b"\t")) != COLUMNS:      # as a first line it is skipped
                raise BadInput(f"line 1 of {path} has not the columns "
                               f"{b', '.join(COLUMNS).decode()}, with tabs between them: {KINDS}")
            offset += len(line)
            bar.update(len(line))


def fields_of(line):
    """Return the fields of a line of a TSV file, None if they are not as COLUMNS says."""
    fields = line.rstrip(b"\r\n").split(b"\t")
    numbers = all(one.isdigit() and len(one) < 10 for one in fields[1:4])
    return fields if len(fields) == len(COLUMNS) and numbers else None


def sizes_of(fields):
    """Return the regions and features of a line by the lengths of its fields, or 0, 0."""
    count = int(fields[3])
    boxes, features = (len(one) * 3 // 4 - one[-2:].count(b"=") for one in fields[4:])
    if any(len(one) % 4 for one in fields[4:]) or boxes != 16 * count:
        return 0, 0
    return sizes(count, features / (4 * count) if count else 0)


def sizes(count, width):
    """Return the regions and the features of each, or 0, 0 where they are not within LIMITS."""
    fine = 1 <= count <= LIMITS[0] and 1 <= width <= LIMITS[1] and width == int(width)
    return (count, int(width)) if fine else (0, 0)


def read_tsv(path, offset):
    """Return what the line at `offset` of a TSV file says of its picture."""
    with open(path, "rb") as file:
        file.seek(offset)
        fields = fields_of(file.readline(LONGEST))
    if fields is None:
        raise ValueError("its line is cut short or runs into another")
    width, height, count = map(int, fields[1:4])
    boxes, features = (np.frombuffer(base64.b64decode(one, validate=True), "<f4")
                       for one in fields[4:])
    if count and not boxes.size % count and not features.size % count:
        boxes, features = boxes.reshape(count, -1), features.reshape(count, -1)
    return Found((width, height), count, boxes, features)


def scan_npz(path):
    """Yield (key, 0, regions, D) of the one picture of an .npz file; 0, 0 where they disagree."""
    with readable(path), ZipFile(path) as archive:
        with archive.open(features_in(archive)) as file:
            shape = shape_of(file)
        count = len(boxes_of(path, archive))
    width = shape[shape[0] == count] if len(shape) == 2 and count in shape else 0
    yield key_of(path.name), 0, *sizes(count, width)


def read_npz(path, offset=0):
    """Return what an .npz file says of its picture."""
    with ZipFile(path) as archive:
        features, boxes = array_in(archive, features_in(archive)), boxes_of(path, archive)
        width, height, count = (int(array_in(archive, f"{name}.npy").item())
                                if f"{name}.npy" in archive.namelist() else None
                                for name in ("image_w", "image_h", "num_bbox"))
    if len(features) != len(boxes):
        features = features.T
    size = None if width is None or height is None else (width, height)
    return Found(size, len(features) if count is None else count, boxes, features)


def features_in(archive):
    """Return the name of the member of an .npz file that holds the features."""
    found = [name for name in ("x.npy", "feat.npy") if name in archive.namelist()]
    if not found:
        raise BadInput(f"{archive.filename} has no array x or feat: {KINDS}")
    return found[0]


def boxes_of(path, archive):
    """Return the boxes (K, 4) of an .npz file, from itself or from the file that belongs to it."""
    if "bbox.npy" in archive.namelist():
        return array_in(archive, "bbox.npy")
    beside = box_file(path)
    if not beside.is_file():
        raise BadInput(f"{path} has no array bbox, and its boxes are not in {beside} either: give "
                       "them there")
    with readable(beside), open(beside, "rb") as file:
        return read_array(file)


def box_file(path):
    """Return where the boxes of an .npz file are that has none: cocobu_box/ID.npy, or ID.npy."""
    folder = path.parent.name
    parent = path.parent.with_name(f"{folder[:-4]}_box") if folder.endswith("_att") else path.parent
    return parent / f"{path.stem}.npy"


def array_in(archive, name):
    """Return an array of an open .npz file."""
    with archive.open(name) as file:
        return read_array(file)


def read_array(file):
    """Return the array of an open .npy file, whose type and shape are found fit first."""
    shape_of(file)
    file.seek(0)
    return np.load(file, allow_pickle=False)


def shape_of(file):
    """Return the shape of the array in an open .npy file; raise if it is not to be read."""
    layout = np.lib.format
    version = layout.read_magic(file)
    if version != (1, 0):       # whose header may have 4 GB, of a file that zipped has four MB
        raise ValueError(f"its header is of version {version}, which no table of numbers needs")
    shape, _, kind = layout.read_array_header_1_0(file)
    if kind.hasobject:
        raise ValueError("it holds pickled objects, which could run code, and no plain numbers")
    if kind.kind not in "fiu" or len(shape) > 2:
        raise ValueError(f"it holds an array {shape} of {kind}, and no table of numbers")
    if max(shape, default=1) > max(LIMITS) or math.prod(shape) > math.prod(LIMITS):
        raise ValueError(f"its array {shape} is larger than {LIMITS[0]} regions of {LIMITS[1]} "
                         "features")
    return shape


LAYOUTS = {"tsv": (scan_tsv, read_tsv), "npz": (scan_npz, read_npz)}
