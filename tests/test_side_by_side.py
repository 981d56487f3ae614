"""The table of sentences marks claims by more than colour, and asks nothing of a reader's page."""

import re

import pytest
from PIL import Image

from coco.dataset import Picture
from figures.side_by_side import side_by_side
from tests.test_claims import MEADOW, SNOW


@pytest.fixture
def pictures(tmp_path):
    Image.new("RGB", (64, 32), "green").save(tmp_path / "one.png")
    return [Picture(number, tmp_path / "one.png", (f'Picture "{number}".',)) for number in (0, 1)]


def test_true_claims_are_marked_and_false_ones_struck_through(pictures):
    html = side_by_side(pictures, {"greedy": [["a red car"], ["a zebra"]],
                                   "sampling": [["a blue car", "a house"], ["two cats"]]},
                        [MEADOW, SNOW]).data
    assert re.findall(r"<mark [^>]*>([^<]*)</mark>", html) == ["red car", "car", "cats"]
    assert re.findall(r"<del [^>]*>([^<]*)</del>", html) == [
        "blue", "house", "two"]
    assert re.findall(r"<th [^>]*>([^<]*)</th>", html) == ["picture", "greedy", "sampling"]
    text = re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", html))
    assert "a zebra (not understood)" in text and text.count("not understood") == 1


def test_without_graphs_nothing_is_marked(pictures):
    html = side_by_side(pictures, {"greedy": [["a red car"], ["a <b> zebra"]]}).data
    assert "a red car" in html and "a &lt;b&gt; zebra" in html
    assert not re.search("<mark|<del|understood", html)


def test_the_spaces_between_words_are_those_of_the_sentence(pictures):
    html = side_by_side(pictures[:1], {"one": [["The red car, near a blue house."]]}, [MEADOW]).data
    shown = re.search(r"<p [^>]*>(.*?)</p>", html, re.S)[1]
    assert re.sub("<[^>]*>", "", shown).strip() == "The red car, near a blue house."


def test_pictures_have_the_alt_text_of_a_person_and_nothing_is_run_or_fetched(pictures):
    html = side_by_side(pictures, {"greedy": [["a car"], ["a cat"]]}).data
    assert re.findall(r'alt="([^"]*)"', html) == [f"Picture &#34;{n}&#34;." for n in (0, 1)]
    assert not re.search(r"<script|<style|https?:|url\(", html)
