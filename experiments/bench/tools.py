"""What every figure of the benchmark is made with: rounds in turn, limits, useful FLOPs.

    legs --alternate--> a list of rates for each --Figure.of--> median, lowest, highest
    product_rate(type, side) -> FLOP/s   copy_rate() -> bytes/s

Other work may share the machine, so reference and ours take turns, and what is quoted is the
median of the rounds' ratios. FLOPs count a multiplication and an addition as two.
"""

import contextlib
import math
import os
import platform
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from system.processor import precision_of

SIDES = (1024, 2048, 3072)
COPIED = 256 << 20                  # bytes; more than any cache holds


class Unequal(Exception):
    """Reference and ours gave different results, so their speeds must not be compared."""


class Unmeasured(Exception):
    """Something that a row needs is not here; the message is a line that says what."""


@dataclass(frozen=True)
class Sizes:
    """How much a round does. FULL takes whole sizes, SMALL a part, and its rows say so."""

    rounds: int = 5
    patience: float = 40                # seconds, after which a row begins no other round
    encoded: tuple = (32, 96)           # pictures, of the reference and of ours
    usual_steps: int = 2                # of the loop that decodes and encodes for each caption
    steps: int = 16                     # of the loops with cached features
    captioned: tuple = (16, 256)        # pictures, of the reference and of ours
    judged: int = 1000                  # pictures whose captions are scored by either encoding
    scored: int = 1000                  # pictures, of 5,000
    opened: int = 20_000                # captions, of 590,000
    opened_whole: int = 590_000         # captions, opened once for the peak of memory
    pictures: int = 600                 # of a dataset that grows 3 and 10 times


SMALL = Sizes()
FULL = Sizes(patience=math.inf, encoded=(1000, 1000), usual_steps=10, steps=100,
             captioned=(1000, 1000), scored=5000, opened=590_000, pictures=6000)


@dataclass(frozen=True)
class Setup:
    """What the rows share.

    sizes: of a round.  data: the dataset.  folder: for scratch.  fastest: type and side of the
    matrices that this machine multiplies at its highest rate, its limit.
    """

    sizes: Sizes
    data: Path
    folder: Path
    fastest: tuple

    def limit(self):
        """The limit, FLOP/s, at this moment."""
        return product_rate(*self.fastest)


@dataclass(frozen=True)
class Figure:
    """A measured number: the median of its rounds, their extremes, and what it was measured on."""

    value: float
    low: float
    high: float
    unit: str
    sample: str
    rounds: int

    @classmethod
    def of(cls, values, unit, sample):
        """The figure of one value a round."""
        return cls(statistics.median(values), min(values), max(values), unit, sample, len(values))


def alternate(sizes, *legs):
    """Call the legs in turn, round after round: each one's results, in order.

    On a machine so busy that a round takes long, fewer of them; a figure says how many.
    """
    began, results = time.monotonic(), []
    while len(results) < sizes.rounds and (
            not results or time.monotonic() - began < sizes.patience):
        results.append([leg() for leg in legs])
    return list(zip(*results, strict=True))


def said(slow, fast, unit, sample):
    """What was measured, in words: the best rates of the reference and of ours."""
    return f"{max(slow):.3g} and {max(fast):.3g} {unit} at best, {sample}"


def ratios(ours, reference):
    """Ours over the reference, round by round."""
    return [one / other for one, other in zip(ours, reference, strict=True)]


def timed(function, *values):
    """(The function's result, the seconds it took.)"""
    began = time.perf_counter()
    result = function(*values)
    return result, time.perf_counter() - began


def require(equal, what):
    """Raise `Unequal` unless reference and ours agree."""
    if not equal:
        raise Unequal(f"reference and ours differ in {what}, so their speeds say nothing")


@contextlib.contextmanager
def quiet():
    """Keep what libraries, and the Java that one of them starts, say out of the table."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def machine():
    """What ran this, as Python and PyTorch tell it."""
    return {"cpu": platform.processor() or platform.machine(), "system": platform.system(),
            "instructions": torch.backends.cpu.get_cpu_capability(), "cores": os.cpu_count(),
            "threads": torch.get_num_threads(), "torch": torch.__version__,
            "python": platform.python_version()}


def product_rates():
    """Return {(type, side): FLOP/s} of matrices in every type that this processor multiplies.

    One without bfloat16 computes it number by number: minutes for what float32 does in a second.
    """
    fast = {"float32", str(precision_of("cpu")).removeprefix("torch.")}
    return {(kind, side): product_rate(kind, side) for kind in sorted(fast) for side in SIDES}


def product_rate(kind, side):
    """FLOP/s of square matrices of a type, by name, in the fastest of some products."""
    matrix = torch.randn(side, side).to(getattr(torch, kind))
    return 2 * side**3 / best_of(lambda: matrix @ matrix)


def copy_rate(size=COPIED):
    """Bytes/s of memory, read and written, in the fastest of some copies."""
    source = torch.ones(size, dtype=torch.uint8)
    target = torch.empty_like(source)
    return 2 * size / best_of(lambda: target.copy_(source))


def best_of(function, trials=7):
    """Seconds of the fastest of some calls, after one that warms up."""
    function()
    return min(timed(function)[1] for _ in range(trials))


def picture_flops(network, size):
    """Matrix products and convolutions that one picture (3, size, size) needs."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, size, size))
    return counter.get_total_flops()


def training_flops(decoder, channels, lengths):
    """FLOPs of the products that a training step on captions of `lengths` (B,) cannot do without.

    A caption of n ids has n steps, the image and all ids but the last, and n - 1 words to be
    scored. So, with D channels and N layers, the forward products are, in multiplications,

        n 4H E + (n-1) 4H H                      first layer: input, and state once there is one
        (N-1) (n 4H H + (n-1) 4H H)              layers above
        (n-1) H V                                scores
        D E                                      the image's own linear layer

    Two FLOPs each; three times that to train, but twice for D E, whose input gets no gradient.
    """
    vocab, embed = decoder.words.weight.shape
    hidden, layers = decoder.lstm.hidden_size, decoder.lstm.num_layers
    captions, steps = len(lengths), int(sum(lengths))
    words = steps - captions
    forward = (steps * 4 * hidden * embed + words * 4 * hidden * hidden
               + (layers - 1) * (steps + words) * 4 * hidden * hidden + words * hidden * vocab)
    return 2 * (3 * forward + 2 * captions * channels * embed)


def cosine(one, other):
    """The mean cosine between the rows of two arrays (pictures, D)."""
    one, other = (array.astype(np.float64) for array in (one, other))
    return float(np.mean((one * other).sum(1) / np.linalg.norm(one, axis=1)
                         / np.linalg.norm(other, axis=1)))


def anonymous_memory():
    """Bytes of this process's memory that belong to no file."""
    import psutil

    # macOS and Windows have no finer figure than the second
    return in_status("RssAnon") or psutil.Process().memory_full_info().uss


def in_status(name):
    """Bytes that Linux reports of this process under a name; elsewhere None."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(name)), None)


def peak_memory():
    """Most bytes of memory this process has had."""
    if found := in_status("VmHWM"):     # on Linux, getrusage gives the parent's if that is larger
        return found
    try:
        import resource
    except ImportError:                                 # Windows
        import psutil

        return psutil.Process().memory_info().peak_wset
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
