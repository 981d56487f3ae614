"""Cross-entropy: how surprised a decoder is by the words that people wrote.

    scores (B, T, V), captions (B, T), lengths (B,) --caption_loss--> loss, words    to read
    images, captions, lengths --Loss--> objective, loss, words                       to train with

Both count the same words: `<start>` is given, not predicted, and what lies past a caption's length
is filling. `Loss` scores no other places, and adds what a recipe adds. self_critical.py has the
other objective, rewards.

Shape letters:  P pictures   B captions, as many for each picture   T tokens   V vocabulary
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from vocabulary import UNK_ID


def counted(captions, lengths):
    """Which of `captions[:, 1:]` are words and not filling, (B, T-1), on the device of lengths."""
    return torch.arange(1, captions.shape[1], device=lengths.device) < lengths[:, None]


def caption_loss(scores, captions, lengths):
    """Cross-entropy summed over the words that count, `<end>` among them, and how many these are.

    scores (B, T, V), captions (B, T), lengths (B,).
    """
    targets = captions[:, 1:].masked_fill(~counted(captions, lengths), -100)
    loss = functional.cross_entropy(scores[:, 1:].flatten(0, 1), targets.flatten(),
                                    reduction="sum")
    return loss, (targets >= 0).sum()


class Loss(nn.Module):
    """What a step asks, as one module, whose gradients several processes can share.

    smoothing: share of each target's probability spread over all words.  word_dropout: share of the
    words read that become `<unk>`, so that the image has to be looked at.
    """

    def __init__(self, encoder, decoder, smoothing=0.0, word_dropout=0.0):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.smoothing, self.word_dropout = smoothing, word_dropout

    def forward(self, images, captions, lengths):
        """The objective, the cross-entropy in it, and the number of words: sums over the words.

        images (P, 3, S, S) or features (P, D) or (P, L, D), captions (B, T), lengths (B,) on the
        CPU: so where the words are is known there, and nothing waits for a GPU.
        """
        counts = counted(captions, lengths)
        places = torch.from_numpy(np.flatnonzero(counts)).to(captions.device, non_blocking=True)
        read = captions.where(torch.rand(captions.shape, device=captions.device)
                              >= self.word_dropout, UNK_ID) if self.word_dropout else captions
        hidden, charge = hidden_of(self.decoder, self.encoder(images), read, counts)
        scores = self.decoder.score(hidden[:, 1:].flatten(0, 1)[places]).float()   # (words, V)
        logs = scores.log_softmax(dim=1)
        loss = functional.nll_loss(logs, captions[:, 1:].flatten()[places], reduction="sum")
        even = -logs.mean(dim=1).sum() if self.smoothing else loss
        objective = loss + self.smoothing * (even - loss) + charge
        return objective, loss.detach(), loss.new_full((), len(places))


def hidden_of(decoder, features, captions, counts):
    """Return a decoder's hidden states (B, T, H), and what its regularizer adds to the loss."""
    if decoder.regularizer is None:
        return decoder.hidden(features, captions), 0
    hidden, weights = decoder.attended(features, captions)
    counts = counts.to(weights.device, non_blocking=True)
    return hidden, decoder.regularizer(weights[:, 1:], counts)
