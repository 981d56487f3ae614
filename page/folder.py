"""The page's own folder: what is dropped on it and what it makes, until it ends.

    Folder --uploads--> where gradio puts files;  --desk--> a folder for one drop's pictures
    (token, name) --find--> a path that may be served, or None

Names in it are ours and not those of dropped files, and tokens cannot be guessed. A drop's folder
goes when its page is closed or describes anew, all of it when the program ends.
"""

import atexit
import re
import secrets
import shutil
import tempfile
import threading
from pathlib import Path

NAME = re.compile(r"\d{1,6}\.jpg|captions\.(html|json)")


class Folder:
    """A folder that is removed at the end; sessions are what gradio calls an open page."""

    def __init__(self):
        self.root = Path(tempfile.mkdtemp(prefix="captions-page-"))
        self.uploads, self.made = self.root / "uploads", self.root / "made"
        self.examples = self.uploads / "examples"
        for folder in (self.uploads, self.made, self.examples):
            folder.mkdir()
        self.desks, self.lock = {}, threading.Lock()
        atexit.register(self.remove)

    def desk(self, session):
        """Return (token, path) of a new folder for a session, and remove its last one."""
        token = secrets.token_urlsafe(16)
        (self.made / token).mkdir()
        with self.lock:
            old, self.desks[session] = self.desks.get(session), token
        self.sweep(old)
        return token, self.made / token

    def close(self, session):
        """Remove what was made for a session."""
        with self.lock:
            old = self.desks.pop(session, None)
        self.sweep(old)

    def sweep(self, token):
        """Remove the folder of a token, if there is one."""
        if token:
            shutil.rmtree(self.made / token, ignore_errors=True)

    def find(self, token, name):
        """Return the path of a file that was made, None for anything else."""
        if token in self.desks.values() and NAME.fullmatch(name):
            path = self.made / token / name
            return path if path.is_file() else None
        return None

    def remove(self):
        """Remove all."""
        shutil.rmtree(self.root, ignore_errors=True)
