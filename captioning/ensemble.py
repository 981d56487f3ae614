"""Several captioners as one: the next word is chosen by the mean of their probabilities.

    split --Ensemble.features--> Rows --embed--> Rows --search--> sentences
    Rows --MeanDecoder.begin, step--> scores (B, V), state
    captioner --Views--> an ensemble of itself that sees a picture in several sizes

Each member has an encoder and a decoder of its own and keeps its own state; all read the same words
written so far. An `Ensemble` is used as a `Captioner` is.

Shape letters:  B captions   T tokens   V vocabulary   P pictures   D channels   L grid cells
"""

import math
from dataclasses import replace

import torch
from torch import nn

from captioning.captioner import Describer
from decoders.rules import log_probabilities
from model import State
from system.files import BadInput


class Rows:
    """Tensors or arrays, one or more of each member, that are indexed as if they were one.

    A search can so reorder the state of all members without knowing that there are several.
    """

    def __init__(self, parts):
        self.parts = list(parts)

    def __len__(self):
        return len(self.parts[0])

    def __getitem__(self, index):
        return Rows(part[index] for part in self.parts)

    @property
    def device(self):
        """The device of the tensors."""
        return self.parts[0].device


class MeanDecoder(nn.Module):
    """A decoder whose scores are the log of the mean probability that its members give a word.

    Its features and its state are `Rows` with one part of each member.
    """

    grid = False            # it has no attention of its own

    def __init__(self, decoders):
        super().__init__()
        self.decoders = nn.ModuleList(decoders)

    def forward(self, features, captions):
        """Return the scores (B, T, V) of whole captions (B, T), by teacher forcing."""
        scores = [decoder(part, captions).flatten(0, 1)
                  for decoder, part in zip(self.decoders, features.parts, strict=True)]
        return mean_probability(scores).unflatten(0, captions.shape)

    def begin(self, features):
        """Return the state before the first word: one `Rows` a member in `own` and `shared`."""
        return joined([decoder.begin(part)
                       for decoder, part in zip(self.decoders, features.parts, strict=True)])

    def step(self, words, state):
        """Return the scores (B, V) of the word after `words` (B,), and the next state."""
        members = zip(self.decoders, state.own, state.shared, strict=True)
        found = [decoder.step(words, State(tuple(own.parts), tuple(shared.parts)))
                 for decoder, own, shared in members]
        scores, states = zip(*found, strict=True)
        return mean_probability(scores), joined(states)


def joined(states):
    """Return one state of the members' states, whose rows a search reorders as one member's."""
    return State(tuple(Rows(one.own) for one in states), tuple(Rows(one.shared) for one in states))


class Ensemble(Describer):
    """Several captioners of one vocabulary; their encoders and decoders may differ.

    Raises `BadInput` if the vocabularies differ.
    """

    batch_size = 64         # pictures in one search: every member keeps its states of them

    def __init__(self, captioners):
        self.members, self.vocab = list(captioners), captioners[0].vocab
        if any(one.vocab.words != self.vocab.words for one in self.members):
            raise BadInput("captioners of different vocabularies cannot choose a word as one: "
                           "give some that were trained on the same data with one vocab_threshold")
        self.max_length = max(one.max_length for one in self.members)
        self.no_repeat_ngram = max(one.no_repeat_ngram for one in self.members)
        self.decoder = MeanDecoder(one.decoder for one in self.members)

    together = Rows

    def features(self, split, views=1):
        """Return each member's features of a split, arrays (views, P, ...), as `Rows`."""
        return Rows(one.features(split, views) for one in self.members)

    def embed(self, features):
        """Return the `Rows` of `features` as each member's decoder reads them, on its device."""
        return Rows(one.embed(part)
                    for one, part in zip(self.members, features.parts, strict=True))

    def search_line(self, search):
        """Return in one line how captions are found, and by how many captioners."""
        return f"{search}, ensemble of {len(self.members)} captioners"


class Views(Ensemble):
    """One captioner that sees each picture in up to three sizes: its own and the next larger.

    Known as multi-scale test-time augmentation. The larger sizes are the next multiples of 64.
    Raises `BadInput` for a captioner of regions, whose boxes belong to the picture as it is.
    """

    def __init__(self, captioner, number):
        if "boxes" in captioner.architecture["encoder"]:
            raise BadInput("a captioner of regions sees a picture in one size only: leave --views "
                           "out")
        own = captioner.transform.size
        sizes = [own, *(64 * (own // 64 + step) for step in range(1, number))]
        super().__init__([replace(captioner, transform=replace(captioner.transform, size=size))
                          for size in sizes])
        self.about = captioner.about

    def constraints(self, features, search):
        """Return what captions must name, by the pictures as they are; see `Captioner`."""
        return self.members[0].constraints(features.parts[0], search)

    def search_line(self, search):
        """Return in one line how captions are found, and in how many sizes."""
        return f"{self.members[0].search_line(search)}, {len(self.members)} sizes of each picture"

    def search_words(self, search):
        """Return what captions are found, for readers who know no search."""
        return f"{self.members[0].search_words(search)}; each read in {len(self.members)} sizes"


def mean_probability(scores):
    """Return the log (N, V) of the mean of the probabilities of several scores (N, V)."""
    logs = torch.stack([log_probabilities(one) for one in scores])
    return logs.logsumexp(dim=0) - math.log(len(scores))


def combine(captioners):
    """Return a single captioner as it is, and several as an `Ensemble`."""
    # not an ensemble of one: the log of a probability and back again is not bit for bit the score
    return captioners[0] if len(captioners) == 1 else Ensemble(captioners)
