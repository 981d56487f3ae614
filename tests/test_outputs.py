"""Nothing that a command writes takes the place of a file that is not the project's own."""

import json
import os
import sys
from argparse import Namespace

import pytest

from captioning.task import Captioning
from coco.results import ANSWERS, CAPTIONS
from course import handin
from evaluate import check_outputs
from evaluate import main as evaluate_main
from experiments import harness, plan
from experiments.bench import __main__ as bench
from system import tensor_file
from system.commands import run_command
from system.files import BadInput, write_json
from system.outputs import output_file
from system.roots import output_folder
from train import main as train_main
from training.folders import claim
from vocabulary import Vocabulary

REPORT = {"split": "val", "pictures": 1, "references": 5, "search": "beam 3", "tokenizer": "PTB",
          "Bleu_4": 0.5, "distinct": 1}
RESULTS = [{"image_id": 1, "caption": "a dog"}]
OTHERS = {"photo.jpg": b"\xff\xd8\xff", "model.safetensors": bytes(64), "empty.json": b"",
          "notes.json": b"{not JSON", "list.json": b"[1, 2]", "settings.json": b'{"task": "x"}',
          "rung.json": json.dumps({**REPORT, "rung": "soft"}).encode(),
          "captions_test.json": b'{"images": [], "annotations": []}'}


def snapshot(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def options(folder, **given):
    return Namespace(**{"data": str(folder / "data"), "json": None, "results": None, **given})


@pytest.mark.parametrize("option", ["json", "results"])
@pytest.mark.parametrize("name", OTHERS)
def test_evaluate_replaces_nothing_but_its_own_kind(tmp_path, option, name):
    (tmp_path / name).write_bytes(OTHERS[name])
    with pytest.raises(BadInput, match=f"{name} is there and is not .*, so it is not replaced"):
        check_outputs(options(tmp_path, **{option: str(tmp_path / name)}), CAPTIONS)
    assert snapshot(tmp_path) == {tmp_path / name: OTHERS[name]}


def test_evaluate_replaces_what_it_wrote_before_and_not_the_one_by_the_other(tmp_path):
    report, results = tmp_path / "report.json", tmp_path / "results.json"
    write_json(report, REPORT)
    write_json(results, RESULTS)
    check_outputs(options(tmp_path, json=str(report), results=str(results)), CAPTIONS)
    with pytest.raises(BadInput, match="is not a file of question_id and answer"):
        check_outputs(options(tmp_path, results=str(results)), ANSWERS)
    for wrong in ({"json": str(results)}, {"results": str(report)},
                  {"json": str(tmp_path / "a"), "results": str(tmp_path / "x" / ".." / "a")},
                  {"json": str(tmp_path)}, {"results": ""}, {"json": str(report / "x")}):
        with pytest.raises(BadInput):
            check_outputs(options(tmp_path, **wrong), CAPTIONS)


def test_nothing_is_written_among_the_references(tmp_path):
    (tmp_path / "data" / "annotations").mkdir(parents=True)
    for name in ("captions_mine.json", "deep/results.json"):
        with pytest.raises(BadInput, match="would lie among the references"):
            check_outputs(options(tmp_path, results=str(tmp_path / "data" / "annotations" / name)),
                          CAPTIONS)


def refused(main, monkeypatch, capsys, *words):
    """Run a command that must end in one sentence, which is returned."""
    monkeypatch.setattr(sys, "argv", ["x.py", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        run_command(main)
    shown = capsys.readouterr()
    assert end.value.code == 2 and shown.err.startswith("error: ") and shown.err.count("\n") == 1
    return shown.err


def test_the_checkpoint_that_is_evaluated_is_refused_before_it_is_read(tmp_path, monkeypatch,
                                                                       capsys):
    tensor_file.write(tmp_path / "best.safetensors", "captioner", 1, {}, {})
    before = snapshot(tmp_path)
    error = refused(evaluate_main, monkeypatch, capsys, tmp_path, "--data", tmp_path, "--json",
                    tmp_path / "best.safetensors")
    assert "best.safetensors is there and is not a report" in error
    assert snapshot(tmp_path) == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such file")
def test_what_is_no_ordinary_file_is_not_replaced():
    with pytest.raises(BadInput, match="null is there and is not a page"):
        output_file(os.devnull, "a page", lambda path: True)


def test_a_home_is_where_it_says_and_a_file_is_no_folder(tmp_path, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    assert output_file("~/x.json", "x", bool) == tmp_path / "x.json"
    assert output_folder("~/runs/", "--run") == tmp_path / "runs"
    (tmp_path / "file").touch()
    for text in ("", tmp_path / "file", tmp_path / "file" / "deep" / "er"):
        with pytest.raises(BadInput, match="--run"):
            output_folder(str(text), "--run")


# Runs -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("theirs", [
    {"1.jpg": b"mine", "x.part-3": b"mine"}, {"lock": b"my key"}, {"history.jsonl": b"my life"},
    {"settings.json": b'{"editor": 1}'}, {"settings.json": b"[]"}, {"best.safetensors": b"mine"},
    {"vocabulary.json": b"{}"}, {"coco_train2017.zip.part-00": b"00"}, {"notes/a.txt": b"mine"}])
def test_a_run_in_a_folder_of_other_files_is_refused(tmp_path, tiny_root, monkeypatch, capsys,
                                                     theirs):
    folder = tmp_path / "photos"
    for name, content in theirs.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    before = snapshot(folder)
    for run in (folder, f"{folder}/"):
        error = refused(train_main, monkeypatch, capsys, "--data", tiny_root, "--run", run)
        assert "photos holds other files than a run's" in error and "remove" not in error
    monkeypatch.chdir(folder)
    assert "holds other files" in refused(train_main, monkeypatch, capsys, "--data", tiny_root,
                                          "--run", ".")
    with pytest.raises(BadInput, match="holds other files"):        # as a notebook begins a run
        claim(folder, Captioning, True)
    assert snapshot(folder) == before


@pytest.mark.parametrize("run", ["", "file", "file/run"])
def test_a_run_that_can_have_no_folder_is_one_sentence(tmp_path, monkeypatch, capsys, run):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    assert "--run" in refused(train_main, monkeypatch, capsys, "--data", "x", "--run", run)
    assert snapshot(tmp_path) == {tmp_path / "file": b"mine"}


def test_the_status_of_a_folder_of_other_settings_is_one_sentence(tmp_path, monkeypatch, capsys):
    for content, words in (("[]", "is damaged or of another kind"),
                           ('{"task": "cooking"}', "holds a run of no task")):
        (tmp_path / "settings.json").write_text(content)
        assert words in refused(train_main, monkeypatch, capsys, "--status", tmp_path)


# Other commands ---------------------------------------------------------------------------------

def test_the_benchmark_and_the_plan_replace_their_own_alone(tmp_path, monkeypatch, capsys):
    write_json(tmp_path / "report.json", REPORT)
    (tmp_path / "README.md").write_text("# Mine")
    before = snapshot(tmp_path)
    assert "report.json is there and is not a report of this benchmark" in refused(
        bench.main, monkeypatch, capsys, "--json", tmp_path / "report.json")
    assert "README.md is there and is not a page of this command" in refused(
        plan.main, monkeypatch, capsys, tmp_path / "report.json", tmp_path / "README.md")
    assert snapshot(tmp_path) == before


def test_an_experiment_replaces_no_result_and_keeps_to_its_folder(tmp_path):
    experiment = harness.Experiment("data/x", tmp_path, tmp_path)
    for content in ("[]", '{"a": 1}'):
        (tmp_path / "soft.json").write_text(content)
        with pytest.raises(BadInput, match="soft.json is .* another .*: give another --name"):
            experiment.done("soft")
    for name in ("", ".", "..", "../x", "a/b", str(tmp_path)):
        with pytest.raises(BadInput, match="plain name"):
            harness.folders(Namespace(name=name))


def test_a_students_own_notes_are_not_replaced_by_the_report(tmp_path, monkeypatch):
    (tmp_path / "0_Dataset.ipynb").write_text("{}")
    (tmp_path / handin.REPORT).write_text("What I did")
    monkeypatch.setattr(handin, "examine", lambda *_: pytest.fail("examined"))
    with pytest.raises(BadInput, match="handin.txt is there and is not a report"):
        handin.hand_in(tmp_path)
    assert (tmp_path / handin.REPORT).read_text() == "What I did"


def test_a_vocabulary_replaces_an_old_one_pickled_or_not_and_nothing_else(tmp_path, tiny_root):
    captions = tiny_root / "annotations" / "captions_val.json"
    for name, content in (("vocab.pkl", b"\x80\x04"), ("v.json", b'{"words": []}')):
        (tmp_path / name).write_bytes(content)
        assert len(Vocabulary(1, tmp_path / name, annotations_file=captions)) > 3
    before = captions.read_bytes()
    with pytest.raises(BadInput, match="captions_val.json is there and is not a vocabulary"):
        Vocabulary(1, captions, annotations_file=captions)
    assert captions.read_bytes() == before
