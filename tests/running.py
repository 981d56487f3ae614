"""Runs of the captioning task, begun or trained in one line."""

from dataclasses import replace

from captioning.task import Captioning
from training import loop


def begin_run(settings, folder, **changes):
    """Return a `Run` of these settings, with `changes`, in `folder`."""
    return loop.Run(Captioning(replace(settings, **changes)), folder)


def train_run(settings, folder, **changes):
    """Train with these settings, with `changes`, in `folder` until done; return the history."""
    return loop.train(Captioning(replace(settings, **changes)), folder)
