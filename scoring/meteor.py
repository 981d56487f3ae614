"""METEOR (Denkowski and Lavie 2014), by coco-caption's own program, which needs Java.

    sentences, references --SCORE--> meteor-1.5.jar --counts, EVAL--> score

The program may not run on this machine, end early, answer nonsense or fall silent: `meteor` then
raises `Unavailable` with the reason, after a minute of silence at most, and no program is left.
"""

import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from scoring.scores import Unavailable

PATIENCE = 60               # seconds that the program may take for an answer, its start included
COUNTS = 23                 # numbers in the answer about one sentence
LONGEST = 1 << 16           # bytes of a line that is read
# the score depends on no machine's language: no decimal comma, and letters are UTF-8
LANGUAGE = ["-Duser.language=en", "-Duser.country=US", "-Dfile.encoding=UTF-8"]


class Ended(Unavailable):
    """The program has ended before it gave a score."""


def meteor(sentences, references):
    """Return METEOR 1.5 of the whole corpus, 0 to 1; raise `Unavailable` if there is none.

    sentences: one for each picture, tokens separated by spaces.  references: several for each.
    """
    questions = [" ||| ".join(["SCORE", *map(one_part, truths), one_part(sentence)])
                 for sentence, truths in zip(sentences, references, strict=True)]
    try:
        return ask(questions, ["-Xmx2G"])       # as coco-caption does
    except Ended:                               # a container may refuse so much memory
        return ask(questions, [])


def one_part(sentence):
    """Return a sentence without what ends a line or a sentence for the program."""
    return sentence.replace("|||", "").replace("  ", " ").replace("\n", " ").replace("\r", " ")


def ask(questions, memory):
    """Start the program, ask it everything and return its score; memory: options of Java's."""
    heard, said = queue.Queue(), []
    with program(memory) as process:
        # a thread of its own reads and writes, since either may wait for ever
        threading.Thread(target=converse, args=(process, questions, heard, said),
                         daemon=True).start()
        for _ in range(len(questions) + 1):
            try:
                found = heard.get(timeout=PATIENCE)
            except queue.Empty:
                raise Unavailable(f"its program gave no answer for {PATIENCE} s"
                                  f"{last_words(said)}") from None
            if isinstance(found, Exception):
                raise found
    if not 0 <= found <= 1:
        raise Unavailable(f"its program answered {found}, which is no score")
    return found


@contextmanager
def program(memory):
    """Start the program, and kill it at the end of the block, with what it started itself."""
    from pycocoevalcap.meteor.meteor import METEOR_JAR  # needed for METEOR only

    with plain_folder() as folder:
        command = [Path(shutil.which("java") or "java").absolute(), *memory, *LANGUAGE, "-jar",
                   folder / METEOR_JAR, "-", "-", "-stdio", "-l", "en", "-norm"]
        try:
            process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, start_new_session=True)
        except OSError as error:
            raise Unavailable(f"Java does not run ({error.strerror})") from None
        try:
            yield process
        finally:
            with suppress(OSError):         # it may have ended
                if os.name == "posix":
                    os.killpg(process.pid, signal.SIGKILL)
                else:
                    process.kill()
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)


@contextmanager
def plain_folder():
    """Give the program's folder or, where it does not understand its path, a copy of 70 MB.

    It escapes the path twice: with a space or an accent there, links followed, it finds no data.
    """
    folder = program_folder()
    if "%" not in folder.as_uri():
        yield folder
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
        yield Path(shutil.copytree(folder, Path(made) / "meteor"))


def converse(process, questions, heard, said):
    """Put into `heard` the counts of each picture, then the score; or the reason why not."""
    try:
        counts = []
        for question in questions:
            counts.append(answer(process, question, COUNTS, said))
            heard.put(counts[-1])
        scores = [answer(process, " ||| ".join(["EVAL", *counts]), 1, said),
                  *(answer(process, None, 1, said) for _ in questions)]
        heard.put(float(scores[-1]))            # the corpus comes after the pictures
    except Unavailable as reason:
        heard.put(reason)
    for stream in (process.stdin, process.stdout):
        with suppress(OSError):                 # what could not be written is tried once more
            stream.close()


def answer(process, question, count, said):
    """Send a line to the program, unless None, and return its answer, a line of `count` numbers.

    What else it writes, as Java's warnings, is passed over; the first two such lines go to `said`.
    """
    said.clear()
    if question is not None:
        with suppress(OSError):         # it has ended, and its last words say why
            process.stdin.write(f"{question}\n".encode(errors="replace"))
            process.stdin.flush()
    for line in iter(lambda: process.stdout.readline(LONGEST), b""):
        text = line.decode(errors="replace").strip()
        if is_numbers(text, count):
            return text
        if text.startswith("Error: specify"):
            raise Unavailable(f"its program answered '{text}'")
        if text and not text.startswith("Picked up ") and len(said) < 2:
            said.append(text)
    raise Ended(f"its program ended{last_words(said)}")


def last_words(said):
    """Return what the program said instead of an answer, in brackets."""
    return f" ({' '.join(said):.160})" if said else ""


def is_numbers(text, count):
    """Return whether a text is so many numbers."""
    try:
        return len([float(word) for word in text.split()]) == count
    except ValueError:
        return False


def program_folder():
    """Return the folder of the program, which belongs to a package."""
    return Path(find_spec("pycocoevalcap").submodule_search_locations[0]).resolve() / "meteor"


def lacks_java():
    """Return what METEOR lacks on this machine in a few words, or None."""
    if not shutil.which("java"):
        return "it needs Java"
    if not find_spec("pycocoevalcap"):
        return "it needs the package pycocoevalcap"
    if all("%" in place.resolve().as_uri()
           for place in (program_folder(), Path(tempfile.gettempdir()))):
        return "its program cannot run from a path with a space or an accent: set TMPDIR to another"
    return None
