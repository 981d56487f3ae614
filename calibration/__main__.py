"""Calibrate a captioner: fit its law on half of val, measure it on the other, note both in its file.

    checkpoint, val --captions--> Figures, outcomes --fit--> Law --note--> the same checkpoint

    python -m calibration checkpoints/critical-flickr8k.safetensors --data data/flickr8k

Its weights stay as they are, bit for bit, and so do its captions. Once calibrated, `caption.py`
says which of them are guesses. Training further writes a checkpoint that is not calibrated.
"""

import argparse
from pathlib import Path

import numpy as np

from calibration.figures import right, weigh_each
from calibration.law import KEY, fit
from captioning.checkpoint import load_captioner, note
from captioning.evaluation import objects_of
from coco.dataset import in_drawn_order, read_split
from scoring.calibration import area_under_curve, calibration_error
from system.files import run_command
from system.processor import add_device
from system.tensor_file import best_file

SEED = 0                    # of the halves


def halves(split):
    """Return which pictures of a split fit a law, (P,) booleans; the others measure it."""
    pictures = split.pictures
    chosen = in_drawn_order(range(len(pictures)), SEED, lambda number: pictures[number].id)
    fits = np.zeros(len(pictures), bool)
    fits[chosen[:len(pictures) // 2]] = True
    return fits


def calibrated(captioner, split, data):
    """Return what a checkpoint notes: the law of one half of a split, and how the other keeps to it.

    data: the dataset's name.
    """
    features = captioner.features(split)[0]
    found = captioner.hypotheses(features)
    figures = weigh_each(captioner, features, found)
    outcomes = right([captioner.vocab.decode(best.words) for best, *_ in found], objects_of(split))
    fits = halves(split)
    law = fit([one for one, fitting in zip(figures, fits, strict=True) if fitting], outcomes[fits])
    chances = np.array([law.probability(one) for one in figures])[~fits]
    return {"law": law._asdict(), "data": data, "split": split.name, "fitted": int(fits.sum()),
            "measured": len(chances), "absent": float(1 - outcomes[~fits].mean()),
            "error": calibration_error(chances, outcomes[~fits]),
            "auc": area_under_curve(chances, outcomes[~fits])}


def calibrate(path, data, device="cpu", boxes=None):
    """Write a captioner's law into its checkpoint, or its run's best, and return what was noted."""
    path = best_file(path)
    noted = calibrated(load_captioner(path, device, boxes), read_split(data, "val"),
                       Path(data).resolve().name)
    note(path, **{KEY: noted})
    return noted


def main():
    parser = argparse.ArgumentParser(
        prog="python -m calibration", description="Calibrate a captioner: note in its checkpoint "
        "how probable it is that a caption names nothing that is not there.")
    parser.add_argument("checkpoint", help="a .safetensors checkpoint or a run's folder")
    parser.add_argument("--data", required=True, metavar="ROOT",
                        help="a dataset of photographs in COCO's layout with val, which the "
                        "captioner was not trained on")
    parser.add_argument("--boxes", metavar="FILE", help="weights of the detector that a captioner "
                        "of regions needs, if they are not the published ones")
    add_device(parser)
    options = parser.parse_args()
    noted = calibrate(options.checkpoint, options.data, options.device, options.boxes)
    print(f"{best_file(options.checkpoint)}: fitted on {noted['fitted']} pictures; on "
          f"{noted['measured']} others, {noted['absent']:.1%} of whose captions name an absent "
          f"object, calibration error {noted['error']:.3f}, area under the curve "
          f"{noted['auc']:.3f}")


if __name__ == "__main__":
    run_command(main)
