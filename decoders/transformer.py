"""Decoders without recurrence: every word looks at the words before it and at all cells at once.

    cells (P, L, H) --encoder--> memory --decoder, for each word--> hidden (B, T, H)

    Transformer        Attention Is All You Need, Vaswani et al. 2017 (arXiv:1706.03762)
    ObjectTransformer  Transforming Objects into Words, Herdade et al. 2019 (arXiv:1906.05963)

The interface is that of decoder.py. `forward` hides the future by a mask; `step` has none to hide,
and keeps the keys and values of the words said so far.

Shape letters:  P pictures   B captions   k = B / P   T tokens   L grid cells   V vocabulary
                E embedding   H width of the model   N layers   M heads
"""

import math

import torch
from torch import nn

from decoders.base import HEADS, Decoder, after_start, captions_each, split
from model import Dropout

WAVES = 16          # for each of the four numbers that say how two boxes lie

class MultiHead(nn.Module):
    """Multi-head attention (section 3.2): each head asks its own question of the memory.

    The memory is keys and values, computed apart so that they can be kept.
    """

    def __init__(self, size):
        super().__init__()
        self.heads = math.gcd(HEADS, size)
        self.query = nn.Linear(size, size)
        self.memory = nn.Linear(size, 2 * size)
        self.join = nn.Linear(size, size)

    def forward(self, inputs, memory, bias=None):
        """inputs (B, T, H), memory (P, n, 2H) -> found (B, T, H), weights (P, M, k * T, n).

        bias: added to how well they fit; minus infinity forbids.
        """
        pictures = len(memory)
        queries = split(self.query(inputs), pictures, self.heads)              # (P, M, kT, H/M)
        keys, values = (split(part, pictures, self.heads) for part in memory.chunk(2, dim=2))
        fits = queries @ keys.transpose(2, 3) / math.sqrt(queries.shape[3])    # (P, M, kT, n)
        weights = (fits if bias is None else fits + bias).softmax(dim=3)
        found = weights @ values                                               # eq. 1
        return self.join(found.transpose(1, 2).reshape(inputs.shape)), weights


def feed_forward(size):
    """Eq. 2: the same two layers at every place."""
    return nn.Sequential(nn.Linear(size, 4 * size), nn.ReLU(), nn.Linear(4 * size, size))


class EncoderLayer(nn.Module):
    """Every cell looks at every cell, then thinks for itself."""

    def __init__(self, size, dropout):
        super().__init__()
        self.look, self.think = MultiHead(size), feed_forward(size)
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(2))
        self.drop = Dropout(dropout)

    def forward(self, cells, bias=None):
        """Cells (P, L, H) -> cells (P, L, H)."""
        normed = self.norms[0](cells)
        cells = cells + self.drop(self.look(normed, self.look.memory(normed), bias)[0])
        return cells + self.drop(self.think(self.norms[1](cells)))


class DecoderLayer(nn.Module):
    """Every word looks at the words up to itself, then at the cells, then thinks for itself."""

    def __init__(self, size, dropout):
        super().__init__()
        self.recall, self.look, self.think = MultiHead(size), MultiHead(size), feed_forward(size)
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(3))
        self.drop = Dropout(dropout)

    def forward(self, words, past, memory, future):
        """Words (B, T, H), keys and values of the t words before them (B, t, 2H) and of the cells
        (P, L, 2H), mask (T, t + T) -> words, past (B, t + T, 2H), weights (P, M, k * T, L)."""
        normed = self.norms[0](words)
        past = torch.cat([past, self.recall.memory(normed)], dim=1)
        words = words + self.drop(self.recall(normed, past, future)[0])
        found, weights = self.look(self.norms[1](words), memory)
        words = words + self.drop(found)
        return words + self.drop(self.think(self.norms[2](words))), past, weights


class Transformer(Decoder):
    """Attention Is All You Need: an encoder in which cells look at cells, and a decoder.

    Here each layer is normalised before its work, not after ("pre-norm"): the words' way through
    the layers is then a plain sum, which learns without a long warm-up. Positions are the paper's
    sinusoids, which end at no longest caption; the cells, numbered row by row, get them too.

    hidden_size: the width of the model.  num_layers: of the encoder and of the decoder.
    dropout: also of what each layer adds, so 0.1 rather than the LSTM's 0.5.
    `weights` are the mean of the last layer's heads.
    """

    shared = 1          # of the state: the cells' keys and values

    def __init__(self, embed_size, hidden_size, vocab_size, num_layers=1, dropout=0.0):
        super().__init__(embed_size, hidden_size, vocab_size, dropout)
        self.from_cell = nn.Linear(embed_size, hidden_size)
        self.from_word = nn.Linear(embed_size, hidden_size)
        layers = range(num_layers)
        self.encoder = nn.ModuleList(EncoderLayer(hidden_size, dropout) for _ in layers)
        self.decoder = nn.ModuleList(DecoderLayer(hidden_size, dropout) for _ in layers)
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(hidden_size), nn.LayerNorm(hidden_size)
        for module in self.modules():
            if isinstance(module, nn.Linear):       # keeps the size of what passes through
                nn.init.xavier_uniform_(module.weight)

    def attended(self, features, captions):
        """features (P, L, E), captions (B, T) -> hidden (B, T, H), weights (B, T, L)."""
        past, memory = self.begin(features)
        past = past.repeat_interleave(captions_each(features, captions), 0)
        hidden, _, weights = self.decode(captions[:, :-1], past, memory)
        return after_start(hidden), after_start(weights)

    def begin(self, features):
        """features (P, L, E) -> state: keys and values, in every layer, of no words yet
        (P, N, 0, 2H) and of the cells (P, N, L, 2H)."""
        cells = self.encode(features)
        memory = torch.stack([layer.look.memory(cells) for layer in self.decoder], dim=1)
        return memory[:, :, :0], memory

    def step(self, words, state):
        """words (B,), state -> scores (B, V) of the next word, state."""
        past, memory = state
        hidden, past, _ = self.decode(words.unsqueeze(1), past, memory)
        return self.score(hidden[:, 0]), (past, memory)

    def encode(self, features):
        """features (P, L, E) -> what the encoder makes of them (P, L, H)."""
        cells = self.from_cell(self.cells(features))
        cells = cells + positions(0, cells)
        for layer, bias in zip(self.encoder, self.biases(cells), strict=True):
            cells = layer(cells, bias)
        return self.encoder_norm(cells)

    def biases(self, cells):
        """For each layer of the encoder, what is added to how well two cells fit: nothing."""
        return [None] * len(self.encoder)

    def decode(self, words, past, memory):
        """words (B, T) after the t in past (B, N, t, 2H), memory (P, N, L, 2H) -> hidden (B, T, H),
        past (B, N, t + T, 2H), weights (B, T, L)."""
        before, shape = past.shape[2], words.shape
        words = self.from_word(self.read(words))
        words = words + positions(before, words)
        future = words.new_full((shape[1], before + shape[1]), -math.inf).triu(before + 1)
        grown = []
        for layer, *kept in zip(self.decoder, past.unbind(1), memory.unbind(1), strict=True):
            words, past, weights = layer(words, *kept, future)
            grown.append(past)
        weights = weights.mean(dim=1).view(*shape, -1)
        return self.decoder_norm(words), torch.stack(grown, dim=1), weights


def sinusoids(values, size):
    """Numbers (...) as waves (..., size), wave lengths from 2 pi to 20,000 pi (section 3.5)."""
    rates = 10_000 ** -(torch.arange(0, size, 2, device=values.device) / size)
    angles = values.unsqueeze(-1) * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)[..., :size]


def positions(first, inputs):
    """What tells the places of inputs (B, T, H) apart, the first of which is `first`: (T, H)."""
    places = torch.arange(first, first + inputs.shape[1], device=inputs.device)
    return sinusoids(places, inputs.shape[2]).to(inputs.dtype)


class ObjectTransformer(Transformer):
    """Transforming Objects into Words: an encoder that knows how they lie to each other.

    For every pair of boxes, distance and relative size become a weight that multiplies their
    attention; it starts for each layer and head at random and is learned. Here the boxes are the
    cells of a square grid, and positions are kept, so the geometry is all that differs from
    `Transformer`; alone it would not know left from right.
    """

    def __init__(self, embed_size, hidden_size, vocab_size, num_layers=1, dropout=0.0):
        super().__init__(embed_size, hidden_size, vocab_size, num_layers, dropout)
        heads = self.encoder[0].look.heads
        self.geometry = nn.ModuleList(nn.Linear(4 * WAVES, heads) for _ in range(num_layers))

    def biases(self, cells):
        """For each layer of the encoder, the logarithm of the geometric weights (M, L, L)."""
        apart = displacements(grid_boxes(cells.shape[1], cells.device))
        waves = sinusoids(100 * apart, WAVES).flatten(-2)                      # Emb: (L, L, 4 * 16)
        weights = (layer(waves).relu() for layer in self.geometry)             # eq. 7: (L, L, M)
        # Eq. 8, w_g exp(w_a) over its sum, is the softmax of w_a + log(w_g).
        return [one.clamp(min=1e-6).log().movedim(-1, -3) for one in weights]


def grid_boxes(count, device=None):
    """The boxes (L, 4) of a square grid's cells, row by row; ValueError: it is not square."""
    side = math.isqrt(count)
    if side * side != count:
        raise ValueError(f"ObjectTransformer needs a square grid, not {count} cells")
    middles = (torch.arange(side, device=device) + 0.5) / side
    y, x = torch.meshgrid(middles, middles, indexing="ij")
    size = torch.full_like(x, 1 / side)
    return torch.stack([x, y, size, size], dim=2).flatten(0, 1)


def displacements(boxes):
    """How box n lies, seen from box m: boxes (..., L, 4) -> (..., L, L, 4), logarithms (eq. 6).

    A box is the x and y of its middle, its width and its height.
    """
    middle, size = boxes.split(2, dim=-1)
    apart = (middle.unsqueeze(-2) - middle.unsqueeze(-3)).abs() / size.unsqueeze(-2)
    larger = size.unsqueeze(-3) / size.unsqueeze(-2)
    return torch.cat([apart.clamp(min=1e-3), larger], dim=-1).log()    # 1e-3: of itself, 0
