"""Which labels has each frame? A ladder of six models, each one idea above the one before.

    features (B, T, L, D), mask (B, T) --See--> frames (B, T, H) --model--> scores (B, T, C)

    single      the frame alone, in which going left and going right look the same
    smoothed    the same, scores averaged over the frames around
    lstm        an LSTM reads frame after frame
    window      it reads the mean of the last N frames
    attention   it chooses among them by what it has seen so far
    multilstm   and in each step it labels all N: a frame's label is N votes, most of them later

They are the ladder of "Every Moment Counts", Yeung et al. 2015 (arXiv:1507.05738), from whose table
it is named: LSTM, LSTM + i, LSTM + i + a, LSTM + i + a + o or MultiLSTM. The equations are written
from memory of the paper and not checked against it. There N is 15 at 10 frames a second, features
are VGG's fc7, and an LSTM has 512 units.

A score is a logit: of each label by itself, so that a frame may have several. Every model but two
hears nothing of frames to come. `smoothed` sees half a window of them; `multilstm` decides about a
frame N - 1 frames later.

Shape letters:  B clips   T frames   L grid cells   D channels   H hidden   C classes
                N frames of a window
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

NEWEST, DECAY = 3.0, 0.3    # what weights of frames and of steps begin as, logarithms


@dataclass(frozen=True)
class Sizes:
    """What a model is built with: D channels, L cells, C classes, and its dials.

    cell_size: numbers kept of a cell.  hidden_size: H.  window: N frames.
    """

    channels: int
    cells: int
    classes: int
    cell_size: int
    hidden_size: int
    window: int
    dropout: float


class See(nn.Module):
    """Make one vector of each frame, (..., L, D) to (..., H), that knows what is where.

    Every cell has weights of its own, as in the fully connected layers of VGG: the mean of the
    cells would say what is in the picture, but not that it has come nearer to the edge.
    """

    def __init__(self, sizes):
        super().__init__()
        self.norm = nn.LayerNorm(sizes.channels)
        self.cell = nn.Linear(sizes.channels, sizes.cell_size)
        self.frame = nn.Linear(sizes.cells * sizes.cell_size, sizes.hidden_size)
        # without it a training needs twice as long to notice that things move
        self.even = nn.LayerNorm(sizes.hidden_size)
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(self, features):
        cells = self.cell(self.norm(features)).relu().flatten(-2)       # (..., L * cell_size)
        return self.dropout(self.even(self.frame(self.dropout(cells))).relu())


class SingleFrame(nn.Module):
    """Label each frame by itself. All other models are this one with another `hidden`."""

    def __init__(self, sizes):
        super().__init__()
        self.see = See(sizes)
        self.dropout = nn.Dropout(sizes.dropout)
        self.score = nn.Linear(sizes.hidden_size, sizes.classes)
        self.window = sizes.window

    def forward(self, features, mask):
        """Return scores (B, T, C) of features (B, T, L, D); mask (B, T) is true in the clip."""
        return self.score(self.dropout(self.hidden(self.see(features))))

    def hidden(self, frames):
        """Return what is known at each frame, (B, T, H), of frames (B, T, H)."""
        return frames


class Smoothed(SingleFrame):
    """Average the scores of single frames over the window around each, N // 2 to either side."""

    def forward(self, features, mask):
        side = self.window // 2
        inside = mask.unsqueeze(-1).float()                             # (B, T, 1)
        scores = super().forward(features, mask) * inside
        around = [functional.pad(one, (0, 0, side, side)).unfold(1, 2 * side + 1, 1).sum(-1)
                  for one in (scores, inside)]
        return around[0] / around[1].clamp(min=1)       # at the ends there are fewer


class LSTM(SingleFrame):
    """Read frame after frame: what has changed since the last one is motion."""

    def __init__(self, sizes):
        super().__init__(sizes)
        self.lstm = nn.LSTM(sizes.hidden_size, sizes.hidden_size, batch_first=True)

    def hidden(self, frames):
        return self.lstm(frames)[0]


class WindowLSTM(LSTM):
    """Read at each step the mean of the last N frames, fewer where the clip begins."""

    def hidden(self, frames):
        last, there = windows(frames, self.window)
        return self.lstm(last.sum(2) / there.sum(1, keepdim=True))[0]


class AttentionLSTM(SingleFrame):
    """Read at each step a weighted mean of the last N frames, by weights of its own choice.

        alpha_ti  ~  exp(w . tanh(W_h h_(t-1) + W_v v_i) + r_(t-i))     over the N frames i up to t
        x_t = sum_i alpha_ti v_i;   h_t = LSTM(h_(t-1), x_t)

    r is ours: without it nothing says which frame is the newest. It begins as `NEWEST` for that
    one and 0 for the others, so that training starts from little more than the LSTM.
    """

    def __init__(self, sizes):
        super().__init__(sizes)
        size = sizes.hidden_size
        self.lstm = nn.LSTMCell(size, size)
        self.of_state, self.of_frame = nn.Linear(size, size), nn.Linear(size, size, bias=False)
        self.worth = nn.Linear(size, 1, bias=False)
        self.recent = nn.Parameter(torch.zeros(sizes.window))           # r, oldest first
        with torch.no_grad():
            self.recent[-1] = NEWEST

    def hidden(self, frames):
        return self.attended(frames)[0]

    def attended(self, frames):
        """Return hidden (B, T, H) and the weights (B, T, N) of the last N frames, oldest first."""
        last, there = windows(frames, self.window)                      # (B, T, N, H), (T, N)
        recent = self.recent.masked_fill(~there, -torch.inf)
        state = memory = frames.new_zeros(len(frames), frames.shape[-1])
        found, weights = [], []
        # unbind, not an index: whose gradient would be as large as all frames, at every frame
        for keys, values, newer in zip(self.of_frame(last).unbind(1), last.unbind(1), recent,
                                       strict=True):
            query = self.of_state(state).unsqueeze(1)
            alpha = (self.worth((query + keys).tanh()).squeeze(-1) + newer).softmax(1)  # (B, N)
            read = (alpha.unsqueeze(1) @ values).squeeze(1)                             # (B, H)
            state, memory = self.lstm(read, (state, memory))
            found.append(state)
            weights.append(alpha)
        return torch.stack(found, 1), torch.stack(weights, 1)


class MultiLSTM(AttentionLSTM):
    """Label at each step the last N frames, and combine what the steps say of a frame.

        y_i = sum_d beta_d p_(i+d),d        p_t,d: what step t says of the frame d before it

    Step i + d has seen d frames more than frame i, so its word comes late and knows better. beta
    is one softmax over the distances, of those steps that the clip has. It is learned; at first
    each distance weighs a little less than the one before.
    """

    def __init__(self, sizes):
        super().__init__(sizes)
        self.score = nn.Linear(sizes.hidden_size, sizes.window * sizes.classes)
        self.trust = nn.Parameter(-DECAY * torch.arange(float(sizes.window)))   # log beta

    def forward(self, features, mask):
        said = super().forward(features, mask).unflatten(-1, (self.window, -1))     # (B, T, N, C)
        return self.combine(said, mask)

    def combine(self, said, mask):
        """Return scores (B, T, C) of what each step says of the last N frames, (B, T, N, C).

        said[:, t, d] is of frame t - d.
        """
        votes = torch.stack([earlier(said[:, :, d], d) for d in range(self.window)], 2)
        there = torch.stack([earlier(mask, d) for d in range(self.window)], 2)      # (B, T, N)
        # behind the end of a clip no step is, and a row of nothing has no softmax
        there[:, :, 0] = True
        beta = self.trust.float().masked_fill(~there, -torch.inf).softmax(2)
        return (beta.unsqueeze(-1) * votes).sum(2)


def windows(frames, number):
    """Return the last N frames at each frame, (B, T, N, H), oldest first, and which there are.

    Those before the clip begins are zero and false in the second, (T, N).
    """
    last = functional.pad(frames, (0, 0, number - 1, 0)).unfold(1, number, 1).transpose(2, 3)
    at = torch.arange(frames.shape[1], device=frames.device).unsqueeze(1)
    back = torch.arange(number - 1, -1, -1, device=frames.device)
    return last, at >= back


def earlier(values, distance):
    """Return values (B, T, ...) moved so many frames to the front, zeros behind them."""
    moved = torch.zeros_like(values)
    moved[:, :max(0, values.shape[1] - distance)] = values[:, distance:]
    return moved


MODELS = {"single": SingleFrame, "smoothed": Smoothed, "lstm": LSTM, "window": WindowLSTM,
          "attention": AttentionLSTM, "multilstm": MultiLSTM}
