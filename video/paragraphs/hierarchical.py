"""Hierarchical recurrent networks: "Video Paragraph Captioning Using Hierarchical RNNs", Yu, Wang,
Huang, Yang and Xu 2016 (arXiv:1510.07712).

    words e, states h of sentence n --embed--> s^n = tanh(W' [mean of e ; last h])   (B, H)
    p^n = GRU(p^(n-1), s^n)                                                          (B, H)
    h^0 of sentence n + 1 = tanh(W [p^n ; s^n])                                      (B, H)

The state that a sentence begins with is the only way from one sentence to the next: cut it, and no
gradient of a sentence reaches another. How s^n is made and that h^0 reads it beside p^n is as notes
on the paper have it, unchecked against the paper itself.
"""

import torch
from torch import nn

from video.paragraphs.teller import Teller


class Hierarchical(Teller):
    """A sentence network under a paragraph network, which reads a vector of every sentence."""

    def __init__(self, sizes):
        super().__init__(sizes)
        hidden = sizes.hidden_size
        self.embed = nn.Linear(sizes.embed_size + hidden, hidden)
        self.paragraph = nn.GRUCell(hidden, hidden)
        self.initial = nn.Linear(2 * hidden, hidden)

    def nothing(self, paragraphs):
        """Return the memory of paragraphs of no sentence: p and s, each (B, H), of zeros."""
        zeros = self.initial.bias.new_zeros(paragraphs, self.initial.out_features)
        return zeros, zeros

    def first(self, memory):
        """Return the state (B, H) with which the next sentence begins."""
        return self.initial(torch.cat(memory, dim=1)).tanh()

    def remember(self, memory, words, hidden, lengths):
        """Return the memory after a sentence; see `Teller.remember`."""
        there = torch.arange(words.shape[1], device=lengths.device) < lengths[:, None]   # (B, W)
        mean = (words * there[..., None]).sum(dim=1) / lengths.clamp(min=1)[:, None]
        last = self.last(hidden, lengths)
        sentence = self.embed(torch.cat([mean, last], dim=1)).tanh()
        return self.paragraph(sentence, memory[0]), sentence
