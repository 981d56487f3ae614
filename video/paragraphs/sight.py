"""What a clip shows, for a sentence to look at: patches of its frames, each with what moves there.

    features (P, T, L, D) --a vector a frame--> GRU over frames, both ways --> course (P, T, M)
    course --where steps start, added up--> which stage of the clip each frame is, (P, T, STAGES)
    features, what comes and goes in and around a cell --> cells (P, T, L, M)
    features, cells --> which words they guess (P, T, L, G)
    cells, guesses, course, which cell --> patches (P, T, L, M)
    hidden (P, Q, W, H), patches, moments, stages --Attention--> (P, Q, W, M + G)

The paper (see hierarchical.py) attends to features of things and to features of motion; here a
patch has both, what is there, what comes and goes there, and where in the course of the clip that
is, and two heads of attention read it. The paper's energies are additive; these are scaled dot
products, which take a tenth of the time.

A cell guesses words, those of what is there and those of what happens there, for each of the G most
frequent ones; grounding.py teaches it by which words are said of which part of which clip. What
is guessed where a word looks is also added to its scores. Sentences tell a clip's steps one after
another, but read words alone, so frames know how many steps have started.

Shape letters:  P clips   Q sentences of a clip   W words   T frames   L grid cells   D channels
                G guessed words   R, M, A sizes below   H hidden
"""

import math
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

R, C = 32, 64               # numbers kept of a cell, and of what it guesses
M, A = 128, 64              # of a patch and of a frame, and of an attention's key
REACH = 1, 3                # frames before and after, between which changes are seen
MOMENT = 4                  # numbers that relate a frame to a sentence, see `when`
STAGES = 8                  # that are told apart, the time before the first step counted
RARE = -9.0                 # the first log-odds of a word in a cell, one of a thousand
ABSENT = -1e9               # an energy whose weight is 0


class Seen(NamedTuple):
    """What sentences look at: patches (P, T, L, M + G), keys (P, 2, T * L, A), stages
    (P, T, STAGES), and which frames (P, T) are there.  All have a row for every clip, as `shared`
    of a state.
    """

    patches: torch.Tensor
    keys: torch.Tensor
    stages: torch.Tensor
    frames: torch.Tensor


def when(times, spans, duration):
    """Return how frames at times (T,) lie to sentences: a tensor (S, T, MOMENT).

    spans: S pairs of seconds.  The numbers are: whether a frame lies within the span, how far it is
    in it (0 to 1, beyond it -1 to 2), how far in the clip, and how long the span is.
    """
    times = torch.as_tensor(times, dtype=torch.float)
    start, end = torch.tensor(spans, dtype=torch.float).T[..., None]        # (S, 1)
    length = (end - start).clamp(min=1e-2)
    inside = ((times >= start - 1e-2) & (times <= end + 1e-2)).float()
    return torch.stack([inside, ((times - start) / length).clamp(-1, 2),
                        (times / duration).expand_as(inside),
                        (length / duration).expand_as(inside)], dim=2)


def mirrored(features):
    """Return features (..., L, D) of a square grid with left and right exchanged."""
    side = math.isqrt(features.shape[-2])
    return features.unflatten(-2, (side, side)).flip(-2).flatten(-3, -2)


def around(cells):
    """Return the largest numbers (P, T, L, .) of each cell and those next to it."""
    side = math.isqrt(cells.shape[2])
    grid = cells.mT.flatten(0, 1).unflatten(2, (side, side))                    # (P * T, ., s, s)
    found = functional.max_pool2d(grid, 3, stride=1, padding=1).flatten(2).mT
    return found.unflatten(0, cells.shape[:2])


def changes(cells, frames):
    """Return how much each number of cells (P, T, L, R) grows and falls, (P, T, L, 4 R).

    That is from the frame before to the one after, and over the longer time of an event; beyond an
    end of the clip nothing changes.
    """
    last = frames.sum(dim=1, keepdim=True) - 1                              # (P, 1)
    at = torch.arange(frames.shape[1], device=frames.device).expand_as(frames)
    clips = torch.arange(len(frames), device=frames.device)[:, None]
    found = []
    for reach in REACH:
        grown = (cells[clips, torch.minimum(at + reach, last)]
                 - cells[clips, (torch.minimum(at, last) - reach).clamp(min=0)])
        found += [grown, -grown]
    return torch.cat(found, dim=3).relu()


class Sight(nn.Module):
    """From features of frames to what is `Seen`.

    cells: L.  words: G.  mean, deviation: of each channel, set by grounding.py.
    """

    def __init__(self, channels, cells, words, dropout):
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))
        self.cell, self.drop = nn.Linear(channels, R), nn.Dropout(dropout)
        self.inside = layer(channels + 8 * R, M)
        self.still, self.moving = nn.Linear(channels, words), nn.Linear(M, words, bias=False)
        nn.init.constant_(self.still.bias, RARE)
        nn.init.zeros_(self.moving.weight)
        self.frame = layer(cells * R, M)
        self.course = nn.GRU(M, M // 2, batch_first=True, bidirectional=True)
        self.starts = nn.Linear(M, 1)
        self.place = nn.Parameter(torch.empty(cells, C))
        nn.init.normal_(self.place, std=0.3)
        self.level, self.look = nn.LayerNorm(words), layer(words, C)
        self.patch = layer(C + 2 * M, M)
        self.keys = nn.ModuleList(nn.Linear(M, A) for _ in range(2))

    def forward(self, features, frames):
        """Return what is `Seen` in features (P, T, L, D), what cells guess, (P, T, L, G), and the
        log-odds (P, T) that a step starts at a frame."""
        cells, inside, guesses = self.guess(features, frames)
        course = self.watch(cells, frames)                                      # (P, T, M)
        starts = self.starts(course).squeeze(2)
        levels = self.level(guesses)
        parts = [self.drop(self.look(levels)) + self.place, inside,
                 course[:, :, None].expand_as(inside)]
        patches = self.patch(torch.cat(parts, dim=3))                           # (P, T, L, M)
        keys = torch.stack([key(patches).flatten(1, 2) for key in self.keys], dim=1)
        stages = stages_of(starts.detach().sigmoid())
        return Seen(torch.cat([patches, levels], dim=3), keys, stages, frames), guesses, starts

    def guess(self, features, frames):
        """Return numbers kept of cells (P, T, L, R), what is in them and moves there (P, T, L, M),
        and the log-odds of the words that they guess, (P, T, L, G)."""
        features = (features - self.mean) / self.deviation
        cells = self.cell(features)
        moved = changes(cells, frames)
        inside = self.drop(self.inside(torch.cat([features, moved, around(moved)], dim=3)))
        return cells, inside, self.still(features) + self.moving(inside)

    def watch(self, cells, frames):
        """Return what happens around each frame, (P, T, M), of cells (P, T, L, R)."""
        looks = self.frame(self.drop(cells.relu().flatten(2)))
        packed = pack_padded_sequence(looks, frames.sum(dim=1).cpu(), batch_first=True,
                                      enforce_sorted=False)
        return pad_packed_sequence(self.course(packed)[0], batch_first=True,
                                   total_length=frames.shape[1])[0]


def stages_of(starts):
    """Return how much each frame is of each stage, (P, T, STAGES), by where steps start, (P, T).

    The stage is how many steps have started; between two whole numbers it is a bit of both.
    """
    number = torch.arange(STAGES, device=starts.device)
    return (1 - (starts.cumsum(dim=1)[..., None] - number).abs()).relu()


class Attention(nn.Module):
    """One of the two heads with which words look at patches."""

    def __init__(self, hidden_size):
        super().__init__()
        self.query, self.time = nn.Linear(hidden_size, A), nn.Linear(hidden_size, MOMENT + STAGES)

    def forward(self, hidden, keys, seen, moments):
        """Return what words look at (P, Q, W, M + G), and the weights (P, Q, W, T, L).

        hidden (P, Q, W, H).  keys (P, T * L, A).  moments (P, Q, T, MOMENT + STAGES).
        """
        clips, sentences, words = hidden.shape[:3]
        energies = self.query(hidden).flatten(1, 2) @ keys.mT / math.sqrt(A)
        energies = energies.view(clips, sentences, words, moments.shape[2], -1)
        energies = energies + (self.time(hidden) @ moments.mT)[..., None]
        absent = ~seen.frames[:, None, None, :, None]
        weights = energies.masked_fill(absent, ABSENT).flatten(3).softmax(dim=3)
        found = weights.flatten(1, 2) @ seen.patches.flatten(1, 2)
        return found.view(clips, sentences, words, -1), weights.view_as(energies)


def layer(inputs, outputs):
    """Return a linear layer, normalised, and ReLU."""
    return nn.Sequential(nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.ReLU())
