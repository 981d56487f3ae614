"""Know files by their bytes, and read again only those that changed.

    files --content_hashes--> a hash of each       read_kept(path, shape) --> JSON of the cache

So that nothing is read twice, CACHE/contents keeps for the files of each folder the hash of their
bytes and what the disk said of them when they were read (size, number, times of change of bytes and
of name): a file is read again if any of that differs. A damaged table is made again.
"""

import os
import stat
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from tqdm.auto import tqdm

from system.cache import CACHE, cache_name
from system.files import BadInput, content_hash, read_json, write_json

THREADS = 4                 # that hash files
UNSETTLED = 2e9             # ns: the coarsest clock of a disk, within which a change may hide


def read_kept(path, shape):
    """Return what is kept in a JSON file of the cache; None if it must be made (again)."""
    try:
        return read_json(path, "", shape)
    except BadInput:
        return None


def content_hashes(files, cache=None):
    """Return a hash of the bytes of every file, None for one that cannot be read.

    Only those are read that are new or have changed. cache: in place of CACHE.
    """
    files = [os.path.split(file) for file in files]
    tables = {folder: Path(cache or CACHE) / "contents" / f"{cache_name(os.path.abspath(folder))}"
              ".json" for folder in {folder for folder, _ in files}}
    kept = {folder: read_kept(path, {str: str}) or {} for folder, path in tables.items()}
    states = {file: state_of(os.path.join(*file)) for file in files}
    known = {(folder, name): kept[folder].get(name, "").rpartition(" ")
             for folder, name in states}
    changed = [file for file, state in states.items() if state not in (None, known[file][0])]
    begun = time.time_ns()
    with ThreadPoolExecutor(THREADS) as pool:
        found = dict(zip(changed, tqdm(pool.map(hash_of, changed), "looking for changes",
                                       len(changed), unit="file", leave=False, delay=1),
                         strict=True))
    fresh = defaultdict(dict)
    for (folder, name), digest in found.items():
        times = map(int, states[folder, name].split()[2:])
        if digest and min(abs(begun - one) for one in times) > UNSETTLED:
            fresh[folder][name] = f"{states[folder, name]} {digest}"
    for folder, rows in fresh.items():
        with suppress(BadInput):                # where nothing can be kept, they are read again
            write_json(tables[folder], kept[folder] | rows)
    return [found.get(file, known[file][2]) if states[file] else None for file in files]


def state_of(path):
    """Return what the disk says of a file, two times in ns last; None where there is no file."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):       # ValueError: a name with a zero byte
        return None
    if not stat.S_ISREG(found.st_mode):         # a pipe would keep its reader waiting for ever
        return None
    return f"{found.st_size} {found.st_ino} {found.st_mtime_ns} {found.st_ctime_ns}"


def hash_of(file):
    """Return the hash of (folder, name)'s bytes, or None."""
    try:
        return content_hash(os.path.join(*file))
    except OSError:
        return None
