"""Two ways to caption a picture without training, which a trained captioner has to beat.

    most_frequent    for every picture the training sentence that occurs most often
    neighbour        a sentence of the nearest training picture, by the cosine of pooled features:
                     of its sentences the one most like the others, by CIDEr-D (after Devlin et al.
                     2015, arXiv:1505.04467)

Sentences are tokenised as for scoring: in lower case, without punctuation.
"""

from collections import Counter

import numpy as np

from encoders.backbones import Backbone, transform_of
from encoders.features import cached_features
from scoring import ptb
from scoring.scores import CiderD, likeness

CHUNK = 256                 # pictures compared with all of train in one matrix product


def most_frequent(train, val, settings):
    """Return, for every picture, the training sentence that occurs most often."""
    counts = Counter(" ".join(ptb.tokenize(sentence)) for sentence in train.sentences)
    return [counts.most_common(1)[0][0]] * len(val.pictures)       # the first of equals


def neighbour(train, val, settings):
    """Return, for every picture, the consensus of the sentences of the nearest training picture."""
    sentences = [[ptb.tokenize(sentence) for sentence in picture.sentences]
                 for picture in train.pictures]
    scorer = CiderD(sentences)
    return [" ".join(consensus(scorer, sentences[place]))
            for place in nearest(*pooled(train, val, settings))]


def pooled(train, val, settings):
    """Return pooled features of both splits, arrays (pictures, D), of unaugmented pictures."""
    backbone = Backbone(settings.encoder, settings.weights)
    transform = transform_of(settings.encoder, settings.fit)
    return (cached_features(backbone, transform, train, settings.views)[0],
            cached_features(backbone, transform, val)[0])


def nearest(rows, queries):
    """Return the index of the row (N, D) at the smallest angle to each query (Q, D): (Q,)."""
    rows = unit(rows).T                                                    # (D, N)
    return np.concatenate([(unit(queries[start:start + CHUNK]) @ rows).argmax(axis=1)
                           for start in range(0, len(queries), CHUNK)])


def unit(vectors):
    """Scale vectors (N, D) to length 1, in float32."""
    vectors = vectors.astype(np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def consensus(scorer, sentences):
    """Return the sentence of a picture, a list of words, with the highest CIDEr-D to the others."""
    found = [(len(words), scorer.vectors(words)) for words in sentences]

    def agreement(place):
        """Add up the CIDEr-D of a sentence with each of the others."""
        length, vectors = found[place]
        return sum(likeness(vectors, theirs, length - other)
                   for number, (other, theirs) in enumerate(found) if number != place)

    return sentences[max(range(len(sentences)), key=agreement)]
