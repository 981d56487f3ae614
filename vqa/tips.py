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

import math

from torch import nn

from vqa.parts import Answered, Classifier, QuestionReader, activation, layer


class Tips(nn.Module):
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

    def forward(self, features, questions, lengths):
        """Return `Answered` for features (B, D), (B, L, D) or (B, L, D + 5)."""
        question = self.read(questions, lengths)                        # q, (B, H)
        cells, absent = self.sizes.cells(features)                      # v_i, (B, L, C)
        weights = self.attend(cells, absent, question)                  # alpha, (B, L)
        seen = (weights.unsqueeze(1) @ cells).squeeze(1)                # v = sum_i alpha_i v_i
        hidden = self.from_question(question) * self.from_picture(seen)     # h, (B, H)
        return Answered(self.classify(hidden), weights)

    def attend(self, cells, absent, question):
        """Return how much each of cells (B, L, C) is looked at, (B, L); absent ones get 0."""
        # W [v_i, q] is the sum of two products, of which the question's is the same for all cells
        sums = self.of_cell(cells) + self.of_question(question).unsqueeze(1)
        energy = self.energy(self.join(sums)).squeeze(2)                    # a_i
        return energy.masked_fill(absent, -math.inf).softmax(dim=1)
