"""Parse English about drawn scenes: return everything that a sentence may be saying.

    sentence -> lexicon.tokens -> Parser -> readings, each a tuple of Phrases and Statements

A small grammar, read left to right with backtracking: a sentence with two structures ("a car left
of a tree and a ball") has two readings; one with an unknown word or structure has none.

    sentence   = clause { (and | , | . | while) clause }
    clause     = { adverbial [,] } [there is | this picture shows | stands] group { is ... }
    group      = thing { (, | and) thing }
    thing      = [a | the | two | all the ...] { size | colour } noun { adverbial | with group
                 | that is ... }
    adverbial  = left of group | between group | on the left | in a meadow | indoors
"""

from dataclasses import replace
from itertools import islice

from scenes.lexicon import scene_of, tokens
from scenes.meaning import Phrase, Statement, amount, applied, mentioned, sensible

MOST = 60               # parses that are tried; only a freak of a sentence has more


def readings(sentence):
    """Return all readings, without repeats; none if the sentence is not understood."""
    words = tokens(sentence)
    if any(kind == "unknown" for kind, *_ in words):
        return []
    found = islice(Parser(words).sentence(0, ()), MOST)
    # a dict keeps the order, a set would not: of equally good readings the first is judged
    return list(dict.fromkeys(said for said in found if said and sensible(said)))


class Parser:
    """A parser of one sentence with a method for each rule of the grammar.

    A method is given a place among the tokens and what has been `said` before it. For each way to
    go on it yields where that stops, what a caller needs of the part, and what is said by then.
    """

    def __init__(self, tokens):
        self.tokens = [token[:3] for token in tokens]       # where they stand is not asked

    def token(self, at):
        """Return (part of speech, meaning, words) of a token; past the last one, an "end"."""
        return self.tokens[at] if at < len(self.tokens) else ("end", None, "")

    def kind(self, at):
        """Return the part of speech of a token."""
        return self.token(at)[0]

    def skip(self, at, *kinds):
        """Return the first place from `at` on whose token is of none of these kinds."""
        while self.kind(at) in kinds:
            at += 1
        return at

    def flying(self, start, end):
        """Return the statements of verbs between two places that put a thing in the air."""
        return tuple(Statement("place", "air", at=at, stop=at + 1) for at in range(start, end)
                     if self.token(at)[:2] == ("verb", "air"))

    def sentence(self, at, said):
        """Yield what a whole sentence says."""
        for stop, more in self.clause(self.skip(at, "stop"), said):
            if self.kind(self.skip(stop, "stop")) == "end":
                yield more
            elif (after := self.skip(stop, "stop", "comma", "and")) > stop:
                yield from self.sentence(after, more)

    def clause(self, at, said):
        """Parse adverbials, then things and what is said of them, or a background."""
        for start, fronted, before in self.fronted(at, said):
            after = start
            # inverted after an adverbial: "on the left stands a tree"
            if fronted or self.kind(start) == "there":
                after = self.skip(start, "there", "be", "verb")
            fronted += self.flying(start, after)
            for stop, subjects, more in self.group(after, before):
                yield from self.predicates(stop, subjects, more + applied(fronted, subjects))
            for stop, scene in self.scene(after):               # "a meadow with two cars"
                more = before + applied((*fronted, scene), ())
                yield stop, more
                if self.kind(stop) == "with":
                    yield from ((end, rest) for end, _, rest in self.group(stop + 1, more))

    def fronted(self, at, said):
        """Parse the adverbials before a subject; yield their Statements too, still without it."""
        yield at, (), said
        for stop, adverbials, more in self.adverbial(at, said):
            for end, others, rest in self.fronted(self.skip(stop, "comma"), more):
                yield end, adverbials + others, rest

    def group(self, at, said):
        """Parse a list of things; yield their Phrases too."""
        if self.kind(at) == "both":             # both the car and the tree
            yield from (found for found in self.group(at + 1, said) if len(found[1]) == 2)
        for stop, phrase, more in self.thing(at, said):
            yield stop, (phrase,), more
            if (after := self.skip(stop, "comma", "and")) > stop:
                for end, phrases, rest in self.group(after, more):
                    yield end, (phrase, *phrases), rest

    def thing(self, at, said):
        """Parse a pronoun or a noun phrase with its modifiers; yield its Phrase too."""
        earlier = mentioned(said)
        if self.kind(at) == "pronoun":          # may be any of them: a reading each
            yield from ((at + 1, phrase, said) for phrase in earlier)
        for stop, phrase in self.phrase(at, earlier):
            yield from self.modified(stop, phrase, (*said, phrase))

    def modified(self, at, phrase, said):
        """Parse the modifiers of a thing before the verb of the clause; yield its Phrase too."""
        yield at, phrase, said
        start = self.skip(at, "comma")          # the car, which is red
        after = self.skip(start, "that")
        ways = [self.adverbials(start, (phrase,), said)]
        if after > start or self.kind(start) == "verb":         # that is red; standing in a field
            ways.append(self.predicates(after, (phrase,), said, needed=True))
        if self.kind(start) == "with":
            ways.append((stop, more) for stop, _, more in self.group(start + 1, said))
        for way in ways:
            for stop, more in way:
                yield from self.modified(stop, phrase, more)

    def predicates(self, at, subjects, said, needed=False):
        """Parse what follows subjects, such as "is red"; unless `needed`, it may be nothing."""
        if not needed:
            yield at, said
        yield from self.adverbials(at, subjects, said)
        at = self.skip(at, "comma")
        after = self.skip(at, "be", "verb", "both", "all")
        if self.kind(at) in ("be", "verb"):
            more = said + applied(self.flying(at, after), subjects)
            # a verb can end a clause ("a star shines"), "is" cannot
            if any(self.kind(place) == "verb" for place in range(at, after)):
                yield after, more
            yield from self.complement(after, subjects, more)

    def complement(self, at, subjects, said):
        """Parse what follows a verb, such as "red and on the left"."""
        ways = list(self.adverbials(at, subjects, said))
        if self.kind(at) in ("size", "colour"):
            value = Statement(*self.token(at)[:2], at=at, stop=at + 1)
            ways.append((at + 1, said + applied([value], subjects)))
        for stop, phrase in self.phrase(at, mentioned(said)):   # the thing on the left is a car
            phrase = replace(phrase, definite=True)
            same = applied([Statement("same", "the same as", None, (phrase,), at, stop)], subjects)
            ways.append((stop, (*said, phrase, *same)))
        for stop, more in ways:
            yield stop, more
            yield from self.complement(self.skip(stop, "comma", "and", "verb"), subjects, more)

    def adverbials(self, at, subjects, said):
        """Parse an adverbial that is said of the subjects."""
        for stop, adverbials, more in self.adverbial(at, said):
            yield stop, more + applied(adverbials, subjects)

    def adverbial(self, at, said):
        """Parse an adverbial; yield its Statements too, still without a subject."""
        kind, value, words = self.token(at)
        if kind in ("place", "adverb"):
            known = "place" if kind == "place" else "background"
            yield at + 1, (Statement(known, value, at=at, stop=at + 1),), said
        if kind in ("relation", "preposition"):
            for stop, scene in self.scene(at + 1):
                found = (scene,)
                if words in ("in", "across") and self.kind(stop - 1) == "sky":
                    found += (replace(scene, kind="place", value="air"),)   # not "under a sky"
                if value in ("left of", "right of"):            # on the right of a snowy scene
                    found += (Statement("place", value.split()[0], at=at, stop=at + 1),)
                yield stop, found, said
        if kind in ("relation", "between"):
            for stop, objects, more in self.group(at + 1, said):
                yield stop, (Statement(kind, value, None, objects, at, at + 1),), more
        if kind == "relation" and self.kind(at + 1) in ("end", "stop", "comma", "and"):
            for phrase in mentioned(said):      # "a house with a star above": above the house
                yield at + 1, (Statement(kind, value, None, (phrase,), at, at + 1),), said

    def scene(self, at):
        """Parse a background such as "a meadow", "the snowy landscape" or "a blue sky"."""
        start = at = self.skip(at, "a", "the")
        while self.kind(at) in ("scene", "scenic", "view", "sky", "colour"):
            at += 1
        if fits := scene_of(self.tokens[start:at]):
            yield at, Statement("background", fits, at=start, stop=at)

    def phrase(self, at, earlier):
        """Parse a noun phrase without modifiers; a missing noun is that of an `earlier` phrase."""
        start = at
        at, quantity = self.quantifiers(at)
        at, adjectives = self.adjectives(at)
        if self.kind(at) == "noun":
            shapes, noun, plural = self.token(at)[1]
            if plural and {"the", "other"} <= quantity.keys():
                return                  # "the other balls": which they are is not followed
            if "both" in quantity and not plural:
                return                  # "both the car and the tree": see `group`
            yield at + 1, Phrase(start, at + 1, shapes, noun, **adjectives,
                                 **amount(quantity, plural))
        elif (adjectives or quantity.keys() & {"other", "number"}) and "all" not in quantity:
            # "a red ball and two blue ones", "three balls: two are blue"
            stop = at + 1 if self.token(at)[2] in ("one", "ones") else at
            for phrase in earlier:
                one = Phrase(start, stop, phrase.shapes, phrase.noun, **adjectives,
                             **amount(quantity, plural=False))
                yield stop, replace(one, definite=True)

    def quantifiers(self, at):
        """Return where the articles and numbers from `at` on end, and {part of speech: meaning}."""
        found = {}
        while self.kind(at) in ("all", "both", "the", "a", "number", "other", "of"):
            found.setdefault(self.kind(at), self.token(at)[1])  # of "two of the three" the two
            at += 1
        return at, found

    def adjectives(self, at):
        """Return where the sizes and colours from `at` on end, and {part of speech: meaning}."""
        found, between = {}, ()
        while (kind := self.kind(after := self.skip(at, *between))) in ("size", "colour"):
            if kind in found:           # "a red and white car" is not understood
                break
            found[kind], at, between = self.token(after)[1], after + 1, ("comma", "and")
        return at, found
