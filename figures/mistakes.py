"""Draw a page of false captions, sorted by the kind of claim that is false.

    pictures, sentences, scene graphs --false_captions--> {kind: mistakes} --show_mistakes--> figure

A caption stands under the first of its claims that is false, so each is shown once.
"""

from typing import NamedTuple

import matplotlib.pyplot as plt

from coco.pictures import open_picture
from figures.pictures import ACCENT, wrap
from scenes.claims import KINDS, check

WIDTH, COLUMNS = 2.0, 3         # inches of a picture; pictures in a row


class Mistake(NamedTuple):
    """A caption that is not true, and what is found in its place."""

    number: int                 # which of the pictures
    sentence: str
    found: str


def false_captions(sentences, graphs):
    """Return {kind of claim: its mistakes} for the kinds that have any, in the order of `KINDS`."""
    found = {kind: [] for kind in KINDS}
    for number, pair in enumerate(zip(sentences, graphs, strict=True)):
        wrong = [claim for claim in check(*pair).claims if not claim.true]
        if wrong:
            found[wrong[0].kind].append(Mistake(number, pair[0], wrong[0].text))
    return {kind: mistakes for kind, mistakes in found.items() if mistakes}


def show_mistakes(pictures, sentences, graphs, columns=COLUMNS):
    """Draw a row for each kind of false claim: its number of captions, the first with pictures."""
    found = false_captions(sentences, graphs)
    figure = plt.figure(figsize=(WIDTH * columns, (WIDTH + 1.05) * max(1, len(found))),
                        layout="constrained")
    if not found:
        figure.text(0.5, 0.5, f"all of {len(sentences)} captions are true", ha="center")
        return figure
    rows = figure.subfigures(len(found), squeeze=False)[:, 0]
    for row, (kind, mistakes) in zip(rows, found.items(), strict=True):
        row.suptitle(f"{kind}: {len(mistakes)} of {len(sentences)} captions", x=0.01, ha="left",
                     fontsize=10, weight="bold")
        axes = row.subplots(1, columns, squeeze=False)[0]
        for axis in axes:
            axis.axis("off")
        for axis, mistake in zip(axes, mistakes, strict=False):
            show_mistake(axis, pictures[mistake.number], mistake)
    return figure


def show_mistake(axis, picture, mistake):
    """Draw one picture with its caption and the truth."""
    axis.imshow(open_picture(picture.file))
    said = wrap(mistake.sentence, 26)
    axis.set_title(said, y=-0.04, va="top", fontsize=8.5)
    below = 0.05 + 0.085 * (said.count("\n") + 1)
    axis.text(0.5, -below, wrap(f"✗ {mistake.found}", 28), transform=axis.transAxes, ha="center",
              va="top", fontsize=8, color=ACCENT, style="italic")
