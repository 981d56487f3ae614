"""Decoders without recurrence: every word attends to the words before it and to all cells at once.

    cells (P, L, H) --encoder--> memory --decoder, for each word--> hidden (B, T, H)

    Transformer        Attention Is All You Need, Vaswani et al. 2017 (arXiv:1706.03762)
    ObjectTransformer  Transforming Objects into Words, Herdade et al. 2019 (arXiv:1906.05963)

The interface is that of base.py. `forward` hides later words by a mask; `step` has none to hide,
and keeps the keys and values of the words before.

Shape letters:  P pictures   B captions   k = B / P   T tokens   L grid cells   V vocabulary
                E embedding   H width of the model   N layers   M heads
"""

import math

import torch
from torch import nn

from decoders.base import HEADS, Decoder, after_start, split_heads
from model import State, captions_per_picture

WAVES = 16          # numbers that encode each of the four displacements of two boxes


class MultiHeadAttention(nn.Module):
    """Multi-head attention (section 3.2); keys and values are apart, to be kept for later words."""

    def __init__(self, size):
        super().__init__()
        self.heads = math.gcd(HEADS, size)
        self.query = nn.Linear(size, size)
        self.key_value = nn.Linear(size, 2 * size)
        self.join = nn.Linear(size, size)

    def forward(self, inputs, memory, bias=None):
        """Attend from inputs (B, T, H) to memory: found (B, T, H), weights (P, M, k * T, n).

        memory: keys and values, (P, n, 2H).  bias: added to the energies; minus infinity forbids.
        """
        pictures = len(memory)
        queries = split_heads(self.query(inputs), pictures, self.heads)        # (P, M, kT, H/M)
        keys, values = (split_heads(part, pictures, self.heads)
                        for part in memory.chunk(2, dim=2))
        energies = queries @ keys.transpose(2, 3) / math.sqrt(queries.shape[3])    # (P, M, kT, n)
        weights = (energies if bias is None else energies + bias).softmax(dim=3)
        found = weights @ values                                               # eq. 1
        return self.join(found.transpose(1, 2).reshape(inputs.shape)), weights


def feed_forward(size):
    """Build the two layers that are the same at every position, eq. 2."""
    return nn.Sequential(nn.Linear(size, 4 * size), nn.ReLU(), nn.Linear(4 * size, size))


class EncoderLayer(nn.Module):
    """Self-attention of the cells, then a feed-forward network."""

    def __init__(self, size, dropout):
        super().__init__()
        self.self_attention, self.feed_forward = MultiHeadAttention(size), feed_forward(size)
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(2))
        self.drop = nn.Dropout(dropout)

    def forward(self, cells, bias=None):
        """Add both sublayers to the cells (P, L, H); bias: see `MultiHeadAttention`."""
        normed = self.norms[0](cells)
        found, _ = self.self_attention(normed, self.self_attention.key_value(normed), bias)
        cells = cells + self.drop(found)
        return cells + self.drop(self.feed_forward(self.norms[1](cells)))


class DecoderLayer(nn.Module):
    """Masked self-attention of the words, cross-attention to the cells, a feed-forward network."""

    def __init__(self, size, dropout):
        super().__init__()
        self.self_attention = MultiHeadAttention(size)
        self.cross_attention = MultiHeadAttention(size)
        self.feed_forward = feed_forward(size)
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(3))
        self.drop = nn.Dropout(dropout)

    def forward(self, words, past, memory, mask, absent):
        """Add the three sublayers to words (B, T, H): words, past, weights (P, M, k * T, L).

        past: keys and values of the t words before, (B, t, 2H), to which those of `words` are
        added.  memory: keys and values of the cells, (P, L, 2H).  mask (T, t + T): minus infinity
        where a word would see a later one.  absent (P, 1, L): see `Decoder.cells`.
        """
        normed = self.norms[0](words)
        past = torch.cat([past, self.self_attention.key_value(normed)], dim=1)
        words = words + self.drop(self.self_attention(normed, past, mask)[0])
        found, weights = self.cross_attention(self.norms[1](words), memory, absent.unsqueeze(1))
        words = words + self.drop(found)
        return words + self.drop(self.feed_forward(self.norms[2](words))), past, weights


class Transformer(Decoder):
    """Attention Is All You Need: an encoder of the cells and a decoder of the words.

    Positions are the paper's sinusoids, which set no longest caption; the cells of a grid, numbered
    row by row, have them too, and regions have their boxes. `weights` are the mean of the last
    layer's heads.

    hidden_size: the width of the model.  num_layers: of the encoder and of the decoder.
    dropout: also of what each sublayer adds, so 0.1 rather than the LSTM's 0.5.
    """

    grid = True

    def __init__(self, embed_size, hidden_size, vocab_size, num_layers=1, dropout=0.0):
        super().__init__(embed_size, hidden_size, vocab_size, dropout)
        self.from_cell = nn.Linear(embed_size, hidden_size)
        self.from_word = nn.Linear(embed_size, hidden_size)
        # Each sublayer normalises its input, not its output as in the paper ("pre-norm"): the way
        # through the layers is then a plain sum, which learns without a long warm-up.
        layers = range(num_layers)
        self.encoder = nn.ModuleList(EncoderLayer(hidden_size, dropout) for _ in layers)
        self.decoder = nn.ModuleList(DecoderLayer(hidden_size, dropout) for _ in layers)
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(hidden_size), nn.LayerNorm(hidden_size)
        for module in self.modules():
            if isinstance(module, nn.Linear):       # keeps the size of what passes through
                nn.init.xavier_uniform_(module.weight)

    def attended(self, features, captions):
        """Return hidden (B, T, H) and weights (B, T, L) for features (P, L, E), captions (B, T)."""
        state = self.begin(features)
        past = state.own[0].repeat_interleave(captions_per_picture(features, captions), 0)
        hidden, _, weights = self.decode(captions[:, :-1], past, *state.shared)
        return after_start(hidden), after_start(weights)

    def begin(self, features):
        """Read the picture, features (P, L, E): own is every layer's keys and values of no words
        yet (P, N, 0, 2H), shared is those of the cells (P, N, L, 2H) and which are absent."""
        cells, absent = self.encode(features)
        memory = torch.stack([layer.cross_attention.key_value(cells) for layer in self.decoder],
                             dim=1)
        return State(own=(memory[:, :, :0],), shared=(memory, absent))

    def step(self, words, state):
        """Read one word of each caption, words (B,): scores (B, V) of the next one, state."""
        hidden, past, _ = self.decode(words.unsqueeze(1), *state.own, *state.shared)
        return self.score(hidden[:, 0]), State((past,), state.shared)

    def encode(self, features):
        """Run the encoder on features (P, L, E): cells (P, L, H), which are absent (P, 1, L)."""
        cells, absent = self.cells(features)
        cells = self.from_cell(cells)
        if self.ordered(features):
            cells = cells + positions(0, cells)
        for layer, bias in zip(self.encoder, self.biases(features), strict=True):
            cells = layer(cells, absent.unsqueeze(1) + bias)
        return self.encoder_norm(cells), absent

    def biases(self, features):
        """Return what each layer of the encoder adds to its energies: nothing."""
        return [0] * len(self.encoder)

    def decode(self, words, past, memory, absent):
        """Run the decoder on words (B, T): hidden (B, T, H), past, weights (B, T, L).

        past: keys and values (B, N, t, 2H) of the t words before; returned with T more.
        memory: those of the cells, (P, N, L, 2H).  absent: which cells are, (P, 1, L).
        """
        before, shape = past.shape[2], words.shape
        words = self.from_word(self.read(words))
        words = words + positions(before, words)
        mask = words.new_full((shape[1], before + shape[1]), -math.inf).triu(before + 1)
        grown = []
        for layer, *kept in zip(self.decoder, past.unbind(1), memory.unbind(1), strict=True):
            words, past, weights = layer(words, *kept, mask, absent)
            grown.append(past)
        weights = weights.mean(dim=1).view(*shape, -1)
        return self.decoder_norm(words), torch.stack(grown, dim=1), weights


def sinusoids(values, size):
    """Encode values (...) as waves (..., size) of lengths 2 pi to 20,000 pi (section 3.5)."""
    rates = 10_000 ** -(torch.arange(0, size, 2, device=values.device) / size)
    angles = values.unsqueeze(-1) * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)[..., :size]


def positions(first, inputs):
    """Return the position encodings (T, H) of inputs (B, T, H), counted from `first`."""
    places = torch.arange(first, first + inputs.shape[1], device=inputs.device)
    return sinusoids(places, inputs.shape[2]).to(inputs.dtype)


class ObjectTransformer(Transformer):
    """Transforming Objects into Words: a Transformer whose encoder knows where the boxes lie.

    Distance and relative size of two boxes become a geometric weight that multiplies their
    attention, which is all that differs from `Transformer`. The boxes are those of regions or the
    cells of a square grid. Distances do not tell left from right, so what tells where a cell is
    stays: the position encodings of a grid, the embedded boxes of regions.
    """

    def __init__(self, embed_size, hidden_size, vocab_size, num_layers=1, dropout=0.0):
        super().__init__(embed_size, hidden_size, vocab_size, num_layers, dropout)
        heads = self.encoder[0].self_attention.heads
        self.geometry = nn.ModuleList(nn.Linear(4 * WAVES, heads) for _ in range(num_layers))

    def biases(self, features):
        """Return the logarithm of the geometric weights (P, M, L, L) for each encoder layer."""
        apart = displacements(self.boxes(features))
        waves = sinusoids(100 * apart, WAVES).flatten(-2)                      # Emb: (P, L, L, 64)
        weights = (layer(waves).relu() for layer in self.geometry)             # eq. 7: (P, L, L, M)
        # Eq. 8, w_g exp(w_a) over its sum, is the softmax of w_a + log(w_g).
        return [one.clamp(min=1e-6).log().movedim(-1, -3) for one in weights]


def displacements(boxes):
    """Return how box n lies, seen from box m: (..., L, 4) to (..., L, L, 4), logarithms (eq. 6).

    Boxes are left, top, right and bottom.
    """
    corner, opposite = boxes.split(2, dim=-1)
    middle = (corner + opposite) / 2
    size = (opposite - corner).clamp(min=1e-3)          # a region that is not there has none
    apart = (middle.unsqueeze(-2) - middle.unsqueeze(-3)).abs() / size.unsqueeze(-2)
    larger = size.unsqueeze(-3) / size.unsqueeze(-2)
    return torch.cat([apart.clamp(min=1e-3), larger], dim=-1).log()    # a box's own distance is 0
