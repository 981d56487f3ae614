"""Files that are whole or absent, and errors a person can act on.

Everything the project writes goes to a neighbour first and is renamed when complete, so that a
reader never meets half a file. Everything it refuses raises `BadInput` with one sentence: what is
wrong, where, and what to do.
"""

import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path


class BadInput(ValueError):
    """Something the user gave cannot be used; the message is one sentence that says what to do."""


@contextmanager
def writing(path):
    """Around whatever writes to `path`: a full disk or a locked folder is raised as `BadInput`."""
    try:
        yield
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror or error}): make room, or "
                       "choose a folder you may write to, and start again") from None


@contextmanager
def whole_file(path):
    """Give a temporary path beside `path`; rename it to `path` only if the block succeeds.

    Raises `BadInput` if the disk is full or may not be written; what was at `path` stays.
    """
    path = Path(path)
    beside = path.with_name(f"{path.name}.part-{os.getpid()}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield beside
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)


def write_json(path, value, indent=None):
    """Write `value` to `path` as UTF-8 JSON, whole or not at all."""
    with whole_file(path) as beside:
        beside.write_text(json.dumps(value, indent=indent, ensure_ascii=False), encoding="utf-8")


def read_json(path, remedy):
    """The value in a JSON file; raises `BadInput`, ending in `remedy`, if there is none."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{path} is not there: {remedy}") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadInput(f"{path} is not JSON ({error}): {remedy}") from None


def run_command(main):
    """Run a command line's `main()`: bad input becomes one line on stderr and exit status 2."""
    for stream in (sys.stdout, sys.stderr):  # a Windows console may not know a caption's letters
        stream.reconfigure(errors="replace")
    try:
        sys.exit(main())
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:     # whoever read our lines has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
