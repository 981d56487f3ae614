"""Leave the pictures that cannot be read out of a split, before training meets them.

    Split --readable--> Split without them; the verdict is kept until a file or Pillow changes
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import PIL
from tqdm.auto import tqdm

from coco.dataset import Split
from coco.pictures import open_picture
from system.cache import CACHE, cache_name
from system.contents import content_hashes, read_kept
from system.files import BadInput, write_json

THREADS = 4                 # that read pictures: Pillow decodes without Python's lock
NAMED = 5                   # cases of a fault that are named; the others are counted


def readable(split, cache=None):
    """Return the split without the pictures that cannot be read, which are listed on stderr.

    Every picture is opened once; the verdict is kept on disk and holds until a file changes, or
    Pillow, which may know more formats by then. Raises `BadInput` if none can be read.
    """
    files = [picture.file for picture in split.pictures]
    contents = content_hashes(files, cache)
    name = cache_name([[str(file) for file in files], contents, PIL.__version__])
    path = Path(cache or CACHE) / "readable" / f"{name}.json"
    verdict = read_kept(path, {"bad": [(int, str)]})
    if verdict is None:
        verdict = {"bad": [[n, reason] for n, reason in enumerate(faults_of(files)) if reason]}
        write_json(path, verdict, 1)
    bad = dict(verdict["bad"])
    if not bad:
        return split
    told = f"{len(bad)} of {len(files)} pictures of {split.name} cannot be read"
    if len(bad) == len(files):
        raise BadInput(f"{told}, so none is left; the first: {bad[0]}")
    print(f"{told} and are left out (all are named in {path}):", *list(bad.values())[:NAMED],
          sep="\n  ", file=sys.stderr)
    return Split(f"{split.name} ({len(bad)} unreadable left out)",
                 tuple(one for index, one in enumerate(split.pictures) if index not in bad))


def faults_of(files):
    """Open every picture; return what is wrong with each, None if nothing is."""
    def fault(file):
        try:
            open_picture(file)
        except BadInput as error:
            return str(error)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(tqdm(pool.map(fault, files), "checking pictures", len(files), unit="picture",
                         leave=False))
