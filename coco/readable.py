"""Leave the pictures that cannot be read out of a split, before training meets them.

    Split --readable--> Split without them; the verdict is kept on disk until a file changes
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm.auto import tqdm

from coco.dataset import Split
from coco.pictures import open_picture
from system.cache import CACHE, cache_name, file_state
from system.files import BadInput, content_hash, read_json, write_json

THREADS = 4                 # that read pictures: Pillow decodes without Python's lock
NAMED = 5                   # cases of a fault that are named; the others are counted


def readable(split, cache=None):
    """Return the split without the pictures that cannot be read, which are listed on stderr.

    Every picture is opened once; the verdict is kept on disk and holds until a file changes.
    Raises `BadInput` if none can be read.
    """
    files = [picture.file for picture in split.pictures]
    name = cache_name([[str(file), file_state(file)] for file in files])
    path = Path(cache or CACHE) / "readable" / f"{name}.json"
    if not path.exists():
        reasons = [reason for _, reason in read_all(files)]
        write_json(path, {"bad": [[n, reason] for n, reason in enumerate(reasons) if reason]}, 1)
    bad = dict(read_json(path, "delete it")["bad"])
    if not bad:
        return split
    told = f"{len(bad)} of {len(files)} pictures of {split.name} cannot be read"
    if len(bad) == len(files):
        raise BadInput(f"{told}, so none is left; the first: {bad[0]}")
    print(f"{told} and are left out (all are named in {path}):", *list(bad.values())[:NAMED],
          sep="\n  ", file=sys.stderr)
    return Split(f"{split.name} ({len(bad)} unreadable left out)",
                 tuple(one for index, one in enumerate(split.pictures) if index not in bad))


def read_all(files):
    """Open every picture; return (hash of its bytes, None), or (None, what is wrong), of each."""
    def read(file):
        try:
            open_picture(file)
            return content_hash(file), None
        except BadInput as error:
            return None, str(error)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(tqdm(pool.map(read, files), "checking pictures", len(files), unit="picture",
                         leave=False))
