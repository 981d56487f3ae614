"""The claims of every decoder are judged on drawn scenes, and the table is that of the files."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from captioning.checkpoint import load_captioner
from captioning.settings import CaptioningSettings
from coco.dataset import read_split
from decoders.registry import NAMES, wants_grid
from experiments import harness, truth
from scenes.claims import tally
from scenes.dataset import draw, read_graphs
from system.commands import run_command
from system.files import BadInput, read_json, write_json
from tests.running import train_run as train_captioner


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    root = tmp_path_factory.mktemp("drawn") / "scenes"
    draw(root, {"train": 8, "val": 2, "test": 3, "novel": 2}, progress=False)
    return root


def climb(monkeypatch, folder, *options):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["truth.py", *map(str, options)])
    truth.main()


def small(name, data, seed):
    """A training of a moment."""
    return CaptioningSettings(data=data, decoder=name, encoder="tiny", epochs=1, vocab_threshold=1,
                              embed_size=16, hidden_size=16, views=1, seed=seed)


def test_a_decoder_is_trained_and_judged_once(drawn, tmp_path, monkeypatch, capsys, no_curves):
    monkeypatch.setattr(truth, "decoder_settings", small)
    climb(monkeypatch, tmp_path, "--data", drawn, "--only", "constant", "soft",
          "adaptive")
    file = tmp_path / "results/truth/adaptive.json"
    found, written = read_json(file, ""), file.stat().st_mtime_ns
    assert found["settings"]["decoder"] == "adaptive" and found["settings"]["data"] == "scenes"
    assert len(found["curve"]) == 1 and found["minutes"] > 0
    assert found["test"].keys() == {"CIDEr", "each", "claims", "pointing"}
    assert len(found["test"]["each"]) == 3
    assert set(found["test"]["pointing"]) == {"middle in the box", "cell touches the box"}
    assert "pointing" not in read_json(file.with_name("constant.json"), "")["novel"]
    monkeypatch.setattr(harness, "train", None)             # so it would fail
    climb(monkeypatch, tmp_path, "--data", drawn, "--only", "adaptive")
    assert file.stat().st_mtime_ns == written
    capsys.readouterr()
    climb(monkeypatch, tmp_path, "--table")
    rows = capsys.readouterr().out.splitlines()
    assert [row.split(" | ")[:2] for row in rows[2:]] == [
        ["| constant", "test"], ["| constant", "novel"], ["| soft", "test"], ["| soft", "novel"],
        ["| adaptive", "test"], ["| adaptive", "novel"]]


def test_claims_are_those_of_the_captions(drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(truth, "decoder_settings", small)
    monkeypatch.chdir(tmp_path)
    train_captioner(small("lstm_every", str(drawn), 0), tmp_path / "run")
    captioner, split = load_captioner(tmp_path / "run"), read_split(drawn, "test")
    said = [best for best, *_ in captioner.sentences(captioner.features(split)[0], truth.BEAM)]
    assert truth.judge(captioner, drawn, "test")["claims"] == tally(said, read_graphs(drawn, split))


def test_the_table_is_that_of_the_files(tmp_path):
    claims = {kind: [0, 0] for kind in truth.KINDS} | {"object": [90, 120], "count": [3, 4]}
    pointing = {rule: {"words": 8, "right": right, "random": 0.1}
                for rule, right in (("middle in the box", 0.5), ("cell touches the box", 0.875))}
    one = {"CIDEr": 2.346, "each": [2.0, 2.692], "claims": claims}
    write_json(tmp_path / "soft.json", {"test": {**one, "pointing": pointing}, "novel": one})
    write_json(tmp_path / "hard.json", {"test": one | {"each": [2.1, 2.892]}, "novel": one})
    heading, _, test, novel, better, same = truth.table(tmp_path).splitlines()
    assert heading == ("| decoder | split | CIDEr | over soft | object | colour | size | count | "
                       "relation | background | points at it | touches it |")
    assert better.startswith("| hard | test | 235 | +15 [+10, +20] |")
    assert same.startswith("| hard | novel | 235 | +0 [+0, +0] |")
    assert test == ("| soft | test | 235 |  | 75.0 | none | none | 75.0 (4) | none | none | 50.0 | "
                    "87.5 |")
    assert novel.endswith("| none |  |  |")


def test_every_decoder_has_settings_that_a_run_accepts():
    for name in NAMES:
        settings = truth.decoder_settings(name, "d", 3)
        assert (settings.decoder, settings.seed) == (name, 3)
        assert (settings.captions_per_picture > 0) == wants_grid(name)


@pytest.mark.parametrize("options, message", [([], "give --data"), (["--table"], "no result")])
def test_what_is_missing_is_one_sentence(options, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["truth.py", *options])
    with pytest.raises(SystemExit) as end:
        run_command(truth.main)
    error = capsys.readouterr().err
    assert end.value.code == 2 and message in error and error.count("\n") == 1


def test_every_committed_result_is_read_and_known_as_done():
    here = Path(__file__).parents[1]
    experiment = harness.Experiment("data/scenes", here / "runs", here / "results/truth")
    done = [name for name in ("constant", *NAMES) if experiment.done(name)]
    assert done and len(truth.table(experiment.results).splitlines()) == 2 + 2 * len(done)
    with pytest.raises(BadInput, match="another --name"):
        replace(experiment, data="data/other").done(done[0])


def test_the_page_quotes_the_table_of_the_committed_results():
    here = Path(__file__).parents[1]
    page = (here / "docs/EXPERIMENTS.md").read_text(encoding="utf-8")
    assert truth.table(here / "results/truth") in page


def test_pictures_without_scene_graphs_are_refused(tiny_root, tmp_path, monkeypatch):
    train_captioner(small("lstm_every", str(tiny_root), 0), tmp_path / "run")
    with pytest.raises(BadInput, match="no scene graphs"):
        truth.judge(load_captioner(tmp_path / "run"), tiny_root, "val")
