"""BLEU, ROUGE-L and CIDEr-D: the numbers of coco-caption, counted here.

    candidates: one sentence per picture    references: several    --bleu, rouge_l, CiderD--> score

A sentence is a list of words, which may be strings or integers. All three ask how much of a
candidate the references say too, and differ in what they count:

    bleu        n-grams of 1 to 4 words, each at most as often as one reference has it
                (Papineni et al. 2002)
    rouge_l     the longest sequence of words in common, with gaps (Lin 2004)
    CiderD      n-grams of 1 to 4 words, weighed by how few pictures have them in a reference
                (Vedantam et al. 2015, arXiv:1411.5726)
"""

import math
from collections import Counter
from itertools import groupby

import numpy as np

ORDERS = (1, 2, 3, 4)           # of n-grams
TINY, SMALL = 1e-15, 1e-9       # coco-caption adds them, lest a BLEU divide by zero


def n_grams(words):
    """Return the n-grams of a sentence of 1, 2, 3 and 4 words: four iterators over tuples."""
    return [zip(*(words[start:] for start in range(n)), strict=False) for n in ORDERS]


def bleu(candidates, references):
    """Return BLEU-1, BLEU-2, BLEU-3 and BLEU-4 of the whole corpus, 0 to 1."""
    matched, written = [0] * 4, [0] * 4
    length = nearest = 0
    for words, truths in zip(candidates, references, strict=True):
        length += len(words)
        # the reference nearest in length; of two equally near the shorter
        nearest += min((abs(len(truth) - len(words)), len(truth)) for truth in truths)[1]
        for n, (mine, *theirs) in enumerate(zip(n_grams(words), *map(n_grams, truths),
                                                strict=True)):
            written[n] += max(0, len(words) - n)
            matched[n] += clipped(Counter(mine), map(Counter, theirs))
    precisions = [(hits + TINY) / (count + SMALL)
                  for hits, count in zip(matched, written, strict=True)]
    ratio = (length + TINY) / (nearest + SMALL)
    brevity = math.exp(min(0, 1 - 1 / ratio))       # short candidates are easily precise
    return [math.prod(precisions[:n]) ** (1 / n) * brevity for n in ORDERS]


def clipped(counts, others):
    """Return the sum of `counts`, each clipped to the largest count in one of the `others`."""
    most = {}
    for other in others:
        for n_gram in counts.keys() & other.keys():
            most[n_gram] = max(most.get(n_gram, 0), min(counts[n_gram], other[n_gram]))
    return sum(most.values())


def rouge_l(candidates, references, beta=1.2):
    """Return the mean ROUGE-L: the F-measure of the best precision and the best recall."""
    total = 0
    for words, truths in zip(candidates, references, strict=True):
        common = [longest_common(words, truth) for truth in truths]
        if any(common):
            precision = max(common) / len(words)
            recall = max(count / len(truth)
                         for count, truth in zip(common, truths, strict=True) if count)
            total += (1 + beta**2) * precision * recall / (recall + beta**2 * precision)
    return total / len(candidates)


def longest_common(words, others):
    """Return the length of the longest common subsequence, by the bits of integers (Hyyrö 2004)."""
    places = {}
    for place, word in enumerate(words):
        places[word] = places.get(word, 0) | 1 << place
    row = all_ones = (1 << len(words)) - 1
    # After each word of `others`, bit k is 0 where the longest common subsequence with the first
    # k + 1 words is longer by one than that with the first k.
    for word in others:
        hits = row & places.get(word, 0)
        row = (row + hits | row - hits) & all_ones
    return len(words) - row.bit_count()


class Unavailable(Exception):
    """A metric gives no score; the message is the reason."""


class CiderD:
    """CIDEr-D of sentences against the references of their pictures.

    references: a list of sentences for each picture.  The weight of an n-gram depends on the number
    of these pictures whose references have it: for a corpus score give the references of the
    corpus, for rewards in training those of the whole training set.
    """

    def __init__(self, references):
        self.references = references
        pictures = Counter()
        for truths in references:
            pictures.update({one for words in truths for order in n_grams(words) for one in order})
        self.rarest = math.log(len(references))
        # else every n-gram is of every picture, and weighs nothing, or there is none
        self.discerns = min(pictures.values(), default=len(references)) < len(references)
        # one picture weighs as much as none, so the many n-grams of one picture need no entry
        self.rarity = {n_gram: self.rarest - math.log(count)
                       for n_gram, count in pictures.items() if count > 1}

    def scores(self, candidates, pictures=None):
        """Return the score of each candidate, 0 to 10, as an array (candidates,).

        pictures: the place of each candidate's picture in `references`; by default there is one
        candidate for every picture.
        """
        found = []
        pictures = range(len(self.references)) if pictures is None else pictures
        # the references' vectors are made once for the neighbouring candidates of a picture
        for picture, pairs in groupby(zip(pictures, candidates, strict=True), lambda pair: pair[0]):
            truths = [(len(words), self.vectors(words)) for words in self.references[picture]]
            for _, words in pairs:
                vectors = self.vectors(words)
                found.append(sum(likeness(vectors, theirs, len(words) - length)
                                 for length, theirs in truths) / len(truths))
        return np.array(found)

    def vectors(self, words):
        """Return ({n-gram: weight}, norm of the weights) for n-grams of 1, 2, 3 and 4 words."""
        found = []
        rarity, rarest = self.rarity.get, self.rarest
        for order in n_grams(words):
            weights = {}
            for n_gram in order:
                weights[n_gram] = weights.get(n_gram, 0) + rarity(n_gram, rarest)
            found.append((weights, math.hypot(*weights.values())))
        return found


def likeness(vectors, theirs, longer, sigma=6):
    """Return the CIDEr-D of two sentences, 0 to 10, from their `vectors`.

    longer: by how many words one sentence is longer than the other, with any sign.
    """
    total = 0
    for (mine, norm), (other, other_norm) in zip(vectors, theirs, strict=True):
        common = mine.keys() & other.keys()
        if not common:
            break                   # nor is there a longer n-gram in common
        # exact, since the order of a set of strings differs from process to process
        product = math.fsum(min(mine[n_gram], other[n_gram]) * other[n_gram] for n_gram in common)
        if product:                 # an n-gram of every picture weighs nothing
            total += product / (norm * other_norm)
    return 10 / 4 * total * math.exp(-longer**2 / (2 * sigma**2))
