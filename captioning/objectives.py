"""Cross-entropy of the captions that people wrote.

    scores (B, T, V), captions (B, T), lengths (B,) --caption_loss--> loss, words    to read
    Batch --CrossEntropy--> objective, loss, words                                   to train with

Both count the same words: `<start>` is given, not predicted, and what lies past a caption's length
is filling. `CrossEntropy` scores no other words, and adds label smoothing and the decoder's
regularizer. self_critical.py has the other objective, rewards.

Shape letters:  P pictures   B captions, as many for each picture   T tokens   V vocabulary
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from system.processor import to_device


def counted(captions, lengths):
    """Return which of `captions[:, 1:]` are words, not filling: (B, T-1), on lengths' device."""
    return torch.arange(1, captions.shape[1], device=lengths.device) < lengths[:, None]


def caption_loss(scores, captions, lengths):
    """Return the cross-entropy summed over the words that count, and the number of these words.

    scores (B, T, V), captions (B, T), lengths (B,). `<end>` counts, `<start>` and filling do not.
    """
    targets = captions[:, 1:].masked_fill(~counted(captions, lengths), -100)
    loss = functional.cross_entropy(scores[:, 1:].flatten(0, 1), targets.flatten(),
                                    reduction="sum")
    return loss, (targets >= 0).sum()


class CrossEntropy(nn.Module):
    """Cross-entropy as the objective of a step, over encoder and decoder as one module.

    smoothing: fraction of each target's probability spread over all words.
    """

    def __init__(self, encoder, decoder, smoothing=0.0):
        super().__init__()
        self.encoder, self.decoder, self.smoothing = encoder, decoder, smoothing

    def forward(self, batch):
        """Return the objective, the cross-entropy in it, and the number of words: sums over words.

        batch: a `data_loader.Batch`, its lengths on the CPU.
        """
        return self.of(self.encoder(batch.images), batch.captions, batch.lengths)

    def of(self, features, captions, lengths):
        """Return what `forward` does, of captions (B, T) and what the decoder reads of pictures."""
        counts = counted(captions, lengths)
        # found with NumPy on the CPU: torch.nonzero would make the GPU say how many there are
        places = to_device(torch.from_numpy(np.flatnonzero(counts)), captions.device)
        hidden, weights = self.hidden(features, captions)
        # Only where a word counts: the layer over the vocabulary is the slowest of all. In float32
        # under autocast too: bfloat16 would lose small probabilities in the sum over V.
        scores = self.decoder.score(hidden[:, 1:].flatten(0, 1)[places]).float()   # (words, V)
        log_probs, targets = scores.log_softmax(dim=1), captions[:, 1:].flatten()[places]
        loss = functional.nll_loss(log_probs, targets, reduction="sum")
        # the cross-entropy with targets spread evenly over all words
        uniform = -log_probs.mean(dim=1).sum() if self.smoothing else loss
        objective = loss + self.smoothing * (uniform - loss)
        if weights is not None:
            given = log_probs.detach().gather(1, targets[:, None]).squeeze(1)      # (words,)
            given = given.new_zeros(counts.numel()).index_copy(0, places, given)
            objective = objective + self.decoder.regularizer(
                weights[:, 1:], to_device(counts, given.device), given.view(counts.shape))
        return objective, loss.detach(), loss.new_full((), len(places))

    def hidden(self, features, captions):
        """Return the decoder's hidden states (B, T, H) and, for its regularizer, the weights."""
        if self.decoder.regularizer is None:    # `hidden` need not keep the weights (B, T, L)
            return self.decoder.hidden(features, captions), None
        return self.decoder.attended(features, captions)
