"""The losses of the steps, read from a GPU only now and then: to read one is to wait for it."""

import math

import torch

from system.files import BadInput

READ_EVERY = 50             # steps between two readings on a GPU; on a CPU every step


class Losses:
    """Losses not yet read, added to the `position` of a run when they are.

    every: steps between two readings.  last: loss per item of the last step that was read.
    """

    def __init__(self, position, device):
        self.position, self.pending, self.last = position, [], math.nan
        self.every = 1 if torch.device(device).type == "cpu" else READ_EVERY

    def add(self, number, loss, count, norm):
        """Note a step's number, loss, count and gradient norm, tensors; read them if it is time."""
        self.pending.append((number, torch.stack([loss, count, norm])))
        if len(self.pending) >= self.every:
            self.read()

    def read(self):
        """Add the noted losses to the position; a GPU is waited for here.

        Raises `BadInput` if one is no number.
        """
        pending, self.pending = self.pending, []
        values = torch.stack([one for _, one in pending]).tolist() if pending else []
        for (number, _), (loss, count, norm) in zip(pending, values, strict=True):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise BadInput(f"the loss became {loss} at step {number}, its gradient {norm}: "
                               "lower the learning rate, or look for broken features")
            self.position["loss"] += loss
            self.position["count"] += int(count)
            self.last = loss / count
