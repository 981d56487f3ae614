"""Draw a page of false captions, sorted by the kind of claim that is false.

    pictures, sentences, scene graphs --false_captions--> {kind: mistakes} --show_mistakes--> figure

A caption stands under the first of its claims that is false, so each is shown once.
"""

from typing import NamedTuple

import matplotlib.pyplot as plt

from coco.pictures import open_picture
from figures.pictures import ACCENT, wrap
from scenes.claims import KINDS, check

COLUMNS = 3                             # pictures in a row
WIDTH, GAP, HEAD = 1.9, 0.16, 0.36      # inches: of a picture, beside it, of a row's heading
SIZE, WRAP = 9, 28                      # of the text under a picture: points, characters in a line
LINE, SPACE = 1.25 * SIZE, 5            # points: from line to line, above a text


class Mistake(NamedTuple):
    """A caption that is not true, and what is found in its place."""

    number: int                 # which of the pictures
    sentence: str
    found: str

    def texts(self):
        """Return the caption and what is false in it, as they are drawn, in lines."""
        return wrap(self.sentence, WRAP), wrap(f"✗ {self.found}", WRAP)

    def height(self):
        """Return the inches that the two texts need."""
        return sum(SPACE + LINE * (text.count("\n") + 1) for text in self.texts()) / 72


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
    width = GAP + (WIDTH + GAP) * columns
    heights = [HEAD + WIDTH + GAP + max(one.height() for one in mistakes[:columns])
               for mistakes in found.values()]
    figure = plt.figure(figsize=(width, sum(heights) or WIDTH))
    if not found:
        figure.text(0.5, 0.5, f"all of {len(sentences)} captions are true", ha="center")
        return figure
    rows = figure.subfigures(len(found), height_ratios=heights, hspace=0, squeeze=False)[:, 0]
    for row, height, (kind, mistakes) in zip(rows, heights, found.items(), strict=True):
        row.suptitle(f"{kind}: {len(mistakes)} of {len(sentences)} captions", x=GAP / width,
                     y=1 - 0.1 / height, ha="left", va="top", fontsize=10, weight="bold")
        for column, mistake in enumerate(mistakes[:columns]):
            axis = row.add_axes([(GAP + (WIDTH + GAP) * column) / width,
                                 1 - (HEAD + WIDTH) / height, WIDTH / width, WIDTH / height])
            show_mistake(axis, pictures[mistake.number], mistake)
    return figure


def show_mistake(axis, picture, mistake):
    """Draw one picture with its caption and the truth."""
    axis.imshow(open_picture(picture.file))
    axis.axis("off")
    said, wrong = mistake.texts()
    axis.set_title(said, y=0, pad=-SPACE, va="top", fontsize=SIZE)
    below = 2 * SPACE + LINE * (said.count("\n") + 1)
    axis.annotate(wrong, (0.5, 0), (0, -below), "axes fraction", "offset points", ha="center",
                  va="top", fontsize=SIZE, color=ACCENT, style="italic")
