"""Are the captions of every decoder true, and does its attention point at what a word names?

    decoder --train--> runs/truth/NAME --caption test, novel--> claims.tally, pointing.report
        --> results/truth/NAME.json --> table

    python -m experiments.truth --data data/scenes   # minutes for each decoder; done ones stay
    python -m experiments.truth --table              # from the files alone

A caption may be worded like no reference and be true, or be like all of them and be false: the
scene graph of a drawn picture decides. The split `novel` has pairs of shape and colour that no
training picture has. Decoders are trained by the recipe `small` with the changes of
`decoder_settings`, which each result file records. `constant` says the most frequent sentence of
train of every picture. Beside each CIDEr is its difference from that of `soft`, with the 95 %
interval of a paired bootstrap over pictures.
"""

from pathlib import Path

import numpy as np

from captioning.checkpoint import load_captioner
from captioning.evaluation import evaluate, report_of
from captioning.pointing import caption_with_weights, mentions, read_boxes, report
from captioning.settings import settings_of
from coco.dataset import read_split
from decoders.registry import NAMES, wants_grid
from decoders.search import Search
from experiments.baselines import most_frequent
from experiments.harness import graphs_of, markdown, on_scenes
from scenes.claims import KINDS, tally
from scoring.significance import paired_bootstrap
from system.commands import run_command
from system.files import BadInput, read_json

SPLITS = ("test", "novel")
CONSTANT, COMPARED = "constant", "soft"     # rows: one without training, and one to compare with
BEAM = Search(beam=3)
GRID = {"captions_per_picture": 5, "epochs": 8}     # side by side, to read a grid once
TRANSFORMER = {"num_layers": 2, "dropout": 0.1, "learning_rate": 1e-3}
FEW = 30                    # claims, below which their number is shown beside the percentage
# of a split, see `judge`
JUDGED = {"CIDEr": float, "each": [float], "claims": dict.fromkeys(KINDS, (int, int))}
POINTING = {"pointing": {str: {"right": float}}}
REMEDY = "move it away and run experiments.truth again"


def decoder_settings(name, data, seed):
    """Return the settings of a decoder's training: recipe `small`, with changes for grids."""
    changes = {"decoder": name, "seed": seed}
    if wants_grid(name):
        changes |= GRID
    if name in ("transformer", "objects"):
        changes |= TRANSFORMER
    return settings_of("small", data, **changes)


def judge(captioner, data, name):
    """Judge a split's captions: {"CIDEr", "each", "claims", "pointing" if the decoder has a grid}.

    each: CIDEr of every picture.  claims: {kind: [true claims, claims]}.  pointing: {rule:
    {"words", "right", "random"}}.
    """
    split = read_split(data, name)
    found = judged(data, split, *evaluate(captioner, split, BEAM))
    if captioner.architecture["encoder"]["grid"]:
        grids = captioner.features(split)[0]
        captions, weights = caption_with_weights(captioner, grids, BEAM)
        named = mentions(captions, weights, read_boxes(data, split), captioner.vocab)
        found["pointing"] = {rule: {"words": len(named.peaks), "right": right, "random": random}
                             for rule, (right, random, _) in report(named).items()}
    return found


def judge_constant(data, name):
    """Judge the most frequent sentence of train as the caption of every picture."""
    split = read_split(data, name)
    said = most_frequent(read_split(data, "train"), split, None)
    return judged(data, split, *report_of(said, split, "none"))


def judged(data, split, scores, results, each):
    """Return what every split of a result holds, from what `evaluate` returns."""
    return {"CIDEr": scores["CIDEr"], "each": [round(score, 4) for score in each],
            "claims": tally([one["caption"] for one in results], graphs_of(data, split))}


def read_result(file):
    """Return a result; raise `BadInput` if it is damaged."""
    found = read_json(file, REMEDY, {split: JUDGED for split in SPLITS})
    pointing = {split: POINTING for split in SPLITS if "pointing" in found[split]}
    return read_json(file, REMEDY, pointing)


def table(results):
    """Return a Markdown table of true claims, kind by kind, and of words that point at their thing.

    Figures are per cent, CIDEr x 100.
    """
    found = {name: read_result(file) for name in (CONSTANT, *NAMES)
             if (file := results / f"{name}.json").exists()}
    if not found:
        raise BadInput(f"{results} holds no result: run experiments.truth with --data first")
    heading = ["decoder", "split", "CIDEr", f"over {COMPARED}", *KINDS, "points at it",
               "touches it"]
    compared = found.get(COMPARED)
    return markdown(heading, [
        row(name, split, result[split], compared and name != COMPARED and compared[split])
        for name, result in found.items() for split in SPLITS])


def row(name, split, one, compared):
    """Return the cells of a decoder's captions of one split; compared: of that decoder, or None."""
    points = [f"{100 * rule['right']:.1f}" for rule in one.get("pointing", {}).values()]
    over = ""
    if compared:
        gain = paired_bootstrap(*(100 * np.array(each) for each in (compared["each"], one["each"])))
        over = f"{gain.mean:+.0f} [{gain.low:+.0f}, {gain.high:+.0f}]"
    return [name, split, f"{100 * one['CIDEr']:.0f}", over,
            *(cell(*one["claims"][kind]) for kind in KINDS), *(points or ("", ""))]


def cell(true, total):
    """Return the percentage of true claims as text, with their number where it is small."""
    few = f" ({total})" if total < FEW else ""
    return f"{100 * true / total:.1f}{few}" if total else "none"


def main():
    """Train and judge the decoders that are not done yet, or print the table."""
    experiment, options = on_scenes(
        "Train every decoder on drawn scenes and check the claims of its captions. Started again, "
        "it goes on.", [CONSTANT, *NAMES], "truth", table)
    if experiment is None:
        return
    for name in options.only:
        if experiment.done(name):
            continue
        if name == CONSTANT:
            experiment.write(name, {"data": Path(options.data).name} | {
                split: judge_constant(options.data, split) for split in SPLITS})
            continue
        about = experiment.trained(name, decoder_settings(name, options.data, options.seed))
        captioner = load_captioner(experiment.run(name), options.device)
        experiment.write(name, about | {
            split: judge(captioner, options.data, split) for split in SPLITS})
        print(f"{name}: done", flush=True)


if __name__ == "__main__":
    run_command(main)
