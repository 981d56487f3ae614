"""Write true paragraphs about a clip: two to five sentences that tell its events in their order.

    truth --Teller--> [Sentence(text, start, end), ...]; `paragraphs` draws five that differ

A step of the clip, which is one event or two at once, becomes a clause or two; what is not joined
by "and then" or "while" begins a sentence of its own. A thing is "a red ball" when it is first
named, then "the ball", and "it" where the clause before is about it. Colours are those of the time.
"""

from collections import namedtuple

from scenes.motion.frames import RATE
from scenes.motion.grammar import OPPOSITE
from scenes.words import NOUNS, PLACES, joined, with_article

Sentence = namedtuple("Sentence", "text start end")     # seconds: what of the clip it tells
NUMBER, SENTENCES = 5, range(2, 6)      # paragraphs a clip, sentences a paragraph
WORDS = range(3, 19)                    # a sentence
# of each list the first is the usual phrase, drawn half of the time
PHRASES = {
    "move": ("moves to the {way}", "goes to the {way}", "slides to the {way}", "moves {way}"),
    "enter": ("enters from the {side}", "comes in from the {side}", "appears from the {side}"),
    "leave": ("leaves to the {way}", "goes out to the {way}", "disappears to the {way}"),
    "hide": ("hides behind {screen}", "goes behind {screen}",
             "disappears behind {screen}"),
    "come out": ("comes out from behind {screen}", "appears from behind {screen}",
                 "comes out on the {way}"),
    "jump": ("jumps", "jumps up and down", "hops"),
    "change colour": ("turns {new}", "becomes {new}", "changes from {old} to {new}"),
    "grow": ("grows", "gets bigger", "becomes bigger"),
    "shrink": ("shrinks", "gets smaller", "becomes smaller")}
MEETS = ("meets {other}", "moves {way} to {other}", "goes next to {other}")
PARTS = ("moves away from {other}", "moves to the {way}, away from {other}")
THEN, LAST = ("then", "next,", "after that,", "later"), ("finally,", "in the end,", "at last")
AT_ONCE = (" while ", " and at the same time ", ". At the same time ")


class Teller:
    """Tells a clip once, with words drawn from `rng`."""

    def __init__(self, truth, rng):
        self.things, self.background = truth["things"], truth["background"]
        self.moments, self.rng = truth["moments"], rng
        self.colours = [thing["colour"] for thing in self.things]
        self.named = set()
        self.subject = self.it = None       # of the last clause; what "it" would be
        spans = sorted({(event["first"], event["last"]) for event in truth["events"]})
        self.steps = [[event for event in truth["events"] if event["first"] == first]
                      for first, _ in spans]
        self.length = truth["frames"] / RATE

    def usual(self, options):
        """Draw one of several phrases, half the time the first."""
        return options[0] if self.rng.random() < 0.5 else self.rng.choice(options)

    def name(self, thing):
        """Return a noun phrase for a thing, "a red ball" if it has not been named yet."""
        noun, new = self.usual(NOUNS[self.things[thing]["shape"]]), thing not in self.named
        self.named.add(thing)
        if new or self.rng.random() < 0.3:
            noun = f"{self.colours[thing]} {noun}"
        return with_article(noun) if new else f"the {noun}"

    def opening(self):
        """Return a sentence about what is in view at first, None if nothing is."""
        seen = [thing["group"] for thing in self.moments[0]["graph"]["objects"]]
        if not seen:
            return None
        self.rng.shuffle(seen)
        place = self.rng.choice(PLACES[self.background])
        text = f"there is {joined([self.name(thing) for thing in seen])} {place}"
        self.it = seen[0] if len(seen) == 1 else None
        return Sentence(text, 0, self.length)

    def predicate(self, event):
        """Return a verb phrase that is true of an event."""
        ways = self.usual(PHRASES[event["action"]])
        others = event["meets"] or event["parts"]
        if event["action"] == "move" and others and self.rng.random() < 0.7:
            ways = self.rng.choice(MEETS if event["meets"] else PARTS)
        old, new = event["colours"] or (None, None)
        way, screen = event["direction"], event["behind"]
        return ways.format(way=way, side=OPPOSITE.get(way), old=old, new=new,
                           screen=self.name(screen) if "{screen}" in ways else None,
                           other=self.name(others[0]) if "{other}" in ways else None)

    def clause(self, event, goes_on=False):
        """Return a clause about an event; goes_on: without the subject if it is the last one's."""
        thing = event["thing"]
        if goes_on and thing == self.subject:
            subject = ""
        elif thing == self.it and self.rng.random() < 0.7:
            subject = "it "
        else:
            subject = self.name(thing) + " "
        text = subject + self.predicate(event)
        self.subject = self.it = thing
        if event["meets"] or event["parts"]:
            self.it = None              # it could be the other
        if event["colours"]:
            self.colours[thing] = event["colours"][1]
        return text

    def step(self, events, goes_on=False):
        """Return the clauses of a step, of which the second may begin a sentence."""
        first, *rest = self.rng.sample(events, len(events))
        text = self.clause(first, goes_on)
        for event in rest:
            text += self.usual(AT_ONCE) + self.clause(event)
            self.it = None              # it could be either
        return text

    def tell(self):
        """Return the sentences of a paragraph, however many they are."""
        found = [self.opening()] if self.rng.random() < 0.4 else []
        found = [one for one in found if one]
        told = 0
        while told < len(self.steps):
            start, text = told, self.step(self.steps[told])
            told += 1
            if told < len(self.steps) and self.rng.random() < 0.3:
                text += " and then " + self.step(self.steps[told], goes_on=True)
                told += 1
            if start > 0:
                last = told == len(self.steps)
                text = f"{self.usual(LAST if last and start == told - 1 else THEN)} {text}"
            span = (self.steps[start][0]["first"] / RATE, self.steps[told - 1][0]["last"] / RATE)
            found += [Sentence(one, *span) for one in text.split(". ")]
        return [one._replace(text=one.text[0].upper() + one.text[1:] + ".") for one in found]


def paragraphs(truth, rng, number=NUMBER):
    """Draw `number` different true paragraphs, each a list of Sentences."""
    found = []
    while len(found) < number:
        one = Teller(truth, rng).tell()
        short = all(len(sentence.text.split()) in WORDS for sentence in one)
        if len(one) in SENTENCES and short and one not in found:
            found.append(one)
    return found
