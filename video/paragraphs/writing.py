"""Write the paragraphs of clips, sentence by sentence, each by a search of decoders/search.py.

    memory --first--> Beginning --search--> the best sentence --remember--> memory --> ...

The best sentence of a search is told to the next one, as in the paper. With given segments there
are as many sentences as segments; else a paragraph ends where the model says so.

What is likeliest is the same wording every time, where people vary theirs. So a third word in a row
that an earlier sentence has, too, costs something, less than a false word does, after the penalty
on trigrams of Melas-Kyriazi, Rush and Han 2018 (EMNLP).
"""

from dataclasses import replace

import torch
from torch import nn

from decoders.search import search as run_search
from model import State
from video.paragraphs.teller import Beginning
from vocabulary import END_ID, START_ID

WORDS_AGAIN, COST = 3, 2.0      # so many words of an earlier sentence again cost so many nats


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
        sparing = Sparing(teller, said_before([found[clip] for clip in clips], clips.device))
        hypotheses = run_search(sparing, beginning, replace(search, seed=search.seed + number))
        captions = [best.words for best, *_ in hypotheses]
        for clip, caption in zip(clips.tolist(), captions, strict=True):
            found[clip].append(caption)
        memory = told(teller, memory, captions)
    return found


class Sparing(nn.Module):
    """A teller that spares its reader what has been said. said (P, M, WORDS_AGAIN): its words."""

    def __init__(self, teller, said):
        super().__init__()
        self.teller, self.said = teller, said

    def begin(self, beginning):
        """Return the state before a sentence; see `Teller.begin`."""
        state, rows = self.teller.begin(beginning), len(beginning)
        recent = torch.full((rows, WORDS_AGAIN - 1), START_ID, device=beginning.device)
        return State((*state.own, recent), (*state.shared, self.said))

    def step(self, words, state):
        """Read a word of every row, words (N,): scores (N, V) of the next one, state."""
        (*own, recent), (*shared, said) = state
        scores, state = self.teller.step(words, State(tuple(own), tuple(shared)))
        recent = torch.cat([recent[:, 1:], words[:, None]], dim=1)
        said_here = said.repeat_interleave(len(words) // len(said), dim=0)      # (N, M, .)
        again = (said_here[..., :-1] == recent[:, None]).all(dim=2).to(scores.dtype)
        cost = torch.zeros_like(scores).scatter_reduce(1, said_here[..., -1], again, "amax")
        return scores - COST * cost, State((*state.own, recent), (*state.shared, said))


def said_before(paragraphs, device):
    """Return every WORDS_AGAIN words in a row that paragraphs, lists of captions, have,
    (P, M, WORDS_AGAIN), filled with `<start>`, which no sentence has twice."""
    grams = [[caption[place:place + WORDS_AGAIN] for caption in captions
              for place in range(1, len(caption) - WORDS_AGAIN)] for captions in paragraphs]
    most = max([1, *map(len, grams)])
    return torch.tensor([several + [[START_ID] * WORDS_AGAIN] * (most - len(several))
                         for several in grams], device=device)


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
