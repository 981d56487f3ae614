"""Neural module networks, Andreas et al. 2016 (arXiv:1511.02799): a question's layout is executed.

    questions --Generator--> layouts (B, S), or gold ones
    features --Look--> of each cell whether it is a thing and how likely it is red, a ball, ...
    layouts --modules, step by step--> maps, truths, numbers, words --> scores (B, A)

Every step gives something that can be looked at, as in "Transparency by Design", Mascharka et al.
2018 (arXiv:1803.05268). Only `Look` has weights that see, so "find the red ones" and "which colour
has it?" are the same numbers; steps.py is arithmetic of probabilities. All questions of a batch
that have the same module at the same step are executed at once.

The dials `streams`, `gated` and `places` are those of other families.

Shape letters:  B questions   P pictures   L cells or regions   S steps   V words of attributes
                R relations   U what answers name   W the size of any value   others as in parts.py
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from vqa.families.parts import Answered, Family
from vqa.modules.generator import Generator
from vqa.modules.layouts import END, NUMBER, OBJECTS, SIGNATURES, TRUTH, Grammar, read_layouts
from vqa.modules.look import Look, Words
from vqa.modules.steps import MODULES, MOST, At, normal
from vqa.normalize import official

TRUTHS = "yes", "no"
FIRST = len(TRUTHS) + MOST + 1      # where the words of attributes stand among what answers name
SHARP = 10.0                # how fast the table of names is learned: 1 is like any weight
SURE = 0.5                  # in it: times SHARP, before the sigmoid, 0.993; and -SURE 0.007
LEAST = 1e-4                # an answer's probability, and from 1: the loss stays finite


class Modules(Family):
    """Execute a layout for each question, by gold or as the question's words suggest it."""

    def __init__(self, sizes):
        super().__init__()
        self.grammar = Grammar(sizes.tokens)
        self.words = Words(self.grammar)
        self.names = [*TRUTHS, *map(str, range(MOST + 1)), *self.words.values]
        self.read = Generator(sizes, self.grammar)
        self.look = Look(sizes, self.words)
        # table 0: how likely an answer is right if the value is so named; the others: facts
        self.tables = nn.Parameter(torch.full((1 + len(self.words.facts), len(self.names),
                                               sizes.answers), -SURE))

    @staticmethod
    def beside(*splits):
        """Return (arguments of `Sizes`, layouts (N, S) of every split)."""
        layouts = [read_layouts(one) for one in splits]
        tokens = sorted({token for one in layouts for layout in one for token in layout})
        grammar = Grammar(tokens)
        return {"tokens": tokens}, [grammar.encode(one) for one in layouts]

    def given(self, questions):
        """Return the gold layouts (N, S) of questions; `BadInput` if they have none."""
        return self.grammar.encode(read_layouts(questions))

    @torch.no_grad()
    def begin(self, answers, train):
        """Let every answer begin as what it names."""
        for row, name in enumerate(self.names):
            if (place := answers.places.get(official(name))) is not None:
                self.tables[0, row, place] = SURE

    def forward(self, features, questions, lengths, beside=None):
        """Return `Answered` for features (P, D), (P, L, D) or (P, L, D + 5).

        beside: gold layouts (B, S), of which the generator learns; else it gives them. The weights
        are the last map over cells.
        """
        layouts = self.read(questions, lengths) if beside is None else beside
        seen, layouts = self.look(features), layouts.cpu()
        values = self.execute(seen, layouts)                            # (S, B, W)
        right = self.right(values[-1], layouts)
        # a batch may ask for nothing of some weights, and torchrun wants a gradient of each
        right = right.float() + 0 * sum(one.sum() for one in seen)
        scores = (LEAST + (1 - 2 * LEAST) * right.clamp(0, 1)).logit()
        maps = np.array([gives == OBJECTS for _, gives in self.grammar.signatures])
        last = last_of(maps[layouts.numpy()])
        looked = values[last, np.arange(len(last)), :seen.there.shape[1]]
        return Answered(scores, normal(looked),
                        loss=None if beside is None else self.read.loss(questions, lengths, beside))

    def slot(self, kind, cells):
        """Return where in a value (W,) one of this type stands."""
        start, size = {OBJECTS: (0, cells), TRUTH: (0, 1), NUMBER: (len(TRUTHS), MOST + 1),
                       "background": (0, self.tables.shape[2])}.get(
                           kind, (FIRST, len(self.words.values)))
        return slice(start, start + size)

    def execute(self, seen, layouts):
        """Return the value of every step of layouts (B, S), on the CPU, as (S, B, W)."""
        kinds, inputs = np.array(self.words.kinds)[layouts.numpy()], self.grammar.inputs(layouts)
        places, each = torch.tensor(self.words.places)[layouts], len(layouts) // len(seen.there)
        members, values = self.words.members(seen.there.device), []
        for step in range(layouts.shape[1]):
            groups, found, earlier = [], [], torch.stack(values) if values else None
            for kind in np.unique(kinds[:, step]):
                rows = torch.from_numpy(np.flatnonzero(kinds[:, step] == kind))
                groups.append(rows)
                if kind == "end":
                    found.append(values[-1][rows])
                    continue
                taken = [earlier[inputs[rows, step, number], rows]
                         for number in range(len(SIGNATURES[kind][0]))]
                at = At(seen, rows // each, places[rows, step], members)
                found.append(self.apply(kind, at, taken))
            values.append(torch.cat(found)[torch.cat(groups).argsort()])
        return torch.stack(values)

    def apply(self, kind, at, taken):
        """Return the values (b, W) that a module gives for its inputs, (b, W) each."""
        cells = at.seen.there.shape[1]
        takes, gives = SIGNATURES[kind]
        found = MODULES[kind](at, *(value[:, self.slot(one, cells)]
                                    for value, one in zip(taken, takes, strict=True)))
        place = self.slot(gives, cells)
        if gives == TRUTH:
            found = torch.cat([found, 1 - found], dim=1)
        width = max(cells, self.tables.shape[2], len(self.names))
        return functional.pad(found, (place.start, width - place.start - found.shape[1]))

    def right(self, values, layouts):
        """Return how likely every answer is right, (B, A), of the last values (B, W)."""
        rows, layouts = np.arange(len(layouts)), layouts.numpy()
        last = layouts[rows, last_of(layouts != END)]
        named = torch.einsum("bu,tua->bta", values[:, :len(self.names)],
                             (SHARP * self.tables).sigmoid())
        named = named[rows, np.array(self.words.tables)[last]]              # (B, A)
        seen = np.array([gives == "background" for _, gives in self.grammar.signatures])[last]
        return torch.where(torch.from_numpy(seen).to(named.device).unsqueeze(1),
                           values[:, :named.shape[1]], named)

    def named(self, kind, value):
        """Return what a value (W,) that is no map says, {name: how likely}."""
        names = self.names if kind != "background" else range(self.tables.shape[2])
        part = self.slot(kind, 0) if kind != TRUTH else slice(0, len(TRUTHS))
        return dict(zip(names[part], value[part].tolist(), strict=True))

    @torch.no_grad()
    def steps(self, features, questions, lengths, beside=None):
        """Return (token, value)s of the steps of one question's layout, to be looked at.

        A value is a map (L,) or {name: how likely}.
        """
        layouts = (self.read(questions, lengths) if beside is None else beside)[:1].cpu()
        seen = self.look(features[:1])
        found = []
        for token, value in zip(layouts[0].tolist(), self.execute(seen, layouts)[:, 0].cpu(),
                                strict=True):
            gives = self.grammar.signatures[token][1]
            if token != END and gives == OBJECTS:
                found.append((self.grammar.tokens[token], value[:seen.there.shape[1]]))
            elif token != END:
                found.append((self.grammar.tokens[token], self.named(gives, value)))
        return found


def last_of(true):
    """Return of each row (S,) of truths the place of the last that is true."""
    return true.shape[1] - 1 - true[:, ::-1].argmax(axis=1)
