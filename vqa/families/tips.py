"""The model of "Tips and Tricks for Visual Question Answering", Teney et al. 2017 (1708.02711).

    questions --word vectors, GRU--> q (B, H)
    features --cells--> v_1 .. v_L --weighed by q--> v (B, C)       one glimpse
    f_q(q) * f_v(v) = h --Classifier--> scores (B, A)

A page to lay beside the paper; comments name its equations. Every f is a gated tanh or, if the dial
says so, a ReLU. Sigmoid or softmax, soft or hard targets are the objective's, in task.py; one or
two streams are the classifier's, in parts.py.

    gated tanh      y = tanh(W x + b) * sigmoid(W' x + b')                      parts.GatedTanh
    attention       a_i = w_a f_a([v_i, q]),  alpha = softmax(a),  v = sum_i alpha_i v_i
    fusion          h = f_q(q) * f_v(v)
    output          s = sigmoid(w_o f_o(h)), or of two such streams             parts.Classifier
    loss            -sum_ij  s_ij log s^_ij + (1 - s_ij) log(1 - s^_ij)         task.Objective

Shape letters are those of parts.py.
"""

from torch import nn

from vqa.families.parts import (
    Answered,
    Classifier,
    Family,
    QuestionReader,
    activation,
    layer,
    per_picture,
    weigh,
)


class Tips(Family):
    """Weigh the picture's cells by the question, once, and answer from both."""

    def __init__(self, sizes):
        super().__init__()
        hidden, gated = sizes.hidden_size, sizes.gated
        self.sizes, self.read = sizes, QuestionReader(sizes, nn.GRU)
        self.join, times = activation(gated)                            # f_a, whose matrix of
        self.of_cell = nn.Linear(sizes.cell, times * hidden, bias=False)    # [v_i, q] is written
        self.of_question = nn.Linear(hidden, times * hidden)            # as two, side by side
        self.energy = nn.Linear(hidden, 1, bias=False)                  # w_a
        self.from_question = layer(hidden, hidden, gated)               # f_q
        self.from_picture = layer(sizes.cell, hidden, gated)            # f_v
        self.classify = Classifier(sizes)                               # w_o f_o

    def forward(self, features, questions, lengths, beside=None):
        """Return `Answered` for features (P, D), (P, L, D) or (P, L, D + 5)."""
        question = self.read(questions, lengths)                        # q, (B, H)
        cells, absent = self.sizes.cells(features)                      # v_i, (P, L, C)
        weights = self.attend(cells, absent, question)                  # alpha, (P, k, L)
        seen = (weights @ cells).flatten(0, 1)                          # v = sum_i alpha_i v_i
        hidden = self.from_question(question) * self.from_picture(seen)     # h, (B, H)
        return Answered(self.classify(hidden), weights.flatten(0, 1))

    def attend(self, cells, absent, question):
        """Return how much a question looks at each of cells (P, L, C), (P, k, L)."""
        # W [v_i, q] is the sum of two products: the cell's is the same for all questions about it,
        # and the question's for all cells
        asked = per_picture(self.of_question(question), cells)          # (P, k, 2 H)
        sums = self.of_cell(cells).unsqueeze(1) + asked.unsqueeze(2)    # (P, k, L, 2 H)
        return weigh(self.energy(self.join(sums)).squeeze(3), absent)   # a_i, alpha
