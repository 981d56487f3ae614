"""What writes paragraphs about drawn clips: what a sentence should know of those before it.

    rows --train--> runs/paragraphs/NAME-SEED --write test, novel--> overlap, repetition, claims
        --> results/paragraphs/NAME-SEED.json --paragraphs_table--> table

    python -m experiments.video.paragraphs --data data/motion     # an hour: six rows, three seeds
    python -m experiments.video.paragraphs --data data/motion --only hierarchical flat --seeds 1
    python -m experiments.video.paragraphs --table                # from the files alone

Rows that end in -segments are given the parts of a clip that the sentences of its first paragraph
tell, the others the clip alone. `baselines.json` has what needs no training: a constant paragraph,
that of the nearest clip, and as the truth the first paragraph of each clip, its overlap counted
with its other paragraphs.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from encoders.backbones import Backbone, transform_of
from experiments.harness import Experiment, add_options, add_seeds, folders, used
from experiments.video.paragraphs_table import SPLITS, table
from scenes.motion.claims import check
from scoring.metrics import cider_d
from scoring.paragraphs import letters
from system.commands import run_command
from system.files import BadInput
from video.features import clip_features
from video.paragraphs.baselines import constant, nearest
from video.paragraphs.checkpoint import load_narrator
from video.paragraphs.evaluation import report_of
from video.paragraphs.files import read_told
from video.paragraphs.settings import MODELS, RECIPES, ParagraphSettings
from video.paragraphs.task import Paragraphs

BASELINES = "baselines"
ROWS = {f"{model}{'-segments' * given}": {"model": model, "segments": given}
        for given in (False, True) for model in MODELS}


def figures(written, told, how):
    """Return the report on the paragraphs of a split, and of each clip CIDEr-D and true claims."""
    texts = [" ".join(sentences) for sentences in written]
    references = [[letters(one) for one in several] for several in told.references().values()]
    claims = [[claim.true for claim in check(*pair).claims]
              for pair in zip(texts, told.truths(), strict=True)]
    return report_of(written, told, how) | {"each": {
        "CIDEr": cider_d([letters(text) for text in texts], references).tolist(),
        "claims": [sum(some) / max(1, len(some)) for some in claims]}}


def judge(narrator, told):
    """Return the figures of a narrator on a split."""
    clips = told.clips()
    written = narrator.paragraphs(narrator.features(clips, told.split),
                                  [one.duration for one in clips], told.spans())
    return figures(written, told, str(narrator.search()))


def baselines(experiment, told):
    """Return {split: {name: figures}} of what needs no training; told: {split: `Told`}."""
    settings = ParagraphSettings(str(experiment.data), **RECIPES["paragraphs"])
    backbone = Backbone(settings.encoder, settings.weights, grid=True).to(experiment.device)
    kept = {split: clip_features(backbone, transform_of(settings.encoder, settings.fit),
                                 one.clips(), rate=settings.rate, name=split)
            for split, one in told.items()}
    found = {}
    for split in SPLITS:
        one, train = told[split], told["train"]
        others = replace(one, paragraphs=tuple(several[1:] for several in one.paragraphs))
        first = [[segment.sentence for segment in several[0]] for several in one.paragraphs]
        found[split] = {
            "constant": figures(constant(train, one), one, "none"),
            "nearest": figures(nearest(train, one, kept["train"], kept[split]), one, "none"),
            "truth": figures(first, others, "none")}
    return found


def climb(experiment, name, seed, epochs, told):
    """Train and judge a row with a seed, and write its result."""
    changes = {} if epochs is None else {"epochs": epochs}
    settings = ParagraphSettings(str(experiment.data), **{
        **RECIPES["paragraphs"], **ROWS[name], **changes, "seed": seed})
    run = f"{name}-{seed}"
    result = experiment.trained(run, settings, clip_features, Paragraphs)
    narrator = load_narrator(experiment.run(run), experiment.device)
    result |= used(experiment.device)
    for split in SPLITS:
        result[split] = judge(narrator, told[split])
    experiment.write(run, result)
    print(f"{run}: test CIDEr-D {result['test']['CIDEr']:.2f}, claims true "
          f"{result['test']['claims']['all']:.3f}", flush=True)


def arguments():
    parser = argparse.ArgumentParser(
        description="Train models of paragraphs on drawn clips, and judge them on test and novel. "
        "Started again, it goes on.")
    add_options(parser, [*ROWS], "paragraphs")
    add_seeds(parser, "the recipe's")
    return parser.parse_args()


def main():
    """Train and judge the rows that are not done yet, or print the table."""
    options = arguments()
    runs, results = folders(options)
    if options.table:
        print(table(results, [*ROWS]))
        return
    if not options.data or options.seeds < 1:
        raise BadInput("give --data drawn clips, made by prepare.py motion, and --seeds 1 or more")
    experiment = Experiment(options.data, runs, results, options.device)
    told = {split: read_told(options.data, split) for split in ("train", *SPLITS)}
    if told["test"].truths() is None:
        raise BadInput(f"{options.data} has no truth to check claims by: make it with "
                       "'python prepare.py motion'")
    if not experiment.done(BASELINES):
        experiment.write(BASELINES, {"data": Path(options.data).name,
                                     **baselines(experiment, told)})
    for seed in range(options.seeds):
        for name in options.only:
            if not experiment.done(f"{name}-{seed}"):
                climb(experiment, name, seed, options.epochs, told)


if __name__ == "__main__":
    run_command(main)
