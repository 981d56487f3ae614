"""Encode once: the frozen encoder's output for every picture and view, kept on disk.

    pictures --Transform--> (B, 3, S, S) --Backbone--> array (views, pictures, D) float16

A frozen encoder gives the same answer in every epoch, so it is asked once; training then opens no
picture. The array is memory-mapped. Its name is a hash of everything it depends on (weights,
transform, pictures, views), so it cannot be stale, and an interrupted pass goes on where it was.

Views are the cheap way to augmentation: view 0 is the picture as it is, the others crop to at
least 85 % of the area and flip. A picture whose sentences say left or right is never flipped.
"""

import hashlib
import json
import math
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from coco import PREPARE, open_picture
from distributed import from_main, is_main, rank, share, silence, wait, world
from files import BadInput, read_json, write_json

CHUNK = 32                  # pictures per pass through the network, and lost at most by a kill
SMALLEST_CROP = 0.85        # of the area: what a sentence names stays in the picture
CACHE = Path(os.environ.get("CAPTION_CACHE", "cache"))


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


def cached_features(backbone, transform, split, views=1, cache=None):
    """Features of a whole split, computed if they are not on disk yet.

    Returns a read-only memory-mapped float16 array (views, pictures, D), or (views, pictures, L, D)
    for a grid, in the order of `split.pictures`.
    """
    backbone.eval().to(memory_format=torch.channels_last)       # a quarter faster on a CPU
    manifest = {"backbone": backbone.name, "weights": backbone.fingerprint(),
                "transform": asdict(transform), "views": views,
                "pictures": [identity(picture) for picture in split.pictures]}
    name = hashlib.sha256(json.dumps(manifest).encode()).hexdigest()[:20]
    path = Path(cache or CACHE) / "features" / f"{name}.npy"
    if not from_main(path.exists()):
        path.parent.mkdir(parents=True, exist_ok=True)
        compute(path, backbone, transform, split, views)
        if is_main():
            write_json(path.with_suffix(".json"), manifest)
    return np.load(path, mmap_mode="r")


def identity(picture):
    """What of a picture its features depend on, without reading it."""
    try:
        found = picture.file.stat()
        return [picture.id, picture.file.name, found.st_size, found.st_mtime_ns, may_flip(picture)]
    except OSError:
        raise BadInput(f"picture {picture.file} is missing: {PREPARE}") from None


def compute(path, backbone, transform, split, views):
    """Fill the array at `path` chunk by chunk, going on where an interrupted pass stopped.

    Several processes fill one array, each its share of the rows, and count them each in a file.
    """
    part, done = path.with_suffix(f".{world()}.part"), path.with_suffix(f".{world()}.done-{rank()}")
    pictures = split.pictures
    shape = (views, len(pictures), *output_shape(backbone, transform))
    if is_main() and not (part.exists() and any(path.parent.glob(f"{done.stem}.done-*"))):
        create(part, shape, split.name)
    wait()
    begin, end = share(views * len(pictures))
    begin = read_json(done, "delete it")["rows"] if done.exists() else begin
    array = np.lib.format.open_memmap(part, "r+")
    rows = array.reshape(-1, *shape[2:])                            # (views * pictures, ...)
    todo = [(picture, view) for view in range(views) for picture in pictures][begin:end]
    with tqdm(total=end, initial=begin, unit="picture", leave=False, **silence()) as bar:
        for found in encoded(backbone, transform, todo):
            rows[begin:begin + len(found)] = found
            array.flush()
            begin += len(found)
            write_json(done, {"rows": begin})
            bar.update(len(found))
    del rows, array                         # Windows does not rename a file that is mapped
    wait()
    if is_main():
        os.replace(part, path)
    wait()
    done.unlink(missing_ok=True)


def create(part, shape, name):
    """Make an empty array on disk, where there is room for it."""
    for old in part.parent.glob(f"{part.stem}.done-*"):
        old.unlink()                        # left by an earlier pass, it would vouch for this one
    size, free = 2 * math.prod(shape), shutil.disk_usage(part.parent).free
    print(f"encoding {name} once: {shape[1]} pictures x {shape[0]} views, {size / 1e6:.0f} MB in "
          f"{part.parent}")
    if size > free:                         # a mapped file on a full disk is a crash
        raise BadInput(f"the features of {name} need {size / 1e6:.0f} MB and {part.parent} has "
                       f"{free / 1e6:.0f} MB free: make room, or set CAPTION_CACHE to a folder "
                       "elsewhere")
    np.lib.format.open_memmap(part, "w+", np.float16, shape)


def encode_split(backbone, transform, split):
    """Features of a split, kept nowhere: array (1, pictures, D) or (1, pictures, L, D)."""
    todo = [(picture, 0) for picture in split.pictures]
    return np.concatenate(list(encoded(backbone, transform, todo)))[None]


def encoded(backbone, transform, todo):
    """Yield the features of (picture, view) pairs, CHUNK at a time, reading ahead by a chunk."""
    def read(start):
        return [pool.submit(load, picture, transform, view)
                for picture, view in todo[start:start + CHUNK]]

    with ThreadPoolExecutor(4) as pool:
        ahead = read(0)
        for start in range(CHUNK, len(todo) + CHUNK, CHUNK):
            images = torch.stack([image.result() for image in ahead])
            ahead = read(start)
            yield encode(backbone, images)


def encode(backbone, images):
    """Images (B, 3, S, S) -> features (B, D) or (B, L, D), float16 on the CPU."""
    device = next(backbone.parameters()).device
    with torch.no_grad():
        features = backbone(images.to(device, memory_format=torch.channels_last))
    return features.half().cpu().numpy()


def output_shape(backbone, transform):
    """The shape of one picture's features, (D,) or (L, D)."""
    return encode(backbone, torch.zeros(1, 3, transform.size, transform.size)).shape[1:]
