"""Score answers as VQA does: by how many of ten annotators gave the same.

    accuracy = mean over the annotators of min(1, others with the same answer / 3)

so 0, 1, 2, 3, and 4 or more annotators who agree give 0, .3, .6, .9 and 1. vqa/normalize.py has the
rules by which two answers are the same.

    accuracies(predicted, answers, "official") --> (N,) --by_type--> {type: mean}
"""

from collections import Counter, defaultdict

import numpy as np

from system.files import BadInput
from vqa.normalize import fixed, official, trimmed, without_marks

ENOUGH = 3                  # others with the same answer
RULES = "official", "official-2017", "fixed"


def compared(predicted, answers, rules):
    """Return a prediction and its annotators' answers as these rules compare them."""
    if rules == "fixed":
        return fixed(predicted), [fixed(answer) for answer in answers]
    if rules == "official-2017":
        differ = len(set(answers)) > 1
        return official(predicted), [without_marks(one) for one in answers] if differ else answers
    answers = [trimmed(answer) for answer in answers]
    if len(set(answers)) == 1:
        return trimmed(predicted), answers
    return official(predicted), [official(answer) for answer in answers]


def accuracy(predicted, answers, rules="official", annotators=None):
    """Return the accuracy of one prediction.

    annotators: whose each answer is. The program takes equal answers of one for the same, which
    happens in files whose annotations have no answer_id; by default, and by the fixed rules always,
    all are different.
    """
    predicted, answers = compared(predicted, answers, rules)
    if annotators is None or rules == "fixed":
        annotators = range(len(answers))
    same = Counter(whose for whose, answer in zip(annotators, answers, strict=True)
                   if answer == predicted).values()
    found = sum(same)
    # in whole numbers, so that .3, .6 and .9 are exact
    total = (len(answers) - found) * min(ENOUGH, found) + sum(
        count * min(ENOUGH, found - count) for count in same)
    return total / (ENOUGH * len(answers))


def accuracies(predicted, answers, rules="official", annotators=None):
    """Return the accuracies (N,) of N predictions, each with the answers of its ten annotators.

    rules: one of RULES.  annotators: as in `accuracy`, for each prediction.
    """
    if rules not in RULES:
        raise BadInput(f"there are no rules {rules!r}: give one of {', '.join(RULES)}")
    annotators = annotators or [None] * len(answers)
    return np.array([accuracy(*one, rules, whose) for *one, whose in
                     zip(predicted, answers, annotators, strict=True)], np.float64)


def by_type(scores, types):
    """Return {type: mean score} in the order of the alphabet."""
    held = defaultdict(list)
    for score, kind in zip(scores, types, strict=True):
        held[kind].append(score)
    return {kind: float(np.mean(held[kind])) for kind in sorted(held)}


def harmonic_mean(values):
    """Return the harmonic mean of numbers from 0 on: 0 if one of them is."""
    return len(values) / sum(1 / value for value in values) if all(values) else 0.0


def pair_accuracy(scores, pairs):
    """Return the share of pairs both of whose answers have accuracy 1; None without pairs."""
    return float((scores[pairs] == 1).all(1).mean()) if len(pairs) else None
