"""An average of the weights over the last steps, which is validated, saved and used after training.

Polyak and Juditsky 1992: near the end a training wanders around its goal; the middle of where it
has been is closer. Early steps count less: the weights are still on their way.
"""

from contextlib import contextmanager

import torch


class Average:
    """An exponential average of parameters; decay 0 is the parameters themselves.

    decay: fraction of the average that stays at a step; 0.999 averages about 1,000 steps.
    """

    def __init__(self, parameters, decay):
        self.parameters, self.decay = list(parameters) if decay else [], decay
        self.values = [one.detach().clone() for one in self.parameters]

    @torch.no_grad()
    def update(self, step):
        """Add the parameters as they are after `step` steps to the average."""
        # a short memory at first, since the first weights are far from where training ends
        decay = min(self.decay, (1 + step) / (10 + step))
        for value, parameter in zip(self.values, self.parameters, strict=True):
            value.lerp_(parameter, 1 - decay)

    @contextmanager
    def applied(self):
        """Put the average in place of the parameters during the block, then put them back."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    def swap(self):
        """Exchange the average and the parameters, without a copy."""
        for value, parameter in zip(self.values, self.parameters, strict=True):
            value.data, parameter.data = parameter.data, value.data
