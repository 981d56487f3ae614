"""Encode once: the frozen encoder's output for every picture and view, kept on disk.

    pictures --Transform--> (B, 3, S, S) --Backbone--> array (views, pictures, D) float16

A frozen encoder gives the same features in every epoch, so it computes them once; training then
opens no picture. The array is a memory-mapped .npy file. Its name is a hash of everything it
depends on (weights, transform, the pictures' bytes, views), so it cannot be stale.

    NAME.npy.K.part             the array while K processes write it, each its own rows
    NAME.npy.K.part.R.json      how many rows process R has written for good

An interrupted pass goes on from there; of two passes at once, the second waits for the first.
View 0 of a picture is the picture as it is, the others crop to at least 85 % of the area and flip.
"""

import math
import os
import re
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from coco.dataset import PREPARE
from encoders.encoding import BATCH_SIZE, compiled, encode, fast, in_order
from system.cache import CACHE, cache_name
from system.contents import content_hashes, read_kept
from system.distributed import bar_options, barrier, broadcast, is_main, rank, shard, world_size
from system.files import BadInput, make_room, whole_file, write_json, writing
from system.locks import lock, sweep
from system.processor import precision_of

SMALLEST_CROP = 0.85        # of the area: what a sentence names stays in the picture
SAVE_EVERY = 8              # batches: a kill loses these at most, 64 pictures


def may_flip(picture):
    """Return whether every sentence is true of the mirrored picture too."""
    return not re.search(r"\b(left|right)", " ".join(picture.sentences).lower())


def view_of(picture, size, view, seed=0):
    """Return (box to crop or None, whether to flip) for a view of a picture of `size` pixels."""
    if view == 0:
        return None, False
    random = np.random.default_rng([seed, view, picture.id])
    scale = np.sqrt(random.uniform(SMALLEST_CROP, 1))
    width, height = scale * size[0], scale * size[1]
    left, top = random.uniform(0, size[0] - width), random.uniform(0, size[1] - height)
    flip = bool(random.random() < 0.5) and may_flip(picture)
    return (left, top, left + width, top + height), flip


def load(picture, transform, view=0, seed=0):
    """Return one view of one picture as the network's input, (3, S, S)."""
    image = picture.open()
    box, flip = view_of(picture, image.size, view, seed)
    return transform(image, box, flip)


def cached_features(backbone, transform, split, views=1, cache=None):
    """Return the features of a split, computed if they are not on disk yet.

    They are a read-only memory-mapped float16 array (views, pictures, D) or (views, pictures, L, D)
    in the order of `split.pictures`.  Raises `BadInput` for a picture that cannot be read.
    """
    manifest = {"backbone": backbone.name, "weights": backbone.fingerprint(),
                "precision": str(backbone.precision
                                 or precision_of(next(backbone.parameters()).device)),
                "transform": repr(transform), "views": views,
                "pictures": identities(split.pictures, cache),
                "files": content_hashes(backbone.files(split.pictures), cache),
                # view 0 never flips, so features of other tasks' pictures know no sentence
                "flips": [may_flip(picture) for picture in split.pictures] if views > 1 else None}
    path = Path(cache or CACHE) / "features" / f"{cache_name(manifest)}.npy"
    if not broadcast(kept_array(path) is not None):
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            held = lock(path.with_suffix(".lock")) if is_main() else nullcontext()
        with held:
            if is_main():
                sweep(path.parent, lambda name: name.startswith(path.stem))
            # by now another run may have made it, which had the lock
            if not broadcast(kept_array(path) is not None):
                if is_main():
                    write_json(path.with_suffix(".json"), manifest)
                compute(path, backbone, transform, split, views)
    return kept_array(path)


def kept_array(path):
    """Return the array at `path`, mapped into memory, or None if it must be made (again)."""
    try:
        return np.load(path, mmap_mode="r")
    except (OSError, EOFError, ValueError):     # not there, or damaged
        return None


def identities(pictures, cache=None):
    """Return what the cache knows each picture by, its id and the hash of its bytes.

    Raises `BadInput` for a picture whose file is missing or cannot be read.
    """
    contents = content_hashes([picture.file for picture in pictures], cache)
    for picture, content in zip(pictures, contents, strict=True):
        if content is None:
            what = "cannot be read" if os.path.exists(picture.file) else "is missing"
            raise BadInput(f"picture {picture.file} {what}: {PREPARE}")
    return [[picture.id, content] for picture, content in zip(pictures, contents, strict=True)]


def compute(path, backbone, transform, split, views):
    """Write the array at `path`, going on where a pass stopped; a process writes its own rows."""
    network = ready(backbone, transform, views * len(split.pictures))
    shape = (views, len(split.pictures), *output_shape(network, transform, split.pictures[0]))
    part = path.with_name(f"{path.name}.{world_size()}.part")
    if is_main():
        begin(part, shape, f"encoding {split.name} once, {shape[1]} pictures x {views} views")
    barrier()
    first, end = shard(views * len(split.pictures))
    todo = [(picture, view) for view in range(views) for picture in split.pictures][first:end]
    write_rows(part, first, todo, network, transform)
    barrier()
    if is_main():
        os.replace(part, path)
        for left in path.parent.glob(f"{path.name}.*"):     # the counts, which are done with
            left.unlink()
    barrier()


def begin(part, shape, what):
    """Make an array of this shape at `part`, if there is none; print the room that `what` needs."""
    counts = list(part.parent.glob(f"{part.name}.*.json"))
    begun = kept_array(part) is not None
    done = sum(read_kept(count, int) or 0 for count in counts) if begun else 0
    make_room(part.parent, 2 * (math.prod(shape[:2]) - done) * math.prod(shape[2:]), what)
    if not begun:
        for count in counts:                # of rows that are no more
            count.unlink()
        with whole_file(part) as beside:
            np.lib.format.open_memmap(beside, "w+", "<f2", shape)


def write_rows(part, first, todo, network, transform):
    """Encode (picture, view) pairs into the rows of the array at `part` from row `first` on."""
    count = part.with_name(f"{part.name}.{rank()}.json")
    done = read_kept(count, int) or 0
    if not 0 <= done <= len(todo):          # damaged: all rows again
        done = 0
    array = np.load(part, mmap_mode="r")
    start, row = array.offset, array[0, 0].nbytes
    del array                               # Windows renames no file that is mapped
    # not through the map: a full disk would then end the process without a word
    with open(part, "r+b") as file, tqdm(total=len(todo), initial=done, unit="picture",
                                         leave=False, **bar_options()) as bar:
        file.seek(start + (first + done) * row)
        for batch, found in enumerate(encoded(network, transform, todo[done:]), 1):
            file.write(found.astype("<f2").tobytes())
            bar.update(len(found))
            # whole batches, so that a resumed pass has the same ones: others may round otherwise
            if batch % SAVE_EVERY == 0 or bar.n == len(todo):
                file.flush()
                os.fsync(file.fileno())     # first: no power cut may leave a count without rows
                write_json(count, bar.n)


def encode_split(backbone, transform, split):
    """Return the features of a split, not cached: array (1, pictures, D) or (1, pictures, L, D)."""
    network = ready(backbone, transform, len(split.pictures))
    todo = [(picture, 0) for picture in split.pictures]
    return np.concatenate(list(encoded(network, transform, todo)))[None]


def ready(backbone, transform, pictures):
    """Return the fastest copy of a backbone for this number of pictures."""
    return compiled(fast(backbone), transform.size, pictures)


def encoded(network, transform, todo):
    """Yield the features of (picture, view) pairs, in order, BATCH_SIZE at a time."""
    def work(start):
        pairs = todo[start:start + BATCH_SIZE]
        images = (torch.stack([load(one, transform, view) for one, view in pairs])
                  if network.reads_images else torch.empty(len(pairs), 3, 0, 0))
        return encode(network, images, *network.beside([one for one, _ in pairs]))

    yield from in_order(work, range(0, len(todo), BATCH_SIZE))


def output_shape(network, transform, picture):
    """Return the shape of one picture's features, (D,) or (L, D)."""
    empty = torch.zeros(1, 3, transform.size, transform.size)
    return encode(network, empty, *network.beside([picture])).shape[1:]
