"""The base class of the decoders that attend to a grid; see attention.py and transformer.py.

    features (P, L, E), captions (B, T) --attended--> hidden (B, T, H), weights (B, T, L)
    hidden --score--> scores (B, T, V)              weights: how much each word attends to each cell

In place of a grid's cells they read the regions of encoders/regions.py, features (P, L, E + 5):
after a region's vector stand its box and whether it is there. After those of a grid with words,
encoders/concept_cells.py, features (P, L, E + 1), stands only the latter.

They are used as `model.DecoderRNN` is: `forward` for whole captions, `begin` and `step` word by
word. Picture p owns the captions p * k to p * k + k - 1, k = B / P, so that what depends on the
picture only is computed once for all of them. Output t scores word t; output 0 would score
`<start>`, which is given: it is zeros.

Shape letters:  P pictures   B captions   T tokens   L grid cells or regions   V vocabulary
                E embedding   H hidden   M heads
"""

import math

import torch
from torch import nn
from torch.nn import functional

HEADS = 8           # of scaled dot-product attention; fewer where they do not divide the width


class Decoder(nn.Module):
    """A decoder without its middle: how words and cells come in, and how scores come out.

    dropout: probability that a number of a word vector or of an output is set to zero in training.

    A subclass adds `begin`, `step` and `attended`, or `hidden` in its place if it has no weights.
    A class that adds to the loss defines `regularizer(weights, counts, log_probs)`: from the
    weights (B, T, L) of words, which of them count, (B, T), and the log-probabilities of those that
    do, (B, T), without gradient and elsewhere 0, the sum over the captions, a scalar.
    """

    grid = False            # True: reads the cells of a grid, features (P, L, E), not (P, E)
    regularizer = None      # adds nothing to the loss

    def __init__(self, embed_size, hidden_size, vocab_size, dropout):
        super().__init__()
        # A word has one vector, to be read and to be scored: the rows of the output layer. Entries
        # are N(0, 1/E), so that scores start small; `read` scales them up to the size of the cells.
        self.words = nn.Embedding(vocab_size, embed_size)
        nn.init.normal_(self.words.weight, std=embed_size**-0.5)
        self.norm = nn.LayerNorm(embed_size)
        self.to_word = nn.Linear(hidden_size, embed_size)
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        self.drop = nn.Dropout(dropout)

    def forward(self, features, captions):
        """Score every word of captions (B, T), given features (P, L, E): scores (B, T, V)."""
        return self.score(self.hidden(features, captions))

    def hidden(self, features, captions):
        """Return what the scores are computed from, (B, T, H); see `attended`."""
        return self.attended(features, captions)[0]

    def score(self, hidden):
        """Score the next word, scores (..., V), from hidden (..., H)."""
        return functional.linear(self.to_word(self.drop(hidden)), self.words.weight, self.bias)

    def read(self, words):
        """Look up the vectors (..., E) of words, ids (...)."""
        return self.drop(self.words(words) * math.sqrt(self.words.embedding_dim))

    def cells(self, features):
        """Return the normalised cells (P, L, E) of features, and what is added to energies of them.

        That is absent, (P, 1, L): 0, or minus infinity for a region that is not there.
        ValueError: the features are those of no grid and no regions.
        """
        if features.dim() != 3:
            raise ValueError(f"{type(self).__name__} looks at a grid, features (pictures, cells, "
                             f"size), not {tuple(features.shape)}: give the encoder grid=True, and "
                             "say grid = True in the decoder's class")
        size = self.words.embedding_dim
        absent = features.new_zeros(len(features), 1, features.shape[1])
        if features.shape[2] > size:
            absent = absent.masked_fill(features[:, None, :, -1] == 0, -math.inf)
        return self.norm(features[..., :size]), absent

    def ordered(self, features):
        """Return whether features are of a grid, whose cells have an order; regions have boxes."""
        return features.shape[2] <= self.words.embedding_dim + 1

    def boxes(self, features):
        """Return the boxes (P, L, 4) of regions; of a grid's cells, its one row (1, L, 4).

        What stands behind a grid's cells, too few for a larger one, is of the whole picture.
        """
        size, count = self.words.embedding_dim, features.shape[1]
        if not self.ordered(features):
            return features[..., size:size + 4]
        beside = features.shape[2] > size
        boxes = grid_boxes(math.isqrt(count)**2 if beside else count, features.device)
        whole = boxes.new_tensor([[0, 0, 1, 1]]).expand(count - len(boxes), 4)
        return torch.cat([boxes, whole])[None]


def grid_boxes(count, device=None):
    """Return the boxes (L, 4) of a square grid's cells, row by row; ValueError: it is not square.

    A box is left, top, right and bottom, as fractions of the picture's sides.
    """
    side = math.isqrt(count)
    if side * side != count:
        raise ValueError(f"a grid is square, and {count} cells are none")
    edges = torch.arange(side, device=device) / side
    y, x = torch.meshgrid(edges, edges, indexing="ij")
    return torch.stack([x, y, x + 1 / side, y + 1 / side], dim=2).flatten(0, 1)


def mean_cell(cells, absent):
    """Return the mean (P, E) of the cells (P, L, E) that are there."""
    return (absent.softmax(dim=2) @ cells).squeeze(1)


def after_start(outputs):
    """Put zeros for `<start>` before the outputs of the other words, (B, T-1, ...): (B, T, ...)."""
    return functional.pad(outputs, (0, 0, 1, 0))


def split_heads(inputs, pictures, heads):
    """Divide inputs (B, T, H) among the heads, a picture's captions in a row: (P, M, kT, H/M)."""
    size = inputs.shape[2] // heads
    return inputs.reshape(pictures, -1, heads, size).transpose(1, 2)


def open_forget_gates(bias):
    """Set the biases (4H,) of an LSTM's forget gates to 1, in place."""
    # Half shut, they would lose what is read early on the way.
    size = len(bias) // 4
    nn.init.ones_(bias.data[size : 2 * size])
