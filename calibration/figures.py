"""Sum up in two figures how boldly a caption names objects, and look whether it was right to.

    words of a caption, their probabilities --figures_of--> Figures
    captioner, features, hypotheses --weigh_each--> Figures of each picture's best caption
    sentences, what each picture shows --right--> (P,) whether nothing that is named is absent

Objects are COCO's 80 categories, as CHAIR finds them in sentences. People are left out of the
second figure: they are in so many photographs that to name them is hardly bold.
"""

import math
from typing import NamedTuple

import numpy as np

from decoders.confidence import weigh

LEAST = 1e-9                # of a word's probability, whose logarithm is taken


class Figures(NamedTuple):
    """How sure a decoder was of the words that name objects, and how many it named.

    naming: the sum of the log-probabilities of these words, 0 or less.
    others: how many different objects are named besides people.  names: whether any is.
    """

    naming: float
    others: int
    names: bool


def figures_of(words):
    """Return the `Figures` of a caption's words, each with a `text` and a `probability`."""
    from scoring.objects import mentions  # here: a captioner that is not calibrated needs none

    said = mentions(" ".join(word.text for word in words))
    naming, start = 0.0, 0
    for word in words:
        stop = start + len(word.text)
        if any(one.start < stop and start < one.stop for one in said):
            naming += math.log(max(word.probability, LEAST))
        start = stop + 1
    labels = {one.label for one in said}
    return Figures(naming, len(labels - {"person"}), bool(labels))


def weigh_each(captioner, features, found):
    """Return the `Figures` of each picture's best hypothesis; features (P, ...)."""
    return [figures_of(weigh(captioner.decoder, captioner.embed(features[row:row + 1]), [best],
                             captioner.vocab, rivals=0)[0].words)
            for row, (best, *_) in enumerate(found)]


def right(sentences, objects):
    """Return whether each sentence names no object that is absent, an array (P,) of booleans.

    objects: the set of categories in each picture, from `captioning.evaluation.objects_of`.
    """
    from scoring.chair import absent  # here: who describes a photograph judges nothing

    return np.array([not absent(*pair) for pair in zip(sentences, objects, strict=True)])
