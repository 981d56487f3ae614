"""Figures can be read without colour, and those of the README are small and opaque."""

from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from figures.pictures import plot_history, show_regions
from images import draw
from images.unrolled import unrolled
from training.curves import plot_curves, save_curves

DRAWN = sorted((Path(__file__).parent.parent / "images").glob("*.png"))
HISTORY = [{"epoch": epoch, "train_loss": 3 / epoch, "val_loss": 4 / epoch, "perplexity": 9,
            "CIDEr": 1} for epoch in (1, 2, 3)]


def test_train_and_val_differ_in_more_than_colour():
    axes = Figure().subplots(1, 3)
    plot_history(HISTORY, axes)
    train, val = axes[0].lines
    assert train.get_linestyle() != val.get_linestyle()
    assert train.get_marker() != val.get_marker()
    assert [line.get_label() for line in axes[0].lines] == ["train", "val"]


def test_curves_are_of_the_figures_that_a_task_names():
    history = [{"epoch": 1, "train_loss": 2, "val_loss": 3, "accuracy": 0.5, "recall": 0.25}]
    axes = Figure().subplots(1, 3)
    plot_curves(history, axes, SimpleNamespace(
        curves={"recall": "recall", "accuracy": "accuracy"}, unit="answer"))
    assert [axis.get_title() for axis in axes] == [
        "loss per answer", "recall on val", "accuracy on val"]
    assert [list(axis.lines[0].get_ydata()) for axis in axes] == [[2], [0.25], [0.5]]
    assert axes[2].get_ylim()[0] == 0


def test_curves_are_saved_with_a_panel_for_each_figure(tmp_path):
    for name, curves in (("one.png", {}), ("three.png", {"perplexity": "", "CIDEr": ""})):
        save_curves(HISTORY, tmp_path / name, SimpleNamespace(curves=curves, unit="word"))
    one, three = (Image.open(tmp_path / name).size for name in ("one.png", "three.png"))
    assert one[1] == three[1] and abs(3 * one[0] - three[0]) <= 3


def test_the_box_of_largest_weight_has_the_strongest_frame(tmp_path):
    Image.new("RGB", (40, 20)).save(tmp_path / "one.png")
    boxes = torch.tensor([[0, 0, 1, 1], [0.25, 0.5, 0.75, 1], [0, 0, 0, 0]])
    weights = torch.tensor([[0.1, 0.4, 0.0], [0.3, 0.1, 0.0]])
    figure = show_regions(tmp_path / "one.png", ["a", "ball"], weights, boxes, columns=3)
    assert [axis.get_title() for axis in figure.axes] == ["", "a", "ball"]
    frames = [[one for one in axis.patches if not one.get_fill()] for axis in figure.axes[1:]]
    assert frames[0][1].get_bbox().extents.tolist() == [10, 10, 30, 20]      # in pixels
    assert [max(range(3), key=lambda row: one[row].get_linewidth()) for one in frames] == [1, 0]
    plt.close(figure)


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.name)
def test_a_drawn_figure_is_small_and_stands_on_a_light_ground_of_its_own(path):
    assert path.stat().st_size <= 200_000
    picture = Image.open(path).convert("RGBA")
    assert picture.getchannel("A").getextrema() == (255, 255)
    assert min(picture.getpixel((0, 0))[:3]) > 230


def test_the_unrolled_decoder_is_drawn_without_data_or_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(draw, "HERE", tmp_path)
    monkeypatch.chdir(tmp_path)
    unrolled()
    assert Image.open(tmp_path / "unrolled.png").width > 800
