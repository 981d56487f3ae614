"""Choose the content words of captions, and count them in texts.

    captions --choose--> Words --Words.bags--> Bags: which words each of N texts has

Shape letters:  N texts   W words   P pictures
"""

from collections import Counter
from dataclasses import dataclass

import torch
from torch.nn import functional

from vocabulary import tokenize

FUNCTION = frozenset([
    "a", "about", "an", "and", "any", "are", "as", "at", "be", "been", "being", "by", "can",
    "could", "did", "do", "does", "down", "each", "for", "from", "had", "has", "have", "he",
    "her", "here", "him", "his", "how", "if", "in", "into", "is", "it", "its", "many", "more",
    "no", "not", "of", "off", "on", "one", "other", "out", "over", "she", "so", "some", "such",
    "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "those",
    "three", "to", "two", "up", "was", "were", "what", "when", "where", "which", "while", "who",
    "why", "will", "with", "would", "yes", "you", "your"])
LEAST = 3                   # letters of a content word
RARE = 25                   # pictures: a word of fewer is left out


@dataclass(frozen=True)
class Words:
    """The W content words of captions, in alphabetical order.

    idf (W,): log of pictures over pictures whose captions have the word.  prior (W,): the mean
    fraction of a picture's captions that have it.
    """

    words: tuple
    idf: torch.Tensor
    prior: torch.Tensor

    def bags(self, texts):
        """Return the `Bags` of N texts, each an iterable of tokens."""
        places = {word: place for place, word in enumerate(self.words)}
        rows = [sorted({places[token] for token in text if token in places}) for text in texts]
        lengths = torch.tensor([0, *map(len, rows)])
        return Bags(torch.tensor([place for row in rows for place in row], dtype=torch.long),
                    lengths.cumsum(0), len(places))


@dataclass(frozen=True)
class Bags:
    """Which of W words each of N texts has: the numbers of all, and where each text begins (N + 1).
    """

    numbers: torch.Tensor
    begins: torch.Tensor
    size: int

    def __len__(self):
        return len(self.begins) - 1

    def sums(self, table):
        """Return for each text the sum (N, P) of the rows (P,) of its words in a table (W, P)."""
        return functional.embedding_bag(self.numbers, table, self.begins[:-1], mode="sum")

    def dense(self, rows):
        """Return zeros and ones (n, W) for the texts of these numbers."""
        found = torch.zeros(len(rows), self.size)
        for row, number in zip(found, rows, strict=True):
            row[self.numbers[self.begins[number]:self.begins[number + 1]]] = 1
        return found


def choose(pictures, rare=RARE):
    """Return the `Words` of pictures' captions; pictures: lists of captions, each a list of tokens.
    """
    number = Counter(word for captions in pictures for word in set().union(*captions))
    fraction = Counter()
    for captions in pictures:
        for word in (word for caption in captions for word in set(caption)):
            fraction[word] += 1 / len(captions)
    words = tuple(sorted(word for word, count in number.items() if count >= rare
                         and word.isalpha() and len(word) >= LEAST and word not in FUNCTION))
    return Words(words, torch.tensor([len(pictures) / number[word] for word in words]).log(),
                 torch.tensor([fraction[word] / len(pictures) for word in words]))


def tokens_of(split):
    """Return for each picture of a `Split` its captions, each a list of tokens."""
    return [[tokenize(sentence) for sentence in picture.sentences] for picture in split.pictures]


def fractions(pictures, words):
    """Return the fraction of each picture's captions that have each word, (P, W)."""
    bags = words.bags(caption for captions in pictures for caption in captions)
    dense = bags.dense(range(len(bags)))
    return torch.stack([part.mean(0) for part in dense.split([len(one) for one in pictures])])
