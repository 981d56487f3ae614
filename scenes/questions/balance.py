"""Choose which questions to ask of which pictures, so that the question alone says nothing.

    {picture: Scene} --pool--> {form: {slots: {answer: pictures}}} --select--> questions, pairs

A question is asked in *rounds*: the same words, once for every answer that it has in the split,
each time of another picture. So of one question all answers are equally frequent. Whatever finds no
partner with another answer is refused. Two of a round, side by side, are a complementary pair.
"""

import random
from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from scenes.programs import Undecided, answer, run
from scenes.questions.families import FAMILIES, FORMS

LOOKED_AT = 8           # pictures, of which the one that was asked least is taken


@dataclass(frozen=True)
class Asked:
    """A question about a picture, its answer and the program that gives it."""

    picture: int
    question: str
    answer: str
    family: str
    program: list


def pool(scenes, seed):
    """Return {form: {slots: {answer: [pictures]}}} of all that {picture: Scene} propose."""
    found = {form: {} for form in FORMS}
    programs = {form: cache(form.program) for form in FORMS}
    for picture, scene in scenes.items():
        rng = random.Random(f"{seed} {picture}")
        for form, answers in found.items():
            for slots in form.propose(scene, rng):
                try:
                    said = answer(run(programs[form](*slots), scene)[-1])
                except Undecided:
                    continue
                answers.setdefault(slots, {}).setdefault(said, []).append(picture)
    return found


def select(found, number, seed):
    """Return about `number` questions (Asked), as many of each family, and pairs of their places.
    """
    rng, load, asked, pairs = random.Random(f"{seed} select"), Counter(), [], []
    for family in FAMILIES:
        ways = [[0, form, rounds(form, found[form], load, rng)] for form in FORMS
                if form.family == family]
        quota = len(asked) + number / len(FAMILIES)
        while ways and len(asked) < quota:
            way = min(ways, key=lambda way: way[0])     # all forms of a family alike
            one = next(way[2], None)
            if one is None:                             # nothing is left to ask this way
                ways.remove(way)
                continue
            way[0] += len(one)
            places = range(len(asked), len(asked) + len(one))
            asked += one
            pairs += list(pairwise(places))[::2]
    return asked, pairs


def rounds(form, answers, load, rng):
    """Yield rounds of questions, lists of Asked, the programs in turn.

    answers: {slots: {answer: [pictures]}}.  load: questions by picture, counted here.
    """
    left = {slots: {said: rng.sample(pictures, len(pictures)) for said, pictures in by.items()}
            for slots, by in answers.items() if len(by) > 1}
    while left:
        for slots in rng.sample(list(left), len(left)):
            by, question, program = left[slots], form.worded(slots, rng), form.program(*slots)
            one = []
            for said in rng.sample(list(by), len(by)):
                picture = min(by[said][-LOOKED_AT:], key=load.__getitem__)
                by[said].remove(picture)
                load[picture] += 1
                one.append(Asked(picture, question, said, form.family, program))
            yield one
            if not all(by.values()):        # an answer has no picture left
                del left[slots]
