"""Checks what a sentence claims about a drawn picture against the picture's scene graph.

    sentence -> grammar.readings -> claims, each true or false -> Verdict

A verdict is "true" (every claim is), "false" (and `.why` names the first claim that is), or "not
understood": some word or structure is unknown. What is understood in part is not judged at all:
"a car and a zebra" is not understood, though there may be no car. Of several readings the most
favourable counts.

Kinds of claim: object, colour, size, count, relation (also where in the picture), background.
- "a red ball" and "the red ball" need at least one, "two red balls" exactly two that fit, "balls"
  and "some balls" two or more, "several balls" three or more, "no balls" none.
- A number may also count only those that fit the rest: "two balls are left of the tree".
- "A ball and a red ball" are two; "the red ball" may be one already mentioned.
- "The balls", "both", "all": what is said must hold of each of them.
- Of a thing that is not there only the object claim is judged, and a colour that no such thing has
  is left out of account when its size and number are.
- Relations and places are those of the graph; "next to" means neighbours at one height, and
  flying, floating and hanging mean "in the air".
"""

from dataclasses import dataclass, field
from itertools import combinations, islice, product

from scenes.grammar import Phrase, readings
from scenes.lexicon import SHAPES, tokens
from scenes.wording import plural

MOST = 500              # ways to match phrases and objects that are tried; only freaks have more
LOCATED = ("relation", "between", "same", "place")
KINDS = ("object", "colour", "size", "count", "relation", "background")


@dataclass(frozen=True)
class Claim:
    """One thing a sentence says; `text` is what was found, in words."""

    kind: str
    text: str
    true: bool


@dataclass(frozen=True)
class Verdict:
    """`verdict` is "true", "false" or "not understood"; then `claims` is empty."""

    verdict: str
    claims: list = field(default_factory=list)
    why: str = ""


def check(sentence, graph):
    """The verdict on a sentence about the picture with this scene graph."""
    judged = [Judge(reading, graph).claims() for reading in readings(sentence)]
    judged = [claims for claims in judged if claims]
    if not judged:
        unknown = [words for kind, _, words in tokens(sentence) if kind == "unknown"]
        return Verdict("not understood", [], "unknown words: " + ", ".join(unknown) if unknown
                       else "the structure of the sentence")
    claims = min(judged, key=lambda claims: sum(not claim.true for claim in claims))
    for claim in claims:
        if not claim.true:
            return Verdict("false", claims, f"the {claim.kind}: {claim.text}")
    return Verdict("true", claims)


class Judge:
    """One reading against one graph. `.fitting` maps a Phrase to the objects it may mean."""

    def __init__(self, reading, graph):
        self.objects, self.background = graph["objects"], graph["background"]
        self.facts = {(r["subject"], r["relation"], r["object"]) for r in graph["relations"]}
        self.phrases = [said for said in reading if isinstance(said, Phrase)]
        self.statements = [said for said in reading if not isinstance(said, Phrase)]
        self.fitting = {}

    def claims(self):
        found = [claim for phrase in self.phrases for claim in self.things(phrase)]
        chosen = self.choose()
        for phrase in self.phrases:
            found += self.counts(phrase, chosen)
        found += self.doubles(chosen)
        for said in self.statements:
            if said.kind == "background":
                names = " or ".join(sorted(said.value))
                true = self.background in said.value
                found.append(Claim("background", f"it is {self.background}"
                                   + ("" if true else f", not {names}"), true))
            elif said.kind not in ("colour", "size") and self.there(said):
                found.append(self.relation(said, chosen))
        return found

    def things(self, phrase):
        """Object, colour and size claims; what is left fits the phrase."""
        fits = [i for i, thing in enumerate(self.objects) if thing["shape"] in phrase.shapes]
        told = [(kind, value, False) for kind in ("colour", "size")
                if (value := getattr(phrase, kind))]
        told += [(said.kind, said.value, phrase.every) for said in self.statements
                 if said.subject == phrase and said.kind in ("colour", "size")]
        absent = phrase.high == 0
        if not absent and len(phrase.shapes) < len(SHAPES):
            yield Claim("object", f"there is {'a' if fits else 'no'} {phrase.noun}", bool(fits))
        for kind, value, every in sorted(told, key=lambda one: one[2]):
            match = [i for i in fits if self.objects[i][kind] == value]
            true = bool(match) and (len(match) == len(fits) or not every)
            if fits and not absent:
                other = "not all of them are" if every and match else "it is not"
                yield Claim(kind, f"there is a {phrase.noun} " + (
                    f"that is {value}" if true else f"but {other} {value}"), true)
            fits = match if match or absent else fits
        self.fitting[phrase] = fits

    def there(self, said):
        """Whether all the things of a statement are."""
        return all(self.fitting[phrase] for phrase in (said.subject, *said.objects))

    def meanings(self, phrase):
        """The sets of objects that a phrase may stand for."""
        fits = self.fitting[phrase]
        if phrase.every or phrase.low > len(fits):
            return [tuple(fits)]
        sizes = range(phrase.low, min(len(fits), phrase.high or len(fits)) + 1)
        if phrase.low == 1:
            sizes = (1,)
        return [some for size in reversed(sizes) for some in combinations(fits, size)]

    def choose(self):
        """For every phrase the objects it means: that which makes most of the sentence true."""
        present = [phrase for phrase in self.phrases if self.fitting[phrase]]
        located = [said for said in self.statements
                   if said.kind in LOCATED and self.there(said)]

        def truth(chosen):
            return (not list(self.doubles(chosen)),
                    sum(self.holds(said, chosen) for said in located))
        options = islice(product(*(self.meanings(phrase) for phrase in present)), MOST)
        return max((dict(zip(present, option, strict=True)) for option in options), key=truth)

    def doubles(self, chosen):
        """A false claim for each thing that was mentioned as another but would be the same."""
        new = [phrase for phrase in chosen if not phrase.definite]
        for first, second in combinations(new, 2):
            one, other = set(chosen[first]), set(chosen[second])
            listed = one > other and {first.colour, first.size} <= {None, second.colour,
                                                                    second.size}
            if one & other and not listed:      # listed: "three balls, a red ball and ..."
                yield Claim("object", f"there is no other {second.noun}", False)

    def holds(self, said, chosen):
        """Whether a relation or place is true of the objects chosen."""
        subjects = chosen[said.subject]
        if said.kind == "place":
            return all(said.value in (*self.objects[i]["column"].split(" or "),
                                      self.objects[i]["row"]) for i in subjects)
        others = [j for phrase in said.objects for j in chosen[phrase]]
        pairs = [(i, said.value, j) in self.facts for i in subjects for j in others]
        if said.kind == "same":
            return set(subjects) <= set(others)
        if said.kind == "between":
            return all(any((i, side, j) in self.facts for j in others)
                       for i in subjects for side in ("left of", "right of"))
        return any(pairs) if said.value == "next to" else all(pairs)

    def relation(self, said, chosen):
        true = self.holds(said, chosen)
        where = {"air": "in the air", "ground": "on the ground"}.get(said.value,
                                                                    f"on the {said.value}")
        if said.kind != "place":
            nouns = " and ".join(f"the {phrase.noun}" for phrase in said.objects)
            where = f"{said.value} {nouns}"
        return Claim("relation", f"the {said.subject.noun} is {'' if true else 'not '}{where}",
                     true)

    def counts(self, phrase, chosen):
        """The count claim of a phrase, if it has a number, of things that are there."""
        if phrase.low == 1 and phrase.high is None or not (self.fitting[phrase] or
                                                           phrase.high == 0):
            return
        low, high = phrase.low, phrase.high if phrase.high is not None else len(self.objects)
        number = len(self.fitting[phrase])
        own = [said for said in self.statements if said.subject == phrase and self.there(said)
               and said.kind in LOCATED]
        partly = [i for i in self.fitting[phrase]
                  if all(self.holds(said, {**chosen, phrase: (i,)}) for said in own)]
        taken = {i for other, some in chosen.items() for i in some
                 if other != phrase and not {other.definite, phrase.definite} & {True}}
        others = len(set(self.fitting[phrase]) - taken)
        true = any(low <= count <= high for count in
                   (number, others, len(partly) if own else number))
        found = (f"there is 1 such {phrase.noun}" if number == 1
                 else f"there are {number} such {plural(phrase.noun)}")
        wanted = f"{low} or more" if phrase.high is None else f"{low}"
        yield Claim("count", found if true else f"{found}, not {wanted}", true)


def tally(sentences, graphs):
    """{kind: (true claims, claims)} over sentences, each with its graph."""
    counts = {kind: [0, 0] for kind in KINDS}
    for sentence, graph in zip(sentences, graphs, strict=True):
        for claim in check(sentence, graph).claims:
            counts[claim.kind][0] += claim.true
            counts[claim.kind][1] += 1
    return {kind: tuple(count) for kind, count in counts.items()}


def shares(sentences, graphs):
    """What part of the sentences is true, false and not understood, and the claims a sentence."""
    verdicts = [check(*pair) for pair in zip(sentences, graphs, strict=True)]
    found = {name: sum(v.verdict == name for v in verdicts) / max(1, len(verdicts))
             for name in ("true", "false", "not understood")}
    return {**found, "claims": sum(len(v.claims) for v in verdicts) / max(1, len(verdicts))}


def table(sentences, graphs):
    """Both as text, one kind of claim a line."""
    lines = [f"{'claims':12} {'true':>6} {'of':>6}  share"]
    for kind, (true, total) in tally(sentences, graphs).items():
        lines.append(f"{kind:12} {true:6} {total:6}  " + (f"{true / total:.3f}" if total else "-"))
    summary = shares(sentences, graphs)
    lines += [f"sentences: {summary['true']:.3f} true, {summary['false']:.3f} false, "
              f"{summary['not understood']:.3f} not understood; "
              f"{summary['claims']:.1f} claims a sentence"]
    return "\n".join(lines)
