"""From scores to captions: greedy, beam search and sampling, once for every decoder.

    features (B, ...) --decoder.begin--> state
    words (N,), state --decoder.step---> scores (N, V), state      until every row has said END

`search` picks the method and turns gradients and dropout off. Read `greedy` first: the others are
its loop with another way to choose the next word. A row of `captions` (N, T) is filled with END
from the start, so it has ended once its last id is END, and whatever is not END is its length.

Of a state, what belongs to the picture alone is the same for all its rows. A decoder that says how
many of the last tensors are of this kind, `decoder.shared`, is given them once a picture, which a
grid of cells is too large to be copied for.

Length normalisation: Wu et al. 2016 (arXiv:1609.08144), here the plain power of the length.
Repeats: Paulus et al. 2017 (arXiv:1705.04304). Top-p: Holtzman et al. 2019 (arXiv:1904.09751).

Shape letters:  B pictures  K beams or samples of each  N rows, B * K  V vocabulary  T max_length
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch

from vocabulary import END_ID, START_ID, UNK_ID

FORBIDDEN = -math.inf       # the settings rule the word out
UNHEARD_OF = -1e4           # the decoder does (score -inf): last resort, yet sums stay finite


@dataclass(frozen=True)
class Search:
    """How captions are found. An id is a word, START or END; lengths count all three."""

    method: str = "beam"            # greedy, beam or sample
    captions: int = 1               # per picture, best first; greedy has only one
    max_length: int = 20            # ids; nothing but END may stand at the last
    min_length: int = 2             # ids; 2 lets the empty caption pass: START, END
    suppress_unk: bool = True       # a reader learns nothing from <unk>
    stutter: bool = False           # whether a word may stand twice in a row
    no_repeat: int = 0              # words; no run of so many occurs twice; 0 is off, 3 is usual
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
            "max_length must be at least 3: START, a word, END": self.max_length >= 3,
            "min_length must lie between 2 and max_length": 2 <= self.min_length <= self.max_length,
            "length_penalty must not be negative": self.length_penalty >= 0,
            "no_repeat and top_k must be 0 (off) or more": min(self.no_repeat, self.top_k) >= 0,
            "temperature must be above 0": self.temperature > 0,
            "top_p must be above 0 and at most 1": 0 < self.top_p <= 1,
        }
        for rule, kept in rules.items():
            if not kept:
                raise ValueError(f"{rule}; got {self!r}")

    def __str__(self):
        """One line for a report: what shaped these captions, and no dial that did not."""
        beam, sampled = self.method == "beam", self.method == "sample"
        shown = {
            f"beam {self.beam}" if beam else self.method: True,
            f"length penalty {self.length_penalty:g}": beam or self.captions > 1,
            f"temperature {self.temperature:g}": sampled,
            f"top-k {self.top_k}": sampled and self.top_k > 0,
            f"top-p {self.top_p:g}": sampled and self.top_p < 1,
            f"seed {self.seed}": sampled,
            f"at least {self.min_length} ids": self.min_length > 2,
            f"at most {self.max_length} ids": True,
            "words twice in a row allowed": self.stutter,
            f"no {self.no_repeat} words twice": self.no_repeat > 0,
            "<unk> allowed": not self.suppress_unk,
            f"{self.captions} captions a picture": self.captions > 1,
        }
        return ", ".join(text for text, mattered in shown.items() if mattered)


class Hypothesis(NamedTuple):
    """A caption the search found and how likely the decoder finds it."""

    words: list[int]            # from START to END, both included
    log_probability: float      # of all ids after START, by the decoder's softmax over all of V

    def rank(self, length_penalty):
        """What the search compares; the length counts the words and END: what was predicted."""
        return self.log_probability / (len(self.words) - 1) ** length_penalty


@torch.no_grad()
def search(decoder, features, settings=None):
    """Caption every picture: B lists of `settings.captions` hypotheses (or all), best first.

    ValueError: the decoder's scores are NaN or plus infinity.
    """
    settings = settings or Search()
    modes = [(module, module.training) for module in decoder.modules()]
    decoder.eval()
    try:
        captions, totals = METHODS[settings.method](decoder, features, settings)
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
        likely = log_probabilities(scores)
        words = restrict(likely, captions, position, settings).argmax(dim=1)
        if append(words, likely, captions, totals, position):
            break
    return captions[:, None], totals[:, None]


def sample(decoder, features, settings):
    """Draw every word by its probability: captions (B, K, T), log-probabilities (B, K)."""
    pictures, device = len(features), features.device
    captions, totals = blank(pictures * settings.captions, settings, device)
    state = widen(decoder, decoder.begin(features), settings.captions)     # B rows become N
    # All chances at once and on the CPU, so that they are the same whatever the device.
    generator = torch.Generator().manual_seed(settings.seed)
    chances = torch.rand(captions.shape, generator=generator).to(device)   # (N, T)
    for position in range(1, settings.max_length):
        scores, state = decoder.step(captions[:, position - 1], state)     # (N, V)
        likely = log_probabilities(scores)
        allowed = restrict(likely, captions, position, settings)
        words = draw(shortlist(allowed / settings.temperature, settings), chances[:, position])
        if append(words, likely, captions, totals, position):
            break
    return captions.view(pictures, -1, captions.shape[1]), totals.view(pictures, -1)


def beam_search(decoder, features, settings):
    """Keep the K best beginnings of every picture: captions (B, K, T), log-probabilities (B, K).

    A picture whose beams have all ended takes no further part: what follows counts only the P
    pictures that are still growing, in rows of K.
    """
    width, device = settings.beam, features.device
    captions, totals = blank(len(features) * width, settings, device)
    captions, totals = captions.view(-1, width, settings.max_length), totals.view(-1, width)
    totals[:, 1:] = FORBIDDEN                       # all beams begin alike: only one may count
    growing = torch.arange(len(features), device=device)
    state = widen(decoder, decoder.begin(features), width)                 # B rows become N
    for position in range(1, settings.max_length):
        beams, sums = captions[growing], totals[growing]                   # (P, K, T), (P, K)
        scores, state = decoder.step(beams[:, :, position - 1].flatten(), state)
        beams, sums, source = extend(beams, sums, log_probabilities(scores), position, settings)
        captions[growing], totals[growing] = beams, sums
        goes_on = ((beams[:, :, position] != END_ID) & (sums > FORBIDDEN)).any(dim=1)
        if not goes_on.any():
            break
        state = reorder(decoder, state, source[goes_on].flatten(), goes_on)
        growing = growing[goes_on]
    return captions, totals


def extend(beams, sums, likely, position, settings):
    """The K best of all beams (P, K, T) with one word more, their sums and the rows they extend.

    likely: log-probabilities (P * K, V) of the word at `position`.
    """
    pictures, width = sums.shape
    rows = beams.view(pictures * width, -1)
    allowed = restrict(likely, rows, position, settings)
    gains, words = continuations(allowed, rows[:, position - 1] == END_ID, width)  # (P * K, k)
    sums = sums.view(-1, 1) + gains                                        # (P * K, k)
    lengths = (rows != END_ID).sum(dim=1, keepdim=True)                    # START stands for END
    ranks = sums / lengths**settings.length_penalty     # ended and growing ones compete
    best = ranks.view(pictures, -1).topk(width).indices                    # (P, K), below K * k
    first = torch.arange(pictures, device=best.device)[:, None] * width
    source = first + best // gains.shape[1]                                # (P, K), rows
    beams = rows[source]
    beams[:, :, position] = words.view(pictures, -1).gather(1, best)
    return beams, sums.view(pictures, -1).gather(1, best), source


METHODS = {"greedy": greedy, "beam": beam_search, "sample": sample}


def blank(rows, settings, device):
    """Captions (rows, T) that hold START and then END throughout, and totals (rows,) of zero."""
    captions = torch.full((rows, settings.max_length), END_ID, device=device)
    captions[:, 0] = START_ID
    return captions, torch.zeros(rows, device=device)


def widen(decoder, state, width):
    """The state with `width` equal rows of each picture, side by side."""
    own, shared = parts(decoder, state)
    rows = torch.arange(len(own[0]), device=own[0].device).repeat_interleave(width)
    return (*(tensor[rows] for tensor in own), *shared)


def reorder(decoder, state, rows, pictures):
    """The state whose row i is the old row rows[i], of the pictures where `pictures` is True."""
    own, shared = parts(decoder, state)
    if not pictures.all():
        shared = tuple(tensor[pictures] for tensor in shared)
    return (*(tensor[rows] for tensor in own), *shared)


def parts(decoder, state):
    """The tensors of a state that each row has for itself, and those that its picture has."""
    count = len(state) - getattr(decoder, "shared", 0)
    return state[:count], state[count:]


def log_probabilities(scores):
    """Of every word, (N, V) in float32; finite unless the scores are NaN or plus infinity."""
    return scores.float().clamp(min=UNHEARD_OF).log_softmax(dim=1)


def restrict(likely, captions, position, settings):
    """The log-probabilities (N, V) with every word ruled out that may not stand at `position`.

    Not renormalised: a rule makes no other word likelier. END may stand where nothing else may.
    """
    allowed = likely.clone()
    allowed[:, START_ID] = FORBIDDEN
    if settings.suppress_unk:
        allowed[:, UNK_ID] = FORBIDDEN
    if not settings.stutter:
        allowed.scatter_(1, captions[:, position - 1, None], FORBIDDEN)
    if position + 1 < settings.min_length:
        allowed[:, END_ID] = FORBIDDEN
    if 0 < settings.no_repeat <= position:
        allowed.scatter_(1, repeats(captions[:, :position], settings.no_repeat), FORBIDDEN)
    if position + 1 == settings.max_length:
        allowed[:] = FORBIDDEN
    stuck = allowed.amax(dim=1) == FORBIDDEN
    allowed[:, END_ID] = torch.where(stuck, likely[:, END_ID], allowed[:, END_ID])
    return allowed


def repeats(captions, size):
    """The ids (N, W) that would complete a run of `size` ids a second time; START for no id."""
    runs = captions.unfold(1, size, 1)                                     # (N, W, size)
    ending = captions[:, None, captions.shape[1] - size + 1 :]             # (N, 1, size - 1)
    return runs[:, :, -1].where((runs[:, :, :-1] == ending).all(dim=2), START_ID)


def append(words, likely, captions, totals, position):
    """Write each row's word and add what it costs, both in place; True once all rows have ended."""
    ended = captions[:, position - 1] == END_ID
    captions[:, position] = words.masked_fill(ended, END_ID)
    totals += likely.gather(1, words[:, None]).squeeze(1).masked_fill(ended, 0)
    return (captions[:, position] == END_ID).all()


def continuations(allowed, ended, width):
    """Each row's k = min(K, V) best words and their gains, (N, k); after END, one more for free."""
    gains, words = allowed.topk(min(width, allowed.shape[1]))
    free = torch.full_like(gains[0], FORBIDDEN)
    free[0] = 0
    return gains.where(~ended[:, None], free), words.masked_fill(ended[:, None], END_ID)


def shortlist(allowed, settings):
    """Rule out all but the top_k likeliest words and, of these, the likeliest that hold top_p."""
    if settings.top_k == 0 and settings.top_p == 1:
        return allowed
    ordered, words = allowed.topk(min(settings.top_k or math.inf, allowed.shape[1]))
    shares = ordered.softmax(dim=1)
    enough = shares.cumsum(dim=1) - shares >= settings.top_p       # without this word
    ordered = ordered.masked_fill(enough, FORBIDDEN)
    return torch.full_like(allowed, FORBIDDEN).scatter(1, words, ordered)


def draw(allowed, chances):
    """The word (N,) on which each chance, uniform in [0, 1), falls."""
    reached = allowed.softmax(dim=1).cumsum(dim=1)                         # (N, V)
    # 1 - chance is never 0, so it cannot fall on a word without probability before the first.
    return (reached < reached[:, -1:] * (1 - chances[:, None])).sum(dim=1)


def hypotheses(captions, totals, settings):
    """From tensors (B, K, T) and (B, K) to B lists, ranked; a beam that never lived is left out."""
    pictures = []
    for rows, costs in zip(captions.tolist(), totals.tolist(), strict=True):
        alive = [pair for pair in zip(rows, costs, strict=True) if pair[1] > FORBIDDEN]
        found = [Hypothesis(words[: words.index(END_ID) + 1], cost) for words, cost in alive]
        found.sort(key=lambda one: one.rank(settings.length_penalty), reverse=True)
        pictures.append(found[: settings.captions])
    return pictures
