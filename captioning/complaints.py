"""What commonly goes wrong in training a captioner, and raises no error.

Captions that ignore the picture, a decoder that is shown the word it should predict, a loss that
stands still, a frozen encoder that drifts, val pictures that are also train pictures.
"""

import math

import torch

from system.contents import content_hashes
from training.watching import warn

STILL, GUESSING = 0.99, 0.9 # times the loss of the epoch before; times that of pure guessing
KNOWN, WORTHLESS = 0.5, 0.3 # a loss below the first with a CIDEr below the second cannot be honest


def complaints_about(history, task):
    """Return sentences about what the epochs of a `Captioning` show to be wrong."""
    row, found = history[-1], []
    longer = ("train longer, by more --epochs, " if task.passes > 1 else "")    # of few pictures
    if row["distinct"] == 1 and len(task.val_split.pictures) > 1:
        found.append(f"every picture got the same caption, {row['sentence']!r}: if that stays, "
                     f"{longer}lower the learning rate, and check that features differ between "
                     "pictures")
    guessing = math.log(len(task.vocab))
    if (len(history) > 1 and row["train_loss"] > GUESSING * guessing
            and row["train_loss"] > STILL * history[-2]["train_loss"] > 0):
        found.append(f"the loss stands still at {row['train_loss']:.3f}, where guessing among all "
                     f"words has {guessing:.3f}: {longer}raise the learning rate, and check that "
                     "the optimizer holds these weights")
    if row["val_loss"] < KNOWN and row.get("CIDEr", 1) < WORTHLESS:
        found.append(f"a loss of {row['val_loss']:.3f} on val, but a CIDEr of {row['CIDEr']:.3f}: "
                     "the decoder is shown the very words that it should guess; check that output "
                     "t is compared with word t, and has read only the words before it")
    if task.before is not None and max(one["CIDEr"] for one in history) < task.before:
        found.append(f"so far no epoch comes up to {task.settings.start}, which has a CIDEr of "
                     f"{task.before:.3f} on val: use that captioner as it is, or train again with "
                     "a lower learning rate")
    now = task.captioner.encoder.backbone.buffers()
    if not all(torch.equal(*pair) for pair in zip(task.statistics, now, strict=True)):
        found.append("the encoder's batch-norm statistics moved, so it was left in train mode: "
                     "keep its batch-norm layers in eval mode, as Backbone.train does, and start "
                     "again")
    return found


def warn_of_shared(train, val):
    """Warn if pictures of val are also in train, byte for byte."""
    known = {*content_hashes([picture.file for picture in train.pictures])} - {None}
    files = [picture.file for picture in val.pictures]
    shared = [file for file, content in zip(files, content_hashes(files), strict=True)
              if content in known]
    if shared:
        warn(f"{len(shared)} of {len(val.pictures)} val pictures are also train pictures, "
             f"{shared[0].name} for one, so scores will be too good to be true: take them out of "
             "one of the two")
