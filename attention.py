"""Decoders that look: at every word they weigh the cells of the picture's grid anew.

    features (P, L, E), captions (B, T) --attended--> hidden (B, T, H), weights (B, T, L)
    hidden --score--> scores (B, T, V)                    weights: where each word was looked for

    SoftAttention      Show, Attend and Tell, Xu et al. 2015 (arXiv:1502.03044)
    AdaptiveAttention  Knowing When to Look, Lu et al. 2017 (arXiv:1612.01887)
    UpDown             Bottom-Up and Top-Down, Anderson et al. 2018 (arXiv:1707.07998)

All are driven as `model.DecoderRNN` is: `forward` for a whole caption, `begin` and `step` word by
word. Picture p owns the captions p * k to p * k + k - 1, k = B / P, so what hangs on the picture
alone is computed once for all of them. Output 0 would score `<start>`, which is given: it is zeros.

Shape letters:  P pictures   B captions   T tokens   L grid cells   V vocabulary
                E embedding   H hidden   M heads
"""

import math

import torch
from torch import nn
from torch.nn import functional

from model import Dropout


class Decoder(nn.Module):
    """What all have in common: how words and cells come in, and how a word comes out.

    The vectors that are read are also the rows of the output layer. Their entries are N(0, 1/E),
    so scores start small; times the root of E, words come in as loud as the normalised cells.

    dropout: share of word vectors and outputs silenced in training; the picture is spared.
    A subclass adds `attended`, `begin` and `step`.
    """

    def __init__(self, embed_size, hidden_size, vocab_size, dropout):
        super().__init__()
        self.words = nn.Embedding(vocab_size, embed_size)
        nn.init.normal_(self.words.weight, std=embed_size**-0.5)
        self.norm = nn.LayerNorm(embed_size)
        self.to_word = nn.Linear(hidden_size, embed_size)
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        self.drop = Dropout(dropout)

    def forward(self, features, captions):
        """features (P, L, E), captions (B, T) -> scores (B, T, V), the whole sequence at once."""
        return self.score(self.hidden(features, captions))

    def hidden(self, features, captions):
        """features (P, L, E), captions (B, T) -> what the scores are read off, (B, T, H)."""
        return self.attended(features, captions)[0]

    def score(self, hidden):
        """hidden (..., H) -> scores (..., V) of the word that comes next."""
        return functional.linear(self.to_word(self.drop(hidden)), self.words.weight, self.bias)

    def read(self, words):
        """Ids (...) -> word vectors (..., E)."""
        return self.drop(self.words(words) * math.sqrt(self.words.embedding_dim))

    def cells(self, features):
        """features (P, L, E) -> cells (P, L, E), which no encoder can make too loud or too faint.

        ValueError: the features are not those of a grid.
        """
        if features.dim() != 3:
            raise ValueError(f"{type(self).__name__} looks at a grid, features (pictures, cells, "
                             f"size), not {tuple(features.shape)}: give the encoder grid=True")
        return self.norm(features)


def captions_each(features, captions):
    """How many captions each picture has; ValueError: not all the same."""
    if len(captions) % len(features):
        raise ValueError(f"{len(captions)} captions cannot be shared evenly by "
                         f"{len(features)} pictures")
    return len(captions) // len(features)


def after_start(outputs):
    """(B, T-1, ...) of the words after `<start>` -> (B, T, ...), zeros for `<start>` itself."""
    return functional.pad(outputs, (0, 0, 1, 0))


def penalty(weights, counts):
    """Doubly stochastic attention, Show, Attend and Tell eq. 14: look everywhere once, in all.

    (1 - a cell's weights summed over the words that count)^2, summed over cells, mean over
    captions. weights (B, T, L), counts (B, T) bool.
    """
    looked = (weights.float() * counts.unsqueeze(2)).sum(dim=1)                # (B, L)
    return (1 - looked).square().sum(dim=1).mean()


def lstm(gates, cell):
    """One step of an LSTM from what its gates are told: (B, 4H), cell (B, H) -> hidden, cell.

    Show, Attend and Tell eq. 1 to 3. Written out, since the words' part of the gates is computed
    for the whole caption at once, which `nn.LSTMCell` cannot be told.
    """
    size = cell.shape[1]
    take, keep, show = gates[:, : 3 * size].sigmoid().chunk(3, dim=1)          # i, f, o
    cell = keep * cell + take * gates[:, 3 * size :].tanh()                    # eq. 2
    return show * cell.tanh(), cell                                            # eq. 3


def open_forget_gates(bias):
    """Start with forget gates open, so that what is read early is not lost on the way."""
    size = len(bias) // 4
    nn.init.ones_(bias.data[size : 2 * size])


class AdditiveAttention(nn.Module):
    """How well each cell answers a hidden state, by a network with one hidden layer.

    Bahdanau et al. 2014 (arXiv:1409.0473).  `keys` is the cells' part, computed once a picture.
    """

    def __init__(self, embed_size, hidden_size):
        super().__init__()
        self.keys = nn.Linear(embed_size, hidden_size)
        self.query = nn.Linear(hidden_size, hidden_size, bias=False)
        self.energy = nn.Linear(hidden_size, 1, bias=False)

    def forward(self, hidden, cells, keys):
        """hidden (B, H), cells (P, L, E), keys (P, L, H) -> context (B, E), weights (B, L)."""
        query = self.query(hidden).view(len(keys), -1, 1, keys.shape[2])       # (P, k, 1, H)
        energy = self.energy(torch.tanh(keys.unsqueeze(1) + query))            # (P, k, L, 1)
        weights = energy.squeeze(3).softmax(dim=2)
        return (weights @ cells).flatten(0, 1), weights.flatten(0, 1)


class SoftAttention(Decoder):
    """Show, Attend and Tell: an LSTM that chooses where to look before it reads on.

    What it has said so far, h_{t-1}, weighs the cells; their weighted sum, the context, enters the
    LSTM together with the word. Here the output layer is tied to the word vectors: eq. 7 with
    L_o the word vectors, and one more matrix before it.
    """

    def __init__(self, embed_size, hidden_size, vocab_size, num_layers=1, dropout=0.0):
        super().__init__(embed_size, hidden_size, vocab_size, dropout)
        if num_layers != 1:
            raise ValueError(f"SoftAttention has 1 layer, not {num_layers}")
        self.attention = AdditiveAttention(embed_size, hidden_size)
        self.beta = nn.Linear(hidden_size, 1)
        self.initial = nn.Linear(embed_size, 2 * hidden_size)
        self.from_word = nn.Linear(embed_size, 4 * hidden_size)
        self.from_past = nn.Linear(hidden_size + embed_size, 4 * hidden_size, bias=False)
        self.deep = nn.Linear(2 * embed_size, hidden_size)
        open_forget_gates(self.from_word.bias)

    def attended(self, features, captions):
        """features (P, L, E), captions (B, T) -> hidden (B, T, H), weights (B, T, L)."""
        hidden, cell, cells, keys = self.begin(features)
        each = captions_each(features, captions)
        hidden, cell = hidden.repeat_interleave(each, 0), cell.repeat_interleave(each, 0)
        words = self.read(captions[:, :-1])                                    # (B, T-1, E)
        found = []
        for gates in self.from_word(words).unbind(1):
            hidden, cell, context, weights = self.advance(gates, hidden, cell, cells, keys)
            found.append((hidden, context, weights))
        hidden, context, weights = (torch.stack(each, 1) for each in zip(*found, strict=True))
        return after_start(self.output(words, hidden, context)), after_start(weights)

    def begin(self, features):
        """features (P, L, E) -> state: hidden, memory cell (P, H); cells (P, L, E), their keys."""
        cells = self.cells(features)
        hidden, cell = self.initial(cells.mean(dim=1)).tanh().chunk(2, dim=1)  # f_init of sec. 3.1.2
        return hidden, cell, cells, self.attention.keys(cells)

    def step(self, words, state):
        """words (B,), state -> scores (B, V) of the next word, state."""
        hidden, cell, cells, keys = state
        words = self.read(words)
        gates = self.from_word(words)
        hidden, cell, context, _ = self.advance(gates, hidden, cell, cells, keys)
        return self.score(self.output(words, hidden, context)), (hidden, cell, cells, keys)

    def advance(self, gates, hidden, cell, cells, keys):
        """Look, then read one word, of which the gates (B, 4H) have been told."""
        context, weights = self.attention(hidden, cells, keys)                 # eq. 4 to 6, 13
        context = self.beta(hidden).sigmoid() * context                        # sec. 4.2.1
        gates = gates + self.from_past(torch.cat([hidden, context], dim=1))    # eq. 1
        hidden, cell = lstm(gates, cell)                                       # eq. 2, 3
        return hidden, cell, context, weights

    def output(self, words, hidden, context):
        """What the next word is read off: word, state and context together."""
        return hidden + self.deep(torch.cat([words, context], dim=-1))         # eq. 7, within L_o


class UpDown(Decoder):
    """Top-down attention: one LSTM decides where to look, a second one what to say.

    The first reads the word, the whole picture and what the second last thought; the second reads
    what was found. Here the cells of a grid stand for the paper's detected objects ("bottom-up").
    """

    def __init__(self, embed_size, hidden_size, vocab_size, num_layers=1, dropout=0.0):
        super().__init__(embed_size, hidden_size, vocab_size, dropout)
        if num_layers != 1:
            raise ValueError(f"UpDown has 1 layer of either LSTM, not {num_layers}")
        self.hidden_size = hidden_size
        self.attention = AdditiveAttention(embed_size, hidden_size)
        self.from_picture = nn.Linear(embed_size, 4 * hidden_size)
        self.from_word = nn.Linear(embed_size, 4 * hidden_size, bias=False)
        self.from_past = nn.Linear(2 * hidden_size, 4 * hidden_size, bias=False)
        self.language = nn.Linear(embed_size + 2 * hidden_size, 4 * hidden_size)
        open_forget_gates(self.from_picture.bias)
        open_forget_gates(self.language.bias)

    def attended(self, features, captions):
        """features (P, L, E), captions (B, T) -> hidden (B, T, H), weights (B, T, L)."""
        *state, cells, keys = self.begin(features)
        each = captions_each(features, captions)
        *state, picture = (part.repeat_interleave(each, 0) for part in state)
        words = self.from_word(self.read(captions[:, :-1]))                    # (B, T-1, 4H)
        found = []
        for gates in (words + picture.unsqueeze(1)).unbind(1):
            state, weights = self.advance(gates, state, cells, keys)
            found.append((state[2], weights))
        hidden, weights = (torch.stack(each, 1) for each in zip(*found, strict=True))
        return after_start(hidden), after_start(weights)

    def begin(self, features):
        """features (P, L, E) -> state: hidden and memory cell (P, H) of both LSTMs, what the first
        one's gates are told of the picture (P, 4H), cells (P, L, E) and their keys."""
        cells = self.cells(features)
        zeros = (cells.new_zeros(len(cells), self.hidden_size) for _ in range(4))
        return *zeros, self.from_picture(cells.mean(dim=1)), cells, self.attention.keys(cells)

    def step(self, words, state):
        """words (B,), state -> scores (B, V) of the next word, state."""
        *state, picture, cells, keys = state
        gates = self.from_word(self.read(words)) + picture
        state, _ = self.advance(gates, state, cells, keys)
        return self.score(state[2]), (*state, picture, cells, keys)

    def advance(self, gates, state, cells, keys):
        """Look and speak once; the first LSTM's gates (B, 4H) know of the word and the picture."""
        looking, look_cell, speaking, speak_cell = state                       # h1, h2: (B, H)
        gates = gates + self.from_past(torch.cat([speaking, looking], dim=1))  # eq. 2
        looking, look_cell = lstm(gates, look_cell)                            # eq. 1
        context, weights = self.attention(looking, cells, keys)                # eq. 3 to 5
        inputs = torch.cat([context, looking, speaking], dim=1)                # eq. 6
        speaking, speak_cell = lstm(self.language(inputs), speak_cell)         # eq. 1
        return (looking, look_cell, speaking, speak_cell), weights
