"""Parse English about what things do: return the events that a paragraph tells, and their order.

    paragraph -> sentences -> lexicon.tokens -> Narration -> .told, .settings

    sentence   = [link | while | after] clause { (, | and | link | while | before | after) clause }
    clause     = [in a meadow,] [thing | it] verb { where | how }
    where      = to the left | from the left | in | out | behind thing | from behind thing
                 | to thing | away from thing | next to thing
    how        = red | from blue to red | bigger

Noun phrases and backgrounds are those of scenes/grammar.py. Links are then, meanwhile, finally.
"""

from dataclasses import dataclass, field, replace

from scenes.grammar import Parser
from scenes.meaning import Phrase
from scenes.motion.lexicon import ACTIONS

OPPOSITE = {"left": "right", "right": "left"}
FOLLOWS = {"while": "while", "before": "then", "after": "earlier"}      # "X before Y": Y does
LEADS = {"while": "while", "before": "earlier", "after": "then"}        # "before X, Y": Y does
AGAIN, IT = "the same subject", "it"


@dataclass
class Told:
    """An event as it is told; subject: a Phrase, IT, or AGAIN where the subject is left out."""

    subject: Phrase | str
    verb: str                                   # of VERBS
    actions: tuple                              # any of these
    direction: str | None = None
    colours: tuple = (None, None)               # of a change
    things: dict = field(default_factory=dict)  # meets, parts, behind or a relation -> Phrase, IT
    links: list = field(default_factory=list)   # (place of another one, how this one follows it)


class Narration(Parser):
    """A parser of the sentences of a paragraph, one after the other."""

    def __init__(self):
        super().__init__([])
        self.told, self.settings = [], []
        self.main = None            # the place of the one that the next sentence goes on from
        self.how = "on"             # how the clause at hand follows the one before

    def sentence(self, tokens):
        """Parse a sentence, given its tokens, and store what it tells; return whether it can."""
        self.tokens = [token[:3] for token in tokens]
        at, other, self.how = 0, self.main, "on"
        while True:
            start = at
            at, under = self.links(at)
            if self.kind(at) == "end":
                return start > 0
            if at == start > 0 or (stop := self.clause(at)) is None:
                return False
            leads = under and start == 0            # the main clause is still to come
            how = FOLLOWS[under] if under and not leads else self.how
            if not leads and (other is not None or how == "last"):
                self.told[-1].links.append((other, how))
            if how != "earlier" or self.main is None:
                self.main = len(self.told) - 1
            at, other, self.how = stop, len(self.told) - 1, LEADS[under] if leads else "on"

    def links(self, at):
        """Return where the words between clauses end, and which word opens the next; set `how`."""
        under = None
        while (kind := self.kind(at)) in ("comma", "and", "stop", "link", "under"):
            self.how = self.token(at)[1] if kind == "link" else self.how
            under = self.token(at)[1] if kind == "under" else under
            at += 1
        return at, under

    def clause(self, at):
        """Parse a clause and store what it tells; return where it ends, None if it has no sense."""
        at, subject = self.subject(self.setting(at))
        at = self.setting(at)
        while self.kind(at) in ("be", "with", "link"):  # is moving, has moved, then moves
            self.how = self.token(at)[1] if self.kind(at) == "link" else self.how
            at += 1
        kind, verb, _ = self.token(at)
        if kind == "event" and (subject != AGAIN or self.told):
            self.told.append(Told(subject, verb, ACTIONS[verb]))
            return self.details(at + 1, self.told[-1])
        if kind == "same" and self.told:                # before the cat does
            self.told.append(replace(self.told[-1], subject=subject, links=[]))
            return at + 1
        if kind in ("way", "colour", "from") and subject == AGAIN and self.told:
            verb = self.told[-1].verb                   # goes right, then left
            self.told.append(Told(subject, verb, ACTIONS[verb]))
            return self.details(at, self.told[-1])
        return None

    def subject(self, at):
        """Return where a subject ends, and the subject."""
        if self.kind(at) == "pronoun":
            return at + 1, IT
        stop, phrase = next(self.phrase(at, ()), (at, None))
        # who of several does it, or whether nobody does, is not followed
        one = phrase and phrase.low == 1 and phrase.high in (None, 1) and not phrase.every
        return (stop, phrase) if one else (at, AGAIN)

    def setting(self, at):
        """Return where the background at `at` ends, such as "in the snow,"; store it."""
        if self.kind(at) == "preposition" or self.kind(at) == "relation":   # under a night sky
            for stop, scene in self.scene(at + 1):
                self.settings.append(scene)
                return self.skip(stop, "comma") if at == 0 else stop
        if self.kind(at) == "adverb":
            self.settings.append(self.token(at)[1])
            return at + 1
        return at

    def details(self, at, told):
        """Parse what follows a verb into `told`; return where it ends."""
        verb = told.verb
        while True:
            start, (kind, value, words) = at, self.token(at)
            at = self.setting(at)
            if at > start:
                continue
            if kind == "comma" and self.kind(at + 1) == "away from":
                at, (kind, value, words) = at + 1, self.token(at + 1)
            if kind in ("way", "place", "side") and value in OPPOSITE:
                # who enters on the left goes right, who leaves on the left goes left
                arrives = "enter" in told.actions and "move" not in told.actions
                comes = kind == "side" or arrives and words.startswith(("on", "at"))
                told.direction, at = OPPOSITE[value] if comes else value, at + 1
            elif kind == "particle" or words == "in":
                told.actions = ACTIONS["enter" if "in" in (value, words) else "leave"]
                at += 1
            elif kind == "size" or verb == "turn" and kind in ("colour", "from", "towards"):
                if (at := self.turned(at, told)) is None:
                    return None
            elif kind in ("towards", "relation", "behind", "from behind", "away from"):
                if (at := self.thing_at(at + 1, self.meaning(kind, value, told), told)) is None:
                    return None
            elif verb in ("meet", "leave", "part") and (
                    stop := self.thing_at(at, "meets" if verb == "meet" else "parts", told)):
                at = stop
                if verb == "leave":         # leaves the ball: it may well stay in view
                    told.actions = ACTIONS["part"]
            else:
                return at

    def turned(self, at, told):
        """Parse a new colour or size, perhaps with the old one; return where it ends."""
        kind, value, _ = self.token(at)
        if kind == "size":
            told.actions = ("grow",) if value == "large" else ("shrink",)
            return at + 1 if told.verb in ("turn", *told.actions) else None
        after = at if kind == "colour" else at + 1
        if self.kind(after) != "colour":
            return None
        old, new = told.colours
        colour = self.token(after)[1]
        told.colours = (colour, new) if kind == "from" else (old, colour)
        return after + 1

    def meaning(self, kind, value, told):
        """Return what a preposition says of a thing, having narrowed the actions to it."""
        if kind == "behind":
            told.actions = ("hide",)
        if kind == "from behind":
            told.actions = ("come out",)
        return {"towards": "meets", "behind": "behind", "from behind": "behind",
                "away from": "parts", "relation": value}[kind]

    def thing_at(self, at, meaning, told):
        """Parse a thing that `told` has to do with; return where it ends, None if there is none."""
        at, thing = self.subject(at)
        if thing == AGAIN:
            return None
        told.things[meaning] = thing
        return at
