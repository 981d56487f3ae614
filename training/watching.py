"""Watch a run: does its loss behave, and its curves in TensorBoard.

What commonly goes wrong raises no error, so the engine looks for it after every epoch, and so does
the task, by its `complaints`.
"""

import sys
from pathlib import Path

from tqdm.auto import tqdm

from system.files import BadInput

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
