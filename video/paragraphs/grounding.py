"""Teach cells which words are said of what they show, before the model learns to write.

    guesses (P, T, L, G), spans --log of a sum of exponentials--> guesses of each sentence (B, S, G)
    guesses of a sentence against which words it has --cross-entropy--> weights of `Sight.guess`

Nobody says which cell of which frame a word is about: a part of a clip about which "red" and
"jumps" are said has a red cell somewhere, and one that jumps. That is multiple-instance learning,
and finds shapes, colours and actions in a minute, which from sentences alone takes longer than all
the rest. Fang et al. 2015 (arXiv:1411.4952) find words in regions so, by a noisy-or; here odds are
added up.

Shape letters are those of sight.py and words.py.
"""

import numpy as np
import torch
from torch.nn import functional

from video.paragraphs.teller import FIRST

RATE, CLIPS = 3e-3, 20      # of Adam, falling to 0 over the last half; clips a step
ROWS = 1 << 12              # frames by which channels are levelled


def ground(sight, part, passes, seed, each):
    """Set the means and deviations of a `Sight` by a `Part`, and train its guesses some passes.

    each: paragraphs of a clip in a step.
    """
    rows = part.features.rows
    some = np.linspace(0, len(rows) - 1, min(ROWS, len(rows))).astype(int)
    cells = torch.from_numpy(rows[some].astype(np.float32)).flatten(0, 1)              # (., D)
    sight.mean.copy_(cells.mean(dim=0))
    sight.deviation.copy_(cells.std(dim=0) + 1e-3)
    parts = sight.cell, sight.inside, sight.still, sight.moving
    optimizer = torch.optim.Adam([weight for one in parts for weight in one.parameters()], RATE)
    steps = max(1, passes * -(-len(part) // CLIPS))
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer,
                                                lambda step: min(1, 2 - 2 * step / steps))
    random = np.random.default_rng([seed, 1])
    for _ in range(passes):
        order = random.permutation(len(part))
        for start in range(0, len(order), CLIPS):
            clips = order[start:start + CLIPS]
            batch = part.batch(clips, random, each)
            loss = guess_loss(sight.guess(batch.features, batch.frames)[2], batch) / len(clips)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            falling.step()


def guess_loss(guesses, batch):
    """Return the cross-entropy of what cells (P, T, L, G) guess, added up over words and sentences.

    A sentence's guess is that of all cells within its span together.
    """
    inside = batch.inside.unflatten(0, (len(guesses), -1))                          # (P, k, S, T)
    frames = guesses.logsumexp(dim=2)                                               # (P, T, G)
    found = torch.where(inside[..., None], frames[:, None, None], -torch.inf).logsumexp(dim=3)
    said = torch.zeros(*batch.sentences.shape[:2], FIRST + guesses.shape[3],
                       device=guesses.device)                                       # (B, S, .)
    ids = batch.sentences.where(batch.sentences < said.shape[2], 0)
    said = said.scatter(2, ids, 1.0)[..., FIRST:]
    there = (batch.lengths > 0) & batch.inside.any(dim=2)
    return functional.binary_cross_entropy_with_logits(found.flatten(0, 1)[there], said[there],
                                                       reduction="sum")
