"""Scores of paragraphs about videos: overlap with people's, repetition, diversity.

    {video: sentences}, {video: reference paragraphs} --paragraph_scores--> {"Bleu_4": ..., "R@4"}

Overlap is coco-caption's, each paragraph as one long sentence of letters alone, in lower case, as
in the program of MART (Lei et al. 2020, arXiv:2005.05402). Repetition is its `evaluateRepetition`:

    R@n   = n-grams that a paragraph has said before / all its n-grams      less is better
    Div_n = different n-grams of a paragraph / its words                    (Shetty et al. 2017)

n-grams lie within a sentence; both are means over paragraphs. People's R@4 is 0.8 % (ActivityNet
Captions) and 1.3 % (YouCook2).
"""

import re
from collections import Counter

from scoring.diversity import distinct_n
from scoring.metrics import compute
from scoring.scores import n_grams
from system.files import BadInput

REPETITION = ("R@1", "R@2", "R@3", "R@4")
DIVERSITY = {"Div_1": 1, "Div_2": 2}


def letters(text):
    """Return the words of a paragraph: sequences of a to z, for "don't" two."""
    return re.sub("[^a-zA-Z]", " ", text).lower().split()


def plain_words(sentence):
    """Return the words by which repetition is counted: as written, without commas and a last stop.

    The published program counts the space before a sentence as a word; here it is none.
    """
    return sentence.strip().removesuffix(".").replace(",", " ").split()


def repetition(paragraphs):
    """Return R@1, R@2, R@3 and R@4, 0 to 1; paragraphs: lists of sentences, lists of words.

    A paragraph without an n-gram repeats none.
    """
    sums = [0.0] * len(REPETITION)
    for sentences in paragraphs:
        counts = [Counter() for _ in sums]
        for words in sentences:
            for count, order in zip(counts, n_grams(words), strict=True):
                count.update(order)
        for place, count in enumerate(counts):
            sums[place] += (count.total() - len(count)) / max(1, count.total())
    return [one / len(paragraphs) for one in sums]


def paragraph_scores(paragraphs, references, slow=False):
    """Return all scores by name, 0 to 1, CIDEr 0 to 10, and how many videos lack a paragraph.

    paragraphs: {video: [sentence]}.  references: {video: [paragraph]}, whose videos are scored; one
    that has no sentence counts 0 in the overlap and nothing in repetition and diversity.
    slow: METEOR too, where it runs. Raises `BadInput` if no video of the references has a sentence.
    """
    written = [[one for one in paragraphs.get(video, ()) if one.strip()] for video in references]
    if not any(written):
        raise BadInput(f"none of the {len(references)} videos has a paragraph: give paragraphs "
                       "about these videos")
    candidates = [letters(". ".join(sentences)) for sentences in written]
    truths = [[letters(one) for one in several] for several in references.values()]
    scores, _ = compute({
        "candidates": candidates, "references": truths,
        "sentences": [" ".join(words) for words in candidates],
        "reference_sentences": [[" ".join(words) for words in several] for several in truths]},
        slow=slow)
    told = [[plain_words(sentence) for sentence in sentences] for sentences in written if sentences]
    return {**scores, **dict(zip(REPETITION, repetition(told), strict=True)),
            **{name: sum(distinct_n(one, n) for one in told) / len(told)
               for name, n in DIVERSITY.items()},
            "missing": len(written) - len(told)}
