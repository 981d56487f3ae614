"""The experiment about questions: where attention points, what is trained once, and its tables."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from experiments import harness, pointing, questions, questions_table, real_questions
from experiments.harness import Experiment
from experiments.questions import ROWS, Row, trick
from scenes.questions.dataset import draw
from scenes.scenery import SIDE
from system.files import BadInput, read_json, write_json
from tests.asking import write_questions
from vqa.files import read_questions
from vqa.settings import VQASettings

TINY = {"encoder": "tiny", "epochs": 1, "embed_size": 8, "hidden_size": 8, "answer_threshold": 1}
HERE = Path(__file__).parents[1]
A, B = [0, 0, SIDE // 2, SIDE // 2], [0, SIDE // 2, SIDE, SIDE // 2]    # a quarter, the lower half


def at_cells(*cells, count=4):
    return torch.eye(count)[list(cells)]


def known(*boxes):
    return [{"family": "colour", "program": [], "box": box} for box in boxes]


# Where attention points.

def test_a_cell_is_right_if_its_middle_is_in_the_box_of_what_is_asked():
    rows, boxes = pointing.asked(known(A, None, B, A, A))
    assert rows.tolist() == [0, 2, 3, 4] and boxes[1].tolist() == [0, 0.5, 1, 1]
    found = pointing.pointing(at_cells(0, 3, 1, 0), boxes, np.array([0, 0, 0, 1]))
    assert found == {"questions": 4, "right": 0.75, "uniform": (1 + 2 + 1 + 1) / 16,
                     "centre": 0.25, "moves": [2, 2], "moves for one thing": [1, 1]}


def test_a_region_is_right_if_it_overlaps_the_box_by_half():
    _, boxes = pointing.asked(known(A, A, B))
    regions = torch.tensor([[0, 0, 1, 1, 1], [0, 0, .5, .4, 1], [0, 0, .5, .2, 1],
                            [0, 0, 0, 0, 0]]).expand(3, 4, 5)
    found = pointing.pointing(at_cells(1, 2, 0), boxes, np.zeros(3, int), regions)
    # the whole picture is half of B; what only fills up is no region to look at
    assert found["right"] == pytest.approx(2 / 3) and found["centre"] is None
    assert found["uniform"] == pytest.approx(1 / 3)
    assert (found["moves"], found["moves for one thing"]) == ([2, 2], [1, 1])


def test_one_cell_and_no_weights_point_nowhere():
    assert pointing.report(None, None, None, None) is None
    assert pointing.report(None, None, None, torch.ones(2, 1)) is None


@pytest.mark.parametrize("text, match", [
    (None, "has no v2_mscoco_test_programs.json"), ("{}", "damaged or of other questions"),
    ('{"1": {"family": "colour", "program": [], "box": [1, 2, 3]}}', "damaged or of other"),
    ('{"1": {"family": "colour", "program": [], "box": [1, 2, 3, "4"]}}', "damaged or of other"),
    ('{"1": {"family": 3}}', "family")])
def test_programs_that_are_missing_or_damaged_are_refused(text, match, tmp_path):
    if text:
        (tmp_path / "v2_mscoco_test_programs.json").write_text(text)
    with pytest.raises(BadInput, match=match):
        pointing.read_programs(SimpleNamespace(root=tmp_path, split="test", ids=np.array([1])))


# The rows.

def test_a_row_is_a_recipe_with_its_changes():
    names = [row.name for row in ROWS]
    assert len(names) == len({*names}) and questions_table.DEFAULT in names
    for row in ROWS:
        settings = questions.settings_of(row, "drawn", 2, "truth", epochs=3)
        assert (settings.seed, settings.epochs) == (2, 3)
        assert settings.boxes == ("truth" if row.boxes else None)
    default, = (row for row in ROWS if row.name == questions_table.DEFAULT)
    default = questions.settings_of(default, "drawn", 0, "truth")
    for row in ROWS:        # a trick is one dial; without boxes, where it looks is another
        settings = questions.settings_of(row, "drawn", 0, "truth")
        turned = {key for key, value in vars(settings).items() if value != getattr(default, key)}
        if row.trick:
            assert 1 <= len(turned - {"boxes"} or turned) <= 1 + (row.name.endswith("random"))


def climb(monkeypatch, folder, *options):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["questions.py", "--device", "cpu", *map(str, options)])
    questions.main()


def test_rows_are_trained_and_judged_once(tmp_path, monkeypatch, capsys, no_curves):
    root = draw(tmp_path / "drawn", {"train": 8, "val": 4, "test": 6, "novel": 4}, progress=False)
    monkeypatch.setattr(questions, "ROWS", (
        Row("joint", "vqa_joint", TINY, boxes=False), Row("tips", changes=TINY),
        trick("tips-relu", "ReLU", **TINY, gated=False)))
    climb(monkeypatch, tmp_path, "--data", root, "--boxes", "truth", "--seeds", "1")
    results = tmp_path / "results/questions"
    found = {file.stem: read_json(file, "") for file in results.iterdir()}
    assert found.keys() == {"baselines", "joint-0", "tips-0", "tips-relu-0"}
    assert found["baselines"]["novel"]["program executor"]["accuracy"] == 1
    assert found["joint-0"]["test"]["pointing"] is None
    boxes = found["tips-0"]
    assert boxes["settings"]["boxes"] == "truth" and boxes["settings"]["data"] == "drawn"
    assert boxes["novel"]["pointing"]["questions"] > 0 and boxes["processor"]
    monkeypatch.setattr(harness, "train", None)             # so it would fail
    climb(monkeypatch, tmp_path, "--data", root, "--boxes", "truth", "--seeds", "1")
    capsys.readouterr()
    climb(monkeypatch, tmp_path, "--table")
    assert "| joint | test | 1 |" in (printed := capsys.readouterr().out)
    assert "| ReLU | 1 |" in printed and "| tips | novel | 1 |" in printed
    with pytest.raises(BadInput, match="give --data"):
        climb(monkeypatch, tmp_path)
    write_json(root / "annotations/scene_graphs_test.json", {})
    with pytest.raises(BadInput, match="other scene graphs of test"):
        questions.executed(read_questions(root, "test"))


# The tables.

LOOKS = {"questions": 9, "right": 0.5, "uniform": 0.1, "centre": 0.2, "moves": [3, 4],
         "moves for one thing": [0, 0]}


def judged(value, looks=None):
    return {"accuracy": value, "without facts": value, "pairs": value - 0.1,
            "families": {"count": value}, "pointing": looks}


def write_results(folder, name, *values, **settings):
    """Write a result for each of these accuracies on test; on novel a tenth is missing."""
    for seed, value in enumerate(values):
        write_json(folder / f"{name}-{seed}.json", {
            "settings": {"data": "drawn", "seed": seed, "boxes": "detector", **settings},
            "minutes": 2, "processor": "a processor", "threads": 2, "test": judged(value, LOOKS),
            "novel": judged(value - 0.1)})


def test_the_tables_are_those_of_the_files(tmp_path):
    with pytest.raises(BadInput, match="no result"):
        questions_table.tables(tmp_path, ROWS)
    write_results(tmp_path, "tips-boxes", 0.8, 0.9)
    write_results(tmp_path, "tips", 0.8, 0.9)
    write_results(tmp_path, "tips-relu", 0.7, 0.7, gated=False)
    write_results(tmp_path, "tips-grid", 0.75, boxes=None)
    write_json(tmp_path / "baselines.json", {"data": "drawn", **dict.fromkeys(
        questions_table.SPLITS, dict.fromkeys(questions_table.UNTRAINED, judged(0.25)))})
    first, machine, tricks, looks = questions_table.tables(tmp_path, ROWS).split("\n\n")
    lines = first.splitlines()
    assert lines[2].startswith("| most frequent | test |  |  | 25.0 | 25.0 | 15.0 |  |")
    assert lines[-2].startswith("| tips-boxes | test | 2 | 2.0 ± 0.0 | 85.0 ± 7.1 | 85.0 ± 7.1 |")
    assert "| 65.0 ± 7.1 | 10.0 ± 0.0 |" in lines[-1] and "tips-relu" not in first
    assert machine == "Minutes are of a training on a processor, 2 threads."
    default, grid, relu = tricks.splitlines()[2:]
    assert default.startswith("| the default | 2 | 85.0 ± 7.1 |  |")
    assert grid.startswith("| grid in place of boxes | 1 | 75.0 | -5.0 |")     # of the seed of both
    # -10 and -20: the mean -15, t for one degree of freedom 12.7, times 7.07 / sqrt(2)
    assert relu.startswith("| ReLU in place of gated tanh | 2 | 70.0 ± 0.0 | "
                           "-15.0 [-78.5, +48.5] |")
    grid, = (line for line in looks.splitlines() if line.startswith("| tips-grid"))
    assert grid.startswith("| tips-grid | test | 1 | 9 | 50.0 | 10.0 | 20.0 | 75.0 |  |")


def test_results_that_do_not_compare_are_refused(tmp_path):
    write_results(tmp_path, "tips", 0.8)
    write_results(tmp_path, "tips-relu", 0.7, gated=False, epochs=9)
    with pytest.raises(BadInput, match="tips-relu-0.json and tips-0.json differ in epochs"):
        questions_table.tables(tmp_path, ROWS)
    write_results(tmp_path, "tips-relu", 0.7, data="other")
    with pytest.raises(BadInput, match="mixes results of different data"):
        questions_table.tables(tmp_path, ROWS)
    write_json(tmp_path / "tips-relu-0.json", {"settings": {"data": "drawn", "seed": 0}})
    with pytest.raises(BadInput, match="tips-relu-0.json.*move it away"):
        questions_table.tables(tmp_path, ROWS)


def test_the_page_quotes_the_tables_of_the_committed_results():
    results = HERE / "results/questions"
    page = (HERE / "docs/EXPERIMENTS.md").read_text(encoding="utf-8")
    drawn = [file for file in results.glob("*.json") if file.name != "real.json"]
    if not drawn and not (results / "real.json").exists():
        pytest.skip("no results about questions are committed yet")
    assert not drawn or questions_table.tables(results, ROWS) in page
    assert not (results / "real.json").exists() or real_questions.table(results) in page


# Real questions.

def test_questions_that_judge_neither_train_nor_choose(tmp_path):
    root = write_questions(tmp_path / "asked", {"train": 20})
    task = real_questions.Aside(VQASettings(str(root), **TINY))
    task.read()
    parts = [{one.id for one in part.pictures} for part in (
        task.train_questions, task.val_questions, read_questions(root, "val"))]
    assert [len(part) for part in parts] == [13, 3, 4] and len(set.union(*parts)) == 20


def test_models_that_see_are_compared_with_one_that_does_not(tmp_path, monkeypatch, no_curves,
                                                             capsys):
    root = write_questions(tmp_path / "asked", {"train": 12})
    monkeypatch.setattr(real_questions, "ROWS", (
        Row("question-only", changes={"model": "question", **TINY}, boxes=False),
        Row("joint", "vqa_joint", TINY, boxes=False)))
    monkeypatch.setattr(real_questions, "COMPARED", ("joint",))
    results = tmp_path / "results"
    experiment = Experiment(str(root), tmp_path / "runs", results)
    found = real_questions.compare(experiment, seeds=1)
    assert found["questions"] == 6 and len(found["rows"]["joint"]["accuracy"]) == 1
    gain = found["gains"]["joint"]
    assert gain["low"] <= gain["mean"] <= gain["high"]
    experiment.write("real", found)
    assert "| joint | " in real_questions.table(results)


def test_a_gain_within_its_interval_is_called_so(tmp_path):
    with pytest.raises(BadInput, match="no real.json"):
        real_questions.table(tmp_path)
    assert real_questions.verdict("joint", {"mean": .02, "low": -.01, "high": .05}) == (
        "joint over question-only: +2.0 [-1.0, +5.0], within what other questions might give by "
        "chance.")
    assert "beyond" in real_questions.verdict("joint", {"mean": .02, "low": .01, "high": .05})
    write_json(tmp_path / "real.json", {"data": "asked"})
    with pytest.raises(BadInput, match="real.json.*move it away"):
        real_questions.table(tmp_path)
