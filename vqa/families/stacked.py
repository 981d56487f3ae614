"""Stacked attention networks, Yang et al. 2016 (arXiv:1511.02274): the question looks twice.

    questions --LSTM--> u_0 (B, H)      features --tanh(W v + b)--> v_I (P, L, H)
    u_0 --glimpse--> u_1 --glimpse--> u_2 --Classifier--> scores (B, A)

Each glimpse weighs the cells by what is known so far and adds what it has seen, so the second can
ask about a thing that the first has found. Comments name the paper's equations.

Shape letters are those of parts.py.
"""

from torch import nn

from vqa.families.parts import Answered, Classifier, Family, QuestionReader, per_picture, weigh

GLIMPSES = 2


class Glimpse(nn.Module):
    """Weigh the cells by the query, and add their weighted sum to it."""

    def __init__(self, hidden_size, dropout):
        super().__init__()
        self.keys = nn.Linear(hidden_size, hidden_size, bias=False)     # W_I,A
        self.query = nn.Linear(hidden_size, hidden_size)                # W_Q,A and b_A
        self.energy = nn.Linear(hidden_size, 1, bias=False)             # W_P
        self.drop = nn.Dropout(dropout)

    def forward(self, cells, absent, query):
        """Return the next query (B, H) and weights (P, k, L) of cells (P, L, H), query (B, H)."""
        asked = per_picture(self.query(query), cells)                               # (P, k, H)
        hidden = (self.keys(cells).unsqueeze(1) + asked.unsqueeze(2)).tanh()        # h_A
        weights = weigh(self.energy(self.drop(hidden)).squeeze(3), absent)          # p_I
        seen = (weights @ cells).flatten(0, 1)                          # v~ = sum_i p_i v_i
        return query + seen, weights                                    # u = v~ + v_Q


class Stacked(Family):
    """Look at the picture twice, the second time knowing what was seen the first time."""

    def __init__(self, sizes):
        super().__init__()
        hidden = sizes.hidden_size
        self.sizes, self.read = sizes, QuestionReader(sizes, nn.LSTM)
        self.picture = nn.Sequential(nn.Linear(sizes.cell, hidden), nn.Tanh())      # v_I
        self.glimpses = nn.ModuleList(Glimpse(hidden, sizes.dropout) for _ in range(GLIMPSES))
        self.classify = Classifier(sizes)

    def forward(self, features, questions, lengths, beside=None):
        """Return `Answered`, with the weights of the last glimpse."""
        query = self.read(questions, lengths)                           # v_Q = u_0
        cells, absent = self.sizes.cells(features)
        cells = self.picture(cells)
        for glimpse in self.glimpses:
            query, weights = glimpse(cells, absent, query)
        return Answered(self.classify(query), weights.flatten(0, 1))
