"""Turn the figures of a caption into the probability that it names nothing that is not there.

    captioner --law_of--> Law, or None      Figures --Law.probability--> 0 to 1
    features, hypotheses of a picture --judge_of--> the probability of each

Logistic regression (Cox 1958) on a captioner's own figures, as Platt 1999 calibrates a classifier.
The law belongs to a captioner's weights and stands in its checkpoint, where `python -m calibration`
writes it. It was fitted on one kind of photographs and one kind of search; of others its order
means more than its level, see docs/EXPERIMENTS.md.
"""

import math
from functools import partial
from typing import NamedTuple

from calibration.figures import figures_of
from decoders.confidence import weigh
from system.files import BadInput
from system.shapes import misfit

KEY = "calibration"         # in a checkpoint's `about`
LAW = {"bias": float, "naming": float, "others": float}
NOTED = {"law": LAW, "data": str, "split": str, "fitted": int, "measured": int, "absent": float,
         "error": float, "auc": float}
GUESS = 0.8                 # a caption of less probability is a guess


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
