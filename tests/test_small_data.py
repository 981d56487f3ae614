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
