"""Read zip archives by `zipfile`, which keeps every member inside the folder it is given.

    extract(archive, folder)    the archive's folder of that name --> folder, whole or not at all
    read(archive, name)         one member's bytes

What is read is compared with the archive's own checksums. That the archive is the one that was
published is for its digest to say, see coco/official.py.
"""

import zipfile
import zlib
from contextlib import contextmanager

from tqdm.auto import tqdm

from system.files import BadInput, whole_folder

DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


def extract(archive, folder):
    """Unpack the archive's folder of the same name into `folder`, whole or not at all.

    Raises `BadInput` if the archive is damaged or has no such folder.
    """
    with opened(archive) as content:
        members = [one for one in content.infolist() if one.filename.startswith(f"{folder.name}/")]
        if not members:
            raise BadInput(f"{archive} holds no folder {folder.name}: give another archive")
        with whole_folder(folder) as beside:
            for member in tqdm(members, f"unpacking {folder.name}", unit="file", leave=False):
                member.filename = member.filename.removeprefix(f"{folder.name}/")
                if member.filename:             # else it is the folder itself
                    content.extract(member, beside)


def read(archive, name):
    """Return the bytes of one member; raise `BadInput` if there is none of that name."""
    with opened(archive) as content:
        if name not in content.namelist():
            raise BadInput(f"{archive} holds no {name}: give another archive")
        return content.read(name)


def is_member(path, archive, name):
    """Return whether the file at `path` is one member of an archive, byte for byte."""
    with opened(archive) as content:
        known = content.NameToInfo.get(name)
        return (known is not None and path.stat().st_size == known.file_size
                and zlib.crc32(path.read_bytes()) == known.CRC)


def fault(path):
    """Return what is wrong with a fetched archive, or None if its list of contents is there."""
    # the list is at the end, so that a web page and a file cut short are found
    return None if zipfile.is_zipfile(path) else "it is no whole zip archive"


@contextmanager
def opened(archive):
    """Open an archive; raise `BadInput` if it is not there or what is read of it is damaged."""
    try:
        with zipfile.ZipFile(archive) as content:
            yield content
    except BadInput:
        raise                           # it is a ValueError, as some damages are
    except FileNotFoundError:
        raise BadInput(f"{archive} is not there: give the path of a zip archive") from None
    except DAMAGE as error:
        raise BadInput(f"{archive} is damaged or no zip archive ({error}): move it away and give "
                       "the same command again, which fetches it anew") from None
