"""Write true sentences about a drawn picture: many wordings from one scene graph.

    sentences(graph, rng, number) -> `number` different true sentences, 5 to 16 words each

A template is one way to build a sentence ("there is ...", "... with a ball next to it"). Templates
draw their words (synonyms, which adjectives, which relation), but only such as the graph holds.
A scene graph is the dict of scenes/graph.py: background, objects, relations.
"""

from scenes import words

SHORTEST, LONGEST = 5, 16      # words in a sentence


class Group:
    """Like objects of a picture; `.members` are their places among the graph's objects."""

    def __init__(self, graph, members):
        first = graph["objects"][members[0]]
        self.shape, self.colour, self.size = first["shape"], first["colour"], first["size"]
        self.members, self.number = members, len(members)
        # several things have no one place in the picture's width
        self.column = first["column"] if self.number == 1 else None
        self.are = "is" if self.number == 1 else "are"

    def fits(self, thing, attributes):
        """Return whether an object of the graph has this group's shape and these attributes."""
        same = all(thing[attribute] == getattr(self, attribute) for attribute in attributes)
        return thing["shape"] == self.shape and same


class Writer:
    """Writes about one picture with words drawn from `rng`; a template that cannot gives None."""

    def __init__(self, graph, rng):
        self.graph, self.rng = graph, rng
        members = {}
        for index, thing in enumerate(graph["objects"]):
            members.setdefault(thing["group"], []).append(index)
        left_to_right = sorted(members.values(), key=lambda indices: min(
            graph["objects"][index]["box"][0] for index in indices))
        self.groups = [Group(graph, indices) for indices in left_to_right]
        self.facts = {(r["subject"], r["relation"], r["object"]) for r in graph["relations"]}

    def attributes(self, group):
        """Draw the attributes to name, of "size" and "colour"."""
        said = {name for name, chance in (("size", 0.6), ("colour", 0.95))
                if self.rng.random() < chance}
        # "two balls" would be false of two blue ones beside a red one: there are three
        if sum(group.fits(thing, said) for thing in self.graph["objects"]) > group.number:
            said.add("colour")
        return said

    def phrase(self, group, start=None):
        """Return a noun phrase such as "a big red car"; `start` replaces the article or number."""
        said, noun = self.attributes(group), self.synonym(words.NOUNS[group.shape])
        adjectives = [self.synonym(words.SIZES[group.size])] if "size" in said else []
        adjectives += [group.colour] if "colour" in said else []
        phrase = " ".join([*adjectives, noun if group.number == 1 else words.plural(noun)])
        if start is None and group.number == 1:
            return words.with_article(phrase)
        return f"{start or self.synonym(words.NUMBERS[group.number])} {phrase}"

    def synonym(self, options):
        """Draw one of several words that mean the same, half the time the first."""
        # as among people, one word is usual
        return options[0] if self.rng.random() < 0.5 else self.rng.choice(options)

    def everything(self, one=None):
        """Return all groups as one list, from left to right, and the verb "is" or "are" for it."""
        phrases = [self.phrase(group, one if group.number == 1 else None) for group in self.groups]
        return words.joined(phrases), self.groups[0].are      # agrees with the first

    def place(self, chance=1.0):
        """Return words for the background after a space, or at 1 - `chance` an empty string."""
        if self.rng.random() >= chance:
            return ""
        return " " + self.rng.choice(words.PLACES[self.graph["background"]])

    def verb(self, group):
        """Draw a verb for the group, such as "is", "stands" or, of several, "stand"."""
        first, *rest = self.rng.choice(("is", *words.VERBS[group.shape])).split()
        if group.number > 1:                    # only the first word of "is parked" changes
            irregular = {"is": "are", "lies": "lie", "flies": "fly"}
            first = irregular.get(first, first.removesuffix("s"))
        return " ".join([first, *rest])

    def holds(self, subject, word, other):
        """Return whether a relation is true of two groups."""
        pairs = [(i, word, j) in self.facts for i in subject.members for j in other.members]
        # of a row only the last one is "next to" the tree, but all are "left of" it
        return any(pairs) if word == "next to" else all(pairs)

    def related(self):
        """Draw two groups and a preposition between them that is true, or return None."""
        true = [(a, word, b) for a in self.groups for b in self.groups for word in words.RELATIONS
                if a is not b and self.holds(a, word, b)]
        if not true:
            return None
        subject, word, other = self.rng.choice(true)
        return subject, self.rng.choice(words.RELATIONS[word]), other

    # Templates that name every group.

    def listing(self):          # "a red car and two mugs at night"
        return self.everything()[0] + self.place()

    def existence(self):        # "there are two mugs in a room"
        things, are = self.everything()
        return f"there {are} {things}{self.place(0.6)}"

    def shown(self):            # "you can see a red car"
        start = self.rng.choice(("this picture shows", "you can see", "a picture of",
                                 "a drawing of", "here you see"))
        return f"{start} {self.everything()[0]}{self.place(0.5)}"

    def view(self):             # "a night scene with a red car"
        return f"{words.VIEWS[self.graph['background']]} with {self.everything()[0]}"

    def counted(self):          # "there is exactly one red car at night"
        things, are = self.everything(self.rng.choice(("one", "a single", "exactly one")))
        if self.rng.random() < 0.5:
            return f"there {are} {things}{self.place()}"
        return f"{things} can be seen{self.place()}"

    # Templates about one or two groups.

    def single(self):           # "a red car is parked at night"
        group = self.rng.choice(self.groups)
        if self.rng.random() < 0.5:
            return f"{self.phrase(group)} {self.verb(group)}{self.place()}"
        return f"{self.place().strip()}, there {group.are} {self.phrase(group)}"

    def described(self):
        """Name one group, with adjectives after the verb, as in "the ball is red"."""
        group = self.rng.choice(self.groups)
        if sum(other.shape == group.shape for other in self.groups) > 1:
            return None                         # "the ball" must be the only one
        size, noun = self.synonym(words.SIZES[group.size]), self.synonym(words.NOUNS[group.shape])
        told = self.rng.choice((group.colour, group.colour, size, f"{size} and {group.colour}"))
        spot = self.rng.choice(("in this picture", words.SPOTS[self.graph["background"]]))
        if group.number == 1:
            return f"the {noun} {spot} is {told}"
        start = "both" if group.number == 2 else f"all {words.NUMBERS[group.number][0]}"
        return f"{start} {words.plural(noun)} {spot} are {told}"

    def sided(self):
        """Say where in the picture a single thing stands."""
        group = self.rng.choice(self.groups)
        if group.column not in words.SIDES:     # several things, or "left or middle"
            return None
        side, thing = self.rng.choice(words.SIDES[group.column]), self.phrase(group)
        return self.rng.choice((f"{side} there is {thing}", f"{thing} is {side} of the picture",
                                f"{thing} {side} of the picture"))

    def relation(self):         # "a red car stands near a tree"
        if not (found := self.related()):
            return None
        subject, preposition, other = found
        verb = self.rng.choice(("", " " + self.verb(subject)))
        return f"{self.phrase(subject)}{verb} {preposition} {self.phrase(other)}{self.place(0.4)}"

    def inverted(self):         # "near a tree there is a red car"
        if not (found := self.related()):
            return None
        subject, preposition, other = found
        verb = self.rng.choice((f"there {subject.are}", self.verb(subject)))
        return f"{preposition} {self.phrase(other)} {verb} {self.phrase(subject)}"

    def companion(self):        # "a tree with a red car near it"
        if not (found := self.related()):
            return None
        subject, preposition, other = found
        them = "it" if other.number == 1 else "them"
        companion = f"{self.phrase(other)} with {self.phrase(subject)}"
        return f"{companion} {preposition} {them}{self.place(0.3)}"

    def between(self):          # "a tree is between a red car and a mug"
        true = [(a, b, c) for a in self.groups for b in self.groups for c in self.groups
                if self.holds(b, "left of", a) and self.holds(a, "left of", c)]
        if not true:
            return None
        middle, first, last = self.rng.choice(true)
        verb, ends = self.verb(middle), [self.phrase(first), self.phrase(last)]
        self.rng.shuffle(ends)
        return f"{self.phrase(middle)} {verb} between {ends[0]} and {ends[1]}"


WHOLE = (Writer.listing, Writer.existence, Writer.shown, Writer.view, Writer.counted)
RELATED = (Writer.relation, Writer.inverted, Writer.companion, Writer.between)
PARTIAL = (Writer.single, Writer.described, Writer.sided)


def finished(text):
    """Add a capital and a full stop; return None if the sentence is too short or too long."""
    if text is None or not SHORTEST <= len(text.split()) <= LONGEST:
        return None
    return text[0].upper() + text[1:] + "."


def sentences(graph, rng, number):
    """Draw `number` different true sentences, of which at most one is of PARTIAL."""
    writer, found = Writer(graph, rng), []
    templates = [rng.choice(PARTIAL), *rng.sample(WHOLE + RELATED, len(WHOLE + RELATED))]
    while len(found) < number:
        # those of WHOLE fit every picture, so the loop ends
        template = templates.pop(0) if templates else rng.choice(WHOLE)
        sentence = finished(template(writer))
        if sentence and sentence not in found:
            found.append(sentence)
    rng.shuffle(found)          # or the partial one would always be the first caption
    return found
