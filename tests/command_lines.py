"""Type random command lines in a folder full of someone's files, and see that nothing breaks.

    options of a command, right and wrong values --drawn--> command line --main()--> a status, text
    and the folder's files: as they were, byte for byte

    python -m tests.command_lines --lines 500

A line may do its work or refuse it in a sentence; what it may not is end in a traceback, say
nothing of a failure, or change a file that the project has not written.
"""

import argparse
import io
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from _thread import interrupt_main
from collections import Counter
from contextlib import chdir, redirect_stderr, redirect_stdout
from hashlib import sha256
from pathlib import Path
from unittest.mock import patch

import torch
from PIL import Image
from tqdm import tqdm

import answer
import caption
import evaluate
import prepare
import tests.tiny  # noqa: F401  an encoder that settings may name
import train
from calibration import __main__ as calibration
from captioning import card
from captioning.settings import CaptioningSettings
from captioning.task import Captioning
from course import handin
from experiments import ladder, plan, truth
from system.commands import command_line, run_command
from tests.conftest import write_root
from training import loop

REPORT = json.dumps({"split": "val", "pictures": 3, "references": 5, "distinct": 1, "search": "s",
                     "tokenizer": "t", "CIDEr": 0.5})
PATIENCE = 60               # seconds of a line, after which it is stopped as by Ctrl-C
# Command and the words that it begins with, which make little work of it; those that are drawn win.
# Not here: what fetches (prepare.py coco) and what writes into the project itself (course.student,
# course.notebooks, experiments.bench and own).
LITTLE = {"scenes": ["--train", "9", "--val", "3", "--test", "2", "--novel", "2"]}
COMMANDS = {
    "caption.py": (caption.main, []),
    "answer.py": (answer.main, []),
    "evaluate.py": (evaluate.main, []),
    "train.py": (train.main, ["--encoder", "tiny", "--hidden-size", "8", "--embed-size", "8",
                              "--workers", "0", "--epochs", "1"]),
    **{f"prepare.py {name}": (prepare.main, [name, *LITTLE.get(name, [])])
       for name in ("scenes", "karpathy", "flickr8k", "folder", "check", "cache")},
    "captioning.card": (card.main, []),
    "calibration": (calibration.main, []),
    "experiments.plan": (plan.main, []),
    "experiments.ladder": (ladder.main, ["--only", "constant"]),
    "experiments.truth": (truth.main, []),
    "course.handin": (handin.main, []),
}
# What a person may type for an option; others have the values that they choose from, or numbers.
RIGHT = {
    "picture": ["photos/1.jpg"], "question": ["how many?"],
    "pictures": ["photos/1.jpg", "photos", "my photos/2 é.png"], "captions": ["captions.csv"],
    "split_file": ["dataset_coco.json"], "coco": ["data"], "data": ["data"], "seed": ["1"],
    "checkpoint": ["best.safetensors", "run"], "checkpoints": ["best.safetensors", "run"],
    "file": ["new.safetensors"],
    "root": ["new data", "newer data", "data"], "run": ["new run", "run", "deep/er/run"],
    "status": ["run"], "gallery": ["new page.html"], "references": ["captions.csv", "data"],
    "json": ["new report.json"], "split": ["val", "train"], "results": ["new results.json"],
    "device": ["cpu"], "encoder": ["tiny"], "decoder": ["lstm_every", "adaptive", "transformer"],
    "start": ["best.safetensors"], "epochs": ["1", "2"], "workers": ["0"], "fit": ["crop"],
    "precision": ["float32"], "learning_rate": ["1e-3"], "dropout": ["0.1"], "views": ["1"],
    "hidden_size": ["8"], "embed_size": ["8"], "batch_size": ["4"], "train": ["9"],
    "val": ["2", "0.3"], "test": ["2", "0.3"], "novel": ["2"], "report": ["report.json"],
    "note": ["notes.txt"], "name": ["mine"], "only": ["constant"], "folder": ["."],
    "page": ["new page.md"],
}
NUMBERS = ["0", "-1", "3", "2.5", "1000000000000", "nan", "inf", "-inf", "1e400", "0x10", "1,5"]
OTHER = ["", " ", "x", "None", "-", "--", ".", "..", "/", "missing", "missing/deep", "~", "*",
         "a\nb", "\udcff", "é" * 300, "C:\\photos", "https://a.org/1.jpg", "%s{}", "gpu", "cuda:7"]
NEVER = {"help"}


class Parser(Exception):
    """Carries the parser of a command out of it."""


def options_of(main, words):
    """Return the options and positional arguments of a command, or of that which `words` name."""
    def caught(parser, *_):
        raise Parser(parser)

    with patch.object(argparse.ArgumentParser, "parse_args", caught), \
            patch.object(sys, "argv", ["x.py"]):
        try:
            main()
        except Parser as found:
            parser = found.args[0]
    for action in parser._actions:
        if action.nargs == argparse.PARSER:
            parser = action.choices[words[0]]
    return [one for one in parser._actions if one.dest not in NEVER]


def write_folder(folder):
    """Fill a folder with someone's files and, beside them, data and a run of the project."""
    names = (*(f"photos/{number}.jpg" for number in range(6)), "my photos/2 é.png",
             "photos/3.part-00", "scan.tiff")
    for shade, name in enumerate(names):
        (folder / name).parent.mkdir(exist_ok=True)
        format = {".png": "PNG", ".tiff": "TIFF"}.get(Path(name).suffix, "JPEG")
        Image.new("RGB", (40, 30), (25 * shade, 90, 200)).save(folder / name, format)
    rows = ["file,caption", *(f"{number}.jpg,A {word} picture." for number in range(6)
                              for word in ("blue", "plain"))]
    texts = {"captions.csv": "\n".join(rows), "notes.txt": "Buy bread.", "README.md": "# Mine",
             "thesis.docx": "PK", "list.json": "[1, 2]", "empty.json": "", "page.html": "<p>Mine",
             "data.zip": "PK", "photos/captions.csv": "\n".join(rows), "handin.txt": "My notes",
             "vocab.pkl": "\x80", "coco.part": "half", "settings.json": '{"task": "x"}',
             "report.json": REPORT, "photos.jpg": "no picture", "cache.txt": "",
             "results/ladder/constant-0.json": "mine", "0_Dataset.ipynb": "{}"}
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(text, "utf-8")
    users = [path for path in folder.rglob("*") if path.is_file()]
    write_root(folder / "data", {"train": 6, "val": 3})
    settings = CaptioningSettings(str(folder / "data"), encoder="tiny", epochs=1, hidden_size=8,
                                  embed_size=8, workers=0, vocab_threshold=1)
    (folder / "report.json").write_text(REPORT)
    with redirect_stderr(io.StringIO()):
        loop.train(Captioning(settings), folder / "run", torch.device("cpu"))
    for name in ("captioner.safetensors", "best.safetensors"):
        shutil.copy(folder / "run" / "best.safetensors", folder / name)
        users.append(folder / name)
    return users


def values(chance, action, files):
    """Return the words that are typed for an option."""
    if action.nargs == 0:
        return []
    known = [*map(str, action.choices or ())] or RIGHT.get(action.dest, ["0.5"])
    if action.type is int and not all(map(str.isdecimal, known)):
        known = ["2", "9"]
    pool = known if chance.random() < 0.85 else chance.choice((NUMBERS, OTHER, files))
    return chance.choices(pool, k=chance.choice((1, 1, 2)) if action.nargs in ("+", "*") else 1)


def draw(chance, parsers, files):
    """Return a command's name and the words that follow it."""
    command = chance.choice([*parsers])
    words = list(COMMANDS[command][1])
    optional = [one for one in parsers[command] if one.option_strings and not one.required]
    given = {*chance.sample(optional, min(len(optional), chance.choice((0, 1, 1, 2, 3))))}
    for action in parsers[command]:
        needed = action.required or not action.option_strings
        if action in given or needed and chance.random() < 0.97:
            words += [*action.option_strings[-1:], *values(chance, action, files)]
    return command, words


def run_line(command, words, patience=PATIENCE):
    """Return the exit status of a command line and what it said, stdout before stderr."""
    out, err = io.StringIO(), io.StringIO()
    # a process that a shell starts in the background ignores the signal, and so would never stop
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    stop = threading.Timer(patience, interrupt_main)
    stop.start()
    try:
        with redirect_stdout(out), redirect_stderr(err), \
                patch.object(sys, "argv", [command.split()[0], *words]):
            run_command(COMMANDS[command][0])
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        status = "traceback"
        err.write(traceback.format_exc())
    finally:
        stop.cancel()
        signal.signal(signal.SIGINT, before)
    return status, out.getvalue() + err.getvalue()


def fault_of(status, said):
    """Return what is wrong with the end of a command line, or None."""
    if status == "traceback" or "Traceback" in said:
        return "a traceback"
    if status == 130:
        return None if "stopped" in said else "stopped without a word"
    if status and "error: " not in said:
        return "a failure without a sentence"
    return None


def digests(files):
    """Return the hash of every file, None for one that is gone."""
    return {file: sha256(file.read_bytes()).hexdigest() if file.is_file() else None
            for file in files}


def try_lines(folder, number, seed=0, show=lambda lines: lines):
    """Type lines in a folder; yield (command line, status, what it said, fault or None)."""
    users = write_folder(folder)
    before = digests(users)
    parsers = {command: options_of(main, words) for command, (main, words) in COMMANDS.items()}
    with chdir(folder):
        files = sorted({str(part.relative_to(folder)) for file in users
                        for part in (file, file.parent)})
        for count in show(range(number)):
            command, words = draw(random.Random(f"{seed} {count}"), parsers, files)
            status, said = run_line(command, words)
            fault = fault_of(status, said)
            if changed := [str(file) for file, digest in digests(users).items()
                           if digest != before[file]]:
                fault = f"changed or gone: {', '.join(changed)}"
                before = digests(users)
            yield command_line(*command.split()[:1], *words), status, said, fault


def main():
    parser = argparse.ArgumentParser(description="Type random command lines in a folder of files.")
    parser.add_argument("--lines", type=int, default=500, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="which ones (%(default)s)")
    parser.add_argument("--show", action="store_true", help="print every line and its last words")
    options = parser.parse_args()
    ends, faults, begin = Counter(), 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for line, status, said, fault in try_lines(Path(folder).resolve(), options.lines,
                                                   options.seed, tqdm):
            ends[status] += 1
            if options.show or fault:
                print(f"{status} {line}\n    {fault or ''} {said[-2000 if fault else -200:]}",
                      flush=True)
            faults += fault is not None
    print(f"{options.lines} lines in {time.monotonic() - begin:.0f} s, by exit status: "
          f"{dict(ends)}; {faults} with a fault")
    return 1 if faults else 0


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "Agg")
    run_command(main)
