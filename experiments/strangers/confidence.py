"""Does a captioner know when it does not know? Score its sentences by how sure it was of them.

    checkpoint, datasets --captions, confidences--> CIDEr by quarters of confidence
        --> results/confidence/CHECKPOINT.DATASET.json --> table

    python -m experiments.strangers.confidence --data ../shared/flickr8k ../shared/coco-photos
    python -m experiments.strangers.confidence --table          # from the files alone

The confidence of a sentence is the geometric mean of its words' probabilities, as
decoders/confidence.py has it. Pictures are those of experiments.strangers.captions; one's CIDEr-D
is judged among all of its dataset.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from captioning.checkpoint import SHIPPED, load_captioner
from captioning.evaluation import score, tokenized_references
from experiments.harness import folders, markdown
from experiments.strangers.captions import pictures_of
from system.files import BadInput, read_json, run_command, write_json
from system.processor import add_device

PARTS = 4                   # quarters, from the least sure to the surest
RESULT = {"data": str, "checkpoint": str, "split": str, "pictures": int, "spearman": float,
          "cider": [float], "confidence": [float]}


def confidences(captioner, split):
    """Return the best sentence of each picture, and its confidence (pictures,)."""
    found = [best for best, *_ in captioner.hypotheses(captioner.features(split)[0])]
    return ([captioner.vocab.decode(one.words) for one in found],
            np.exp([one.rank(1) for one in found]))


def judge(sentences, sure, split):
    """Return how CIDEr goes with confidence: rank correlation, and the mean of each part."""
    each = score(sentences, tokenized_references(split))[1]
    parts = np.array_split(np.argsort(sure, kind="stable"), PARTS)
    return {"spearman": float(spearmanr(sure, each).statistic),
            "cider": [float(each[part].mean()) for part in parts],
            "confidence": [float(sure[part].mean()) for part in parts]}


def table(results):
    """Return a Markdown table of all datasets: CIDEr x 100 and mean confidence of each part."""
    found = [read_json(file, "move it away and run experiments.strangers.confidence again", RESULT)
             for file in sorted(results.glob("*.json"))]
    if not found:
        raise BadInput(f"{results} holds no result: run experiments.strangers.confidence with "
                       "--data first")
    heading = ["data", "split", "pictures", "least sure quarter", "second", "third",
               "surest quarter", "rank correlation"]
    return markdown(heading, [
        [one["data"], one["split"], one["pictures"],
         *(f"{100 * cider:.1f} (sure {sure:.2f})"
           for cider, sure in zip(one["cider"], one["confidence"], strict=True)),
         f"{one['spearman']:.2f}"] for one in found])


def main():
    """Judge the captioner on the datasets that are not done yet, and print the table."""
    parser = argparse.ArgumentParser(description="Score sentences by how sure a captioner was.")
    parser.add_argument("--data", nargs="+", default=[], metavar="ROOT",
                        help="datasets in COCO's layout")
    parser.add_argument("--checkpoint", default=SHIPPED, help="(the captioner in the box)")
    parser.add_argument("--name", default="confidence",
                        help="folder in results/; another for other data (%(default)s)")
    parser.add_argument("--table", action="store_true", help="only print what is finished")
    add_device(parser)
    options = parser.parse_args()
    _, results = folders(options)
    if not options.table and not options.data:
        raise BadInput("give --data the datasets to caption, or --table")
    for root in () if options.table else options.data:
        name = Path(options.checkpoint).stem
        file = results / f"{name}.{Path(root).name}.json"
        if not file.exists():
            captioner = load_captioner(options.checkpoint, options.device)
            split = pictures_of(root, captioner)
            write_json(file, {"data": Path(root).name, "checkpoint": name, "split": split.name,
                              "pictures": len(split.pictures),
                              **judge(*confidences(captioner, split), split)}, indent=1)
    print(table(results))


if __name__ == "__main__":
    run_command(main)
