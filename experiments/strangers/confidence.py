"""Does a captioner know when it does not know? Score its sentences by how sure it was of them.

    checkpoint, datasets --captions, confidences--> CIDEr by quarters of confidence
        --captions, Law--> how often a caption names what is absent, by calibrated confidence
        --> results/confidence/CHECKPOINT.DATASET.json --> tables

    python -m calibration CHECKPOINT --data ../shared/flickr8k
    python -m experiments.strangers.confidence --data ../shared/flickr8k ../shared/coco-photos
    python -m experiments.strangers.confidence --table          # from the files alone

The confidence of a sentence is the geometric mean of its words' probabilities, as
decoders/confidence.py has it; the calibrated one is that of calibration/law.py. Pictures are those
of experiments.strangers.captions, but the law is measured without those that it was fitted on; a
picture's CIDEr-D is judged among all of its dataset.
"""

from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from calibration.figures import right, weigh_each
from calibration.fitting import halves
from calibration.law import GUESS, KEY, law_of
from captioning.evaluation import objects_of, score, tokenized_references
from coco.dataset import read_split
from experiments.harness import markdown
from experiments.strangers.captions import add_checkpoint, by_captioner, pictures_of
from experiments.strangers.datasets import finished, parser_of, percent, run
from scoring.calibration import area_under_curve, calibration_error, risks
from system.commands import run_command
from system.files import BadInput

PARTS = 4                   # quarters, from the least sure to the surest
COVERAGES = [0.05 * part for part in range(1, 21)]      # of the surest pictures
CALIBRATED = {"pictures": int, "absent": float, "error": float, "auc": float,
              "auc_of_mean": float, "risk": [float], "guesses": float,
              "absent_in_guesses": float | None}
RESULT = {"data": str, "checkpoint": str, "split": str, "pictures": int, "spearman": float,
          "cider": [float], "confidence": [float], "calibrated": CALIBRATED}


def judge(captioner, root, trained_on=None):
    """Return how a captioner's CIDEr and its absent objects go with its confidence on a dataset."""
    if (law := law_of(captioner)) is None:
        raise BadInput("the checkpoint is not calibrated: run python -m calibration on it first")
    split = pictures_of(root, captioner, trained_on)
    features = captioner.features(split)[0]
    found = captioner.hypotheses(features)
    sentences = [captioner.vocab.decode(best.words) for best, *_ in found]
    sure = np.exp([best.rank(1) for best, *_ in found])
    chances = np.array([law.probability(one) for one in weigh_each(captioner, features, found)])
    measured = unfitted(captioner, root, split)
    return {"split": split.name, "pictures": len(split.pictures),
            **compared(sentences, sure, split),
            "calibrated": measures(chances[measured], sure[measured],
                                   right(sentences, objects_of(split))[measured])}


def unfitted(captioner, root, split):
    """Return which pictures of a split the captioner's law was not fitted on, (pictures,) booleans.
    """
    if captioner.about[KEY]["data"] != Path(root).resolve().name:
        return np.ones(len(split.pictures), bool)
    val = read_split(root, "val")
    fitted = {picture.file for picture, fits in zip(val.pictures, halves(val), strict=True) if fits}
    return np.array([picture.file not in fitted for picture in split.pictures])


def compared(sentences, sure, split):
    """Return how CIDEr goes with confidence: rank correlation, and the mean of each part."""
    each = score(sentences, tokenized_references(split))[1]
    parts = np.array_split(np.argsort(sure, kind="stable"), PARTS)
    return {"spearman": float(spearmanr(sure, each).statistic),
            "cider": [float(each[part].mean()) for part in parts],
            "confidence": [float(sure[part].mean()) for part in parts]}


def measures(chances, sure, outcomes):
    """Return the measures of probabilities (pictures,) that nothing absent is named.

    sure: the geometric means, of which only the order is measured.
    """
    curve, guesses = risks(chances, outcomes), chances < GUESS
    return {"pictures": len(chances), "absent": float(1 - outcomes.mean()),
            "error": calibration_error(chances, outcomes),
            "auc": area_under_curve(chances, outcomes),
            "auc_of_mean": area_under_curve(sure, outcomes),
            "risk": [float(curve[max(1, round(part * len(curve))) - 1]) for part in COVERAGES],
            "guesses": float(guesses.mean()),
            "absent_in_guesses": float(1 - outcomes[guesses].mean()) if guesses.any() else None}


def table(results):
    """Return two Markdown tables of all datasets: of CIDEr x 100, and of what is absent."""
    found = finished(results, RESULT, "experiments.strangers.confidence")
    heading = ["data", "split", "pictures", "sentences of", "least sure quarter", "second", "third",
               "surest quarter", "rank correlation"]
    return markdown(heading, [
        [one["data"], one["split"], one["pictures"], one["checkpoint"],
         *(f"{100 * cider:.1f} (sure {sure:.2f})"
           for cider, sure in zip(one["cider"], one["confidence"], strict=True)),
         f"{one['spearman']:.2f}"] for one in found]) + "\n\n" + absent_table(found)


def absent_table(found):
    """Return the Markdown table of how often captions name what is absent, in per cent."""
    quarters = [len(COVERAGES) * part // PARTS - 1 for part in range(1, PARTS + 1)]
    heading = ["data", "pictures", "sentences of", "calibration error", "area under the curve",
               "by the geometric mean",
               *(f"absent in the surest {COVERAGES[place]:.0%}" for place in quarters[:-1]),
               "in all", "guesses", "absent in guesses"]
    return markdown(heading, [
        [one["data"], one["calibrated"]["pictures"], one["checkpoint"],
         f"{one['calibrated']['error']:.3f}",
         f"{one['calibrated']['auc']:.3f}", f"{one['calibrated']['auc_of_mean']:.3f}",
         *(percent(one["calibrated"]["risk"][place]) for place in quarters),
         percent(one["calibrated"]["guesses"]), percent(one["calibrated"]["absent_in_guesses"])]
        for one in found])


def main():
    """Judge the captioner on the datasets that are not done yet, and print the tables."""
    parser = add_checkpoint(parser_of("Score sentences by how sure a captioner was.",
                                      "confidence"))
    run(parser.parse_args(), lambda options: by_captioner(options, judge), table)


if __name__ == "__main__":
    run_command(main)
