"""Zip archives from anywhere: nothing lands outside its folder, and nothing is half there.

    extract(archive, folder)    members, all checked first --> folder.part --> folder
    read(archive, name)         one member's bytes

Every member is judged before the first is written: a name that leads out of the folder, a link, a
locked member or far more content than an archive of that size honestly holds refuses the whole
archive. What is read is compared with the archive's own checksums. A killed extraction goes on
with the first file that is not whole.
"""

import os
import shutil
import stat
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath

from tqdm.auto import tqdm

from system.files import BadInput

SWELL = 100         # times its own size that an archive may hold; JSON shrinks to a tenth at most
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


class Refused(Exception):
    """Why an archive is not opened; the message goes on after its name."""


def extract(archive, folder, inside=""):
    """Have at `folder` what lies in the archive's own folder `inside`; nothing if it is there.

    Raises `BadInput` if the archive is damaged or tries anything.
    """
    folder = Path(folder)
    if folder.exists():
        return folder
    part = folder.with_name(folder.name + ".part")
    with opened(archive) as content:
        start = PureWindowsPath(inside)
        chosen = {path.relative_to(start): member for path, member in content.checked.items()
                  if path.is_relative_to(start)}
        if not chosen:
            raise Refused(f"holds no file in a folder {inside!r}")
        part.mkdir(parents=True, exist_ok=True)
        for path, member in tqdm(chosen.items(), f"unpacking {folder.name}", unit="file",
                                 leave=False):
            unpack(content, member, part.joinpath(*path.parts))
    os.replace(part, folder)
    return folder


def unpack(content, member, path):
    """Write one member, unless an earlier extraction did; it has its name once it is verified."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    with content.open(member) as source, open(beside, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    os.replace(beside, path)


def read(archive, name):
    """The bytes of one member; raises `BadInput` if there is none of that name."""
    with opened(archive) as content:
        member = content.checked.get(PureWindowsPath(name))
        if member is None:
            raise Refused(f"holds no {name}")
        return content.read(member)


def fault(archive):
    """What is wrong with an archive, as far as its list of contents tells; None if nothing."""
    try:
        with zipfile.ZipFile(archive) as content:
            checked(content, Path(archive).stat().st_size)
    except Refused as error:
        return f"it {error}"
    except DAMAGE as error:
        return f"it is no whole zip archive, {error}"


@contextmanager
def opened(archive):
    """An open archive with its files in `.checked`; what is wrong with it becomes `BadInput`."""
    try:
        with zipfile.ZipFile(archive) as content:
            content.checked = checked(content, Path(archive).stat().st_size)
            yield content
    except FileNotFoundError:
        raise BadInput(f"{archive} is not there: give the path of a zip archive") from None
    except Refused as error:
        raise BadInput(f"{archive} {error}: delete it and get it from where it is made") from None
    except DAMAGE as error:
        raise BadInput(f"{archive} is damaged or no zip archive ({error}): delete it and give the "
                       "same command again, which fetches it anew") from None


def checked(content, size):
    """The files of an archive of `size` bytes by path; raises `Refused` for one not to be opened.

    Paths are taken as Windows takes them, which knows every separator and drive there is.
    """
    files, total = {}, 0
    for member in content.infolist():
        path = PureWindowsPath(member.filename)
        if path.anchor or ".." in path.parts or ":" in member.filename:
            raise Refused(f"would write outside its folder, to {member.filename!r}")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise Refused(f"holds a link, {member.filename!r}, which could lead anywhere")
        if member.flag_bits & 1:
            raise Refused(f"holds a file that needs a password, {member.filename!r}")
        if not member.is_dir() and files.setdefault(path, member) is not member:
            raise Refused(f"holds two files {member.filename!r}")
        total += member.file_size
        if total > SWELL * size:
            raise Refused(f"would swell to more than {SWELL} times its size, like a bomb")
    clash = next((path for path in files if not files.keys().isdisjoint(path.parents)), None)
    if clash:
        raise Refused(f"has {str(clash.parent)!r} as a file and as a folder")
    return files
