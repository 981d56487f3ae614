"""The ladder trains what is not trained, writes what is done, and prints it from its files."""

import math
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from captioning.checkpoint import load_captioner
from captioning.ensemble import Ensemble
from captioning.evaluation import evaluate
from captioning.settings import RECIPES, CaptioningSettings
from coco.dataset import read_split
from decoders.search import Search
from experiments import ladder
from experiments.baselines import most_frequent
from experiments.ladder import Ladder, Rung, climb, loss_per_word
from experiments.ladder_table import MARKS, filled, table
from scoring import meteor
from scoring.prose import prose
from scoring.significance import paired_bootstrap
from system.commands import run_command
from system.files import BadInput, read_json, write_json
from training import loop as training
from training.folders import read_history

TINY = {"embed_size": 8, "hidden_size": 8, "epochs": 1, "vocab_threshold": 1, "warmup": 2,
        "batch_size": 16, "views": 1, "learning_rate": 0.05, "precision": "float32"}
LADDER = ladder.RUNGS
RUNGS = (
    Rung("constant", "one sentence", None, most_frequent),
    Rung("small", "an LSTM", "constant", recipe="seed", settings=TINY,
         search=Search(method="greedy"), repeated=True),
    Rung("wide", "beam search", "small", runs=("small",), repeated=True),
    Rung("more", "trained on", "wide", recipe="seed", settings=TINY, start="small"),
    Rung("both", "an ensemble", "more", runs=("small", "more"), ensemble=True),
)
FILES = {f"{name}.{kind}" for kind in ("json", "cider.json")
         for name in ("constant-0", "small-0", "small-1", "wide-0", "wide-1", "more-0", "both-0")}


@pytest.fixture(autouse=True)
def tiny_rungs(monkeypatch):
    monkeypatch.setattr(ladder, "RUNGS", RUNGS)
    monkeypatch.setattr(training, "save_curves", lambda *_: None)
    monkeypatch.setattr(meteor.shutil, "which", lambda name: None)      # no Java: it is slow


def command(monkeypatch, folder, *options):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["ladder.py", "--device", "cpu", *map(str, options)])
    ladder.main()


@pytest.fixture(scope="module")
def climbed(tiny_root, tmp_path_factory):
    """A folder in which the whole ladder was climbed, with two seeds."""
    folder = tmp_path_factory.mktemp("climbed")
    with pytest.MonkeyPatch.context() as patch:
        tiny_rungs.__wrapped__(patch)
        command(patch, folder, "--data", tiny_root, "--seeds", 2)
    return folder


@pytest.fixture
def place(climbed, tiny_root, tmp_path):
    """A copy of it, to be changed."""
    for name in ("runs", "results"):
        shutil.copytree(climbed / name, tmp_path / name)
    return ladder_in(tmp_path, tiny_root)


def ladder_in(folder, root):
    return Ladder(str(root), folder / "runs/ladder", folder / "results/ladder", seeds=2)


def result(folder, name):
    return read_json(folder / "results/ladder" / f"{name}.json", "")


def test_every_rung_leaves_a_result_for_each_of_its_seeds(climbed):
    assert {path.name for path in (climbed / "results/ladder").iterdir()} == FILES
    found = result(climbed, "small-1")
    assert found["settings"]["data"] == found["data"] == "tiny0"
    assert found["rung"] == "small" and found["seed"] == found["settings"]["seed"] == 1
    assert found["split"] == "val" and found["pictures"] == 6 and "greedy" in found["search"]
    assert {"parameters", "minutes", "val_loss", "Bleu_1", "Bleu_4", "ROUGE_L", "CIDEr", "distinct",
            "vocabulary", "mean_length", "bad_endings", "torch", "threads"} <= found.keys()
    assert len(found["curve"]) == found["settings"]["epochs"]
    assert all(0 < minutes <= found["minutes"] + 0.001 for minutes, _ in found["curve"])
    each = read_json(climbed / "results/ladder/small-1.cider.json", "")
    assert np.mean(each) == pytest.approx(found["CIDEr"], abs=1e-4) and len(each) == 6


def test_a_result_has_the_scores_of_its_captioner(climbed, tiny_root):
    val = read_split(tiny_root, "val")
    captioners = [load_captioner(climbed / "runs/ladder" / name)
                  for name in ("small-0", "small-1", "more-0")]
    wide, _, _ = evaluate(captioners[1], val, Search(beam=3))
    assert wide.items() <= result(climbed, "wide-1").items()
    both, _, _ = evaluate(Ensemble(captioners), val, Search(beam=3))
    assert both.items() <= result(climbed, "both-0").items()
    assert result(climbed, "both-0")["runs"] == ["small-0", "small-1", "more-0"]
    assert result(climbed, "both-0")["parameters"] == 3 * result(climbed, "more-0")["parameters"]


def test_a_rung_begins_with_the_weights_of_its_start(climbed):
    settings = result(climbed, "more-0")["settings"]
    assert settings["start"] == "runs/ladder/small-0"
    before, after = (read_history(climbed / "runs/ladder" / name)[0]["train_loss"]
                     for name in ("small-0", "more-0"))
    assert after < before


def test_the_loss_is_the_one_that_training_validated(climbed, tiny_root):
    row = read_history(climbed / "runs/ladder/small-0")[0]
    assert result(climbed, "small-0")["val_loss"] == pytest.approx(row["val_loss"], rel=1e-3)
    val = read_split(tiny_root, "val")
    captioner = load_captioner(climbed / "runs/ladder/small-0")
    assert loss_per_word([captioner] * 2, val) == pytest.approx(loss_per_word([captioner], val))


def test_finished_rungs_are_not_run_again(place, tiny_root, monkeypatch, capsys):
    done = []
    monkeypatch.setattr(ladder, "climb", lambda _, rung, seed: done.append((rung.name, seed)) or
                        {"CIDEr": 0})
    folder = place.results.parents[1]
    command(monkeypatch, folder, "--data", tiny_root, "--seeds", 2)
    assert done == []
    (place.results / "small-1.json").unlink()
    (place.results / "constant-0.json").unlink()
    command(monkeypatch, folder, "--data", tiny_root, "--seeds", 2, "--only", "small", "more")
    assert done == [("small", 1)]


def test_a_ladder_broken_off_in_a_training_goes_on_to_the_same_figures(place, climbed, monkeypatch,
                                                                       tiny_root):
    folder = place.results.parents[1]
    monkeypatch.chdir(folder)                       # so that a start has the same name as before
    again = ladder_in(Path(), tiny_root)
    shutil.rmtree(folder / "runs/ladder/more-0")
    (folder / "results/ladder/more-0.json").unlink()
    steps, step = [], training.step

    def killed(run, batch):
        steps.append(0)
        if len(steps) == 3:
            raise KeyboardInterrupt
        return step(run, batch)

    monkeypatch.setattr(training, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        climb(again, RUNGS[3], 0)
    assert not (folder / "results/ladder/more-0.json").exists()
    before, found = result(climbed, "more-0"), climb(again, RUNGS[3], 0)
    assert {**found, "minutes": 0, "curve": 0} == {**before, "minutes": 0, "curve": 0}


def test_the_result_is_written_after_the_pictures_it_goes_with(place, monkeypatch):
    (place.results / "wide-0.json").unlink()

    def full(path, value, indent=None):
        raise BadInput(f"{path.name} cannot be written")

    monkeypatch.setattr(ladder, "write_json", full)         # the pictures': see `climb`
    with pytest.raises(BadInput, match=r"wide-0\.cider\.json"):
        climb(place, RUNGS[2], 0)
    assert not place.done("wide-0")


@pytest.mark.parametrize("gone", ["runs/ladder/small-0", "results/ladder/small-0.json"])
def test_a_rung_without_what_it_builds_on_says_what_to_run_first(place, gone):
    path = place.results.parents[1] / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    for rung in RUNGS[2:]:
        with pytest.raises(BadInput, match="run the rung small first"):
            climb(place, rung, 0)


def test_results_of_other_data_are_refused_and_not_taken_for_finished(place, write_root, tmp_path,
                                                                      monkeypatch):
    root = write_root(tmp_path / "others", {"train": 3, "val": 3})
    with pytest.raises(BadInput, match="another --name"):
        command(monkeypatch, tmp_path, "--data", root)
    with pytest.raises(BadInput, match="no finished rung"):
        command(monkeypatch, tmp_path, "--table", "--name", "others")


def test_the_table_needs_nothing_but_the_files(place, tmp_path, monkeypatch, capsys):
    shutil.rmtree(tmp_path / "runs")
    command(monkeypatch, tmp_path, "--table")
    shown = capsys.readouterr().out
    rows = [line.strip("| \n").split(" | ") for line in shown.splitlines() if line.startswith("|")]
    assert [row[0] for row in rows] == ["rung", "---", *(rung.name for rung in RUNGS)]
    assert len({line.count("|") for line in shown.splitlines() if line.startswith("|")}) == 1
    assert "val, 6 pictures" in shown and "BLEU-4" in rows[0] and "METEOR" not in rows[0]


def row_of(shown, name):
    cells = [line.split("|")[1:-1] for line in shown.splitlines() if line.startswith("|")]
    return {heading.strip(): cell.strip() for heading, cell in zip(
        cells[0], next(row for row in cells if row[0].strip() == name), strict=True)}


def written(folder, name, seed, each, **figures):
    write_json(folder / f"{name}-{seed}.cider.json", each)
    write_json(folder / f"{name}-{seed}.json", {
        "rung": name, "seed": seed, "data": "d", "split": "val", "pictures": len(each),
        "CIDEr": float(np.mean(each)), **figures})


def test_several_seeds_show_mean_and_deviation_and_are_averaged_before_they_are_compared(tmp_path):
    written(tmp_path, "constant", 0, [0.1, 0.2, 0.3], Bleu_4=0.25, parameters=None)
    written(tmp_path, "small", 0, [0.3, 0.4, 0.5], Bleu_4=0.1, parameters=1_500_000)
    written(tmp_path, "small", 1, [0.5, 0.6, 0.7], Bleu_4=0.2, parameters=1_500_000)
    shown = table(RUNGS, tmp_path)
    assert row_of(shown, "constant")["CIDEr-D"] == "20.0"
    assert row_of(shown, "constant")["CIDEr-D over the rung below"] == ""
    row = row_of(shown, "small")
    assert row["CIDEr-D"] == f"50.0 ± {100 * math.sqrt(0.02):.1f}"
    assert row["BLEU-4"] == f"15.0 ± {100 * math.sqrt(0.005):.1f}"
    assert row["million parameters"] == "1.5" and "METEOR" not in row
    assert row["CIDEr-D over the rung below"] == "+30.0 [+30.0, +30.0]" and row["wins"] == "100.0 %"


def test_the_page_quotes_the_ladder_as_its_files_have_it():
    here = Path(__file__).parent.parent
    page = (here / ladder.PAGE).read_text(encoding="utf-8")
    assert filled(page, table(LADDER, here / "results/ladder")) == page


def test_no_result_says_where_on_a_machine_the_data_lay():
    for file in (Path(__file__).parent.parent / "results").rglob("*.json"):
        assert not re.search(r'"(/|[A-Z]:)', file.read_text(encoding="utf-8")), file


def test_a_table_stands_between_its_marks_and_a_page_without_them_is_refused():
    page = f"above\n{MARKS[0]}\nold\n{MARKS[1]}\nbelow\n"
    assert filled(page, "new") == f"above\n{MARKS[0]}\n\nnew\n\n{MARKS[1]}\nbelow\n"
    assert filled(filled(page, "newer"), "new") == filled(page, "new")
    with pytest.raises(BadInput, match="no place for the table"):
        filled(f"above {MARKS[0]}", "new")


def test_a_table_of_different_pictures_is_refused(tmp_path):
    written(tmp_path, "constant", 0, [0.1, 0.2, 0.3])
    written(tmp_path, "small", 0, [0.1, 0.2])
    with pytest.raises(BadInput, match="different pictures"):
        table(RUNGS, tmp_path)


def test_the_bootstrap_agrees_with_the_normal_approximation_and_is_paired():
    random = np.random.default_rng(1)
    pictures = random.exponential(0.5, 400)                         # far apart, yet paired
    gains = random.normal(0.02, 0.2, 400)
    found = paired_bootstrap(pictures, pictures + gains)
    error = gains.std() / math.sqrt(400)
    assert found.mean == pytest.approx(gains.mean())
    assert found.low == pytest.approx(gains.mean() - 1.96 * error, abs=0.1 * error)
    assert found.high == pytest.approx(gains.mean() + 1.96 * error, abs=0.1 * error)
    normal = 0.5 * (1 + math.erf(gains.mean() / error / math.sqrt(2)))
    assert found.wins == pytest.approx(normal, abs=0.02)
    assert found == paired_bootstrap(pictures, pictures + gains)


def test_no_difference_is_no_win():
    assert paired_bootstrap([0.1, 0.4], [0.1, 0.4]) == (0, 0, 0, 0)


def test_prose_counts_words_and_endings_without_case_and_punctuation():
    found = prose(["A dog runs on a", "a DOG runs .", "the man is looking at her", ""])
    assert found == {"vocabulary": 10, "mean_length": pytest.approx(14 / 4), "bad_endings": 0.5}


def test_the_ladders_own_rungs_are_sound(monkeypatch):
    """Each names rungs before it, and has settings that a run accepts."""
    monkeypatch.undo()
    names = []
    for rung in ladder.RUNGS:
        assert {rung.below, rung.start, *rung.runs} - {None} <= set(names)
        start = {"start": "runs/x"} if rung.start else {}
        CaptioningSettings(data="d", **{**RECIPES[rung.recipe], **rung.settings, **start})
        names.append(rung.name)
    assert len(set(names)) == len(names) and ladder.BEST in names
    assert re.fullmatch(r"[a-z_ ]+", " ".join(names))


def test_the_command_answers_bad_input_with_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ladder.py"])
    with pytest.raises(SystemExit) as end:
        run_command(ladder.main)
    error = capsys.readouterr().err
    assert end.value.code == 2 and error.startswith("error: give --data") and error.count("\n") == 1
