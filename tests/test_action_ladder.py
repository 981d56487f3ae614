"""The experiment about labels of frames: left from right, the bootstrap over clips, the tables."""

import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.video import actions
from scenes.motion.dataset import draw
from scoring.frames import frame_map
from system.files import BadInput, read_json, write_json

pytestmark = pytest.mark.usefixtures("no_curves")
CLASSES = ("MoveLeft", "Jump", "MoveRight")


def test_left_or_right_counts_frames_with_one_direction_and_ties_half():
    labels = [np.array([[1, 0, 0], [0, 1, 1], [0, 1, 0]], bool),
              np.array([[1, 0, 1], [0, 0, 1], [1, 0, 0]], bool)]
    scores = [np.array([[2, 9, 1.], [1, 9, 2], [5, 9, 0]]),
              np.array([[0, 9, 1.], [3, 9, 2], [4, 9, 4]])]
    # right, right, no direction; both, wrong, a tie
    assert actions.left_or_right(scores, labels, CLASSES) == (1 + 1 + 0 + 0.5) / 4


def test_the_bootstrap_draws_the_same_clips_for_both_and_computes_map_anew():
    random = np.random.default_rng(0)
    labels = [random.random((6, 2)) < 0.4 for _ in range(20)]
    poor = [[random.random((6, 2)) for _ in labels] for _ in range(2)]
    good = [[one + 0.4 * label for one, label in zip(some, labels, strict=True)] for some in poor]
    found = actions.bootstrap(poor, good, labels, 4, resamples=100)
    means = [np.mean([frame_map(some, labels, 4).mean for some in seeds]) for seeds in (poor, good)]
    assert found.mean == pytest.approx(means[1] - means[0])
    assert 0 < found.low < found.mean < found.high and found.wins == 1
    same = actions.bootstrap(poor, poor, labels, 4, resamples=20)
    assert same == (0, 0, 0, 0)
    back = actions.bootstrap(good, poor, labels, 4, resamples=100)
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low))


def judged(mean, direction):
    return {"mAP": mean, "left or right": direction, "by_class": {"Jump": mean, "Hide": None}}


def test_the_table_is_made_from_files_alone(tmp_path):
    with pytest.raises(BadInput, match="holds no result"):
        actions.table(tmp_path)
    for seed, mean in enumerate((0.8, 0.9)):
        write_json(tmp_path / f"lstm-{seed}.json", {
            "settings": {"data": "motion"}, "minutes": 2.0, "test": judged(mean, 0.99),
            "novel": judged(0.5, 0.9)})
    floors = {"prevalence": 0.1, "oracle_without_timing": 0.4,
              "lookup": {actions.LOOKUP: 0.51, "about to go": 0.5}}
    write_json(tmp_path / "baselines.json", {"data": "motion", "test": floors, "novel": floors})
    write_json(tmp_path / "gain.json", {"data": "motion", "seeds": 2, "mean": -0.01, "low": -0.02,
                                        "high": 0.005, "wins": 0.1})
    text = actions.table(tmp_path)
    assert "| lstm | 85.0 ± 7.1 | 99.0 ± 0.0 | 50.0 ± 0.0 | 90.0 ± 0.0 | 2 | 2.0 |" in text
    assert "| lookup of place and facing |  | 51.0 |  | 51.0 |  |  |" in text
    assert "| Hide |  |" in text and "-1.0 mAP [-2.0, +0.5], 2 seeds" in text
    (tmp_path / "lstm-0.json").write_text("{}")
    with pytest.raises(BadInput, match="move it away"):
        actions.table(tmp_path)


def test_an_experiment_trains_judges_and_compares(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "motion", {"train": 4, "val": 2, "test": 3, "novel": 2}, progress=False)
    monkeypatch.setitem(actions.RECIPES, "actions", {
        "encoder": "tiny", "hidden_size": 8, "cell_size": 2, "precision": "float32"})
    monkeypatch.setattr(actions, "RESAMPLES", 20)
    monkeypatch.setattr(sys, "argv", ["x", "--data", "motion", "--only", "lstm", "multilstm",
                                      "--seeds", "1", "--epochs", "1"])
    actions.main()
    results = tmp_path / "results" / "actions"
    assert {one.stem for one in results.iterdir()} == {"lstm-0", "multilstm-0", "baselines",
                                                       "gain"}
    one = read_json(results / "lstm-0.json", "", actions.RESULT)
    assert one["settings"]["data"] == "motion" and 0 <= one["test"]["left or right"] <= 1
    assert len(one["test"]["by_class"]) == 12
    gain = read_json(results / "gain.json", "", actions.TESTED)
    other = read_json(results / "multilstm-0.json", "", actions.RESULT)
    assert gain["mean"] == pytest.approx(other["test"]["mAP"] - one["test"]["mAP"])
    monkeypatch.setattr(sys, "argv", ["x", "--table"])
    actions.main()
    assert "multilstm over lstm on test" in capsys.readouterr().out


def test_the_page_has_what_the_files_say():
    here = Path(__file__).parents[1]
    page = (here / "docs/EXPERIMENTS.md").read_text(encoding="utf-8")
    assert actions.table(here / "results" / "actions") in page
