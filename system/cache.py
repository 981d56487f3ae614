"""What is worked out once is kept on disk, under a name that is a hash of all it depends on.

    path = CACHE / "features" / f"{cache_name([settings, *map(file_state, files)])}.npy"

A name of that kind cannot be stale: whatever changes, the name changes with it.
"""

import hashlib
import json
import os
from pathlib import Path

CACHE = Path(os.path.expanduser(os.environ.get("CAPTION_CACHE") or "cache"))


def cache_name(values):
    """Return a file name that is a hash of plain values: numbers, strings, lists and dicts."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:20]


def file_state(path):
    """Return size and time of a file, [bytes, ns]; None if the file is not there."""
    try:
        found = path.stat()     # blind to a change of equal size within a tick of the disk's clock
        return [found.st_size, found.st_mtime_ns]
    except (OSError, ValueError):       # ValueError: a name with a zero byte
        return None
