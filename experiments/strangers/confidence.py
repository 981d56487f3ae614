"""Does a captioner know when it does not know? Score its sentences by how sure it was of them.

    checkpoint, datasets --captions, confidences--> CIDEr by quarters of confidence
        --> results/confidence/CHECKPOINT.DATASET.json --> table

    python -m experiments.strangers.confidence --data ../shared/flickr8k ../shared/coco-photos
    python -m experiments.strangers.confidence --table          # from the files alone

The confidence of a sentence is the geometric mean of its words' probabilities, as
decoders/confidence.py has it. Pictures are those of experiments.strangers.captions; one's CIDEr-D
is judged among all of its dataset.
"""

import numpy as np
from scipy.stats import spearmanr

from captioning.evaluation import score, tokenized_references
from experiments.harness import markdown
from experiments.strangers.captions import add_checkpoint, by_captioner
from experiments.strangers.datasets import finished, parser_of, run
from system.files import run_command

PARTS = 4                   # quarters, from the least sure to the surest
RESULT = {"data": str, "checkpoint": str, "split": str, "pictures": int, "spearman": float,
          "cider": [float], "confidence": [float]}


def confidences(captioner, split):
    """Return the best sentence of each picture, and its confidence (pictures,)."""
    found = [best for best, *_ in captioner.hypotheses(captioner.features(split)[0])]
    return ([captioner.vocab.decode(one.words) for one in found],
            np.exp([one.rank(1) for one in found]))


def judge(captioner, split):
    """Return how a captioner's CIDEr goes with its confidence on a split."""
    return {"split": split.name, "pictures": len(split.pictures),
            **compared(*confidences(captioner, split), split)}


def compared(sentences, sure, split):
    """Return how CIDEr goes with confidence: rank correlation, and the mean of each part."""
    each = score(sentences, tokenized_references(split))[1]
    parts = np.array_split(np.argsort(sure, kind="stable"), PARTS)
    return {"spearman": float(spearmanr(sure, each).statistic),
            "cider": [float(each[part].mean()) for part in parts],
            "confidence": [float(sure[part].mean()) for part in parts]}


def table(results):
    """Return a Markdown table of all datasets: CIDEr x 100 and mean confidence of each part."""
    found = finished(results, RESULT, "experiments.strangers.confidence")
    heading = ["data", "split", "pictures", "least sure quarter", "second", "third",
               "surest quarter", "rank correlation"]
    return markdown(heading, [
        [one["data"], one["split"], one["pictures"],
         *(f"{100 * cider:.1f} (sure {sure:.2f})"
           for cider, sure in zip(one["cider"], one["confidence"], strict=True)),
         f"{one['spearman']:.2f}"] for one in found])


def main():
    """Judge the captioner on the datasets that are not done yet, and print the table."""
    parser = add_checkpoint(parser_of("Score sentences by how sure a captioner was.",
                                      "confidence"))
    run(parser.parse_args(), lambda options: by_captioner(options, judge), table)


if __name__ == "__main__":
    run_command(main)
