"""Encode once: the frozen encoder's output for every picture and view, kept on disk.

    pictures --Transform--> (B, 3, S, S) --Backbone--> array (views, pictures, D) float16

A frozen encoder gives the same answer in every epoch, so it is asked once; training then opens no
picture. The array is memory-mapped. Its name is a hash of everything it depends on (weights,
transform, pictures, views), so it cannot be stale. A pass only ever appends to its file, so an
interrupted one goes on where it was; of two at once, the second waits for the first.

Views are the cheap way to augmentation: view 0 is the picture as it is, the others crop to at
least 85 % of the area and flip. A picture whose sentences say left or right is never flipped.
"""

import hashlib
import io
import json
import math
import os
import re
import shutil
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from tqdm.auto import tqdm

from coco.dataset import CACHE, PREPARE, open_picture
from encoders.encoding import AT_ONCE, encode, fast, in_order
from system.distributed import bar_options, barrier, broadcast, is_main, rank, shard, world_size
from system.files import BadInput, make_room, write_json
from system.processor import precision_of

SMALLEST_CROP = 0.85        # of the area: what a sentence names stays in the picture


def may_flip(picture):
    """Whether a mirrored view leaves every sentence true."""
    return not re.search(r"\b(left|right)", " ".join(picture.sentences).lower())


def view_of(picture, size, view, seed=0):
    """How `view` sees a picture of `size` pixels: (box to crop or None, whether to flip)."""
    if view == 0:
        return None, False
    random = np.random.default_rng([seed, view, picture.id])
    scale = np.sqrt(random.uniform(SMALLEST_CROP, 1))
    width, height = scale * size[0], scale * size[1]
    left, top = random.uniform(0, size[0] - width), random.uniform(0, size[1] - height)
    flip = bool(random.random() < 0.5) and may_flip(picture)
    return (left, top, left + width, top + height), flip


def load(picture, transform, view=0, seed=0):
    """One view of one picture as the network's input, (3, S, S)."""
    image = open_picture(picture.file)
    box, flip = view_of(picture, image.size, view, seed)
    return transform(image, box, flip)


def name_of(what):
    """A file name that is a hash of plain values."""
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:20]


def cached_features(backbone, transform, split, views=1, cache=None):
    """Features of a whole split, computed if they are not on disk yet.

    Returns a read-only memory-mapped float16 array (views, pictures, D), or (views, pictures, L, D)
    for a grid, in the order of `split.pictures`. Raises `BadInput` for a picture that cannot be
    read: `checkup.readable` leaves such out.
    """
    manifest = {"backbone": backbone.name, "weights": backbone.fingerprint(),
                "precision": str(precision_of(next(backbone.parameters()).device)),
                "transform": asdict(transform), "views": views,
                "pictures": [identity(picture) for picture in split.pictures]}
    path = Path(cache or CACHE) / "features" / f"{name_of(manifest)}.npy"
    if not broadcast(path.exists()):
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")) if is_main() else nullcontext():
            if not broadcast(path.exists()):    # by now: another run may have had the lock
                if is_main():
                    for left in path.parent.glob(f"{path.stem}.json.part-*"):   # by a kill
                        left.unlink()
                    write_json(path.with_suffix(".json"), manifest)
                compute(path, fast(backbone), transform, split, views)
    return np.load(path, mmap_mode="r")


def identity(picture):
    """What of a picture its features depend on, without reading it."""
    found = state(picture.file)
    if found is None:
        raise BadInput(f"picture {picture.file} is missing: {PREPARE}")
    return [picture.id, picture.file.name, *found, may_flip(picture)]


def state(file):
    """Size and time of a file, by which a change shows; None if it is not there."""
    try:
        found = file.stat()
        return [found.st_size, found.st_mtime_ns]
    except (OSError, ValueError):
        return None


def compute(path, network, transform, split, views):
    """Write the array at `path` chunk by chunk, going on where an interrupted pass stopped.

    Of several processes each writes its share of the rows to a part; the main one joins them.
    """
    shape = (views, len(split.pictures), *output_shape(network, transform))
    head, row = npy_head(shape) if is_main() else b"", 2 * math.prod(shape[2:])
    first, end = shard(views * len(split.pictures))
    todo = [(picture, view) for view in range(views) for picture in split.pictures][first:end]
    part = part_of(path, rank())
    begin = max(0, part.stat().st_size - len(head)) // row if part.exists() else 0
    begin = min(begin, len(todo))           # more of it: killed while the parts were joined
    begin -= begin % AT_ONCE                #  the same batches as without a break: the same bits
    if is_main():
        make_room(path.parent, math.prod(shape) * 2 - begin * row,
                  f"encoding {split.name} once, {shape[1]} pictures x {views} views")
    with open(part, "r+b" if begin else "wb") as file, tqdm(
            total=len(todo), initial=begin, unit="picture", leave=False, **bar_options()) as bar:
        file.write(head)
        file.seek(len(head) + begin * row)
        file.truncate()
        for found in encoded(network, transform, todo[begin:]):
            file.write(found.astype("<f2").tobytes())
            file.flush()
            bar.update(len(found))
    barrier()
    if is_main():
        join(path)
    barrier()


def part_of(path, number):
    """Where process `number` of `world_size()` writes its rows of the array at `path`."""
    return path.with_name(f"{path.name}.{number}-of-{world_size()}.part")


def join(path):
    """Append the other processes' parts to the main one's, which then is the array."""
    others = [part_of(path, number) for number in range(1, world_size())]
    with open(part_of(path, 0), "ab") as file:
        for other in others:
            with open(other, "rb") as rows:
                shutil.copyfileobj(rows, file)
    os.replace(part_of(path, 0), path)
    for other in others:
        other.unlink()


def npy_head(shape):
    """The first bytes of a .npy file that holds float16 of this shape."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f2", "fortran_order": False, "shape": shape})
    return head.getvalue()


def encode_split(backbone, transform, split):
    """Features of a split, kept nowhere: array (1, pictures, D) or (1, pictures, L, D)."""
    todo = [(picture, 0) for picture in split.pictures]
    return np.concatenate(list(encoded(fast(backbone), transform, todo)))[None]


def encoded(network, transform, todo):
    """Yield the features of (picture, view) pairs, in order, AT_ONCE at a time."""
    def work(start):
        pairs = todo[start:start + AT_ONCE]
        return encode(network, torch.stack([load(one, transform, view) for one, view in pairs]))

    yield from in_order(work, range(0, len(todo), AT_ONCE))


def output_shape(network, transform):
    """The shape of one picture's features, (D,) or (L, D)."""
    return encode(network, torch.zeros(1, 3, transform.size, transform.size)).shape[1:]
