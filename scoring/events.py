"""Scores of sentences that say when: dense captioning, and order-preserving F1.

    {video: [(start, end, words)]}, {video: annotators: [(start, end, words)]} --dense_scores--> {}
                                                                               --ordered_f1--> {}

`dense_scores` (Krishna et al. 2017, arXiv:1705.00754): at each of four overlaps in time, every
pair that overlaps so much is scored as a candidate with one reference, and a candidate without a
pair against nothing. It does not see what is left out, nor what is said twice; `ordered_f1` (the
idea of SODA, Fujita et al. 2020) does: one candidate has one reference, in the same order. Sum over
all pairs of overlap times likeness, divided by the candidates is a precision, by the references a
recall.

A video without candidates counts 0 in all of them. Where the published program is at fault
`published` follows it: a CIDEr whose rarity is counted in each video alone, an overlap a little
too small, and `>` in place of `>=` where no words are compared. Its words for "nothing" are drawn
at random; here they are one word that nobody can say.
"""

import numpy as np

from scoring.metrics import compute
from scoring.scores import CiderD, likeness, rouge_l

OVERLAPS = (0.3, 0.5, 0.7, 0.9)
NOTHING = ["\0"]            # what a candidate without a pair is compared with
SILENCE = [(0, 0, [])]      # stands for the candidates of a video that has none
EPSILON = 1e-8              # seconds that the published program adds to every union


def overlap(one, other, epsilon=0):
    """Return the intersection of two (start, end, ...) divided by their union, 0 to 1."""
    common = min(one[1], other[1]) - max(one[0], other[0])
    if common <= 0:
        return 0.0
    return common / (max(one[1], other[1]) - min(one[0], other[0]) + epsilon)


def dense_scores(candidates, references, overlaps=OVERLAPS, published=False, slow=False):
    """Return the scores by name, 0 to 1, CIDEr 0 to 10, the means over overlaps of those of videos.

    candidates: {video: [(start, end, words)]}.  references: {video: [such a list for each
    annotator]}, whose videos are scored.  published: with the program's faults.  slow: METEOR too,
    which starts Java for each video and overlap. "Precision" and "Recall" are of the times alone.
    """
    # a single video has no rare words, and no CIDEr
    rarity = None if published else CiderD([[words for several in annotators
                                             for *_, words in several]
                                            for annotators in references.values()])
    sums = {}
    for video, annotators in references.items():
        mine = candidates.get(video) or SILENCE
        for least in overlaps:
            for name, score in video_scores(mine, annotators, least, rarity, slow).items():
                sums[name] = sums.get(name, 0) + score
    return {name: total / len(references) / len(overlaps) for name, total in sums.items()}


def video_scores(mine, annotators, least, rarity, slow):
    """Return the scores of one video at one overlap; rarity: a `CiderD`, None as published."""
    epsilon = EPSILON if rarity is None else 0
    pairs = []
    for one in mine:
        fitting = [other[2] for several in annotators for other in several
                   if overlap(one, other, epsilon) >= least]
        pairs += [(one[2], words) for words in fitting or [NOTHING]]
    words = [one for one, _ in pairs]
    truths = [[other] for _, other in pairs]
    scores, _ = compute({"candidates": words, "references": truths,
                         "sentences": list(map(" ".join, words)),
                         "reference_sentences": [[" ".join(one)] for [one] in truths]}, slow=slow)
    if rarity is None:
        scores.setdefault("CIDEr", 0)       # of a single pair there is none
    elif rarity.discerns:
        scores["CIDEr"] = sum(likeness(rarity.vectors(one), rarity.vectors(other),
                                       len(one) - len(other)) for one, other in pairs) / len(pairs)
    else:
        scores.pop("CIDEr", None)
    return {**scores, **detection(mine, annotators, least, rarity is None)}


def detection(mine, annotators, least, published=False):
    """Return the share of candidates that fit in time, and of references; the best annotator's."""
    epsilon = EPSILON if published else 0
    found = []
    for several in annotators:
        shared = np.array([[overlap(one, other, epsilon) for other in several] for one in mine])
        fits = (shared > least if published else shared >= least).reshape(len(mine), len(several))
        found.append((fits.any(1).mean(), fits.any(0).mean()) if fits.size else (0, 0))
    precisions, recalls = zip(*found, strict=True)
    return {"Precision": float(max(precisions)), "Recall": float(max(recalls))}


def rouge_likeness(words, truth):
    """Return the ROUGE-L of two sentences, lists of words, 0 to 1."""
    return rouge_l([words], [[truth]])


def ordered_f1(candidates, references, alike=rouge_likeness):
    """Return {"Precision", "Recall", "F1"} of the best matching that keeps the order in time.

    candidates, references: as for `dense_scores`; of several annotators the one counts who gives
    the video's highest F1, the first of equals.  alike: (words, reference's words) -> 0 to 1.
    """
    total = said = asked = 0
    for video, annotators in references.items():
        mine = by_start(candidates.get(video, ()))
        sums = [(best_sum([[shared * alike(one[2], other[2]) if (shared := overlap(one, other))
                            else 0 for other in by_start(several)] for one in mine]), len(several))
                for several in annotators]
        best, count = max(sums, key=lambda pair: 2 * pair[0] / max(1, len(mine) + pair[1]))
        total, said, asked = total + best, said + len(mine), asked + count
    return {"Precision": total / max(1, said), "Recall": total / max(1, asked),
            "F1": 2 * total / max(1, said + asked)}


def by_start(events):
    """Return events in the order of their start, then of their end."""
    return sorted(events, key=lambda event: event[:2])


def best_sum(gains):
    """Return the highest sum of gains[i][j] over pairs that go on in both i and j.

    gains: rows of numbers, 0 or more. After each row `best[j]` is the highest sum of the rows so
    far with the first j columns.
    """
    best = [0] * (len(gains[0]) + 1) if gains else [0]
    for row in gains:
        above, best = best, [0]
        for column, gain in enumerate(row):
            best.append(max(best[-1], above[column + 1], above[column] + gain))
    return best[-1]
