"""Read the entries of a long list in a JSON file one after the other, a few of them in memory.

    {"info": {...}, "annotations": [{...}, {...}, ...]} --records(path, "annotations")--> {...}, ...

VQA's annotations have 330 MB, which as Python objects are gigabytes; a reader that keeps what it
needs of each entry and forgets the rest takes a tenth of the file.
"""

import gc
import json
import re
from contextlib import contextmanager

from system.files import BadInput, refuse_web_address

PIECE = 1 << 20             # characters that are read at once
SPACE = re.compile(r"[ \t\r\n]*")
BEHIND = (*" \t\r\n,:]}",)  # what may stand behind a value
DECODER = json.JSONDecoder()


@contextmanager
def collector_paused():
    """Pause Python's garbage collector for the block, which makes very many objects that stay."""
    # it would search them all again and again; of reading kept captions that is half the time
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def records(path, key, remedy):
    """Yield the entries of the list `key` of the object in a JSON file.

    Raises `BadInput`, ending in `remedy`, where the file cannot be read, is damaged or has no such
    list; what stood before the damage has been yielded by then.
    """
    number = -1
    try:
        with open(path, encoding="utf-8-sig") as file:
            for number, entry in enumerate(entries(Window(file), key)):     # noqa: B007
                yield entry
    except FileNotFoundError:
        refuse_web_address(path)
        raise BadInput(f"{path} is not there: {remedy}") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): {remedy}") from None
    except KeyError:
        raise BadInput(f"{path} has no list '{key}': {remedy}") from None
    except (ValueError, RecursionError) as error:       # UnicodeDecodeError is a ValueError
        where = f" behind {key}[{number}]" if number >= 0 else ""
        raise BadInput(f"{path} is not JSON{where} ({error}): {remedy}") from None


def entries(window, key):
    """Yield the entries of the list `key`; raise `KeyError` if there is none, else `ValueError`."""
    found = False
    window.take("{")
    for _ in window.items("}"):
        name = window.value()
        window.take(":")
        if name != key or window.sign() != "[":
            window.value()
            continue
        found = True
        window.take("[")
        for _ in window.items("]"):
            yield window.value()
    if window.sign():
        raise ValueError("something follows its end")
    if not found:
        raise KeyError(key)


class Window:
    """The part of a JSON file that is being parsed: `text` from `place` on."""

    def __init__(self, file):
        self.file, self.text, self.place = file, "", 0

    def read_on(self):
        """Forget what is parsed, and read once more what is left; return whether there was more."""
        piece = self.file.read(max(PIECE, len(self.text) - self.place))
        if piece:
            self.text, self.place = self.text[self.place:] + piece, 0
        return bool(piece)

    def sign(self):
        """Return the next character that is no space, without taking it; "" at the end."""
        self.place = SPACE.match(self.text, self.place).end()
        while self.place == len(self.text) and self.read_on():
            self.place = SPACE.match(self.text).end()
        return self.text[self.place:self.place + 1]

    def take(self, signs):
        """Take the next character and return it; raise `ValueError` if it is none of `signs`."""
        found = self.sign()
        if not found or found not in signs:
            raise ValueError(f"{found!r} in place of {' or '.join(signs)}" if found else
                             "it ends too early")
        self.place += 1
        return found

    def items(self, close):
        """Yield before each item of a list or an object, which the caller takes, up to `close`."""
        if self.sign() != close:
            yield
            while self.take("," + close) == ",":
                yield
        else:
            self.take(close)

    def value(self):
        """Take the next value and return it; raise `ValueError` if it is damaged."""
        self.sign()
        while True:
            try:
                value, end = DECODER.raw_decode(self.text, self.place)
            except ValueError:
                if not self.read_on():          # not cut off by the window, but damaged
                    raise
            else:
                # else a number may go on
                if self.text[end:end + 1] in BEHIND or not self.read_on():
                    self.place = end
                    return value
