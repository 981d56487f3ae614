"""The folder that a command is to make or to fill, and what killed commands left of it.

    text --output_folder--> path or `BadInput`      sweep_root(path), once nothing is refused
"""

import os
from pathlib import Path

from system.files import BadInput, nearest, refuse_web_address, short
from system.locks import sweep


def output_folder(text, option):
    """Return the path of a folder to be made or filled, `~` expanded; `BadInput` if it cannot be.
    """
    refuse_web_address(text)
    path = Path(os.path.expanduser(text))
    if not text:
        raise BadInput(f"{option} is empty: give it the name of a folder")
    if path.is_symlink() and not path.exists():
        raise BadInput(f"{path} is a link to nothing: give {option} a folder")
    there = nearest(path)
    if not there.is_dir():
        raise BadInput(f"{there} is a file: give {option} a folder")
    return path


def sweep_root(root):
    """Delete the half files and folders of a dataset's folder, beside it and in it."""
    root = root.resolve()
    sweep(root.parent, lambda name: name == short(root.name))
    for folder in [root, *filter(Path.is_dir, root.glob("*"))]:
        sweep(folder)
