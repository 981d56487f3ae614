"""Concept words are those of the published classifier, whatever the encoder has become."""

import sys

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from coco.dataset import Picture, Split, read_split
from concepts.nouns import plain_words
from encoders import concepts as module
from encoders.backbones import Backbone, transform_of
from encoders.classifiers import class_names, head_of
from encoders.concepts import (
    WORDS,
    Classifier,
    cached_concepts,
    category_numbers,
    concept_matrix,
    concepts,
    listed,
)
from encoders.encoding import encode, fast
from experiments.strangers import classifier as experiment
from system.commands import run_command
from system.files import BadInput, read_json

NAMES = ["tench", "pug", "boxer", "tabby", "espresso", "hotdog"]
TABLE = {"dog": ["pug .. boxer"], "cat": ["tabby"], "coffee": ["espresso"], "cup": ["espresso"]}


@pytest.fixture(scope="module")
def classifier():
    return Classifier()


def seen(classifier, picture):
    """The concepts of a picture, by word."""
    images = transform_of("efficientnet_lite0")(Image.fromarray(picture))[None]
    found = concepts(classifier(images), concept_matrix())[0]
    return dict(zip(WORDS, found.tolist(), strict=True))


def test_a_words_probability_is_the_sum_of_its_categories():
    matrix = concept_matrix(TABLE, NAMES)
    given = torch.tensor([[0.05, 0.2, 0.3, 0.1, 0.25, 0.1]])
    torch.testing.assert_close(concepts(given, matrix), torch.tensor([[0.5, 0.1, 0.25, 0.25]]))
    # as the cache keeps them
    assert concepts(given.half(), matrix).dtype == torch.float32


def test_a_range_has_both_its_ends_and_a_name_that_is_not_there_is_refused():
    assert list(category_numbers("pug .. tabby", NAMES)) == [1, 2, 3]
    assert list(category_numbers("tench", NAMES)) == [0]
    with pytest.raises(BadInput, match="0 categories of the name 'pugs'"):
        concept_matrix({"dog": ["pugs"]}, NAMES)
    with pytest.raises(BadInput, match="2 categories of the name 'pug'"):
        concept_matrix({"dog": ["pug"]}, [*NAMES, "pug"])


def test_the_table_has_118_breeds_and_no_sausage_for_dogs():
    matrix, names = concept_matrix(), class_names()
    of = {word: {names[place] for place in column.nonzero()[:, 0].tolist()}
          for word, column in zip(WORDS, matrix.T, strict=True)}
    assert len(of["dog"] - {"dingo", "dhole", "African hunting dog"}) == 118
    assert "hotdog" not in of["dog"] and "tiger cat" not in of["tiger"]
    assert "kite" not in of and "kite" in of["bird"]            # which it is to ImageNet
    assert of["mouse"] == {"mouse"} and "plane" not in of["plane"]      # a carpenter's
    assert "espresso" in of["coffee"] & of["cup"] and of["tv"] >= {"entertainment center"}
    assert all(of.values()) and matrix.shape == (1000, len(set(WORDS)))
    assert all(word.isalpha() and word.islower() for word in WORDS)     # as in a vocabulary
    assert all(len(entries) == len(set(entries)) for entries in listed().values())


def test_probabilities_are_those_of_stages_and_head(classifier):
    images = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        maps = Backbone("efficientnet_lite0").stages(images)
        expected = head_of("efficientnet_lite0")(maps).softmax(1)
    found = classifier(images)
    assert found.shape == (2, 1000)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)
    # the mean of a frozen encoder's cells is all that the classifier needs
    torch.testing.assert_close(classifier.classify(maps.flatten(2).mean(2)), found)


def test_an_espresso_is_coffee_and_a_cat_is_a_cat(classifier):
    coffee = seen(classifier, skimage.data.coffee())
    assert coffee["coffee"] > 0.8 and coffee["cup"] > 0.8 and coffee["dog"] < 0.01
    assert seen(classifier, skimage.data.chelsea())["cat"] > 0.8


def test_they_are_cached_as_features_are_and_fast_ones_are_alike(classifier, write_root, tmp_path,
                                                                monkeypatch):
    split = read_split(write_root(tmp_path / "root", {"train": 2, "val": 3}), "val")
    found = cached_concepts(split, cache=tmp_path / "cache")
    monkeypatch.setattr(Classifier, "forward", None)            # so it would fail
    assert torch.equal(cached_concepts(split, cache=tmp_path / "cache"), found)
    assert found.shape == (3, len(WORDS)) and found.min() >= 0 and found.max() <= 1.001
    monkeypatch.undo()
    images = torch.stack([transform_of("efficientnet_lite0")(one.open()) for one in split.pictures])
    torch.testing.assert_close(found, concepts(classifier(images), concept_matrix()), rtol=0.1,
                               atol=0.02)
    assert encode(fast(classifier), images).shape == (3, 1000)


def test_each_network_sees_pictures_as_it_was_trained(monkeypatch):
    seen = []
    monkeypatch.setattr(module, "Classifier", lambda name: name)
    monkeypatch.setattr(module, "cached_features", lambda *given, cache: seen.append(given) or
                        np.zeros((1, 2, 1000), np.float16))
    for name in ("efficientnet_lite0", "efficientnet_lite2"):
        assert cached_concepts("split", name, "crop").shape == (2, len(WORDS))
        assert seen.pop() == (name, transform_of(name, "crop"), "split")


def test_it_never_trains_and_another_classifier_has_another_fingerprint(classifier):
    assert not any(one.requires_grad for one in classifier.parameters())
    statistics = [one.clone() for one in classifier.buffers()]
    classifier.train()(torch.randn(2, 3, 64, 64))
    assert all(map(torch.equal, statistics, classifier.buffers()))
    other = Classifier(weights=None)
    assert other.fingerprint() != classifier.fingerprint() == Classifier().fingerprint()
    with pytest.raises(BadInput, match="'vgg16' has no classifier of one layer"):
        Classifier("vgg16")


SPLIT = Split("val", (Picture(1, None, ("Two dogs play.", "A dog's ball")),
                      Picture(2, None, ("A man's cups", "A hot dog")),
                      Picture(3, None, ("Nothing",))))
SCORES = np.array([[0.9, 0.5, 0.1], [0.2, 0.4, 0.3], [0.8, 0.1, 0.0]])
WANTED = ("dog", "ball", "cup")


def test_a_word_is_said_in_singular_or_plural():
    assert experiment.said_of(SPLIT, WANTED).tolist() == [
        [True, True, False], [False, False, True], [False, False, False]]


def test_a_hot_dog_is_no_dog_and_a_dog_house_has_one_in_its_name():
    words = [list(plain_words(text)) for text in ("two hot dogs", "a dog house",
                                                             "a teddy bear on a park bench")]
    assert words == [["two", "hot"], ["a", "dog", "house"],
                     ["a", "teddy", "on", "a", "park", "bench"]]


def test_precisions_are_those_counted_by_hand():
    said = experiment.said_of(SPLIT, WANTED)
    assert experiment.precision_at(SCORES, said, 1) == 1 / 3
    assert experiment.precision_at(SCORES, said, 2) == pytest.approx(3 / 6)
    # the ball's picture is first; the dog's first; the cup's first
    assert experiment.average_precision(SCORES[:, 1], said[:, 1]) == 1
    # pictures in the order 1, 3, 2: right at places 1 and 3
    assert experiment.average_precision(SCORES[:, 0], np.array([True, True, False])) == (
        1 + 2 / 3) / 2


def test_a_result_is_made_once_and_the_table_is_that_of_the_files(write_root, tmp_path,
                                                                  monkeypatch, capsys):
    root = write_root(tmp_path / "tiny", {"train": 2, "val": 3})
    monkeypatch.setattr(experiment, "WORDS", WANTED)
    monkeypatch.setattr(experiment, "cached_concepts", lambda *_: torch.tensor(SCORES))
    monkeypatch.setattr(experiment, "pictures_of", lambda root: SPLIT)
    monkeypatch.setattr(experiment, "said_of", lambda split, said=experiment.said_of: said(
        split, WANTED))
    monkeypatch.chdir(tmp_path)

    def main(*options):
        monkeypatch.setattr(sys, "argv", ["concepts.py", *map(str, options)])
        experiment.main()

    main("--data", root, "--networks", "some")
    found = read_json(tmp_path / "results" / "concepts" / "some.tiny.json", "")
    assert found["precision@1"] == found["frequent@1"] == 1 / 3
    assert (found["sure"], found["precision_sure"]) == (2 / 3, 1 / 2)
    assert found["average_precision"] == {"dog": [1, 1 / 3], "ball": [1, 1 / 3], "cup": [1, 1 / 3]}
    monkeypatch.setattr(experiment, "cached_concepts", None)            # so it would fail
    main("--data", root, "--networks", "some")
    capsys.readouterr()
    main("--table")
    shown = capsys.readouterr().out
    assert "| tiny | val | 3 | some | 33.3 | " in shown and "tiny, some: dog 100.0 (33.3)" in shown


def test_val_is_looked_at_where_there_is_one_and_else_all(tiny_root, tmp_path, write_root):
    assert experiment.pictures_of(tiny_root) == read_split(tiny_root, "val")
    root = write_root(tmp_path / "coco", {"train2017": 2, "val2017": 3})
    found = experiment.pictures_of(root)
    assert (found.name, len(found.pictures)) == ("train2017 and val2017", 5)


@pytest.mark.parametrize("options, words", [
    ((), "give --data"), (("--table",), "holds no result"), (("--name", "../x"), "no plain name")])
def test_what_cannot_be_done_is_one_sentence(tmp_path, monkeypatch, capsys, options, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["concepts.py", *options])
    with pytest.raises(SystemExit):
        run_command(experiment.main)
    assert words in capsys.readouterr().err
