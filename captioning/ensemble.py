"""Several captioners as one: at every word, the mean of their probabilities.

    split --features--> Rows --embed--> Rows --Ensemble.begin, step--> scores (B, V), state

Each member looks at the picture with its own encoder and keeps a state of its own; what they share
are the words written so far. Where trainings ended in different places, their mistakes differ and
what is right they have in common.

Shape letters:  B captions   T tokens   V vocabulary   D channels   L grid cells
"""

import math

import torch
from torch import nn
from tqdm.auto import tqdm

from decoders.rules import log_probabilities
from decoders.search import search
from encoders.features import cached_features
from model import State
from system.files import BadInput

AT_ONCE = 64                # pictures in one search: every member holds its states of them


class Rows:
    """Tensors or arrays of the same rows, one or more of each member, indexed as if they were one.

    So a search may reorder the state of all members without knowing that there are several.
    """

    def __init__(self, parts):
        self.parts = list(parts)

    def __len__(self):
        return len(self.parts[0])

    def __getitem__(self, index):
        return Rows(part[index] for part in self.parts)

    @property
    def device(self):
        """Where the tensors are."""
        return self.parts[0].device


class Ensemble(nn.Module):
    """A decoder whose scores are the log of its members' mean probability.

    captioners: of one vocabulary; encoders and decoders may differ.  Features are `Rows` that hold
    one tensor for each member. Raises `BadInput` if a word is not the same word to all.
    """

    def __init__(self, captioners):
        super().__init__()
        self.captioners, self.vocab = list(captioners), captioners[0].vocab
        if any(one.vocab.words != self.vocab.words for one in self.captioners):
            raise BadInput("captioners of different vocabularies cannot choose a word together: "
                           "give some that were trained on the same data with one vocab_threshold")
        self.decoders = nn.ModuleList(one.decoder for one in self.captioners)

    def features(self, split):
        """Each member's backbone features, arrays (pictures, D) or (pictures, L, D), as `Rows`."""
        return Rows(cached_features(one.encoder.backbone, one.transform, split)[0]
                    for one in self.captioners)

    @torch.no_grad()
    def embed(self, features):
        """Arrays of `features` as each member's decoder reads them, on its device."""
        device = next(self.decoders.parameters()).device
        return Rows(one.encoder.embed(torch.tensor(part, dtype=torch.float, device=device))
                    for one, part in zip(self.captioners, features.parts, strict=True))

    def forward(self, features, captions):
        """features, captions (B, T) -> scores (B, T, V), the whole sequence at once."""
        scores = [decoder(part, captions).flatten(0, 1)
                  for decoder, part in zip(self.decoders, features.parts, strict=True)]
        return mean_probability(scores).unflatten(0, captions.shape)

    def begin(self, features):
        """Read the pictures: a state of one `Rows` for each member in `own` and in `shared`."""
        return joined([decoder.begin(part)
                       for decoder, part in zip(self.decoders, features.parts, strict=True)])

    def step(self, words, state):
        """Read one word of each caption, words (B,): scores (B, V) of the next one, state."""
        members = zip(self.decoders, state.own, state.shared, strict=True)
        found = [decoder.step(words, State(tuple(own.parts), tuple(shared.parts)))
                 for decoder, own, shared in members]
        scores, states = zip(*found, strict=True)
        return mean_probability(scores), joined(states)


def joined(states):
    """Join the members' states to one, whose rows can be reordered as if it were one member's."""
    return State(tuple(Rows(one.own) for one in states), tuple(Rows(one.shared) for one in states))


def mean_probability(scores):
    """The log of the mean of the probabilities that several scores (N, V) stand for, (N, V)."""
    logs = torch.stack([log_probabilities(one) for one in scores])
    return logs.logsumexp(dim=0) - math.log(len(scores))


def caption_together(captioners, split, settings=None):
    """The best sentence for every picture of a split, by several captioners together."""
    ensemble = Ensemble(captioners)
    features, sentences = ensemble.features(split), []
    for start in tqdm(range(0, len(features), AT_ONCE), "captions", leave=False, unit="batch"):
        batch = ensemble.embed(features[start:start + AT_ONCE])
        sentences += [ensemble.vocab.decode(found[0].words)
                      for found in search(ensemble, batch, settings)]
    return sentences
