"""Sentences without pictures, and drawing some of them for a step.

    COCO captions files --read_text--> Split     Split, Errors --Text.draw--> captions, words

Shape letters:  B captions   T tokens   W concept words
"""

import numpy as np
import torch

from coco.dataset import Picture, Split, kept_captions
from concepts.nouns import named
from data_loader import as_captions, tokenized


def read_text(files):
    """Return the sentences of COCO captions files as one `Split`, whose pictures are not there."""
    return Split("text", tuple(Picture(number, None, tuple(sentences)) for file in files
                               for number, _, sentences in kept_captions(file)))


class Text:
    """Sentences as integers, and what a classifier might see in their pictures.

    words: the concept words.  errors: an `Errors` of these words.  longest: see `CaptionData`.
    """

    def __init__(self, split, vocab, words, errors, longest):
        captions, lengths = as_captions(tokenized(split), vocab, longest)
        order = lengths.argsort(stable=True)            # those of like length side by side
        self.captions, self.lengths = captions[order], lengths[order]
        self.said = [np.flatnonzero(row) for row in named(split.sentences, words)[order.numpy()]]
        self.errors, self.words = errors, words

    def __len__(self):
        return len(self.captions)

    def draw(self, count):
        """Return captions (B, T), lengths (B,) and certainties (B, W) of about as long sentences.
        """
        # by torch's generator, whose state a run keeps
        random = np.random.default_rng(int(torch.randint(2**31, ())))
        count = min(count, len(self))
        first = int(random.integers(len(self) - count + 1))
        lengths = self.lengths[first:first + count]
        certain = torch.zeros(count, len(self.words))
        for row, names in zip(certain, self.said[first:first + count], strict=True):
            if found := self.errors.draw(names, random):
                row[list(found)] = torch.tensor(list(found.values()))
        return self.captions[first:first + count, :int(lengths.max())], lengths, certain
