"""What a network of modules sees: the only weights that read a picture.

    features --cells--> hidden (P, L, H) --> there (P, L), values (P, L, V)     see steps.Seen
    boxes, two by two --> relations (P, L, L, R)        the whole picture --> background (P, A)

`Words` says what is asked for at all: it reads attributes, their words, relations and facts off the
tokens of layouts.

Shape letters are those of network.py.
"""

import math

import torch
from torch import nn

from system.files import BadInput
from vqa.families.parts import PLACE, cells_of
from vqa.modules.layouts import kind_of
from vqa.modules.steps import Seen

SUBJECT = "shape"           # the attribute that facts are about
PAIR = 64                   # numbers that a pair of boxes becomes
FAR = 4.0                   # what a picture's side measures: fractions of it would drown
STRIDE = 2.5                # how sharply a step to the right begins
SHARP = 8.0                 # how fast relations, which have sharp borders, are learned
THING = 2.0                 # before the sigmoid: at first a cell counts as a thing


class Words:
    """The words of a grammar's tokens.

    attributes: {name: words}.  values: all of these words, the V of a cell.  kinds, places: of each
    token its module, and the place of its word among those that the module knows.
    """

    def __init__(self, grammar):
        self.attributes, self.relations, self.facts = {}, [], []
        split = []
        for token in grammar.tokens[1:]:
            function, _, word = token.partition(" ")
            kind, attribute = kind_of(function)
            split.append((kind, SUBJECT if kind == "query_fact" else attribute, word))
            if kind == "filter":
                self.attributes.setdefault(attribute, []).append(word)
            known = {"relate": self.relations, "is_related": self.relations,
                     "query_fact": self.facts}.get(kind, [word])
            if word not in known:
                known.append(word)
        self.values = [word for words in self.attributes.values() for word in words]
        self.kinds = ["end", *(kind for kind, _, _ in split)]
        self.places = [0, *(self.place(*one) for one in split)]
        self.tables = [0, *(1 + self.facts.index(word) if kind == "query_fact" else 0
                            for kind, _, word in split)]

    def place(self, kind, attribute, word):
        """Return the place of a token's word, or of its attribute; 0 if it takes none."""
        if kind in ("relate", "is_related"):
            return self.relations.index(word)
        if attribute is None:
            return 0
        if attribute not in self.attributes:
            raise BadInput(f"its programs ask for the {attribute:.40} of a thing and never look "
                           "for one by it: give programs that do both")
        start, part = next((start, part) for name, start, part in self.parts() if name == attribute)
        return start + part.index(word) if kind == "filter" else [*self.attributes].index(attribute)

    def parts(self):
        """Return (name, place of the first word in `values`, words) of every attribute."""
        found, start = [], 0
        for name, words in self.attributes.items():
            found.append((name, start, words))
            start += len(words)
        return found

    def members(self, device):
        """Return which of the values belong to each attribute, (attributes, V), 0 or 1."""
        found = torch.zeros(len(self.attributes), len(self.values), device=device)
        for row, (_, start, words) in zip(found, self.parts(), strict=True):
            row[start:start + len(words)] = 1
        return found


class Look(nn.Module):
    """See of every cell whether it is a thing, its attributes, and how it lies to others."""

    def __init__(self, sizes, words):
        super().__init__()
        self.channels, self.counts = sizes.channels, [len(one) for _, _, one in words.parts()]
        self.features = nn.Linear(sizes.channels, sizes.hidden_size)
        self.place = nn.Linear(PLACE, sizes.hidden_size)
        self.drop = nn.Dropout(sizes.dropout)
        self.values = nn.Linear(sizes.hidden_size, sum(self.counts))
        self.thing = nn.Linear(sizes.hidden_size, 1)
        nn.init.constant_(self.thing.bias, THING)
        self.background = nn.Linear(sizes.hidden_size, sizes.answers)
        nn.init.constant_(self.background.bias, -math.log(sizes.answers))
        self.one, self.other = (nn.Linear(PLACE, PAIR) for _ in range(2))
        self.relation = nn.Linear(PAIR, len(words.relations) + 1)
        self.between = nn.Linear(2, len(words.relations))

    def forward(self, features):
        """Return `Seen` of features (P, D), (P, L, D) or (P, L, D + 5)."""
        cells, absent = cells_of(features, self.channels, places=True)
        there = (~absent).float()
        place = FAR * (cells[..., self.channels:] - 0.5)
        hidden = self.drop((self.features(cells[..., :self.channels]) + self.place(place)).relu())
        if features.shape[-1] > self.channels:          # row 0 of regions is the whole picture
            whole = hidden[:, 0]
            there = there * (torch.arange(there.shape[1], device=there.device) > 0)
        else:
            whole = hidden.mean(dim=1)
        there = there * self.thing(hidden).squeeze(2).sigmoid()
        values = [one.softmax(dim=2) for one in self.values(hidden).split(self.counts, dim=2)]
        return Seen(there, torch.cat(values, dim=2), self.related(place, there),
                    self.background(whole).sigmoid())

    def related(self, place, there):
        """Return relations (P, L, L, R) of places (P, L, 6).

        What is next to a thing has nothing between: `step` is a relation of its own, which begins
        as a step to the right, and whatever is two such steps away has something between.
        """
        pairs = (self.one(place).unsqueeze(2) + self.other(place).unsqueeze(1)).relu()
        found = SHARP * self.relation(pairs)                            # (P, L, L, R + 1)
        middle = place[..., 0] + place[..., 2]
        step = (found[..., -1] + STRIDE * (middle.unsqueeze(1) - middle.unsqueeze(2))).sigmoid()
        between = (step * there.unsqueeze(1)) @ step                    # (P, L, L)
        found = found[..., :-1] + SHARP * self.between(torch.stack([between, between.mT], dim=3))
        itself = torch.eye(there.shape[1], device=there.device).unsqueeze(2)
        return found.sigmoid() * (1 - itself)
