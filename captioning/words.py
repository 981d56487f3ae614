"""What a training takes from its captions: which words, and how long a caption may be.

    tokens of train --vocabulary_of--> Vocabulary     --length_of--> ids of the longest caption
"""

import sys

import numpy as np

from data_loader import LONGEST
from decoders.search import Search
from system.files import BadInput
from training.watching import warn
from vocabulary import Vocabulary

MOST_UNKNOWN = 0.2          # of a split's words, before it is said
FOREIGN = 0.5               # of train's words that are none of the captioner's to start with
FITTING = 0.95              # of train's captions, in what is written at most
SPACED = 2                  # words of a caption on average; fewer are sentences without spaces


def vocabulary_of(tokens, threshold, start=None):
    """Return the words that occur `threshold` times in train, after those of the captioner `start`.

    tokens: the `Tokens` of train.  Raises `BadInput` if there is no such word.
    """
    found = Vocabulary.build(tokens, threshold)
    if len(found) == len(Vocabulary(words=[])):
        raise BadInput(f"no word occurs {threshold} times in the captions of train, so there is "
                       f"nothing to learn: {remedy_for(tokens)}")
    if start is None:
        return found
    new = [word for word in found.words if word not in start.vocab]
    return Vocabulary(words=[*start.vocab.words[3:], *new])


def remedy_for(tokens):
    """Return what to do where words are too rare to be learned."""
    if tokens.lengths.mean() < SPACED:
        return ("the captions have hardly a space; separate their words by spaces, as a word "
                "segmenter does")
    return "give a lower --vocab-threshold, such as 1, or more captions"


def warn_of_words(vocab, train, val, start=None):
    """Warn if many words of train or val, two `Tokens`, are not known to those who need them."""
    for split, tokens in (("train", train), ("val", val)):
        if (share := unknown(vocab, tokens)) > MOST_UNKNOWN:
            warn(f"{share:.0%} of the words of {split} are <unk>: {remedy_for(tokens)}")
    if start and unknown(start.vocab, train) > FOREIGN:
        warn("the captioner to start with knows less than half of these words, and would keep "
             "writing its own: where they are another language, give --start None")


def unknown(vocab, tokens):
    """Return the share of a text's words that are not in the vocabulary."""
    counts = tokens.counts()
    return (sum(count for word, count in counts.items() if word not in vocab)
            / max(1, sum(counts.values())))


def length_of(tokens, max_length=None):
    """Return the ids of the longest caption to write, <start> and <end> counted, and say it.

    tokens: the `Tokens` of train.  max_length: a setting that wins.
    """
    most = int(np.quantile(tokens.lengths, FITTING, method="lower")) + 2
    most = max_length or max(Search.max_length, most)
    if most != Search.max_length:
        print(f"captions are written with at most {most - 2} words", file=sys.stderr)
    if cut := int((tokens.lengths + 2 > longest_read(most)).sum()):
        warn(f"{cut} captions of train have more than {longest_read(most) - 2} words and are cut "
             "there: --max-length sets the ids to be read and written")
    return most


def longest_read(max_length):
    """Return the ids at which a caption of train is cut, where `max_length` are written at most."""
    return max(LONGEST, max_length)
