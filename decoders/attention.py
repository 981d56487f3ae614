"""Recurrent decoders with additive attention: before each word they weigh the picture's cells.

    SoftAttention      Show, Attend and Tell, Xu et al. 2015 (arXiv:1502.03044)
    UpDown             Bottom-Up and Top-Down Attention, Anderson et al. 2018 (arXiv:1707.07998)

The interface is that of base.py. Each class is one page to read beside its paper, and comments
name the paper's equations. The context enters the LSTM, so training, too, takes word after word;
adaptive.py has an LSTM that computes a whole caption at once, hard.py the hard attention of Xu.

Shape letters:  P pictures   B captions   k = B / P   T tokens   L grid cells   V vocabulary
                E embedding   H hidden
"""

import torch
from torch import nn

from decoders.base import Decoder, after_start, mean_cell, open_forget_gates
from model import State, captions_per_picture


class AdditiveAttention(nn.Module):
    """Attention whose energies come from a network with one hidden layer (arXiv:1409.0473)."""

    def __init__(self, embed_size, hidden_size):
        super().__init__()
        self.keys = nn.Linear(embed_size, hidden_size)
        self.query = nn.Linear(hidden_size, hidden_size, bias=False)
        self.energy = nn.Linear(hidden_size, 1, bias=False)

    def forward(self, hidden, cells, keys, absent):
        """Weigh the cells (P, L, E) by hidden states (B, H): context (B, E), weights (B, L).

        keys: `self.keys(cells)`, (P, L, H), which is the same for every word.  absent: see
        `Decoder.cells`.
        """
        query = self.query(hidden).view(len(keys), -1, 1, keys.shape[2])       # (P, k, 1, H)
        energy = self.energy(torch.tanh(keys.unsqueeze(1) + query))            # (P, k, L, 1)
        weights = (energy.squeeze(3) + absent).softmax(dim=2)
        return (weights @ cells).flatten(0, 1), weights.flatten(0, 1)


class SoftAttention(Decoder):
    """Show, Attend and Tell: an LSTM that attends to the cells before it reads each word.

    The hidden state h_{t-1} weighs the cells; their weighted sum, the context, enters the LSTM
    beside the word. Here L_o of eq. 7 is the word vectors, after one more matrix.
    """

    grid = True

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
        """Return hidden (B, T, H) and weights (B, T, L) for features (P, L, E), captions (B, T)."""
        state = self.begin(features)
        each = captions_per_picture(features, captions)
        hidden, cell = (part.repeat_interleave(each, 0) for part in state.own)
        words = self.read(captions[:, :-1])                                    # (B, T-1, E)
        found = []
        for gates in self.from_word(words).unbind(1):
            hidden, cell, context, weights = self.advance(gates, hidden, cell, *state.shared)
            found.append((hidden, context, weights))
        hidden, context, weights = (torch.stack(one, 1) for one in zip(*found, strict=True))
        return after_start(self.output(words, hidden, context)), after_start(weights)

    def begin(self, features):
        """Read the picture, features (P, L, E): own is hidden and memory cell (P, H), shared is the
        grid's cells (P, L, E), their keys (P, L, H) and which are absent (P, 1, L)."""
        cells, absent = self.cells(features)
        mean = mean_cell(cells, absent)
        hidden, cell = self.initial(mean).tanh().chunk(2, dim=1)               # f_init
        return State(own=(hidden, cell), shared=(cells, self.attention.keys(cells), absent))

    def step(self, words, state):
        """Read one word of each caption, words (B,): scores (B, V) of the next one, state."""
        words = self.read(words)
        gates = self.from_word(words)
        hidden, cell, context, _ = self.advance(gates, *state.own, *state.shared)
        return self.score(self.output(words, hidden, context)), State((hidden, cell), state.shared)

    def advance(self, gates, hidden, cell, *picture):
        """Attend, then run the LSTM once; gates (B, 4H) are the word's part of them."""
        context, weights = self.attend(hidden, *picture)                       # eq. 4 to 6, 13
        context = self.beta(hidden).sigmoid() * context                        # sec. 4.2.1
        gates = gates + self.from_past(torch.cat([hidden, context], dim=1))    # eq. 1
        hidden, cell = lstm(gates, cell)                                       # eq. 2, 3
        return hidden, cell, context, weights

    def attend(self, hidden, *picture):
        """Return the context (B, E) and the weights (B, L); picture: `shared` of a state."""
        return self.attention(hidden, *picture)

    def output(self, words, hidden, context):
        """Join words (..., E), hidden states (..., H) and context (..., E): (..., H)."""
        return hidden + self.deep(torch.cat([words, context], dim=-1))         # eq. 7, within L_o

    def regularizer(self, weights, counts, log_probs):
        """Return what the paper adds to the loss, summed over the captions: see `penalty`."""
        return len(weights) * penalty(weights, counts)


class UpDown(Decoder):
    """Bottom-Up and Top-Down Attention: one LSTM to attend with and a second one to write with.

    The attention LSTM reads the word, the whole picture and the language LSTM's last hidden state;
    the language LSTM reads the context. The paper's bottom-up part, detected objects in place of
    grid cells, is encoders/regions.py.
    """

    grid = True

    def __init__(self, embed_size, hidden_size, vocab_size, num_layers=1, dropout=0.0):
        super().__init__(embed_size, hidden_size, vocab_size, dropout)
        if num_layers != 1:
            raise ValueError(f"UpDown has 1 layer of either LSTM, not {num_layers}")
        self.attention = AdditiveAttention(embed_size, hidden_size)
        self.from_picture = nn.Linear(embed_size, 4 * hidden_size)
        self.from_word = nn.Linear(embed_size, 4 * hidden_size, bias=False)
        self.from_past = nn.Linear(2 * hidden_size, 4 * hidden_size, bias=False)
        self.language = nn.Linear(embed_size + 2 * hidden_size, 4 * hidden_size)
        open_forget_gates(self.from_picture.bias)
        open_forget_gates(self.language.bias)

    def attended(self, features, captions):
        """Return hidden (B, T, H) and weights (B, T, L) for features (P, L, E), captions (B, T)."""
        state = self.begin(features)
        each = captions_per_picture(features, captions)
        *lstms, picture = (part.repeat_interleave(each, 0) for part in state.own)
        words = self.from_word(self.read(captions[:, :-1]))                    # (B, T-1, 4H)
        found = []
        for gates in (words + picture.unsqueeze(1)).unbind(1):
            lstms, weights = self.advance(gates, lstms, *state.shared)
            found.append((lstms[2], weights))
        hidden, weights = (torch.stack(one, 1) for one in zip(*found, strict=True))
        return after_start(hidden), after_start(weights)

    def begin(self, features):
        """Read the picture, features (P, L, E): own is hidden and memory cell (P, H) of both LSTMs
        and the picture's part of the first one's gates (P, 4H), shared is the grid's cells
        (P, L, E), their keys (P, L, H) and which are absent (P, 1, L)."""
        cells, absent = self.cells(features)
        zeros = (cells.new_zeros(len(cells), self.to_word.in_features) for _ in range(4))
        return State(own=(*zeros, self.from_picture(mean_cell(cells, absent))),
                     shared=(cells, self.attention.keys(cells), absent))

    def step(self, words, state):
        """Read one word of each caption, words (B,): scores (B, V) of the next one, state."""
        *lstms, picture = state.own
        gates = self.from_word(self.read(words)) + picture
        lstms, _ = self.advance(gates, lstms, *state.shared)
        return self.score(lstms[2]), State((*lstms, picture), state.shared)

    def advance(self, gates, lstms, *picture):
        """Run both LSTMs once; gates (B, 4H) are the first one's, from word and picture."""
        hidden1, cell1, hidden2, cell2 = lstms                                 # h1, c1, h2, c2
        gates = gates + self.from_past(torch.cat([hidden2, hidden1], dim=1))   # eq. 2
        hidden1, cell1 = lstm(gates, cell1)                                    # eq. 1
        context, weights = self.attention(hidden1, *picture)                   # eq. 3 to 5
        inputs = torch.cat([context, hidden1, hidden2], dim=1)                 # eq. 6
        hidden2, cell2 = lstm(self.language(inputs), cell2)                    # eq. 1
        return (hidden1, cell1, hidden2, cell2), weights


def lstm(gates, cell):
    """Run an LSTM once from its gates (B, 4H), before their nonlinearity: hidden, cell (B, H)."""
    # Written out, since the words' part of the gates is computed for a whole caption at once, which
    # nn.LSTMCell cannot be given.
    size = cell.shape[1]
    input_gate, forget_gate, output_gate = gates[:, : 3 * size].sigmoid().chunk(3, dim=1)
    cell = forget_gate * cell + input_gate * gates[:, 3 * size :].tanh()       # eq. 2
    return output_gate * cell.tanh(), cell                                     # eq. 3


def penalty(weights, counts):
    """Return the doubly stochastic penalty of Show, Attend and Tell, eq. 14, a mean over captions.

    Of a caption it is (1 - a cell's weights summed over the words that count)^2, summed over the
    cells: 0 if every cell has been attended to once in all. weights (B, T, L), counts (B, T) bool.
    """
    totals = (weights.float() * counts.unsqueeze(2)).sum(dim=1)                # (B, L)
    return (1 - totals).square().sum(dim=1).mean()
