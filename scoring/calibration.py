"""How well probabilities are calibrated, and how well they tell true from false.

    probabilities, outcomes (N,) --calibration_error--> 0 to 1, best 0
    probabilities, outcomes (N,) --area_under_curve---> 0 to 1, by chance 0.5, best 1
    probabilities, outcomes (N,) --risks--> (N,) the fraction false among the surest 1, 2 ... N

The error is that of Naeini, Cooper and Hauskrecht 2015, over bins of equal count instead of equal
width, since probabilities crowd near 1. Perfect probabilities have an error above 0, too, which is
the larger the fewer are in a bin.
"""

import numpy as np
from scipy.stats import rankdata

from scoring.scores import Unavailable

BINS = 10


def calibration_error(probabilities, outcomes, bins=BINS):
    """Return the expected calibration error: |mean probability - fraction that came true|, averaged
    over bins of equally many, in the order of their probabilities.
    """
    probabilities, outcomes = np.asarray(probabilities, float), np.asarray(outcomes, float)
    parts = np.array_split(np.argsort(probabilities, kind="stable"), bins)
    return float(sum(abs((probabilities[part] - outcomes[part]).sum()) for part in parts)
                 / len(outcomes))


def area_under_curve(probabilities, outcomes):
    """Return the chance that of a true and a false outcome the true one is the more probable.

    That is the area under the ROC curve; a tie counts one half.  Raises `Unavailable` where all
    outcomes are alike.
    """
    outcomes = np.asarray(outcomes, bool)
    true, false = outcomes.sum(), (~outcomes).sum()
    if not true or not false:
        raise Unavailable("all outcomes are alike")
    ranks = rankdata(probabilities)[outcomes].sum()         # the Mann-Whitney statistic, from 1 on
    return float((ranks - true * (true + 1) / 2) / (true * false))


def risks(probabilities, outcomes):
    """Return the risk-coverage curve (N,): the fraction false among the k surest, k from 1 on.
    """
    surest = np.argsort(-np.asarray(probabilities, float), kind="stable")
    false = 1 - np.asarray(outcomes, float)[surest]
    return false.cumsum() / np.arange(1, len(false) + 1)
