"""Do objects help? Captioners of drawn pictures over a grid, over found boxes and over true ones.

    rows --train--> runs/objects/NAME --caption test, novel--> claims, relations, pointing
        --> results/objects/NAME.json --> table

    python -m experiments.objects --data data/scenes   # a detector first, then minutes for each row
    python -m experiments.objects --table              # from the files alone

Claims are those of the likeliest captions. Beams seldom say how things lie, so relations are also
judged in sampled captions, of 20 samples of a picture the likeliest that states one, and on
request, where a caption goes on from "a red ball to the", see prompts.py. Each row with
boxes is judged a second time with the boxes of a picture dealt out to its regions at random:
what then remains of the relations is said without looking where things are. The rows *blind* have
never seen where a region lies. Rows with the true boxes are an oracle's.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from captioning.checkpoint import load_captioner
from captioning.evaluation import report_of
from captioning.mirroring import Mirrored
from captioning.pointing import caption_with_weights, mentions, read_boxes, report
from captioning.task import Captioning
from coco.dataset import read_split
from decoders.search import Search
from detection.evaluation import evaluate
from detection.settings import RECIPES, DetectionSettings
from detection.task import Detection
from encoders.features import cached_features
from encoders.regions import BESIDE, load_detector
from experiments.harness import graphs_of, markdown, on_scenes
from experiments.prompts import prompted
from experiments.truth import BEAM, SPLITS, cell, decoder_settings
from scenes.claims import KINDS, LOCATED, tally
from scenes.grammar import readings
from scenes.meaning import Statement
from system.commands import run_command
from system.files import BadInput, read_json
from training.loop import train

SAMPLES = Search(method="sample", captions=20)
DETECTOR = "detector"
EPOCHS = 6                  # over regions, where a step reads twice as many captions
JUDGED = {"CIDEr": float, "claims": dict.fromkeys(KINDS, (int, int)), "relations": (int, int),
          "prompted": (int, int), "pointing": {"right": float}}
REMEDY = "move it away and run experiments.objects again"


@dataclass(frozen=True)
class Row:
    """A captioner: its decoder, where its boxes come from, and whether it never sees them."""

    name: str
    decoder: str
    boxes: str = ""             # "" for a grid, detected or truth
    blind: bool = False


ROWS = (Row("updown-grid", "updown"), Row("objects-grid", "objects"),
        Row("updown-detected", "updown", "detected"),
        Row("objects-detected", "objects", "detected"),
        Row("objects-blind", "objects", "detected", blind=True),
        Row("updown-oracle", "updown", "truth"), Row("objects-oracle", "objects", "truth"))


def without_boxes(backbone, transform, split, views=1, cache=None):
    """Return the cached features of regions with every box put to zero."""
    features = np.array(cached_features(backbone, transform, split, views, cache))
    features[..., -BESIDE:-1] = 0
    return features


def shuffled(features, seed=0):
    """Return features (P, K, D + 5) with the boxes of each picture's regions dealt out anew.

    Row 0, the whole picture, keeps its box, and rows that only fill up stay as they are.
    """
    random, features = np.random.default_rng(seed), np.array(features)
    for rows in features:
        there = np.flatnonzero(rows[1:, -1]) + 1
        rows[there, -BESIDE:-1] = rows[random.permutation(there), -BESIDE:-1]
    return features


def states_relation(sentence):
    """Return whether some reading of a sentence says how or where things lie."""
    return any(isinstance(said, Statement) and said.kind in LOCATED
               for reading in readings(sentence) for said in reading)


def relations(captioner, features, graphs):
    """Return [true, claims] of relation in the likeliest sample of each picture that states one."""
    said, of = [], []
    for sentences, graph in zip(captioner.sentences(features, SAMPLES), graphs, strict=True):
        stating = [sentence for sentence in sentences if states_relation(sentence)]
        said += stating[:1]
        of += [graph][:len(stating)]
    return tally(said, of)["relation"]


def judge(captioner, data, name, features_of):
    """Judge the captions of a split, and with regions a second time, with shuffled boxes."""
    split = read_split(data, name)
    graphs = graphs_of(data, split)
    regions = "boxes" in captioner.architecture["encoder"]
    features = features_of(captioner.encoder.backbone, captioner.transform, split)[0]
    found = figures(captioner, features, split, graphs)
    captions, weights = caption_with_weights(captioner, features, BEAM)
    named = mentions(captions, weights, read_boxes(data, split), captioner.vocab,
                     torch.tensor(features[..., -BESIDE:]) if regions else None)
    found["pointing"] = {"words": len(named.peaks), "right": report(named)["middle in the box"][0]}
    if regions:
        found["shuffled"] = figures(captioner, shuffled(features), split, graphs)
    return found


def figures(captioner, features, split, graphs):
    """Return {"CIDEr", "distinct", "claims", "relations", "prompted"} of captions of features."""
    sentences = [best for best, *_ in captioner.sentences(features, BEAM)]
    scores, _, _ = report_of(sentences, split, str(BEAM))
    return {"CIDEr": scores["CIDEr"], "distinct": scores["distinct"],
            "claims": tally(sentences, graphs),
            "relations": relations(captioner, features, graphs),
            "prompted": prompted(captioner, features, graphs)}


def climb(experiment, row, seed):
    """Train and judge a row, the detector before the first that needs it."""
    settings = decoder_settings(row.decoder, experiment.data, seed)
    if row.boxes:
        boxes = "truth" if row.boxes == "truth" else experiment.run(DETECTOR).as_posix()
        # the features alone may not tell where a region lies, nor can its box if it is not seen
        settings = replace(settings, boxes=boxes, epochs=EPOCHS)
    features = without_boxes if row.blind else cached_features
    task = Mirrored if row.boxes and not row.blind else Captioning
    about = experiment.trained(row.name, settings, features, task)
    captioner = load_captioner(experiment.run(row.name), experiment.device)
    return about | {name: judge(captioner, experiment.data, name, features) for name in SPLITS}


def detect(experiment, seed):
    """Train the detector, if it is not done yet, and write its average precision."""
    if experiment.done(DETECTOR):
        return
    settings = DetectionSettings(experiment.data, **{**RECIPES["detector"], "seed": seed})
    train(Detection(settings), experiment.run(DETECTOR), experiment.device)
    backbone = load_detector(experiment.run(DETECTOR)).to(experiment.device)
    experiment.write(DETECTOR, {
        "data": Path(experiment.data).name, "settings": asdict(settings) | {
            "data": Path(experiment.data).name},
        **{name: evaluate(backbone, read_split(experiment.data, name)) for name in SPLITS}})


def table(results):
    """Return a Markdown table of true claims in per cent, kind by kind; CIDEr is x 100."""
    found = {row.name: read_json(file, REMEDY, dict.fromkeys(SPLITS, JUDGED)) for row in ROWS
             if (file := results / f"{row.name}.json").exists()}
    if not found:
        raise BadInput(f"{results} holds no result: run experiments.objects with --data first")
    heading = ["row", "split", "CIDEr", *KINDS, "sampled relations", "prompted",
               "points at it", "shuffled: sampled", "shuffled: prompted"]
    lines = markdown(heading, [cells(name, split, result[split])
                               for name, result in found.items() for split in SPLITS])
    return "\n\n".join([lines, *detector_lines(results)])


def cells(name, split, judged):
    """Return the cells of a row's captions of one split."""
    mixed = judged.get("shuffled", {"relations": (0, 0), "prompted": (0, 0)})
    return [name, split, f"{100 * judged['CIDEr']:.0f}",
            *(cell(*judged["claims"][kind]) for kind in KINDS), counted(judged["relations"]),
            counted(judged["prompted"]), f"{100 * judged['pointing']['right']:.1f}",
            counted(mixed["relations"]), counted(mixed["prompted"])]


def counted(claims):
    """Return the percentage of [true, claims] with the number of claims."""
    true, total = claims
    return f"{100 * true / total:.1f} of {total}" if total else "none"


def detector_lines(results):
    """Return a line about the detector, if it is done."""
    file = results / f"{DETECTOR}.json"
    if not file.exists():
        return []
    found = read_json(file, REMEDY, dict.fromkeys(SPLITS, {"AP": float, "AP50": float}))
    return ["The detector's average precision: " + "; ".join(
        f"{split} {100 * found[split]['AP']:.1f}, at half overlap {100 * found[split]['AP50']:.1f}"
        for split in SPLITS) + "."]


def main():
    """Train and judge the rows that are not done yet, or print the table."""
    experiment, options = on_scenes(
        "Train captioners on drawn scenes over a grid and over regions and check the claims of "
        "their captions. Started again, it goes on.", [row.name for row in ROWS], "objects", table)
    if experiment is None:
        return
    for row in ROWS:
        if row.name not in options.only or experiment.done(row.name):
            continue
        if row.boxes == "detected":
            detect(experiment, options.seed)
        experiment.write(row.name, climb(experiment, row, options.seed))
        print(f"{row.name}: done", flush=True)


if __name__ == "__main__":
    run_command(main)
