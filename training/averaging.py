"""An average of the weights over the last steps, which is what gets validated, saved and used.

Polyak and Juditsky 1992: near the end a training wanders around its goal; the middle of where it
has been is closer. Early steps count less: the weights are still on their way.
"""

from contextlib import contextmanager

import torch


class Average:
    """An exponential average of parameters; decay 0 is the parameters themselves.

    decay: share of the average that a step keeps; 0.999 looks back about 1,000 steps.
    """

    def __init__(self, parameters, decay):
        self.parameters, self.decay = list(parameters), decay
        self.values = [one.detach().clone() for one in self.parameters] if decay else []

    @torch.no_grad()
    def update(self, step):
        """Take in the parameters as they are after `step` steps."""
        keep = min(self.decay, (1 + step) / (10 + step))
        for value, parameter in zip(self.values, self.parameters, strict=bool(self.values)):
            value.lerp_(parameter, 1 - keep)

    @contextmanager
    def in_use(self):
        """The parameters are the average; afterwards they are again as they were."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    def swap(self):
        for value, parameter in zip(self.values, self.parameters, strict=bool(self.values)):
            value.data, parameter.data = parameter.data, value.data
