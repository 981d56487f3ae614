"""Read the questions of CLEVR, Johnson et al. 2017 (arXiv:1612.06890), and their programs.

    <root>/questions/CLEVR_<split>_questions.json
    <root>/images/<split>/CLEVR_<split>_000000.png

    read_clevr(root, "val") --> Questions, [((function, inputs, values), ...), ...]

A program is a tuple of steps; inputs are the numbers of earlier steps. The released files call a
step's function "function", those of the generator "type". A question's type is its last function,
and its answer's type one of five (TYPES), by which the field reports. There is one answer; ten
annotators who agree stand for it, so that VQA's accuracy is plain accuracy.
"""

from dataclasses import replace
from pathlib import Path

from system.files import BadInput
from system.records import collector_paused
from system.shapes import misfit
from vqa.files import ANNOTATORS, REMEDY, Texts, asked, checked

QUESTIONS = "CLEVR_{}_questions.json"
QUESTION = {"question_index": int, "image_index": int, "question": str,
            "answer": str | None, "program": list | None}     # neither is told of the test split
TYPES = {"exist": "exist", "count": "count",
         **dict.fromkeys(("equal_integer", "less_than", "greater_than"), "compare integer"),
         **dict.fromkeys(("equal_size", "equal_shape", "equal_color", "equal_material"),
                         "compare attribute"),
         **dict.fromkeys(("query_size", "query_shape", "query_color", "query_material"), "query")}


@collector_paused()
def read_clevr(root, split):
    """Return the `Questions` of a split and their programs, none where they are not told.

    Raises `BadInput` for files that are damaged or not there.
    """
    root, known, steps = Path(root), Texts(), {}
    path = root / "questions" / QUESTIONS.format(split)
    asks, answers, programs = [], [], []
    for number, one in enumerate(checked(path, "questions", QUESTION)):
        asks.append((one["question_index"], one["image_index"], one["question"]))
        if one.get("answer") is not None:
            answers.append(known[one["answer"]])
            programs.append(program_of(one.get("program"), f"{path}: questions[{number}]", steps))
    questions, _ = asked(root, split, path, root / "images" / split, asks)
    if answers and len(answers) < len(asks):
        raise BadInput(f"{path} has answers to some of its questions alone: {REMEDY}")
    tens = {answer: (answer,) * ANNOTATORS for answer in set(answers)}
    functions = [program[-1][0] for program in programs]
    return replace(questions, question_types=functions, answers=[tens[one] for one in answers],
                   answer_types=[TYPES[function] for function in functions]), programs


def program_of(steps, where, shared):
    """Return a program as a tuple of (function, inputs, values).

    shared: {step: itself}, since the same steps make up all programs. Raises `BadInput` for a
    program that is damaged or ends in a function that gives no answer.
    """
    try:
        found = [(step["function"] if "function" in step else step["type"],
                  tuple(step["inputs"]), tuple(step["value_inputs"])) for step in steps]
        for number, step in enumerate(found):
            if step not in shared and misfit([step[0], *step[2]], [str]):
                raise TypeError
            if not all(0 <= one < number for one in step[1]):
                raise TypeError
        if found[-1][0] not in TYPES:
            raise BadInput(f"{where} ends in the function {found[-1][0]!r}, which gives no answer: "
                           f"{REMEDY}")
        return tuple([shared.setdefault(step, step) for step in found])
    except (KeyError, TypeError, IndexError):
        raise BadInput(f"{where} has a damaged program, or none: {REMEDY}") from None
