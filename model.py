"""CNN encoder and LSTM decoder: "Show and Tell", Vinyals et al. 2015 (arXiv:1411.4555).

    images (B, 3, 224, 224) --EncoderCNN--> features (B, E) --DecoderRNN--> scores (B, T, V)

The decoder reads the image, then the caption without its last word; output t scores word t. So
output 0, read off the image alone, scores `<start>`: the coursework's shape asks for it, and it
counts nowhere else.

The decoder works in two ways that give the same scores: `forward` takes whole captions, to train;
`begin` and `step` take a word at a time, to write. The decoders in decoders/ have the same methods.

Shape letters:  B images   T tokens   L grid cells   V vocabulary
                D channels   E embedding   H hidden   N layers
"""

import math
from typing import NamedTuple

import torch
from torch import nn

from encoders.backbones import Backbone
from vocabulary import END_ID, START_ID, UNK_ID


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
        """Encode images (B, 3, S, S) as features (B, E), or (B, L, E) on a grid."""
        return self.embed(self.backbone(images))


class State(NamedTuple):
    """What a decoder remembers between two words: tensors whose first dimension counts rows.

    own: one row a caption, such as an LSTM's hidden state; a beam search reorders these rows.
    shared: one row a picture, such as the cells of its grid, which all its captions read.
    """

    own: tuple
    shared: tuple = ()


def captions_per_picture(features, captions):
    """Return how many captions each picture has; ValueError: not all have as many."""
    if len(captions) % len(features):
        raise ValueError(f"{len(captions)} captions cannot be shared evenly by "
                         f"{len(features)} pictures")
    return len(captions) // len(features)


class DecoderRNN(nn.Module):
    """An LSTM that writes a caption, given the image's feature at the first step or at every step.

    inject: "first" feeds the image as if it were the word before `<start>`; "every" also adds it to
    each word after that.  dropout: probability that a number of a word vector or of an output is
    set to zero in training.
    """

    grid = False            # reads one vector an image, (B, E), not the cells of a grid, (B, L, E)
    regularizer = None      # adds nothing to the loss

    def __init__(self, embed_size, hidden_size, vocab_size, num_layers=1, dropout=0.0,
                 inject="first"):
        super().__init__()
        if inject not in ("first", "every"):
            raise ValueError(f"inject is 'first' or 'every', not {inject!r}")
        self.inject = inject
        self.words = nn.Embedding(vocab_size, embed_size)
        self.lstm = nn.LSTM(embed_size, hidden_size, num_layers, batch_first=True,
                            dropout=dropout if num_layers > 1 else 0.0)
        self.drop = nn.Dropout(dropout)
        self.scores = nn.Linear(hidden_size, vocab_size)
        # Word vectors have size 1 an entry; an image much fainter than they are, heard only once,
        # is learned epochs later. Nor may a forget gate that starts half shut lose it on the way.
        self.norm = nn.LayerNorm(embed_size)
        for layer in range(num_layers):
            forget = slice(hidden_size, 2 * hidden_size)
            nn.init.ones_(getattr(self.lstm, f"bias_ih_l{layer}").data[forget])

    def forward(self, features, captions):
        """Score every word of captions (B, T), given features (B, E): scores (B, T, V)."""
        return self.score(self.hidden(features, captions))

    def hidden(self, features, captions):
        """Return the LSTM's outputs (B, T, H) for features (P, E) and captions (B, T).

        Each picture has B / P captions, one after the other; ValueError: P does not divide B.
        """
        image = self.norm(features.flatten(1)).unsqueeze(1)            # (P, 1, E)
        image = image.repeat_interleave(captions_per_picture(image, captions), dim=0)
        words = self.words(captions[:, :-1])                           # (B, T-1, E)
        return self.lstm(self.inputs(image, words))[0]

    def score(self, hidden):
        """Score the next word, scores (..., V), from the LSTM's outputs (..., H)."""
        return self.scores(self.drop(hidden))

    def inputs(self, image, words):
        """Join the image (B, 1, E) and the words (B, T-1, E) to what the LSTM reads, (B, T, E)."""
        # The image is spared the dropout: what it loses is missing from the whole caption.
        words = self.drop(words)
        if self.inject == "every":
            words = words + image
        return torch.cat([image, words], dim=1)

    def begin(self, features, states=None):
        """Read the image, features (B, E): the state before `<start>`; states None is zeros."""
        image = self.norm(features.flatten(1))
        no_words = image.new_zeros(len(image), 0, image.shape[1])
        _, (hidden, cell) = self.lstm(self.inputs(image.unsqueeze(1), no_words), states)
        # nn.LSTM has its layers first, (N, B, H); a state has its rows first.
        return State(own=(hidden.transpose(0, 1), cell.transpose(0, 1), image))

    def step(self, words, state):
        """Read one word of each caption, words (B,): scores (B, V) of the next one, state."""
        hidden, cell, image = state.own
        inputs = self.inputs(image.unsqueeze(1), self.words(words).unsqueeze(1))[:, 1:]
        lstm_state = (hidden.transpose(0, 1).contiguous(), cell.transpose(0, 1).contiguous())
        output, (hidden, cell) = self.lstm(inputs, lstm_state)
        after = State(own=(hidden.transpose(0, 1), cell.transpose(0, 1), image))
        return self.score(output[:, 0]), after

    @torch.no_grad()
    def sample(self, features, states=None, max_len=20):
        """Write the greedy caption of one image, features (1, 1, E): a list of ids.

        It runs from `<start>` to `<end>`, both included, in at most `max_len` ids.
        states: see `begin`; None is zeros, never random, so that one picture has one caption.
        """
        training = self.training
        self.eval()                                                    # without dropout
        state, caption = self.begin(features, states), [START_ID]
        while caption[-1] != END_ID and len(caption) < max_len - 1:
            word = torch.tensor(caption[-1:], device=features.device)
            scores, state = self.step(word, state)                     # (1, V)
            scores[:, [START_ID, UNK_ID]] = -math.inf                  # a reader is not shown these
            caption.append(scores.argmax().item())
        self.train(training)
        return caption if caption[-1] == END_ID else [*caption, END_ID]
