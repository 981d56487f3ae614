"""Our tokens are those of coco-caption's Java tokeniser."""

import json
import re
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from captioning.evaluation import tokenized_references
from coco.dataset import Picture, Split
from scoring import ptb
from scoring.ptb import tokenize
from tests.make_ptb_nasty import FILE, by_jar

REAL = ("coco-captions/captions_val2017", "flickr8k/annotations/captions_train",
        "flickr8k/annotations/captions_val", "coco-sample/annotations/captions_train2017",
        "coco-sample/annotations/captions_val2017")


def test_every_real_caption_is_tokenised_as_by_the_jar(data_root):
    if not shutil.which("java"):
        pytest.skip("needs Java to ask the original")
    sentences = [annotation["caption"].replace("\n", " ") for name in REAL for annotation in
                 json.loads((data_root / f"{name}.json").read_text("utf-8"))["annotations"]]
    assert len(sentences) > 50_000
    differing = [(sentence, expected, tokenize(sentence)) for sentence, expected in
                 zip(sentences, by_jar(sentences), strict=True) if tokenize(sentence) != expected]
    assert not differing


def test_nasty_sentences_are_tokenised_as_by_the_jar():
    pairs = json.loads(FILE.read_text("utf-8"))
    differing = [(sentence, expected, tokenize(sentence)) for sentence, expected in pairs
                 if tokenize(sentence) != expected]
    assert len(pairs) == 2000 and not differing


PIECES = some.sampled_from(["a ", "Dog ", "man, ", "man,", "cannot ", "GONNA, ", " ", ", ",
                            "dog.", "b. ", "t-shirt ", "5 ", "5", "can't ", "(", "st. ", "é ", "x"])


@settings(deadline=None, max_examples=200, derandomize=True)
@given(some.lists(PIECES, max_size=12).map("".join))
def test_the_two_quick_paths_change_no_token(sentence):
    quick = tokenize(sentence)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ptb, "PLAIN", re.compile("(?!)"))             # matches nothing
        patch.setattr(ptb, "ENDING", -1)
        assert tokenize(sentence) == quick


def test_a_newline_in_a_reference_is_a_space():
    split = Split("x", (Picture(1, "1.jpg", ("A dog\nruns. ",)),))
    assert tokenized_references(split) == [["a dog runs"]]
