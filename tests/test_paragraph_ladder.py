"""The experiment on paragraphs trains its rows, goes on where it stopped, and fills a table."""

import json
import sys

import pytest

from experiments.video import paragraphs
from experiments.video.paragraphs_table import CLAIMS, SCORES, table
from scenes.motion.dataset import draw
from system.files import BadInput
from video.paragraphs import task as tasks

pytestmark = pytest.mark.usefixtures("no_curves")
SMALL = {"encoder": "tiny", "epochs": 1, "batch_size": 2, "embed_size": 8, "hidden_size": 8,
         "words_first": 1}


def command(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["x.py", *map(str, words)])
    return paragraphs.main()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setitem(paragraphs.RECIPES, "paragraphs", SMALL)
    monkeypatch.setattr(tasks, "LEAST_STEPS", 1)
    monkeypatch.chdir(tmp_path)
    draw("motion", {"train": 4, "val": 2, "test": 3, "novel": 2}, progress=False)
    return tmp_path


def test_rows_are_trained_once_and_stand_in_the_table(folder, monkeypatch, capsys):
    words = "--data", "motion", "--only", "hierarchical", "flat", "--seeds", 1
    command(monkeypatch, *words)
    results = folder / "results" / "paragraphs"
    assert {file.stem for file in results.iterdir()} == {"baselines", "hierarchical-0", "flat-0"}
    before = {file: file.stat().st_mtime_ns for file in results.iterdir()}
    command(monkeypatch, *words)
    assert before == {file: file.stat().st_mtime_ns for file in results.iterdir()}
    truth = json.loads((results / "baselines.json").read_text())["test"]["truth"]
    assert truth["claims"]["all"] == 1 and len(truth["each"]["CIDEr"]) == 3
    capsys.readouterr()
    command(monkeypatch, "--table")
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split(" | ") for line in lines if line]
    assert [row[0] for row in rows] == ["| test", "| ---", "| constant", "| nearest", "| truth",
                                        "| hierarchical", "| flat"] + [
        "| novel", "| ---", "| constant", "| nearest", "| truth", "| hierarchical", "| flat"]
    assert {len(row) for row in rows} == {1 + len(SCORES) + len(CLAIMS) + 3}
    assert "[" in rows[6][-1] and "[" not in rows[5][-1]        # of flat against hierarchical


def test_a_seed_is_averaged_and_a_damaged_result_refused(tmp_path):
    score = {**dict.fromkeys(SCORES, 0.5), "claims": {"all": 0.5},
             "each": {"CIDEr": [1.0, 2.0], "claims": [0.5, 0.5]}}
    for seed, minutes in enumerate((1.0, 3.0)):
        content = {"settings": {"data": "motion", "seed": seed}, "minutes": minutes,
                   "test": score | {"CIDEr": seed}, "novel": score}
        (tmp_path / f"flat-{seed}.json").write_text(json.dumps(content))
    assert "| flat | 50.0 ± 0.0 | 50.0 ± 0.0 | 50.0 ± 70.7 |" in table(tmp_path, ["flat"])
    assert "| 2.0 |" in table(tmp_path, ["flat"])
    (tmp_path / "flat-1.json").write_text("{}")
    with pytest.raises(BadInput, match="move it away and run experiments.video.paragraphs again"):
        table(tmp_path, ["flat"])
    with pytest.raises(BadInput, match="holds no result"):
        table(tmp_path / "none", ["flat"])
