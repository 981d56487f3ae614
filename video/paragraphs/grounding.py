"""Teach cells which words are said of what they show, before the model learns to write.

    cells of a clip (T * L, D) --linear, log of a sum of exponentials--> the clip's guess (G,)
    guess against which words are said of the clip --cross-entropy--> the weights of `Sight.words`

Nobody says which cell of which frame a word is about: a clip about which "red" is said has a red
cell somewhere. That is multiple-instance learning, and finds shapes and colours in seconds, which
from sentences alone takes longer than all the rest. Fang et al. 2015 (arXiv:1411.4952) find words
in regions so, by a noisy-or; here odds are added up.

Shape letters are those of sight.py.
"""

import numpy as np
import torch
from torch.nn import functional

from video.paragraphs.teller import FIRST

RATE, CLIPS = 1e-2, 20      # of Adam; clips a step
ROWS = 1 << 12              # frames by which channels are levelled


def ground(sight, part, passes, seed):
    """Set the means and deviations of a `Sight` by a `Part`, and train its words for some passes.
    """
    rows = part.features.rows
    some = np.linspace(0, len(rows) - 1, min(ROWS, len(rows))).astype(int)
    cells = torch.from_numpy(rows[some].astype(np.float32)).flatten(0, 1)              # (., D)
    sight.mean.copy_(cells.mean(dim=0))
    sight.deviation.copy_(cells.std(dim=0) + 1e-3)
    said = words_said([torch.tensor([word for sentences in several for ids in sentences
                                     for word in ids]) for several in part.ids],
                      sight.words.out_features)
    optimizer = torch.optim.Adam(sight.words.parameters(), RATE)
    random = np.random.default_rng([seed, 1])
    for _ in range(passes):
        order = random.permutation(len(part))
        for start in range(0, len(order), CLIPS):
            clips = order[start:start + CLIPS]
            found = torch.stack([clip_guess(sight.words(levelled(sight, part.features.of(clip)[0])))
                                 for clip in clips])
            loss = guess_loss(found, said[clips]) / len(clips)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def levelled(sight, features):
    """Return features (T, L, D), an array of float16, as a `Sight` sees them."""
    return (torch.from_numpy(features.astype(np.float32)) - sight.mean) / sight.deviation


def words_said(clips, words):
    """Return whether each of G words is said of a clip, (P, G); clips: a tensor of ids for each."""
    said = torch.zeros(len(clips), FIRST + words)
    for row, ids in zip(said, clips, strict=True):
        row[ids[ids < len(row)]] = 1
    return said[:, FIRST:]


def clip_guess(guesses):
    """Return the log-odds (G,) that a clip's cells or patches (..., G) give together."""
    return guesses.flatten(0, -2).logsumexp(dim=0)


def guess_loss(found, said):
    """Return the cross-entropy of log-odds (P, G), added up over words and clips."""
    return functional.binary_cross_entropy_with_logits(found, said, reduction="sum")
