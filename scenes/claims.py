"""Check what a sentence claims about a drawn picture against the picture's scene graph.

    sentence -> grammar.readings -> Judge -> claims, each true or false -> Verdict

A verdict is "true" (every claim is), "false" (and `.why` names the first claim that is), or "not
understood": some word or structure is unknown. What is understood in part is not judged at all:
"a car and a zebra" is not understood, though there may be no car.

Kinds of claim: object, colour, size, count, relation (also where in the picture), background.
- "a red ball" needs at least one, "two red balls" exactly two, "balls" two or more, "several
  balls" three or more, "no balls" none; "two balls are left of the tree" counts those that are.
- "A ball and a red ball" are two; "the red ball" may be one already mentioned.
- "The balls", "both", "all": what is said must hold of each of them.
- Of a thing that is not there only the object claim is judged.
- Relations and places are those of the graph; "next to" means neighbours at one height.
"""

from dataclasses import dataclass, field
from itertools import combinations, islice, product

from scenes.grammar import readings
from scenes.lexicon import SHAPES, tokens
from scenes.meaning import Phrase, Statement
from scenes.words import plural

MOST = 500              # combinations of referents tried, a product over phrases; freaks have more
LOCATED = ("relation", "between", "same", "place")      # statements that depend on referents
KINDS = ("object", "colour", "size", "count", "relation", "background")


@dataclass(frozen=True)
class Claim:
    """One claim of a sentence; `text` says what was found, `said` is the part that claims it."""

    kind: str
    text: str
    true: bool
    said: Phrase | Statement


@dataclass(frozen=True)
class Verdict:
    """The judgement of a sentence, with its claims if it was understood, and why it is not true."""

    verdict: str
    claims: list = field(default_factory=list)
    why: str = ""


def check(sentence, graph):
    """Return the verdict on a sentence about the picture with this scene graph."""
    judged = [Judge(reading, graph).claims() for reading in readings(sentence)]
    judged = [claims for claims in judged if claims]        # "a thing" claims nothing
    if not judged:
        unknown = [words for kind, _, words, _ in tokens(sentence) if kind == "unknown"]
        return Verdict("not understood", [], "unknown words: " + ", ".join(unknown) if unknown
                       else "the structure of the sentence")
    # an ambiguous sentence is true if one of its readings is, as between people
    claims = min(judged, key=lambda claims: sum(not claim.true for claim in claims))
    wrong = [claim for claim in claims if not claim.true]
    if wrong:
        return Verdict("false", claims, f"the {wrong[0].kind}: {wrong[0].text}")
    return Verdict("true", claims)


class Judge:
    """The claims of one reading, judged by one graph; an object is its place in the graph.

    `.fitting` maps each noun phrase to the objects that fit it; its *referents* are those it means.
    """

    def __init__(self, reading, graph):
        self.objects, self.background = graph["objects"], graph["background"]
        self.facts = {(r["subject"], r["relation"], r["object"]) for r in graph["relations"]}
        self.phrases = [said for said in reading if isinstance(said, Phrase)]
        self.statements = [said for said in reading if not isinstance(said, Phrase)]
        self.fitting = {}

    def claims(self):
        """Return all claims of the reading, those about things first."""
        # fills self.fitting, which all that follows reads
        found = [claim for phrase in self.phrases for claim in self.descriptions(phrase)]
        referents = self.resolve()
        for phrase in self.phrases:
            found += self.counts(phrase, referents)
        found += self.duplicates(referents)
        for said in self.statements:
            if said.kind == "background":
                found.append(self.setting(said))
            elif said.kind in LOCATED and self.present(said):
                found.append(self.relation(said, referents))
        return found

    def descriptions(self, phrase):
        """Yield the object, colour and size claims of a phrase; store which objects fit it."""
        fits = [i for i, thing in enumerate(self.objects) if thing["shape"] in phrase.shapes]
        absent = phrase.high == 0                       # "no cars": only the count is judged
        if not absent and len(phrase.shapes) < len(SHAPES):     # "a thing" claims no shape
            yield Claim("object", f"there is {'a' if fits else 'no'} {phrase.noun}", bool(fits),
                        phrase)
        for kind, value, every, said in self.attributes(phrase):
            match = [i for i in fits if self.objects[i][kind] == value]
            true = bool(match) and (len(match) == len(fits) or not every)
            if fits and not absent:
                other = "not all of them are" if every and match else "it is not"
                found = f"that is {value}" if true else f"but {other} {value}"
                yield Claim(kind, f"there is a {phrase.noun} {found}", true, said)
            # a false attribute narrows nothing: one error is not to be counted twice
            fits = match if match or absent else fits
        self.fitting[phrase] = fits

    def attributes(self, phrase):
        """Return (kind, value, whether said of all that fit, by what) of colours and sizes."""
        said = [(kind, value, False, phrase) for kind in ("colour", "size")
                if (value := getattr(phrase, kind))]
        said += [(one.kind, one.value, phrase.every, one) for one in self.statements
                 if one.subject == phrase and one.kind in ("colour", "size")]
        # first what narrows the things: "all red balls are small" is about the red ones
        return sorted(said, key=lambda one: one[2])

    def present(self, said):
        """Return whether all the things of a statement are in the picture."""
        return all(self.fitting[phrase] for phrase in (said.subject, *said.objects))

    def candidates(self, phrase):
        """Return the sets of objects that a phrase may refer to, the largest first."""
        fits = self.fitting[phrase]
        if phrase.every or phrase.low > len(fits):
            return [tuple(fits)]
        # "a ball" is one, though more may fit
        most = 1 if phrase.low == 1 else min(len(fits), phrase.high or len(fits))
        return [some for size in range(most, phrase.low - 1, -1)
                for some in combinations(fits, size)]

    def resolve(self):
        """Return {phrase: its referents}, those that make most of the sentence true."""
        present = [phrase for phrase in self.phrases if self.fitting[phrase]]
        located = [said for said in self.statements if said.kind in LOCATED and self.present(said)]

        def truth(referents):
            # above all no thing may be two; then as many statements as can be are true
            return (not list(self.duplicates(referents)),
                    sum(self.holds(said, referents) for said in located))
        # of equals `max` gives the first, so the largest sets
        options = islice(product(*(self.candidates(phrase) for phrase in present)), MOST)
        return max((dict(zip(present, option, strict=True)) for option in options), key=truth)

    def duplicates(self, referents):
        """Yield a false claim for each thing mentioned as another one that is the same."""
        new = [phrase for phrase in referents if not phrase.definite]   # "the ball" may repeat
        for first, second in combinations(new, 2):
            one, other = set(referents[first]), set(referents[second])
            # a part of what came before is no repetition: "three balls, a red ball and ..."
            listed = one > other and {first.colour, first.size} <= {None, second.colour,
                                                                    second.size}
            if one & other and not listed:
                yield Claim("object", f"there is no other {second.noun}", False, second)

    def holds(self, said, referents):
        """Return whether a statement of LOCATED is true of the referents."""
        subjects = referents[said.subject]
        if said.kind == "place":        # a column may be "left or middle": either is true
            return all(said.value in (*self.objects[i]["column"].split(" or "),
                                      self.objects[i]["row"]) for i in subjects)
        others = [j for phrase in said.objects for j in referents[phrase]]
        if said.kind == "same":
            return set(subjects) <= set(others)
        if said.kind == "between":      # one of them on either side
            return all(any((i, side, j) in self.facts for j in others)
                       for i in subjects for side in ("left of", "right of"))
        pairs = [(i, said.value, j) in self.facts for i in subjects for j in others]
        # of a row only the last one is "next to" the tree, but all are "left of" it
        return any(pairs) if said.value == "next to" else all(pairs)

    def relation(self, said, referents):
        """Return the claim of a relation or a place."""
        true = self.holds(said, referents)
        if said.kind == "place":
            where = f"{'in' if said.value == 'air' else 'on'} the {said.value}"
        else:
            where = f"{said.value} " + " and ".join(f"the {one.noun}" for one in said.objects)
        return Claim("relation", f"the {said.subject.noun} is {'' if true else 'not '}{where}",
                     true, said)

    def setting(self, said):
        """Return the claim of a background."""
        true = self.background in said.value
        other = "" if true else ", not " + " or ".join(sorted(said.value))
        return Claim("background", f"it is {self.background}{other}", true, said)

    def counts(self, phrase, referents):
        """Yield the count claim of a phrase, if it has a number and such things are there."""
        fits = self.fitting[phrase]
        if phrase.low == 1 and phrase.high is None or not (fits or phrase.high == 0):
            return                      # "a ball" claims no number
        high = len(self.objects) if phrase.high is None else phrase.high
        true = any(phrase.low <= count <= high for count in self.numbers(phrase, referents))
        found = (f"there is 1 such {phrase.noun}" if len(fits) == 1
                 else f"there are {len(fits)} such {plural(phrase.noun)}")
        wanted = f"{phrase.low} or more" if phrase.high is None else f"{phrase.low}"
        yield Claim("count", found if true else f"{found}, not {wanted}", true, phrase)

    def numbers(self, phrase, referents):
        """Return how many things a phrase may be counting, in all senses of its number."""
        fits = self.fitting[phrase]
        # those not mentioned before: "a red ball and two balls"
        taken = {i for other, some in referents.items() for i in some
                 if other != phrase and not (other.definite or phrase.definite)}
        counts = [len(fits), len(set(fits) - taken)]
        # those the rest of the sentence is true of: "two balls are left of the tree"
        own = [said for said in self.statements
               if said.subject == phrase and said.kind in LOCATED and self.present(said)]
        if own:
            counts.append(sum(all(self.holds(said, {**referents, phrase: (i,)}) for said in own)
                              for i in fits))
        return counts


def tally(sentences, graphs):
    """Return {kind: (true claims, claims)} over sentences, each with its graph."""
    return counted((check(*pair) for pair in zip(sentences, graphs, strict=True)), KINDS)


def counted(verdicts, kinds):
    """Return {kind: (true claims, claims)} of verdicts."""
    counts = {kind: [0, 0] for kind in kinds}
    for verdict in verdicts:
        for claim in verdict.claims:
            counts[claim.kind][0] += claim.true
            counts[claim.kind][1] += 1
    return {kind: tuple(count) for kind, count in counts.items()}


def proportions(sentences, graphs):
    """Return the proportions of each verdict (0 to 1), and the number of claims a sentence."""
    verdicts = [check(*pair) for pair in zip(sentences, graphs, strict=True)]
    found = {name: sum(v.verdict == name for v in verdicts) / max(1, len(verdicts))
             for name in ("true", "false", "not understood")}
    return {**found, "claims": sum(len(v.claims) for v in verdicts) / max(1, len(verdicts))}


def table(sentences, graphs):
    """Return tally and proportions as text, one kind of claim a line."""
    lines = [f"{'claims':12} {'true':>6} {'of':>6}  share"]
    for kind, (true, total) in tally(sentences, graphs).items():
        lines.append(f"{kind:12} {true:6} {total:6}  " + (f"{true / total:.3f}" if total else "-"))
    found = proportions(sentences, graphs)
    lines.append("sentences: {true:.3f} true, {false:.3f} false, {not understood:.3f} not "
                 "understood; {claims:.1f} claims a sentence".format_map(found))
    return "\n".join(lines)
