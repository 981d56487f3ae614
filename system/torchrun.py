"""Which of the processes that torchrun starts works and speaks: the first, of rank 0.

Most errors are met by every process at once, and where one has ended the others fail in their next
exchange with it. So that one sentence is read, the others print nothing and wait before they end:
torchrun ends them as soon as the first has failed. If it has not, they speak as well.
"""

import io
import json
import os
import sys
import time
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path

TURN = 10                   # seconds, in which torchrun ends all processes after one has failed


def launched():
    """Return whether torchrun has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def first():
    """Return whether this process is the first, or the only one."""
    return not launched() or os.environ["RANK"] == "0"


def leave_to_first():
    """End this process unless it is the first."""
    if not first():
        sys.exit()
    if launched() and os.environ["WORLD_SIZE"] != "1":
        print("this command works in one process: the others that torchrun started have ended",
              file=sys.stderr)


@contextmanager
def one_voice():
    """Drop what the block prints, unless this process is the first."""
    if first():
        yield
        return
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield


def wait_for_first(explained):
    """Wait, unless this is the first, until torchrun would have ended this process.

    explained: whether the error has a sentence. One that has none may only be the consequence of
    another process's end, so it waits longest, in the first as well.
    """
    if launched() and not (first() and explained):
        time.sleep(TURN if explained else 2 * TURN)


def report(sentence):
    """Let torchrun show a sentence in its summary, which it prints last."""
    shown = {"py_callstack": sentence, "timestamp": str(int(time.time()))}
    with suppress(OSError, KeyError):           # torchrun names a file to those it starts
        Path(os.environ["TORCHELASTIC_ERROR_FILE"]).write_text(
            json.dumps({"message": {"message": sentence, "extraInfo": shown}}), encoding="utf-8")
