"""Every false caption is on the page once, under what is false in it."""

import matplotlib.pyplot as plt
import pytest
from PIL import Image

from claims import KINDS, check
from figures import ACCENT
from mistakes import Mistake, by_kind, show_mistakes

CAR = {"shape": "car", "colour": "red", "size": "large", "row": "ground", "group": 0,
       "column": "left", "box": [0, 0, 50, 50]}
BALL = {**CAR, "shape": "ball", "colour": "blue", "size": "small", "group": 1, "column": "right",
        "box": [90, 0, 50, 50]}
GRAPH = {"background": "meadow", "objects": [CAR, BALL], "relations": [
    {"subject": 0, "relation": "left of", "object": 1},
    {"subject": 1, "relation": "right of", "object": 0}]}
SAID = {"a red car": None, "a green car": "colour", "a tree": "object", "two cars": "count",
        "a car right of a ball": "relation", "a small car": "size", "a blue tree": "object",
        "a car at the beach": "background", "a car and a zebra": None, "a yellow ball": "colour"}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def graphs():
    return [GRAPH] * len(SAID)


@pytest.fixture
def files(tmp_path):
    path = tmp_path / "grey.png"
    Image.new("RGB", (32, 32), "grey").save(path)
    return [path] * len(SAID)


def texts(figure):
    return [[text.get_text().replace("\n", " ") for text in axis.texts] for axis in figure.axes]


def test_every_false_caption_is_sorted_under_its_first_false_claim_and_no_other():
    found = by_kind(SAID, graphs())
    sorted_out = {mistake.number: kind for kind, mistakes in found.items() for mistake in mistakes}
    assert sorted_out == {number: kind for number, kind in enumerate(SAID.values()) if kind}
    assert list(found) == list(KINDS)


def test_the_reason_is_the_checkers():
    found = by_kind(SAID, graphs())
    assert found["colour"][0] == Mistake(1, "there is a car but it is not green")
    for kind, mistakes in found.items():
        for number, why in mistakes:
            assert check(list(SAID)[number], GRAPH).why == f"the {kind}: {why}"


def test_a_row_tells_its_kind_and_how_many_there_are_of_it(files):
    titles = [text.get_text() for text in show_mistakes(files, list(SAID), graphs()).texts]
    assert titles == ["8 of 10 captions are false", "object: 2 of 8", "colour: 2 of 8",
                      "size: 1 of 8", "count: 1 of 8", "relation: 1 of 8", "background: 1 of 8"]


def test_beside_each_picture_stands_its_caption_and_a_crossed_reason(files):
    figure = show_mistakes(files, list(SAID), graphs(), columns=1)
    assert texts(figure)[:2] == [["a tree", "✗ there is no tree"],
                                 ["a green car", "✗ there is a car but it is not green"]]
    assert {axis.texts[1].get_color() for axis in figure.axes} == {ACCENT}


def test_a_row_shows_no_more_than_its_columns(files):
    shown = texts(show_mistakes(files, list(SAID), graphs(), columns=1))
    assert len(shown) == 6 and all(len(found) == 2 for found in shown)


def test_where_no_caption_is_false_the_page_says_so(files):
    figure = show_mistakes(files[:1], ["a red car"], [GRAPH])
    assert [text.get_text() for text in figure.texts] == ["0 of 1 captions are false"]
    figure.canvas.draw()
