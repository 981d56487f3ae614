"""Watching a run: where it stands, whether its loss behaves, its curves in TensorBoard.

    python train.py --status runs/scenes

What commonly goes wrong raises no error, so the engine looks for it after every epoch, and so does
the task, by its `complaints`.
"""

import shlex
import sys
from pathlib import Path

from tqdm.auto import tqdm

from system.files import BadInput, read_json
from training.folders import in_use, read_history
from training.settings import options_of

DIVERGING = 1.2             # times the lowest loss of an epoch so far


def warn(sentence):
    """Print a warning on stderr, beside a progress bar."""
    tqdm.write(f"warning: {sentence}", file=sys.stderr)


def warn_of_loss(history):
    """Warn if the loss of the last epoch shows that training diverges."""
    last, least = history[-1]["train_loss"], min(one["train_loss"] for one in history)
    if 0 < DIVERGING * least < last:            # the loss of a reward is never above 0
        warn(f"the loss rose to {last:.3f}, so training diverges: start again in another folder "
             "with a lower learning rate or a smaller clip")


def tensorboard(folder, epoch):
    """Return a TensorBoard writer into a run's folder, which continues after `epoch`."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise BadInput("--tensorboard needs a package that is not installed: run "
                       "'pip install tensorboard', or leave the option out") from None
    return SummaryWriter(Path(folder) / "tensorboard", purge_step=epoch + 1)


def write_scalars(writer, row):
    """Send the numbers of an epoch to TensorBoard."""
    for name, value in row.items():
        if isinstance(value, float):
            writer.add_scalar(name, value, row["epoch"])
    writer.flush()


def status(folder, settings, task, options=()):
    """Return lines of text that say where a run stands.

    settings: those of its settings.json.  task: the class of its task.  options: words that the
    command needs beside those of the settings.
    """
    folder = Path(folder)
    command = shlex.join(["python", "train.py", "--run", str(folder), *options,
                          *options_of(settings)])
    if not (folder / "status.json").exists():
        return f"{folder}: nothing is saved yet\nbegin with: {command}"
    at = read_json(folder / "status.json", "wait for the next save")
    lines = [f"{folder}: {at['epoch']} of {settings.epochs} epochs done"
             + (f", and {at['batch']} of {at['steps_per_epoch']} steps" if at["batch"] else "")]
    if at["best_epoch"]:
        lines += [f"best {task.key} on val {at['best']:.3f}, after epoch {at['best_epoch']}"]
    if at["count"]:
        lines += [f"last loss {at['loss'] / at['count']:.3f} per {task.unit}, in this epoch so far"]
    elif history := read_history(folder)[:at["epoch"]]:
        row = history[-1]
        lines += [f"last loss {row['train_loss']:.3f} per {task.unit}, "
                  f"{row['val_loss']:.3f} on val"]
    if at["seconds_per_epoch"]:
        lines += [f"about {at['seconds_per_epoch']:.0f} s an epoch, validation aside"]
    if at["finished"]:
        lines += [f"finished: python evaluate.py {folder} --data {settings.data}"]
    else:
        lines += ["it is running now" if in_use(folder) else f"stopped; go on with: {command}"]
    return "\n".join(lines)
