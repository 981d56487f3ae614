"""Whether one captioner is better than another: the paired bootstrap over pictures.

    scores of the same pictures by two captioners --paired_bootstrap--> Difference

Pictures are drawn with replacement, as many as there are, again and again: the spread of the
difference in mean score is what another sample of pictures would have given (Efron 1979; Koehn 2004
for sentences). It does not tell what another seed of training would have given: train several.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap

RESAMPLES = 10_000
CHUNK = 500                 # resamples in memory at a time


class Difference(NamedTuple):
    """The gain of the second captioner over the first, on the scale of their scores."""

    mean: float
    low: float                  # to `high`: the 95 % interval
    high: float
    wins: float                 # fraction of the resamples in which the second is better

    def __str__(self):
        """Write the gain with its interval, to a tenth."""
        return f"{self.mean:+.1f} [{self.low:+.1f}, {self.high:+.1f}]"


def paired_bootstrap(first, second, seed=0):
    """Return the `Difference` between two captioners' scores of the same pictures (pictures,).

    ValueError: there are fewer than two pictures.
    """
    # paired: pictures differ far more than captioners, so each picture's gain is drawn as one
    gains = np.asarray(second, float) - np.asarray(first, float)
    found = bootstrap((gains,), np.mean, n_resamples=RESAMPLES, batch=CHUNK, method="percentile",
                      vectorized=True, rng=np.random.default_rng(seed))
    low, high = found.confidence_interval
    wins = (found.bootstrap_distribution > 0).mean()
    return Difference(float(gains.mean()), float(low), float(high), float(wins))
