"""Kill a training run at random moments, go on each time, and compare with one left in peace.

Run from the repository's root: python -m tests.check_kills_training

The run tunes its encoder, so its loader reads pictures: by itself, and then with two workers. Most
kills fall on a random moment of an epoch, some on a save. What each process tells is a log, from
which comes the verdict: where the kills fell, and how many seconds of work had to be repeated.
"""

import io
import itertools
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import torch
import torch._dynamo  # noqa: F401  an optimizer imports it, and that takes longer than an epoch
from safetensors.torch import load_file

from captioning import task
from captioning.settings import CaptioningSettings
from tests.conftest import write_root
from training import loop as training
from training import run as runs

KILLS, MIDWAY = 20, 10      # kills at least, and of those in mid-epoch at least
SAVE_EVERY = 0.5            # seconds, in place of the real figure: an epoch here takes about one
LONGEST = 60                # seconds of work that a kill may cost
SIDE = 64                   # pixels of a picture as the encoder sees it: small, hence fast
CONTEXT = multiprocessing.get_context("fork")               # of a process that imported torch


def train(settings, folder, told):
    """Train in `folder`, telling through a pipe of every step and save: (what, batch, when)."""
    def telling(what, function):
        def wrapped(run, *others):
            result = function(run, *others)
            told.send((what, run.position["batch"], time.monotonic()))
            return result
        return wrapped

    def save(run, save=runs.Run.save):
        told.send(("saving", run.position["batch"], time.monotonic()))
        telling("saved", save)(run)

    os.setpgid(0, 0)                                    # to be killed together with its workers
    sys.stdout = sys.stderr = io.StringIO()
    runs.SAVE_EVERY, runs.Run.save = SAVE_EVERY, save
    training.step = telling("step", training.step)
    training.validate = telling("validated", training.validate)
    training.save_curves = lambda *_: None              # slower than an epoch here
    small = task.transform_of(settings.encoder, settings.fit)
    task.transform_of = lambda name, fit: replace(small, size=SIDE)
    training.train(task.Captioning(settings), folder)
    told.send(("finished", 0, time.monotonic()))


class Attempt:
    """A process that trains, and what it told until it finished or was killed."""

    def __init__(self, settings, folder):
        self.ear, mouth = CONTEXT.Pipe(duplex=False)
        self.process = CONTEXT.Process(target=train, args=(settings, folder, mouth))
        self.process.start()
        mouth.close()
        self.log = []

    def hear(self, seconds=120.0):
        """The next thing it tells within some seconds, or None."""
        try:
            if self.ear.poll(seconds):
                self.log.append(self.ear.recv())
                return self.log[-1]
        except EOFError:
            self.process.join()
        return None

    def finished(self):
        """Whether it came to the end, to which it is followed."""
        while self.hear():
            pass
        return bool(self.log) and self.log[-1][0] == "finished"

    def kill(self, group=True):
        """SIGKILL it and its loader's workers, or only itself."""
        if self.process.is_alive():
            (os.killpg if group else os.kill)(self.process.pid, signal.SIGKILL)
            self.process.join()


def strike(attempt, chance, epoch, at_save, group):
    """Wait for a save to begin, or for a sign of life and then up to `epoch` seconds; kill."""
    while (told := attempt.hear()) and at_save and told[0] != "saving":
        pass
    time.sleep(chance.uniform(0, 0.03 if at_save else epoch))
    attempt.kill(group)


def verdict(log, steps):
    """(Where in the run an attempt was killed, seconds of work that this lost)."""
    what, batch, last = log[-1]
    saved = max((when for what, _, when in log if what == "saved"), default=log[0][2])
    where = "during a save" if what == "saving" else (
        "in mid-epoch" if 0 < batch < steps else "between epochs")
    return where, last - saved


def torture(settings, folder, whole, epoch, steps, chance):
    """Kill often enough, going on each time, until the end; in a new folder if one is finished.

    An epoch takes so many seconds where nobody kills, however fast this machine is now.
    Returns where the kills fell and what each cost. Raises if a run ends unlike the one in `whole`.
    """
    kills, folders = [], (folder / str(number) for number in itertools.count())
    here = next(folders)
    while True:
        attempt = Attempt(settings, here)
        places = [where for where, _ in kills]
        enough = len(kills) >= KILLS and places.count("in mid-epoch") >= MIDWAY
        if not enough:                  # once its workers are left alive, and with them the lock
            strike(attempt, chance, epoch, at_save=len(kills) % 5 == 0, group=len(kills) != 1)
        if attempt.finished():
            compare(here, whole)
            if enough:
                return kills
            here = next(folders)
        else:
            kills.append(verdict(attempt.log, steps))


def compare(folder, whole):
    """End with status 1 if a run's state, history or best weights are not those of another."""
    def same(name):
        if name != "best.safetensors":
            return (folder / name).read_bytes() == (whole / name).read_bytes()
        ours, theirs = load_file(folder / name), load_file(whole / name)
        return all(torch.equal(ours[key], theirs[key]) for key in ours.keys() | theirs.keys())

    for name in ("state.safetensors", "history.jsonl", "best.safetensors"):
        if not same(name):
            sys.exit(f"{folder / name} differs from that of the run which was not killed")


def main():
    assert runs.SAVE_EVERY < LONGEST
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        settings = CaptioningSettings(
            data=str(write_root(folder / "data", {"train": 12, "val": 6})), tune_from=8, epochs=3,
            batch_size=4, embed_size=16, hidden_size=16, vocab_threshold=1, warmup=2, patience=9,
            encoder_rate=1e-3, learning_rate=1e-2)
        for workers in (0, 2):
            settings, whole = replace(settings, workers=workers), folder / f"whole-{workers}"
            quiet = Attempt(settings, whole)
            assert quiet.finished(), "a run that nobody kills must finish"
            compare(whole, folder / "whole-0")
            epoch = (quiet.log[-1][2] - quiet.log[0][2]) / settings.epochs
            kills = torture(settings, folder / f"killed-{workers}", whole, epoch, 15,
                            random.Random(0))
            places, worst = Counter(where for where, _ in kills), max(cost for _, cost in kills)
            print(f"{workers} loader workers: the same bits after {len(kills)} kills",
                  ", ".join(f"{count} {where}" for where, count in places.items()),
                  f"at most {worst:.1f} s of work repeated", sep="; ", flush=True)
            assert places["during a save"] and worst <= LONGEST
    shutil.rmtree(os.environ["CAPTION_CACHE"])


if __name__ == "__main__":
    main()
