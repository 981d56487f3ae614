"""Our tokens are those of coco-caption's Java tokeniser."""

import json
import shutil

import pytest

from coco import Picture, Split
from evaluation import tokenized_references
from ptb import tokenize
from tests.make_ptb_nasty import FILE, by_jar

REAL = ("coco-captions/captions_val2017", "flickr8k/annotations/captions_train",
        "flickr8k/annotations/captions_val", "coco-sample/annotations/captions_train2017",
        "coco-sample/annotations/captions_val2017")


def test_every_real_caption_is_tokenised_as_by_the_jar(data_root):
    if not shutil.which("java"):
        pytest.skip("needs Java to ask the original")
    sentences = [annotation["caption"].replace("\n", " ") for name in REAL for annotation in
                 json.loads((data_root / f"{name}.json").read_text("utf-8"))["annotations"]]
    assert len(sentences) == 59_699
    differing = [(sentence, expected, tokenize(sentence)) for sentence, expected in
                 zip(sentences, by_jar(sentences), strict=True) if tokenize(sentence) != expected]
    assert not differing


def test_nasty_sentences_are_tokenised_as_by_the_jar():
    pairs = json.loads(FILE.read_text("utf-8"))
    differing = [(sentence, expected, tokenize(sentence)) for sentence, expected in pairs
                 if tokenize(sentence) != expected]
    assert len(pairs) == 2000 and not differing


def test_a_newline_in_a_reference_is_a_space():
    split = Split("x", (Picture(1, "1.jpg", ("A dog\nruns. ",)),))
    assert tokenized_references(split) == [["a dog runs"]]
