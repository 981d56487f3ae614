"""Find the sentences that fit what is known to be in a picture.

    fractions (P, W), sentences --nearest--> the N nearest by cosine --consensus--> a few of them

Words weigh by their rarity, as far as they are likelier than in any picture. Of the nearest, those
are chosen that the others resemble most, after Devlin et al. 2015 (arXiv:1505.04467).

Shape letters:  P pictures   W words   N sentences   k nearest ones
"""

import torch
from torch.nn import functional
from tqdm import tqdm

NEAREST = 80
TEMPERATURE = 0.05          # of the weights of the nearest, by their cosines
RAREST = 5.0                # the largest weight of a word, in nats: typing errors are rarest
AT_ONCE = 64                # pictures


def weights_of(words):
    """Return how much each word weighs (W,), by rarity."""
    return words.idf.clamp(max=RAREST)


def nearest(fractions, sentences, words, count=NEAREST):
    """Return cosines (P, k) and numbers (P, k) of the sentences nearest to each picture.

    fractions (P, W): of a picture's captions that have each word.  sentences: `Bags` of N.
    """
    weight = weights_of(words)
    length = sentences.sums(weight[:, None]**2).sqrt().clamp(min=1e-6)                  # (N, 1)
    asked = functional.normalize((fractions - words.prior).clamp(min=0) * weight, dim=1)
    found = [(sentences.sums((part * weight).T.contiguous()) / length).topk(
        min(count, len(sentences)), dim=0) for part in tqdm(
            asked.split(AT_ONCE), "finding sentences", unit="batch", leave=False)]
    return (torch.cat([values.T for values, _ in found]),
            torch.cat([numbers.T for _, numbers in found]))


def expected(cosines, numbers, sentences):
    """Return the fraction (P, W) of the nearest sentences that have each word, the nearest most."""
    weights = (cosines / TEMPERATURE).softmax(1)
    return torch.stack([weight @ sentences.dense(row) for weight, row in zip(
        weights, numbers.tolist(), strict=True)])


def consensus(cosines, numbers, sentences, words, source, count):
    """Return the numbers of `count` sentences for each picture, or of as many as there are.

    cosines, numbers: of `nearest`.  source: of each sentence, the picture that it is of; no two are
    of one picture, so that they differ as sentences of several people do.
    """
    chosen = []
    for cosine, row in zip(cosines, numbers.tolist(), strict=True):
        bags = functional.normalize(sentences.dense(row) * weights_of(words), dim=1)
        alike = bags @ (bags.T @ (cosine / TEMPERATURE).softmax(0))
        mine = {}
        for place in (cosine + alike).argsort(descending=True, stable=True).tolist():
            mine.setdefault(source[row[place]], row[place])
        chosen.append(list(mine.values())[:count])
    return chosen
