"""Which words a search may choose: the rules of its settings, and top-k and top-p of sampling.

    scores (N, V) --log_probabilities--> log_probs --restrict--> allowed: -inf where a rule forbids
    allowed --shortlist, draw--> words (N,)                      to sample

Repetition: Paulus et al. 2017 (arXiv:1705.04304). Top-p: Holtzman et al. 2019 (arXiv:1904.09751).

Shape letters:  N rows, each a caption being written   V vocabulary   T its largest length
"""

import math

import torch

from vocabulary import END_ID, START_ID, UNK_ID

FORBIDDEN = -math.inf       # of a word that the settings rule out
LEAST = -1e4                # of a word that the decoder scores -inf: a last resort of finite cost


def log_probabilities(scores):
    """Return all log-probabilities (N, V) in float32, finite unless a score is NaN or infinite."""
    return scores.float().clamp(min=LEAST).log_softmax(dim=1)


def restrict(log_probs, captions, position, settings):
    """Return the log-probabilities (N, V), FORBIDDEN for words that may not stand at `position`."""
    # Not renormalised: a rule makes no other word likelier.
    allowed = log_probs.clone()
    allowed[:, START_ID] = FORBIDDEN
    if settings.suppress_unk:
        allowed[:, UNK_ID] = FORBIDDEN
    if not settings.allow_repetition:
        allowed.scatter_(1, captions[:, position - 1, None], FORBIDDEN)
    if 0 < settings.no_repeat_ngram <= position:
        seen = repeating(captions[:, :position], settings.no_repeat_ngram)
        allowed.scatter_(1, seen, FORBIDDEN)
    if position + 1 == settings.max_length:
        allowed[:] = FORBIDDEN
    # END may stand where nothing else may.
    stuck = allowed.amax(dim=1) == FORBIDDEN
    allowed[:, END_ID] = torch.where(stuck, log_probs[:, END_ID], allowed[:, END_ID])
    return allowed


def repeating(captions, size):
    """Return the words (N, W) that would repeat an n-gram of `size` words; START is for none."""
    ngrams = captions.unfold(1, size, 1)                                   # (N, W, size)
    ending = captions[:, None, captions.shape[1] - size + 1 :]             # (N, 1, size - 1)
    return ngrams[:, :, -1].where((ngrams[:, :, :-1] == ending).all(dim=2), START_ID)


def shortlist(allowed, settings):
    """Forbid all but the top_k likeliest words and, of these, the likeliest that hold top_p."""
    if settings.top_k == 0 and settings.top_p == 1:
        return allowed
    ordered, words = allowed.topk(min(settings.top_k or math.inf, allowed.shape[1]))
    probabilities = ordered.softmax(dim=1)
    before = probabilities.cumsum(dim=1) - probabilities
    ordered = ordered.masked_fill(before >= settings.top_p, FORBIDDEN)
    return torch.full_like(allowed, FORBIDDEN).scatter(1, words, ordered)


def draw(allowed, chances):
    """Return the words (N,) on which chances (N,), uniform in [0, 1), fall."""
    reached = allowed.softmax(dim=1).cumsum(dim=1)                         # (N, V)
    # 1 - chance is never 0, so it cannot fall on a word without probability before the first.
    return (reached < reached[:, -1:] * (1 - chances[:, None])).sum(dim=1)
