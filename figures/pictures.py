"""Draw the figures that more than one page shows: pictures with sentences, and curves."""

import math
import textwrap

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.patches import Rectangle

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
        axis.set_title(wrap(sentence, int(width * 11)), y=0, pad=-5, va="top", fontsize=9)
    return figure


def show_attention(file, words, weights, columns=6, width=1.6, circled=()):
    """Show the picture, and once more for each word, in grey, each cell tinted by its weight.

    weights: (words, L), a square grid row by row.  circled: words whose largest cell has a ring.
    """
    side = math.isqrt(weights.shape[1])
    figure, extent, panels = word_panels(file, words, columns, width)
    for number, (axis, looked) in enumerate(zip(panels, relative(weights), strict=True)):
        tint = np.full((side, side, 4), to_rgba(ACCENT))
        tint[..., 3] = 0.85 * looked.view(side, side)
        axis.imshow(tint, extent=extent)
        if number in circled:
            row, column = divmod(int(looked.argmax()), side)
            axis.plot((column + 0.5) * extent[1] / side, (row + 0.5) * extent[2] / side, "o",
                      mfc="none", mec="black", ms=9)
    return figure


def show_regions(file, words, weights, boxes, columns=6, width=1.6):
    """Show the picture, and once more for each word, in grey, each box as strong as its weight.

    weights: (words, K).  boxes: (K, 4), left, top, right, bottom as fractions of the picture.
    """
    figure, (_, wide, high, _), panels = word_panels(file, words, columns, width)
    for axis, looked in zip(panels, relative(weights), strict=True):
        for share, (left, top, right, bottom) in zip(looked.tolist(), boxes.tolist(), strict=True):
            place = ((left * wide, top * high), (right - left) * wide, (bottom - top) * high)
            axis.add_patch(Rectangle(*place, fc=(*to_rgb(ACCENT), 0.3 * share), ec="none"))
            axis.add_patch(Rectangle(*place, fill=False, ec=(*to_rgb(ACCENT), 0.2 + 0.8 * share),
                                     lw=0.5 + 3 * share))
    return figure


def word_panels(file, words, columns, width):
    """Return a figure with the picture, its extent, and an axis with it in grey for each word."""
    rows = -(-(len(words) + 1) // columns)
    figure, axes = plt.subplots(rows, columns, squeeze=False, layout="constrained",
                                figsize=(width * columns, (width + 0.25) * rows))
    picture = open_picture(file)
    extent = (0, *picture.size, 0)
    axes.flat[0].imshow(picture, extent=extent)
    for axis in axes.flat:
        axis.axis("off")
    panels = axes.flat[1:len(words) + 1]
    for axis, word in zip(panels, words, strict=True):
        axis.imshow(picture.convert("L"), extent=extent, cmap="gray", vmin=-255, vmax=255)
        axis.set_title(word, fontsize=9)
    return figure, extent, panels


def relative(weights):
    """Return weights (words, L) as fractions of each word's largest."""
    return weights / weights.amax(dim=1, keepdim=True).clamp(min=1e-9)


def wrap(text, width):
    """Break each line of `text` at `width` characters."""
    return "\n".join(textwrap.fill(line, width) for line in text.splitlines())


def plot_history(history, axes):
    """Plot the loss, perplexity and CIDEr of a captioner's epochs on three axes."""
    curves.plot_curves(history, axes, Captioning)
