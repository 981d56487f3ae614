"""Where a command may write: never over a file that is not the project's own of that kind.

What the project wrote before is told from a user's files by its content, and is replaced. Asked
before the work whose outcome is to be written, so that no hour is lost with a wrong name.
"""

import os
from pathlib import Path

from system.files import BadInput, nearest, read_json


def output_file(path, what, ours, remedy="give another name"):
    """Return the path of a file to be written, `~` expanded, if no other file is lost by it.

    what: the kind of file, in words.  ours: function of the path of a file that is there, which
    says whether it is of that kind.  Raises `BadInput`, ending in `remedy`, for a path that holds
    anything else or cannot hold a file.
    """
    path = Path(os.path.expanduser(path))
    there = nearest(path)
    if path.is_dir():
        raise BadInput(f"{path} is a folder: give the name of a file for {what}")
    if there != path and not there.is_dir():
        raise BadInput(f"{path} cannot be written ({there} is a file): choose a folder you may "
                       "write to")
    if there == path and not (path.is_file() and ours(path)):
        raise BadInput(f"{path} is there and is not {what}, so it is not replaced: {remedy}")
    if not os.access(there if there.is_dir() else path.parent, os.W_OK):
        raise BadInput(f"{path} cannot be written (its folder is locked): choose a folder you may "
                       "write to")
    return path


def json_in(path):
    """Return the value in a JSON file that holds a list or an object; None for any other file."""
    try:
        with open(path, "rb") as file:
            if file.read(4).removeprefix(b"\xef\xbb\xbf")[:1] not in (b"{", b"["):
                return None             # unread: it may be a film
        return read_json(path, "")
    except (OSError, BadInput):
        return None


def begins(path, content):
    """Return whether a file begins with these bytes."""
    with open(path, "rb") as file:
        return file.read(len(content)) == content


def keys_in(path):
    """Return the keys of the JSON object in a file, a set; an empty one for any other file."""
    content = json_in(path)
    return set(content) if isinstance(content, dict) else set()
