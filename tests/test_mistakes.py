"""The page of false captions shows each once, under its first false claim."""

import matplotlib.pyplot as plt
import pytest
from PIL import Image

from coco.dataset import Picture
from figures.mistakes import false_captions, show_mistakes

HOUSE = {"shape": "house", "colour": "green", "size": "big", "place": "left"}
GRAPH = {"objects": [HOUSE], "background": "snow", "relations": []}
SENTENCES = ("a green house", "a red house", "a red ball", "two green houses", "a small house",
             "a blue house", "a zebra")


def test_each_false_caption_stands_under_its_first_false_claim():
    found = false_captions(SENTENCES, [GRAPH] * len(SENTENCES))
    assert {kind: [one.number for one in mistakes] for kind, mistakes in found.items()} == {
        "object": [2], "colour": [1, 5], "size": [4], "count": [3]}
    assert found["colour"][0].sentence == "a red house" and "not red" in found["colour"][0].found


@pytest.fixture
def pictures(tmp_path):
    Image.new("RGB", (32, 32), "green").save(tmp_path / "one.png")
    return [Picture(number, tmp_path / "one.png", ("a green house",))
            for number in range(len(SENTENCES))]


def test_the_page_has_a_row_for_each_kind_with_its_number(pictures):
    figure = show_mistakes(pictures, SENTENCES, [GRAPH] * len(SENTENCES))
    assert [row.get_suptitle() for row in figure.subfigs] == [
        "object: 1 of 7 captions", "colour: 2 of 7 captions", "size: 1 of 7 captions",
        "count: 1 of 7 captions"]
    shown = [[axis.get_title() for axis in row.axes if axis.images] for row in figure.subfigs]
    assert shown[1] == ["a red house", "a blue house"]
    assert figure.subfigs[1].axes[0].texts[0].get_text().startswith("✗ ")
    plt.close(figure)


def test_without_mistakes_the_page_says_so(pictures):
    figure = show_mistakes(pictures[:1], SENTENCES[:1], [GRAPH])
    assert figure.texts[0].get_text() == "all of 1 captions are true"
    plt.close(figure)
