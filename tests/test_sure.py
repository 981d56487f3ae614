"""How CIDEr and absent objects go with a captioner's confidence: parts in order, signs."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from calibration.figures import Figures
from calibration.fitting import halves
from captioning.evaluation import score, tokenized_references
from coco.dataset import read_split
from decoders.search import Hypothesis
from experiments.strangers import captions
from experiments.strangers import confidence as experiment
from experiments.strangers.confidence import (
    CALIBRATED,
    COVERAGES,
    RESULT,
    compared,
    judge,
    main,
    measures,
    table,
    unfitted,
)
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

    noted = {"law": {"bias": 0.0, "naming": 1.0, "others": 0.0}, "data": "elsewhere",
             "split": "val", "fitted": 3, "measured": 3, "absent": 0.1, "error": 0.1, "auc": 0.9}
    stub = SimpleNamespace(
        about={"calibration": noted}, hypotheses=hypotheses,
        features=lambda split: [range(len(split.pictures))],
        vocab=SimpleNamespace(decode=lambda words: SENTENCES[words[1] % len(SENTENCES)]))
    monkeypatch.setattr(captions, "load_captioner", lambda *_: stub)
    monkeypatch.setattr(experiment, "weigh_each", lambda captioner, features, found: [
        Figures(-0.1 * place, 1, True) for place in features])
    monkeypatch.setattr(experiment, "right", lambda sentences, objects: np.arange(
        len(sentences)) % 3 > 0)
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
    assert found["calibrated"].keys() == CALIBRATED.keys()
    assert found["calibrated"]["pictures"] == found["pictures"]
    assert found["calibrated"]["auc"] == found["calibrated"]["auc_of_mean"]     # one order
    stub.about["calibration"] = {**noted, "data": tiny_root.name}
    val = read_split(tiny_root, "val")
    left = unfitted(stub, tiny_root, val)
    assert (left == ~halves(val)).all() and 0 < left.sum() < len(left)
    every = captions.pictures_of(tiny_root, stub)
    assert len(every.pictures) > len(val.pictures)
    assert judge(stub, tiny_root)["calibrated"]["pictures"] == len(
        every.pictures) - halves(val).sum()
    stub.about.clear()
    with pytest.raises(BadInput, match="run python -m calibration"):
        judge(stub, tiny_root)
    monkeypatch.setattr(captions, "load_captioner", None)       # so it would fail
    main()
    assert "some" not in capsys.readouterr().err


def test_the_risk_is_of_the_surest_and_guesses_are_the_least_sure():
    chances = np.linspace(0.99, 0.5, 40)
    outcomes = np.arange(40) < 30
    found = measures(chances, -chances, outcomes)
    assert (found["auc"], found["auc_of_mean"]) == (1, 0)
    assert found["risk"][:15] == [0] * 15 and found["risk"][-1] == found["absent"] == 0.25
    assert found["guesses"] == (chances < 0.8).mean()
    assert found["absent_in_guesses"] == pytest.approx(10 / (chances < 0.8).sum())
    assert measures(chances / 2 + 0.5, chances, outcomes)["guesses"] < found["guesses"]
    assert measures(chances / 9 + 0.85, chances, outcomes)["absent_in_guesses"] is None


def test_the_tables_have_a_row_for_each_dataset(tmp_path):
    with pytest.raises(BadInput, match="holds no result"):
        table(tmp_path)
    for name in ("a", "b"):
        found = {"data": name, "checkpoint": "c", "split": "val", "pictures": 8, "spearman": 0.25,
                 "cider": [0.1, 0.2, 0.3, 0.4], "confidence": [0.5, 0.6, 0.7, 0.8],
                 "calibrated": {"pictures": 4, "absent": 0.2, "error": 0.03, "auc": 0.9,
                                "auc_of_mean": 0.6, "guesses": 0.1, "absent_in_guesses": None,
                                "risk": COVERAGES}}
        assert found.keys() == RESULT.keys()
        write_json(tmp_path / f"c.{name}.json", found)
    first, second = table(tmp_path).split("\n\n")
    assert second.splitlines()[2:] == [
        f"| {name} | 4 | c | 0.030 | 0.900 | 0.600 | 25.0 | 50.0 | 75.0 | 100.0 | 10.0 |  |"
        for name in ("a", "b")]
    assert first.splitlines()[2:] == [
        f"| {name} | val | 8 | c | 10.0 (sure 0.50) | 20.0 (sure 0.60) | 30.0 (sure 0.70) | "
        "40.0 (sure 0.80) | 0.25 |" for name in ("a", "b")]


def test_the_page_quotes_the_table_of_the_committed_results():
    here = Path(__file__).parents[1]
    page = (here / "docs/EXPERIMENTS.md").read_text(encoding="utf-8")
    assert table(here / "results/confidence") in page
