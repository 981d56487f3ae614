"""Turn the figures of a caption into the probability that it names nothing that is not there.

    Figures, outcomes --fit--> Law --probability--> 0 to 1
    captioner --law_of--> Law, or None      --judge_of--> function of features and hypotheses

Logistic regression (Cox 1958) on a captioner's own figures, as Platt 1999 calibrates a classifier.
The law belongs to a captioner's weights and stands in its checkpoint, where `python -m calibration`
writes it. It was fitted on one kind of photographs and one kind of search; of others its order
means more than its level, see docs/EXPERIMENTS.md.
"""

import math
from functools import partial
from typing import NamedTuple

import numpy as np

from calibration.figures import figures_of
from decoders.confidence import weigh
from system.files import BadInput
from system.shapes import misfit

KEY = "calibration"         # in a checkpoint's `about`
LAW = {"bias": float, "naming": float, "others": float}
NOTED = {"law": LAW, "data": str, "split": str, "fitted": int, "measured": int, "absent": float,
         "error": float, "auc": float}
GUESS = 0.8                 # a caption of less probability is a guess
FEWEST = 10                 # captions that name an absent object, and that do not
PRIOR = 0.01                # precision of each weight's normal prior: finite where figures separate


class Law(NamedTuple):
    """The weights of a logistic law: its logit is bias + naming * figure + others * figure."""

    bias: float
    naming: float
    others: float

    def probability(self, figures):
        """Return the probability that a caption of these `Figures` names nothing absent."""
        if not figures.names:
            return 1.0              # nothing that is named can be absent
        logit = self.bias + self.naming * figures.naming + self.others * figures.others
        return 0.5 * (1 + math.tanh(logit / 2))             # the sigmoid, without overflow


def fit(figures, right):
    """Return the `Law` under which the outcomes `right` (N,) of `Figures` are likeliest.

    Raises `BadInput` where too few captions name an object that is absent, or none that is not.
    """
    from scipy.optimize import minimize  # here: who describes a photograph fits nothing

    naming = np.array([one.names for one in figures], bool)
    rows = np.array([[1, one.naming, one.others] for one in figures], float)[naming]
    outcomes = np.asarray(right, bool)[naming]
    if min(outcomes.sum(), (~outcomes).sum()) < FEWEST:
        raise BadInput(f"of {len(figures)} captions {outcomes.sum()} name objects that are there "
                       f"and {(~outcomes).sum()} one that is not, and {FEWEST} of each are needed "
                       "to calibrate: give photographs with COCO's objects, and more of them")

    def loss(weights):
        scores = rows @ weights                                             # (N,)
        chances = 0.5 * (1 + np.tanh(scores / 2))
        return (np.logaddexp(0, np.where(outcomes, -scores, scores)).sum()
                + PRIOR / 2 * weights @ weights, rows.T @ (chances - outcomes) + PRIOR * weights)

    return Law(*minimize(loss, np.zeros(3), jac=True, method="BFGS").x.tolist())


def law_of(captioner):
    """Return the `Law` in a captioner's checkpoint, None if it has none; `BadInput` if damaged."""
    noted = captioner.about.get(KEY)
    if noted is None:
        return None
    if place := misfit(noted, NOTED):
        raise BadInput(f"the checkpoint's calibration is not as this program writes it ({place}): "
                       "run python -m calibration on it again")
    return Law(**{name: float(noted["law"][name]) for name in LAW})


def judge_of(captioner):
    """Return a function of a picture's features (1, ...) and hypotheses that gives the probability
    of each; None for a captioner that is not calibrated.
    """
    law = law_of(captioner)
    return None if law is None else partial(probabilities, captioner, law)


def probabilities(captioner, law, features, found):
    """Return the probability of each hypothesis of one picture, of features (1, ...), by a `Law`.
    """
    said = weigh(captioner.decoder, captioner.embed(features), found, captioner.vocab, rivals=0)
    return [law.probability(figures_of(one.words)) for one in said]
