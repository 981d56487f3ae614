"""A tiny backbone for tests that need some encoder and not a good one; imported, it is registered.

    pictures squashed to 32 x 32 --two convolutions--> 32 channels on a grid of 4 x 4

Its weights are random and always the same: like pretrained ones they do not depend on a run's seed.
An epoch of a tiny run is one pass, so that its steps can be counted; test_short.py has the rule.
"""

from functools import partial

import torch
from torch import nn

from captioning import task
from encoders.backbones import NETWORKS, Network
from encoders.transform import Transform


def stages(weights):
    """Return two stages of random weights, whatever `weights` says."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sizes = ((3, 16, 4), (16, 32, 2))
        return [nn.Sequential(nn.Conv2d(before, after, 3, stride, 1), nn.BatchNorm2d(after),
                              nn.ReLU()) for before, after, stride in sizes]


NETWORKS["tiny"] = Network(32, stages, partial(Transform, 32, (0.5,) * 3, (0.25,) * 3))
task.LEAST_STEPS = 1
