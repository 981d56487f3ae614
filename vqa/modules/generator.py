"""Generate a question's layout from its words, as a sentence is translated.

    questions (B, T), lengths (B,) --bidirectional LSTM--> states (B, T, H)
    tokens so far --LSTM--> h --attention over the states--> scores of the next token (B, S, N)

"Inferring and Executing Programs", Johnson et al. 2017 (arXiv:1705.03633); the attention over words
is that of "Learning to Reason", Hu et al. 2017 (arXiv:1704.05526). It is trained on gold layouts.
Without them it takes the likeliest token that can follow at all, so that a layout is always valid.

Shape letters:  B questions   T words   S steps   N tokens, END among them   E, H as in parts.py
"""

import math

import torch
from torch import nn
from torch.nn import functional

from vocabulary import UNK_ID
from vqa.modules.layouts import END, LONGEST, after


class Generator(nn.Module):
    """Translate questions into layouts; grammar: `layouts.Grammar`."""

    def __init__(self, sizes, grammar):
        super().__init__()
        hidden, count = sizes.hidden_size, len(grammar.tokens)
        self.grammar = grammar
        self.words = nn.Embedding(sizes.words, sizes.embed_size)
        nn.init.normal_(self.words.weight, std=0.4)     # about as GloVe's numbers
        self.words.weight.data[:UNK_ID + 1] = 0
        self.drop = nn.Dropout(sizes.dropout)
        half = (hidden + 1) // 2                        # of a state: one way of reading
        self.reader = nn.LSTM(sizes.embed_size, half, batch_first=True, bidirectional=True)
        self.join = nn.Linear(2 * half, hidden)
        self.tokens = nn.Embedding(count, hidden)       # END also begins a layout
        self.writer = nn.LSTM(hidden, hidden, batch_first=True)
        self.out = nn.Linear(2 * hidden, count)

    def read(self, questions, lengths):
        """Return states (B, T, H), which of them are no words (B, T), and the writer's first state.
        """
        packed = nn.utils.rnn.pack_padded_sequence(
            self.drop(self.words(questions)), lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, (last, _) = self.reader(packed)
        states, _ = nn.utils.rnn.pad_packed_sequence(states, batch_first=True)
        absent = torch.arange(states.shape[1], device=lengths.device) >= lengths[:, None]
        first = self.join(last.transpose(0, 1).flatten(1)).tanh().unsqueeze(0)
        return self.join(states), absent, (first, torch.zeros_like(first))

    def write(self, tokens, states, absent, state):
        """Return the scores (B, S, N) of what follows each of tokens (B, S), and the next state."""
        hidden, state = self.writer(self.tokens(tokens), state)                 # (B, S, H)
        energy = hidden @ states.mT / math.sqrt(states.shape[2])                # (B, S, T)
        weights = energy.masked_fill(absent.unsqueeze(1), -math.inf).softmax(dim=2)
        return self.out(self.drop(torch.cat([hidden, weights @ states], dim=2))), state

    def loss(self, questions, lengths, layouts):
        """Return the cross-entropy (B,) of layouts (B, S), of all tokens and the first END."""
        begin = layouts.new_full((len(layouts), 1), END)
        before = torch.cat([begin, layouts], dim=1)
        targets = torch.cat([layouts, begin], dim=1)
        scores, _ = self.write(before, *self.read(questions, lengths))
        each = functional.cross_entropy(scores.flatten(0, 1), targets.flatten(), reduction="none")
        counts = torch.cat([torch.ones_like(begin), (layouts != END).long()], dim=1)
        return (each.view_as(targets) * counts).sum(dim=1)

    @torch.no_grad()
    def forward(self, questions, lengths):
        """Return the likeliest layouts (B, S), step by step, of questions (B, T)."""
        states, absent, state = self.read(questions, lengths)
        token = questions.new_full((len(questions), 1), END)
        stacks, ended, found = [()] * len(questions), [False] * len(questions), []
        for step in range(LONGEST):
            scores, state = self.write(token, states, absent, state)
            allowed = torch.stack([self.masks(stack, LONGEST - step, end)
                                   for stack, end in zip(stacks, ended, strict=True)])
            token = scores[:, 0].masked_fill(~allowed.to(scores.device), -math.inf).argmax(
                dim=1, keepdim=True)
            taken = token[:, 0].tolist()
            ended = [end or one == END for end, one in zip(ended, taken, strict=True)]
            if all(ended):
                break
            found.append(token)
            stacks = [stack if end else after(stack, self.grammar.signatures[one])
                      for stack, end, one in zip(stacks, ended, taken, strict=True)]
        return torch.cat(found, dim=1)

    def masks(self, stack, left, ended):
        """Return which tokens (N,) may follow; after END there is nothing but END."""
        if ended:
            return torch.arange(len(self.grammar.tokens)) == END
        return torch.from_numpy(self.grammar.allowed(stack, left))
