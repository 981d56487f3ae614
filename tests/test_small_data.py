"""The notebooks' cells that depend on how much data there is also work on two pictures."""

import math
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import nbformat
import pytest
import torch
from PIL import Image
from torch import nn

from decoders.rules import log_probabilities, restrict, shortlist
from decoders.search import Search
from model import DecoderRNN
from vocabulary import Vocabulary

HERE = Path(__file__).parents[1]


def run(notebook, mark, **names):
    """Run the one cell of a notebook that holds `mark`, with these names; return all names."""
    cells = nbformat.read(HERE / f"{notebook}.ipynb", as_version=4).cells
    cell, = [one.source for one in cells if one.cell_type == "code" and mark in one.source]
    exec(cell, names)
    plt.close("all")
    return names


def pictures(count):
    return SimpleNamespace(pictures=[SimpleNamespace(file=f"{number}.jpg", sentences=["A dog."])
                                     for number in range(count)])


@pytest.mark.parametrize("count, shown", [(2, 2), (3, 1), (300, 8)])
def test_a_dataset_of_few_pictures_is_shown(count, shown):
    seen = []
    run("0_Dataset", "shown =", split=pictures(count),
        show_pictures=lambda files, texts: seen.extend(zip(files, texts, strict=True)))
    assert len(seen) == shown


@pytest.mark.parametrize("count", [2, 4, 7])
def test_the_nearest_of_few_pictures_are_shown(count):
    found = run("1_Preliminaries", "near =", nn=nn, torch=torch, plt=plt, val=pictures(count),
                features=torch.randn(1, count, 6).numpy(),
                open_picture=lambda _: Image.new("RGB", (9, 9)))
    assert len(found["near"]) == min(5, count)


@pytest.fixture
def untrained():
    """What the notebook has made by its exercises, with a vocabulary that has no usual word."""
    torch.manual_seed(0)
    vocab = Vocabulary(words=["ein", "hund"])
    decoder = DecoderRNN(8, 8, len(vocab)).eval()
    embedded = torch.randn(1, 8)
    return {"torch": torch, "vocab": vocab, "decoder": decoder, "embedded": embedded}


@pytest.mark.parametrize("word", range(5))
def test_the_check_of_writing_accepts_its_solution_whatever_the_decoder_prefers(untrained, word):
    with torch.no_grad():
        untrained["decoder"].scores.bias[word] += 5
    first_words = untrained["decoder"].sample(untrained["embedded"].unsqueeze(1), max_len=14)
    names = run("1_Preliminaries", "def write(", **untrained)
    run("1_Preliminaries", "# check 1.4", **{**names, "first_words": first_words})


@pytest.mark.parametrize("words", [0, 1, 2, 9])
def test_the_check_of_peeking_takes_a_sentence_of_any_length(untrained, words):
    captions = torch.tensor([[0, *[3] * words, 1]])
    names = run("1_Preliminaries", "def peeks(", **untrained)
    run("1_Preliminaries", "# check 1.3", **{**names, "captions": captions})


def test_the_likeliest_words_of_a_small_vocabulary_are_shown(untrained):
    captioner = SimpleNamespace(decoder=untrained["decoder"], vocab=untrained["vocab"])
    captioner.vocab = Vocabulary(words=[])
    captioner.decoder = DecoderRNN(8, 8, 3).eval()
    names = run("3_Inference", "topk(", captioner=captioner, torch=torch,
                embedded=untrained["embedded"])
    run("3_Inference", "axis.barh(", **names | {"plt": plt, "QUIET": "grey", "ACCENT": "red"})
    assert len(names["steps"][0]) == 3 and math.isclose(sum(
        chance for _, chance in names["steps"][0]), 1, rel_tol=1e-5)


@pytest.fixture(params=[0, 2])
def first_words(request):
    """What the notebook knows of the first word, for a vocabulary of none or two usual words."""
    torch.manual_seed(0)
    vocab = Vocabulary(words=["ein", "hund"][:request.param])
    captioner = SimpleNamespace(decoder=DecoderRNN(8, 8, len(vocab)).eval(), vocab=vocab)
    names = {"torch": torch, "plt": plt, "ACCENT": "red", "QUIET": "grey", "TOP_P": 0.9,
             "captioner": captioner, "embedded": torch.randn(1, 8), "Search": Search,
             "log_probabilities": log_probabilities, "restrict": restrict, "shortlist": shortlist}
    names = run("3_Inference", "nucleus_search = ", **names)
    return run("3_Inference", "by_search = ", **names)


def test_the_nucleus_by_hand_is_the_search_s_and_drawn_for_a_small_vocabulary(first_words):
    assert first_words["nucleus"].sum() == pytest.approx(1)
    run("3_Inference", "plt.axvline(", **first_words)


WRONG = {               # nucleus_of -> a word of what the check says of it
    "lambda p, top_p: None": "nothing yet",
    "lambda p, top_p: [1, 3]": "a set",
    "lambda p, top_p: set(range(int((p.sort(descending=True)[0].cumsum(0) < top_p).sum()) + 1))":
        "sorted ones",
    "lambda p, top_p: {i for i in range(len(p)) if p[i] > top_p}": "hold 0.75 together",
    "lambda p, top_p: {int(p.argmax())}": "reaches top_p",
    "lambda p, top_p: {1, 3}": "one word is enough"}


@pytest.mark.parametrize("wrong", WRONG)
def test_the_check_of_the_nucleus_says_what_is_wrong(first_words, wrong):
    with pytest.raises(AssertionError, match=WRONG[wrong]):
        run("3_Inference", "# check 3.5", **{**first_words, "nucleus_of": eval(wrong)})


def test_the_check_of_the_nucleus_accepts_its_solution(first_words):
    run("3_Inference", "# check 3.5", **run("3_Inference", "def nucleus_of(", **first_words))
