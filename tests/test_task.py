"""The engine trains any task: here one that guesses a picture's background from its features."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from system import tensor_file
from training import loop
from training import run as runs
from training.loop import train
from training.settings import Settings, dial
from training.task import Task


@dataclass(frozen=True)
class BackgroundSettings(Settings):
    """The engine's settings, and the width of the one hidden layer."""

    width: int = dial(8, "size of the hidden layer")


class Pictures(tuple):
    """Features (P, D) and the numbers of their backgrounds (P,)."""

    def to(self, device):
        return Pictures(tensor.to(device) for tensor in self)


class Classifier(nn.Module):
    """Scores of every background, and their cross-entropy."""

    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Dropout(0.2),
                                    nn.Linear(width, 3))

    def forward(self, batch):
        features, backgrounds = batch
        loss = functional.cross_entropy(self.layers(features), backgrounds, reduction="sum")
        return loss, loss.detach(), loss.new_tensor(len(backgrounds))


class Backgrounds(Task):
    name, key, better = "backgrounds", "accuracy", max
    shown = ("val_loss", "accuracy")

    def read(self):
        self.features = torch.tensor(np.load(Path(self.settings.data) / "features.npy"))
        self.backgrounds = self.features[:, :3].argmax(dim=1)

    def prepare(self, device):
        torch.manual_seed(self.settings.seed)
        self.objective = Classifier(self.settings.width).to(device)
        self.steps_per_epoch = -(-40 // self.settings.batch_size)

    def groups(self):
        return [{"params": list(self.objective.parameters()), "peak": self.settings.learning_rate}]

    def batches(self, epoch, start):
        order = np.random.default_rng([self.settings.seed, epoch]).permutation(40)
        for index in np.array_split(order, self.steps_per_epoch)[start:]:
            yield Pictures((self.features[index], self.backgrounds[index]))

    def measure(self):
        scores = self.objective.layers(self.features[40:])
        right = (scores.argmax(dim=1) == self.backgrounds[40:]).float().mean().item()
        loss = functional.cross_entropy(scores, self.backgrounds[40:]).item()
        return {"val_loss": loss, "accuracy": right}

    def save_best(self, path, row):
        tensor_file.write(path, "backgrounds", 1, self.tensors(), {"row": row})


@pytest.fixture
def settings(tmp_path, no_curves):
    data = tmp_path / "data"
    data.mkdir()
    random = np.random.default_rng(0)           # a background is where the first three are highest
    features = random.random((60, 6), np.float32)
    features[range(60), random.integers(3, size=60)] += 2
    np.save(data / "features.npy", features)
    return BackgroundSettings(str(data), epochs=12, batch_size=10, learning_rate=0.02, warmup=4,
                              patience=12, average=0.5, width=16)


def test_a_toy_task_trains_and_keeps_its_best_epoch_by_its_own_key(settings, tmp_path):
    history = train(Backgrounds(settings), tmp_path / "run")
    accuracy = [row["accuracy"] for row in history]
    assert max(accuracy) >= 0.9 > accuracy[0] and len(history) == 12
    _, header = tensor_file.read(tmp_path / "run" / "best.safetensors", "backgrounds", 1, "")
    assert header["row"]["accuracy"] == max(accuracy)
    written = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert written["task"] == "backgrounds" and written["width"] == 16


def test_a_toy_task_that_was_killed_ends_bit_for_bit_as_one_that_was_not(settings, tmp_path,
                                                                         monkeypatch):
    class Kill(BaseException):
        pass

    whole = train(Backgrounds(settings), tmp_path / "whole")
    monkeypatch.setattr(runs, "SAVE_EVERY", -1)             # the state is saved before every step
    taken, step = [], loop.step

    def killed(run, batch):
        taken.append(batch)
        if len(taken) in (3, 20):
            raise Kill
        return step(run, batch)

    monkeypatch.setattr(loop, "step", killed)
    for _ in range(2):
        with pytest.raises(Kill):
            train(Backgrounds(settings), tmp_path / "killed")
    assert train(Backgrounds(settings), tmp_path / "killed") == whole
    ours, theirs = (load_file(tmp_path / name / "state.safetensors")
                    for name in ("killed", "whole"))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


def test_a_smaller_figure_can_be_the_better_one(settings, tmp_path):
    task = Backgrounds(settings)
    task.key, task.better = "val_loss", min
    history = train(task, tmp_path / "run")
    _, header = tensor_file.read(tmp_path / "run" / "best.safetensors", "backgrounds", 1, "")
    assert header["row"]["val_loss"] == min(row["val_loss"] for row in history)
