"""Start app.py as a person would, in a folder and with a home of its own, and stop it by Ctrl-C.

    with Page(checkpoints) as page: page.url, page.files()
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from urllib.request import Request, urlopen

ROOT = Path(__file__).parents[1]
PATIENCE = 120              # seconds in which it must be ready


class Page:
    """app.py in a process; `folder` is its own world: home, temporary folder, current folder."""

    def __init__(self, checkpoints=(), arguments=(), **environment):
        self.place = tempfile.TemporaryDirectory(prefix="page-")
        self.folder = Path(self.place.name).resolve()
        for name in ("home", "tmp", "here"):
            (self.folder / name).mkdir()
        temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self.folder / "tmp"))
        home = dict.fromkeys(("HOME", "USERPROFILE"), str(self.folder / "home"))
        self.log = open(self.folder / "log", "w+", encoding="utf-8")         # noqa: SIM115
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, ROOT / "app.py", *map(str, checkpoints), "--no-browser", "--port",
             "0", *arguments], stdout=self.log, stderr=subprocess.STDOUT, cwd=self.folder / "here",
            env={**os.environ, "OMP_NUM_THREADS": "1", **temporary, **home, **environment})

    def __enter__(self):
        while not (found := re.search(r"the page: (\S+)", self.said())):
            if self.process.poll() is not None or time.monotonic() - self.started > PATIENCE:
                self.__exit__()
                raise RuntimeError(f"app.py did not begin: {self.said()}")
            time.sleep(0.05)
        self.url, self.ready = found[1], time.monotonic() - self.started
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.interrupt()
        self.said_last = self.said()
        self.log.close()
        self.place.cleanup()

    def said(self):
        """Return what it has printed so far."""
        return (self.folder / "log").read_text(encoding="utf-8")

    def files(self):
        """Return the files in its world, without the log, by path."""
        return {path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*")
                if path.is_file() and path.name != "log"}

    def interrupt(self):
        """Press Ctrl-C; return the seconds until it has ended."""
        before = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(10)
        return time.monotonic() - before


class Visitor:
    """What a browser does with the page, without one: uploads, presses, reads what comes."""

    def __init__(self, url):
        self.url, self.session = url, uuid.uuid4().hex[:11]
        config = json.loads(self.get("/config"))
        self.controls = {}              # of a function's number: what its components begin with
        values = {one["id"]: one["props"].get("value") for one in config["components"]}
        for one in config["dependencies"]:
            self.controls[one["id"]] = [values.get(id) for id in one["inputs"]]
        # gradio calls functions by numbers: the first that has all the controls describes
        most = max(map(len, self.controls.values()))
        self.describes = next(id for id, one in self.controls.items() if len(one) == most)
        self.answers = max((id for id, one in self.controls.items() if len(one) == 3), default=None)

    def get(self, path, **headers):
        """Return what an address has, as text."""
        with urlopen(Request(self.url + path, headers=headers), timeout=60) as answer:
            return answer.read().decode()

    def post(self, path, body, kind="application/json"):
        """Send bytes to an address and return what it answers, from JSON."""
        request = Request(self.url + path, body, {"Content-Type": kind})
        with urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def upload(self, name, content):
        """Upload a file and return what gradio calls one that was dropped."""
        head = (f'--edge\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
                "Content-Type: application/octet-stream\r\n\r\n")
        path, = self.post("/gradio_api/upload", head.encode() + content + b"\r\n--edge--\r\n",
                          "multipart/form-data; boundary=edge")
        return {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}

    def describe(self, files, **changes):
        """Have files described, with `changes` of controls by their place; return the HTML."""
        values = list(self.controls[self.describes])
        for place, value in changes.items():
            values[int(place.removeprefix("at"))] = value
        return self.call(self.describes, [files, *values[1:]])

    def call(self, number, data):
        """Call a function of the page and return the first thing that it gives in the end."""
        self.post("/gradio_api/queue/join", json.dumps({
            "data": data, "fn_index": number, "session_hash": self.session}).encode())
        found = None
        with urlopen(f"{self.url}/gradio_api/queue/data?session_hash={self.session}",
                     timeout=120) as lines:
            for line in lines:
                if not line.startswith(b"data:"):
                    continue
                event = json.loads(line[5:])
                if event["msg"] == "process_generating":
                    found = changed(found, event["output"]["data"][0])
                elif event["msg"] == "process_completed":
                    if not event["success"]:
                        raise RuntimeError(event["output"].get("error"))
                    found = (event["output"]["data"] or [found])[0]
                elif event["msg"] == "close_stream":
                    break
        return found


def changed(before, data):
    """Return the value after gradio's message of a generator: the value, or what is new in it."""
    if not isinstance(data, list):
        return data
    for kind, path, value in data:
        if path:
            raise ValueError("only whole texts are expected")
        before = value if kind == "replace" else before + value
    return before
