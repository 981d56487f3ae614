"""A web server on this machine for tests: serves what it is given and misbehaves as it is told.

    with Server({"/a.zip": b"..."}) as server:
        server.faults["/a.zip"] = ["breaks off", 503]       the first two times, then all is well
        server.faults["/a.zip"] = "stalls"                  every time
        fetch(server.url + "/a.zip", path)
        server.asked                                        [[path, first byte, status, bytes sent]]

Faults: a status (404, 503), "breaks off", "stalls", "says less", "says more" (Content-Length lies),
"ignores ranges", "wrong piece", "redirects", "no version" (breaks off and gives no ETag).
"""

import contextlib
import hashlib
import io
import json
import os
import re
import threading
import time
import zipfile
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

os.environ["no_proxy"] = "127.0.0.1"
PIECE = 1 << 14             # bytes at a time
HALF = ("breaks off", "stalls", "no version")       # faults that send half of what is asked for


class Server(ThreadingHTTPServer):
    """Serves `files`, a dict from path to bytes; `pace` is seconds of rest after every piece.

    A file's version is its hash, or `tag` where that is given.
    """

    def __init__(self, files, pace=0):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.pace, self.faults, self.asked = files, pace, {}, []
        self.tag, self.closing = None, threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error):
        self.closing.set()
        self.shutdown()
        self.server_close()

    def fault(self, path):
        """What goes wrong with this request."""
        fault = self.faults.get(path)
        return (fault.pop(0) if fault else None) if isinstance(fault, list) else fault

    def count(self):
        """How often every path was asked for."""
        return Counter(path for path, *_ in self.asked)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    def log_message(self, *message):
        pass

    def do_HEAD(self):
        found = self.server.files.get(self.path)
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Length", str(len(found or b"")))
        self.end_headers()

    def do_GET(self):
        fault = self.server.fault(self.path)
        found = self.server.files.get(self.path.removeprefix("/elsewhere"))
        if isinstance(fault, int) or found is None:
            self.begin(fault or 404, {"Content-Length": 0})
        elif fault == "redirects":
            self.begin(302, {"Location": "/elsewhere" + self.path})
        else:
            self.give(found, fault)

    def begin(self, status, headers, first=0):
        """Send the head of an answer and note that it was given."""
        self.record = [self.path, first, status, 0]
        self.server.asked.append(self.record)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()

    def give(self, found, fault):
        """Answer with the file or, where that is asked for, its rest."""
        tag = self.server.tag or f'"{hashlib.md5(found).hexdigest()}"'
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        whole = not asked or self.headers.get("If-Range") != tag or fault == "ignores ranges"
        first = 0 if whole or fault == "wrong piece" else int(asked[1])
        if first > len(found):
            return self.begin(416, {"Content-Range": f"bytes */{len(found)}"})
        body = found[first:]
        lie = {"says less": -len(body) // 2, "says more": 1000}.get(fault, 0)
        headers = {"Content-Length": len(body) + lie}
        headers |= {} if whole else {
            "Content-Range": f"bytes {first}-{len(found) - 1}/{len(found)}"}
        headers |= {} if fault == "no version" else {"ETag": tag}
        self.begin(200 if whole else 206, headers, first)
        self.send(body[:len(body) // 2] if fault in HALF else body)
        if fault == "stalls":
            self.server.closing.wait(20)

    def send(self, body):
        """Write piece after piece for as long as the other end takes them."""
        with contextlib.suppress(OSError):
            for begin in range(0, len(body), PIECE):
                self.record[3] += len(body[begin:begin + PIECE])    # before a test can look
                self.wfile.write(body[begin:begin + PIECE])
                time.sleep(self.server.pace)


def zipped(members):
    """A zip archive of {name: bytes}."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def coco_files(root, year=2017):
    """A folder in COCO's layout as COCO's own server has it: archives and single pictures."""
    root, files, annotations = Path(root), {}, {}
    for path in sorted((root / "annotations").glob(f"*{year}.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        split = path.stem.split("_")[-1]
        for image in content["images"]:
            image.setdefault("coco_url",
                             f"http://images.cocodataset.org/{split}/{image['file_name']}")
        annotations[f"annotations/{path.name}"] = json.dumps(content)
    files[f"/annotations/annotations_trainval{year}.zip"] = zipped(annotations)
    for split in (f"train{year}", f"val{year}"):
        pictures = {f"{split}/{path.name}": path.read_bytes() for path in (root / split).iterdir()}
        files[f"/zips/{split}.zip"] = zipped(pictures)
        files |= {f"/{name}": content for name, content in pictures.items()}
    return files
