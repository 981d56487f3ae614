"""Hard attention of Show, Attend and Tell, Xu et al. 2015 (arXiv:1502.03044), section 4.1.

    hidden --attention--> alpha (B, L) --draw--> location s_t, one-hot (B, L) --cells--> context

attention.py has the soft variant, of section 4.2: its context is the mean of the cells, here it is
one cell, drawn. No gradient passes through a draw, so the weights learn by REINFORCE: a location is
made likelier if the caption was likelier than usual with it. Comments name the paper's equations;
those from the baseline on have no number there.

Shape letters:  P pictures   B captions   k = B / P   T tokens   L grid cells
                E embedding   H hidden
"""

import torch

from decoders.attention import SoftAttention
from model import State
from system.distributed import all_reduce

EXPECTED = 0.5              # probability that a picture's locations are not drawn (section 4.1)
DECAY = 0.9                 # fraction of the baseline that stays at a mini-batch (section 4.1)
LEAST = 1e-8                # of a weight, for its logarithm


class HardAttention(SoftAttention):
    """Show, Attend and Tell with locations that are drawn, one for each word, in training.

    All else is as in `SoftAttention`, the gate of section 4.2.1 included, so that the two differ in
    the location alone. In eval mode nothing is drawn: the context is its expectation, eq. 13, as it
    is for half of the pictures in training; the likeliest location alone gives worse captions.

    lambda_r: weight of REINFORCE's part of the gradient; 1 makes the estimate unbiased.
    lambda_e: weight of the entropy of the locations, in nats, which keeps them from settling early.
    """

    def __init__(self, embed_size, hidden_size, vocab_size, num_layers=1, dropout=0.0,
                 lambda_r=0.1, lambda_e=0.01):
        super().__init__(embed_size, hidden_size, vocab_size, num_layers, dropout)
        self.lambda_r, self.lambda_e = lambda_r, lambda_e
        self.register_buffer("baseline", torch.zeros(()))       # b, of log p(y | s, a)

    def begin(self, features):
        """Read the picture as `SoftAttention` does; `shared` has in training one more, (P, 1, 1):
        whether the picture's locations are their expectations, not drawn."""
        state = super().begin(features)
        if not self.training:
            return state
        expected = torch.rand(len(features), 1, 1, device=features.device) < EXPECTED
        return State(state.own, (*state.shared, expected))

    def attend(self, hidden, cells, *others):
        """Return context (B, E) and weights (B, L), in training (B, 2L): alpha and locations s."""
        if not self.training:
            return super().attend(hidden, cells, *others)
        *others, expected = others
        _, alpha = super().attend(hidden, cells, *others)                      # eq. 4, 5
        chances = alpha.view(len(cells), -1, alpha.shape[1])                   # (P, k, L)
        locations = chances.where(expected, draw(chances))                     # eq. 8; or eq. 13
        context = locations @ cells                                            # eq. 9
        return context.flatten(0, 1), torch.cat([alpha, locations.flatten(0, 1)], dim=1)

    def regularizer(self, weights, counts, log_probs):
        """Return minus what REINFORCE and entropy add to eq. 10, summed over the captions.

        weights (B, T, 2L), alpha and locations, as in training; in eval mode nothing is added.
        The baseline moves on.
        """
        if not self.training:
            return log_probs.new_zeros(())
        alpha, locations = (weights.float() * counts.unsqueeze(2)).chunk(2, dim=2)   # (B, T, L)
        log_alpha = alpha.clamp(min=LEAST).log()
        # log p(s | a), of which expected locations have none: this sum's gradient is then 0
        log_places = (locations.detach() * log_alpha).sum(dim=(1, 2))          # (B,)
        entropy = -(alpha * log_alpha).sum(dim=(1, 2))                         # H[s]
        reward = log_probs.sum(dim=1)                                          # log p(y | s, a)
        advantage = reward - self.baseline      # b_{k-1}: with this draw in it, it would be biased
        self.move_baseline(reward, counts.any(dim=1))
        # eq. 12 with lambda_r and lambda_e; its first term is the cross-entropy itself
        return -(self.lambda_r * advantage * log_places + self.lambda_e * entropy).sum()

    def move_baseline(self, rewards, spoken):
        """Move b towards the mean reward of a mini-batch, that of all processes.

        rewards (B,), 0 for filling; spoken (B,): which captions are more than that.
        """
        total, count = all_reduce(torch.stack([rewards.sum(), spoken.to(rewards).sum()]))
        self.baseline.lerp_(total / count, 1 - DECAY)


def draw(chances):
    """Draw one of L locations with chances (..., L): one-hot, of the same shape."""
    # The largest quotient of chance and exponential noise: unlike torch.multinomial it does not
    # wait for a GPU, nor fail where a training diverges.
    noise = torch.empty_like(chances, dtype=torch.float32).exponential_()     # bfloat16 has ties
    drawn = (chances.detach() / noise).argmax(dim=-1, keepdim=True)
    return torch.zeros_like(chances).scatter_(-1, drawn, 1)
