"""Measure what a GPU changes: a few steps with several sizes of a batch, in every type it has.

    task, settings, device --speeds--> rows of batch size, precision, time, items, memory
"""

import time
from contextlib import closing
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from system.processor import choose_precision
from training.loop import step
from training.run import Run

BATCH_SIZES = (64, 256, 1024)
WARM, STEPS = 5, 30             # steps: those that choose kernels and take memory do not count


def speeds(task, settings, device):
    """Yield a dict of each measured training: batch_size, precision, and what `measure` returns.

    task: a class of tasks.  settings: of its trainings, but for these two.
    """
    types = dict.fromkeys(("float32", choose_precision("auto", device)))
    for precision in types:
        for batch_size in BATCH_SIZES:
            trial = replace(settings, batch_size=batch_size, precision=precision)
            # a run cannot do without a folder, and Windows deletes no file that is open
            with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                run = Run(task(trial), Path(folder) / "run", device)
                yield {"batch_size": batch_size, "precision": run.precision,
                       **measure(run, STEPS)}


def measure(run, steps):
    """Take the first steps of a run and return what they cost.

    {"seconds": of a step, "items": of batches a second, "bytes": most of the GPU's memory in use}
    """
    with closing(batches_of(run)) as batches:
        for batch in islice(batches, WARM):
            step(run, batch)
        wait(run.device)
        if torch.device(run.device).type == "cuda":
            torch.cuda.reset_peak_memory_stats(run.device)
        began = time.perf_counter()
        for batch in islice(batches, steps):
            step(run, batch)
        wait(run.device)
        seconds = (time.perf_counter() - began) / steps
    return {"seconds": seconds, "items": run.settings.batch_size / seconds,
            "bytes": memory(run.device)}


def batches_of(run):
    """Yield the batches of a run's epochs, one epoch after the other, without end."""
    for epoch in count():
        yield from run.batches(epoch)


def wait(device):
    """Wait until a GPU has computed what it was given."""
    if torch.device(device).type != "cpu":
        torch.accelerator.synchronize(device)


def memory(device):
    """Return the most bytes that PyTorch has had of a GPU's memory; None for a CPU."""
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return torch.mps.driver_allocated_memory() if kind == "mps" else None
