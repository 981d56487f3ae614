"""The few figures that more than one page draws: pictures with sentences, and curves."""

import math
import textwrap

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from coco.pictures import open_picture
from system.files import whole_file

ACCENT, QUIET = "#c44e52", "#8c8c8c"


def show_pictures(files, sentences=None, columns=4, width=2.3, lines=4):
    """Pictures in rows of `columns`, a sentence under each, wrapped to `lines` lines or more."""
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
    """The picture, then once for every word, in grey, the tint telling how much each cell weighs.

    weights: (words, L), a square grid row by row; of each word the largest is tinted fully.
    circled: the words whose largest cell is marked.
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
    """Loss, perplexity and CIDEr after each epoch, on three axes."""
    epochs = [row["epoch"] for row in history]
    for axis, title in zip(axes, ("loss per word", "perplexity on val", "CIDEr on val"),
                           strict=True):
        axis.clear()
        axis.set(title=title, xlabel="epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.spines[["top", "right"]].set_visible(False)
    # Accent and grey are equally dark: the dashes and the rings tell the two lines apart.
    axes[0].plot(epochs, [row["train_loss"] for row in history], "o--", color=QUIET, label="train",
                 markersize=4, markerfacecolor="white")
    axes[0].plot(epochs, [row["val_loss"] for row in history], ".-", color=ACCENT, label="val")
    axes[0].legend(frameon=False)
    axes[1].plot(epochs, [row["perplexity"] for row in history], ".-", color=ACCENT)
    axes[2].plot(epochs, [row["CIDEr"] for row in history], ".-", color=ACCENT)
    axes[2].set_ylim(bottom=0)


def save_curves(history, path):
    """Draw `plot_history` into a PNG file, without a window and beside any other figure."""
    figure = Figure(figsize=(10, 2.6), layout="constrained")
    plot_history(history, figure.subplots(1, 3))
    with whole_file(path) as beside:
        figure.savefig(beside, format="png", dpi=100)
