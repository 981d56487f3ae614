"""Write the paragraphs of clips, sentence by sentence, each by a search of decoders/search.py.

    memory --first--> Beginning --search--> the best sentence --remember--> memory --> ...

The best sentence of a search is told to the next one, as in the paper. With given segments there
are as many sentences as segments; else a paragraph ends where the model says so.
"""

from dataclasses import replace

import torch

from decoders.search import search as run_search
from video.paragraphs.teller import Beginning
from vocabulary import END_ID


@torch.no_grad()
def write(teller, features, frames, moments, search, count=None):
    """Return the paragraph of each of P clips, a list of captions (lists of ids).

    features (P, T, L, D), frames (P, T).  moments (P, S, T, MOMENT): of at most S sentences.
    search: the `Search` for a sentence.  count: (P,) how many sentences there are, if given.
    """
    teller.eval()
    seen, *_ = teller.sight(features, frames)
    clips, found = torch.arange(len(features), device=features.device), [[] for _ in features]
    memory = teller.nothing(len(features))
    for number in range(moments.shape[1]):
        beginning = Beginning(seen, moments[clips, number], teller.first(memory))
        more = count[clips] > number if count is not None else going_on(teller, beginning, number)
        if not more.all():              # only the others take further part
            clips, seen = clips[more], type(seen)(*(one[more] for one in seen))
            memory = tuple(one[more] for one in memory)
            beginning = Beginning(seen, moments[clips, number], beginning.first[more])
        if not len(clips):
            break
        # else every sentence would be sampled by the same random numbers
        hypotheses = run_search(teller, beginning, replace(search, seed=search.seed + number))
        captions = [best.words for best, *_ in hypotheses]
        for clip, caption in zip(clips.tolist(), captions, strict=True):
            found[clip].append(caption)
        memory = told(teller, memory, captions)
    return found


def going_on(teller, beginning, number):
    """Return which paragraphs (P,) have another sentence: each has a first."""
    return (teller.over(beginning) < 0.5) | (number == 0)


def told(teller, memory, captions):
    """Return the memory after a caption of each paragraph, a list of ids from START to END."""
    widest = max(map(len, captions))
    ids = torch.tensor([caption + [END_ID] * (widest - len(caption)) for caption in captions],
                       device=memory[0].device)
    lengths = torch.tensor([len(caption) - 1 for caption in captions], device=ids.device)
    words, hidden = teller.hear(ids[:, :-1], memory)
    return teller.remember(memory, words, hidden, lengths)
