"""The sentence network, which looks at a clip with every word: what all models of paragraphs share.

    sentences (B, S, W) --GRU from `first` of a memory--> hidden h (B, S, W - 1, H)
    h, patches --two heads of attention--> u, v         m = tanh(W u + W v + U h)
    m --> scores (B, S, W - 1, V) of the next words, and whether the paragraph ends (B, S)

Yu et al. 2016 (arXiv:1510.07712): the sentence network reads words alone, and what it sees comes in
by the multimodal layer m. A subclass says what a sentence is told of those before it: `nothing` of
a paragraph's beginning, `first` state of a sentence by the memory, and `remember` a sentence.

A paragraph ends where the m of a sentence's `<start>` says so. `begin` and `step` are those of any
decoder, for decoders/search.py; writing.py has the loop over sentences.

Shape letters are those of sight.py and words.py; and: V vocabulary   N rows of a search
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from model import State
from video.paragraphs.sight import Attention, M, Seen, Sight
from vocabulary import START_ID, UNK_ID

FIRST = UNK_ID + 1          # the most frequent word; words are guessed from it on


@dataclass(frozen=True)
class Sizes:
    """What a model is built with: sizes of features, words it knows and guesses, and dials."""

    channels: int
    cells: int
    words: int
    guessed: int
    embed_size: int
    hidden_size: int
    dropout: float


class Taught(NamedTuple):
    """What a model makes of a batch: scores (B, S, W - 1, V) of the next words, log-odds (B, S)
    that the paragraph ends before a sentence, how much the heads look at each frame
    (B, S, W - 1, 2, T), what cells guess (P, T, L, G), and log-odds (P, T) that a step starts."""

    scores: torch.Tensor
    ends: torch.Tensor
    weights: torch.Tensor
    guesses: torch.Tensor
    starts: torch.Tensor


@dataclass(frozen=True)
class Beginning:
    """P clips of each of which a sentence is to be written: what a search is given as features.

    moments (P, T, MOMENT): how the frames lie to that sentence.  first (P, H): its first state.
    """

    seen: Seen
    moments: torch.Tensor
    first: torch.Tensor

    def __len__(self):
        return len(self.first)

    @property
    def device(self):
        """The device that all is on."""
        return self.first.device


class Teller(nn.Module):
    """A model of paragraphs without its memory."""

    def __init__(self, sizes):
        super().__init__()
        self.sizes = sizes
        self.sight = Sight(sizes.channels, sizes.cells, sizes.guessed, sizes.dropout)
        self.words = nn.Embedding(sizes.words, sizes.embed_size)
        nn.init.normal_(self.words.weight, std=0.4)
        hidden = sizes.hidden_size
        self.gru = nn.GRU(sizes.embed_size, hidden, batch_first=True)
        self.attention = nn.ModuleList(Attention(hidden) for _ in range(2))
        self.multimodal = nn.Linear(hidden + 2 * M, hidden)
        self.output, self.ends = nn.Linear(hidden, sizes.words), nn.Linear(hidden, 1)
        self.gain = nn.Parameter(torch.full((2,), 0.3))     # of what each head's cells guess
        self.drop = nn.Dropout(sizes.dropout)

    def nothing(self, paragraphs):
        """Return the memory of this many paragraphs of no sentence, a tuple of tensors (B, ...)."""
        raise NotImplementedError

    def first(self, memory):
        """Return the state (B, H) with which the next sentence begins."""
        raise NotImplementedError

    def remember(self, memory, words, hidden, lengths):
        """Return the memory after a sentence.

        words (B, W, E), as they were read; hidden (B, W, H), the states after them; lengths (B,).
        """
        raise NotImplementedError

    def forward(self, batch):
        """Return what is `Taught` by a `Batch`; zeros stand for words that are not asked for."""
        seen, guesses, starts = self.sight(batch.features, batch.frames)
        hidden = self.told(batch.sentences, batch.lengths)              # (B, S, W - 1, H)
        words = torch.arange(hidden.shape[2], device=hidden.device)
        asked = (words < batch.lengths[..., None]) | (words == 0)       # after <start>: is it over?
        clips = len(batch.features)
        # of all places of a clip those that are asked for come first, and the rest is left out
        order = (~asked).view(clips, -1).int().argsort(dim=1, stable=True)
        order = order[:, :asked.view(clips, -1).sum(dim=1).max()]       # (P, N)
        row = torch.arange(clips, device=hidden.device)[:, None]
        moments = batch.moments.reshape(clips, -1, *batch.moments.shape[2:])
        found = self.mix(hidden.view(clips, -1, hidden.shape[3])[row, order][:, :, None], seen,
                         moments[row, order // len(words)])
        mixed, guess, weights = (put_back(one[:, :, 0], order, asked) for one in found)
        return Taught(self.score(mixed, guess), self.ends(mixed[:, :, 0]).squeeze(2),
                      weights.unflatten(3, (2, -1)), guesses, starts)

    def told(self, sentences, lengths):
        """Return the states (B, S, W - 1, H) after all words but the last of each sentence."""
        memory, found = self.nothing(len(sentences)), []
        for ids, length in zip(sentences.unbind(1), lengths.unbind(1), strict=True):
            words, hidden = self.hear(ids[:, :-1], memory)
            memory = self.remember(memory, words, hidden, length)
            found.append(hidden)
        return torch.stack(found, dim=1)

    def hear(self, ids, memory):
        """Return vectors (B, W, E) of a sentence's words (B, W), and the states after each."""
        words = self.drop(self.words(ids))
        return words, self.gru(words, self.first(memory)[None].contiguous())[0]

    def last(self, hidden, lengths):
        """Return the state (B, H) after the last word of sentences (B, W, H)."""
        place = (lengths - 1).clamp(min=0)
        return hidden[torch.arange(len(hidden), device=hidden.device), place]

    def mix(self, hidden, seen, moments):
        """Return the multimodal layer (P, Q, W, H), what the patches looked at guess, (P, Q, W, G),
        and how much both heads look at each frame, (P, Q, W, 2 * T).

        hidden (P, Q, W, H).  moments (P, Q, T, MOMENT).
        """
        stages = seen.stages[:, None].expand(-1, moments.shape[1], -1, -1)
        moments = torch.cat([moments, stages], dim=3)
        found, weights = zip(*(attend(hidden, keys, seen, moments) for attend, keys in
                               zip(self.attention, seen.keys.unbind(1), strict=True)), strict=True)
        mixed = self.multimodal(torch.cat([hidden, *(one[..., :M] for one in found)], dim=3))
        guess = sum(gain * one[..., M:] for gain, one in zip(self.gain, found, strict=True))
        return (self.drop(mixed.tanh()), guess,
                torch.cat([one.sum(dim=4) for one in weights], dim=3))

    def score(self, mixed, guess):
        """Return scores (..., V) of the multimodal layer (..., H) and guesses (..., G)."""
        rest = self.sizes.words - FIRST - self.sizes.guessed
        return self.output(mixed) + functional.pad(guess, (FIRST, rest))

    def begin(self, beginning):
        """Return the state before a sentence of each clip of a `Beginning`."""
        return State(own=(beginning.first,), shared=(*beginning.seen, beginning.moments))

    def step(self, words, state):
        """Read a word of every row, words (N,): scores (N, V) of the next one, state."""
        *seen, moments = state.shared
        hidden = self.gru(self.words(words)[:, None], state.own[0][None].contiguous())[1][0]
        rows = hidden.view(len(moments), 1, -1, hidden.shape[1])        # (P, 1, N / P, H)
        mixed, guess, _ = self.mix(rows, Seen(*seen), moments[:, None])
        scores = self.score(mixed, guess).view(len(words), -1)
        return scores, State((hidden,), state.shared)

    def over(self, beginning):
        """Return the probability (P,) that the paragraph ends before this sentence."""
        start = torch.full_like(beginning.first[:, 0], START_ID, dtype=torch.long)
        hidden = self.gru(self.words(start)[:, None], beginning.first[None].contiguous())[0]
        mixed, *_ = self.mix(hidden[:, None], beginning.seen, beginning.moments[:, None])
        return self.ends(mixed).view(-1).sigmoid()


def put_back(found, order, asked):
    """Return numbers (P, N, .) of the places `order` (P, N) of each clip as (B, S, W, .)."""
    whole = found.new_zeros(len(found), asked.numel() // len(found), found.shape[2])
    whole = whole.scatter(1, order[..., None].expand_as(found), found)
    return whole.view(*asked.shape, -1) * asked[..., None]
