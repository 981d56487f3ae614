"""Pose questions of fifteen families: which ones a picture suggests, their programs and wordings.

    Scene --Form.propose--> slots --Form.program--> program     --programs.run--> the answer
                                  --Form.worded---> "Is the red ball left of the tree?"

A form is one way to ask; its *slots* (kinds of things, words) say about what. Pictures propose what
they hold and, so that an answer cannot be guessed, much the same with one attribute changed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import permutations, product

from scenes import words
from scenes.drawing import COLOURS, PAINTERS
from scenes.programs import RELATIONS, join, step, then
from scenes.questions.phrases import RELATED, SIDES, Kind, Spoken, select, the

VALUES = {"shape": tuple(PAINTERS), "colour": tuple(COLOURS), "size": tuple(words.SIZES)}
CHANGED = 2                     # descriptions with one attribute changed, for each true one
NEAR = (("shape",), ("colour",), ("colour", "shape"), ("size", "shape"), ("size", "colour"))
BY_NAME = (("shape",), ("colour", "shape"))
NAMELESS = (("colour",), ("size", "colour"), ("size",))
SIDED = (("column",), ("shape", "column"))
UNNAMED_SIDED = (("column",), ("colour", "column"))


@dataclass(frozen=True)
class Form:
    """A way to ask; propose(scene, rng) gives tuples of slots, program(*slots) a program."""

    family: str
    propose: Callable
    program: Callable
    wordings: tuple

    def worded(self, slots, rng):
        """Return the question in one of its wordings."""
        said = [Spoken(slot, rng) if isinstance(slot, Kind) else rng.choice(RELATED[slot])
                for slot in slots]
        return rng.choice(self.wordings).format(*said)


# What a picture proposes.

def kinds(scene, *subsets):
    """Return descriptions of the things by each set of attributes, each once."""
    found = [Kind(**{name: thing[name] for name in names})
             for thing in scene.objects for names in subsets
             if "column" not in names or thing["column"] in SIDES]
    return list(dict.fromkeys(found))


@cache
def unlike(kind):
    """Return all descriptions that differ from a kind in one attribute."""
    return [kind._replace(**{name: value}) for name, values in VALUES.items()
            for value in values if getattr(kind, name) not in (None, value)]


def changed(kind, rng):
    """Return some descriptions that differ from a kind in one attribute."""
    others = unlike(kind)
    return rng.sample(others, min(CHANGED, len(others)))


def holds(scene, kind):
    """Return whether a picture has a thing of a kind without a place."""
    said = [(name, value) for name in VALUES if (value := getattr(kind, name))]
    return any(all(thing[name] == value for name, value in said) for thing in scene.objects)


def of(*subsets):
    """Return the proposer of kinds by these sets of attributes."""
    return lambda scene, rng: [(kind,) for kind in kinds(scene, *subsets)]


def near(scene, rng):
    """Propose kinds that are there, and some that are almost there."""
    true = kinds(scene, *NEAR)
    return [(kind,) for kind in dict.fromkeys([*true, *(other for kind in true
                                                        for other in changed(kind, rng))])]


def counted(scene, rng):
    return [(Kind(),), *near(scene, rng)]


def related(*subsets):
    """Return the proposer of things in a relation to one that these attributes describe."""
    return lambda scene, rng: [
        (Kind(relation=relation, other=other),) for other in kinds(scene, *subsets)
        for relation in RELATIONS if len(scene.objects) > 1]


def pairs(*subsets):
    """Return the proposer of two kinds that the same attributes describe."""
    return lambda scene, rng: [pair for names in subsets
                               for pair in permutations(kinds(scene, names), 2)]


def placed(scene, rng):
    """Propose (kind, relation, kind)."""
    return [(one, relation, other) for one, other in pairs(("shape",), ("colour",))(scene, rng)
            for relation in RELATIONS]


def combined(scene, rng):
    """Propose two kinds, of which the one, the other, both or none are there."""
    found = []
    for first, second in ((("shape",), ("shape",)), (("colour", "shape"), ("shape",)),
                          (("colour",), ("colour",))):
        ones, others = kinds(scene, first), kinds(scene, second)
        found += product([*ones, *(changed(kind, rng)[0] for kind in ones)],
                         [*others, *(changed(kind, rng)[0] for kind in others)])
    # "a red ball or a ball" would be odd
    return [(one, other) for one, other in dict.fromkeys(found)
            if not {one.shape, one.colour} & ({other.shape, other.colour} - {None})]


def not_both(scene, rng):
    """Propose two kinds of which one is there or none: of both one could argue about "or"."""
    return [(one, other) for one, other in combined(scene, rng)
            if not (holds(scene, one) and holds(scene, other))]


# The programs.

def ask(function, *values, start=the):
    """Return the program's maker that applies a function to what `start` gives of one kind."""
    return lambda kind: then(start(kind), function, *values)


def both(function, part, start=the):
    """Return the program's maker that compares what the function `part` says of two kinds."""
    return lambda one, other: join(function, then(start(one), part), then(start(other), part))


def verified(one, relation, other):
    """Return the program of whether one thing stands in a relation to another."""
    return join("is_related", the(one), the(other), relation)


# The wordings: three or more of each form, "{0}" the first slot as Spoken formats it.

COLOUR = ("What colour is the {0}?", "Which colour is the {0}?", "What is the colour of the {0}?")
SIZE = ("Is the {0} small or large?", "Is the {0} large or small?", "What size is the {0}?")
SHAPE = ("What is the {0}?", "What kind of thing is the {0}?", "What sort of thing is the {0}?")
FACTS = {
    "made of": ("What is the {0} made of?", "Which material is the {0} made of?",
                "What material is the {0} made of?"),
    "meant for": ("What occasion is the {0} for?", "Which occasion is the {0} for?",
                  "Which occasion is the {0} meant for?"),
    "stored in": ("Where is the {0} stored?", "Where is the {0} kept?",
                  "Where is the {0} usually stored?")}
COMPARED = {
    "greater_than": ("Are there more {0:s} than {1:s}?", "Can you see more {0:s} than {1:s}?",
                     "Does the picture show more {0:s} than {1:s}?"),
    "less_than": ("Are there fewer {0:s} than {1:s}?",
                  "Are there fewer {0:s} than {1:s} in the picture?",
                  "Does the picture show fewer {0:s} than {1:s}?"),
    "equal_integer": ("Are there exactly as many {0:s} as {1:s}?",
                      "Is the number of {0:s} the same as the number of {1:s}?",
                      "Are there just as many {0:s} as {1:s}?")}


SAME = {
    "colour": ("Do the {0} and the {1} have the same colour?",
               "Is the {0} the same colour as the {1}?",
               "Are the {0} and the {1} the same colour?"),
    "shape": ("Are the {0} and the {1} the same kind of thing?",
              "Is the {0} the same kind of thing as the {1}?",
              "Are the {0} and the {1} both the same kind of thing?")}


FORMS = (
    Form("exist", near, ask("exist", start=select),
         ("Is there {0:a}?", "Can you see {0:a}?", "Are there any {0:s}?",
          "Does the picture show {0:a}?")),
    Form("count", counted, ask("count", start=select),
         ("How many {0:s} are there?", "How many {0:s} can you see?",
          "How many {0:s} does the picture show?", "How many {0:s} are in the picture?")),
    *(Form("colour", propose, ask("query_colour"), COLOUR)
      for propose in (of(("shape",), ("size", "shape")), of(*SIDED), related(*BY_NAME))),
    *(Form("size", propose, ask("query_size"), SIZE)
      for propose in (of(*BY_NAME, ("colour",)), of(*SIDED), related(*BY_NAME))),
    *(Form("shape", propose, ask("query_shape"), SHAPE)
      for propose in (of(*NAMELESS), of(*UNNAMED_SIDED))),
    Form("background", lambda scene, rng: [()], lambda: then([step("scene")], "query_background"),
         # a meadow could be called a field: the choices say which words there are
         ("Which of these does the picture show: beach, meadow, room, snow, night or sunset?",
          "Which scene is it: night, sunset, snow, beach, room or meadow?",
          "Is this a room, a meadow, a beach, a sunset, snow or night?")),
    *(Form("compare counts", pairs(("shape",), ("colour",)),
           both(function, "count", start=select), wordings)
      for function, wordings in COMPARED.items()),
    *(Form("same attribute", pairs(*subsets), both(f"equal_{name}", f"query_{name}"), SAME[name])
      for name, subsets in (("colour", [("shape",), ("size", "shape"), *SIDED]),
                            ("shape", [("colour",), ("size",), *UNNAMED_SIDED]))),
    Form("relation", placed, verified,
         ("Is the {0} {1} the {2}?", "Would you say the {0} is {1} the {2}?",
          "Is it true that the {0} is {1} the {2}?")),
    Form("related thing", lambda scene, rng: [
        (kind.relation, kind.other) for kind, in related(("shape",), ("colour",))(scene, rng)],
         lambda relation, other: then(the(Kind(relation=relation, other=other)), "query_shape"),
         # a toy, since the moon may be there too
         ("Which toy is {0} the {1}?", "What kind of toy is {0} the {1}?",
          "Which toy do you see {0} the {1}?")),
    Form("logic", combined, both("and", "exist", start=select),
         ("Is there both {0:a} and {1:a}?", "Can you see both {0:a} and {1:a}?",
          "Does the picture show both {0:a} and {1:a}?")),
    Form("logic", not_both, both("or", "exist", start=select),
         ("Is there either {0:a} or {1:a}?", "Can you see either {0:a} or {1:a}?",
          "Does the picture show either {0:a} or {1:a}?")),
    Form("where", of(*BY_NAME, *NAMELESS), ask("query_column"),
         ("Is the {0} on the left, in the middle or on the right?",
          "Where is the {0}: on the left, in the middle or on the right?",
          "Is the {0} in the left, the middle or the right part of the picture?")),
    *(Form(relation, propose, ask("query_fact", relation), wordings)
      for relation, wordings in FACTS.items()
      for propose in (of(*NAMELESS), of(*UNNAMED_SIDED))))
FAMILIES = tuple(dict.fromkeys(form.family for form in FORMS))
