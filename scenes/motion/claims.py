"""Check what a paragraph claims about a clip against the clip's truth.

    paragraph -> grammar.Narration -> what it tells -> Judge -> claims -> Verdict

Verdicts and claims are those of scenes/claims.py, which judges sentences in which nothing happens:
they are true if they are so at some rest of the clip. Kinds of claim that only a clip has:
- action: the thing does that, in this direction, to this thing. "It" claims that something does.
- reference: "it" does that, which is a thing that the clause before is about.
- order: "then", "finally" and the like; and what is told later does not begin earlier. "Finally"
  is the end of the clip. Of an action that is not done no order is judged.
A paragraph is true if in one way to say which events it means all claims are.
"""

import re
from itertools import islice, product

from scenes.claims import Claim, Verdict, counted
from scenes.claims import check as check_still
from scenes.grammar import readings
from scenes.meaning import Phrase, mentioned
from scenes.motion.grammar import IT, Narration
from scenes.motion.lexicon import tokens

KINDS = ("object", "colour", "size", "action", "reference", "order", "relation", "count",
         "background")
MOST = 2000                     # ways to say which events are meant; freaks have more
SAID = {"on": "not before", "then": "after", "earlier": "before", "while": "at the same time as"}


def check(paragraph, truth):
    """Return the verdict on a paragraph about the clip with this truth."""
    narration, claims, before = Narration(), [], {}
    for sentence in re.findall(r"[^.!?]*[^.!?\s][^.!?]*", paragraph):
        found = tokens(sentence)
        if unknown := [words for kind, _, words, _ in found if kind == "unknown"]:
            return Verdict("not understood", [], "unknown words: " + ", ".join(unknown))
        if any(kind == "event" for kind, *_ in found):
            if not narration.sentence(found):
                return Verdict("not understood", [], f"the structure of: {sentence.strip()}")
        else:
            still = min((check_still(sentence, moment["graph"]) for moment in truth["moments"]),
                        key=badness)
            if still.verdict == "not understood":
                return still
            claims += still.claims
            before[len(narration.told)] = mentioned(readings(sentence)[0])
    claims += Judge(narration, truth, before).claims()
    if not claims:
        return Verdict("not understood", [], "it claims nothing")
    false = [claim for claim in claims if not claim.true]
    return Verdict("false" if false else "true", claims,
                   f"the {false[0].kind}: {false[0].text}" if false else "")


def badness(verdict):
    """Return a key by which the better of two verdicts on a sentence comes first."""
    wrong = sum(not claim.true for claim in verdict.claims)
    # of equals the one that judges more: "two cars" where there is one, not where there is none
    return verdict.verdict == "not understood", wrong, -len(verdict.claims)


class Judge:
    """The claims of a paragraph's events; an event or a thing is its place in the truth.

    before: {place among the told: the phrases of a sentence without events before it}.
    """

    def __init__(self, narration, truth, before):
        self.told, self.settings, self.before = narration.told, narration.settings, before
        self.things, self.events = truth["things"], truth["events"]
        self.moments, self.background = truth["moments"], truth["background"]

    def claims(self):
        """Return all claims, with the events meant that make fewest false."""
        ways = islice(product(*map(self.candidates, self.told)), MOST)
        found = min(map(self.judged, ways), key=lambda claims: sum(not one.true for one in claims))
        for said in self.settings:
            value = getattr(said, "value", said)
            found.append(Claim("background", f"it is {self.background}", self.background in value,
                               said))
        return found

    def candidates(self, told):
        """Return the events that do what is told, whoever does it; [None] if there are none."""
        return [event for event in self.events if self.does(event, told)] or [None]

    def does(self, event, told):
        """Return whether an event is as told, but for the subject."""
        old, new = told.colours
        return (event["action"] in told.actions
                and told.direction in (None, event["direction"])
                and (old is None or event["colours"][:1] == [old])
                and (new is None or event["colours"][1:] == [new])
                and all(self.concerns(event, meaning, thing)
                        for meaning, thing in told.things.items()))

    def concerns(self, event, meaning, thing):
        """Return whether an event has to do with a thing in this way, afterwards if a relation."""
        if meaning in ("meets", "parts"):
            others = event[meaning]
        elif meaning == "behind":
            others = [event["behind"]]
        else:
            graph = next(one["graph"] for one in self.moments if one["frame"] == event["last"])
            groups = [one["group"] for one in graph["objects"]]
            others = [groups[one["object"]] for one in graph["relations"]
                      if (groups[one["subject"]], one["relation"]) == (event["thing"], meaning)]
        return any(thing == IT or self.things[i]["shape"] in thing.shapes for i in others)

    def judged(self, meant):
        """Return the claims of all that is told if these are the events that are meant."""
        found, done = [], []
        for place, (told, event) in enumerate(zip(self.told, meant, strict=True)):
            phrases = [one for one in (told.subject, *told.things.values())
                       if isinstance(one, Phrase)]
            missing = [self.described(one) for one in phrases]
            found += [claim for claims in missing for claim in claims]
            there = all(claims[0].true for claims in missing)
            own = list(self.acted(place, told, event, meant)) if there else []
            found += own
            done.append(event if own and all(claim.true for claim in own) else None)
        return found + [claim for told, event in zip(self.told, done, strict=True) if event
                        for claim in self.ordered(told, event, done)]

    def described(self, phrase):
        """Return the claims that there is such a thing, and that it has its size."""
        fits = self.fitting(phrase)
        found = [Claim("object", f"there is {'a' if fits else 'no'} {phrase.noun}", bool(fits),
                       phrase)]
        if phrase.size and fits:
            true = any(one["group"] in fits and one["size"] == phrase.size
                       for moment in self.moments for one in moment["graph"]["objects"])
            found.append(Claim("size", f"the {phrase.noun} is {'' if true else 'not '}"
                               f"{phrase.size}", true, phrase))
        return found

    def fitting(self, phrase):
        """Return the things of the shape of a phrase."""
        return {i for i, thing in enumerate(self.things) if thing["shape"] in phrase.shapes}

    def acted(self, place, told, event, meant):
        """Yield the claims that what is told is done, by the thing that is said to do it."""
        subject = told.subject
        if isinstance(subject, Phrase):
            true = bool(event) and event["thing"] in self.fitting(subject)
            yield Claim("action", f"the {subject.noun} {'does' if true else 'does not do'} this",
                        true, told)
            if subject.colour:
                yield self.coloured(subject, {event["thing"]} if true else self.fitting(subject),
                                    event if true else None)
        else:
            meant_so = bool(event) and event["thing"] in self.referents(place, meant)
            true = bool(event) and (subject == IT or meant_so)
            yield Claim("action", f"{'something' if true else 'nothing'} does this", true, told)
            if subject == IT and event:
                yield Claim("reference", f"it is {'' if meant_so else 'not '}what does this",
                            meant_so, told)
        for phrase in told.things.values():
            if isinstance(phrase, Phrase) and phrase.colour:
                yield self.coloured(phrase, self.fitting(phrase), event)

    def coloured(self, phrase, things, event):
        """Return the claim that one of the things has the colour of a phrase, at an event."""
        true = any(phrase.colour in self.colours(i, event) for i in things)
        return Claim("colour", f"the {phrase.noun} is {'' if true else 'not '}{phrase.colour}",
                     true, phrase)

    def colours(self, i, event):
        """Return the colours that a thing has before or after an event, or ever if that is None."""
        now, found = self.things[i]["colour"], set()
        for change in (one for one in self.events if one["thing"] == i and one["colours"]):
            if event is None or change["first"] == event["first"]:
                found |= set(change["colours"])
            if event is None or change["last"] <= event["last"]:
                now = change["colours"][1]
        return found | {now}

    def referents(self, place, meant):
        """Return the things that "it" may be, or that go on if the subject is left out."""
        told = self.told[place]
        if told.subject == IT and place in self.before:
            return set().union(*map(self.fitting, self.before[place]))
        if place == 0:
            return set()
        last, event = self.told[place - 1], meant[place - 1]
        phrases = [last.subject] if event is None else []
        if told.subject == IT:
            phrases += last.things.values()
        found = set().union(*(self.fitting(one) for one in phrases if isinstance(one, Phrase)))
        return found | ({event["thing"]} if event else set())

    def ordered(self, told, event, done):
        """Yield the claims about when an event happens; done: the events, None if not done."""
        for other, how in told.links:
            if how == "last":
                true = event["last"] == max(one["last"] for one in self.events)
                yield Claim("order", f"this is {'' if true else 'not '}the last", true, told)
                how = "then"
            if other is not None and done[other]:
                before = done[other]
                true = {"on": before["first"] <= event["first"],
                        "then": before["last"] <= event["first"],
                        "earlier": event["last"] <= before["first"],
                        "while": before["first"] == event["first"] and before != event}[how]
                yield Claim("order", f"this is {'' if true else 'not '}{SAID[how]} the other",
                            true, told)


def tally(paragraphs, truths):
    """Return {kind: (true claims, claims)} over paragraphs, each with the truth of its clip."""
    return counted((check(*pair) for pair in zip(paragraphs, truths, strict=True)), KINDS)
