"""What notebook 2 plants in its section "Is this normal?", the project names by itself."""

import ast
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
import torch

from captioning.complaints import warn_of_shared
from captioning.settings import CaptioningSettings
from coco.dataset import read_split
from tests.running import begin_run
from training.loop import finish_epoch, step, validate

PAGE = nbformat.read(Path(__file__).parent.parent / "2_Training.ipynb", as_version=4)
NAMED = {"same": "every picture got the same caption",
         "shown": "the decoder is shown the very words",
         "still": "the loss stands still at", "leak": "val pictures are also train pictures"}


def from_page(name):
    """A function of the page, without running anything else on it."""
    for cell in PAGE.cells:
        if cell.cell_type == "code" and f"def {name}(" in cell.source:
            tree = ast.parse(cell.source)
            tree.body = [node for node in tree.body if getattr(node, "name", "") == name]
            scope = {"torch": torch}
            exec(compile(tree, name, "exec"), scope)
            return scope[name]
    raise AssertionError(f"2_Training.ipynb has no function {name}")


@pytest.fixture
def trained(tiny_root, tmp_path, capsys, no_curves):
    """What is said on stderr of the last epoch of a short training with a fault planted."""
    def train(fault, **dials):
        dials = {"encoder": "tiny", "learning_rate": 0.01, "views": 1, "vocab_threshold": 1,
                 "dropout": 0, "embed_size": 32, "hidden_size": 32, "batch_size": 4, "warmup": 2,
                 "epochs": 10, "patience": 10, **dials}
        settings = CaptioningSettings(str(tiny_root), **dials)
        run = begin_run(settings, tmp_path / "run")
        fault(run)
        for epoch in run.epochs():
            for batch in run.batches(epoch):
                step(run, batch)
            scores = validate(run)
            capsys.readouterr()
            finish_epoch(run, scores)
        return capsys.readouterr().err
    return train


def nothing(run):
    """No fault."""


def test_a_healthy_run_is_not_warned_of(trained):
    assert "warning" not in trained(nothing)


def test_a_decoder_that_does_not_see_the_picture_is_named(trained):
    assert NAMED["same"] in trained(from_page("blind"))


def test_targets_that_are_off_by_one_are_named(trained):
    assert NAMED["shown"] in trained(from_page("off_by_one"))


def test_a_loss_that_stands_still_is_named(trained):
    assert NAMED["still"] in trained(nothing, learning_rate=1e-7, epochs=2)


def test_val_pictures_in_train_are_named(tiny_root, capsys):
    train, val = read_split(tiny_root, "train"), read_split(tiny_root, "val")
    warn_of_shared(replace(train, pictures=(*train.pictures, *val.pictures[:2])), val)
    assert f"2 of 6 {NAMED['leak']}" in capsys.readouterr().err


def test_the_page_shows_each_of_these_warnings():
    said = "".join(output.get("text", "") for cell in PAGE.cells if cell.cell_type == "code"
                   for output in cell.outputs if output.get("name") == "stderr")
    assert [words for words in NAMED.values() if words not in said] == []
