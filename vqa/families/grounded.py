"""Grounded attention: every word of a question is looked up in the picture, then all are combined.

    questions --word vectors, GRU both ways--> states h (B, T, H), summary u (B, H)
    cells --affinities--> how much each looks like each word and answer (B, L, V + A)
        u, h, cells --Look--> u             three heads, twice
    u --layers--> scores (B, A)

The affinities are linear, computed before the training by grounding.py, and stay as they are. So
attention need not find out from answers what "red" looks like, which is most of what a model such
as tips.py learns; it learns which words to look up and what to do with what is found. A head
multiplies the affinities of its words, as a neural module network filters (arXiv:1511.02799), and
adds up what is left of a cell, which counts. No paper has this model.

Shape letters are those of parts.py, and: V words   G heads
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from vqa.families.grounding import ground
from vqa.families.parts import PLACE, Answered, Family, cells_of

HEADS, LOOKS = 3, 2
COUNTS = 6                  # 0 to 5 things are told apart
NEVER = -1e9                # an energy whose weight is 0


@dataclass
class Seen:
    """What a look needs of questions and pictures, with a row a question.

    things: 1 for cells that may be counted.  spread: whether a thing covers several of them.
    """

    states: torch.Tensor            # of the words, (B, T, H)
    silent: torch.Tensor            # where a question has no word, (B, T)
    importance: torch.Tensor        # of its words, (B, T)
    cells: torch.Tensor             # (B, L, H)
    places: torch.Tensor            # (B, L, PLACE)
    likeness: torch.Tensor          # log of how much a cell looks like each word, (B, L, T)
    answers: torch.Tensor           # how much it looks like each answer, (B, L, A)
    absent: torch.Tensor            # (B, L)
    things: torch.Tensor            # (B, L)
    spread: bool


class Look(nn.Module):
    """Let each head choose words, find the cells that have them all, and read them; renew u."""

    def __init__(self, hidden, answers):
        super().__init__()
        self.choose = nn.Linear(hidden, HEADS * hidden)
        self.query, self.key, self.value = (nn.Linear(hidden, hidden) for _ in range(3))
        self.gain = nn.Parameter(torch.ones(()))
        self.strength = nn.Parameter(torch.full((HEADS, 1), 2.0))
        self.parts = nn.Parameter(torch.full((), -1.0))     # log of one over the cells of a thing
        pairs = HEADS * (HEADS - 1) // 2
        read = HEADS * (hidden + PLACE + 1 + COUNTS) + pairs * (hidden + answers + PLACE + 2)
        self.combine = nn.Sequential(nn.Linear(hidden + read, 2 * hidden), nn.ReLU(),
                                     nn.Linear(2 * hidden, hidden))
        self.gate, self.norm = nn.Linear(hidden, hidden), nn.LayerNorm(hidden)

    def forward(self, summary, seen):
        """Return the next summary (B, H) and the weights of the heads (B, G, L)."""
        energies, member = self.find(summary, seen)
        weights = energies.masked_fill(seen.absent[:, None], NEVER).softmax(dim=2)
        read = torch.cat([summary, *self.read(weights, seen), *self.count(member, seen)], dim=1)
        renewed = summary + 2 * self.combine(read) * self.gate(summary).sigmoid()
        return self.norm(renewed), weights

    def find(self, summary, seen):
        """Return energies (B, G, L), and the log of how much a cell has all words of a head."""
        scale = 4 / math.sqrt(summary.shape[1])
        chosen = self.choose(summary).unflatten(1, (HEADS, -1)) @ seen.states.mT * scale
        words = chosen.masked_fill(seen.silent[:, None], NEVER).softmax(dim=2)      # (B, G, T)
        asked = self.query(words @ seen.states)                                     # (B, G, H)
        taken = (self.gain * chosen + seen.importance[:, None]).sigmoid()
        member = taken.masked_fill(seen.silent[:, None], 0) @ seen.likeness.mT      # (B, G, L)
        return asked @ self.key(seen.cells).mT * scale + self.strength * member, member

    def read(self, weights, seen):
        """Return what heads look at, where that lies, and how both differ between two heads."""
        places, answers = weights @ seen.places, weights @ seen.answers
        values = weights @ self.value(seen.cells)
        found = [values.flatten(1), places.flatten(1)]
        for one in range(HEADS):
            for other in range(one):
                found += [values[:, one] * values[:, other],
                          0.3 * answers[:, one] * answers[:, other],
                          3 * (places[:, one] - places[:, other])]
        return found

    def count(self, member, seen):
        """Return how many things each head finds, (B, G * (1 + COUNTS)), and who finds more."""
        number = (member.exp() * seen.things[:, None]).sum(dim=2)                   # (B, G)
        if seen.spread:                                 # a thing covers several cells of a grid
            number = number * self.parts.exp()
        about = (1 - (number[..., None] - torch.arange(COUNTS, device=number.device)).abs()).relu()
        apart = torch.stack([number[:, one] - number[:, other] for one in range(HEADS)
                             for other in range(one)], dim=1)
        return [about.flatten(1), number, (2 * apart).tanh(), (1 - apart.abs()).relu()]


class BothWays(nn.Module):
    """Read the words of a question in both directions."""

    def __init__(self, sizes, hidden):
        super().__init__()
        self.words = nn.Embedding(sizes.words, sizes.embed_size)
        nn.init.normal_(self.words.weight, std=0.4)     # about as GloVe's numbers
        self.network = nn.GRU(sizes.embed_size, hidden // 2, batch_first=True, bidirectional=True)
        self.drop = nn.Dropout(sizes.dropout)

    def forward(self, questions, lengths):
        """Return the states (B, T, H) of questions (B, T), zeros where they have no word."""
        words = self.drop(self.words(questions))
        packed = nn.utils.rnn.pack_padded_sequence(words, lengths.cpu(), batch_first=True,
                                                   enforce_sorted=False)
        return nn.utils.rnn.pad_packed_sequence(self.network(packed)[0], batch_first=True,
                                                total_length=questions.shape[1])[0]


class Grounded(Family):
    """Look words up in the picture, twice, and answer from what was found."""

    def __init__(self, sizes):
        super().__init__()
        self.sizes = sizes
        self.hidden = hidden = sizes.hidden_size + sizes.hidden_size % 2    # half of it each way
        self.read = BothWays(sizes, hidden)
        known = sizes.words + sizes.answers
        self.affinity = nn.Linear(sizes.channels, known).requires_grad_(False)
        self.importance = nn.Parameter(torch.zeros(sizes.words))
        self.sharp = nn.Parameter(torch.full((sizes.words,), 2.0))
        self.least = nn.Parameter(torch.full((sizes.words,), -1.0))
        self.features = nn.Sequential(nn.Linear(known, hidden), nn.LayerNorm(hidden))
        self.place = nn.Linear(PLACE, hidden)
        nn.init.normal_(self.place.weight, std=0.5)
        self.cell = nn.Sequential(nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.looks = nn.ModuleList(Look(hidden, sizes.answers) for _ in range(LOOKS))
        self.drop = nn.Dropout(sizes.dropout)
        self.named = nn.Linear(hidden, 1)
        self.classify = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(),
                                      nn.Dropout(sizes.dropout), nn.Linear(hidden, sizes.answers))
        nn.init.constant_(self.classify[-1].bias, -math.log(sizes.answers))

    def begin(self, answers, train):
        """Compute the affinities by train, and how much a word tells of looks."""
        ground(self, train, answers)

    def forward(self, features, questions, lengths, beside=None):
        """Return `Answered`, the weights those of the last look, the mean of its heads."""
        scores, weights, *_ = self.look(features, questions, lengths)
        return Answered(scores, weights)

    def look(self, features, questions, lengths):
        """Return scores (B, A), weights (B, L), and the first and the last summary (B, H)."""
        first, seen = self.see(features, questions, lengths)
        summary = first
        for look in self.looks:
            summary, weights = look(summary, seen)
        weights = weights.mean(dim=1)                                   # (B, L)
        found = (weights[:, None] @ seen.answers).squeeze(1)            # (B, A)
        scores = self.classify(self.drop(summary)) + self.named(first) * found
        return scores, weights, first, summary

    def see(self, features, questions, lengths):
        """Return the first summary (B, H) of questions, and what is `Seen`."""
        cells, absent = cells_of(features, self.sizes.channels, places=True)
        cells, places = cells.split([self.sizes.channels, PLACE], dim=2)
        regions = features.dim() == 3 and features.shape[2] > self.sizes.channels
        things = (~absent).float()
        things[:, :regions] = 0                                         # row 0 is the whole picture
        alike = self.affinity(cells)                                    # (P, L, V + A)
        cells = self.cell(self.features(self.drop(alike)) + self.place(places))
        words, answers = alike.split([self.sizes.words, self.sizes.answers], dim=2)
        row = torch.arange(len(features), device=features.device).repeat_interleave(
            len(questions) // len(features))
        asked = questions[:, None].expand(-1, words.shape[1], -1)       # (B, L, T)
        silent = torch.arange(questions.shape[1], device=lengths.device) >= lengths[:, None]
        states = self.read(questions, lengths)
        return states.sum(dim=1) / lengths[:, None], Seen(
            states=states, silent=silent, importance=self.importance[questions],
            cells=cells[row], places=places[row], absent=absent[row], things=things[row],
            likeness=functional.logsigmoid(
                (words * self.sharp + self.least)[row].gather(2, asked)),
            answers=answers[row], spread=not regions)
