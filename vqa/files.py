"""Read questions about pictures from the files of VQA v2.

    <root>/v2_OpenEnded_mscoco_<split>_questions.json       questions, each of a picture
    <root>/v2_mscoco_<split>_annotations.json               ten answers to each, if they are known
    <root>/v2_mscoco_<split>_complementary_pairs.json       pairs that differ in the picture alone
    <root>/<split>/COCO_<split>_000000000001.jpg            pictures: the last digits are the id

    read_questions(root, "train") --> Questions

The plain words train, val and test are understood whatever the root calls them, as in
coco/dataset.py. A root without val sets a fifth of its training pictures aside.
"""

import re
from array import array
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np

from coco.dataset import WORDS, Picture, in_drawn_order, tell
from system.files import BadInput, read_json, refuse_web_address, writable
from system.records import collector_paused, records
from system.shapes import misfit

QUESTIONS = "v2_OpenEnded_mscoco_{}_questions.json"
ANNOTATIONS = "v2_mscoco_{}_annotations.json"
PAIRS = "v2_mscoco_{}_complementary_pairs.json"
YEARS = "", "2014", "2015", "2017"
VAL_SHARE = 0.2             # of the pictures of a train split without val
ANNOTATORS = 10             # a question
REMEDY = "get or draw the questions again, or give another --data"
QUESTION = {"question_id": int, "image_id": int, "question": str}
ANNOTATION = {"question_id": int, "image_id": int, "question_type": str, "answer_type": str,
              "answers": list}
PICTURE = re.compile(r"(?!\.)(?:.*\D)?(\d+)\.(?:jpe?g|png)", re.I)
LARGEST = 2**63             # ids are below


@dataclass(frozen=True, eq=False)
class Questions:
    """The N questions of a split, with their pictures and, where they are known, answers."""

    root: Path
    split: str
    pictures: tuple         # of coco.dataset.Picture without sentences, in order of id
    ids: np.ndarray         # (N,) int64
    picture: np.ndarray     # (N,) int32: row in pictures
    texts: list
    # the next three are empty where there are no annotations
    question_types: list = field(default_factory=list)
    answer_types: list = field(default_factory=list)
    answers: list = field(default_factory=list)     # N tuples of ten strings
    # (P, 2) int64: rows of questions that differ in the picture alone
    pairs: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.int64))

    @property
    def name(self):
        """The split's name, by which the features of its pictures are announced."""
        return self.split

    def only(self, rows):
        """Return the questions of these rows in this order; pairs that lose one of two are gone."""
        rows = np.asarray(rows, np.int64)
        places = np.full(len(self.ids), -1, np.int64)
        places[rows] = np.arange(len(rows))
        pairs = places[self.pairs]
        held, picture = np.unique(self.picture[rows], return_inverse=True)
        columns = {one.name: [column[row] for row in rows] for one in fields(self)
                   if isinstance(column := getattr(self, one.name), list) and column}
        return replace(self, pictures=tuple(self.pictures[row] for row in held),
                       picture=picture.astype(np.int32), ids=self.ids[rows],
                       pairs=pairs[(pairs >= 0).all(1)], **columns)


def split_names(root):
    """Return the splits that a root has questions of; raise `BadInput` if there are none."""
    refuse_web_address(root)
    begin, end = QUESTIONS.split("{}")
    names = sorted(path.name[len(begin):-len(end)]
                   for path in Path(root).glob(QUESTIONS.format("*")))
    if not names:
        raise BadInput(f"{root} has no {QUESTIONS.format('<split>')}, so it holds no questions: "
                       "draw some with 'python prepare.py questions', or give another --data")
    return names


def find_split(root, word):
    """Return the name in `root` of the split `word`, or None: train -> train, train2014."""
    names = split_names(root)
    fitting = [name for one in WORDS.get(word, (word,))
               for name in (one + year for year in YEARS) if name in names]
    if len(fitting) > 1:
        tell(f"{root} has {' and '.join(fitting)}: {fitting[0]} is used as {word}, and no other")
    return fitting[0] if fitting else None


@collector_paused()
def read_questions(root, split, val=False):
    """Read the questions of a split.

    split: train, val or test, or the name that the files have.  val: only the fifth of the
    pictures that would be set aside.  Where there is no val, "val" is this fifth of train, and
    "train" the rest. Raises `BadInput` for a split that is not there and for damaged files.
    """
    root, name = Path(root), find_split(root, split)
    lends = find_split(root, "val") is None
    if split == "val" and lends:
        name, val = find_split(root, "train"), True
    if name is None:
        raise BadInput(f"{root} has no questions of a split '{split}': it has "
                       f"{', '.join(split_names(root))}")
    whole = read_files(root, name)
    if not val and not (split == "train" and lends):
        return whole
    if len(whole.pictures) == 1:
        raise BadInput(f"{root} has questions about a single picture, too few to set some aside "
                       "to validate with: add more")
    part = whole.only(np.flatnonzero(lent(whole)[whole.picture] == val))
    return replace(part, split=f"val, lent by {name}") if val else part


def lent(questions):
    """Return for each picture whether it is set aside for val, drawn by its id."""
    rows = in_drawn_order(range(len(questions.pictures)), 0,
                          lambda row: questions.pictures[row].id)
    aside = np.zeros(len(rows), bool)
    aside[rows[:max(1, round(VAL_SHARE * len(rows)))]] = True
    return aside


def read_files(root, name):
    """Return the questions of the files that have this split's name."""
    path = root / QUESTIONS.format(name)
    questions, rows = asked(root, name, path, root / name, (
        (one["question_id"], one["image_id"], one["question"])
        for one in checked(path, "questions", QUESTION)))
    return replace(questions, **read_annotations(root / ANNOTATIONS.format(name), questions, rows),
                   pairs=read_pairs(root / PAIRS.format(name), rows))


def asked(root, name, path, folder, found):
    """Return `Questions` without answers, and {question id: row}.

    path: the file that has them.  folder: where the pictures are.  found: (question id, image id,
    text)s. Raises `BadInput` for ids that no file of questions has.
    """
    rows, images, texts = {}, array("q"), []
    for id, image, text in found:
        if id in rows:
            raise BadInput(f"{path} has two questions of id {id}: {REMEDY}")
        if not (0 <= id < LARGEST and 0 <= image < LARGEST):
            raise BadInput(f"{path} has the question {id} about picture {image}, and ids are whole "
                           f"numbers from 0 to 2^63 - 1: {REMEDY}")
        rows[id] = len(rows)
        images.append(image)
        texts.append(writable(text))
    if not rows:
        raise BadInput(f"{path} has no question: {REMEDY}")
    held, picture = np.unique(images, return_inverse=True)
    return Questions(root, name, find_pictures(folder, held.tolist(), path), np.fromiter(
        rows, np.int64, len(rows)), picture.astype(np.int32), texts), rows


class Texts(dict):
    """Strings, each kept once and as UTF-8 can write it: `texts[string]`."""

    def __missing__(self, text):
        self[text] = kept = writable(text)
        return kept


def checked(path, part, shape):
    """Yield the entries of a list in a file; raise `BadInput` for one that has not this shape."""
    kinds = shape.items()
    for number, entry in enumerate(records(path, part, REMEDY)):
        # most are sound, which this sees sooner than `misfit` does
        sound = type(entry) is dict and all([type(entry.get(key)) is kind for key, kind in kinds])
        if place := None if sound else misfit(entry, shape, f"{part}[{number}]"):
            raise BadInput(f"{path} is damaged or of another kind ({place[:80]} is missing or "
                           f"not what it should be): {REMEDY}")
        yield entry


def find_pictures(folder, ids, path):
    """Return the `Picture` of every id in a folder; raise `BadInput` if one is missing.

    path: the questions file, to name it.
    """
    files = {}
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if found := PICTURE.fullmatch(file.name):
            other = files.setdefault(int(found[1]), file)
            if other != file:
                raise BadInput(f"{other} and {file.name} are both picture {int(found[1])}: remove "
                               "one of them")
    missing = [id for id in ids if id not in files]
    if missing:
        raise BadInput(f"{path} asks about {len(missing)} of {len(ids)} pictures that are not in "
                       f"{folder}, {missing[0]} for one: put them there, named by their ids as in "
                       f"COCO_{folder.name}_{missing[0]:012d}.jpg")
    return tuple(Picture(id, files[id], ()) for id in ids)


def read_annotations(path, questions, rows):
    """Return question types, answer types and answers by name, in the order of the questions.

    rows: {question id: row}. Empty where there is no file; raises `BadInput` for one that is
    damaged or of other questions.
    """
    if not path.exists():
        return {}
    images = np.array([picture.id for picture in questions.pictures])[questions.picture]
    known, columns = Texts(), [[None] * len(rows) for _ in range(3)]
    for number, one in enumerate(checked(path, "annotations", ANNOTATION)):
        id, row = one["question_id"], rows.get(one["question_id"])
        if row is None or images[row] != one["image_id"]:
            raise BadInput(f"{path} answers question {id} about picture {one['image_id']}, which "
                           f"the questions file does not ask: {REMEDY}")
        if columns[0][row] is not None:
            raise BadInput(f"{path} has two annotations of question {id}: {REMEDY}")
        answers = ten_answers(one["answers"], f"{path}: annotations[{number}]", known)
        for column, value in zip(columns, (known[one["question_type"]], known[one["answer_type"]],
                                           answers), strict=True):
            column[row] = value
    if None in columns[0]:
        raise BadInput(f"{path} has no annotation of {columns[0].count(None)} questions, "
                       f"{questions.ids[columns[0].index(None)]} for one: {REMEDY}")
    return dict(zip(("question_types", "answer_types", "answers"), columns, strict=True))


def ten_answers(entries, where, known):
    """Return the ten strings in an annotation's answers; raise `BadInput` for anything else."""
    if len(entries) != ANNOTATORS:
        raise BadInput(f"{where} has {len(entries)} answers in place of {ANNOTATORS}: {REMEDY}")
    try:
        return tuple([known[one["answer"]] for one in entries])
    except (KeyError, TypeError, AttributeError):
        raise BadInput(f"{where} has an answer that is no text: {REMEDY}") from None


def read_pairs(path, rows):
    """Return the (P, 2) rows of the complementary pairs whose questions are all there."""
    pairs = read_json(path, REMEDY, [(int, int)]) if path.exists() else []
    found = [(rows[one], rows[other]) for one, other in pairs if one in rows and other in rows]
    if pairs and not found:
        raise BadInput(f"{path} pairs no questions of this split: {REMEDY}")
    return np.array(found, np.int64).reshape(-1, 2)
