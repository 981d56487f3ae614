"""Fetch files over HTTP so that nothing is lost: whole and verified, or a part to go on from.

    fetch(url, path)    url --Range, If-Range--> part_of(path) --length, digest, check--> path
    fetch_all(wanted)   many small ones at once; those a server does not have are listed

Beside the part, a file `.json` says which version of which file it is the beginning of, by the
server's ETag or date. If-Range asks for the rest of that very version; a server that has
another by now, or cannot begin in the middle, sends the whole file, and it is begun again.

Well-kept downloaders do not do all this (pooch and torchvision begin again after every break,
huggingface_hub resumes only from its own hub), so this is urllib and a file.
"""

import hashlib
import os
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from http.client import HTTPException, InvalidURL
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tqdm.auto import tqdm

from system.files import BadInput, read_json, write_json

ABOUT = {"url": str, "version": str | None, "length": int | None}
CHUNK = 1 << 18             # bytes between two writes, and lost at most by a kill
TIMEOUT = 30                # seconds without a byte that count as a break
TRIES = 5                   # breaks in a row, none bringing a new byte, before giving up
PAUSE = 1                   # seconds before the second try, doubled before each further one
CONNECTIONS = 16            # small files at once
BUSY = (408, 425, 429, 500, 502, 503, 504)      # answers that another time may be better


class NotThere(BadInput):
    """The server answers, but not with the file that was asked for."""


class Broken(Exception):
    """A download that came to a halt and may be taken up again."""


BREAKS = (Broken, URLError, HTTPException, ConnectionError, TimeoutError, ssl.SSLError)


def fetch(url, path, md5=None, check=None, progress=True, stop=None):
    """Fetch `url` to `path`, going on where an earlier attempt broke off.

    Nothing is asked for if the file is there.
    check: function of a fetched file's path that returns what is wrong with it, or None.
    stop: a `threading.Event` that ends the pauses between tries.
    Raises `NotThere` if the server has no such file or another, `BadInput` if it keeps breaking
    off; what has come by then is kept.
    """
    path, stop = Path(path), stop or threading.Event()
    part = part_of(path)
    if path.exists():
        about(part).unlink(missing_ok=True)     # a kill may have come before the last line below
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tqdm(desc=path.name, unit="B", unit_scale=True, leave=False, disable=not progress) as bar:
        patiently(lambda: receive(url, part, bar), url, stop, lambda: length(part))
    verify(url, part, md5, check)
    os.replace(part, path)      # first: a part without its description would be begun again
    about(part).unlink(missing_ok=True)


def fetch_all(wanted, check=None, unit="picture"):
    """Fetch many (url, path) at once; return a sentence for each that the server does not have."""
    missing, stop = [], threading.Event()
    pool = ThreadPoolExecutor(CONNECTIONS)
    try:
        tasks = [pool.submit(fetch, url, path, None, check, False, stop) for url, path in wanted]
        for task in tqdm(as_completed(tasks), "fetching", len(tasks), unit=unit, leave=False):
            try:
                task.result()
            except NotThere as error:
                missing.append(str(error))
    finally:                    # after a failure or Ctrl-C nothing new begins and nothing pauses
        stop.set()
        pool.shutdown(cancel_futures=True)
    return sorted(missing)


def size_of(url):
    """Return how many bytes a server says `url` has; 0 if it does not say."""
    def ask():
        with ask_for(url, method="HEAD") as response:
            return announced(response) or 0

    return patiently(ask, url, threading.Event())


def patiently(attempt, url, stop, progress=lambda: 0):
    """Call `attempt` until it succeeds and return its result, with a pause after every break.

    progress: function that returns how many bytes there are. Raises `BadInput` after TRIES breaks
    in a row that brought no new byte.
    """
    failures, most = 0, 0
    while True:
        try:
            return attempt()
        except BREAKS as error:
            failures = 1 if progress() > most else failures + 1
            most = max(most, progress())
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        if failures == TRIES:
            raise BadInput(f"{url} could not be fetched in {TRIES} tries ({reason}): look to the "
                           "network, then give the same command again, which goes on from here")
        if stop.wait(PAUSE * 2 ** (failures - 1)):
            raise BadInput(f"{url} was not waited for")


def receive(url, part, bar):
    """Append to `part` what it lacks of `url`; raise one of BREAKS if the end does not come."""
    known = read_json(about(part), f"delete it and {part}", ABOUT) if about(part).exists() else {}
    resumable = known.get("url") == url and known.get("version") and (
        known.get("length") or 0) > 0
    offset = length(part) if resumable else 0
    if offset and offset == known["length"]:
        return
    headers = {"Range": f"bytes={offset}-", "If-Range": known["version"]} if offset else {}
    with ask_for(url, headers) as response:
        if response.status == 200:      # the whole file, whatever was asked for
            part.unlink(missing_ok=True)    # first: beside another's description it would pass
            offset, known = 0, {"url": url, "version": version(response),
                                "length": announced(response)}
            write_json(about(part), known)
        elif not (offset and continues(response, offset, known["length"])):
            about(part).unlink(missing_ok=True)
            raise Broken("the server did not send the piece it was asked for")
        bar.total, bar.n, bar.initial = known["length"], offset, offset
        with open(part, "ab") as file:
            while data := response.read1(CHUNK):        # whatever has come, so a stall loses none
                file.write(data)
                bar.update(len(data))
    if known["length"] not in (None, length(part)):
        raise Broken(f"broke off after {length(part)} of {known['length']} bytes")


def ask_for(url, headers=None, method="GET"):
    """Return the server's answer; raise `NotThere` for a refusal and `Broken` if it is busy."""
    if not url.startswith(("http://", "https://")):     # urllib would open file: as well
        raise BadInput(f"{url} does not begin with http:// or https://: give an address that does")
    try:
        return urlopen(Request(url, headers=headers or {}, method=method), timeout=TIMEOUT)
    except HTTPError as error:
        if error.code == 416:           # nothing is left from there on, so the file is another
            return error
        error.close()
        if error.code in BUSY:
            raise Broken(f"the server is busy, {error.code}") from None
        raise NotThere(f"{url} is not to be had ({error.code} {error.reason}): the address or the "
                       "server is wrong") from None
    except (InvalidURL, ValueError) as error:
        raise BadInput(f"{url} is no web address ({error}): give another") from None


def continues(response, offset, total):
    """Return whether an answer has all bytes of a file of `total` bytes from `offset` on."""
    return response.headers.get("Content-Range") == f"bytes {offset}-{total - 1}/{total}"


def announced(response):
    """Return the length a server announces, or None."""
    said = response.headers.get("Content-Length", "")
    return int(said) if said.isdigit() else None


def version(response):
    """Return the server's name for this version of a file, as If-Range takes it, or None."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")   # W/"..": weak


def part_of(path):
    """Return the path of the beginning of a file; browsers call theirs `.part` too, so not that."""
    return path.with_name(path.name + ".image-captioning-part")


def about(part):
    """Return the path of the description of `part`: its address, version and length."""
    return part.with_name(part.name + ".json")


def length(path):
    """Return the bytes of a file, 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


def verify(url, part, md5, check):
    """Raise `NotThere` and delete the part if it is not the file that was meant."""
    fault = check(part) if check else None
    if md5 and not fault:
        with open(part, "rb") as file:
            found = hashlib.file_digest(file, "md5").hexdigest()
        fault = f"its md5 is {found}, not {md5}" if found != md5 else None
    if fault:
        part.unlink()
        about(part).unlink()
        raise NotThere(f"{url} gave a file that cannot be used ({fault}): give the same command "
                       "again, and if that does not help, the server is wrong")
