"""What only a GPU can show: steps that never wait for it, the CPU's captions, and its speed.

Run from the repository's root: python -m tests.check_gpu

It trains one epoch on the drawn scenes in bfloat16, in a folder under cache/ that it makes anew.
"""

import math
import shutil
import sys
import time
from pathlib import Path

import torch

from captioning.checkpoint import load_captioner
from captioning.settings import RECIPES, CaptioningSettings
from captioning.task import Captioning
from encoders.features import encode_split
from scenes.dataset import find_root
from system.commands import run_command
from system.files import BadInput
from training import run as runs
from training.loop import Run, finish_epoch, step, validate

FOLDER = Path("cache/gpu-check")


def train_without_waiting(run):
    """One epoch in which to wait for the GPU is an error; words per second."""
    run.losses.every = runs.SAVE_EVERY = math.inf   # to read a loss or to save is to wait
    batches, began = run.batches(0), time.monotonic()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(run.steps_per_epoch):
            step(run, next(batches))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    next(batches, None)                             # reads the losses, and saves
    return run.position["count"] / (time.monotonic() - began)


def captions_on(device, folder, split):
    """The split's sentences by the run's best captioner, from its pictures on; pictures a second.
    """
    captioner = load_captioner(folder, device)
    encode_split(captioner.encoder.backbone, captioner.transform, split.first(64))     # warm
    began = time.monotonic()
    features = encode_split(captioner.encoder.backbone, captioner.transform, split)
    sentences = [found[0] for found in captioner.sentences(features[0])]
    return sentences, len(sentences) / (time.monotonic() - began)


def main():
    if not torch.cuda.is_available():
        raise BadInput("no GPU that PyTorch can use is here: run this on a machine that has one")
    torch.backends.cudnn.allow_tf32 = False         # float32 is to mean float32
    shutil.rmtree(FOLDER, ignore_errors=True)
    settings = CaptioningSettings(data=str(find_root("scenes")), **{
        **RECIPES["small"], "epochs": 1, "precision": "bfloat16"})
    run = Run(Captioning(settings), FOLDER, "cuda")
    speed = train_without_waiting(run)
    row = finish_epoch(run, validate(run))
    print(f"{torch.cuda.get_device_name()}: an epoch in bfloat16 without waiting, {speed:.0f} "
          f"words/s, CIDEr {row['CIDEr']:.3f}")
    ours, slow = captions_on("cpu", FOLDER, run.task.val_split)
    theirs, fast = captions_on("cuda", FOLDER, run.task.val_split)
    equal = sum(map(str.__eq__, ours, theirs))
    print(f"{equal} of {len(ours)} captions in float32 are the CPU's; {fast:.0f} pictures/s read, "
          f"encoded and captioned, {slow:.0f} on the CPU")
    if equal < len(ours):
        print("error: the GPU's captions differ", file=sys.stderr)
    return int(equal < len(ours))


if __name__ == "__main__":
    run_command(main)
