"""Draw unrolled.png: the LSTM of DecoderRNN over one caption, word by word. Needs no trained run.

    training     the whole caption at once; the true words are given
    captioning   a loop: the chosen word is the next input
    "every"      how the image is added to each word vector
"""

import matplotlib.pyplot as plt

from figures.pictures import ACCENT, QUIET
from images.draw import box, save
from scenes.dataset import one_scene
from system.commands import run_command
from vocabulary import END_WORD, START_WORD, tokenize

TINT, PANEL, FAINT = "#f6dcdd", "#f4f4f4", "#606060"
STEP, WIDE, TALL = 1.86, 1.47, 0.62         # from one word to the next; a box
WORD, VECTOR, CELL, SCORES, ABOVE = 0.1, 0.6, 1.65, 2.7, 3.75      # rows, above a panel's foot


def line(axis, *points, style="-", colour="black", width=1.1, tip=True):
    """Draw a line through the points, with an arrow's tip at its end."""
    axis.plot(*zip(*points, strict=True), linestyle=style, color=colour, linewidth=width)
    if tip:
        axis.annotate("", points[-1], points[-2], arrowprops={
            "arrowstyle": "-|>", "color": colour, "lw": width, "linestyle": style,
            "shrinkA": 0, "shrinkB": 0})


def note(axis, x, y, text, colour="black", size=8.5, across="center", **style):
    """Write a text, `across` telling which part of it stands at x."""
    axis.text(x, y, text, ha=across, va="center", fontsize=size, color=colour, **style)


def shape(axis, x, y, text, across="left"):
    """Write the shape of a tensor."""
    note(axis, x, y, text, ACCENT, 8, across)


def block(axis, x, y, text, cell=False):
    """Draw a box with a class and its name in the model; an LSTM's is tinted."""
    look = {"colour": TINT, "edge": ACCENT} if cell else {}
    box(axis, x, y, WIDE, TALL, text, size=8.2, **look)


def up(axis, x, *heights):
    """Draw arrows from row to row: each pair of heights is where one begins and ends."""
    for low, high in zip(heights[::2], heights[1::2], strict=True):
        line(axis, (x, low), (x, high))


def column(axis, x, foot, word, above="", image=False):
    """Draw one step from its input up to its target or output word, if it has one."""
    block(axis, x, foot + VECTOR, "Linear\nembed, norm" if image else "Embedding\nwords (V, E)")
    block(axis, x, foot + CELL, "LSTM", cell=True)
    note(axis, x + WIDE / 2, foot + WORD, word, style="normal" if image else "italic", size=9.5)
    up(axis, x + WIDE / 2, foot + WORD + 0.18, foot + VECTOR - 0.05, foot + VECTOR + TALL + 0.05,
       foot + CELL - 0.05)
    if above:
        block(axis, x, foot + SCORES, "Linear\nscores (H, V)")
        note(axis, x + WIDE / 2, foot + ABOVE, above, style="italic", size=9.5)
        up(axis, x + WIDE / 2, foot + CELL + TALL + 0.05, foot + SCORES - 0.05,
           foot + SCORES + TALL + 0.05, foot + ABOVE - 0.18)


def panel(axis, left, foot, width, height, title, text):
    """Draw the ground of a panel with its title and a sentence."""
    axis.add_patch(plt.Rectangle((left, foot), width, height, facecolor=PANEL, edgecolor=QUIET))
    note(axis, left + 0.15, foot + height - 0.28, title, size=10.5, across="left", weight="bold")
    note(axis, left + 0.15, foot + height - 0.64, text, size=9, across="left")


def state(axis, x, foot, dots=False):
    """Draw the line of the state from the cell at x to the next."""
    y = foot + CELL + TALL / 2
    line(axis, (x + WIDE + 0.05, y), (x + STEP + (0.45 if dots else -0.05), y),
         style=":" if dots else "-")


def training(axis, words, left, foot):
    """Draw the first words of the caption, then dots, then its last."""
    inputs, targets = ["image", START_WORD, *words], [START_WORD, *words, END_WORD]
    for place, number in enumerate([0, 1, 2, 3, 4, 5, len(words) + 1]):
        x = left + STEP * place + (0.5 if place == 6 else 0)
        column(axis, x, foot, inputs[number], targets[number], image=number == 0)
        if place < 6:
            state(axis, x, foot, dots=place == 5)
    for height in (WORD, ABOVE):
        note(axis, left + STEP * 6 + 0.02, foot + height, "…", size=12)
    note(axis, left + WIDE / 2, foot + ABOVE + 0.3, "counts nowhere", FAINT, 8)
    shape(axis, left + (STEP + WIDE) / 2, foot + CELL + TALL + 0.2, "h, c: (1, B, H)", "center")
    rows(axis, 0.15, foot)


def rows(axis, x, foot):
    """Write the names of the rows of a whole caption, and their shapes."""
    for height, name, size in ((WORD, "captions[:, :-1]", "(B, T-1)"),
                               (VECTOR + TALL / 2, "inputs", "(B, T, E)"),
                               (CELL + TALL / 2, "hidden", "(B, T, H)"),
                               (SCORES + TALL / 2, "scores", "(B, T, V)"),
                               (ABOVE, "targets", "(B, T)")):
        note(axis, x, foot + height + 0.13, name, across="left")
        shape(axis, x, foot + height - 0.15, size)


def captioning(axis, words, left, foot):
    """Draw `begin`, which reads the image, and each `step`, which reads the word chosen before."""
    for place, word in enumerate(["image", START_WORD, *words[:2]]):
        x = left + STEP * place
        column(axis, x, foot, word, words[place - 1] if place else "", image=place == 0)
        state(axis, x, foot)
        note(axis, x + WIDE / 2, foot - 0.27, f"step {place}" if place else "begin", weight="bold")
        if place:
            back(axis, x, foot)
    note(axis, left + 4 * STEP, foot + CELL + TALL / 2, f"… until\n{END_WORD}", across="left")
    x = left + STEP + WIDE / 2 + 0.08
    for height, size in ((VECTOR, "(B, E)"), (CELL, "(B, H)"), (SCORES, "(B, V)")):
        shape(axis, x, foot + height + TALL + 0.24, size)
    shape(axis, x - STEP, foot + VECTOR + TALL + 0.24, "(B, E)")


def back(axis, x, foot):
    """Draw the way of the chosen word to the foot of the next step."""
    gap = x + (STEP + WIDE) / 2
    line(axis, (x + WIDE / 2 + 0.4, foot + ABOVE), (gap, foot + ABOVE), (gap, foot + WORD),
         (x + STEP + 0.2, foot + WORD), style="--", colour=ACCENT, width=1.6)


def every(axis, left, foot):
    """Draw the sum that the LSTM reads after the image, if it is given the image at every step."""
    word, image, plus = left + WIDE / 2, left + 2.1 + WIDE / 2, foot + CELL + TALL / 2
    block(axis, left, foot + VECTOR, "Embedding\nwords (V, E)")
    block(axis, left + 2.1, foot + VECTOR, "Linear\nembed, norm")
    block(axis, left, foot + SCORES, "LSTM", cell=True)
    note(axis, word, foot + WORD, "a", style="italic", size=9.5)
    note(axis, image, foot + WORD, "image", size=9.5)
    up(axis, image, foot + WORD + 0.18, foot + VECTOR - 0.05)
    up(axis, word, foot + WORD + 0.18, foot + VECTOR - 0.05, foot + VECTOR + TALL + 0.05,
       plus - 0.2, plus + 0.2, foot + SCORES - 0.05)
    line(axis, (image, foot + VECTOR + TALL + 0.05), (image, plus), (word + 0.22, plus))
    axis.add_patch(plt.Circle((word, plus), 0.19, facecolor="white", edgecolor="black", zorder=3))
    note(axis, word, plus, "+", size=11, zorder=4)
    shape(axis, word + 0.08, foot + VECTOR + TALL + 0.2, "(B, T-1, E)")
    shape(axis, word + 0.35, plus + 0.17, "(B, 1, E)")
    shape(axis, word + 0.08, foot + SCORES - 0.28, "(B, T-1, E)")


def unrolled():
    """Draw three panels: training above, below it captioning and the other input of the image."""
    picture, _, captions, _ = one_scene(0, "val", 1)
    words = tokenize(captions[0])
    figure, axis = plt.subplots(figsize=(11, 8.4))
    panel(axis, 0, 5.6, 15.2, 6.3, 'Training, inject="first": the whole caption at once',
          "The true words are given: whatever the model would have said, it reads the caption.")
    axis.imshow(picture, extent=(2.14, 3.06, 5.68, 6.6), zorder=2)
    training(axis, words, 1.87, 6.75)
    note(axis, 3.4, 6.1, f"“{captions[0]}”", across="left", size=9)
    panel(axis, 0, 0, 9.3, 5.35, "Captioning: a loop, word by word",
          "decoders/search.py chooses a word by its score: the next input (dashed).")
    captioning(axis, words, 0.4, 0.55)
    panel(axis, 9.6, 0, 5.6, 5.35, 'inject="every"', "The image is added to each word vector.")
    every(axis, 10.1, 0.55)
    note(axis, 11.7, 3.55, "The first step reads\nonly the image, as before.", across="left")
    axis.set(xlim=(-0.05, 15.25), ylim=(-0.05, 11.95), aspect="equal")
    axis.axis("off")
    save(figure, "unrolled.png")


if __name__ == "__main__":
    run_command(unrolled)
