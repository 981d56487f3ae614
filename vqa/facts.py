"""Tables of facts: give one to an answerer, and name and judge the facts that it used.

    facts_<split>.json --table_of--> facts --know--> answerer --reasoned--> answers, facts
    answers, facts, v2_mscoco_<split>_programs.json --fact_accuracy--> right for the right reason

A fact is {"subject": "cat", "relation": "made of", "object": "wood", ...}, see scenes/facts.py. The
facts are no part of a checkpoint, and any table may be used in place of that of training.
"""

from collections import defaultdict

import torch

from coco.dataset import tell
from scenes.facts import FILE, read_facts
from system.files import BadInput, read_json
from vqa.families.knowledge import Table
from vqa.normalize import official
from vqa.words import question_words

PROGRAMS = "v2_mscoco_{}_programs.json"
REMEDY = "draw the questions again"


def reads_facts(answerer):
    """Return whether an answerer is of a family that looks facts up."""
    return hasattr(answerer.model, "table")


def table_of(questions):
    """Return the facts of a split's file; raise `BadInput` if the root has none, or damaged ones.
    """
    path = file_of(questions, FILE)
    if not path.exists():
        raise BadInput(f"{questions.root} has no {path.name}, the table in which this model looks "
                       "facts up: draw questions with 'python prepare.py questions', give another "
                       "--data, or choose another model")
    return read_facts(path)


def file_of(questions, name):
    """Return the path of a file of a split; what train has lent is in train's."""
    return questions.root / name.format(questions.split.removeprefix("val, lent by "))


def in_words(facts):
    """Return the words of subject and relation of each fact as a text."""
    return [f"{fact['subject']} {fact['relation']}" for fact in facts]


def know(answerer, facts):
    """Give an answerer a table of facts in place of the one that it had.

    Facts about words or with answers that it has not learned are left out, and their number is
    said on stderr. Raises `BadInput` if none is left.
    """
    vocab, places = answerer.vocab, answerer.answers.places
    kept = tuple(fact for fact in facts if official(fact["object"]) in places
                 and all(words_in(vocab, fact[part]) for part in ("subject", "relation")))
    if facts and not kept:
        raise BadInput(f"of {len(facts)} facts none has words and an answer that this model has "
                       "learned: give the table of its questions, or train it with this one")
    if len(kept) < len(facts):
        tell(f"{len(facts) - len(kept)} of {len(facts)} facts are left out: they have words or "
             "answers that were not learned")
    subjects, relations = (shares(vocab, [fact[part] for fact in kept])
                           for part in ("subject", "relation"))
    answerer.model.table = Table(kept, subjects, relations, torch.tensor(
        [places[official(fact["object"])] for fact in kept], dtype=torch.long))


def words_in(vocab, text):
    """Return the words of a text, or none if a vocabulary lacks one."""
    found = question_words(text)
    return found if all(word in vocab for word in found) else []


def shares(vocab, texts):
    """Return of texts (F,) which share each word has in them, (F, V)."""
    found = torch.zeros(len(texts), len(vocab))
    for row, text in zip(found, texts, strict=True):
        for word in (said := question_words(text)):
            row[vocab(word)] += 1 / len(said)
    return found


def behind(table, weights, places):
    """Return for each of some answers to a question the fact that it is from, or None.

    weights: (F,), those of the facts.  places: list of the answers' places.
    """
    numbers = defaultdict(list)
    for number, place in enumerate(table.objects.tolist()):
        numbers[place].append(number)
    best = [max(numbers[place], key=weights.__getitem__, default=None) for place in places]
    return [None if number is None else table.facts[number] for number in best]


def reasoned(answerer, features, picture, texts, beside=None):
    """Return the likeliest answers to N questions, and the fact that each is from, or None.

    features, picture, beside: see `Answerer.answered`.
    """
    said, used = [], []
    for one in answerer.answered(features, picture, texts, beside):
        places = answerer.sure(one.scores).argmax(dim=1).tolist()
        said += [answerer.answers.spelled[place] for place in places]
        used += [None] * len(places) if one.facts is None else [
            fact for weights, place in zip(one.facts.tolist(), places, strict=True)
            for fact in behind(answerer.model.table, weights, [place])]
    return said, used


def fact_accuracy(questions, said, used, facts):
    """Return how many answers are right with the right fact: of all questions about facts, of those
    about facts redrawn for this split, and of the others; None where there is no file of programs.

    said, used: of `reasoned`.  facts: the split's table.
    """
    path = file_of(questions, PROGRAMS)
    if not path.exists():
        return None
    programs = read_json(path, REMEDY, {str: {"fact": int | None}})
    known, right = {fact["id"]: fact for fact in facts}, defaultdict(list)
    for id, answer, one in zip(questions.ids.tolist(), said, used, strict=True):
        number = programs.get(str(id), {}).get("fact")
        if number is None:
            continue
        if number not in known:
            raise BadInput(f"{path} needs the fact {number} for question {id}, which "
                           f"{file_of(questions, FILE)} has not: {REMEDY}")
        fact = known[number]
        fine = one is not None and one["id"] == number and official(answer) == official(
            fact["object"])
        for group in ("all", "redrawn" if fact["redrawn"] else "unchanged"):
            right[group].append(fine)
    return {"questions": len(right["all"]), **{
        group: sum(right[group]) / len(right[group]) if right[group] else None
        for group in ("all", "redrawn", "unchanged")}}
