"""The row of the benchmark on opening questions about pictures, as many as VQA v2's train split.

    Setup --opening--> {"questions_s": Figure, "questions_peak_gb": Figure}

Generated, in the official files' layout and of their size: 443,757 questions on 82,783 pictures
take 40 MB, their annotations 330 MB.
"""

import json

import numpy as np
import torch

from experiments.bench.child import Child
from experiments.bench.tools import Figure
from vqa.files import ANNOTATIONS, ANNOTATORS, PAIRS, QUESTIONS

SPLIT = "train2014"
A_PICTURE = 443_757 / 82_783        # questions
TYPES = ("yes/no", "number", "other")


def opening(setup):
    """Open all questions once, in a process of their own: seconds, and its peak of memory."""
    count = setup.sizes.asked
    root = write_questions(setup.folder / "questions", count)
    with Child(["questions", root, SPLIT], torch.get_num_threads()) as child:
        found = child.answer()
    sample = f"{count:,} questions"
    figures = {"questions_s": Figure.of([found["seconds"]], "s", sample)}
    if found["peak"]:                   # on Linux
        figures["questions_peak_gb"] = Figure.of([found["peak"] / 1e9], "GB", sample)
    return figures


def write_questions(root, count, seed=0):
    """Write so many questions with ten answers each, pairs of them, and files for the pictures."""
    (root / SPLIT).mkdir(parents=True)
    random = np.random.default_rng(seed)
    images = (np.arange(count) / A_PICTURE).astype(int).tolist()
    for image in range(images[-1] + 1):
        (root / SPLIT / f"COCO_{SPLIT}_{image:012d}.jpg").touch()
    ids = [10 * image + number for number, image in enumerate(images)]
    write_list(root / QUESTIONS.format(SPLIT), "questions", (
        {"image_id": image, "question": sentence(random), "question_id": id}
        for image, id in zip(images, ids, strict=True)))
    write_list(root / ANNOTATIONS.format(SPLIT), "annotations", (
        annotation(random, image, id) for image, id in zip(images, ids, strict=True)))
    (root / PAIRS.format(SPLIT)).write_text(json.dumps(list(zip(ids[::2], ids[1::2], strict=False))
                                                       ))
    return root


def sentence(random):
    """Return a question of 4 to 8 words, as long as VQA's are."""
    words = (15_000 ** random.random(random.integers(3, 8))).astype(int).tolist()
    return f"What {' '.join(f'w{word}' for word in words)}?"


def annotation(random, image, id):
    """Return an annotation with ten answers, most of them the same one."""
    usual, other = (f"answer {int(150_000 ** power)}" for power in random.random(2))
    answers = [{"answer": usual if share < 0.7 else other, "answer_confidence": "yes",
                "answer_id": number}
               for number, share in enumerate(random.random(ANNOTATORS), start=1)]
    return {"question_type": f"type {id % 65}", "multiple_choice_answer": usual,
            "answers": answers, "image_id": image, "answer_type": TYPES[id % len(TYPES)],
            "question_id": id}


def write_list(path, key, entries):
    """Write an object with a list of these entries, one after the other."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'{{"info": {{}}, "data_type": "mscoco", "{key}": [')
        for number, entry in enumerate(entries):
            file.write(", " * (number > 0) + json.dumps(entry))
        file.write("]}")
