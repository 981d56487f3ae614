"""Is one captioner better than another, or were the pictures kind to it? A paired bootstrap.

Two captioners describe the same pictures. Draw as many of these, with replacement, again and again:
the spread of the difference in mean CIDEr is what another sample of pictures would have given
(Efron 1979; Koehn 2004 for sentences). Pairing matters: pictures differ far more than captioners.

What it does not know is how another seed would have trained: for that there are several seeds.
"""

from typing import NamedTuple

import numpy as np

RESAMPLES, AT_ONCE = 10_000, 500


class Difference(NamedTuple):
    """By how much the upper is better, on the scale of its scores, and how sure that is."""

    mean: float
    low: float                  # to `high`: the interval that holds 95 % of the resamples
    high: float
    wins: float                 # share of the resamples in which the upper is better


def paired_bootstrap(lower, upper, seed=0):
    """The `Difference` between two captioners' scores of the same pictures, arrays (pictures,)."""
    gains = np.asarray(upper, float) - np.asarray(lower, float)
    random = np.random.default_rng(seed)
    means = np.concatenate([
        gains[random.integers(len(gains), size=(AT_ONCE, len(gains)))].mean(axis=1)
        for _ in range(RESAMPLES // AT_ONCE)])
    low, high = np.percentile(means, (2.5, 97.5))
    return Difference(float(gains.mean()), float(low), float(high), float((means > 0).mean()))
