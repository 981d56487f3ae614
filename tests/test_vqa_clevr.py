"""CLEVR's questions are read in both spellings of their programs."""

import pytest

from system.files import BadInput, write_json
from vqa.clevr import TYPES, read_clevr
from vqa.evaluation import report

PROGRAM = [("scene", [], []), ("filter_size", [0], ["large"]), ("count", [1], [])]


def entry(number, program=PROGRAM, answer="2", key="function"):
    """One question as the file has it."""
    return {"split": "val", "image_index": number // 2, "question_index": number,
            "image_filename": f"CLEVR_val_{number // 2:06d}.png", "question": "How many are large?",
            "answer": answer, "question_family_index": 3,
            "program": [{key: function, "inputs": inputs, "value_inputs": values}
                        for function, inputs, values in program]}


def write_root(root, questions):
    """Write a root of CLEVR with two pictures."""
    (root / "images" / "val").mkdir(parents=True)
    for number in range(2):
        (root / "images" / "val" / f"CLEVR_val_{number:06d}.png").touch()
    write_json(root / "questions" / "CLEVR_val_questions.json", {"questions": questions})
    return root


def test_programs_are_read_as_released_and_as_generated(tmp_path):
    yes = [*PROGRAM[:2], ("exist", [1], [])]
    questions, programs = read_clevr(write_root(tmp_path, [
        entry(0), entry(1, yes, "yes", "type"), entry(2, key="type")]), "val")
    assert programs[0] == programs[2] == (("scene", (), ()), ("filter_size", (0,), ("large",)),
                                          ("count", (1,), ()))
    assert programs[0][1] is programs[1][1]             # a step is kept once
    assert questions.question_types == ["count", "exist", "count"] == questions.answer_types
    assert questions.answers[1] == ("yes",) * 10 and questions.ids.tolist() == [0, 1, 2]
    assert questions.pictures[1].file == tmp_path / "images" / "val" / "CLEVR_val_000001.png"
    assert report(questions, ["2", "no", "2"])["by_answer_type"] == {"count": 1, "exist": 0}


def test_answers_have_the_five_types_of_the_last_function():
    assert set(TYPES.values()) == {"exist", "count", "query", "compare integer",
                                   "compare attribute"}
    assert TYPES["equal_integer"] == "compare integer" != TYPES["equal_color"]


def test_of_the_test_split_no_answers_are_told(tmp_path):
    bare = [{key: entry(number)[key] for key in ("question_index", "image_index", "question")}
            for number in range(2)]
    questions, programs = read_clevr(write_root(tmp_path, bare), "val")
    assert (len(questions.texts), questions.answers, programs) == (2, [], [])


@pytest.mark.parametrize("damage, sentence", [
    ({"program": None}, r"questions\[1\] has a damaged program, or none"),
    ({"program": []}, "has a damaged program, or none"),
    ({"program": [{"inputs": [], "value_inputs": []}]}, "has a damaged program"),
    ({"program": ["count"]}, "has a damaged program"),
    ({"program": [{"type": 5, "inputs": [], "value_inputs": []}]}, "has a damaged program"),
    ({"program": [{"type": "count", "inputs": [0], "value_inputs": []}]}, "has a damaged program"),
    ({"program": [{"type": "count", "inputs": "0", "value_inputs": []}]}, "has a damaged program"),
    ({"program": [{"type": "count", "inputs": [], "value_inputs": [[]]}]}, "has a damaged program"),
    ({"program": [{"type": "scene", "inputs": [], "value_inputs": []}]}, "in the function 'scene'"),
    ({"answer": None}, "has answers to some of its questions alone"),
    ({"answer": 2}, r"questions\[1\].answer is missing or not what"),
    ({"question_index": 0}, "has two questions of id 0"),
    ({"image_index": 7}, "asks about 1 of 3 pictures that are not in")])
def test_an_unsound_question_is_one_sentence(tmp_path, damage, sentence):
    with pytest.raises(BadInput, match=f"CLEVR_val_questions.json.*{sentence}"):
        read_clevr(write_root(tmp_path, [entry(0), entry(1) | damage, entry(2)]), "val")


def test_questions_that_are_not_there_are_one_sentence(tmp_path):
    with pytest.raises(BadInput, match="CLEVR_val_questions.json is not there: "):
        read_clevr(tmp_path, "val")
