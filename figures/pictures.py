"""Draw the figures that more than one page shows: pictures with sentences, and curves."""

import math
import textwrap

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgba

from captioning.task import Captioning
from coco.pictures import open_picture
from training import curves

ACCENT, QUIET = curves.ACCENT, curves.QUIET     # one pair of colours for all figures


def show_pictures(files, sentences=None, columns=4, width=2.3, lines=4):
    """Show pictures in rows of `columns`, a sentence under each.

    width: of a picture, in inches. lines: of a sentence, once wrapped; room is left for so many.
    """
    rows = -(-len(files) // columns)
    figure, axes = plt.subplots(rows, columns, squeeze=False, layout="constrained",
                                figsize=(width * columns, (width + 0.16 * lines) * rows))
    for axis in axes.flat:
        axis.axis("off")
    for axis, file, sentence in zip(axes.flat, files, sentences or [""] * len(files), strict=False):
        axis.imshow(open_picture(file))
        axis.set_title(wrap(sentence, int(width * 11)), y=-0.05, va="top", fontsize=9)
    return figure


def show_attention(file, words, weights, columns=6, width=1.6, circled=()):
    """Show the picture, and once more for each word, in grey, each cell tinted by its weight.

    weights: (words, L), a square grid row by row.  circled: words whose largest cell has a ring.
    """
    rows, side = -(-(len(words) + 1) // columns), math.isqrt(weights.shape[1])
    figure, axes = plt.subplots(rows, columns, squeeze=False, layout="constrained",
                                figsize=(width * columns, (width + 0.25) * rows))
    picture = open_picture(file)
    extent = (0, *picture.size, 0)
    axes.flat[0].imshow(picture, extent=extent)
    for axis in axes.flat:
        axis.axis("off")
    for number, (axis, word) in enumerate(zip(axes.flat[1:], words, strict=False)):
        looked = weights[number] / weights[number].max().clamp(min=1e-9)
        axis.imshow(picture.convert("L"), extent=extent, cmap="gray", vmin=-255, vmax=255)
        tint = np.full((side, side, 4), to_rgba(ACCENT))
        tint[..., 3] = 0.85 * looked.view(side, side)
        axis.imshow(tint, extent=extent)
        axis.set_title(word, fontsize=9)
        if number in circled:
            row, column = divmod(int(looked.argmax()), side)
            axis.plot((column + 0.5) * extent[1] / side, (row + 0.5) * extent[2] / side, "o",
                      mfc="none", mec="black", ms=9)
    return figure


def wrap(text, width):
    """Break each line of `text` at `width` characters."""
    return "\n".join(textwrap.fill(line, width) for line in text.splitlines())


def plot_history(history, axes):
    """Plot the loss, perplexity and CIDEr of a captioner's epochs on three axes."""
    curves.plot_curves(history, axes, Captioning)
