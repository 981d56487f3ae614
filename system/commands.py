"""What every command does alike: its streams, its errors, its exit status.

    run_command(main)                       BadInput --> one line on stderr and exit status 2
    command_line("python", "train.py")      words --> what a person may paste into a shell
"""

import atexit
import errno
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress

from system import torchrun
from system.files import BadInput

DISK = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR,
        errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EIO}
NAME = {errno.EILSEQ, errno.EINVAL}         # said by macOS of bytes, by Windows of signs like *
NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED",
             "ALLOCATION_FAILED", "Storage size calculation overflowed")
GPU = re.compile("CUDA|CUDNN|HIP|MPS")          # in the message of one that has no memory left
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def one_line(text):
    """Return `text` with a ? for every control character, which could move or wipe other lines."""
    return CONTROL.sub("?", text)


def command_line(*words):
    """Return words as one line that a person may paste into a shell, quoted where that is needed.
    """
    words = list(map(str, words))
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def ensure_home():
    """Give a user without a home folder one until the process ends: libraries fail without it."""
    if os.path.expanduser("~") == "~":
        home = tempfile.mkdtemp(prefix="home-")
        os.environ["USERPROFILE" if os.name == "nt" else "HOME"] = home
        atexit.register(shutil.rmtree, home, ignore_errors=True)


def prepare_streams():
    """Let stdout and stderr take any text: UTF-8 in files and pipes, `?` for what a screen lacks.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:              # without a console
            setattr(sys, name, io.StringIO())
        elif isinstance(stream, io.TextIOWrapper):      # not a notebook's, which takes any text
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="replace")


def run_command(main, shared=False):
    """Run a command line's `main()`: bad input becomes one line on stderr and exit status 2.

    So do a full disk and a folder that may not be written to; other failures keep their traceback.
    Under torchrun the first process speaks for all, and works alone unless `shared` says that
    `main` divides the work.
    """
    ensure_home()
    prepare_streams()
    if not shared:
        torchrun.leave_to_first()
    try:
        with torchrun.one_voice():
            status = main()
            sys.stdout.flush()
    except SystemExit as end:           # as argparse raises it, which has spoken
        if end.code:
            torchrun.wait_for_first(explained=True)
        raise
    except KeyboardInterrupt:
        if torchrun.first():
            print("stopped", file=sys.stderr)
        status = 130
    except BrokenPipeError:     # the program that read our lines has ended, as `head` does
        with suppress(OSError, AttributeError):         # a notebook's stdout is no file
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except Exception as error:
        sentence = sentence_of(error)
        torchrun.wait_for_first(explained=sentence is not None)
        if sentence is None:
            raise
        sentence = one_line(sentence)
        print(f"error: {sentence}", file=sys.stderr)
        torchrun.report(sentence)
        status = 2
    sys.exit(status)


def sentence_of(error):
    """Return what a person should read of an error, or None if that is its traceback."""
    if isinstance(error, BadInput):
        return str(error)
    if isinstance(error, OSError) and error.errno in DISK:
        return (f"{error.filename or 'the disk'} cannot be written or read ({error.strerror}): "
                "make room or give yourself the right, then give the same command again")
    if isinstance(error, OSError) and error.errno in NAME and error.filename is not None:
        return f"{error.filename} is no name for a file here ({error.strerror}): give another"
    # PyTorch has no class of its own for these on a CPU
    if isinstance(error, MemoryError) or isinstance(error, RuntimeError) and any(
            words in str(error) for words in NO_MEMORY):
        gpu = GPU.search(str(error))
        return (f"this needs more memory than {'the GPU has' if gpu else 'there is'}: give smaller "
                "numbers, for example of a batch, of beams or of the layers' sizes"
                + (", or the device cpu" if gpu else ""))
    return None
