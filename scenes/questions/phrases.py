"""Name things of the drawn world in questions: "the big red ball to the left of the tree".

    Kind(colour="red", size="large")  --select-->   program: scene, filter_size, filter_colour
                                      --Spoken-->   "{:a}" a big red toy, "{:s}" big red toys
"""

from typing import NamedTuple

from scenes import words
from scenes.programs import step, then

SIDES = {"left": "on the left", "middle": "in the middle", "right": "on the right"}
# "near" could be said of more than neighbours, "higher than" of what is taller, "over" of what is
# close above; and "what is left of the toy" means what remains of it
RELATED = {**words.RELATIONS, "left of": ("to the left of",), "right of": ("to the right of",),
           "above": ("above",), "next to": ("next to", "beside")}
TOY = "toy"             # what is not named by its shape; no cloud, sun or moon is one


class Kind(NamedTuple):
    """A description of things; None is what it does not say."""

    size: str | None = None
    colour: str | None = None
    shape: str | None = None
    column: str | None = None       # where in the picture's width
    relation: str | None = None     # in which relation to the one thing of the kind `other`
    other: "Kind | None" = None


def select(kind):
    """Return the program that gives all objects of a kind."""
    program = [step("scene")]
    if kind.other:
        program = then(then(select(kind.other), "unique"), "relate", kind.relation)
    for attribute in ("size", "colour", "shape", "column"):
        if (value := getattr(kind, attribute)) is not None:
            program = then(program, f"filter_{attribute}", value)
    return program


def the(kind):
    """Return the program that gives the one object of a kind."""
    return then(select(kind), "unique")


class Spoken:
    """A kind in words: format it as "{}", as "{:a}" with its article, or as "{:s}", the plural."""

    def __init__(self, kind, rng):
        usual = rng.random() < 0.5      # as among people, one word is usual
        nouns = words.NOUNS[kind.shape] if kind.shape else (TOY,)
        self.noun = nouns[0] if usual else rng.choice(nouns)
        sizes = words.SIZES[kind.size][:2] if kind.size else ("",)      # "tiny" is a third size
        adjectives = (sizes[0] if usual else rng.choice(sizes), kind.colour or "")
        self.before = "".join(word + " " for word in adjectives if word)
        self.after = f" {SIDES[kind.column]}" if kind.column else ""
        if kind.other:
            self.after += f" {rng.choice(RELATED[kind.relation])} the "
            self.after += f"{Spoken(kind.other, rng)}"

    def __format__(self, form):
        noun = words.plural(self.noun) if form == "s" else self.noun
        phrase = self.before + noun + self.after
        return words.with_article(phrase) if form == "a" else phrase
