"""Calibrate a captioner: fit a law on half of val, measure it on the other, note it in its file.

    checkpoint, val --calibrated--> Law and its measures --note--> the same checkpoint

    python -m calibration checkpoints/captioner.safetensors --data data/flickr8k

Its weights stay as they are, bit for bit, and so do its captions. Once calibrated, `caption.py`
says which of them are guesses. Training further writes a checkpoint that is not calibrated.
"""

import argparse
from pathlib import Path

from calibration.fitting import calibrated
from calibration.law import KEY
from captioning.card import card, is_packed
from captioning.checkpoint import load_captioner, note
from coco.dataset import read_split
from system.commands import run_command
from system.processor import add_device
from system.tensor_file import best_file
from training.cards import is_card, write_card


def calibrate(path, data, device="cpu", boxes=None):
    """Write a captioner's law into its checkpoint, or its run's best, and return what was noted.

    The card beside a packed captioner is written again, too.
    """
    path = best_file(path)
    noted = calibrated(load_captioner(path, device, boxes), read_split(data, "val"),
                       Path(data).resolve().name)
    note(path, **{KEY: noted})
    beside = path.with_suffix(".md")
    if is_packed(path) and beside.exists() and is_card(beside):
        write_card(beside, card(path))
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
