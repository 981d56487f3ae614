"""Files that are whole or absent, and errors a person can act on.

Everything the project writes goes to a neighbour first and is renamed when complete, so that a
reader never meets half a file. Everything it refuses raises `BadInput` with one sentence: what is
wrong, where, and what to do.
"""

import errno
import hashlib
import json
import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

DISK = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR,
        errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EIO}


class BadInput(ValueError):
    """Something the user gave cannot be used; the message is one sentence that says what to do."""


@contextmanager
def whole_file(path):
    """Give a temporary path beside `path`; rename it to `path` only if the block succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.part-{os.getpid()}")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_json(path, value, indent=None):
    """Write `value` to `path` as UTF-8 JSON, whole or not at all."""
    with whole_file(path) as beside:
        text = json.dumps(value, indent=indent, ensure_ascii=False)
        beside.write_text(text, encoding="utf-8", errors="replace")     # half an emoji: a ?


def read_json(path, remedy):
    """The value in a JSON file; raises `BadInput`, ending in `remedy`, if there is none."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))   # with or without a BOM
    except FileNotFoundError:
        raise BadInput(f"{path} is not there: {remedy}") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): {remedy}") from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} is not JSON ({error}): {remedy}") from None


def writable(text):
    """`text` as UTF-8 can write it: half an emoji, which JSON can hold, becomes a question mark."""
    return text.encode(errors="replace").decode()


def content_hash(path):
    """A hash of a file's bytes: equal files have the same."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_room(folder, needed, what):
    """Say how much disk `what` needs; raises `BadInput` if `folder`'s has less than that free."""
    folder = Path(folder).absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    print(f"{what}: needs {amount(needed)} in {folder}, {amount(free)} are free")
    if needed > free:
        raise BadInput(f"{what} needs {amount(needed)} and {there} has {amount(free)} free: make "
                       "room, or name a folder on another disk")


def amount(size):
    """Bytes as a person reads them."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def run_command(main):
    """Run a command line's `main()`: bad input becomes one line on stderr and exit status 2.

    So do a full disk and a folder that may not be written to; other failures keep their traceback.
    """
    for stream in (sys.stdout, sys.stderr):  # a Windows console may not know a caption's letters
        stream.reconfigure(errors="replace")
    try:
        sys.exit(main())
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.errno not in DISK:
            raise
        print(f"error: {error.filename or 'the disk'} cannot be written or read "
              f"({error.strerror}): make room or give yourself the right, then give the same "
              "command again", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
