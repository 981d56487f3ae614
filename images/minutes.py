"""Draw minutes.png: CIDEr-D on Flickr8k's val against the minutes of training.

    results/minutes/*.json --minutes--> minutes.png     part of `make figures`

The files are results of the ladder's trainings on two quiet cores; one on another number of cores,
or on a busy machine, cannot be compared with them.
"""

import matplotlib.pyplot as plt

from experiments.ladder import BEST, RUNGS
from figures.pictures import ACCENT, QUIET
from images.draw import HERE, save
from scoring.metrics import METRICS
from system.commands import run_command
from system.files import read_json

TIMED = HERE.parent / "results/minutes"
CURVE = {"minutes": float, "curve": [(float, float)]}
PUBLISHED = {0.524: "best published, frozen CNN (on test)",
             0.589: "best published, tuned ResNet-152 on a GPU (on test)"}


def minutes():
    """Draw the curve of each training in TIMED, after that of the run it started from."""
    figure, axis = plt.subplots(figsize=(9, 3.6), layout="constrained")
    ended = {}
    for rung in RUNGS:
        if not (file := TIMED / f"{rung.name}.json").exists():
            continue
        found = read_json(file, "train that rung of the ladder again", CURVE)
        began, last = ended.get(rung.start, (0, None))
        if points := [(began + after, cider) for after, cider in found["curve"]]:
            ended[rung.name] = began + found["minutes"], points[-1]
            main = rung.name == BEST or rung.start
            axis.plot(*zip(*([last] if last else []), *points, strict=True), ".-",
                      color=ACCENT if main else QUIET, lw=1.8 if main else 0.9)
            axis.annotate(rung.name, points[-1], xytext=(5, -3), textcoords="offset points",
                          fontsize=9, color="black" if main else "#606060")
    for height, text in PUBLISHED.items():
        axis.axhline(height, ls=":", color="black", lw=0.9)
        axis.text(0.5, height + 0.004, text, fontsize=8, color="#404040")
    axis.set(xlabel="minutes on two cores, encoding and validation included", xlim=(0, None),
             ylabel=f"{METRICS['CIDEr'].label} on val")
    axis.spines[["top", "right"]].set_visible(False)
    save(figure, "minutes.png")


if __name__ == "__main__":
    run_command(minutes)
