"""What the searches share: blank captions, and rows of beams with the decoder's state of them.

    allowed (N, V) --continuations--> gains, words (N, k) --ranked--> sums, ranks (N, k)
    state of B pictures --widen--> N rows --reorder--> the rows that were kept

Shape letters:  B pictures   N rows   V vocabulary   T max_length   k continuations of a row
"""

import torch

from decoders.rules import FORBIDDEN
from model import State
from vocabulary import END_ID, START_ID


def blank(rows, settings, device):
    """Return captions (rows, T) of START and then END throughout, and totals (rows,) of zero."""
    captions = torch.full((rows, settings.max_length), END_ID, device=device)
    captions[:, 0] = START_ID
    return captions, torch.zeros(rows, device=device)


def continuations(allowed, ended, width):
    """Return each row's k = min(K, V) best words and their gains, (N, k).

    A row that has ended (N,) has one continuation: another END, which costs nothing.
    """
    gains, words = allowed.topk(min(width, allowed.shape[1]))
    free = torch.full_like(gains[0], FORBIDDEN)
    free[0] = 0
    return gains.where(~ended[:, None], free), words.masked_fill(ended[:, None], END_ID)


def ranked(rows, sums, gains, settings):
    """Add the gains (N, k) of a word to the sums (N,) of rows (N, T): sums and ranks (N, k)."""
    sums = sums.unsqueeze(1) + gains
    lengths = (rows != END_ID).sum(dim=1, keepdim=True)                    # START stands for END
    return sums, sums / lengths**settings.length_penalty    # ended and growing ones compete


def widen(state, width):
    """Return the state with `width` equal rows of each picture, side by side."""
    # `shared` stays as it is: a grid of cells is too large to be copied for each row.
    rows = torch.arange(len(state.own[0]), device=state.own[0].device).repeat_interleave(width)
    return State(tuple(tensor[rows] for tensor in state.own), state.shared)


def reorder(state, rows, pictures=None):
    """Return the state whose row i is the old row rows[i]; `pictures` are the old ones that it has.

    pictures: numbers or a mask; None is all of them.
    """
    shared = state.shared
    if pictures is not None:
        shared = tuple(tensor[pictures] for tensor in shared)
    return State(tuple(tensor[rows] for tensor in state.own), shared)
