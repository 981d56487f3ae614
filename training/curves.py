"""Curves of a run: the losses of each epoch, and the figures of val that its task names.

    history rows, task --plot_curves--> axes      save_curves: the same as a PNG file
"""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from system.files import whole_file

ACCENT, QUIET = "#c44e52", "#8c8c8c"
PANEL = 10 / 3, 2.6         # inches wide and high


def plot_curves(history, axes, task):
    """Plot the losses on the first of `axes`, and each of `task.curves` on one more."""
    epochs = [row["epoch"] for row in history]
    titles = (f"loss per {task.unit}", *(f"{title} on val" for title in task.curves.values()))
    for axis, title in zip(axes, titles, strict=True):
        axis.clear()
        axis.set(title=title, xlabel="epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.spines[["top", "right"]].set_visible(False)
    # accent and grey are equally dark: the dashes and the rings tell the two lines apart
    axes[0].plot(epochs, [row["train_loss"] for row in history], "o--", color=QUIET, label="train",
                 markersize=4, markerfacecolor="white")
    axes[0].plot(epochs, [row["val_loss"] for row in history], ".-", color=ACCENT, label="val")
    axes[0].legend(frameon=False)
    for axis, key in zip(axes[1:], task.curves, strict=True):
        axis.plot(epochs, [row[key] for row in history], ".-", color=ACCENT)
    axes[-1].set_ylim(bottom=0)         # how high a score is, not only that it rises


def save_curves(history, path, task):
    """Draw `plot_curves` into a PNG file, without a window and beside any other figure."""
    panels = 1 + len(task.curves)
    figure = Figure(figsize=(PANEL[0] * panels, PANEL[1]), layout="constrained")
    plot_curves(history, figure.subplots(1, panels, squeeze=False)[0], task)
    with whole_file(path) as beside:
        figure.savefig(beside, format="png", dpi=100)
