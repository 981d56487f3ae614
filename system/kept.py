"""What the cache holds, by kind, with its size; and how it is emptied.

    kept() --> {kind: (what it is, files, bytes)}       empty(): the same, and the files are gone

Only files of names that the cache itself gives are counted and deleted. A cache that holds any
other file is no cache of ours alone, and is refused; what desktops leave in a folder that is looked
at stays. Other commands may rename and delete files meanwhile.
"""

import re

from system.cache import CACHE, file_state
from system.files import DESKTOPS, PARTIALS, BadInput
from system.locks import is_locked

KINDS = {"captions": "captions files, read and checked", "tokens": "sentences cut into words",
         "readable": "which pictures can be read", "features": "pictures, encoded",
         "clips": "when the frames of clips are shown",
         "contents": "hashes of files, to see a change",
         "regions": "where in which file a picture's regions are",
         "baselines": "small trainings, to compare answers with"}
NAME = re.compile(r"[0-9a-f]{20}([0-9a-f]{44})?\.(json|safetensors|lock|npy(\.\d+\.part.*)?)")


def files():
    """Return {kind: its files}; raise `BadInput` if the cache holds any other file."""
    found = {kind: sorted(path for path in (CACHE / kind).glob("*") if path.name not in DESKTOPS)
             for kind in KINDS}
    others = [path for path in CACHE.glob("*") if path.name not in {*KINDS, *DESKTOPS}]
    others += [path for paths in found.values() for path in paths if not ours(path)]
    if others:
        raise BadInput(f"{CACHE} holds more than what is kept there, {others[0]} for one: set the "
                       "environment variable CAPTION_CACHE to a folder of its own")
    return found


def ours(path):
    """Return whether a file has a name that the cache gives."""
    partial = PARTIALS.fullmatch(path.name)
    named = NAME.fullmatch(partial[1] if partial else path.name) is not None
    return named and not path.is_dir()


def kept():
    """Return {kind: (what it is, number of files, bytes)}."""
    return {kind: (KINDS[kind], len(paths), sum((file_state(path) or [0])[0] for path in paths))
            for kind, paths in files().items()}


def empty():
    """Delete what is kept and return what that was; raise `BadInput` while it is being made."""
    found = kept()
    paths = [path for paths in files().values() for path in paths]
    busy = [path for path in paths if path.suffix == ".lock" and is_locked(path)]
    if busy:
        raise BadInput(f"a command is encoding pictures into {busy[0].parent}: wait until it ends")
    for path in paths:
        try:
            path.unlink(missing_ok=True)        # as on Windows a lock that was tried and released
        except PermissionError:         # on Windows, of a file that a notebook has open
            raise BadInput(f"{path} cannot be deleted: close what has it open, or ask its owner"
                           ) from None
    return found
