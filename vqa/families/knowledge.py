"""Look a fact up in a table: the survey's family of knowledge bases (arXiv:1607.05910, 2.4).

    q, v: the question and what was found for it, as in grounded.py, (B, H)
    a table of facts: the cat | is made of | wood        words of subject and relation --> s, r
    fact        e = (W_r r) . f_r(q) + (W_s s) . f_s(v) + b     is it asked for, and is it seen?
    answer      its score is the largest e of the facts that have it as object

FVQA (Wang et al. 2016, arXiv:1606.05433) translates a question into a query of a knowledge base and
names the fact that supports the answer. Here the query is soft, two products, and learned from
answers alone. An object has no part in the score of its fact, so what the facts say cannot be
learned by heart: answers follow a table that is another one in use.

Shape letters are those of parts.py, and F facts, V words.
"""

import math
from typing import NamedTuple

import torch
from torch import nn

from vqa.families.grounded import Grounded
from vqa.families.parts import Answered, layer

NEVER = -30.0               # the score of what only a fact can answer, if there is none


class Table(NamedTuple):
    """F facts as they were read, and what the model reads of them.

    subjects, relations: (F, V), the shares of the words.  objects: (F,), places among the answers.
    """

    facts: tuple
    subjects: torch.Tensor
    relations: torch.Tensor
    objects: torch.Tensor

    def to(self, device):
        """Return the table on `device`."""
        return Table(self.facts, *(tensor.to(device) for tensor in self[1:]))


class Knowledge(Grounded):
    """Answer from a table of facts what is asked about facts, and all else as `Grounded` does.

    table: the facts to use, which are no weights and in no checkpoint.  told: (A,), the answers
    that only a fact can give, whatever the table; those of the table that it was trained with.
    """

    def __init__(self, sizes):
        super().__init__(sizes)
        hidden = self.hidden
        self.asked = layer(hidden, hidden, sizes.gated)                         # f_r
        self.shown = layer(hidden, hidden, sizes.gated)                         # f_s
        self.relation = nn.Linear(sizes.embed_size, hidden, bias=False)         # W_r
        self.subject = nn.Linear(sizes.embed_size, hidden, bias=False)          # W_s
        # at first an answer by a fact is as likely as any other, see parts.Classifier
        self.bias = nn.Parameter(torch.full((1,), -math.log(sizes.answers)))    # b
        self.register_buffer("told", torch.zeros(sizes.answers, dtype=torch.bool))
        self.table = Table((), *torch.zeros(2, 0, sizes.words, device="cpu"),
                           torch.zeros(0, dtype=torch.long, device="cpu"))

    def forward(self, features, questions, lengths, beside=None):
        """Return `Answered`, with the weights of the cells and of the facts."""
        scores, weights, question, found = self.look(features, questions, lengths)
        energies = self.match(question, found)
        objects = self.table.objects.expand(len(scores), -1)
        # of one type, also where a step computes in bfloat16
        scores = scores.float().masked_fill(self.told, NEVER).scatter_reduce(
            1, objects, energies.float(), "amax", include_self=False)
        return Answered(scores, weights, energies.softmax(dim=1))

    def match(self, question, found):
        """Return the scores (B, F) of the facts for questions (B, H) and what is found (B, H)."""
        self.table = self.table.to(question.device)
        words = self.read.words.weight
        relations = self.relation(self.table.relations @ words)                 # W_r r, (F, H)
        subjects = self.subject(self.table.subjects @ words)                    # W_s s
        return self.asked(question) @ relations.mT + self.shown(found) @ subjects.mT + self.bias
