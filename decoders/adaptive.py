"""A recurrent decoder that attends after each word: Knowing When to Look, Lu et al. 2017.

    words, picture --LSTM--> outputs --attend to cells and sentinel--> hidden (B, T, H)

arXiv:1612.01887. The interface is that of base.py, and comments name the paper's equations. The
context does not enter the LSTM, so a whole caption is computed at once, not word after word.

Shape letters:  P pictures   B captions   k = B / P   T tokens   L grid cells   V vocabulary
                E embedding   H hidden   N layers   M heads
"""

import math

import torch
from torch import nn

from decoders.base import HEADS, Decoder, after_start, mean_cell, open_forget_gates, split_heads
from model import State, captions_per_picture


class AdaptiveAttention(Decoder):
    """Knowing When to Look: an LSTM that, after each word, attends to the cells or to itself.

    Its output weighs the cells and one more place, the visual sentinel: what the LSTM knows without
    the picture, for words such as "of". Unlike in the paper attention is scaled dot products in M
    heads, which is quicker, and the sentinel gates the LSTM's output, not its memory cell, which
    `nn.LSTM` gives at the last step only. `weights` are the heads' mean; they sum to 1 - beta.
    """

    grid = True

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
        """Return hidden (B, T, H) and weights (B, T, L) for features (P, L, E), captions (B, T)."""
        state = self.begin(features)
        picture = state.own[2].repeat_interleave(captions_per_picture(features, captions), 0)
        inputs = self.inputs(self.read(captions[:, :-1]), picture)
        outputs, _ = self.lstm(inputs)                                         # eq. 4
        before = after_start(outputs[:, :-1])                                  # h_{t-1}
        hidden, weights = self.attend(inputs, before, outputs, *state.shared)
        return after_start(hidden), after_start(weights)

    def begin(self, features):
        """Read the picture, features (P, L, E): own is hidden and memory cell (P, N, H) and the
        cells' mean (P, E), shared is the cells' keys and values (P, L, 2H) and which are absent
        (P, 1, L)."""
        cells, absent = self.cells(features)
        zeros = cells.new_zeros(len(cells), self.lstm.num_layers, self.lstm.hidden_size)
        return State(own=(zeros, zeros, mean_cell(cells, absent)),
                     shared=(self.of_cells(cells), absent))

    def step(self, words, state):
        """Read one word of each caption, words (B,): scores (B, V) of the next one, state."""
        hidden, cell, picture = state.own
        inputs = self.inputs(self.read(words).unsqueeze(1), picture)           # (B, 1, 2E)
        past = (hidden.transpose(0, 1).contiguous(), cell.transpose(0, 1).contiguous())
        outputs, (after, cell) = self.lstm(inputs, past)
        found, _ = self.attend(inputs, hidden[:, -1:], outputs, *state.shared)
        own = (after.transpose(0, 1), cell.transpose(0, 1), picture)
        return self.score(found[:, 0]), State(own, state.shared)

    def inputs(self, words, picture):
        """Join each word (B, T, E) with the whole picture (B, E): (B, T, 2E)."""
        return torch.cat([words, picture.unsqueeze(1).expand_as(words)], dim=2)

    def attend(self, inputs, before, outputs, memory, absent):
        """Return hidden (B, T, H) and weights (B, T, L) of attention to cells and sentinel.

        inputs (B, T, 2E) and outputs (B, T, H) of the LSTM, the outputs one word before, the cells'
        keys and values (P, L, 2H), and which cells are absent (P, 1, L).
        """
        gate = self.gate(torch.cat([inputs, before], dim=2)).sigmoid()         # eq. 9
        sentinel = self.of_sentinel(gate * outputs)                            # eq. 10
        pictures = len(memory)
        queries = split_heads(self.query(outputs), pictures, self.heads)       # (P, M, kT, H/M)
        keys, values, own_key, own_value = (
            split_heads(part, pictures, self.heads)
            for part in (*memory.chunk(2, dim=2), *sentinel.chunk(2, dim=2)))
        # A query meets all cells of its picture, but only the sentinel of its own word.
        energies = torch.cat([queries @ keys.transpose(2, 3) + absent.unsqueeze(1),
                              (queries * own_key).sum(dim=3, keepdim=True)], dim=3)
        weights = (energies / math.sqrt(queries.shape[3])).softmax(dim=3)      # eq. 12, over L + 1
        weights, beta = weights[..., :-1], weights[..., -1:]
        context = weights @ values + beta * own_value                          # eq. 8, 11
        hidden = outputs + self.join(context.transpose(1, 2).reshape(outputs.shape))   # eq. 13
        return hidden, weights.mean(dim=1).view(*outputs.shape[:2], -1)
