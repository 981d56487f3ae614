"""Represent what a sentence says: noun phrases, and statements about the things they mean.

    "a red car next to the tree" -> Phrase "car" (red), Phrase "tree" (definite),
                                    Statement "relation" "next to" of the car, with the tree

A *reading* is one way to understand a sentence: a tuple of Phrases and Statements.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Phrase:
    """A noun phrase: things of `shapes`, at least `low` and at most `high` (None: no limit)."""

    at: int                     # its first token: tells two equal phrases apart
    stop: int                   # the token after its last
    shapes: frozenset
    noun: str
    size: str | None = None
    colour: str | None = None
    low: int = 1
    high: int | None = None
    every: bool = False         # what is said holds of all that fit
    definite: bool = False      # may be a thing already mentioned


@dataclass(frozen=True)
class Statement:
    """What a sentence says of `subject`, or of the whole picture if that is None.

    kind: "size", "colour", "place", "background", or with `objects` "relation", "between", "same".
    """

    kind: str
    value: object
    subject: Phrase | None = None
    objects: tuple = ()
    at: int = 0                 # the first token of its own words
    stop: int = 0               # the token after the last of them


def amount(quantity, plural):
    """Return the fields of a Phrase that say how many, from {part of speech: meaning}."""
    partly = "of" in quantity and "number" in quantity          # two of the balls
    some = 2 if plural and not quantity.keys() & {"a", "all"} else 1
    low, high = quantity.get("number", (2, 2) if "both" in quantity else (some, None))
    every = "all" in quantity or "both" in quantity or "the" in quantity and plural
    return {"low": low, "high": high, "every": every and not partly,
            "definite": "the" in quantity and not partly and "other" not in quantity}


def mentioned(said):
    """Return the phrases among what has been said."""
    return [one for one in said if isinstance(one, Phrase)]


def applied(statements, subjects):
    """Return every statement of every subject, and of its objects one by one."""
    said = []
    for statement in statements:
        if statement.kind == "background":      # of the whole picture: said once
            said.append(statement)
        elif statement.kind == "relation":
            said += [replace(statement, subject=subject, objects=(other,))
                     for subject in subjects for other in statement.objects]
        else:                                   # "between" and "same" need all their objects
            said += [replace(statement, subject=subject) for subject in subjects]
    return tuple(said)


def sensible(said):
    """Return whether a reading could be meant."""
    for statement in said:
        if isinstance(statement, Phrase) or statement.subject is None:
            continue
        subject, objects = statement.subject, statement.objects
        # no thing is beside itself, and in "a tree with a car next to it" the tree comes first
        if any(other.at < statement.at and subject.at <= other.at for other in objects):
            return False
        # of what is absent ("no cars") only its absence is said
        if statement.kind not in ("size", "colour") and 0 in {p.high for p in (subject, *objects)}:
            return False
    return True
