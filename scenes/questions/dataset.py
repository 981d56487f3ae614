"""Write questions about the drawn pictures in the files of VQA v2.

    python prepare.py questions           # 39,000 questions from a seed; nothing is downloaded

    v2_OpenEnded_mscoco_<split>_questions.json      about ten a picture
    v2_mscoco_<split>_annotations.json              ten answers each; the type is the family
    v2_mscoco_<split>_complementary_pairs.json      one question, two pictures, two answers
    v2_mscoco_<split>_programs.json                 {question id: family, program, box, fact}
    facts_<split>.json                              the table that questions about facts need
    annotations/, <split>/                          the pictures of `prepare.py scenes`

The splits are those of scenes. In test and novel a part of the facts is redrawn.
"""

import random

from tqdm import tqdm

from scenes import dataset as pictures
from scenes.facts import FILE, facts, lookup
from scenes.programs import STEP, Scene, box, run
from scenes.questions.annotators import SYNONYMS, answers
from scenes.questions.balance import pool, select
from system.files import holds, read_json, write_json

VERSION = 3                     # of what a seed gives: raise it when the questions change
PER_PICTURE = 10                # questions, on average
REDRAWN = ("test", "novel")     # splits in which a part of the facts is
QUESTIONS = "v2_OpenEnded_mscoco_{}_questions.json"
FILES = "v2_mscoco_{}_{}.json"
# what is read of the file of programs, by the question's id as text
PROGRAM = {"family": str, "program": [STEP]}


def draw(root, sizes=None, seed=0, progress=True):
    """Draw pictures and questions and return their folder; done at once if it has them.

    sizes: pictures by split.  Raises `BadInput` if root holds anything else, other pictures too.
    """
    root = pictures.draw(root, sizes, seed, progress)
    about = {"description": "questions about scenes", "version": VERSION, "seed": seed}
    done = {split: holds(root, QUESTIONS.format(split), {**about, "split": split}, partly=True)
            for split in pictures.SIZES}
    for split in tqdm([split for split in done if not done[split]], unit="split", desc="asking",
                      disable=not progress or all(done.values())):
        write_split(root, split, {**about, "split": split})
    return root


def find_root(data):
    """Return the folder of questions: a path, or "scenes" for those about the drawn pictures."""
    root = pictures.find_root(data)
    if data == "scenes":
        draw(root, progress=not (root / QUESTIONS.format("train")).exists())
    return root


def read_scenes(root, split, table):
    """Return {image id: Scene} of a split that has been drawn."""
    graphs = read_json(root / "annotations" / f"scene_graphs_{split}.json", "draw the scenes again",
                       {str: pictures.GRAPH})
    return {int(image_id): Scene(graph, lookup(table)) for image_id, graph in graphs.items()}


def write_split(root, split, about):
    """Write the five files of a split, the questions last: where they are, all are."""
    seed = f"{about['seed']} {split}"
    table = facts(about["seed"], redrawn=split in REDRAWN)
    scenes = read_scenes(root, split, table)
    asked, pairs = select(pool(scenes, seed), PER_PICTURE * len(scenes), seed)
    ids = question_ids(asked)
    order = sorted(range(len(asked)), key=ids.__getitem__)
    programs = {ids[i]: answered(asked[i], scenes[asked[i].picture], table) for i in order}
    rng = random.Random(f"{seed} annotators")
    start = {"info": about, "license": {}, "data_type": "mscoco", "data_subtype": split}
    annotations = [annotation(asked[i], ids[i], programs[ids[i]]["box"], rng) for i in order]
    write_json(root / FILE.format(split), {"info": about, "facts": table})
    write_json(root / FILES.format(split, "programs"), programs)
    write_json(root / FILES.format(split, "complementary_pairs"),
               sorted(sorted(ids[i] for i in pair) for pair in pairs))
    write_json(root / FILES.format(split, "annotations"), {**start, "annotations": annotations})
    write_json(root / QUESTIONS.format(split), {**start, "task_type": "Open-Ended", "questions": [
        {"image_id": asked[i].picture, "question": asked[i].question, "question_id": ids[i]}
        for i in order]})


def question_ids(asked):
    """Return a question's id each, as VQA v2 forms it: the picture's, then three digits."""
    number, found = {}, []
    for one in asked:
        number[one.picture] = number.get(one.picture, -1) + 1
        found.append(one.picture * 1000 + number[one.picture])
    return found


def answered(one, scene, table):
    """Return what is known of how a question is answered."""
    values = run(one.program, scene)
    last, fact = one.program[-1], None
    if last["function"] == "query_fact":
        thing, = values[-2]
        fact = next(fact["id"] for fact in table if fact["relation"] == last["value_inputs"][0]
                    and fact["subject"] == scene.objects[thing]["shape"])
    return {"family": one.family, "program": one.program, "box": box(one.program, values, scene),
            "fact": fact}


def annotation(one, question_id, asked_about, rng):
    """Return a question's annotation; asked_about: the box, or None."""
    given = answers(one.answer, asked_about, rng)
    kind = "number" if one.answer.isdigit() else "other"
    sure = {one.answer, *SYNONYMS.get(one.answer, ())}
    return {"question_type": one.family, "multiple_choice_answer": one.answer,
            "answer_type": "yes/no" if one.answer in ("yes", "no") else kind,
            "image_id": one.picture, "question_id": question_id,
            "answers": [{"answer": said, "answer_confidence": "yes" if said in sure else "maybe",
                         "answer_id": number} for number, said in enumerate(given, start=1)]}
