"""Two ways to tell a clip without training, which a trained model has to beat.

    constant    for every clip the paragraph of train that is most like all the others
    nearest     of the nearest clip of train, by its features, the paragraph most like its others

Likeness is CIDEr-D's cosine of n-grams weighted by rarity (Vedantam et al. 2015, arXiv:1411.5726),
without its penalty of length. Two clips are near if their thirds are: the mean cell of each third
of one at a small angle to that of the other, so that what comes first and last counts.

Shape letters:  P clips   T frames   L grid cells   D channels
"""

from collections import Counter

import numpy as np

from scoring.paragraphs import letters
from scoring.scores import CiderD

PARTS = 3                   # of a clip, in the order of time


def constant(train, told):
    """Return for each clip of `told` the same paragraph of `train`, a list of sentences."""
    texts = [[text_of(segments) for segments in several] for several in train.paragraphs]
    place = most_like([one for several in texts for one in several], CiderD(texts))
    chosen = [segments for several in train.paragraphs for segments in several][place]
    return [[one.sentence for one in chosen]] * len(told)


def nearest(train, told, train_features, features):
    """Return for each clip of `told` a paragraph of its nearest clip of `train`.

    Both features are `ClipFeatures`.
    """
    known, asked = vectors(train_features), vectors(features)
    scorer = CiderD([[text_of(segments) for segments in several] for several in train.paragraphs])
    found = []
    for place in (asked @ known.T).argmax(axis=1).tolist():
        several = train.paragraphs[place]
        chosen = several[most_like([text_of(one) for one in several], scorer)]
        found.append([one.sentence for one in chosen])
    return found


def vectors(features):
    """Return the thirds of each clip of `ClipFeatures`, (P, PARTS * D), of length 1."""
    found = []
    for clip in range(len(features)):
        cells = features.of(clip)[0].astype(np.float32)
        means = cells.reshape(len(cells), -1, cells.shape[-1]).mean(axis=1)         # (T, D)
        parts = np.array_split(np.resize(means, (max(PARTS, len(means)), means.shape[1])), PARTS)
        found.append(np.concatenate([part.mean(axis=0) for part in parts]))
    found = np.array(found)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)


def text_of(segments):
    """Return the words of a paragraph as it is scored."""
    return letters(" ".join(one.sentence for one in segments))


def most_like(texts, scorer):
    """Return the place of the text, a list of words, that is most like all of them."""
    each = [scorer.vectors(words) for words in texts]
    sums = [Counter() for _ in each[0]]
    for vectors_of_one in each:
        for total, (weights, norm) in zip(sums, vectors_of_one, strict=True):
            for n_gram, weight in weights.items():
                total[n_gram] += weight / max(norm, 1e-12)

    def agreement(place):
        """Add up the cosines of a text with every text."""
        return sum(weight * total[n_gram] / max(norm, 1e-12)
                   for total, (weights, norm) in zip(sums, each[place], strict=True)
                   for n_gram, weight in sorted(weights.items()))

    return max(range(len(texts)), key=agreement)
