"""unrolled.png: DecoderRNN over the steps of a caption, taught above, writing below.

Part of `make figures`; it needs the drawn dataset alone.
"""

import matplotlib.pyplot as plt

from coco import open_picture, read_split
from figures import ACCENT, QUIET
from images.draw import arrow, box, save

WORDS = ("<start>", "a", "large", "green", "house")
FIRST, STEP = 1.9, 2.15         # middle of the first column, distance of the next


def unrolled(picture):
    """The same weights at every step; only what the next step reads differs."""
    figure, axes = plt.subplots(2, 1, figsize=(11, 7.2), layout="constrained")
    columns(axes[0], picture, "Training: all steps in one call, forward(features, captions). "
            "The true words are given.")
    shapes(axes[0])
    columns(axes[1], picture, "Writing: begin(features), then step(word, state) in a loop. "
            "The word chosen is read next.")
    chosen(axes[1])
    save(figure, "unrolled.png")


def columns(axis, picture, title):
    """One LSTM a step, from the image on the left to the words."""
    axis.set_title(title, loc="left", fontsize=10.5)
    for step, target in enumerate(WORDS):
        middle = FIRST + STEP * step
        box(axis, middle - 0.6, 2.0, 1.2, 0.6, "lstm", "#f6dcdd", ACCENT)
        box(axis, middle - 0.6, 3.15, 1.2, 0.5, "scores")
        arrow(axis, (middle, 2.66), (middle, 3.09))
        arrow(axis, (middle, 3.71), (middle, 4.1))
        axis.text(middle, 4.15, target, ha="center", va="bottom", fontsize=10, style="italic")
        arrow(axis, (middle, 1.42), (middle, 1.94))
        if step:
            box(axis, middle - 0.6, 0.85, 1.2, 0.5, "words")
            arrow(axis, (middle, 0.42), (middle, 0.79))
            axis.text(middle, 0.36, WORDS[step - 1], ha="center", va="top", fontsize=10)
            arrow(axis, (middle - STEP + 0.66, 2.3), (middle - 0.66, 2.3))
    box(axis, FIRST - 0.6, 0.85, 1.2, 0.5, "norm")
    arrow(axis, (FIRST, 0.42), (FIRST, 0.79))
    axis.imshow(open_picture(picture), extent=(FIRST - 0.36, FIRST + 0.36, -0.36, 0.36), zorder=0)
    axis.text(FIRST - 0.45, 0, "features\n(B, E)", ha="right", va="center", fontsize=9,
              color=ACCENT)
    axis.set(xlim=(0.2, FIRST + STEP * 4 + 1.5), ylim=(-0.45, 4.5), aspect="equal")
    axis.axis("off")


def shapes(axis):
    """The letters beside the rows, and where the image goes at every step."""
    end, middle = FIRST + STEP * 4 + 0.75, FIRST + STEP * 0.5
    for height, text in ((4.25, "targets"), (3.4, "(B, T, V)"), (2.3, "(B, T, H)"),
                         (1.0, "(B, T, E)"), (0.25, "captions (B, T)")):
        axis.text(end, height, text, va="center", fontsize=9, color=ACCENT)
    axis.text(middle, 2.38, "h, c", ha="center", va="bottom", fontsize=9)
    axis.text(middle, 2.22, "(1, B, H)", ha="center", va="top", fontsize=8, color=ACCENT)
    last = FIRST + STEP * 4
    axis.plot([FIRST, last], [1.68, 1.68], "--", color=QUIET, lw=1.3, zorder=0)
    for step in range(1, len(WORDS)):
        axis.plot(FIRST + STEP * step, 1.68, "o", color=QUIET, ms=7, zorder=4)
        axis.text(FIRST + STEP * step, 1.675, "+", ha="center", va="center", fontsize=8,
                  color="white", zorder=5, weight="bold")
    axis.text(end, 1.68, 'inject="every":\nthe image is added', va="center", fontsize=8.5,
              color="#505050")


def chosen(axis):
    """Each chosen word goes round to the next step's input."""
    for step in range(1, len(WORDS) - 1):
        middle = FIRST + STEP * step
        side = middle + STEP / 2 + 0.12
        axis.plot([middle + 0.35, side, side, middle + STEP - 0.45], [4.28, 4.28, 0.22, 0.22],
                  ":", color=ACCENT, lw=1.6, zorder=0)
        arrow(axis, (middle + STEP - 0.62, 0.22), (middle + STEP - 0.4, 0.22))
    axis.text(FIRST - 0.55, 4.25, "not used,\n<start> is given:", ha="right", va="center",
              fontsize=8.5, color="#505050")
    axis.text(FIRST + STEP * 4 + 0.75, 4.25, "the likeliest,\na beam's, or\na draw", va="center",
              fontsize=8.5, color="#505050")


if __name__ == "__main__":
    unrolled(read_split("data/scenes", "val").pictures[0].file)
