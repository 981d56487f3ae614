"""Draw risk.png: how often the captions that a captioner is surest of name an absent object.

    results/confidence/*.json --risk--> risk.png            part of `make figures`
"""

import matplotlib.pyplot as plt

from caption import SHIPPED
from experiments.strangers.confidence import COVERAGES, RESULT
from experiments.strangers.datasets import finished
from figures.pictures import ACCENT, QUIET
from images.draw import HERE, save
from system.commands import run_command

RESULTS = HERE.parent / "results/confidence"
HOME = "flickr8k"           # what the captioner in the box was trained on


def risk():
    """Draw the risk-coverage curve of each dataset, and where it would be by chance."""
    figure, axis = plt.subplots(figsize=(9, 3.6), layout="constrained")
    for found in finished(RESULTS, RESULT, "experiments.strangers.confidence"):
        if found["checkpoint"] != SHIPPED.stem:
            continue
        curve = [100 * one for one in found["calibrated"]["risk"]]
        color = ACCENT if found["data"] == HOME else QUIET
        axis.plot([100 * one for one in COVERAGES], curve, ".-", color=color, lw=1.8)
        axis.axhline(curve[-1], ls=":", color=color, lw=0.9)
        axis.annotate(found["data"], (100, curve[-1]), xytext=(5, -3), fontsize=9,
                      textcoords="offset points", annotation_clip=False)
    axis.set(xlabel="surest captions, % of the pictures; dotted: in any order", xlim=(0, 100),
             ylabel="name an absent object, %", ylim=(0, None))
    axis.spines[["top", "right"]].set_visible(False)
    save(figure, "risk.png")


if __name__ == "__main__":
    run_command(risk)
