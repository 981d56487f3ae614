"""Tell how sure a decoder was of each word, what else it might have said, and where it looked.

    features (1, ...), hypotheses --weigh--> a `Weighed` for each: sentence, confidence, words

All words of a caption are scored at once, as in training; that gives the probabilities with which
the search chose them, before its rules and its temperature. They are the decoder's own opinion,
not how often it is right: experiments/strangers/confidence.py holds them against scores.

Shape letters:  K hypotheses of one picture   T tokens   V vocabulary   L grid cells or regions
"""

import math
from typing import NamedTuple

import torch
from torch.nn.utils.rnn import pad_sequence

from vocabulary import END_ID, START_ID, UNK_ID

ENDS = "(the end)"          # a rival that is no word: the sentence could have stopped there


class Word(NamedTuple):
    """A word of a caption with its probability, given the picture and the words before it.

    rivals: (word, probability) of the likeliest other words there, best first, but not the word
    before it, which a search does not repeat.
    looked: (L,) weights of the cells or regions that chose it, None if the decoder has no attention
    """

    text: str
    probability: float
    rivals: list
    looked: torch.Tensor | None


class Weighed(NamedTuple):
    """A sentence, the geometric mean of its words' probabilities, its end's included, the words.
    """

    sentence: str
    confidence: float
    words: list


@torch.no_grad()
def weigh(decoder, features, hypotheses, vocab, rivals=4, of_cells=None):
    """Return the `Weighed` of each hypothesis that a search found for one picture.

    features: as the decoder reads them, (1, E) or (1, L, E).  rivals: words beside each.
    of_cells: a function of the weights that leaves those with a place in the picture; None: all.
    """
    captions = pad_sequence([torch.tensor(one.words) for one in hypotheses], True, END_ID)
    scores, looked = scored(decoder.eval(), features, captions.to(features.device))
    chances = scores.float().softmax(dim=2).cpu()                               # (K, T, V)
    looked = ([None] * len(hypotheses) if looked is None else
              (of_cells(looked) if of_cells else looked).cpu())
    return [weighed(*one, vocab, rivals) for one in zip(hypotheses, chances, looked, strict=True)]


def scored(decoder, features, captions):
    """Return scores (K, T, V) of captions (K, T), and weights (K, T, L) or None."""
    if not decoder.grid or not hasattr(decoder, "attended"):
        return decoder(features, captions), None
    hidden, weights = decoder.attended(features, captions)
    return decoder.score(hidden), weights


def weighed(found, chances, looked, vocab, rivals):
    """Return the `Weighed` of a `Hypothesis`; chances (T, V) and looked (T, L) or None are its."""
    words, end = [], found.words.index(END_ID)
    for place in range(1, end):
        known = {START_ID, UNK_ID, *found.words[place - 1:place + 1]}
        values, others = chances[place].topk(min(rivals + len(known), len(vocab)))
        others = [(ENDS if other == END_ID else vocab.idx2word[other], value)
                  for other, value in zip(others.tolist(), values.tolist(), strict=True)
                  if other not in known]
        word = found.words[place]
        words.append(Word(vocab.idx2word[word], chances[place, word].item(), others[:rivals],
                          None if looked is None else looked[place]))
    return Weighed(vocab.decode(found.words), math.exp(found.rank(1)), words)
