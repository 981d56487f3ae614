"""The rows of the benchmark on growth and starting: opening, more pictures, more processes.

    Setup --opening, scaling, ddp, cold--> {"open_ratio_cold": Figure, ...}

Memory and starting are properties of a process, so most of this happens in new ones.
"""

import subprocess
import sys
from contextlib import ExitStack
from itertools import count
from statistics import median

import torch
from PIL import Image

from coco.dataset import read_split
from data_loader import LONGEST
from experiments.bench import reference
from experiments.bench.child import (
    THRESHOLD,
    Child,
    open_first_batch,
    write_captions,
    write_stand_in,
)
from experiments.bench.tools import ROOT, Figure, alternate, ratios, require, timed

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")


def opening(setup):
    """Open a captions file up to the first batch: without and with what is cached on disk.

    Cold, a sample is compared with the same sample. Warm, all captions, in a process of their own,
    are compared with the sample's time scaled up: a sample would take too short to be measured.
    """
    sizes, seeds, folder = setup.sizes, count(1), setup.folder / "captions"
    file = folder / "annotations" / "captions_train.json"

    def opened_cold():
        write_captions(folder, sizes.opened, next(seeds))       # unlike any opened before
        return timed(open_first_batch, folder)[1]

    write_captions(folder, min(1000, sizes.opened), next(seeds))
    same_captions(open_first_batch(folder), usual_first_batch(file))
    whole = write_captions(setup.folder / "whole", sizes.opened_whole, next(seeds))
    with Child(["open", whole], torch.get_num_threads()) as child:
        first = child.answer()
        cold, usual, warm = alternate(
            sizes, opened_cold, lambda: timed(usual_first_batch, file)[1], child.ask)
    scale = sizes.opened_whole / sizes.opened
    sample, all_of = f"{sizes.opened:,} captions", f"{sizes.opened_whole:,} captions"
    figures = {"open_ratio_cold": Figure.of(ratios(usual, cold), "x", f"{sample} a round; {all_of} "
                                            f"took {first['seconds']:.1f} s once"),
               "open_ratio_warm": Figure.of([scale * one / other["seconds"] for one, other in
                                             zip(usual, warm, strict=True)], "x",
                                            f"{all_of}, of the reference {sample}, scaled")}
    if first["peak"]:                   # on Linux
        figures["open_peak_gb"] = Figure.of([first["peak"] / 1e9], "GB", f"{all_of}, cold")
    return figures


def usual_first_batch(file):
    """Return the usual loader and its first captions."""
    dataset = reference.UsualDataset(file)
    return dataset, [dataset.caption(index) for index in dataset.draw(64)]


def same_captions(ours, usual):
    """Require the same vocabulary and lengths of two openings."""
    vocab, data, _ = ours
    lengths = [min(length + 2, LONGEST) for length in usual[0].lengths]     # with both ends
    require(vocab.words == usual[0].words, "the vocabulary")
    require(data.lengths.tolist() == lengths, "the lengths of captions")


def training_child(setup, name, pictures, threshold, threads, launcher=()):
    """Start a process to train on pictures, a tuple, with a vocabulary of that threshold."""
    folder = setup.folder / name
    write_stand_in(folder / "data", pictures)
    return Child(["train", folder / "data", folder, setup.sizes.steps, threshold], threads,
                 launcher)


def in_turn(setup, children):
    """Wait until the children are ready, let them take turns, and return the answers of each."""
    with ExitStack() as stack:
        children = [stack.enter_context(child) for child in children]
        for child in children:
            child.answer()
        return alternate(setup.sizes, *[child.ask for child in children])


def scaling(setup):
    """Train on 3 and 10 times as many pictures: time per pair, and anonymous memory on Linux."""
    size, threads = setup.sizes.pictures, torch.get_num_threads()
    pictures = read_split(setup.data, "train").pictures[:size]
    # the same pictures again: with a vocabulary of all words, nothing but their number grows
    answers = in_turn(setup, [training_child(setup, f"{times} times", times * pictures, 1, threads)
                              for times in (1, 3, 10)])
    return grown("scaling", answers, size, "pictures")


def grown(key, answers, size, what):
    """Return the figures of what processes of 1, 3 and 10 times `size` items answered in turn."""
    costs = {f"{key}_time": [[one["seconds"] / one["items"] for one in mine] for mine in answers]}
    if answers[0][0]["memory"]:         # on Linux
        costs[f"{key}_memory"] = [[one["memory"] for one in mine] for mine in answers]
    return {name: Figure.of(ratios(most, least), "x", f"{10 * size:,} {what} over {size:,}; "
                            f"{3 * size:,}: {median(ratios(middle, least)):.3f}")
            for name, (least, middle, most) in costs.items()}


def ddp(setup):
    """Train by two gloo processes, compared with one of all threads: same batches."""
    pictures, threads = read_split(setup.data, "train").pictures, torch.get_num_threads()
    each = max(1, threads // 2)
    one_process, two_processes = in_turn(setup, [
        training_child(setup, "one process", pictures, THRESHOLD, threads),
        training_child(setup, "two processes", pictures, THRESHOLD, each, TORCHRUN)])
    gains = [one["seconds"] / two["seconds"]
             for one, two in zip(one_process, two_processes, strict=True)]
    return {"ddp_ratio": Figure.of(gains, "x", f"{setup.sizes.steps} steps of 64 a round, 2 x "
                                   f"{each} threads over {threads}")}


def cold(setup):
    """Run `caption.py photo.jpg` in a new process: seconds beyond those of `import torch`."""
    photo = setup.folder / "photo.jpg"
    Image.effect_noise((4000, 3000), 80).convert("RGB").save(photo)     # 12 megapixels

    def seconds(*command):
        return timed(lambda: subprocess.run([sys.executable, *command], check=True, cwd=ROOT,
                                            stdout=subprocess.DEVNULL))[1]

    seconds("caption.py", photo)                        # so that files come from a warm disk
    bare, whole = alternate(setup.sizes, lambda: seconds("-c", "import torch"),
                            lambda: seconds("caption.py", photo))
    beyond = [one - other for one, other in zip(whole, bare, strict=True)]
    return {"cold_caption_s": Figure.of(beyond, "s", "a photograph of 12 megapixels")}
