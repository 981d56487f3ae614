"""Watching a run: where it stands, what is wrong with it, its curves in TensorBoard.

    python train.py --status runs/scenes

What commonly goes wrong gives no error: captions that ignore the picture, a decoder that is shown
the word it should guess, a loss that stands still, a frozen encoder that drifts, val pictures
learned by heart. So it is looked for, and said.
"""

import filecmp
import math
import shlex
import sys
from collections import defaultdict
from pathlib import Path

import torch
from tqdm.auto import tqdm

from system.files import BadInput, read_json
from training.folders import in_use, read_history
from training.settings import Settings, as_options

DIVERGING = 1.2             # times the lowest loss of an epoch so far
STILL, GUESSING = 0.99, 0.9 # times the loss of the epoch before; times that of pure guessing
KNOWN, WORTHLESS = 0.5, 0.3 # a loss below the first with a CIDEr below the second cannot be honest


def warn(sentence):
    """Say it on stderr, beside a progress bar."""
    tqdm.write(f"warning: {sentence}", file=sys.stderr)


def warn_of_epoch(history, run):
    """Say what the epochs so far, the last above all, show to be wrong."""
    row = history[-1]
    if row["distinct"] == 1 and len(run.val_split.pictures) > 1:
        warn(f"every picture got the same caption, {row['sentence']!r}: if that stays, lower the "
             "learning rate, and check that features differ between pictures")
    least = min(one["train_loss"] for one in history)
    if 0 < DIVERGING * least < row["train_loss"]:           # minus a reward is never above 0
        warn(f"the loss rose to {row['train_loss']:.3f}, so training diverges: start again in "
             "another folder with a lower learning rate or a smaller clip")
    guessing = math.log(len(run.vocab))
    if (len(history) > 1 and row["val_loss"] > GUESSING * guessing
            and row["train_loss"] > STILL * history[-2]["train_loss"] > 0):
        warn(f"the loss stands still at {row['train_loss']:.3f}, where guessing among all words "
             f"has {guessing:.3f}: raise the learning rate, and check that the optimizer holds "
             "these weights")
    if row["val_loss"] < KNOWN and row["CIDEr"] < WORTHLESS:
        warn(f"a loss of {row['val_loss']:.3f} on val, but a CIDEr of {row['CIDEr']:.3f}: the "
             "decoder is shown the very words that it should guess; check that output t is "
             "compared with word t, and has read only the words before it")
    now = run.captioner.encoder.backbone.buffers()
    if not all(torch.equal(*pair) for pair in zip(run.statistics, now, strict=True)):
        warn("the encoder's batch-norm statistics moved, so it was left in train mode: keep its "
             "batch-norm layers in eval mode, as Backbone.train does, and start again")


def warn_of_shared(train, val):
    """Say so if pictures of val are also in train, byte for byte."""
    by_size = defaultdict(list)
    for picture in train.pictures:
        by_size[size_of(picture)].append(picture.file)
    shared = [picture.file for picture in val.pictures if any(
        filecmp.cmp(picture.file, other, shallow=False) for other in by_size[size_of(picture)])]
    if shared:
        warn(f"{len(shared)} of {len(val.pictures)} val pictures are also train pictures, "
             f"{shared[0].name} for one, so scores will be too good to be true: take them out of "
             "one of the two")


def size_of(picture):
    """Return the bytes of a picture's file."""
    return picture.file.stat().st_size


def tensorboard(folder, epoch):
    """A TensorBoard writer into a run's folder, which continues after `epoch`."""
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


def status(folder):
    """Where a run stands, in lines of text."""
    settings = Settings(**read_json(Path(folder) / "settings.json", "give a run's folder"))
    command = shlex.join(["python", "train.py", "--run", str(folder), *as_options(settings)])
    if not (Path(folder) / "status.json").exists():
        return f"{folder}: nothing is saved yet\nbegin with: {command}"
    at = read_json(Path(folder) / "status.json", "wait for the next save")
    lines = [f"{folder}: {at['epoch']} of {settings.epochs} epochs done"
             + (f", and {at['batch']} of {at['steps_per_epoch']} steps" if at["batch"] else "")]
    if at["best_epoch"]:
        lines += [f"best CIDEr on val {at['best']:.3f}, after epoch {at['best_epoch']}"]
    if at["words"]:
        lines += [f"last loss {at['loss'] / at['words']:.3f} per word, in this epoch so far"]
    elif history := read_history(folder)[:at["epoch"]]:
        lines += ["last loss {train_loss:.3f} per word, {val_loss:.3f} on val".format(
            **history[-1])]
    if at["seconds_per_epoch"]:
        lines += [f"about {at['seconds_per_epoch']:.0f} s an epoch, validation aside"]
    if at["finished"]:
        lines += [f"finished: python evaluate.py {folder} --data {settings.data}"]
    else:
        lines += ["it is running now" if in_use(folder) else f"stopped; go on with: {command}"]
    return "\n".join(lines)
