"""One flat recurrent network over the whole paragraph, `<start>` between its sentences.

    last h of sentence n --> h^0 of sentence n + 1      (B, H)

The paper's RNN-cat (arXiv:1510.07712), unchecked.
"""

import torch
from torch import nn

from video.paragraphs.teller import Teller


class Flat(Teller):
    """A sentence network that goes on with the state in which it has ended the sentence before."""

    def __init__(self, sizes):
        super().__init__(sizes)
        self.beginning = nn.Parameter(torch.zeros(sizes.hidden_size))

    def nothing(self, paragraphs):
        """Return the memory of paragraphs of no sentence: the first state, (B, H)."""
        return (self.beginning.expand(paragraphs, -1),)

    def first(self, memory):
        """Return the state (B, H) with which the next sentence begins."""
        return memory[0]

    def remember(self, memory, words, hidden, lengths):
        """Return the memory after a sentence: its last state."""
        return (self.last(hidden, lengths),)
