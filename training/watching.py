"""Watch a run: does its loss behave?

What commonly goes wrong raises no error, so the engine looks for it after every epoch, and so does
the task, by its `complaints`.
"""

import sys

from tqdm.auto import tqdm

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
