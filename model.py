"""CNN encoder and LSTM decoder: "Show and Tell", Vinyals et al. 2015 (arXiv:1411.4555).

    images (B, 3, 224, 224) --EncoderCNN--> features (B, E) --DecoderRNN--> scores (B, T, V)

The decoder reads the image, then the caption without its last word; output t scores word t. So
output 0, read off the image alone, scores `<start>`: the coursework's shape asks for it, and it
counts nowhere else.

Shape letters:  B images   T tokens   L grid cells   V vocabulary
                D channels   E embedding   H hidden   N layers
"""

import copy
from functools import partial

import torch
from torch import nn

from decoders.search import Search, search
from encoders.backbones import Backbone


class EncoderCNN(nn.Module):
    """A pretrained CNN without its classifier, then a trainable linear layer.

    `backbone(images)` is what is frozen and can be cached: (B, D) or, with grid=True, (B, L, D).
    `embed` is trained and maps D to `embed_size`. See `Backbone` for the other arguments.
    """

    def __init__(self, embed_size, backbone="resnet50", weights="pretrained", grid=False,
                 tune_from=None):
        super().__init__()
        self.backbone = Backbone(backbone, weights, grid, tune_from)
        self.embed = nn.Linear(self.backbone.channels, embed_size)

    def forward(self, images):
        """(B, 3, S, S) -> features (B, E), or (B, L, E) on a grid."""
        return self.embed(self.backbone(images))


class Dropout(nn.Module):
    """`nn.Dropout` with the share rounded to 1/256: a random byte a number, not a random double.

    On a CPU the doubles of a whole batch take as long as a matrix product.
    """

    def __init__(self, share):
        super().__init__()
        self.bound = round(256 * share)

    def forward(self, values):
        if not self.training or self.bound == 0:
            return values
        eights = torch.empty(values.numel() // 8 + 1, dtype=torch.int64, device=values.device)
        random = eights.random_(-2**63, None).view(torch.uint8)[:values.numel()]
        return values * (random.view(values.shape) >= self.bound) * (256 / (256 - self.bound))


class DecoderRNN(nn.Module):
    """An LSTM that writes a caption, given the image's feature at the first step or at every step.

    inject: "first" feeds the image as if it were the word before `<start>`; "every" also adds it to
    each word after that.  dropout: share of word vectors and outputs silenced in training; the
    image is spared, since what is silenced of it is missing from the whole caption.
    """

    def __init__(self, embed_size, hidden_size, vocab_size, num_layers=1, dropout=0.0,
                 inject="first"):
        super().__init__()
        if inject not in ("first", "every"):
            raise ValueError(f"inject is 'first' or 'every', not {inject!r}")
        self.inject = inject
        self.words = nn.Embedding(vocab_size, embed_size)
        self.lstm = nn.LSTM(embed_size, hidden_size, num_layers, batch_first=True,
                            dropout=dropout if num_layers > 1 else 0.0)
        self.drop = Dropout(dropout)
        self.scores = nn.Linear(hidden_size, vocab_size)
        # Word vectors have size 1 an entry; an image much fainter than they are, heard only once,
        # is learned epochs later. Nor may a forget gate that starts half shut lose it on the way.
        self.norm = nn.LayerNorm(embed_size)
        for layer in range(num_layers):
            forget = slice(hidden_size, 2 * hidden_size)
            nn.init.ones_(getattr(self.lstm, f"bias_ih_l{layer}").data[forget])

    def forward(self, features, captions):
        """features (B, E), captions (B, T) -> scores (B, T, V), the whole sequence at once."""
        return self.score(self.hidden(features, captions))

    def hidden(self, features, captions):
        """features (P, E), captions (B, T) -> the LSTM's outputs (B, T, H).

        Where B is a multiple of P, each picture has as many captions, one after the other.
        """
        image = self.norm(features.flatten(1)).unsqueeze(1)            # (P, 1, E)
        image = image.repeat_interleave(len(captions) // len(image), dim=0)
        words = self.words(captions[:, :-1])                           # (B, T-1, E)
        return self.lstm(self.inputs(image, words))[0]

    def score(self, hidden):
        """The LSTM's outputs (..., H) -> scores (..., V) of the word that comes next."""
        return self.scores(self.drop(hidden))

    def inputs(self, image, words):
        """What the LSTM reads: the image (B, 1, E), then the words (B, T-1, E)."""
        words = self.drop(words)
        if self.inject == "every":
            words = words + image
        return torch.cat([image, words], dim=1)                        # (B, T, E)

    def begin(self, features, states=None):
        """features (B, E) -> state after the image: hidden and cell (B, N, H), image (B, E)."""
        image = self.norm(features.flatten(1))
        no_words = image.new_zeros(len(image), 0, image.shape[1])
        _, (hidden, cell) = self.lstm(self.inputs(image.unsqueeze(1), no_words), states)
        return hidden.transpose(0, 1), cell.transpose(0, 1), image

    def step(self, words, state):
        """words (B,), state -> scores (B, V) of the next word, state: every tensor batch first."""
        hidden, cell, image = state
        inputs = self.inputs(image.unsqueeze(1), self.words(words).unsqueeze(1))[:, 1:]
        lstm_state = (hidden.transpose(0, 1).contiguous(), cell.transpose(0, 1).contiguous())
        output, (hidden, cell) = self.lstm(inputs, lstm_state)
        return self.score(output[:, 0]), (hidden.transpose(0, 1), cell.transpose(0, 1), image)

    def sample(self, features, states=None, max_len=20):
        """Greedy caption of one image: features (1, 1, E) -> at most `max_len` ids, both ends in.

        states: the LSTM's state (hidden, cell) before the image, each (N, 1, H); None is zeros,
        never random, so that one picture has one caption.
        """
        decoder = copy.copy(self)
        decoder.begin = partial(self.begin, states=states)
        greedy = Search(method="greedy", max_length=max_len, stutter=True)
        return search(decoder, features, greedy)[0][0].words
