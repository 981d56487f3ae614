"""Fit a law to one half of a split's captions and measure it on the other.

    captioner, split --captions--> Figures, outcomes --fit--> Law --> what a checkpoint notes

Logistic regression by maximum likelihood, with a normal prior that is felt only where the figures
separate the outcomes.
"""

import numpy as np
from scipy.optimize import minimize

from calibration.figures import right, weigh_each
from calibration.law import Law
from captioning.evaluation import objects_of
from coco.dataset import in_drawn_order
from scoring.calibration import area_under_curve, calibration_error
from system.files import BadInput

SEED = 0                    # of the halves
FEWEST = 10                 # captions that name an absent object, and that do not
PRIOR = 0.01                # precision of each weight's prior


def halves(split):
    """Return which pictures of a split fit a law, (P,) booleans; the others measure it."""
    pictures = split.pictures
    chosen = in_drawn_order(range(len(pictures)), SEED, lambda number: pictures[number].id)
    fits = np.zeros(len(pictures), bool)
    fits[chosen[:len(pictures) // 2]] = True
    return fits


def calibrated(captioner, split, data):
    """Return what a checkpoint notes: the law of one half of a split, its measures on the other.

    data: the dataset's name.  Raises `BadInput` where too few captions of a half name an object
    that is absent, or none that is.
    """
    features = captioner.features(split)[0]
    found = captioner.hypotheses(features)
    figures = weigh_each(captioner, features, found)
    outcomes = right([captioner.vocab.decode(best.words) for best, *_ in found], objects_of(split))
    naming, fits = np.array([one.names for one in figures]), halves(split)
    for half in (fits, ~fits):
        refuse_few(outcomes[half & naming], half.sum())
    law = fit([one for one, fitting in zip(figures, fits, strict=True) if fitting], outcomes[fits])
    chances = np.array([law.probability(one) for one in figures])[~fits]
    return {"law": law._asdict(), "data": data, "split": split.name, "fitted": int(fits.sum()),
            "measured": len(chances), "absent": float(1 - outcomes[~fits].mean()),
            "error": calibration_error(chances, outcomes[~fits]),
            "auc": area_under_curve(chances, outcomes[~fits])}


def refuse_few(outcomes, captions):
    """Raise `BadInput` unless of the captions that name something enough are right, enough wrong.
    """
    there, absent = outcomes.sum(), (~outcomes).sum()
    if min(there, absent) < FEWEST:
        raise BadInput(f"of {captions} captions in a half of val {absent} name an object that is "
                       f"absent and {there} only what is there, and to calibrate it takes {FEWEST} "
                       "of each: give photographs with COCO's objects, and more of them")


def fit(figures, outcomes):
    """Return the `Law` under which the outcomes (N,) of N `Figures` are likeliest.

    Captions that name nothing are left out, since nothing is to be learnt of them.
    """
    naming = np.array([one.names for one in figures], bool)
    rows = np.array([[1, one.naming, one.others] for one in figures], float)[naming]     # (n, 3)
    true = np.asarray(outcomes, bool)[naming]

    def loss(weights):
        """Return minus the log posterior and its gradient."""
        logits = rows @ weights
        chances = 0.5 * (1 + np.tanh(logits / 2))
        return (np.logaddexp(0, np.where(true, -logits, logits)).sum()
                + PRIOR / 2 * weights @ weights, rows.T @ (chances - true) + PRIOR * weights)

    return Law(*minimize(loss, np.zeros(3), jac=True, method="BFGS").x.tolist())
