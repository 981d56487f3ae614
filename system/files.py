"""Files and folders that are whole or absent, and the error for what is refused.

    whole_file(path), whole_folder(path)    .path.image-captioning-PID.partial --rename--> path

Everything the project writes goes to a neighbour first and is renamed when complete, so that a
reader never meets half a file. Everything it refuses raises `BadInput` with one sentence: what is
wrong, where, and what to do.
"""

import hashlib
import json
import os
import re
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

from system.cache import CACHE, cache_name
from system.shapes import misfit

PARTIAL = ".{}.image-captioning-{}.partial"     # of what, by which process; no user's file has it
PARTIALS = re.compile(r"\.(.+)\.image-captioning-\d+\.partial")
LONGEST = 200               # bytes of a name that stand in it: a disk allows 255
# seconds between tries to replace a file: Windows refuses it while another program has that open
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8) if os.name == "nt" else ()
DESKTOPS = {".DS_Store", "Thumbs.db", "desktop.ini"}
WEB = re.compile(r"(https?|ftp|s3|gs):/+(.*)", re.I | re.S)


class BadInput(ValueError):
    """An input that cannot be used; the message is one sentence that says what to do."""


def refuse_web_address(path):
    """Raise `BadInput` if a path is a web address, even one from which a `Path` was made."""
    if found := WEB.fullmatch(str(path).replace("\\", "/")):
        raise BadInput(f"{found[1]}://{found[2]} is a web address, and only files on this machine "
                       "are read and written: download it first, then give its path")


@contextmanager
def writing(path):
    """Raise `BadInput` if the block that writes to `path` meets a full disk or a locked folder."""
    refuse_web_address(path)
    try:
        yield
    except OSError as error:
        folder = ("set the environment variable CAPTION_CACHE to" if CACHE in Path(path).parents
                  else "choose")
        raise BadInput(f"{path} cannot be written ({error.strerror or error}): make room, or "
                       f"{folder} a folder you may write to, and start again") from None


def partial(path):
    """Return the temporary path beside `path` of this process, for a file or a folder."""
    return path.with_name(PARTIAL.format(short(path.name), os.getpid()))


def short(name):
    """Return a file's name or, where it is too long for more, a hash of it."""
    return name if len(name.encode(errors="replace")) <= LONGEST else cache_name(name)


@contextmanager
def whole_file(path):
    """Give a temporary path beside `path`; rename it to `path` only if the block succeeds.

    Raises `BadInput` if the disk is full or may not be written; what was at `path` stays.
    """
    path = Path(path)
    beside = partial(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield beside
            replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)


def replace(beside, path):
    """Rename a file to a name that may be taken, on Windows as soon as no program reads that one.
    """
    for pause in PAUSES:
        try:
            return os.replace(beside, path)
        except PermissionError:
            time.sleep(pause)
    os.replace(beside, path)


@contextmanager
def whole_folder(path):
    """Give a new folder beside `path`; rename it to `path` only if the block succeeds.

    At `path` there may be an empty folder, whose place it takes. Raises `BadInput` if the disk is
    full or may not be written.
    """
    refuse_web_address(path)
    path = Path(path).resolve()         # a link to a folder stays, and leads to the new one
    beside = partial(path)
    with writing(path):
        shutil.rmtree(beside, ignore_errors=True)       # of a killed process of the same number
        beside.mkdir(parents=True)
        try:
            yield beside
            if path.exists():
                if is_empty(path):
                    for unasked in path.iterdir():
                        unasked.unlink()
                path.rmdir()            # Windows renames to no name that is taken
            os.replace(beside, path)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def is_empty(folder):
    """Return whether a folder holds nothing but what desktops write into one that is looked at."""
    return all(one.name in DESKTOPS for one in folder.iterdir())


def holds(root, files, info, partly=False):
    """Return whether `root` is made already: it has files like `files`, each with this `info`.

    files: a pattern within root.  info: what those JSON files must have under "info".
    partly: without such files, root may hold something all the same, as when a kill came before
    they were written; else it must be empty or absent. Raises `BadInput` if it holds anything else.
    """
    root = Path(root)
    if not root.exists() or root.is_dir() and is_empty(root):
        if root.resolve() == Path.cwd() and not partly:     # it would be renamed into this place
            raise BadInput(f"{root} is the folder you are in, which cannot be replaced: give the "
                           "name of a folder to be made in it")
        return False
    found = sorted(root.glob(files))
    for path in found:
        content = read_json(path, "give another folder")
        if not isinstance(content, dict) or content.get("info") != info:
            raise BadInput(f"{root} holds something else, {path.name}: give another folder, or "
                           "remove this one if an earlier version of this program made it")
    if not found and not partly:
        raise BadInput(f"{root} holds something else: give another folder")
    return bool(found)


def nearest(path):
    """Return `path` or, if it does not exist, the nearest folder above it that does.

    Raises `BadInput` for a drive of Windows that is not there.
    """
    for one in (path, *path.absolute().parents):
        if one.exists():
            return one
    raise BadInput(f"{path} is on a drive that is not there: give another")


def write_json(path, value, indent=None):
    """Write `value` to `path` as UTF-8 JSON, whole or not at all."""
    with whole_file(path) as beside:
        text = json.dumps(value, indent=indent, ensure_ascii=False)
        beside.write_text(text, encoding="utf-8", errors="replace")     # half an emoji: a ?


def read_json(path, remedy, shape=object):
    """Return the value in a JSON file; raise `BadInput`, ending in `remedy`, if there is none.

    shape: what it must look like, as system/shapes.py understands it; object is anything.
    """
    return parse_json(read_text(path, remedy), path, remedy, shape)


def read_text(path, remedy):
    """Return the text of a file; raise `BadInput`, ending in `remedy`, if it is not UTF-8."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")       # with or without a BOM
    except FileNotFoundError:
        refuse_web_address(path)
        raise BadInput(f"{path} is not there: {remedy}") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): {remedy}") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not JSON ({error}): {remedy}") from None


def parse_json(text, where, remedy, shape=object):
    """Return the value of a JSON text, checked as by `read_json`; where: what the text is of."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where} is not JSON ({error}): {remedy}") from None
    if place := None if shape is object else misfit(value, shape):
        raise BadInput(f"{where} is damaged or of another kind or version ({place[:80]} is not "
                       f"what it should be): {remedy}")
    return value


def writable(text):
    """Return `text` as UTF-8 can write it."""
    # JSON can hold half an emoji, which becomes a question mark
    return text.encode(errors="replace").decode()


def content_hash(path):
    """Return a hash of a file's bytes, the same for equal files."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_room(folder, needed, what):
    """Print how many bytes `what` needs; raise `BadInput` if `folder`'s disk has less free."""
    whole = Path(folder).absolute()
    there = nearest(whole)
    free = shutil.disk_usage(there).free
    print(f"{what}: needs {amount(needed)} in {folder}, {amount(free)} are free")
    if needed > free:
        raise BadInput(f"{what} needs {amount(needed)} and {there} has {amount(free)} free: make "
                       "room, or name a folder on another disk")


def amount(size):
    """Return a number of bytes as a person reads it."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
