"""Are the captions of every decoder true, and does it look at what it names? On the drawn scenes.

    decoder --train--> runs/truth/NAME --caption test, novel--> claims.tally, pointing.report
        --> results/truth/NAME.json --> table

    python -m experiments.truth --data data/scenes   # minutes for each decoder; done ones stay
    python -m experiments.truth --table              # from the files alone

A caption may be worded like no reference and be true, or be like all of them and false. The scene
graph knows. `novel` has pairs of shape and colour that no training picture has. Decoders are
trained by the recipe `small`, with the few changes of `settings_of`, which each result file has.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

from captioning.checkpoint import load_captioner
from captioning.evaluation import evaluate
from captioning.pointing import caption_with_weights, mentions, read_boxes, report
from coco.dataset import read_split
from decoders.registry import NAMES, wants_grid
from decoders.search import Search
from scenes.claims import KINDS, tally
from scenes.dataset import read_graphs
from system.files import BadInput, read_json, run_command, write_json
from training.loop import train
from training.settings import RECIPES, Settings

SPLITS = ("test", "novel")
BEAM = Search(beam=3)
RUNS, RESULTS = Path("runs/truth"), Path("results/truth")
TRANSFORMER = {"num_layers": 2, "dropout": 0.1, "learning_rate": 1e-3}
REMEDY = "delete it and run experiments.truth again"


def settings_of(name, data, seed):
    """What a decoder is trained with: recipe `small`, grids with a picture's captions together."""
    changes = {"decoder": name, "seed": seed}
    if wants_grid(name):
        changes |= {"together": 5, "epochs": 8}
    if name in ("transformer", "objects"):
        changes |= TRANSFORMER
    return Settings(**{**RECIPES["small"], "data": data, **changes})


def judge(captioner, data, name):
    """Of a split's captions: CIDEr, {kind: [true claims, claims]} and, of grids, pointing."""
    split = read_split(data, name)
    graphs = read_graphs(data, split)
    if not graphs:
        raise BadInput(f"{data} has no scene graphs to check claims by: make it with "
                       "'python prepare.py scenes'")
    scores, results, _ = evaluate(captioner, split, BEAM)
    found = {"CIDEr": scores["CIDEr"],
             "claims": tally([one["caption"] for one in results], graphs)}
    if captioner.architecture["encoder"]["grid"]:
        grids = captioner.features(split)[0]
        captions, weights = caption_with_weights(captioner, grids, BEAM)
        named = mentions(captions, weights, read_boxes(data, split), captioner.vocab)
        found["pointing"] = {rule: {"words": len(named.peaks), "right": right, "random": random}
                             for rule, (right, random, _) in report(named).items()}
    return found


def table(results):
    """Markdown: of every decoder its share of true claims, kind by kind, and of words that point.

    In per cent; in brackets the number of claims where there are fewer than 30.
    """
    found = [(name, read_json(results / f"{name}.json", REMEDY)) for name in NAMES
             if (results / f"{name}.json").exists()]
    if not found:
        raise BadInput(f"{results} holds no result: run experiments.truth with --data first")
    rows = [["decoder", "split", "CIDEr", *KINDS, "points at it", "touches it"]]
    rows += [["---"] * len(rows[0])]
    for name, result in found:
        for split in SPLITS:
            one = result[split]
            points = [f"{100 * rule['right']:.1f}" for rule in one.get("pointing", {}).values()]
            rows.append([name, split, f"{100 * one['CIDEr']:.0f}",
                         *(cell(*one["claims"][kind]) for kind in KINDS), *(points or ("", ""))])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def cell(true, total):
    """A share of true claims, as it stands in the table."""
    few = f" ({total})" if total < 30 else ""
    return f"{100 * true / total:.1f}{few}" if total else "none"


def arguments():
    parser = argparse.ArgumentParser(description="Train every decoder on drawn scenes and check "
                                     "the claims of its captions. Started again, it goes on.")
    parser.add_argument("--data", help="drawn scenes, made by prepare.py")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="DECODER",
                        help=f"these decoders: {', '.join(NAMES)}")
    parser.add_argument("--seed", type=int, default=0, help="of the trainings (%(default)s)")
    parser.add_argument("--table", action="store_true",
                        help="print the table of all that is finished, and do nothing else")
    return parser.parse_args()


def main():
    options = arguments()
    if options.table:
        print(table(RESULTS))
        return
    if not options.data:
        raise BadInput("give --data drawn scenes, made by prepare.py")
    for name in options.only:
        file = RESULTS / f"{name}.json"
        if file.exists():
            continue
        settings = settings_of(name, options.data, options.seed)
        train(settings, RUNS / name)
        captioner = load_captioner(RUNS / name)
        write_json(file, {"settings": asdict(settings), **{
            split: judge(captioner, options.data, split) for split in SPLITS}}, indent=1)
        print(f"{name}: done", flush=True)


if __name__ == "__main__":
    run_command(main)
