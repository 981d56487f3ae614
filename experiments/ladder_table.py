"""The ladder's table, from the files of its finished rungs alone.

    results/ladder/RUNG-SEED.json          scores and what they are of
    results/ladder/RUNG-SEED.cider.json    CIDEr of every picture, in the order of the split

A rung of several seeds shows mean and standard deviation. Its difference from the rung below is
that of the means over seeds, picture by picture, with the 95 % interval of a paired bootstrap over
the pictures; wins is the fraction of resamples in which it is better.
"""

import statistics

import numpy as np

from scoring.metrics import METRICS
from scoring.significance import paired_bootstrap
from system.files import BadInput, read_json

REMEDY = "move it away and run that rung again"
COLUMNS = {                 # of a result: heading, factor, format
    "parameters": ("million parameters", 1e-6, ".1f"), "minutes": ("minutes", 1, ".0f"),
    "val_loss": ("val loss", 1, ".3f"),
    **{name: (metric.label, metric.scale, ".1f") for name, metric in METRICS.items()},
    "distinct": ("distinct", 1, ".0f"), "vocabulary": ("words used", 1, ".0f"),
    "mean_length": ("length", 1, ".1f"), "bad_endings": ("bad endings, %", 100, ".1f")}
RESULT = {"rung": str, "seed": int, "data": str, "split": str, "pictures": int,
          **dict.fromkeys(COLUMNS, float | None)}
JUDGE = METRICS["CIDEr"]    # the metric of the comparison with the rung below
MARKS = "<!-- python -m experiments.ladder --table -->", "<!-- end of the ladder -->"


def each_of(folder, name, seed):
    """Return the path of the CIDEr of each of a rung's pictures."""
    return folder / f"{name}-{seed}.cider.json"


def table(rungs, folder):
    """Return all finished rungs as Markdown, in the order of `rungs`.

    Raises `BadInput` if no rung is finished, or if the results are of different pictures.
    """
    found = {rung.name: seeds for rung in rungs if (seeds := read_results(folder, rung.name))}
    if not found:
        raise BadInput(f"{folder} holds no finished rung: run experiments.ladder with --data first")
    results = [one for seeds in found.values() for one in seeds]
    of = {(one["data"], one["split"], one["pictures"]) for one in results}
    if len(of) > 1:
        raise BadInput(f"{folder} mixes results of different pictures ({sorted(of)}): move "
                       "those away that do not belong, or run experiments.ladder with another "
                       "--name for other data")
    keys = [key for key in COLUMNS if any(one.get(key) is not None for one in results)]
    headings = ["rung", "change", *(COLUMNS[key][0] for key in keys),
                f"{JUDGE.label} over the rung below", "wins"]
    rows = [headings, ["---"] * len(headings)]
    for rung in rungs:
        if rung.name in found:
            seeds = found[rung.name]
            rows.append([rung.name, rung.change, *(cell(seeds, key) for key in keys),
                         *(comparison(folder, rung.below, found, rung.name)
                           if rung.below in found else ("", ""))])
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    (data, split, pictures), = of
    return (f"{lines}\n\n{data}, {split}, {pictures} pictures. Scores x 100; ± is the deviation "
            "over seeds; minutes are of the rung's own training.")


def filled(page, lines):
    """Return the text of a page with `lines` between its two `MARKS`."""
    before, found, rest = page.partition(MARKS[0])
    _, ended, after = rest.partition(MARKS[1])
    if not (found and ended):
        raise BadInput(f"the page has no place for the table: write the lines {MARKS[0]} and "
                       f"{MARKS[1]} where it is to stand")
    return f"{before}{MARKS[0]}\n\n{lines}\n\n{MARKS[1]}{after}"


def read_results(folder, name):
    """Read the results of a rung, one for each seed."""
    files = sorted(file for file in folder.glob(f"{name}-*.json")
                   if file.stem.removeprefix(f"{name}-").isdigit())
    return [read_json(file, REMEDY, RESULT) for file in files]


def cell(seeds, key):
    """Return a figure of one seed, or the mean and deviation of several; "" where there is none."""
    _, factor, form = COLUMNS[key]
    values = [factor * one[key] for one in seeds if one.get(key) is not None]
    if not values:
        return ""
    shown = f"{statistics.mean(values):{form}}"
    spread = statistics.stdev(values) if len(values) > 1 else 0
    return f"{shown} ± {spread:{form}}" if spread else shown


def comparison(folder, below, found, name):
    """Return two cells: the difference from the rung below with its interval, and the wins."""
    lower, upper = (np.mean([read_json(each_of(folder, one["rung"], one["seed"]), REMEDY,
                                       (float,) * one["pictures"])
                             for one in found[rung]], axis=0) for rung in (below, name))
    gain = paired_bootstrap(JUDGE.scale * lower, JUDGE.scale * upper)
    return str(gain), f"{100 * gain.wins:.1f} %"
