"""Independent sentences: each is written as if no other were there, only its number is known.

    n --vector--> h^0 of sentence n (B, H)

The paper's RNN-sent (arXiv:1510.07712), unchecked. A sentence has to know its number, since without
given segments all of them look at the same clip.
"""

from torch import nn

from video.paragraphs.teller import Teller

NUMBERS = 64                # sentences told apart


class Independent(Teller):
    """A sentence network that begins with a vector of the sentence's number."""

    def __init__(self, sizes):
        super().__init__(sizes)
        self.numbers = nn.Embedding(NUMBERS, sizes.hidden_size)

    def nothing(self, paragraphs):
        """Return the memory of paragraphs of no sentence: their number, (B,)."""
        return (self.numbers.weight.new_zeros(paragraphs, dtype=int),)

    def first(self, memory):
        """Return the state (B, H) with which the next sentence begins."""
        return self.numbers(memory[0].clamp(max=NUMBERS - 1))

    def remember(self, memory, words, hidden, lengths):
        """Return the memory after a sentence: that there is one more."""
        return (memory[0] + 1,)
