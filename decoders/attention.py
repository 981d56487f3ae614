"""Recurrent decoders that look: before or after every word they weigh the picture's cells anew.

    SoftAttention      Show, Attend and Tell, Xu et al. 2015 (arXiv:1502.03044)
    AdaptiveAttention  Knowing When to Look, Lu et al. 2017 (arXiv:1612.01887)
    UpDown             Bottom-Up and Top-Down Attention, Anderson et al. 2018 (arXiv:1707.07998)

The interface is that of decoder.py; each class is one page to lay beside its paper.

Shape letters:  P pictures   B captions   k = B / P   T tokens   L grid cells   V vocabulary
                E embedding   H hidden   N layers   M heads
"""

import math

import torch
from torch import nn

from decoders.base import HEADS, Decoder, after_start, captions_each, open_forget_gates, split


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
    LSTM together with the word. Here L_o of eq. 7 is the word vectors, after one more matrix.
    """

    shared = 2          # of the state: cells and their keys

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
        hidden, context, weights = (torch.stack(one, 1) for one in zip(*found, strict=True))
        return after_start(self.output(words, hidden, context)), after_start(weights)

    def begin(self, features):
        """features (P, L, E) -> state: hidden, memory cell (P, H); cells (P, L, E), their keys."""
        cells = self.cells(features)
        hidden, cell = self.initial(cells.mean(dim=1)).tanh().chunk(2, dim=1)  # f_init
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


class AdaptiveAttention(Decoder):
    """Knowing When to Look: an LSTM speaks, and then asks the picture, if it needs to.

    Its output weighs the cells and one more place, the visual sentinel: what the LSTM knows by
    itself, for words such as "of". Nothing found goes back into the LSTM, so a whole caption is
    computed at once. Here attention is the Transformer's, scaled dot products in M heads, which is
    quicker than adding; and the sentinel is a part of the LSTM's output, since `nn.LSTM` does not
    show its memory cells on the way.

    `weights` are the heads' mean. Over the cells they sum to 1 - beta; the sentinel has the rest.
    """

    shared = 1          # of the state: the cells' keys and values

    def __init__(self, embed_size, hidden_size, vocab_size, num_layers=1, dropout=0.0):
        super().__init__(embed_size, hidden_size, vocab_size, dropout)
        self.heads = math.gcd(HEADS, hidden_size)
        self.lstm = nn.LSTM(2 * embed_size, hidden_size, num_layers, batch_first=True,
                            dropout=dropout if num_layers > 1 else 0.0)
        for layer in range(num_layers):
            open_forget_gates(getattr(self.lstm, f"bias_ih_l{layer}"))
        self.gate = nn.Linear(2 * embed_size + hidden_size, hidden_size)
        self.query = nn.Linear(hidden_size, hidden_size)
        self.of_cells = nn.Linear(embed_size, 2 * hidden_size)
        self.of_sentinel = nn.Linear(hidden_size, 2 * hidden_size)
        self.join = nn.Linear(hidden_size, hidden_size)

    def attended(self, features, captions):
        """features (P, L, E), captions (B, T) -> hidden (B, T, H), weights (B, T, L)."""
        _, _, picture, memory = self.begin(features)
        picture = picture.repeat_interleave(captions_each(features, captions), 0)
        inputs = self.inputs(self.read(captions[:, :-1]), picture)
        outputs, _ = self.lstm(inputs)                                         # eq. 4
        before = after_start(outputs[:, :-1])                                  # h_{t-1}
        hidden, weights = self.look(inputs, before, outputs, memory)
        return after_start(hidden), after_start(weights)

    def begin(self, features):
        """features (P, L, E) -> state: hidden, memory cell (P, N, H), the cells' mean (P, E), their
        keys and values (P, L, 2H)."""
        cells = self.cells(features)
        zeros = cells.new_zeros(len(cells), self.lstm.num_layers, self.lstm.hidden_size)
        return zeros, zeros, cells.mean(dim=1), self.of_cells(cells)

    def step(self, words, state):
        """words (B,), state -> scores (B, V) of the next word, state."""
        hidden, cell, picture, memory = state
        inputs = self.inputs(self.read(words).unsqueeze(1), picture)           # (B, 1, 2E)
        past = (hidden.transpose(0, 1).contiguous(), cell.transpose(0, 1).contiguous())
        outputs, (after, cell) = self.lstm(inputs, past)
        found, _ = self.look(inputs, hidden[:, -1:], outputs, memory)
        return self.score(found[:, 0]), (after.transpose(0, 1), cell.transpose(0, 1), picture,
                                         memory)

    def inputs(self, words, picture):
        """What the LSTM reads: each word (B, T, E) with the whole picture (B, E)."""
        return torch.cat([words, picture.unsqueeze(1).expand_as(words)], dim=2)

    def look(self, inputs, before, outputs, memory):
        """Inputs (B, T, 2E), outputs before and after them (B, T, H), the cells' keys and values
        (P, L, 2H) -> hidden (B, T, H), weights (B, T, L)."""
        gate = self.gate(torch.cat([inputs, before], dim=2)).sigmoid()         # eq. 9
        sentinel = self.of_sentinel(gate * outputs)                            # eq. 10
        pictures = len(memory)
        queries = split(self.query(outputs), pictures, self.heads)             # (P, M, kT, H/M)
        keys, values = (split(part, pictures, self.heads) for part in memory.chunk(2, dim=2))
        own_key, own_value = (split(part, pictures, self.heads) for part in sentinel.chunk(2, 2))
        fits = torch.cat([queries @ keys.transpose(2, 3),
                          (queries * own_key).sum(dim=3, keepdim=True)], dim=3)
        weights = (fits / math.sqrt(queries.shape[3])).softmax(dim=3)          # eq. 12, over L + 1
        weights, beta = weights[..., :-1], weights[..., -1:]
        found = weights @ values + beta * own_value                            # eq. 8, 11
        hidden = outputs + self.join(found.transpose(1, 2).reshape(outputs.shape))     # eq. 13
        return hidden, weights.mean(dim=1).view(*outputs.shape[:2], -1)


class UpDown(Decoder):
    """Bottom-Up and Top-Down Attention: one LSTM decides where to look, a second one what to say.

    The first reads the word, the whole picture and what the second last thought; the second reads
    what was found. Here grid cells stand for the detected objects of the paper's bottom-up part.
    """

    shared = 2          # of the state: cells and their keys

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
        """features (P, L, E), captions (B, T) -> hidden (B, T, H), weights (B, T, L)."""
        *state, cells, keys = self.begin(features)
        each = captions_each(features, captions)
        *state, picture = (part.repeat_interleave(each, 0) for part in state)
        words = self.from_word(self.read(captions[:, :-1]))                    # (B, T-1, 4H)
        found = []
        for gates in (words + picture.unsqueeze(1)).unbind(1):
            state, weights = self.advance(gates, state, cells, keys)
            found.append((state[2], weights))
        hidden, weights = (torch.stack(one, 1) for one in zip(*found, strict=True))
        return after_start(hidden), after_start(weights)

    def begin(self, features):
        """features (P, L, E) -> state: hidden and memory cell (P, H) of both LSTMs, what the first
        one's gates are told of the picture (P, 4H), cells (P, L, E) and their keys."""
        cells = self.cells(features)
        zeros = (cells.new_zeros(len(cells), self.to_word.in_features) for _ in range(4))
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


def lstm(gates, cell):
    """One step of an LSTM from what its gates are told: (B, 4H), cell (B, H) -> hidden, cell.

    Show, Attend and Tell eq. 1 to 3. Written out, since `nn.LSTMCell` cannot be told what the words
    give to the gates, which is computed for the whole caption at once.
    """
    size = cell.shape[1]
    take, keep, show = gates[:, : 3 * size].sigmoid().chunk(3, dim=1)          # i, f, o
    cell = keep * cell + take * gates[:, 3 * size :].tanh()                    # eq. 2
    return show * cell.tanh(), cell                                            # eq. 3


def penalty(weights, counts):
    """Doubly stochastic attention, Show, Attend and Tell eq. 14: look everywhere once, in all.

    (1 - a cell's weights summed over the words that count)^2, summed over cells, mean over
    captions. weights (B, T, L), counts (B, T) bool.
    """
    looked = (weights.float() * counts.unsqueeze(2)).sum(dim=1)                # (B, L)
    return (1 - looked).square().sum(dim=1).mean()
