"""False captions sorted by what is false in them, as claims.py judges it: a page to look at.

    sentences, scene graphs --by_kind--> {kind: mistakes} --show_mistakes--> figure
"""

import textwrap
from typing import NamedTuple

import matplotlib.pyplot as plt

from claims import KINDS, check
from coco import open_picture
from figures import ACCENT

LINE = 0.155            # inches of a line of text
EDGE = 0.06             # inches beside what stands leftmost
PICTURE = 0.46          # of a column's width; the rest is for the words


class Mistake(NamedTuple):
    """A false caption by its number, and the first of its claims that is false, in words."""

    number: int
    why: str


def by_kind(sentences, graphs):
    """{kind of claim: its mistakes}, in the order of KINDS and of the sentences.

    A caption counts once, under its first false claim; a kind without any is left out.
    """
    found = {kind: [] for kind in KINDS}
    for number, pair in enumerate(zip(sentences, graphs, strict=True)):
        wrong = [claim for claim in check(*pair).claims if not claim.true]
        if wrong:
            found[wrong[0].kind].append(Mistake(number, wrong[0].text))
    return {kind: mistakes for kind, mistakes in found.items() if mistakes}


def show_mistakes(files, sentences, graphs, columns=4, width=2.5):
    """A row for each kind of mistake: how many captions have it, and the first `columns` of them.

    Beside a picture stands its caption and, after a cross, what the checker found instead.
    """
    found = by_kind(sentences, graphs)
    side = width * PICTURE
    height = side + 2.6 * LINE              # inches of a row: its title and its pictures
    figure, axes = plt.subplots(max(1, len(found)), columns, squeeze=False,
                                figsize=(width * columns, 2 * LINE + height * len(found)))
    for axis in axes.flat:
        axis.axis("off")
    total = sum(map(len, found.values()))
    title(figure, 0, f"{total} of {len(sentences)} captions are false")
    for row, (kind, mistakes) in enumerate(found.items()):
        top = 2 * LINE + height * row
        title(figure, top, f"{kind}: {len(mistakes)} of {total}", weight="bold")
        for column, (axis, mistake) in enumerate(zip(axes[row], mistakes, strict=False)):
            place(figure, axis, column * width + EDGE, top + 1.7 * LINE, side)
            axis.imshow(open_picture(files[mistake.number]))
            write(axis, sentences[mistake.number], mistake.why, width - side)
    return figure


def title(figure, top, text, weight="normal"):
    """A line of text at the left edge, `top` inches from the figure's upper one."""
    figure.text(EDGE / figure.get_figwidth(), 1 - (top + EDGE) / figure.get_figheight(), text,
                va="top", fontsize=9, weight=weight)


def place(figure, axis, left, top, side):
    """Put a square axis at (left, top) inches from the figure's upper left corner."""
    wide, high = figure.get_size_inches()
    axis.set_position((left / wide, 1 - (top + side) / high, side / wide, side / high))


def write(axis, sentence, why, room):
    """The caption in `room` inches beside its picture, and under it what is wrong with it."""
    letters = int(room * 14)
    said = textwrap.wrap(sentence, letters)
    style = {"transform": axis.transAxes, "va": "top", "fontsize": 8, "linespacing": 1.15}
    axis.text(1.05, 1, "\n".join(said), **style)
    axis.text(1.05, 1 - 0.125 * (len(said) + 0.5), textwrap.fill(f"✗ {why}", letters - 1),
              color=ACCENT, weight="bold", **style)
