"""The strip of a clip and its labels share one axis of time."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from figures.strips import show_labels, show_strip
from system.files import write_json
from video.clips import open_clip

CLASSES = ("Jump", "Leave", "Grow")


@pytest.fixture
def clip(tmp_path):
    """Return a clip of eight frames, two a second, each a little lighter than the one before."""
    for number in range(8):
        Image.new("L", (16, 16), 30 * number).convert("RGB").save(tmp_path / f"{number:06d}.png")
    write_json(tmp_path / "frames.json", {"times": [n / 2 for n in range(8)], "duration": 4.0})
    yield open_clip(tmp_path)
    plt.close("all")


def test_a_strip_shows_the_middles_of_equal_parts_in_their_order(clip):
    axis, = show_strip(clip, frames=4).axes
    shades = [int(image.get_array()[0, 0, 0]) for image in axis.images]
    assert shades == [30, 90, 150, 210]                     # at 0.5, 1.5, 2.5 and 3.5 s
    assert [text.get_text() for text in axis.get_xticklabels()] == [
        "0.5 s", "1.5 s", "2.5 s", "3.5 s"]


def test_a_label_stands_under_the_frames_that_have_it(clip):
    labels = np.zeros((8, 3), bool)
    labels[2:4, 1] = True                                   # leaves from 1 s to 2 s
    guess = np.full((8, 3), 0.1)
    guess[6:, 2] = 0.8
    strip, truth, guessed = show_labels(clip, {"truth": labels, "guess": guess}, CLASSES, hz=2,
                                        frames=4).axes
    assert [text.get_text() for text in truth.get_yticklabels()] == ["Leave", "Grow"]
    assert [axis.get_ylabel() for axis in (truth, guessed)] == ["truth", "guess"]
    image, = truth.images
    assert image.get_array().tolist() == [[0, 0, 1, 1, 0, 0, 0, 0], [0] * 8]
    assert image.get_extent()[:2] == [0, 4]
    assert strip.get_xlim() == truth.get_xlim() == (0, 4)
    second = strip.images[1].get_extent()
    assert 1 <= second[0] < second[1] <= 2


def test_probabilities_are_shaded_on_one_scale_in_all_panels(clip):
    weak, sure = np.full((8, 3), 0.6), np.full((8, 3), 1.0)
    _, *panels = show_labels(clip, {"weak": weak, "sure": sure}, CLASSES, hz=2).axes
    first, second = (axis.images[0] for axis in panels)
    assert first.get_clim() == second.get_clim() == (0, 1)
    assert first.to_rgba(0.6) != second.to_rgba(1.0)


def test_where_nothing_goes_on_all_classes_are_shown_and_empty(clip):
    _, panel = show_labels(clip, {"truth": np.zeros((8, 3), bool)}, CLASSES, hz=2).axes
    assert [text.get_text() for text in panel.get_yticklabels()] == [*CLASSES]
    assert not panel.images[0].get_array().any()
