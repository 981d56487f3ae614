"""Label the frames of drawn clips: the ladder up to MultiLSTM, and what tells left from right.

    rows --train--> runs/actions/NAME-SEED --label test, novel--> mAP, left or right
        --> results/actions/NAME-SEED.json, gain.json, baselines.json --> table

    python -m experiments.video.actions --data data/motion    # an hour of one core
    python -m experiments.video.actions --data data/motion --only lstm multilstm --seeds 1
    python -m experiments.video.actions --table                   # from the files alone

The rows are those of "Every Moment Counts", Yeung et al. 2015 (arXiv:1507.05738), each trained by
the recipe `actions`. `left or right` is the share of the frames in which a thing goes left or right
where the right class scores higher than its contrary; a film being as likely as the same film
backwards, whatever sees one frame is right of half of them. The gain of MultiLSTM over the LSTM has
the interval of a paired bootstrap over clips, each resample's mAP computed anew.
"""

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from experiments.harness import Experiment, add_options, add_seeds, folders, markdown, used
from experiments.questions_table import shown
from scenes.motion.dataset import read_truths
from scenes.motion.labels import OF_DIRECTION
from scenes.motion.lookup import accuracies
from scoring.frames import frame_map, video_shares
from scoring.significance import Difference
from system.commands import run_command
from system.files import BadInput, read_json
from video.actions.checkpoint import load_labeller
from video.actions.evaluation import report_of, scored
from video.actions.files import read_actions
from video.actions.models import MODELS
from video.actions.settings import RECIPES, ActionSettings
from video.actions.task import Actions
from video.features import clip_features

RESAMPLES = 1000
SPLITS = ("test", "novel")
BASELINES, GAIN = "baselines", "gain"
LOWER, HIGHER = "lstm", "multilstm"
LOOKUP = "under way in a frame"
REMEDY = "move it away and run experiments.video.actions again"
JUDGED = {"mAP": float, "left or right": float, "by_class": {str: float | None}}
RESULT = {"settings": {"data": str}, "minutes": float, **dict.fromkeys(SPLITS, JUDGED)}
FLOORS = {"prevalence": float, "oracle_without_timing": float, "lookup": {LOOKUP: float}}
TESTED = {"seeds": int, **dict.fromkeys(("mean", "low", "high", "wins"), float)}


def left_or_right(scores, labels, classes):
    """Return the share of frames with one of both directions whose right class scores higher.

    scores, labels: of each clip (T, C). Equal scores are half right.
    """
    left, right = (classes.index(name) for name in OF_DIRECTION.values())
    scores, labels = np.concatenate(scores), np.concatenate(labels)
    goes = labels[:, left] != labels[:, right]
    lead = (scores[goes, right] - scores[goes, left]) * np.where(labels[goes, right], 1, -1)
    return float(((lead > 0) + 0.5 * (lead == 0)).mean())


def judge(labeller, split):
    """Return the report on a split, with how often left is told from right."""
    scores, labels = scored(labeller, split)
    return report_of(scores, labels, split, labeller.hz) | {
        "left or right": left_or_right(scores, labels, split.classes)}


def baselines(data, hz):
    """Return {split: figures} of what needs no training."""
    found, train = {}, read_truths(data, "train").values()
    for name in SPLITS:
        labels = read_actions(data, name).labels(hz)
        shares = frame_map(video_shares(labels), labels, hz)
        found[name] = {"prevalence": shares.prevalence, "oracle_without_timing": shares.mean,
                       "lookup": accuracies(train, read_truths(data, name).values())}
    return found


def bootstrap(first, second, labels, hz, resamples, seed=0):
    """Return the `Difference` of the mean mAP of `second` over that of `first`, by clips.

    first, second: of each seed the scores of all clips. A mAP is no mean over clips, so it is
    computed for every resample of the clips; the same clips are drawn for both.
    """
    def gain(clips):
        drawn = [labels[clip] for clip in clips]
        means = [np.mean([frame_map([one[clip] for clip in clips], drawn, hz).mean
                          for one in scores]) for scores in (first, second)]
        return float(means[1] - means[0])

    random, count = np.random.default_rng(seed), len(labels)
    gains = np.array([gain(random.integers(0, count, count))
                      for _ in tqdm(range(resamples), "resampling", leave=False)])
    return Difference(gain(range(count)), *np.percentile(gains, (2.5, 97.5)).tolist(),
                      float((gains > 0).mean()))


def compare(experiment, seeds):
    """Judge and write the gain of MultiLSTM over the LSTM on test, over all seeds."""
    split = read_actions(experiment.data, "test")
    first, second = [], []
    for scores, name in ((first, LOWER), (second, HIGHER)):
        for seed in range(seeds):
            labeller = load_labeller(experiment.run(f"{name}-{seed}"), experiment.device)
            some, labels = scored(labeller, split)
            scores.append(some)
    experiment.write(GAIN, {"data": Path(experiment.data).name, "seeds": seeds,
                            **bootstrap(first, second, labels, labeller.hz, RESAMPLES)._asdict()})


def climb(experiment, name, seed, epochs):
    """Train and judge a row with a seed, and write its result."""
    changes = {"model": name, "seed": seed} | ({"epochs": epochs} if epochs else {})
    run = f"{name}-{seed}"
    result = experiment.trained(run, ActionSettings(str(experiment.data), **{
        **RECIPES["actions"], **changes}), features=clip_features, task=Actions)
    result |= used(experiment.device)
    labeller = load_labeller(experiment.run(run), experiment.device)
    for split in SPLITS:
        result[split] = judge(labeller, read_actions(experiment.data, split))
    experiment.write(run, result)
    print(f"{run}: mAP {result['test']['mAP']:.3f}, left or right "
          f"{result['test']['left or right']:.3f}", flush=True)


def table(results):
    """Return the tables of what is finished as Markdown, in per cent."""
    found = {name: [read_json(file, REMEDY, RESULT) for file in sorted(
        results.glob(f"{name}-[0-9]*.json"))] for name in MODELS}
    found = {name: seeds for name, seeds in found.items() if seeds}
    if not found:
        raise BadInput(f"{results} holds no result: run experiments.video.actions "
                       "with --data first")
    rows = []
    if (file := results / f"{BASELINES}.json").exists():
        floors = read_json(file, REMEDY, dict.fromkeys(SPLITS, FLOORS))
        for name, key in (("equal scores", "prevalence"),
                          ("oracle without timing", "oracle_without_timing")):
            rows.append([name, *(part for split in SPLITS
                                 for part in (shown([floors[split][key]]), "")), "", ""])
        rows.append(["lookup of place and facing", *(
            part for split in SPLITS
            for part in ("", shown([floors[split]["lookup"][LOOKUP]]))), "", ""])
    rows += [[name, *(shown(one[split][key] for one in seeds)
                      for split in SPLITS for key in ("mAP", "left or right")),
              len(seeds), f"{np.mean([one['minutes'] for one in seeds]):.1f}"]
             for name, seeds in found.items()]
    parts = [markdown(["row", *(f"{split}, {key}" for split in SPLITS
                                for key in ("mAP", "left or right")), "seeds", "minutes"], rows),
             by_class(found)]
    if (file := results / f"{GAIN}.json").exists():
        gain = read_json(file, REMEDY, TESTED)
        parts.append(f"{HIGHER} over {LOWER} on test: {100 * gain['mean']:+.1f} mAP "
                     f"[{100 * gain['low']:+.1f}, {100 * gain['high']:+.1f}], {gain['seeds']} "
                     f"seeds, 95 % interval of a paired bootstrap over clips.")
    return "\n\n".join(parts)


def by_class(found):
    """Return a table of average precisions on test, a line for each class."""
    classes = next(iter(found.values()))[0]["test"]["by_class"]
    return markdown(["class", *found], [
        [name, *(shown(one["test"]["by_class"][name] for one in seeds)
                 for seeds in found.values())] for name in classes])


def arguments():
    parser = argparse.ArgumentParser(
        description="Train models that label frames on drawn clips and judge them on test and "
        "novel. Started again, it goes on.")
    add_options(parser, [*MODELS], "actions")
    add_seeds(parser, "the recipe's")
    return parser.parse_args()


def main():
    """Train and judge the rows that are not done yet, or print the table."""
    options = arguments()
    runs, results = folders(options)
    if options.table:
        print(table(results))
        return
    if not options.data or options.seeds < 1:
        raise BadInput("give --data drawn clips, made by prepare.py motion, and --seeds 1 or more")
    experiment = Experiment(options.data, runs, results, options.device)
    if not experiment.done(BASELINES):
        experiment.write(BASELINES, {"data": Path(options.data).name,
                                     **baselines(options.data, ActionSettings.hz)})
    for seed in range(options.seeds):
        for name in MODELS:
            if name in options.only and not experiment.done(f"{name}-{seed}"):
                climb(experiment, name, seed, options.epochs)
    if all(experiment.done(f"{name}-{seed}") for name in (LOWER, HIGHER)
           for seed in range(options.seeds)):
        compare(experiment, options.seeds)


if __name__ == "__main__":
    run_command(main)
