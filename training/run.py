"""The state of a training run: made from a task, saved at least once a minute, taken up again.

    Task, folder --Run--> epochs() -> batches(epoch) -> save()

Order of batches, augmentation and dropout are functions of the seed and of the step. So a run that
was killed and started again, from whichever state it had saved last, ends with the same weights as
one that was not.
"""

import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import torch

from system.distributed import any_of, data_parallel, is_main, is_single
from system.files import write_json
from system.processor import choose_precision, refuse_device
from training.averaging import Average
from training.dropout import use_fast_dropout
from training.folders import claim, read_history, read_spent, write_settings
from training.losses import Losses
from training.state import load_state, save_state

SAVE_EVERY = 45             # seconds between two saves of the state within an epoch


class Run:
    """A training run: its task, optimizer, averaged weights, folder and how far it has come."""

    def __init__(self, task, folder, device="cpu", resume=True):
        self.started = time.monotonic()
        self.task, self.settings = task, task.settings
        self.folder, self.device = Path(folder), device
        refuse_device(device)
        self.precision = choose_precision(self.settings.precision, device)
        task.read()                     # what is wrong with the data leaves no folder behind
        self.lock = claim(self.folder, task, resume) if is_main() else None
        task.prepare(device)
        if torch.device(device).type == "cpu":
            use_fast_dropout(task.objective)
        self.steps_per_epoch = task.steps_per_epoch
        self.optimizer = torch.optim.AdamW(task.groups(), weight_decay=0.0, fused=True)
        self.average = Average(self.parameters(), self.settings.average)
        self.begin(resume)

    def parameters(self):
        """Return what the optimizer trains."""
        return [one for group in self.optimizer.param_groups for one in group["params"]]

    def begin(self, resume):
        """Take the state from the folder, or write the first files into it."""
        self.position = {"epoch": 0, "batch": 0, "best": None, "best_epoch": 0, "loss": 0.0,
                         "count": 0}
        self.spent = {"seconds": 0.0, "at_epoch": {}}
        state = self.folder / "state.safetensors"
        if resume and state.exists():
            self.spent |= read_spent(self.folder)
            self.task.compare(self.folder)
            self.position = load_state(state, self.task, self.optimizer, self.average.values)
        if is_main():
            write_settings(self.folder, self.task)      # first: it says whose folder this is
            self.task.record(self.folder)
        self.model = data_parallel(self.task.objective)
        self.losses, self.seconds = Losses(self.position, self.device), None
        self.saved = self.began = time.monotonic()
        self.first = dict(self.position)

    def epochs(self):
        """Yield the epochs still to run; stop when `patience` of them brought no better score."""
        while not self.finished:
            yield self.position["epoch"]

    @property
    def finished(self):
        """Whether all epochs are done or the score has stopped improving."""
        epoch, best = self.position["epoch"], self.position["best_epoch"]
        return epoch >= self.settings.epochs or epoch - best >= self.settings.patience

    def improves(self, value):
        """Return whether a figure of an epoch is better than that of the best one so far."""
        best = self.position["best"]
        return best is None or value != best and self.task.better(value, best) == value

    def batches(self, epoch):
        """Yield the batches of an epoch still to come, on the run's device.

        The state is saved every SAVE_EVERY seconds and at the end, since validation may take long.
        Ctrl-C waits for the step in hand, then saves, then interrupts.
        """
        position = self.position
        start = position["batch"] if epoch == position["epoch"] else 0
        self.model.train()
        self.began, self.first = time.monotonic(), dict(position)
        with interrupts() as asked:
            for batch in self.task.batches(epoch, start):
                self.stop_if(asked)
                if time.monotonic() - self.saved > SAVE_EVERY:
                    self.save()
                yield batch.to(self.device)
            self.save()
            self.stop_if(asked)

    def stop_if(self, asked):
        """Save and raise `KeyboardInterrupt` if one of the processes was asked to stop."""
        if any_of(bool(asked)):
            self.save()
            raise KeyboardInterrupt(
                f"stopped in epoch {self.position['epoch'] + 1} after {self.position['batch']} of "
                f"{self.steps_per_epoch} steps, and saved in {self.folder}: start again with the "
                "same settings to go on (in the notebook, set RESUME = True)")

    def note_time(self, epoch):
        """Note the seconds that the run had taken at the end of an epoch, encoding included."""
        now = time.monotonic()
        self.spent["at_epoch"][str(epoch)] = self.spent["seconds"] + now - self.started

    def save(self):
        """Write the state from which this run can go on."""
        self.losses.read()              # first: a loss that is no number must not be saved
        self.saved, done = time.monotonic(), self.position["batch"] - self.first["batch"]
        self.spent["seconds"] += self.saved - self.started
        self.started = self.saved
        if done > 0:
            self.seconds = (self.saved - self.began) / done * self.steps_per_epoch
        if is_main():
            save_state(self.folder / "state.safetensors", self.task, self.optimizer,
                       self.position, self.average.values, self.task.content)
            write_json(self.folder / "status.json", {
                **self.position, "steps_per_epoch": self.steps_per_epoch,
                "seconds_per_epoch": self.seconds, "finished": self.finished,
                "key": self.task.key, **self.spent})

    def pace(self):
        """Return the last loss and the speed of this epoch, for a progress bar."""
        count = self.position["count"] - self.first["count"]
        speed = count / (time.monotonic() - self.began)
        return f"loss {self.losses.last:.3f}, {speed:.0f} {self.task.unit}s/s"

    def history(self):
        """Return one dict per finished epoch."""
        epochs = read_history(self.folder, (self.task.key, *self.task.curves))
        return epochs[:self.position["epoch"]]


@contextmanager
def interrupts():
    """Hold back Ctrl-C and Jupyter's stop button; yield a list that is not empty once one came.

    A second one is not held back, except under torchrun, which sends it by itself.
    """
    asked = []

    def note(number, frame):
        asked.append(number)
        if is_single():
            signal.signal(signal.SIGINT, before)

    if threading.current_thread() is not threading.main_thread():   # no other may hear signals
        yield asked
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
