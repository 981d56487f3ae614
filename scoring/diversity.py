"""Distinct-n: how much a captioner's sentences differ, whatever they are about.

Li et al. 2016 (arXiv:1510.03055). It says nothing of truth: random words score highest. Compare it
only between equally many sentences, since a language has a limited number of n-grams.
"""


def distinct_n(sentences, n):
    """Return the number of different n-grams divided by the number of words, 0 to 1.

    sentences: lists of words.  n: 1 or more.
    """
    n_grams = {n_gram for words in sentences
               for n_gram in zip(*(words[start:] for start in range(n)), strict=False)}
    return len(n_grams) / max(1, sum(map(len, sentences)))
