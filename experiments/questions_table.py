"""The tables of experiments/questions.py, from its files alone.

    results/questions/NAME-SEED.json, baselines.json --tables--> families, tricks, pointing

A figure is the mean over the seeds, ± its deviation. A trick's difference from the default is the
mean of the differences seed by seed, with the 95 % interval of Student's t: three seeds make it
wide, and where it includes 0 the trick is not known to do anything here.
"""

import statistics
from math import sqrt

from scipy.stats import t

from experiments.harness import markdown
from experiments.pointing import FIGURES
from scenes.questions.families import FAMILIES
from system.files import BadInput, read_json

SPLITS = ("test", "novel")
DEFAULT = "tips"            # from which each trick is turned
UNTRAINED = ("most frequent", "per question type", "question lookup", "program executor")
OVERALL = {"accuracy": float, "without facts": float, "pairs": float | None}
JUDGED = {**OVERALL, "families": {str: float}}
RESULT = {"settings": {"data": str, "seed": int, "boxes": str | None}, "minutes": float,
          "processor": str, "threads": int,
          **dict.fromkeys(SPLITS, {**JUDGED, "pointing": dict | None})}
# of a trick's table: what is compared with the default
COMPARED = (("test", "without facts"), ("test", "pairs"), ("novel", "without facts"))
REMEDY = "move it away and run experiments.questions again"


def tables(results, rows):
    """Return the tables of what is finished as Markdown: families, tricks, pointing.

    rows: those of experiments/questions.py. Raises `BadInput` if nothing is finished, and for
    results that are damaged or of different data.
    """
    found = {row.name: seeds for row in rows if (seeds := read_results(results, row.name))}
    baselines = read_baselines(results / "baselines.json")
    if not (found or baselines):
        raise BadInput(f"{results} holds no result: run experiments.questions with --data first")
    data = {one["settings"]["data"] for seeds in found.values() for one in seeds.values()}
    data |= {baselines["data"]} if baselines else set()
    if len(data) > 1:
        raise BadInput(f"{results} mixes results of different data ({', '.join(sorted(data))}): "
                       "move those away that do not belong, or give another --name for other data")
    parts = (families(rows, found, baselines), tricks(rows, found, results), pointing(found))
    return "\n\n".join(part for part in parts if part)


def read_results(results, name):
    """Return {seed: result} of a row; raise `BadInput` if one is damaged."""
    found = {}
    for file in sorted(results.glob(f"{name}-*.json")):
        seed = file.stem.removeprefix(f"{name}-")
        if not seed.isdigit():
            continue                    # of a row with a longer name
        one = read_json(file, REMEDY, RESULT)
        looks = {split: {"pointing": FIGURES} for split in SPLITS if one[split]["pointing"]}
        found[int(seed)] = read_json(file, REMEDY, looks)
    return found


def read_baselines(file):
    """Return what needs no training, {} if it is not there; raise `BadInput` if it is damaged."""
    shape = {"data": str, **dict.fromkeys(SPLITS, dict.fromkeys(UNTRAINED, JUDGED))}
    return read_json(file, REMEDY, shape) if file.exists() else {}


def families(rows, found, baselines):
    """Return the table of families, what needs no training first, in per cent."""
    lines = []
    several = {name: [{split: baselines[split][name] for split in SPLITS}]
               for name in UNTRAINED if baselines}
    several |= {row.name: [*found[row.name].values()]
                for row in rows if row.family and row.name in found}
    for name, seeds in several.items():
        known = {split: [one[split]["without facts"] for one in seeds] for split in SPLITS}
        fall = [test - novel for test, novel in zip(*known.values(), strict=True)]
        minutes = shown([one["minutes"] for one in seeds if "minutes" in one], 1)
        for split in SPLITS:
            of = [one[split] for one in seeds]
            lines.append([name, split, len(seeds) if minutes else "", minutes,
                          *(shown([one[key] for one in of]) for key in OVERALL),
                          shown(fall) if split == "novel" else "",
                          *(shown([one["families"].get(family) for one in of])
                            for family in FAMILIES)])
    heading = ["row", "split", "seeds", "minutes", "all", "without facts", "pairs",
               "fall from test", *FAMILIES]
    return "\n\n".join([markdown(heading, lines), *machines(found)])


def machines(found):
    """Return a line about what the trainings took their minutes on."""
    used = sorted({f"{one['processor']}, {one['threads']} threads"
                   for seeds in found.values() for one in seeds.values()})
    return [f"Minutes are of a training on {'; '.join(used)}."] if used else []


def tricks(rows, found, results):
    """Return the table of tricks, each beside its difference from the default; "" without that."""
    default = found.get(DEFAULT)
    turned = [row for row in rows if row.trick and row.name in found]
    if not default or not turned:
        return ""
    base = next(row.changes for row in rows if row.name == DEFAULT)
    heading = ["trick", "seeds"]
    for split, key in COMPARED:
        heading += [f"{split}, {key}", "difference"]
    lines = [["the default", len(default)]]
    lines[0] += [cell for split, key in COMPARED
                 for cell in (shown([one[split][key] for one in default.values()]), "")]
    for row in turned:
        may = {key for key, value in row.changes.items() if base.get(key, value) != value}
        may |= row.changes.keys() - base.keys() | (set() if row.boxes else {"boxes"})
        refuse_other_training(row.name, may, found[row.name], default, results)
        lines.append([row.trick, len(found[row.name])])
        for split, key in COMPARED:
            first, second = ({seed: one[split][key] for seed, one in seeds.items()}
                             for seeds in (default, found[row.name]))
            lines[-1] += [shown(second.values()), difference(first, second)]
    return markdown(heading, lines)


def refuse_other_training(name, may, seeds, default, results):
    """Raise `BadInput` if a trick's training differs from the default in more than it `may`."""
    for seed in seeds.keys() & default.keys():
        one, other = seeds[seed]["settings"], default[seed]["settings"]
        if differ := {key for key in one.keys() | other.keys()
                      if one.get(key) != other.get(key)} - may:
            raise BadInput(f"{results / name}-{seed}.json and {DEFAULT}-{seed}.json differ in "
                           f"{', '.join(sorted(differ))}, so what the trick does is not seen: move "
                           "one away and run experiments.questions again")


def difference(first, second):
    """Return how much more the second has, by seeds of both, with its interval, as text."""
    gains = [100 * (second[seed] - first[seed]) for seed in first.keys() & second.keys()
             if None not in (first[seed], second[seed])]
    if not gains:
        return ""
    mean = statistics.mean(gains)
    if len(gains) == 1:
        return f"{mean:+.1f}"
    half = t.ppf(0.975, len(gains) - 1) * statistics.stdev(gains) / sqrt(len(gains))
    return f"{mean:+.1f} [{mean - half:+.1f}, {mean + half:+.1f}]"


def pointing(found):
    """Return the table of where attention lies, "" if no finished row has attention."""
    lines = []
    for name, seeds in found.items():
        for split in SPLITS:
            looks = [one[split]["pointing"] for one in seeds.values() if one[split]["pointing"]]
            if looks:
                lines.append([name, split, len(looks), looks[0]["questions"],
                              *(shown([one[key] for one in looks])
                                for key in ("right", "uniform", "centre")),
                              *(shown([share(one[key]) for one in looks])
                                for key in ("moves", "moves for one thing"))])
    heading = ["row", "split", "seeds", "questions", "points at it", "anywhere",
               "always the middle", "moves for another thing", "moves for the same thing"]
    return markdown(heading, lines) if lines else ""


def share(counts):
    """Return the fraction of [some, all], None of none."""
    some, whole = counts
    return some / whole if whole else None


def shown(values, factor=100):
    """Return the mean of numbers with their deviation as text, "" where one is missing."""
    values = [*values]
    if not values or None in values:
        return ""
    spread = f" ± {factor * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{factor * statistics.mean(values):.1f}{spread}"
