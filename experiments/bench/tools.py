"""What every figure of the benchmark is made with: rounds in turn, ratios and useful FLOPs.

    legs --alternate--> a list of rates for each --Figure.of--> median, lowest, highest

Other work may run on the machine, so reference and ours take turns, and what is quoted is the
median of the rounds' ratios. FLOPs count a multiplication and an addition as two.
"""

import contextlib
import math
import os
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from experiments.bench.machine import product_rate

ROOT = Path(__file__).parents[2]    # of the repository, where its modules and commands are found


class Unequal(Exception):
    """Reference and ours gave different results, so their speeds must not be compared."""


class Unmeasured(Exception):
    """Something that a row needs is not here; the message is a line that says what."""


@dataclass(frozen=True)
class Sizes:
    """How much a round does: FULL takes whole sizes, SMALL a sample, which each row names."""

    rounds: int = 5
    patience: float = 40                # seconds, after which a row begins no other round
    encoded: tuple = (32, 96)           # pictures, of the reference and of ours
    pooled: int = 128                   # pictures whose maps are in memory
    usual_steps: int = 2                # of the loop that decodes and encodes for each caption
    steps: int = 16                     # of the loops with cached features
    captioned: tuple = (16, 256)        # pictures, of the reference and of ours
    sampled: tuple = (4, 64)            # pictures, of the reference and of ours
    judged: int = 1000                  # pictures whose captions are scored by either encoding
    scored: int = 1000                  # pictures, of 5,000
    opened: int = 20_000                # captions, of 590,000
    opened_whole: int = 590_000         # captions, opened once for the peak of memory
    asked_about: int = 100              # drawn pictures, ten questions each, to train on
    answered: int = 100                 # questions, of the reference
    clips: tuple = (6, 24)              # of the reference and of ours
    told: tuple = (2, 32)               # clips, of the reference and of ours
    asked: int = 443_757                # questions about pictures, opened once
    pictures: int = 600                 # of a dataset that grows 3 and 10 times
    growing: tuple = (256, 3)           # questions and clips that do


SMALL = Sizes()
FULL = Sizes(patience=math.inf, encoded=(1000, 1000), pooled=1000,
             usual_steps=10, steps=100, captioned=(1000, 1000), sampled=(100, 1000), scored=5000,
             asked_about=2000, answered=1000, clips=(200, 900), told=(32, 320),
             opened=590_000, pictures=6000, growing=(2560, 90))


@dataclass(frozen=True)
class Setup:
    """What all rows need.

    sizes: of a round.  data: the dataset.  folder: for scratch.  fastest: type and side of the
    matrices that this machine multiplies at its highest rate, its limit.
    """

    sizes: Sizes
    data: Path
    folder: Path
    fastest: tuple

    def limit(self):
        """Measure the limit, FLOP/s, at this moment."""
        return product_rate(*self.fastest)


@dataclass(frozen=True)
class Figure:
    """A measured number: the median of its rounds, their extremes, and the sample measured."""

    value: float
    low: float
    high: float
    unit: str
    sample: str
    rounds: int

    @classmethod
    def of(cls, values, unit, sample):
        """Make the figure of one value a round."""
        return cls(statistics.median(values), min(values), max(values), unit, sample, len(values))


def alternate(sizes, *legs):
    """Call the legs in turn, round after round, and return the results of each in order."""
    began, results = time.monotonic(), []
    # on a machine so busy that a round takes long, fewer rounds; a figure tells their number
    while len(results) < sizes.rounds and (
            not results or time.monotonic() - began < sizes.patience):
        results.append([leg() for leg in legs])
    return list(zip(*results, strict=True))


def best_rates(slow, fast, unit, sample):
    """Return the best rates of the reference and of ours as text."""
    return f"{max(slow):.3g} and {max(fast):.3g} {unit} at best, {sample}"


def ratios(ours, reference):
    """Divide ours by the reference, round by round."""
    return [one / other for one, other in zip(ours, reference, strict=True)]


def timed(function, *values):
    """Return (the function's result, the seconds it took)."""
    began = time.perf_counter()
    result = function(*values)
    return result, time.perf_counter() - began


def require(equal, what):
    """Raise `Unequal` unless reference and ours agree."""
    if not equal:
        raise Unequal(f"reference and ours differ in {what}, so their speeds say nothing")


def runs_java():
    """Return whether Java is here and runs; a Mac without it has a program that only says so."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        return not subprocess.run(["java", "-version"], capture_output=True, timeout=60).returncode
    return False


@contextlib.contextmanager
def quiet():
    """Silence what libraries print, and the Java that one of them starts."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        os.dup2(nowhere.fileno(), 2)        # Java writes to the descriptor, not to sys.stderr
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def picture_flops(network, size):
    """Count the FLOPs of products and convolutions that one picture (3, size, size) needs."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, size, size))
    return counter.get_total_flops()


def training_flops(decoder, channels, lengths):
    """Count the FLOPs of the products that a training step on captions of `lengths` (B,) needs.

    A caption of n ids has n steps, the image and all ids but the last, and n - 1 words to be
    scored. So, with D channels and N layers, the forward products are, in multiplications,

        n 4H E + (n-1) 4H H                      first layer: input, and state once there is one
        (N-1) (n 4H H + (n-1) 4H H)              layers above
        (n-1) H V                                scores
        D E                                      the image's own linear layer
    """
    vocab, embed = decoder.words.weight.shape
    hidden, layers = decoder.lstm.hidden_size, decoder.lstm.num_layers
    captions, steps = len(lengths), int(sum(lengths))
    words = steps - captions
    forward = (steps * 4 * hidden * embed + words * 4 * hidden * hidden
               + (layers - 1) * (steps + words) * 4 * hidden * hidden + words * hidden * vocab)
    # backward costs twice the forward, but once for D E, whose input needs no gradient
    return 2 * (3 * forward + 2 * captions * channels * embed)


def cosine(one, other):
    """Return the mean cosine between the rows of two arrays (pictures, D)."""
    one, other = (array.astype(np.float64) for array in (one, other))
    return float(np.mean((one * other).sum(1) / np.linalg.norm(one, axis=1)
                         / np.linalg.norm(other, axis=1)))
