"""BLEU, ROUGE-L and CIDEr-D: the numbers of coco-caption, counted here.

    candidates: one sentence per picture    references: several    --bleu, rouge_l, CiderD--> score

A sentence is a list of words, which may be strings or integers. All three ask how much of a
candidate the references say too, and differ in what they count:

    bleu        runs of 1 to 4 words, each at most as often as one reference has it
                (Papineni et al. 2002)
    rouge_l     the longest sequence of words in common, with gaps (Lin 2004)
    CiderD      runs of 1 to 4 words, weighed by how few pictures they are said of
                (Vedantam et al. 2015, arXiv:1411.5726)
"""

import math
from collections import Counter
from itertools import groupby

import numpy as np

TINY, SMALL = 1e-15, 1e-9       # coco-caption adds them, lest a BLEU divide by zero


def runs(words):
    """The runs of 1, of 2, of 3 and of 4 words in a sentence: four iterators over tuples."""
    return [zip(*(words[start:] for start in range(n)), strict=False) for n in (1, 2, 3, 4)]


def bleu(candidates, references):
    """BLEU-1 to BLEU-4 of the whole corpus, 0 to 1."""
    shared, written = [0] * 4, [0] * 4
    length = nearest = 0
    for words, truths in zip(candidates, references, strict=True):
        length += len(words)
        nearest += min((abs(len(truth) - len(words)), len(truth)) for truth in truths)[1]
        for n, (mine, *theirs) in enumerate(zip(runs(words), *map(runs, truths), strict=True)):
            written[n] += max(0, len(words) - n)
            shared[n] += clipped(Counter(mine), map(Counter, theirs))
    precisions = [(hits + TINY) / (count + SMALL)
                  for hits, count in zip(shared, written, strict=True)]
    ratio = (length + TINY) / (nearest + SMALL)
    brevity = math.exp(min(0, 1 - 1 / ratio))
    return [math.prod(precisions[:n]) ** (1 / n) * brevity for n in (1, 2, 3, 4)]


def clipped(counts, others):
    """The sum of `counts`, each no more than it is in one of the `others`."""
    most = {}
    for other in others:
        for run in counts.keys() & other.keys():
            most[run] = max(most.get(run, 0), min(counts[run], other[run]))
    return sum(most.values())


def rouge_l(candidates, references, beta=1.2):
    """The mean over pictures of ROUGE-L, 0 to 1: the F-measure of the best precision and recall."""
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
    """The length of the longest common subsequence, by the bits of integers (Hyyrö 2004).

    Going through `others`, bit k of `row` is 0 where the first k + 1 words have one more in common
    with what was read than the first k.
    """
    places = {}
    for place, word in enumerate(words):
        places[word] = places.get(word, 0) | 1 << place
    row = all_ones = (1 << len(words)) - 1
    for word in others:
        hits = row & places.get(word, 0)
        row = (row + hits | row - hits) & all_ones
    return len(words) - row.bit_count()


class CiderD:
    """CIDEr-D against a set of references, of sentences of any of their pictures.

    references: of each picture its sentences.  How much a run of words weighs depends on the
    number of these pictures that it is said of: for a corpus score give the references of the
    corpus, for rewards in training those of the whole training set.
    """

    def __init__(self, references):
        self.references = references
        pictures = Counter()
        for truths in references:
            pictures.update({run for words in truths for same in runs(words) for run in same})
        self.rarest = math.log(len(references))
        # said of one picture counts as said of none, so what weighs most need not be kept
        self.rarity = {run: self.rarest - math.log(count)
                       for run, count in pictures.items() if count > 1}

    def scores(self, candidates, pictures=None):
        """The score of each candidate, 0 to 10, as an array.

        pictures: the number of each candidate's picture in `references`; by default, one candidate
        is given for every picture. Candidates of one picture should stand together.
        """
        found = []
        pictures = range(len(self.references)) if pictures is None else pictures
        for picture, pairs in groupby(zip(pictures, candidates, strict=True), lambda pair: pair[0]):
            truths = [(len(words), self.vectors(words)) for words in self.references[picture]]
            for _, words in pairs:
                vectors = self.vectors(words)
                found.append(sum(likeness(vectors, theirs, len(words) - length)
                                 for length, theirs in truths) / len(truths))
        return np.array(found)

    def vectors(self, words):
        """Of a sentence's runs of 1, 2, 3 and 4 words: ({run: weight}, norm of the weights)."""
        found = []
        rarity, rarest = self.rarity.get, self.rarest
        for same in runs(words):
            weights = {}
            for run in same:
                weights[run] = weights.get(run, 0) + rarity(run, rarest)
            found.append((weights, math.hypot(*weights.values())))
        return found


def likeness(vectors, theirs, longer, sigma=6):
    """The cosine of clipped weights, 0 to 10; less the more words one sentence is longer by."""
    total = 0
    for (mine, norm), (other, other_norm) in zip(vectors, theirs, strict=True):
        shared = mine.keys() & other.keys()
        if not shared:
            break                   # nor is there a longer run in common
        product = sum(min(mine[run], other[run]) * other[run] for run in shared)
        if product:                 # a run said of every picture weighs nothing
            total += product / (norm * other_norm)
    return 10 / 4 * total * math.exp(-longer**2 / (2 * sigma**2))
