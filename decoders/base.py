"""What the decoders that look at a grid have in common; see attention.py, transformer.py.

    features (P, L, E), captions (B, T) --attended--> hidden (B, T, H), weights (B, T, L)
    hidden --score--> scores (B, T, V)                    weights: where each word was looked for

They are driven as `model.DecoderRNN` is: `forward` for whole captions, `begin` and `step` word by
word. Picture p owns the captions p * k to p * k + k - 1, k = B / P, so that what hangs on the
picture alone is computed once for all of them. Output t scores word t; output 0 would score
`<start>`, which is given: it is zeros.

Shape letters:  P pictures   B captions   T tokens   L grid cells   V vocabulary
                E embedding   H hidden   M heads
"""

import math

import torch
from torch import nn
from torch.nn import functional

from model import Dropout

HEADS = 8           # of scaled dot-product attention; fewer where they do not divide the width


class Decoder(nn.Module):
    """What all have in common: how words and cells come in, and how a word comes out.

    The vectors that are read are also the rows of the output layer. Their entries are N(0, 1/E),
    so scores start small; times the root of E, words come in as loud as the normalised cells.

    dropout: share of word vectors and outputs silenced in training; the picture is spared.
    A subclass adds `attended`, `begin` and `step`, and `shared`, see decoders/search.py.
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


def split(inputs, pictures, heads):
    """Divide (B, T, H) among heads, a picture's captions side by side: (P, M, k * T, H / M)."""
    size = inputs.shape[2] // heads
    return inputs.reshape(pictures, -1, heads, size).transpose(1, 2)


def open_forget_gates(bias):
    """Start with forget gates open, so that what is read early is not lost on the way."""
    size = len(bias) // 4
    nn.init.ones_(bias.data[size : 2 * size])
