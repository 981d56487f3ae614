"""Draw the README's figures: `make figures`, after notebooks 2 and 3. unrolled.py draws one more.

    architecture.png    class names in the boxes, shapes on the arrows
    captions.png        first output of trained captioners on pictures they have not seen
    training.png        the curves of a run
"""

from pathlib import Path

import matplotlib.pyplot as plt
import skimage.data
from matplotlib.patches import FancyBboxPatch
from PIL import Image

from caption import SHIPPED
from captioning.checkpoint import load_captioner
from coco.dataset import read_split
from coco.pictures import open_picture
from figures.pictures import ACCENT, QUIET, plot_history, wrap
from system.commands import run_command
from training.folders import read_history

HERE = Path(__file__).parent
SCENES, PHOTOS = Path("runs/scenes"), SHIPPED
WORDS = ("<start>", "a", "red", "car", "<end>")


def box(axis, left, bottom, width, height, text, colour="white", edge="black", size=9.5):
    """Draw a rounded box with a text in its middle."""
    axis.add_patch(FancyBboxPatch((left, bottom), width, height, boxstyle="round,pad=0.04",
                                  facecolor=colour, edgecolor=edge, linewidth=1.2))
    axis.text(left + width / 2, bottom + height / 2, text, ha="center", va="center", fontsize=size)


def arrow(axis, start, end, text="", above=0.1):
    """Draw an arrow with a text, a shape as a rule, over its middle."""
    axis.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": "black", "lw": 1.1})
    middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + above
    axis.text(*middle, text, ha="center", va="bottom", fontsize=8.5, color=ACCENT)


def architecture(picture):
    """Draw the encoder on the left, the LSTM unrolled over the words on the right."""
    figure, axis = plt.subplots(figsize=(11, 3.7))
    axis.imshow(open_picture(picture), extent=(0, 1.7, 1.1, 2.8))
    axis.text(0.85, 0.95, "images", ha="center", va="top", fontsize=9)
    axis.add_patch(plt.Rectangle((3.1, 0.35), 3.75, 3.1, facecolor="#f4f4f4", edgecolor=QUIET))
    axis.text(4.98, 3.25, "EncoderCNN", ha="center", va="center", weight="bold", fontsize=10)
    box(axis, 3.35, 1.5, 1.6, 0.9, "Backbone\nfrozen,\ncached")
    box(axis, 5.75, 1.5, 0.85, 0.9, "embed\nLinear", "#f6dcdd", ACCENT)
    arrow(axis, (1.75, 1.95), (3.3, 1.95))
    axis.text(2.4, 2.05, "(B, 3, S, S)", ha="center", va="bottom", fontsize=8.5, color=ACCENT)
    arrow(axis, (5.0, 1.95), (5.7, 1.95), "(B, D)")
    axis.add_patch(plt.Rectangle((7.6, -0.35), 7.1, 3.8, facecolor="#f4f4f4", edgecolor=QUIET))
    axis.text(11.2, 3.25, "DecoderRNN", ha="center", va="center", weight="bold", fontsize=10)
    for number, target in enumerate(WORDS):
        left = 8.0 + 1.36 * number
        box(axis, left, 1.6, 0.8, 0.6, "LSTM", "#f6dcdd", ACCENT)
        arrow(axis, (left + 0.4, 2.26), (left + 0.4, 2.62))
        axis.text(left + 0.4, 2.68, target, ha="center", va="bottom", fontsize=9, style="italic")
        source = "image" if number == 0 else WORDS[number - 1]
        arrow(axis, (left + 0.4, 1.05), (left + 0.4, 1.54))
        axis.text(left + 0.4, 0.98, source, ha="center", va="top", fontsize=9)
        if number:
            arrow(axis, (left - 0.5, 1.9), (left - 0.06, 1.9))
            axis.plot([left - 0.96, left + 0.4, left + 0.4], [0.5, 0.5, 0.76], "--", color=QUIET)
    axis.text(11.2, 0.22, 'the image again at every step: inject="every"', ha="center",
              va="center", fontsize=8.5, color="#606060")
    axis.text(11.2, -0.1, "in: features (B, E) and words (B, T-1)      out: scores (B, T, V)",
              ha="center", va="center", fontsize=8.5, color=ACCENT)
    axis.plot([6.67, 7.1, 7.1, 8.4], [1.95, 1.95, 0.5, 0.5], color="black", lw=1.1)
    arrow(axis, (8.4, 0.5), (8.4, 0.78))
    axis.text(7.15, 2.02, "(B, E)", ha="center", va="bottom", fontsize=8.5, color=ACCENT)
    axis.set(xlim=(-0.1, 14.8), ylim=(-0.5, 3.6), aspect="equal")
    axis.axis("off")
    save(figure, "architecture.png")


def captions(scenes):
    """Draw two scenes and two photographs with the first output of the captioners, unedited."""
    photos = [Image.fromarray(photo).convert("RGB")
              for photo in (skimage.data.camera(), skimage.data.coffee())]
    drawn = [open_picture(picture.file) for picture in scenes]
    described = load_captioner(SCENES).describe(drawn) + load_captioner(PHOTOS).describe(photos)
    sentences = [best for best, *_ in described]
    figure, axes = plt.subplots(1, 4, figsize=(11, 3.3), layout="constrained")
    for axis, picture, sentence in zip(axes, [*drawn, *photos], sentences, strict=True):
        picture = picture.copy()
        picture.thumbnail((320, 320))
        axis.imshow(picture)
        axis.text(0.5, -0.04, wrap(sentence, 30), transform=axis.transAxes, ha="center", va="top",
                  fontsize=11)
        axis.axis("off")
    save(figure, "captions.png", dpi=76)         # photographs are large as PNG


def training():
    """Draw loss, perplexity and CIDEr of the run that notebook 2 made."""
    figure, axes = plt.subplots(1, 3, figsize=(10, 2.6), layout="constrained")
    plot_history(read_history(SCENES), axes)
    save(figure, "training.png")


def save(figure, name, dpi=110):
    """Write a figure into images/ and close it."""
    figure.savefig(HERE / name, dpi=dpi, bbox_inches="tight", facecolor="white",
                   metadata={"Software": None})
    plt.close(figure)


def main():
    test = read_split("data/scenes", "test").pictures
    architecture(test[7].file)
    training()
    captions([test[7], test[3]])


if __name__ == "__main__":
    run_command(main)
