"""Two ways to caption a picture that learn nothing: what a trained captioner has to be better than.

    most_frequent    the sentence that was said most often in training, of every picture
    neighbour        a sentence of the training picture that looks most alike: the cosine of pooled
                     features is largest. Of its sentences the one that is most like its others, by
                     CIDEr-D (after Devlin et al. 2015, arXiv:1505.04467)

Sentences are compared, and given, as scores read them: in lower case, without punctuation.
"""

from collections import Counter

import numpy as np

from encoders.backbones import Backbone, transform_of
from encoders.features import cached_features
from scoring import ptb
from scoring.scores import CiderD, likeness

AT_ONCE = 256               # pictures compared with all of train in one matrix product


def most_frequent(train, val, settings):
    """The training sentence that occurs most often (the first of equals), for every picture."""
    counts = Counter(" ".join(ptb.tokenize(sentence)) for sentence in train.sentences)
    return [counts.most_common(1)[0][0]] * len(val.pictures)


def neighbour(train, val, settings):
    """For every picture the consensus of what was said of the training picture nearest to it."""
    sentences = [[ptb.tokenize(sentence) for sentence in picture.sentences]
                 for picture in train.pictures]
    scorer = CiderD(sentences)
    return [" ".join(consensus(scorer, sentences[place]))
            for place in nearest(*pooled(train, val, settings))]


def pooled(train, val, settings):
    """Features of both splits (pictures, D), of the pictures as they are."""
    backbone = Backbone(settings.encoder, settings.weights)
    transform = transform_of(settings.encoder, settings.fit)
    return (cached_features(backbone, transform, train, settings.views)[0],
            cached_features(backbone, transform, val)[0])


def nearest(rows, queries):
    """Of every query (Q, D) the place of the row (N, D) at the smallest angle to it, (Q,)."""
    rows = unit(rows).T                                                    # (D, N)
    return np.concatenate([(unit(queries[start:start + AT_ONCE]) @ rows).argmax(axis=1)
                           for start in range(0, len(queries), AT_ONCE)])


def unit(vectors):
    """Vectors (N, D) in float32, scaled to length 1."""
    vectors = vectors.astype(np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def consensus(scorer, sentences):
    """Of a picture's sentences, lists of words, the one that the others are most like."""
    found = [(len(words), scorer.vectors(words)) for words in sentences]

    def agreement(place):
        length, vectors = found[place]
        return sum(likeness(vectors, theirs, length - other)
                   for number, (other, theirs) in enumerate(found) if number != place)

    return sentences[max(range(len(sentences)), key=agreement)]
