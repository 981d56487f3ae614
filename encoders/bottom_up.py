"""Classic bottom-up features: regions that a detector found long ago, read instead of computed.

    files --index_of--> {picture: [file, offset]};  pictures --beside--> rows (B, K, D + 5)

Anderson et al. 2018 (arXiv:1707.07998) published the regions of all of COCO's pictures, 36 of each
or 10 to 100, which many papers read since; bottom_up_files.py knows the layouts. The index is kept
in the cache, so that files of many gigabytes are passed through once and never held in memory.

A row is D features, the box (left, top, right, bottom as fractions of the picture), and 1, or zeros
where it only fills up. Row 0 is the whole picture: the mean of its regions.

Shape letters:  B pictures   K rows of a picture   D features of a region
"""

import hashlib
import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from tqdm.auto import tqdm

from coco.pictures import turn_of
from encoders.bottom_up_files import AGAIN, KINDS, LIMITS, box_file, key_of, layout_of, readable
from encoders.transform import Transform
from system.cache import CACHE, cache_name
from system.contents import content_hashes, read_kept
from system.distributed import bar_options
from system.files import BadInput, refuse_web_address, write_json

MOST = 100                  # regions of a picture that are used: the published files have no more
SIDE = 32                   # pixels
SLACK = 0.01                # of a side: detectors work on a picture of another, rounded size
LARGEST = float(np.finfo(np.float16).max)       # features are kept in float16
INDEX = {"channels": int, "most": int, "keys": [str], "files": [int], "offsets": [int]}
SIDEWAYS = {Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270, Image.Transpose.TRANSPOSE,
            Image.Transpose.TRANSVERSE}


class BottomUp(nn.Module):
    """The regions of classic bottom-up files, in the place of a backbone; it has no parameters.

    path: a file, or a folder of files at any depth.  channels: D.  regions: K, 1 + the most regions
    of any picture in the files, at most 1 + MOST; of a picture with more, the first are taken.
    cache: in place of CACHE.  Raises `BadInput` for files of another layout.
    """

    name, frozen, carried, reads_images = "bottom_up", True, False, False
    precision = torch.float32

    def __init__(self, path, cache=None):
        super().__init__()
        self.path = Path(path)
        self.paths = feature_files(self.path)
        self.contents = contents_of(self.paths, cache)
        kept = Path(cache or CACHE) / "regions" / f"{cache_name(self.contents)}.json"
        index = read_kept(kept, INDEX)
        if index is None:
            index = index_of(self.paths)
            with suppress(BadInput):            # where nothing can be kept, it is made again
                write_json(kept, index)
        self.channels, self.regions = index["channels"], 1 + index["most"]
        self.places = dict(zip(index["keys"], zip(index["files"], index["offsets"], strict=True),
                               strict=True))

    def forward(self, images, rows=None):
        """Return the rows (B, K, D + 5) that `beside` gave with these images, which are not used.
        """
        if rows is None:
            raise BadInput("this captioner was trained with bottom-up features, which a photograph "
                           "has not: give one that finds boxes, or a grid's")
        return rows

    @property
    def source(self):
        """The source of these regions, as a checkpoint keeps it; no path is in it."""
        return {"boxes": "file", "most": self.regions - 1, "channels": self.channels}

    def files(self, pictures):
        """Return the files on which rows depend besides those of `fingerprint`: none."""
        return []

    def transform(self, fit):
        """Return some transform, since a checkpoint has one: no picture is looked at."""
        return Transform(SIDE, (0.0,) * 3, (1.0,) * 3, fit)

    def beside(self, pictures):
        """Return the rows (B, K, D + 5) of pictures, in their order, as a tuple of one tensor."""
        return (torch.from_numpy(np.stack([self.rows(picture) for picture in pictures])),)

    def rows(self, picture):
        """Return an array (K, D + 5) of one picture; raise `BadInput` if it has none or wrong ones.
        """
        keys = key_of(Path(picture.file).stem), str(picture.id)
        key = next((one for one in keys if one in self.places), None)
        if key is None:
            raise BadInput(f"{self.path} has no features of picture {picture.id}, {picture.file}: "
                           "take it out of the captions file, or give the features of these "
                           "pictures")
        number, offset = self.places[key]
        path = self.paths[number]
        where = f"picture {key} in {path}"
        with readable(where):
            found = layout_of(path)[1](path, offset)
        features = features_of(found, self.channels, where)[:MOST]
        there = 1 + len(features)
        rows = np.zeros((self.regions, self.channels + 5), np.float32)
        rows[:there, -1] = 1
        rows[0, :-1] = *features.mean(0), 0, 0, 1, 1
        rows[1:there, :-5] = features
        rows[1:there, -5:-1] = fractions(found, picture, where)[:MOST]
        return rows

    def fingerprint(self):
        """Return a hash of the bytes of every file, to name cached features."""
        return hashlib.sha256(json.dumps([self.contents, MOST]).encode()).hexdigest()[:16]


def choose(boxes, weights):
    """Return the features that --boxes names; they need no weights."""
    return BottomUp(boxes)


def complete(absent, where):
    """Return the features at `where` for a checkpoint's captioner, `absent` if that is None.

    Raises `BadInput` if it reads features of another length.
    """
    if where is None:
        return absent
    found = BottomUp(where)
    if found.channels != absent.channels:
        raise BadInput(f"{where} has features of {found.channels} numbers, and this captioner "
                       f"reads {absent.channels}: give those of the detector it was trained with")
    return found


def feature_files(path):
    """Return the files of features at `path`, sorted; raise `BadInput` if there are none."""
    refuse_web_address(path)
    if not path.exists():
        raise BadInput(f"{path} is not there: {KINDS}")
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    files = [file for file in files if layout_of(file) and file.is_file()]
    if not files:
        raise BadInput(f"{path} holds no bottom-up features: {KINDS}")
    return files


def contents_of(files, cache):
    """Return [name, hash of bytes] of every file in order, then of the files of boxes alone."""
    files = [*files, *filter(Path.is_file, map(box_file, files))]
    hashes = content_hashes(files, cache)
    for file, content in zip(files, hashes, strict=True):
        if content is None:
            raise BadInput(f"{file} cannot be read: give yourself the right to read it")
    return [[f"{file.parent.name}/{file.name}", content]
            for file, content in zip(files, hashes, strict=True)]


def index_of(files):
    """Return where in which file each picture is, with D and the most regions that one has."""
    places, most, channels = {}, 0, 0
    for number, path in enumerate(tqdm(files, "looking for regions", unit="file", leave=False,
                                       delay=1, **bar_options())):
        for key, offset, count, width in layout_of(path)[0](path):
            first = files[places[key][0]] if key in places else path
            if first != path:
                raise BadInput(f"{first} and {path} both have features of picture {key}: take one "
                               "of them away")
            if count or key not in places:      # a damaged line may be said again, whole
                places[key] = number, offset
            most, channels = max(most, min(count, MOST)), channels or width
    if not channels:
        raise BadInput(f"{files[0]} has the whole features of no picture: make or download it "
                       "again")
    numbers, offsets = zip(*places.values(), strict=True)
    return {"channels": channels, "most": most, "keys": [*places], "files": [*numbers],
            "offsets": [*offsets]}


def features_of(found, channels, where):
    """Return the features (K, D) of a picture as float32; raise `BadInput` for wrong ones."""
    count, shapes = found.count, (found.boxes.shape, found.features.shape)
    needed = (count, 4), (count, channels)
    if shapes != needed or not 1 <= count <= LIMITS[0]:
        raise BadInput(f"{where} says {count} regions, to which boxes {needed[0]} and features "
                       f"{needed[1]} belong, and has {shapes[0]} and {shapes[1]}: {AGAIN}")
    wrong = found.features[~(np.abs(found.features) <= LARGEST)]        # not >: NaN is neither
    if wrong.size:
        raise BadInput(f"{where} has the feature {wrong[0]}, and only numbers up to {LARGEST:g} "
                       f"can be used: {AGAIN}")
    return found.features.astype(np.float32)


def fractions(found, picture, where):
    """Return the boxes (K, 4) of a picture as fractions of it; raise `BadInput` for wrong ones."""
    pixels = found.boxes.astype(np.float64)
    size = (1, 1) if pixels.max() <= 1 else found.size or size_of(picture.file)
    if min(size) < 1:
        raise BadInput(f"{where} says that the picture has {size[0]} x {size[1]} pixels: {AGAIN}")
    boxes = pixels / (*size, *size)
    inside = ((boxes >= -SLACK) & (boxes <= 1 + SLACK)).all(1)      # where NaN is not
    boxes = boxes.clip(0, 1)
    wrong = np.flatnonzero(~(inside & (boxes[:, :2] < boxes[:, 2:]).all(1)))
    if wrong.size:
        box = ", ".join(f"{one:g}" for one in pixels[wrong[0]])
        raise BadInput(f"{where} has the box ({box}), which is empty, reversed or outside of the "
                       f"picture of {size[0]} x {size[1]}: {AGAIN}")
    return boxes


def size_of(file):
    """Return the width and height in pixels of an upright picture, without decoding it."""
    with readable(f"picture {file}"), Image.open(file) as image:
        return image.size[::-1] if turn_of(image) in SIDEWAYS else image.size
