"""Draw how a beam grows: beam search once more, for one picture, node by node.

    features (1, ...) --grow--> columns of nodes --draw_beam--> figure

The search itself keeps no record, and its rows change places at every step. Here every beginning of
a caption is a node that refers to the node it extends, so that the dropped ones can be shown beside
the winner. The rules are those of decoders/search.py; a test holds the captions equal.
"""

import copy
from dataclasses import dataclass, field
from typing import NamedTuple

import matplotlib.pyplot as plt
import torch

from decoders.rules import FORBIDDEN, log_probabilities, restrict
from decoders.search import Hypothesis, Search
from figures.pictures import ACCENT, QUIET
from model import State
from vocabulary import END_ID, START_ID

INK, GREY = "#262626", "#606060"
COLUMN, ROW, LINE = 0.76, 0.55, 0.25    # inches: of a step, of a node, of a caption at the end
SIZE = 10.5                     # of the text, in points


@dataclass(eq=False)
class Node:
    """A beginning of a caption: the node that it extends by `word`, and the log-probabilities."""

    word: int
    parent: "Node | None" = None
    gain: float = 0.0                           # log-probability of the word; 0 when it waits
    total: float = 0.0                          # log-probability of all words so far
    state: State | None = field(default=None, repr=False)

    def path(self):
        """Return the nodes from START to this one."""
        return [*(self.parent.path() if self.parent else []), self]

    def waits(self):
        """Return whether the caption had ended before this step and only waits for the others."""
        return self.parent is not None and self.parent.word == END_ID

    def hypothesis(self):
        """Return the words so far with the sum of their log-probabilities."""
        return Hypothesis([node.word for node in self.path() if not node.waits()], self.total)


class Column(NamedTuple):
    """One step of the search: the nodes kept and the best of those dropped, best first."""

    kept: list
    dropped: list


@torch.no_grad()
def grow(decoder, features, settings=None, dropped=2):
    """Return the columns of a picture's beam, START's first; dropped: nodes beside those kept."""
    settings = settings or Search()
    decoder = copy.deepcopy(decoder).eval()         # the caller's own may be in training
    columns = [Column([Node(START_ID, state=decoder.begin(features))], [])]
    for position in range(1, settings.max_length):
        found = [child for node in columns[-1].kept
                 for child in children(decoder, node, position, settings, dropped)]
        found.sort(key=lambda node: node.hypothesis().rank(settings.length_penalty), reverse=True)
        columns.append(Column(found[:settings.beam], found[settings.beam:][:dropped]))
        if all(node.word == END_ID for node in columns[-1].kept):
            break
    return columns


def children(decoder, node, position, settings, dropped):
    """Return a node extended by each word that may be kept or shown; an ended one only waits."""
    if node.word == END_ID:
        return [Node(END_ID, node, 0.0, node.total)]
    device = next(decoder.parameters()).device
    words = torch.tensor([one.word for one in node.path()], device=device)[None]       # (1, t)
    scores, state = decoder.step(words[:, -1], node.state)
    allowed = restrict(log_probabilities(scores), words, position, settings)[0]
    gains, best = allowed.topk(min(settings.beam + dropped, len(allowed)))
    return [Node(word, node, gain, node.total + gain, state)
            for word, gain in zip(best.tolist(), gains.tolist(), strict=True) if gain > FORBIDDEN]


def draw_beam(columns, vocab, settings=None):
    """Draw the steps from left to right, in each the kept nodes, best on top, then dropped ones.

    Under a word is its probability; a line is the wider the larger that is; the winner's is heavy.
    """
    settings = settings or Search()
    ends, rows = columns[-1].kept, max(len(kept) + len(dropped) for kept, dropped in columns)
    figure, axis = plt.subplots(figsize=(COLUMN * len(columns) + 0.7,
                                         ROW * (rows + 0.6) + LINE * (len(ends) + 1.5)))
    figure.subplots_adjust(0, 0, 1, 1)
    places = {node: (step, -rank) for step, column in enumerate(columns)
              for rank, node in enumerate(column.kept + column.dropped)}
    winning, kept = set(ends[0].path()), {node for column in columns for node in column.kept}
    for node in places:
        draw_edge(axis, node, places, node in kept, node in winning)
        draw_node(axis, node, places[node], vocab, node in kept, node in winning)
    label_rows(axis, columns)
    draw_ends(axis, ends, vocab, settings, 0.25 - rows)
    axis.set(xlim=(-1.35, len(columns) - 0.4),
             ylim=(-rows - LINE / ROW * (len(ends) + 0.8), 0.85))
    axis.axis("off")
    return figure


def draw_edge(axis, node, places, kept, wins):
    """Draw the line to the node that this one extends, the wider the likelier the word."""
    if node.parent is None:
        return
    style = ":" if node.waits() else "-" if kept else (0, (2, 2))
    likely = 0.0 if node.waits() else torch.tensor(node.gain).exp().item()
    width = 0.8 + 2 * likely if kept else 0.8
    axis.plot(*zip(places[node.parent], places[node], strict=True), linestyle=style,
              linewidth=width + 1.5 * wins, color=ACCENT if wins else INK if kept else QUIET,
              zorder=1 + wins)


def draw_node(axis, node, place, vocab, kept, wins):
    """Draw the word and its probability: framed if kept, filled once the caption has ended."""
    ink = ACCENT if wins else INK if kept else QUIET
    if node.waits():
        axis.plot(*place, "s", color=ink, markersize=6, zorder=4)
        return
    word, ended = vocab.idx2word[node.word], node.word == END_ID and kept
    shown = word if word.strip(".,") else f"“{word}”"       # a full stop alone looks like dust
    text = shown if node.parent is None else f"{shown}\n{percent(node.gain)}"
    frame = {"boxstyle": "square,pad=0.25" if ended else "round,pad=0.2", "linewidth": 1 + wins,
             "edgecolor": ink if kept else "white", "facecolor": ink if ended else "white"}
    axis.text(*place, text, ha="center", va="center", zorder=3, bbox=frame, linespacing=1.05,
              fontsize=min(SIZE, 72 / len(word)), weight="bold" if wins else "normal",
              style="normal" if kept else "italic",
              color="white" if ended else GREY if not kept else INK)


def percent(log_probability):
    """Return a probability as a percentage without decimals."""
    share = 100 * torch.tensor(log_probability).exp().item()
    return f"{share:.0f} %" if share >= 1 else "< 1 %"


def label_rows(axis, columns):
    """Write the steps along the top, and what the rows are along the left."""
    for step in range(1, len(columns)):
        axis.text(step, 0.55, f"{step}", ha="center", va="center", fontsize=SIZE, color=GREY)
    axis.text(-1.3, 0.55, "step", va="center", fontsize=SIZE, color=GREY)
    width = max(len(column.kept) for column in columns)
    for rank in range(width):
        axis.text(-1.3, -rank, f"kept {rank + 1}", va="center", fontsize=SIZE)
    if any(column.dropped for column in columns):
        axis.text(-1.3, -width, "dropped", va="center", fontsize=SIZE, style="italic", color=GREY)


def draw_ends(axis, ends, vocab, settings, top):
    """Write the captions kept to the end, best first, with the figure that the search compares."""
    penalty = settings.length_penalty
    axis.text(-1.3, top, f"kept to the end: log-probability / length^{penalty:g}", va="center",
              fontsize=SIZE, color=GREY)
    for line, node in enumerate(ends):
        found = node.hypothesis()
        text = (f"{'▶' if line == 0 else '    '} {found.log_probability:.2f} / "
                f"{len(found.words) - 1}^{penalty:g} = {found.rank(penalty):.2f}   "
                f"{vocab.decode(found.words)}")
        axis.text(-1.3, top - LINE / ROW * (line + 1), text, va="center", fontsize=SIZE,
                  color=ACCENT if line == 0 else INK, weight="bold" if line == 0 else "normal")
