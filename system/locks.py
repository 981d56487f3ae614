"""One process at a time at a place on disk, and what a killed one left there.

    with lock(path, "another process is at work: wait for it", patience=0):
        sweep(folder)

The operating system releases a lock when its process ends, however that happens; the empty lock
file stays. `sweep` deletes what `whole_file` and `whole_folder` had begun when a kill came, so only
the holder of the lock may call it, and only where nothing is refused any more.
"""

import shutil

from filelock import FileLock, Timeout

from system.files import PARTIALS, BadInput


def lock(path, busy="", patience=-1):
    """Acquire the lock file at `path`; return what releases it at the end of a `with` block.

    Without a block, the lock is `.lock`, held until `.lock.release()` or its last reference goes.
    busy: the sentence of the `BadInput` that is raised if another process still holds the lock
    after `patience` seconds; -1 waits for ever.
    """
    try:
        # one object a path: a notebook that makes its Run again holds the same lock twice
        return FileLock(path, is_singleton=True).acquire(timeout=patience)
    except Timeout:
        raise BadInput(busy) from None


def is_locked(path):
    """Return whether some process, perhaps this one, holds the lock file at `path`."""
    try:
        if path.exists():
            FileLock(path).acquire(timeout=0).lock.release()
    except Timeout:
        return True
    except OSError:                 # not ours to write, so not ours to ask
        pass
    return False


def sweep(folder, wanted=lambda name: True):
    """Delete the half files and folders in `folder` of everything that has a `wanted` name."""
    for left in folder.iterdir() if folder.is_dir() else ():
        of = PARTIALS.fullmatch(left.name)
        if of and wanted(of[1]):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
