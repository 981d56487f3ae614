"""A tiny root of questions for tests: plainly coloured pictures, asked for their colour.

    write_questions(root, {"train": 12, "val": 6}) --> a root of VQA v2's files

Imported, it lets an epoch of a tiny run be one pass, as tests/tiny.py does for captions.
"""

import json

from scenes.programs import step, then
from system.files import write_json
from tests.conftest import COLOURS, write_root
from vqa import task

NAMES = list(COLOURS)
task.LEAST_STEPS = 1


def ten(answer, other="grey"):
    """Return the answers of ten annotators, of whom one disagrees and one writes otherwise."""
    given = [answer] * 8 + [f"{answer.upper()}.", other]
    return [{"answer": one, "answer_id": number, "answer_confidence": "yes"}
            for number, one in enumerate(given, 1)]


RED, BLUE = ([step("scene"), step("filter_colour", [0], [name]), step("exist", [1])]
             for name in ("red", "blue"))
PROGRAMS = then(then([step("scene")], "unique"), "query_colour"), RED, BLUE


def write_questions(root, sizes, pairs=True, programs=False):
    """Write pictures and three questions about each: its colour, and whether it is red or blue.

    Whether two pictures, one after the other, are red is a complementary pair where it differs.
    """
    write_root(root, sizes)
    image_id = 0
    for split, size in sizes.items():
        questions, annotations, asked = [], [], []
        for _ in range(size):
            image_id += 1
            colour = NAMES[image_id % 3]
            for number, (text, answer, kind) in enumerate((
                    ("What color is this?", colour, "other"),
                    ("Is this red?", "yes" if colour == "red" else "no", "yes/no"),
                    ("Is this picture blue?", "yes" if colour == "blue" else "no", "yes/no"))):
                about = {"question_id": 10 * image_id + number, "image_id": image_id}
                questions.append({**about, "question": text})
                annotations.append({**about, "answers": ten(answer), "answer_type": kind,
                                    "question_type": " ".join(text.lower().split()[:2]),
                                    "multiple_choice_answer": answer})
            if colour == "red":
                asked.append([10 * image_id + 1, 10 * (image_id - 1) + 1])
        write_json(root / f"v2_OpenEnded_mscoco_{split}_questions.json",
                   {"info": {}, "questions": questions})
        write_json(root / f"v2_mscoco_{split}_annotations.json",
                   {"info": {}, "annotations": annotations})
        if programs:
            write_json(root / f"v2_mscoco_{split}_programs.json",
                       {one["question_id"]: {"program": PROGRAMS[one["question_id"] % 10]}
                        for one in questions})
        held = {one["question_id"] for one in questions}
        asked = [pair for pair in asked if held.issuperset(pair)]
        if pairs and asked:
            write_json(root / f"v2_mscoco_{split}_complementary_pairs.json", asked)
    return root


def write_facts(root, split, objects, redrawn=False):
    """Ask what a picture is made of in place of whether it is red, which the fact of its colour
    says: objects, of each of NAMES.  redrawn: the table says of itself that it is another one.
    """
    questions, annotations = (root / f"v2_{part}_{split}_{end}.json" for part, end in (
        ("OpenEnded_mscoco", "questions"), ("mscoco", "annotations")))
    asked, answered = (json.loads(path.read_text()) for path in (questions, annotations))
    programs = {}
    for one, known in zip(asked["questions"], answered["annotations"], strict=True):
        fact = one["image_id"] % 3 if one["question_id"] % 10 == 1 else None
        programs[one["question_id"]] = {"family": "made of", "fact": fact}
        if fact is not None:
            one["question"] = "What is it made of?"
            known |= {"answers": ten(objects[fact]), "answer_type": "other",
                      "question_type": "made of"}
    write_json(questions, asked)
    write_json(annotations, answered)
    write_json(root / f"v2_mscoco_{split}_programs.json", programs)
    write_json(root / f"facts_{split}.json", {"facts": [
        {"id": number, "subject": NAMES[number], "relation": "made of", "object": one,
         "redrawn": redrawn} for number, one in enumerate(objects)]})
    return root
