"""Captions and answers that any program wrote are scored as our own are."""

import json
import sys

import pytest

from captioning.evaluation import report_of
from coco.dataset import read_split
from coco.results import ANSWERS, CAPTIONS, read_results, results_kind
from evaluate import main as evaluate_main
from system.files import BadInput, write_json
from tests.asking import write_questions
from vqa.evaluation import report as answer_report
from vqa.files import read_questions

IDS = [7, 8, 9, 10]


def evaluated(monkeypatch, *words):
    """Run evaluate.py with these words."""
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *map(str, words), "--device", "cpu"])
    evaluate_main()


def test_captions_in_a_file_have_the_scores_of_those_captions(tiny_root, tmp_path, monkeypatch,
                                                              capsys):
    split = read_split(tiny_root, "val")
    said = [picture.sentences[0] for picture in split.pictures][::-1]
    right, entries, _ = report_of(said, split, "captions of mine.json")
    assert 0 < right["CIDEr"] < report_of(said[::-1], split, "")[0]["CIDEr"]
    root = tmp_path / "without pictures"
    (root / "annotations").mkdir(parents=True)
    for file in (tiny_root / "annotations").glob("captions_*.json"):
        (root / "annotations" / file.name).write_bytes(file.read_bytes())
    write_json(tmp_path / "mine.json", [{**one, "score": 1.5} for one in entries[::-1]])
    evaluated(monkeypatch, tmp_path / "mine.json", "--data", root, "--json", tmp_path / "r.json")
    found = json.loads((tmp_path / "r.json").read_text())
    assert {name: found[name] for name in right} == right
    shown, told = capsys.readouterr()
    assert f"{100 * right['CIDEr']:.1f}" in shown and "pictures are few" in told
    evaluated(monkeypatch, tmp_path / "mine.json", "--data", root, "--json", tmp_path / "r.json",
              "--limit", 2)
    found = json.loads((tmp_path / "r.json").read_text())
    first = report_of(said[:2], split.first(2), "captions of mine.json")[0]
    assert {name: found[name] for name in first} == first and found["pictures"] == 2
    assert f"{len(said) - 2} of {len(said)} entries are not of what" in capsys.readouterr().err


@pytest.mark.parametrize("words, said", [
    (["run"], "is a file of results, which is scored by itself"),
    (["--beam", 5], "--beam means nothing for .*mine.json, a file of results: leave it out"),
    (["--rules", "fixed"], "--rules means nothing"), (["--views", 2], "--views means nothing"),
    (["--results", "again.json"], "--results means nothing")])
def test_what_means_nothing_for_a_file_of_captions_is_refused(tiny_root, tmp_path, monkeypatch,
                                                              words, said):
    write_json(tmp_path / "mine.json", [{"image_id": 1, "caption": "a"}])
    with pytest.raises(BadInput, match=said):
        evaluated(monkeypatch, tmp_path / "mine.json", *words, "--data", tiny_root)


def test_answers_in_a_file_have_the_scores_of_those_answers(tmp_path, monkeypatch, capsys):
    root = write_questions(tmp_path / "root", {"train": 4, "val": 3})
    questions = read_questions(root, "val")
    said = ["red"] * len(questions.ids)
    entries = [{"question_id": id, "answer": "red"} for id in questions.ids.tolist()]
    write_json(tmp_path / "mine.json", entries[::-1])
    evaluated(monkeypatch, tmp_path / "mine.json", "--data", root, "--json", tmp_path / "r.json")
    right = answer_report(questions, said)
    assert json.loads((tmp_path / "r.json").read_text()) == json.loads(json.dumps(right))
    assert 0 < right["accuracy"] < 1
    assert f"{100 * right['accuracy']:.2f}" in capsys.readouterr().out
    (root / "v2_mscoco_val_annotations.json").unlink()
    with pytest.raises(BadInput, match="no annotations of val, .*: give another --split$"):
        evaluated(monkeypatch, tmp_path / "mine.json", "--data", root)


@pytest.mark.parametrize("keys", [CAPTIONS, ANSWERS])
def test_texts_come_in_the_order_of_the_ids(keys, tmp_path):
    texts = ["a red cat", "“blue”", "", "2"]
    write_json(tmp_path / "r.json", [dict(zip(keys, pair, strict=True))
                                     for pair in [*zip(IDS, texts, strict=True)][::-1]])
    assert results_kind(tmp_path / "r.json") == keys
    assert read_results(tmp_path / "r.json", keys, IDS, "val") == texts


@pytest.mark.parametrize("edit, sentence", [
    (lambda all: all.pop(), "lacks 1 of the 4 that val has, the image_id 10 for one: give one"),
    (lambda all: all.append(all[0]), "has the image_id 7 twice"),
    (lambda all: all[0].update(image_id=5), "lacks 1 of the 4 that val has, the image_id 7 for"),
    (lambda all: all[0].update(image_id="7"), r"it\[0\].image_id is not what"),
    (lambda all: all[0].update(caption=None), r"it\[0\].caption is not what"),
    (lambda all: all[0].pop("caption"), r"it\[0\].caption is not what"),
    (lambda all: all.insert(0, []), r"it\[0\] is not what")])
def test_unsound_results_are_one_sentence(tmp_path, edit, sentence):
    content = [{"image_id": id, "caption": "a"} for id in IDS]
    edit(content)
    write_json(tmp_path / "r.json", content)
    with pytest.raises(BadInput, match=sentence):
        read_results(tmp_path / "r.json", CAPTIONS, IDS, "val")


@pytest.mark.parametrize("content", [[], {}, [3], [{"image_id": 1}], [{"question": "why?"}]])
def test_another_file_is_neither_captions_nor_answers(tmp_path, content):
    write_json(tmp_path / "r.json", content)
    with pytest.raises(BadInput, match=r"give a list as in \["):
        results_kind(tmp_path / "r.json")
