"""From scores to captions: greedy, beam search and sampling, one implementation for all decoders.

    features (B, ...) --decoder.begin--> state
    words (N,), state --decoder.step---> scores (N, V), state      until every row has said END

`search` picks the method and turns gradients and dropout off. Read `greedy` first: the others are
its loop with another way to choose the next word, and rules.py says which words may be chosen;
constrained.py is the beam search for captions that must name something. A row of `captions` (N, T)
is filled with END from the start, so it has ended once its last id is END, and whatever is not END
is its length.

Length normalisation: Wu et al. 2016 (arXiv:1609.08144), here the plain power of the length.

Shape letters:  B pictures  K beams or samples of each  N rows, B * K  V vocabulary  T max_length
"""

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import torch

from decoders.beams import blank, continuations, ranked, reorder, widen
from decoders.constrained import MOST, constrained_beam_search
from decoders.rules import FORBIDDEN, draw, log_probabilities, restrict, shortlist
from vocabulary import END_ID

STRONGEST = 10              # length penalty: 29 makes the power of a length overflow
COLDEST = 1e-30             # temperature: divided by less, log-probabilities overflow


@dataclass(frozen=True)
class Search:
    """The settings of a search. An id is a word, START or END; lengths count all three."""

    method: str = "beam"            # greedy, beam or sample
    captions: int = 1               # per picture, best first; greedy has only one
    max_length: int = 20            # ids; nothing but END may stand at the last
    suppress_unk: bool = True       # a reader learns nothing from <unk>
    allow_repetition: bool = False  # whether a word may stand twice in a row
    no_repeat_ngram: int = 0        # words of an n-gram that occurs once only; 0 is off, 3 is usual
    naming: tuple = ()              # beam: of each of these tuples of words one must be said
    beam: int = 3                   # hypotheses per picture; 3 to 5 score best, 10 falls back
    length_penalty: float = 0.7     # rank is log-probability / length ** this; 0 favours brevity
    temperature: float = 1.0        # sample: divides the log-probabilities; towards 0 is greedy
    top_k: int = 0                  # sample: choose among so many likeliest words; 0 is all
    top_p: float = 1.0              # sample: choose among the likeliest that hold this probability
    seed: int = 0                   # sample: of its own generator; training changes it every step

    def __post_init__(self):
        most = {"greedy": 1, "beam": self.beam}.get(self.method, math.inf)
        rules = {
            f"method must be one of {', '.join(METHODS)}": self.method in METHODS,
            "beam must be at least 1": self.beam >= 1,
            f"captions must lie between 1 and {most} for {self.method}": 1 <= self.captions <= most,
            "naming is for beam": not self.naming or self.method == "beam",
            f"naming takes at most {MOST} tuples": len(self.naming) <= MOST,
            "max_length must be at least 3: START, a word, END": self.max_length >= 3,
            f"length_penalty must be a number from 0 to {STRONGEST}":
                0 <= self.length_penalty <= STRONGEST,
            "no_repeat_ngram and top_k must be 0 (off) or more":
                min(self.no_repeat_ngram, self.top_k) >= 0,
            "temperature must be a number above 0": 0 < self.temperature < math.inf,
            "top_p must be above 0 and at most 1": 0 < self.top_p <= 1,
        }
        for rule, kept in rules.items():
            if not kept:
                raise ValueError(f"{rule}; got {self!r}")

    def __str__(self):
        """Describe in one line, for a report, the settings that shaped the captions."""
        beam, sampled = self.method == "beam", self.method == "sample"
        shown = {
            f"beam {self.beam}" if beam else self.method: True,
            f"length penalty {self.length_penalty:g}": beam or self.captions > 1,
            f"temperature {self.temperature:g}": sampled,
            f"top-k {self.top_k}": sampled and self.top_k > 0,
            f"top-p {self.top_p:g}": sampled and self.top_p < 1,
            f"seed {self.seed}": sampled,
            f"at most {self.max_length} ids": True,
            "words twice in a row allowed": self.allow_repetition,
            f"no {self.no_repeat_ngram}-gram twice": self.no_repeat_ngram > 0,
            "<unk> allowed": not self.suppress_unk,
            f"{self.captions} captions a picture": self.captions > 1,
            f"naming {len(self.naming)} words": len(self.naming) > 0,
        }
        return ", ".join(text for text, mattered in shown.items() if mattered)


class Hypothesis(NamedTuple):
    """A caption that the search found, with its log-probability."""

    words: list[int]            # from START to END, both included
    log_probability: float      # of all ids after START, by the decoder's softmax over all of V

    def rank(self, length_penalty):
        """Return the length-normalised log-probability, by which hypotheses are compared."""
        predicted = len(self.words) - 1         # the words and END; START is given
        return self.log_probability / predicted**length_penalty


@torch.no_grad()
def search(decoder, features, settings=None, constraints=None):
    """Caption every picture: B lists of at most `settings.captions` hypotheses, best first.

    constraints: of each picture its own tuples of words, in place of `settings.naming` for all.
    ValueError: the decoder's scores are NaN or plus infinity, there are not as many constraints as
    pictures, or `Search` would refuse one as its `naming`.
    """
    settings = settings or Search()
    method = METHODS[settings.method]
    if constraints is None and settings.naming:
        constraints = [settings.naming] * len(features)
    if constraints is not None and len(constraints) != len(features):
        raise ValueError(f"{len(constraints)} constraints are not one for each of {len(features)} "
                         "pictures")
    if not len(features):
        return []
    for one in constraints or ():
        replace(settings, naming=tuple(one))            # refuses what cannot be had
    if constraints and settings.method == "beam":
        method = partial(constrained_beam_search, constraints=constraints)
    modes = [(module, module.training) for module in decoder.modules()]
    decoder.eval()
    try:
        captions, totals = method(decoder, features, settings)
    finally:
        for module, mode in modes:      # each its own: a part may be frozen in eval mode
            module.training = mode
    if totals.isnan().any():
        raise ValueError("the decoder gave NaN or infinite scores: has its training diverged?")
    return hypotheses(captions, totals, settings)


def greedy(decoder, features, settings):
    """Take the likeliest word at every step: captions (B, 1, T), log-probabilities (B, 1)."""
    captions, totals = blank(len(features), settings, features.device)
    state = decoder.begin(features)
    for position in range(1, settings.max_length):
        scores, state = decoder.step(captions[:, position - 1], state)     # (B, V)
        log_probs = log_probabilities(scores)
        words = restrict(log_probs, captions, position, settings).argmax(dim=1)
        if append(words, log_probs, captions, totals, position):
            break
    return captions[:, None], totals[:, None]


def sample(decoder, features, settings):
    """Draw every word by its probability: captions (B, K, T), log-probabilities (B, K)."""
    pictures, device = len(features), features.device
    captions, totals = blank(pictures * settings.captions, settings, device)
    state = widen(decoder.begin(features), settings.captions)              # B rows become N
    # Drawn on the CPU and before the loop, so that a seed means the same on every device.
    generator = torch.Generator().manual_seed(settings.seed)
    chances = torch.rand(captions.shape, generator=generator).to(device)   # (N, T)
    for position in range(1, settings.max_length):
        scores, state = decoder.step(captions[:, position - 1], state)     # (N, V)
        log_probs = log_probabilities(scores)
        allowed = restrict(log_probs, captions, position, settings)
        allowed = allowed / max(settings.temperature, COLDEST)
        words = draw(shortlist(allowed, settings), chances[:, position])
        if append(words, log_probs, captions, totals, position):
            break
    return captions.view(pictures, -1, captions.shape[1]), totals.view(pictures, -1)


def beam_search(decoder, features, settings):
    """Keep the K best beginnings of every picture: captions (B, K, T), log-probabilities (B, K)."""
    width, device = settings.beam, features.device
    captions, totals = blank(len(features) * width, settings, device)
    captions, totals = captions.view(-1, width, settings.max_length), totals.view(-1, width)
    totals[:, 1:] = FORBIDDEN                       # all beams begin alike: only one may count
    # A picture whose beams have all ended takes no further part: P pictures are still growing.
    growing = torch.arange(len(features), device=device)
    state = widen(decoder.begin(features), width)                          # B rows become N
    for position in range(1, settings.max_length):
        beams, sums = captions[growing], totals[growing]                   # (P, K, T), (P, K)
        scores, state = decoder.step(beams[:, :, position - 1].flatten(), state)
        beams, sums, source = extend(beams, sums, log_probabilities(scores), position, settings)
        captions[growing], totals[growing] = beams, sums
        unfinished = ((beams[:, :, position] != END_ID) & (sums > FORBIDDEN)).any(dim=1)
        if not unfinished.any():
            break
        state = reorder(state, source[unfinished].flatten(),
                        None if unfinished.all() else unfinished)
        growing = growing[unfinished]
    return captions, totals


def extend(beams, sums, log_probs, position, settings):
    """Extend all beams (P, K, T) by a word: the K best, their sums (P, K), the rows they extend.

    log_probs (P * K, V): of the words at `position`.
    """
    pictures, width = sums.shape
    rows = beams.view(pictures * width, -1)
    allowed = restrict(log_probs, rows, position, settings)
    gains, words = continuations(allowed, rows[:, position - 1] == END_ID, width)  # (P * K, k)
    sums, ranks = ranked(rows, sums.flatten(), gains, settings)            # (P * K, k)
    best = ranks.view(pictures, -1).topk(width).indices                    # (P, K), below K * k
    first = torch.arange(pictures, device=best.device)[:, None] * width
    source = first + best // gains.shape[1]                                # (P, K), rows
    beams = rows[source]
    beams[:, :, position] = words.view(pictures, -1).gather(1, best)
    return beams, sums.view(pictures, -1).gather(1, best), source


METHODS = {"greedy": greedy, "beam": beam_search, "sample": sample}


def append(words, log_probs, captions, totals, position):
    """Write each row's word and add its log-probability, in place; return if all have ended."""
    ended = captions[:, position - 1] == END_ID
    captions[:, position] = words.masked_fill(ended, END_ID)
    totals += log_probs.gather(1, words[:, None]).squeeze(1).masked_fill(ended, 0)
    return (captions[:, position] == END_ID).all()


def hypotheses(captions, totals, settings):
    """Turn captions (B, K, T) and totals (B, K) into B lists of hypotheses, best first."""
    pictures = []
    for rows, costs in zip(captions.tolist(), totals.tolist(), strict=True):
        # A beam that is still FORBIDDEN stands for nothing: captions were fewer than beams.
        alive = [pair for pair in zip(rows, costs, strict=True) if pair[1] > FORBIDDEN]
        found = [Hypothesis(words[: words.index(END_ID) + 1], cost) for words, cost in alive]
        found.sort(key=lambda one: one.rank(settings.length_penalty), reverse=True)
        pictures.append(found[: settings.captions])
    return pictures
