"""Two captioners that learn nothing say what was said before, and choose it as they promise."""

from dataclasses import replace

import numpy as np
import pytest

from captioning.settings import CaptioningSettings
from coco.dataset import Picture, Split, read_split
from experiments.baselines import consensus, most_frequent, nearest, neighbour
from scoring.scores import CiderD


def split_of(*pictures):
    return Split("train", tuple(Picture(number, None, sentences)
                                for number, sentences in enumerate(pictures)))


def test_the_most_frequent_sentence_is_counted_without_case_and_punctuation():
    train = split_of(("A dog runs.", "a cat", "a cat"), ("a dog runs", "A DOG RUNS !"))
    assert most_frequent(train, split_of(("x",), ("y",), ("z",)), None) == ["a dog runs"] * 3


def test_of_equally_frequent_sentences_the_first_is_said():
    train = split_of(("two cats", "one dog"), ("one dog", "two cats"))
    assert most_frequent(train, split_of(("x",)), None) == ["two cats"]


def test_nearest_is_by_the_angle_whatever_the_length():
    random = np.random.default_rng(0)
    rows, queries = random.normal(size=(40, 5)), random.normal(size=(300, 5))
    rows *= random.uniform(0.1, 10, (40, 1))
    expected = [max(range(40), key=lambda n, q=query: rows[n] @ q / np.linalg.norm(rows[n]))
                for query in queries]
    assert nearest(rows.astype(np.float16), queries).tolist() == pytest.approx(expected)


def test_the_consensus_is_the_sentence_that_the_others_are_most_like():
    sentences = [one.split() for one in ("snow", "a brown dog runs over grass", "a dog runs fast",
                                         "a brown dog runs fast", "look at this")]
    other = [one.split() for one in ("two men", "men on a bench")]
    scorer = CiderD([sentences, other])
    each = [sum(CiderD([[truth], *[[words] for words in other]]).scores([sentence], [0])[0]
                for number, truth in enumerate(sentences) if number != place)
            for place, sentence in enumerate(sentences)]
    assert consensus(scorer, sentences) == sentences[int(np.argmax(each))] == sentences[3]


def test_a_long_sentence_is_not_the_consensus_for_being_like_itself():
    sentences = [one.split() for one in ("a brown cat sleeps on a mat", "dogs", "dogs")]
    assert consensus(CiderD([sentences, [["x"]]]), sentences) == ["dogs"]


def test_a_single_sentence_is_its_own_consensus():
    sentences = [["a", "dog"]]
    assert consensus(CiderD([sentences, [["x"]]]), sentences) == ["a", "dog"]


def test_the_neighbour_of_a_red_picture_is_red(tiny_root):
    train, val = read_split(tiny_root, "train"), read_split(tiny_root, "val")
    said = neighbour(train, val, CaptioningSettings(data=str(tiny_root), views=1))
    truths = [["red", "green", "blue"][picture.id % 3] for picture in val.pictures]
    assert len(said) == 6 and all(truth in sentence.split()
                                  for truth, sentence in zip(truths, said, strict=True))
    assert set(said) <= {" ".join(sentence.lower().replace(",", "").rstrip(".").split())
                         for sentence in train.sentences}


def test_a_picture_of_train_finds_itself(tiny_root):
    """So a sentence belongs to the picture that was found, not to its place in val."""
    train = read_split(tiny_root, "train")
    marked = Split("train", tuple(replace(picture, sentences=(f"picture {picture.id}",))
                                  for picture in train.pictures))
    turned = Split("val", marked.pictures[::-1])
    said = neighbour(marked, turned, CaptioningSettings(data=str(tiny_root), views=1))
    assert said == [f"picture {picture.id}" for picture in turned.pictures]
