"""A card says what its checkpoint says, and every number in it comes from a file."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import torch

from captioning import card
from captioning.captioner import Captioner
from captioning.card import pack
from captioning.checkpoint import load_captioner, save_captioner
from captioning.settings import RECIPES, CaptioningSettings
from system.commands import run_command
from system.files import BadInput, write_json
from tests.running import train_run
from train import arguments as train_arguments
from training.cards import is_card, training_command

SHIPPED = sorted(Path(__file__).parents[1].glob("checkpoints/*.safetensors"))


@pytest.fixture(scope="module")
def run(tiny_root, tmp_path_factory):
    """The folder of a short run and a report of it."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    train_run(CaptioningSettings(data=str(tiny_root), epochs=1, vocab_threshold=1, embed_size=8,
                                 hidden_size=8, views=1), folder)
    report = {"split": "val", "pictures": 6, "references": 30, "search": "beam 3",
              "tokenizer": "PTB", "Bleu_1": 0.5, "Bleu_4": 0.1234, "CIDEr": 1.5, "distinct": 4}
    write_json(folder / "report.json", report)
    return folder


def packed(run, folder):
    path = folder / "box" / "tiny.safetensors"
    assert pack(run, path, run / "report.json", "Drawn for a test.") == path.with_suffix(".md")
    return path


def test_packing_changes_no_weight_and_no_word(run, tmp_path):
    before, after = load_captioner(run), load_captioner(packed(run, tmp_path))
    assert after.vocab.words == before.vocab.words
    for name, tensor in before.tensors().items():
        assert torch.equal(after.tensors()[name], tensor), name


def test_a_card_has_the_numbers_of_the_run_and_of_the_report(run, tmp_path, tiny_root):
    text = packed(run, tmp_path).with_suffix(".md").read_text(encoding="utf-8")
    words = len(load_captioner(run).vocab)
    for expected in ("# tiny\n", "efficientnet_lite0 (frozen) and the decoder `lstm_every` of 8",
                     f"{words} words", "one vector a picture",
                     "| BLEU-1 | BLEU-4 | CIDEr-D |", "| 50.0 | 12.3 | 150.0 |", "epoch 1 of 1",
                     "val: 6 pictures, 30 references, 4\ndistinct captions; beam 3; PTB",
                     "12 pictures, 60 sentences", f"torch {torch.__version__}", "Drawn for a test"):
        assert expected in text, expected
    assert f"--data data/{tiny_root.name} " in text and str(tiny_root) not in text


def test_the_command_on_a_card_gives_the_settings_of_the_run(monkeypatch):
    commands = []
    changes = {"one_per_picture": True, "tune_from": 7, "dropout": 0.25}
    for settings in (CaptioningSettings(data="data/x", **dials)
                     for dials in ({}, RECIPES["small"], changes,
                                   {**RECIPES["tuned"], "tune_from": None,
                                    "start": "runs/z"})):
        command = training_command(settings, "runs/y", RECIPES)
        commands.append(command)
        monkeypatch.setattr(sys, "argv", command.split()[1:])
        given = train_arguments()
        recipe = RECIPES[given["recipe"]]
        known = {name: value for name, value in given.items() if name in vars(settings)}
        assert CaptioningSettings(**{**recipe, **known}) == settings
    assert commands[1] == "python train.py --run runs/y --recipe small --data data/x"
    assert commands[2] == ("python train.py --run runs/y --recipe seed --data data/x --tune-from 7 "
                       "--one-per-picture --dropout 0.25")


def test_a_card_tells_how_the_runs_were_trained_on_which_it_was_built(run, tmp_path):
    settings = load_captioner(run).about["settings"]
    later = tmp_path / "later"
    train_run(CaptioningSettings(**settings), later, start=str(run), learning_rate=1e-3)
    text = pack(later, tmp_path / "x.safetensors", run / "report.json", "Drawn.").read_text("utf-8")
    block = text.split("```bash\n")[1].split("\n```")[0].splitlines()
    assert [line.split(" --run ")[1].split()[0] for line in block] == ["runs/tiny", "runs/later"]
    assert "--start" not in block[0] and block[1].endswith("--start runs/tiny")
    assert str(tmp_path) not in text and str(run) not in text


def test_a_run_whose_name_has_a_space_is_named_whole_where_another_starts_from_it(run, tmp_path):
    first, later = tmp_path / "my first", tmp_path / "later"
    shutil.copytree(run, first)
    settings = CaptioningSettings(**load_captioner(run).about["settings"])
    train_run(settings, later, start=str(first))
    before, after = map(shlex.split, card.commands(later))
    assert before[before.index("--run") + 1] == after[after.index("--start") + 1] == "runs/my first"


def test_a_card_tells_once_that_the_classifier_joined(run, tmp_path, monkeypatch):
    settings = load_captioner(run).about["settings"]
    train_run(CaptioningSettings(**settings), tmp_path / "later", start=str(run), epochs=1)
    monkeypatch.setattr(Captioner, "certain", 0.5)
    joined = "python -m concepts.certain runs/tiny --probability 0.5"
    assert card.commands(run)[1:] == [joined]
    assert card.commands(tmp_path / "later")[1] == joined
    assert "--start runs/tiny" in card.commands(tmp_path / "later")[2]
    assert len(card.commands(tmp_path / "later")) == 3


@pytest.mark.parametrize("name, there, content", [
    ("photo.jpg", "photo.jpg", b"\xff\xd8"), ("README.md", "README.md", b"# Mine"),
    ("README.safetensors", "README.md", b"# Mine"), ("x.safetensors", "x.safetensors", b"weights")])
def test_what_was_not_packed_before_is_not_replaced(run, tmp_path, name, there, content):
    (tmp_path / there).write_bytes(content)
    with pytest.raises(BadInput, match="no name of a checkpoint|so it is not replaced"):
        pack(run, tmp_path / name, run / "report.json", "Drawn.")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {there: content}


def test_a_captioner_packed_before_is_replaced_and_the_best_one_of_a_run_never(run, tmp_path):
    assert card.is_packed(packed(run, tmp_path)) and is_card(tmp_path / "box" / "tiny.md")
    before = (run / "best.safetensors").read_bytes()
    with pytest.raises(BadInput, match="best.safetensors is there and is not a captioner packed"):
        pack(run, run / "best.safetensors", run / "report.json", "Drawn.")
    assert (run / "best.safetensors").read_bytes() == before


def test_a_checkpoint_that_was_not_packed_has_no_card(run, tmp_path):
    with pytest.raises(BadInput, match="was not packed"):
        card.card(run / "best.safetensors")
    captioner = load_captioner(run)
    save_captioner(tmp_path / "x.safetensors", captioner)
    with pytest.raises(BadInput, match="was not packed"):
        card.card(tmp_path / "x.safetensors")


def test_the_command_packs_or_answers_with_one_sentence(run, tmp_path, monkeypatch, capsys):
    for report, status in ((run / "report.json", 0), (run / "absent.json", 2)):
        monkeypatch.setattr(sys, "argv", [
            "card.py", str(run), str(tmp_path / f"{status}.safetensors"), "--report", str(report),
            "--note", "Drawn."])
        with pytest.raises(SystemExit) as end:
            run_command(card.main)
        assert (end.value.code or 0) == status
        assert (tmp_path / f"{status}.md").exists() == (status == 0)
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_a_captioner_in_the_box_is_small_and_has_the_card_its_header_gives(file):
    assert file.stat().st_size <= 40e6
    text = file.with_suffix(".md").read_text(encoding="utf-8")
    assert text == card.card(file)
    assert "research" in text and re.search(r"\| CIDEr-D \|", text)
    assert not re.search(r"(?<![\w.])/(?:home|root|work|tmp|Users)/|\.\./", text)
