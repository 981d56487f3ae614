"""Describe picture files: find them, read them, encode and caption them a batch at a time.

    places --find_pictures--> files --describe_distributed--> Described, one by one, in order

One batch after another is read, so ten thousand pictures take no more memory than a hundred. A file
that cannot be read is reported and the others go on. Under torchrun every process describes its
part of the files.
"""

import glob
import os
import sys
from collections import Counter
from dataclasses import replace
from itertools import islice, zip_longest
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from PIL import Image

from coco.pictures import open_picture
from encoders.encoding import in_order
from system.distributed import gather, is_main, rank, world_size
from system.files import BadInput

REMEDY = "check its path, replace it, or leave it out"
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff",
            ".jp2", ".j2k", ".jpx", ".avif", ".heic", ".heif", ".hif", ".jxl", ".dng", ".cr2",
            ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2")     # of photographs
LEFT = ("__MACOSX", "@eaDir")   # folders of copies and thumbnails that systems leave; so do .names
BATCH_SIZE = 16             # pictures per pass: captions come soon, and a stop loses few


class Described(NamedTuple):
    """A picture's file with its sentences, best first, or with the reason why it was not read."""

    file: Path
    sentences: list
    error: str = ""
    likeliest: str = ""         # what the second search found, if there was one
    confidence: tuple = ()      # the probability that each sentence is right, if there is a judge


def find_pictures(places):
    """Return the picture files at paths, in folders (to the bottom) and of patterns, each once."""
    files = []
    for place in places:
        place = str(place)
        matches = [] if Path(place).exists() else [
            match for match in sorted(glob.glob(place, recursive=True))
            if not any(left in match and left not in place for left in LEFT)]
        # what neither is there nor matches stays in the list: reading it will report it
        for match in map(Path, matches or [place]):
            files += pictures_in(match) if match.is_dir() else [match]
    return list(dict.fromkeys(files))


def pictures_in(folder):
    """Return the files in a folder and its subfolders that have a picture's suffix, sorted.

    What is hidden is left out, and photographs of a kind that Pillow cannot open here are named.
    """
    files = [file for file in sorted(folder.rglob("*")) if file.suffix.lower() in SUFFIXES
             and not any(part.startswith((".", *LEFT)) for part in file.relative_to(folder).parts)
             and not os.path.isdir(file)]
    opened = openable()
    others = [file for file in files if file.suffix.lower() not in opened]
    files = [file for file in files if file.suffix.lower() in opened]
    closed = ", ".join(sorted({file.suffix.lower() for file in others}))
    told = (f"{len(others)} photograph{'s' * (len(others) != 1)} in {folder} that Pillow cannot "
            f"open here ({closed}): save as JPEG what is to be described")
    if not files:
        raise BadInput(f"there is no picture but {told}" if others else
                       f"{folder} holds no picture ({' '.join(opened)}): give another folder")
    if others and is_main():
        print(f"left out {told}", file=sys.stderr)
    return files


def short_names(files, places):
    """Return by file how people call it: its path in the nearest folder of `places`, or its name.

    Of files that would be called alike, each has as much more of its path as tells it apart.
    """
    folders = [place for place in map(Path, places) if place.is_dir()]
    kept = {file: min((len(file.relative_to(folder).parts) for folder in folders
                       if folder in file.parents), default=1) for file in files}
    while True:
        names = {file: str(Path(*file.parts[-count:])) for file, count in kept.items()}
        times = Counter(names.values())
        alike = [file for file, name in names.items()
                 if times[name] > 1 and kept[file] < len(file.parts)]
        if not alike:
            return names
        kept.update((file, kept[file] + 1) for file in alike)


def openable():
    """Return those of SUFFIXES that Pillow can open here, which depends on how it was built."""
    formats = Image.registered_extensions()
    return [suffix for suffix in SUFFIXES if formats.get(suffix) in Image.OPEN]


def describe_files(captioner, files, search=None, second=None, judge=None):
    """Yield a `Described` for every file, in order; each core works on a batch of its own.

    second: another `Search`, to show its best sentence beside sampled ones.  judge: function of
    a picture's features (1, ...) and hypotheses that gives the probability of each.
    """
    search = search or captioner.search()
    networks = captioner.networks()
    # A search puts back the mode it found. In training mode, one thread that has finished would
    # turn on dropout for those still at work.
    captioner.decoder.eval()

    def describe(start):
        return describe_batch(captioner, networks, files[start:start + BATCH_SIZE], search, second,
                              judge)

    for batch in in_order(describe, range(0, len(files), BATCH_SIZE)):
        yield from batch


def describe_batch(captioner, networks, files, search, second, judge):
    """Return the `Described` of some files; networks: the captioner's `networks`."""
    images, described = {}, {}
    for file in files:
        try:
            images[file] = captioner.images(open_picture(file, REMEDY))
        except BadInput as error:
            described[file] = Described(file, [], str(error))
    if images:
        features = captioner.encode_images(networks, images.values())
        every = search_features(captioner, list(images), features, search)
        best = (captioner.sentences(features, second) if second else [[""]] * len(images))
        for row, (file, found) in enumerate(zip(images, every, strict=True)):
            described[file] = Described(
                file, [captioner.vocab.decode(one.words) for one in found], "", best[row][0],
                tuple(judge(features[row:row + 1], found)) if judge else ())
    return [described[file] for file in files]


def search_features(captioner, files, features, search):
    """Return the hypotheses of each file, best first, from its features (files, ...)."""
    if search.method != "sample":
        return captioner.hypotheses(features, search)
    return [captioner.hypotheses(features[row:row + 1], seeded(search, file))[0]
            for row, file in enumerate(files)]


def seeded(search, file):
    """Return a `Search` with random numbers of its own for each picture, by its path as given.

    What is sampled of a picture so depends neither on others nor on the number of processes.
    """
    return replace(search, seed=search.seed + crc32(os.fsencode(Path(file).as_posix())))


def describe_distributed(captioner, files, search=None, second=None, judge=None):
    """Yield what `describe_files` does, in the main process; each process describes a part."""
    mine = describe_files(captioner, files[rank()::world_size()], search, second, judge)
    for _ in range(0, len(files), BATCH_SIZE * world_size()):
        by_rank = gather(list(islice(mine, BATCH_SIZE)))
        for row in zip_longest(*by_rank):
            yield from (one for one in row if one is not None)
