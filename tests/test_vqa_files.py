"""Questions are read as the files have them, an entry at a time, and what is damaged is told."""

import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from experiments.bench import questions as bench_questions
from experiments.bench.child import serve_questions
from experiments.bench.tools import SMALL, Setup
from system import records as system_records
from system.files import BadInput, write_json
from system.records import records
from vqa.files import ANNOTATIONS, PAIRS, QUESTIONS, read_questions

NAMES = {"questions": QUESTIONS, "annotations": ANNOTATIONS}


def write_root(root, split="train2014", pictures=10, first=1):
    """Write two questions on each of some pictures: what colour, and whether there is a dog."""
    (root / split).mkdir(parents=True)
    questions, annotations, pairs = [], [], []
    for image in range(first, first + pictures):
        (root / split / f"COCO_{split}_{image:012d}.jpg").touch()
        for number, (text, kind, answer) in enumerate((
                ("What colour is it?", "other", "red"), ("Is there a dog?", "yes/no", "yes"))):
            one = {"question_id": 1000 * image + number, "image_id": image}
            questions.append({**one, "question": text})
            annotations.append({**one, "question_type": text[:8].lower(), "answer_type": kind,
                                "multiple_choice_answer": answer, "answers": [
                                    {"answer_id": k, "answer": answer, "answer_confidence": "yes"}
                                    for k in range(1, 11)]})
        if image > first:
            pairs.append([1000 * image, 1000 * (image - 1)])
    write_json(root / QUESTIONS.format(split), {"info": {}, "questions": questions})
    # the order is another, as it may be
    write_json(root / ANNOTATIONS.format(split), {"info": {}, "annotations": annotations[::-1]})
    write_json(root / PAIRS.format(split), pairs)
    return root


def change(root, part, edit, split="train2014"):
    """Change the entries of a file in place."""
    path = root / NAMES[part].format(split)
    content = json.loads(path.read_text())
    edit(content[part])
    write_json(path, content)


def test_questions_have_their_pictures_answers_and_pairs(tmp_path):
    found = read_questions(write_root(tmp_path), "train2014")
    assert (found.split, found.name, len(found.ids)) == ("train2014", "train2014", 20)
    assert found.ids.dtype == np.int64 and found.picture.dtype == np.int32
    assert [one.id for one in found.pictures] == list(range(1, 11))
    assert found.pictures[2].file == tmp_path / "train2014" / "COCO_train2014_000000000003.jpg"
    assert found.pictures[0].sentences == () and found.ids[:3].tolist() == [1000, 1001, 2000]
    assert found.picture[:3].tolist() == [0, 0, 1] and found.texts[1] == "Is there a dog?"
    assert found.question_types[:2] == ["what col", "is there"]
    assert found.answer_types[:2] == ["other", "yes/no"]
    assert found.answers[:2] == [("red",) * 10, ("yes",) * 10]
    assert found.pairs[0].tolist() == [2, 0] and len(found.pairs) == 9
    assert found.answers[0][0] is found.answers[2][9]           # each string is kept once


def test_without_annotations_and_pairs_there_are_questions_alone(tmp_path):
    write_root(tmp_path, "test2015")
    (tmp_path / ANNOTATIONS.format("test2015")).unlink()
    (tmp_path / PAIRS.format("test2015")).unlink()
    found = read_questions(tmp_path, "test")
    assert (found.answers, found.answer_types, found.question_types) == ([], [], [])
    assert len(found.texts) == 20 and found.pairs.shape == (0, 2)


def test_rows_are_cut_out_with_their_pictures_and_whole_pairs(tmp_path):
    whole = read_questions(write_root(tmp_path), "train2014")
    part = whole.only([4, 2, 0, 19])
    assert part.ids.tolist() == [3000, 2000, 1000, 10001]
    assert [one.id for one in part.pictures] == [1, 2, 3, 10]
    assert part.picture.tolist() == [2, 1, 0, 3] and part.picture.dtype == np.int32
    assert part.texts[3] == "Is there a dog?" and part.answers[3] == ("yes",) * 10
    assert part.pairs.tolist() == [[1, 2], [0, 1]]
    assert len(whole.only([]).ids) == 0


def test_a_root_without_val_sets_a_fifth_of_its_pictures_aside(tmp_path):
    write_root(tmp_path)
    train, val = read_questions(tmp_path, "train"), read_questions(tmp_path, "val")
    assert (train.split, val.split) == ("train2014", "val, lent by train2014")
    held = [{one.id for one in part.pictures} for part in (train, val)]
    assert list(map(len, held)) == [8, 2] and not held[0] & held[1]
    assert read_questions(tmp_path, "train2014", val=True).ids.tolist() == val.ids.tolist()
    assert len(read_questions(tmp_path, "train2014").ids) == 20         # all, by the files' name
    write_root(tmp_path, "val2014", 4, first=50)
    assert len(read_questions(tmp_path, "train").ids) == 20
    assert len(read_questions(tmp_path, "val").ids) == 8


@pytest.mark.parametrize("name", ["000000000010.png", "10.JPG", "COCO_train2014_000000000010.jpeg",
                                  "a1_10.png"])
def test_pictures_are_found_by_the_digits_at_the_end_of_their_names(tmp_path, name):
    folder = write_root(tmp_path) / "train2014"
    (folder / "COCO_train2014_000000000010.jpg").rename(folder / name)
    (folder / "._COCO_train2014_000000000004.jpg").touch()      # as macOS leaves beside a file
    (folder / "notes 5.txt").touch()
    assert read_questions(tmp_path, "train2014").pictures[9].file == folder / name


@pytest.mark.parametrize("part, edit, sentence", [
    ("questions", lambda all: all[3].pop("question"), r"questions\[3\].question is missing"),
    ("questions", lambda all: all[3].update(image_id="7"), r"questions\[3\].image_id is missing"),
    ("questions", lambda all: all[3].update(question_id=True), r"questions\[3\].question_id is"),
    ("questions", lambda all: all[3].update(question_id=-1), "question -1 about picture 2, and"),
    ("questions", lambda all: all[3].update(image_id=10**30), "ids are whole numbers from 0 to"),
    ("questions", lambda all: all.append(all[0]), "has two questions of id 1000"),
    ("questions", lambda all: all.__setitem__(3, [1]), r"questions\[3\] is missing or not what"),
    ("questions", lambda all: all.clear(), "has no question:"),
    ("questions", lambda all: all[3].update(image_id=77), "1 of 11 pictures that are not in .*77"),
    ("annotations", lambda all: all[3].pop("answer_type"), r"annotations\[3\].answer_type is mis"),
    ("annotations", lambda all: all[3].update(answers={}), r"annotations\[3\].answers is missing"),
    ("annotations", lambda all: all[3]["answers"].pop(), r"\[3\] has 9 answers in place of 10"),
    ("annotations", lambda all: all[3]["answers"][4].pop("answer"), r"\[3\] has an answer that is"),
    ("annotations", lambda all: all[3]["answers"][4].update(answer=5), r"\[3\] has an answer that"),
    ("annotations", lambda all: all[3].update(answers=["red"] * 10), r"\[3\] has an answer"),
    ("annotations", lambda all: all.append(all[0]), "has two annotations of question 10001"),
    ("annotations", lambda all: all.pop(), "has no annotation of 1 questions, 1000 for one"),
    ("annotations", lambda all: all[3].update(question_id=5), "answers question 5 about picture"),
    ("annotations", lambda all: all[3].update(image_id=1), "answers question 9000 about")])
def test_an_unsound_entry_is_one_sentence(tmp_path, part, edit, sentence):
    change(write_root(tmp_path), part, edit)
    with pytest.raises(BadInput, match=sentence) as caught:
        read_questions(tmp_path, "train2014")
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)
    assert str(caught.value).endswith((": get or draw the questions again, or give another --data",
                                       "COCO_train2014_000000000077.jpg"))


@pytest.mark.parametrize("content, sentence", [
    ([[1000, 2000, 3000]], r"it\[0\] is not what it should be"), ({}, "it is not what it sh"),
    ([[1000, "2000"]], r"it\[0\]\[1\] is not"), ([[1, 2]], "pairs no questions of this split")])
def test_unsound_pairs_are_one_sentence(tmp_path, content, sentence):
    write_json(write_root(tmp_path) / PAIRS.format("train2014"), content)
    with pytest.raises(BadInput, match=sentence):
        read_questions(tmp_path, "train2014")


def test_pairs_of_questions_that_a_root_leaves_out_are_left_out(tmp_path):
    write_json(write_root(tmp_path) / PAIRS.format("train2014"), [[1000, 2000], [1000, 5]])
    assert read_questions(tmp_path, "train2014").pairs.tolist() == [[0, 2]]


def test_two_files_of_one_picture_are_refused(tmp_path):
    (write_root(tmp_path) / "train2014" / "3.png").touch()
    with pytest.raises(BadInput, match="3.png and COCO.* are both picture 3|are both picture"):
        read_questions(tmp_path, "train2014")


@pytest.mark.parametrize("root, split, sentence", [
    ("nowhere", "train", "has no v2_OpenEnded_mscoco_<split>_questions.json, so it holds no"),
    ("https://vqa.org/data", "train", "is a web address"),
    ("there", "novel", "there has no questions of a split 'novel': it has train2014")])
def test_what_is_not_there_is_one_sentence(tmp_path, monkeypatch, root, split, sentence):
    monkeypatch.chdir(tmp_path)
    write_root(tmp_path / "there", pictures=1)
    with pytest.raises(BadInput, match=re.escape(sentence)):
        read_questions(root, split)


def test_a_single_picture_cannot_be_divided(tmp_path):
    with pytest.raises(BadInput, match="a single picture, too few"):
        read_questions(write_root(tmp_path, pictures=1), "val")


def test_of_two_names_of_a_split_one_is_used_and_that_is_said(tmp_path, capsys):
    write_root(tmp_path, "val")
    write_root(tmp_path, "val2014", 3)
    assert len(read_questions(tmp_path, "val").ids) == 20
    assert "has val and val2014: val is used as val" in capsys.readouterr().err


ODD = {"info": {"annotations": [0], "é": "]}"}, "n": -1.5e3, "annotations": [
    {"a": "\\\" [{", "b": [1, [2, {}]], "c": None}, 12, "]", {}, [], True, 0.25, "x" * 30], "z": 1}


@pytest.fixture
def window(monkeypatch):
    """A window of a few characters, whose edge meets every place of a short file."""
    return lambda size: monkeypatch.setattr(system_records, "PIECE", size)


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("size", [1, 2, 7, 1 << 20])
def test_entries_are_those_of_the_whole_file(tmp_path, window, size, indent):
    window(size)
    write_json(tmp_path / "a.json", ODD, indent)
    assert list(records(tmp_path / "a.json", "annotations", "")) == ODD["annotations"]
    write_json(tmp_path / "a.json", {"annotations": []}, indent)
    assert list(records(tmp_path / "a.json", "annotations", "")) == []


@pytest.mark.parametrize("size", [5, 1 << 20])
def test_a_file_cut_anywhere_is_one_sentence(tmp_path, window, size):
    window(size)
    text, path = json.dumps(ODD), tmp_path / "a.json"
    for end in range(size % 2, len(text), 2):
        path.write_text(text[:end])
        with pytest.raises(BadInput, match="a.json is not JSON.*: get it again"):
            list(records(path, "annotations", "get it again"))


@pytest.mark.parametrize("text, sentence", [
    (b"[1]", "is not JSON .*'\\[' in place of {"), (b"{}", "has no list 'annotations'"),
    (b'{"annotations": {}}', "has no list"),
    (b'{"annotations": [1 2]}', r"behind annotations\[0\]"),
    (b'{"annotations": [1]} x', "something follows its end"), (b"\xff", "is not JSON .*utf-8"),
    (b'{"annotations": [' + b"[" * 100_000, "is not JSON"),
    (b'{"a": nul, "annotations": []}', "is not JSON"),
    (b'{"annotations": [1,]}', r"behind annotations\[0\]")])
def test_damaged_text_is_one_sentence(tmp_path, text, sentence):
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(BadInput, match=f"a.json .*{sentence}"):
        list(records(tmp_path / "a.json", "annotations", "get it again"))


def test_a_folder_and_a_missing_file_are_told_apart(tmp_path):
    with pytest.raises(BadInput, match="is not there: get it again"):
        list(records(tmp_path / "a.json", "annotations", "get it again"))
    with pytest.raises(BadInput, match="cannot be read|is not JSON"):
        list(records(tmp_path, "annotations", "get it again"))


def test_a_file_that_begins_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"annotations": [1]}')
    assert list(records(tmp_path / "a.json", "annotations", "")) == [1]


def test_the_window_forgets_what_was_read(window):
    window(100)
    opened = system_records.Window(io.StringIO('{"annotations": [' + "{}, " * 1000 + "{}]}"))
    assert max(len(opened.text) for _ in system_records.entries(opened, "annotations")) < 200


def test_the_bench_opens_what_it_generates(tmp_path, monkeypatch, capfd):
    class InProcess:
        """Do a child's work here."""

        def __init__(self, arguments, threads):
            serve_questions(*arguments[1:])

        def answer(self):
            return json.loads(capfd.readouterr().out)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(bench_questions, "Child", InProcess)
    figures = bench_questions.opening(Setup(replace(SMALL, asked=60), None, tmp_path, None))
    assert figures["questions_s"].value > 0 and figures["questions_s"].sample == "60 questions"
    found = read_questions(tmp_path / "questions", "train2014")
    assert (len(found.ids), len(found.pictures), len(found.pairs)) == (60, 12, 30)


def test_the_real_questions_are_read(shared_vqa):
    found = read_questions(shared_vqa, "train2014")
    assert (len(found.ids), len(found.pictures)) == (2904, 1933)
    assert {len(ten) for ten in found.answers} == {10}
    assert set(found.answer_types) == {"yes/no", "number", "other"}
    assert len(read_questions(shared_vqa, "val").pictures) == 387
