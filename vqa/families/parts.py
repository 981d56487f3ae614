"""The parts of all model families: how a question and a picture are read, how an answer is chosen.

    questions (B, T), lengths (B,) --QuestionReader--> (B, H)
    features (P, D), (P, L, D) or (P, L, D + 5) --cells_of--> cells (P, L, C), absent (P, L)
    hidden (B, H) --Classifier--> scores (B, A)

They are those of "Tips and Tricks for Visual Question Answering", Teney et al. 2017
(arXiv:1708.02711), whose page is tips.py. Every family is built with the same arguments and called
in the same way:

    model(features, questions, lengths, beside) -> Answered(scores (B, A), weights (B, L) or None)

Features may be of fewer pictures, P: picture p then owns the questions p * k to p * k + k - 1,
k = B / P.

Shape letters:  B questions   P pictures   T words   L grid cells or regions   D channels
                C the size of a cell   E word vector   H hidden   A answers
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from decoders.base import grid_boxes
from system.files import BadInput
from vocabulary import UNK_ID

PLACE = 6                   # numbers that say where a cell lies: four edges, width and height


@dataclass(frozen=True)
class Sizes:
    """What a model is built with: numbers of channels, words and answers, and its dials.

    gated: layers are gated tanh, else ReLU.  streams: of the classifier, 1 or 2.  places: cells
    carry where they lie.  hidden_size: H.  embed_size: E.  tokens: of layouts, see vqa/modules.
    """

    channels: int
    words: int
    answers: int
    embed_size: int
    hidden_size: int
    dropout: float
    gated: bool
    streams: int
    places: bool
    tokens: tuple = ()

    @property
    def cell(self):
        """The size C of a cell."""
        return self.channels + PLACE * self.places

    def cells(self, features):
        """Return `cells_of` features, as these sizes have them."""
        return cells_of(features, self.channels, self.places)


class Answered(NamedTuple):
    """Scores (B, A) before sigmoid or softmax, and how much each cell was looked at (B, L).

    facts: (B, F), how well each fact of a table fits, of a family that has one.
    loss: (B,), what a family adds to the objective.
    """

    scores: torch.Tensor
    weights: torch.Tensor | None = None
    facts: torch.Tensor | None = None
    loss: torch.Tensor | None = None


class Family(nn.Module):
    """A model family; most read nothing of a question beside its words, and need only `forward`."""

    @staticmethod
    def beside(*splits):
        """Return (arguments of `Sizes` besides the dials, what `forward` takes beside the words).

        splits: `Questions`, train first.  The latter is a tensor (N, ...) or None for each split.
        It is there in training and in validation; elsewhere only if `given` is asked.
        """
        return {}, [None] * len(splits)

    def given(self, questions):
        """Return what `forward` takes beside the words of questions, as they are known for sure."""
        raise BadInput("this checkpoint's family reads no layouts: leave --layouts out")

    def begin(self, answers, train):
        """Put what is known before the training in place of first weights.

        answers: a `words.Answers`.  train: the `Part` of the training questions, with features.
        """


class GatedTanh(nn.Module):
    """The paper's non-linearity: y = tanh(W x + b) * sigmoid(W' x + b'), given both sums.

    One matrix has the rows of W and of W', so numbers (..., 2 N) become (..., N).
    """

    def forward(self, sums):
        """Return (..., N) of (..., 2 N)."""
        value, gate = sums.chunk(2, dim=-1)
        return value.tanh() * gate.sigmoid()


def activation(gated):
    """Return (the non-linearity, how many numbers it takes for one)."""
    return (GatedTanh(), 2) if gated else (nn.ReLU(), 1)


def layer(inputs, outputs, gated):
    """Return the paper's non-linear layer f, a gated tanh, or one with ReLU in its place."""
    function, times = activation(gated)
    return nn.Sequential(nn.Linear(inputs, times * outputs), function)


class QuestionReader(nn.Module):
    """Word vectors and a recurrent network; a question is the state after its last word.

    kind: nn.GRU or nn.LSTM.
    """

    def __init__(self, sizes, kind=nn.GRU):
        super().__init__()
        self.words = nn.Embedding(sizes.words, sizes.embed_size)
        nn.init.normal_(self.words.weight, std=0.4)     # about as GloVe's numbers
        self.words.weight.data[:UNK_ID + 1] = 0         # train may have none that is unknown
        self.network = kind(sizes.embed_size, sizes.hidden_size, batch_first=True)
        self.drop = nn.Dropout(sizes.dropout)

    def forward(self, questions, lengths):
        """Return the state (B, H) after the last of `lengths` (B,) words of questions (B, T)."""
        states, _ = self.network(self.drop(self.words(questions)))             # (B, T, H)
        return states[torch.arange(len(states), device=states.device), lengths - 1]


def cells_of(features, channels, places=False):
    """Return cells (P, L, C), each of length sqrt(D), and which only fill up, (P, L), of features.

    places: where a cell lies follows its D numbers.  The paper has vectors of length 1. The root of
    D only scales the first matrix, so that layers begin as large as others do.
    """
    if features.dim() == 2:                         # pooled: one cell is the whole picture
        features = features[:, None]
    cells, beside = features[..., :channels], features[..., channels:]
    cells = functional.normalize(cells, dim=2) * math.sqrt(channels)
    absent = torch.zeros(features.shape[:2], dtype=torch.bool, device=features.device)
    boxes = beside[..., :4]
    if beside.shape[2]:                             # of regions: a box, and whether it is there
        absent = beside[..., -1] == 0
    elif places:
        boxes = grid_boxes(cells.shape[1], cells.device).expand(len(cells), -1, -1)
    if places:
        cells = torch.cat([cells, boxes, boxes[..., 2:] - boxes[..., :2]], dim=2)
    return cells, absent


def mean_cell(cells, absent):
    """Return the mean (P, C) of the cells (P, L, C) that are there."""
    there = (~absent).unsqueeze(2).to(cells.dtype)
    return (cells * there).sum(dim=1) / there.sum(dim=1)


def per_picture(vectors, cells):
    """Return vectors (B, H) as (P, k, H), the k questions about each of the pictures of cells."""
    return vectors.unflatten(0, (len(cells), -1))


def weigh(energy, absent):
    """Return the weights (P, k, L) of energies (P, k, L); what is absent, (P, L), gets 0."""
    return energy.masked_fill(absent.unsqueeze(1), -math.inf).softmax(dim=2)


class Classifier(nn.Module):
    """Score every answer of the vocabulary from h, by one stream of layers or by two.

    One: w f(h). Two: w_text f_text(h) + w_image f_image(h), where a row of w_text may begin as the
    answer's word vector, and a row of w_image as a mean feature of pictures that show it.
    """

    def __init__(self, sizes):
        super().__init__()
        widths = ({"text": sizes.embed_size, "image": sizes.channels} if sizes.streams == 2
                  else {"text": sizes.hidden_size})
        self.streams = nn.ModuleDict({name: nn.Sequential(
            layer(sizes.hidden_size, width, sizes.gated), nn.Dropout(sizes.dropout),
            nn.Linear(width, sizes.answers, bias=False)) for name, width in widths.items()})
        # at first every answer is as likely as a guess: most steps would go into learning that
        self.bias = nn.Parameter(torch.full((sizes.answers,), -math.log(sizes.answers)))

    def forward(self, hidden):
        """Return scores (B, A), before sigmoid or softmax, of hidden (B, H)."""
        return sum(stream(hidden) for stream in self.streams.values()) + self.bias

    @torch.no_grad()
    def begin(self, stream, rows):
        """Put `rows` (A, width) in place of the first weights of "text" or "image".

        A row of zeros, of an answer of which nothing is known, stays as it was drawn.
        """
        weight = self.streams[stream][-1].weight
        known = rows.any(dim=1)
        weight[known] = rows[known].to(weight)
