"""Two processes train what one does: the same losses, features and captions, one writer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from captioning.settings import CaptioningSettings
from coco.dataset import read_split
from data_loader import CaptionData, tokenized
from system import distributed
from tests.running import begin_run, train_run
from training.folders import read_history
from vocabulary import Vocabulary

# 59 of 60 captions, then 1: shares of unequal length, and one without a caption
SIZES = {"encoder": "tiny", "epochs": 2, "batch_size": 59, "embed_size": 16,
         "hidden_size": 16, "vocab_threshold": 1, "warmup": 1, "val_pictures": 6, "dropout": 0.0,
         "learning_rate": 1e-2, "precision": "float32"}
TWO = """
import signal, sys
import tests.tiny
from training import loop as training
from system.distributed import processes, rank
from captioning.settings import CaptioningSettings
from captioning.task import Captioning

settings, folder, stop = CaptioningSettings(**eval(sys.argv[1])), sys.argv[2], int(sys.argv[3])
step = training.step
training.save_curves = lambda *_: None           # they take longer than an epoch

def interrupted(run, batch):
    if rank() == 1 and run.position["epoch"] == 1 and run.position["batch"] == stop:
        signal.raise_signal(signal.SIGINT)
    return step(run, batch)

with processes("cpu") as device:
    training.train(Captioning(settings), folder + "/whole", device)
    training.step = interrupted
    try:
        training.train(Captioning(settings), folder + "/stopped", device)
    except KeyboardInterrupt as stop:
        print(f"process {rank()} {stop}", flush=True)
"""


@pytest.fixture(scope="module")
def settings(tiny_root):
    return CaptioningSettings(data=str(tiny_root), **SIZES)


@pytest.fixture(scope="module")
def one(settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    train_run(settings, folder)
    return folder


@pytest.fixture(scope="module")
def two(settings, tmp_path_factory):
    """Where two processes trained, and what they said."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "two.py").write_text(TWO)
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         "--", folder / "two.py", repr(vars(settings)), folder, "0"], capture_output=True,
        text=True, timeout=120, cwd=root, env={
            **os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1",
            "CAPTION_CACHE": str(folder / "cache")})
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def losses(folder):
    return [(row["train_loss"], row["val_loss"], row["CIDEr"]) for row in read_history(folder)]


def test_two_processes_have_the_losses_of_one(settings, one, two):
    np.testing.assert_allclose(losses(two[0] / "whole"), losses(one), atol=1e-5)
    ours, theirs = (load_file(folder / "best.safetensors") for folder in (one, two[0] / "whole"))
    for name, tensor in ours.items():
        torch.testing.assert_close(theirs[name], tensor, atol=1e-3, rtol=0)
    untrained = begin_run(settings, one.parent / "untrained").task.tensors()
    assert (untrained["decoder.scores.weight"] - ours["decoder.scores.weight"]).abs().max() > 1e-2


def test_two_processes_encode_every_picture(one, two):
    cache = Path(os.environ["CAPTION_CACHE"]) / "features"
    found = sorted((two[0] / "cache" / "features").iterdir())
    assert {path.suffix for path in found} == {".json", ".lock", ".npy"}    # and no .part
    arrays = [path for path in found if path.suffix == ".npy"]
    assert len(arrays) == 2
    for path in arrays:
        ours, theirs = np.load(cache / path.name), np.load(path)
        np.testing.assert_allclose(theirs.astype(float), ours.astype(float), atol=4e-3)
        assert np.abs(ours).max(axis=-1).min() > 0.1


def test_a_signal_to_one_process_stops_both_at_the_same_step(settings, one, two):
    folder, said = two
    for number in (0, 1):
        assert f"process {number} stopped in epoch 2 after 1 of 2 steps" in said
    position = json.loads((folder / "stopped" / "status.json").read_text())
    assert position["epoch"] == 1 and position["batch"] == 1
    train_run(settings, folder / "stopped")         # by one process, too
    np.testing.assert_allclose(losses(folder / "stopped"), losses(one), atol=1e-5)


def test_only_the_main_process_speaks(two):
    assert two[1].count("encoding train once") == 1
    assert two[1].count("epoch   1") == 2           # of two runs
    assert not list(two[0].glob("*/*.part-*"))


@pytest.mark.parametrize("world", [2, 3, 7])
def test_the_parts_of_a_batch_are_the_batch(tiny_root, world):
    split = read_split(tiny_root, "train")
    data = CaptionData(split, Vocabulary.build(tokenized(split), 1))
    index = np.array([3, 40, 11, 25, 8])
    parts = [data.rows(index[:, None], (rank, world)) for rank in range(world)]
    counted = [number for rows in parts if rows.counted for number in rows.captions]
    assert sorted(counted) == sorted(index)
    assert all(len(rows.captions) for rows in parts)


def test_rows_are_divided_without_gap_or_overlap(monkeypatch):
    monkeypatch.setattr(distributed, "world_size", lambda: 3)
    ends = []
    for rank in range(3):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        ends.append(distributed.shard(10))
    assert ends == [(0, 3), (3, 6), (6, 10)]
