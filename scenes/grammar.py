"""Reads English about drawn scenes: a sentence in, everything it may be saying out.

    sentence -> lexicon.tokens -> readings, each a tuple of Phrases and Statements

A small grammar, read left to right with backtracking: a sentence with two structures ("a car left
of a tree and a ball") has two readings; one with an unknown word or structure has none.

    sentence   = clause { (and | , | . | while) clause }
    clause     = { adverbial [,] } [there is | this picture shows | stands] group { is ... }
    group      = thing { (, | and) thing }
    thing      = [a | the | two | all the ...] { size | colour } noun { adverbial | with group
                 | that is ... }
    adverbial  = left of group | between group | on the left | in a meadow | indoors

Every method yields (where it stopped, what has been said so far) for each way to go on.
"""

from dataclasses import dataclass, replace
from itertools import islice

from scenes.lexicon import amount, scene_of, tokens

MOST = 60               # readings looked at; only freaks have more


@dataclass(frozen=True)
class Phrase:
    """A noun phrase: things of `shapes`, at least `low` and at most `high` (None: no limit)."""

    at: int                     # where in the sentence: tells two equal phrases apart
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
    """What is said of `subject` (None: of the picture): a size, colour, place, background, or of
    what it stands in relation to `objects`: "relation", "between" or "same". `value` is the word
    for it, of a background the set of those it fits."""

    kind: str
    value: object
    subject: Phrase | None = None
    objects: tuple = ()
    at: int = 0                 # where its own word stands


def readings(sentence):
    """All readings, without repeats; none if the sentence is not understood."""
    words = tokens(sentence)
    if any(kind == "unknown" for kind, *_ in words):
        return []
    found = islice(Reader(words).sentence(0, ()), MOST)
    return list(dict.fromkeys(said for said in found if said and sensible(said)))


def sensible(said):
    """Nothing stands beside itself, "it" was mentioned before the thing that stands beside it,
    and of what is absent ("no cars") only its absence is said."""
    for statement in said:
        if isinstance(statement, Phrase) or statement.subject is None:
            continue
        subject, objects = statement.subject, statement.objects
        if any(other.at < statement.at and subject.at <= other.at for other in objects):
            return False
        if statement.kind not in ("size", "colour") and 0 in {p.high for p in (subject, *objects)}:
            return False
    return True


class Reader:
    """Walks over a sentence's tokens; `said` is a tuple of Phrases and Statements."""

    def __init__(self, tokens):
        self.tokens = tokens

    def kind(self, at):
        return self.tokens[at][0] if at < len(self.tokens) else "end"

    def skip(self, at, *kinds):
        """Past any tokens of these kinds."""
        while self.kind(at) in kinds:
            at += 1
        return at

    def flying(self, start, end):
        """What the verbs between two places claim: flying and hanging put a thing in the air."""
        return tuple(Statement("place", "air") for token in self.tokens[start:end]
                     if token[:2] == ("verb", "air"))

    def sentence(self, at, said):
        for stop, more in self.clause(self.skip(at, "stop"), said):
            if self.kind(self.skip(stop, "stop")) == "end":
                yield more
            elif (after := self.skip(stop, "stop", "comma", "and")) > stop:
                yield from self.sentence(after, more)

    def clause(self, at, said):
        for start, fronted, before in self.fronted(at, said):
            after = start
            if fronted or self.kind(start) == "there":
                after = self.skip(start, "there", "be", "verb")
            fronted += self.flying(start, after)
            for stop, subjects, more in self.group(after, before):
                yield from self.predicates(stop, subjects, more + applied(fronted, subjects))
            for stop, scene in self.scene(after):
                more = before + applied((*fronted, scene), ())
                yield stop, more
                if self.kind(stop) == "with":
                    yield from ((end, rest) for end, _, rest in self.group(stop + 1, more))

    def fronted(self, at, said):
        """The adverbials before the subject, which it is yet to receive."""
        yield at, (), said
        for stop, adverbials, more in self.adverbial(at, said):
            for end, others, rest in self.fronted(self.skip(stop, "comma"), more):
                yield end, adverbials + others, rest

    def group(self, at, said):
        """Things in a list: yields their Phrases too."""
        if self.kind(at) == "both":             # both the car and the tree
            yield from (found for found in self.group(at + 1, said) if len(found[1]) == 2)
        for stop, phrase, more in self.thing(at, said):
            yield stop, (phrase,), more
            if (after := self.skip(stop, "comma", "and")) > stop:
                for end, phrases, rest in self.group(after, more):
                    yield end, (phrase, *phrases), rest

    def thing(self, at, said):
        earlier = mentioned(said)
        if self.kind(at) == "pronoun":
            yield from ((at + 1, phrase, said) for phrase in earlier)
        for stop, phrase in self.phrase(at, earlier):
            yield from self.modified(stop, phrase, (*said, phrase))

    def modified(self, at, phrase, said):
        """A thing with whatever is said of it before the verb of the clause."""
        yield at, phrase, said
        start = self.skip(at, "comma")
        after = self.skip(start, "that")
        ways = [self.adverbials(start, (phrase,), said)]
        if after > start or self.kind(start) == "verb":
            ways.append(self.predicates(after, (phrase,), said, needed=True))
        if self.kind(start) == "with":
            ways.append((stop, more) for stop, _, more in self.group(start + 1, said))
        for way in ways:
            for stop, more in way:
                yield from self.modified(stop, phrase, more)

    def predicates(self, at, subjects, said, needed=False):
        """... is red, ... stands beside a tree, ... are on the left and small"""
        if not needed:
            yield at, said
        yield from self.adverbials(at, subjects, said)
        at = self.skip(at, "comma")
        after = self.skip(at, "be", "verb", "both", "all")
        if self.kind(at) in ("be", "verb"):
            more = said + applied(self.flying(at, after), subjects)
            if any(self.kind(place) == "verb" for place in range(at, after)):
                yield after, more
            yield from self.complement(after, subjects, more)

    def complement(self, at, subjects, said):
        ways = list(self.adverbials(at, subjects, said))
        if self.kind(at) in ("size", "colour"):
            ways.append((at + 1, said + applied([Statement(*self.tokens[at][:2])], subjects)))
        for stop, phrase in self.phrase(at, mentioned(said)):   # the thing on the left is a car
            phrase = replace(phrase, definite=True)
            same = applied([Statement("same", "the same as", None, (phrase,), at)], subjects)
            ways.append((stop, (*said, phrase, *same)))
        for stop, more in ways:
            yield stop, more
            yield from self.complement(self.skip(stop, "comma", "and", "verb"), subjects, more)

    def adverbials(self, at, subjects, said):
        for stop, adverbials, more in self.adverbial(at, said):
            yield stop, more + applied(adverbials, subjects)

    def adverbial(self, at, said):
        """Yields Statements whose subject is still open."""
        kind, value, words = self.tokens[at] if at < len(self.tokens) else ("end", None, "")
        if kind in ("place", "adverb"):
            known = "place" if kind == "place" else "background"
            yield at + 1, (Statement(known, value),), said
        if kind in ("relation", "preposition"):
            for stop, scene in self.scene(at + 1):
                inside = words in ("in", "across") and self.kind(stop - 1) == "sky"
                side = value.split()[0] if value in ("left of", "right of") else "air"
                told = inside or side != "air"      # on the right of a snowy scene
                yield stop, (scene, Statement("place", side))[:1 + told], said
        if kind in ("relation", "between"):
            for stop, objects, more in self.group(at + 1, said):
                yield stop, (Statement(kind, value, None, objects, at),), more
        if kind == "relation" and self.kind(at + 1) in ("end", "stop", "comma", "and"):
            for phrase in mentioned(said):      # "a house with a star above": above the house
                yield at + 1, (Statement(kind, value, None, (phrase,), at),), said

    def scene(self, at):
        """A background: "a meadow", "the snowy landscape", "a blue sky"."""
        start = at = self.skip(at, "a", "the")
        while self.kind(at) in ("scene", "scenic", "view", "sky", "colour"):
            at += 1
        if fits := scene_of(self.tokens[start:at]):
            yield at, Statement("background", fits)

    def phrase(self, at, earlier):
        """[quantifier] adjectives noun; or without a noun, then that of an `earlier` phrase."""
        start, quantity = at, {}
        while self.kind(at) in ("all", "both", "the", "a", "number", "other", "of"):
            quantity.setdefault(self.kind(at), self.tokens[at][1])      # two of the three
            at += 1
        adjectives, between = {}, ()
        while (kind := self.kind(after := self.skip(at, *between))) in ("size", "colour"):
            if kind in adjectives:
                break
            adjectives[kind], at, between = self.tokens[after][1], after + 1, ("comma", "and")
        if self.kind(at) == "noun":
            shapes, noun, plural = self.tokens[at][1]
            if plural and {"the", "other"} <= quantity.keys():
                return                  # "the other balls": which they are is not followed
            if "both" in quantity and not plural:
                return                  # "both the car and the tree": see `group`
            yield at + 1, Phrase(start, shapes, noun, **adjectives, **amount(quantity, plural))
        elif (adjectives or quantity.keys() & {"other", "number"}) and "all" not in quantity:
            stop = at + (self.tokens[at:at + 1] in ([("one", "one", "ones")],
                                                    [("number", (1, 1), "one")]))
            for phrase in earlier:
                one = Phrase(start, phrase.shapes, phrase.noun, **adjectives,
                             **amount(quantity, plural=False))
                yield stop, replace(one, definite=True)


def mentioned(said):
    return [word for word in said if isinstance(word, Phrase)]


def applied(statements, subjects):
    """Every statement said of every subject, and of its objects one by one."""
    said = []
    for open_ in statements:
        if open_.kind == "background":
            said.append(open_)          # of the whole picture: said once
        elif open_.kind == "relation":
            said += [replace(open_, subject=subject, objects=(other,))
                     for subject in subjects for other in open_.objects]
        else:
            said += [replace(open_, subject=subject) for subject in subjects]
    return tuple(said)
