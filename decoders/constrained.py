"""Beam search for captions that must say certain words: Anderson et al. 2017 (arXiv:1612.00576).

    constraints, tuples of words of which one must be said --table--> words, bits (B, W)
    captions (B, S, K, T) --step, follow, choose--> captions (B, S, K, T), longer by a word

A picture's constraints make a finite-state machine: a state is the set of those that have been met,
C bits, and a word that meets one leads to another state. Every state has a beam of its own, so that
a hypothesis which has said an unlikely word competes only with those that have said it, too. All
beams that hold a hypothesis, of all pictures, are one batch of `decoder.step`. Only in the state of
all constraints may a caption end. Without constraints there is one state, and this is beam search.

Shape letters:  B pictures   C constraints   S states, 2^C   K beams   T max_length   V vocabulary
                W words that meet a constraint   G groups: beams in use   M ways to extend a group
"""

import torch

from decoders.beams import blank, continuations, ranked, reorder, widen
from decoders.rules import FORBIDDEN, log_probabilities, restrict
from vocabulary import END_ID, START_ID

MOST = 4        # constraints of a picture; each doubles the time


def constrained_beam_search(decoder, features, settings, constraints):
    """Keep the K best beginnings in every state: captions (B, S * K, T), log-probabilities.

    constraints: of each picture a list of tuples of words. Where no caption meets all of them, as
    where it would be too long, captions that meet all but one are searched for, then all but two.
    """
    words, bits = table(constraints, features.device)
    count = max(map(len, constraints), default=0)
    # What a picture has fewer than others counts as met, so that the last state is all pictures'.
    met = [2**count - 2**len(one) for one in constraints]
    first = torch.tensor(met, dtype=torch.long, device=features.device)
    most = torch.tensor([state.bit_count() for state in range(2**count)], device=features.device)
    begun, machine = decoder.begin(features), (first, words, bits)
    captions, totals = write(decoder, begun, machine, most == count, settings)
    for missing in range(1, count + 1):
        left = (totals == FORBIDDEN).all(dim=1).nonzero()[:, 0]
        if not len(left):
            break
        captions[left], totals[left] = write(
            decoder, reorder(begun, left, left), [one[left] for one in machine],
            most >= count - missing, settings)
    return captions, totals


def table(constraints, device):
    """Return the words (B, W) that meet a constraint and the bits (B, W) of those they meet."""
    met = []
    for each in constraints:
        met.append({})
        for place, one in enumerate(each):
            for word in set(one) - {START_ID, END_ID}:      # which are not said
                met[-1][word] = met[-1].get(word, 0) | 1 << place
    width = max(map(len, met), default=0)
    filled = [[*one.items(), *[(START_ID, 0)] * (width - len(one))] for one in met]
    found = torch.tensor(filled, dtype=torch.long, device=device).view(len(met), width, 2)
    return found.unbind(dim=2)


def write(decoder, state, machine, accepts, settings):
    """Search once: captions (B, S * K, T) and log-probabilities (B, S * K) of those accepted.

    machine: each picture's first state (B,), words (B, W) and bits (B, W).  accepts (S,): whether a
    caption may end in a state.
    """
    first, words, bits = machine
    pictures, states, width = len(first), len(accepts), settings.beam
    captions, totals = blank(pictures * states * width, settings, first.device)
    captions = captions.view(pictures, states, width, settings.max_length)
    totals = totals.view(pictures, states, width).fill_(FORBIDDEN)
    totals[torch.arange(pictures), first, 0] = 0
    live = (totals > FORBIDDEN).any(dim=2)      # (B, S): where something grows, the G groups
    state = widen(state, width)
    for position in range(1, settings.max_length):
        running = live.any(dim=1)                                          # P of the B pictures
        beams, sums, steps = captions[running], totals[running], live[running]
        picture, group = steps.nonzero(as_tuple=True)                      # (G,), (G,)
        rows = beams[steps].flatten(0, 1)                                  # (G * K, T)
        scores, state = decoder.step(rows[:, position - 1], state)
        allowed = restrict(log_probabilities(scores), rows, position, settings)
        ways = follow(allowed, rows[:, position - 1] == END_ID, group, words[running][picture],
                      bits[running][picture], accepts)
        beams, sums, source = choose(beams, sums, steps, ways, position, settings)
        captions[running], totals[running] = beams, sums
        grows = ((beams[..., position] != END_ID) & (sums > FORBIDDEN)).any(dim=2)     # (P, S)
        # Where all captions had ended a step ago and no new one was better, none will be soon.
        still = (sums > FORBIDDEN) & (beams[..., position - 1] == END_ID) | ~accepts[:, None]
        grows &= ~still.flatten(1).all(dim=1, keepdim=True)
        if position + 2 == settings.max_length:
            grows &= accepts                    # only END is to come
        if not grows.any():
            break
        live[running] = grows
        before, after = running.nonzero()[picture, 0], live.nonzero()[:, 0]
        state = reorder(state, source[grows].flatten(), None if torch.equal(before, after)
                        else torch.searchsorted(before, after))
    totals = totals.masked_fill(~accepts[:, None], FORBIDDEN)
    return captions.flatten(1, 2), totals.flatten(1, 2)


def follow(allowed, ended, group, words, bits, accepts):
    """Return how rows (N,) may go on: gains, words and the states they lead to, (N, k + W).

    allowed (N, V) is changed.  group (G,): the state of each group.  words, bits (G, W): of its
    picture.
    """
    width = len(ended) // len(group)
    group, words, bits = (one.repeat_interleave(width, dim=0) for one in (group, words, bits))
    targets = group[:, None] | bits                                        # (N, W)
    leaves = targets != group[:, None]
    gains = allowed.gather(1, words).masked_fill(~leaves | ended[:, None], FORBIDDEN)
    # What leads elsewhere is not among the words with which the state stays as it is.
    allowed.scatter_(1, words.where(leaves, START_ID), FORBIDDEN)
    allowed[:, END_ID] = allowed[:, END_ID].where(accepts[group], FORBIDDEN)
    stays, others = continuations(allowed, ended, width)                   # (N, k)
    return (torch.cat([stays, gains], dim=1), torch.cat([others, words], dim=1),
            torch.cat([group[:, None].expand_as(others), targets], dim=1))


def choose(beams, sums, steps, ways, position, settings):
    """Choose the best for every state: beams (P, S, K, T), sums (P, S, K), rows extended (P, S, K).

    steps (P, S): which states the G groups are.  ways: what `follow` returned of their rows, which
    are numbered as in it. In other states all captions have ended and wait.
    """
    pictures, states, width = sums.shape
    size, place = ways[0].shape[1], torch.arange(states, device=sums.device)[:, None]
    gains = sums.new_full((*sums.shape, size), FORBIDDEN)                  # (P, S, K, k + W)
    gains[..., 0] = 0
    words = torch.full_like(gains, END_ID, dtype=torch.long)
    targets = torch.zeros_like(words) + place[..., None]
    for every, new in zip((gains, words, targets), ways, strict=True):
        every[steps] = new.view(-1, width, size)
    rows = beams.flatten(0, 2)                                             # (P * S * K, T)
    sums, ranks = ranked(rows, sums.flatten(), gains.flatten(0, 2), settings)
    leading = targets.view(pictures, 1, -1) == place                       # (P, S, S * K * (k + W))
    found, best = ranks.view(pictures, 1, -1).where(leading, FORBIDDEN).topk(width)
    best += torch.arange(0, ranks.numel(), states * width * size, device=best.device)[:, None, None]
    source = best // size
    beams = rows[source]
    beams[..., position] = words.flatten()[best]
    number = torch.zeros_like(targets[..., 0])
    number[steps] = torch.arange(len(ways[0]), device=best.device).view(-1, width)
    sums = sums.flatten()[best].where(found != FORBIDDEN, FORBIDDEN)
    return beams, sums, number.flatten()[source]
