"""The table of experiments/video/paragraphs.py, from its files alone.

    results/paragraphs/NAME-SEED.json, baselines.json --table--> Markdown

A figure is the mean over the seeds, ± its deviation. Differences from the row hierarchical, or
hierarchical-segments, have the 95 % interval of the paired bootstrap over clips, seeds averaged
clip by clip.
"""

import statistics

import numpy as np

from experiments.harness import markdown
from scoring.significance import paired_bootstrap
from system.files import BadInput, read_json

SPLITS = ("test", "novel")
UNTRAINED = ("constant", "nearest", "truth")
SCORES = {"Bleu_4": ("BLEU-4", 100), "ROUGE_L": ("ROUGE-L", 100), "CIDEr": ("CIDEr-D", 100),
          "R@4": ("R@4", 100), "Div_2": ("Div-2", 100)}
CLAIMS = ("object", "colour", "action", "order", "reference", "all")
REPORT = {**dict.fromkeys(SCORES, float), "claims": {str: float},
          "each": {"CIDEr": [float], "claims": [float]}}
RESULT = {"settings": {"data": str, "seed": int}, "minutes": float,
          **dict.fromkeys(SPLITS, REPORT)}
BASELINES = {"data": str, **dict.fromkeys(SPLITS, dict.fromkeys(UNTRAINED, REPORT))}
REMEDY = "move it away and run experiments.video.paragraphs again"


def table(results, names):
    """Return a table for each split of all that is finished.

    Raises `BadInput` if nothing is, and for results that are damaged or of different data.
    """
    trained = {name: found for name in names if (found := read_results(results, name))}
    file, untrained = results / "baselines.json", {}
    data = {one["settings"]["data"] for found in trained.values() for one in found}
    if file.exists():
        untrained = read_json(file, REMEDY, BASELINES)
        data.add(untrained["data"])
    if not data:
        raise BadInput(f"{results} holds no result: run experiments.video.paragraphs "
                       "with --data first")
    if len(data) > 1:
        raise BadInput(f"{results} mixes results of different data ({', '.join(sorted(data))}): "
                       "move those away that do not belong")
    return "\n\n".join(of_split(split, trained, untrained) for split in SPLITS)


def read_results(results, name):
    """Return the results of a row, by seed; raise `BadInput` if one is damaged."""
    return [read_json(file, REMEDY, RESULT) for file in sorted(results.glob(f"{name}-*.json"))
            if file.stem.removeprefix(f"{name}-").isdigit()]


def of_split(split, trained, untrained):
    """Return the table of a split."""
    heading = [split, *(label for label, _ in SCORES.values()),
               *(f"true: {kind}" for kind in CLAIMS), "minutes", "CIDEr-D over hierarchical",
               "true claims over hierarchical"]
    rows = [[name, *cells([untrained[split][name]]), "", "", ""]
            for name in UNTRAINED if untrained]
    for name, found in trained.items():
        reports = [one[split] for one in found]
        base = "hierarchical" + "-segments" * name.endswith("-segments")
        gains = ["", ""]
        if name != base and base in trained:
            others = [one[split] for one in trained[base]]
            gains = [gain(others, reports, "CIDEr"), gain(others, reports, "claims")]
        rows.append([name, *cells(reports), f"{statistics.mean(r['minutes'] for r in found):.1f}",
                     *gains])
    return markdown(heading, rows)


def cells(reports):
    """Return the figures of a row, over the seeds."""
    return [*(shown([scale * one[name] for one in reports])
              for name, (_, scale) in SCORES.items()),
            *(shown([100 * one["claims"][kind] for one in reports if kind in one["claims"]])
              for kind in CLAIMS)]


def shown(values):
    """Return the mean of values, and their deviation if there are several."""
    if not values:
        return ""
    deviation = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{deviation}"


def gain(others, reports, name):
    """Return how much better a row is than another clip by clip, x 100, with its interval."""
    first, second = (np.mean([one["each"][name] for one in some], axis=0)
                     for some in (others, reports))
    found = paired_bootstrap(first, second)
    return f"{100 * found.mean:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
