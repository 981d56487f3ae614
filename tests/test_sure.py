"""How CIDEr goes with a captioner's confidence: parts in order, the correlation's sign."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from captioning.evaluation import score, tokenized_references
from coco.dataset import read_split
from decoders.search import Hypothesis
from experiments.strangers import captions
from experiments.strangers.confidence import RESULT, compared, main, table
from system.files import BadInput, write_json

SENTENCES = ["a red picture", "nothing but green here", "a square of red paint", "a blue picture",
             "all of it", "the picture is red"]


def test_the_surest_part_comes_last_whatever_the_order_of_the_pictures(tiny_root):
    split = read_split(tiny_root, "val")
    each = score(SENTENCES, tokenized_references(split))[1]
    right = compared(SENTENCES, each / 10 + 0.1, split)
    wrong = compared(SENTENCES, 0.9 - each / 10, split)
    assert right["spearman"] == pytest.approx(1) and wrong["spearman"] == pytest.approx(-1)
    assert right["cider"] == sorted(right["cider"]) and right["cider"][0] < right["cider"][-1]
    assert right["cider"][-1] == pytest.approx(np.sort(each)[-1:].mean())
    assert wrong["confidence"] == sorted(wrong["confidence"])


def test_a_dataset_is_judged_once_and_its_sentences_by_their_own_confidence(
        tiny_root, tmp_path, monkeypatch, capsys):
    def hypotheses(features):
        return [[Hypothesis([0, 3 + place, 1], -2.0 * (place + 1))] for place in features]

    stub = SimpleNamespace(
        about={}, features=lambda split: [range(len(split.pictures))], hypotheses=hypotheses,
        vocab=SimpleNamespace(decode=lambda words: SENTENCES[words[1] % len(SENTENCES)]))
    monkeypatch.setattr(captions, "load_captioner", lambda *_: stub)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["x.py", "--data", str(tiny_root), "--checkpoint",
                                      "some.safetensors"])
    main()
    file, = (tmp_path / "results/confidence").iterdir()
    found = json.loads(file.read_text())
    assert file.stem.startswith("some.") and found.keys() == RESULT.keys()
    sure = np.exp(-1.0 - np.arange(found["pictures"]))  # half of each, for two ids after <start>
    assert found["confidence"] == pytest.approx(
        [part.mean() for part in np.array_split(sure[::-1], 4)])
    monkeypatch.setattr(captions, "load_captioner", None)       # so it would fail
    main()
    assert "some" not in capsys.readouterr().err


def test_the_table_has_a_row_for_each_dataset(tmp_path):
    with pytest.raises(BadInput, match="holds no result"):
        table(tmp_path)
    for name in ("a", "b"):
        found = {"data": name, "checkpoint": "c", "split": "val", "pictures": 8, "spearman": 0.25,
                 "cider": [0.1, 0.2, 0.3, 0.4], "confidence": [0.5, 0.6, 0.7, 0.8]}
        assert found.keys() == RESULT.keys()
        write_json(tmp_path / f"c.{name}.json", found)
    assert table(tmp_path).splitlines()[2:] == [
        f"| {name} | val | 8 | 10.0 (sure 0.50) | 20.0 (sure 0.60) | 30.0 (sure 0.70) | "
        "40.0 (sure 0.80) | 0.25 |" for name in ("a", "b")]


def test_the_page_quotes_the_table_of_the_committed_results():
    here = Path(__file__).parents[1]
    page = (here / "docs/EXPERIMENTS.md").read_text(encoding="utf-8")
    assert table(here / "results/confidence") in page
