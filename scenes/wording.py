"""What can be truly said of a drawn picture: many wordings from one scene graph.

    sentences(graph, rng, number) -> `number` different true sentences, 5 to 16 words each

A *frame* is one way to build a sentence ("there is ...", "... with a ball next to it"); frames pick
their words freely (synonyms, which adjectives, which relation) but only such as the graph holds.
A scene graph is the dict that scenes/dataset.py writes: background, objects, relations.
"""

# The first word is said as often as all its synonyms together: as among people, one is usual.
NOUNS = {"ball": ("ball", "beach ball"), "balloon": ("balloon",), "butterfly": ("butterfly",),
         "car": ("car", "automobile"), "cat": ("cat",), "house": ("house", "cottage"),
         "mug": ("mug", "cup"), "mushroom": ("mushroom", "toadstool"), "star": ("star",),
         "tree": ("tree",)}
SIZES = {"small": ("small", "little", "tiny"), "large": ("big", "large", "huge")}
NUMBERS = {2: ("two", "a pair of", "a couple of"), 3: ("three",), 4: ("four",)}
RELATIONS = {"left of": ("to the left of", "left of", "on the left of"),
             "right of": ("to the right of", "right of", "on the right of"),
             "above": ("above", "above", "over", "higher than"),
             "below": ("below", "under", "underneath"),
             "next to": ("next to", "beside", "near", "close to")}
PLACES = {"beach": ("at the beach", "by the sea", "on a sandy beach"),
          "meadow": ("in a meadow", "in a grassy field", "in the meadow"),
          "night": ("at night", "in the moonlight", "under a night sky"),
          "room": ("in a room", "indoors", "inside a room"),
          "snow": ("in the snow", "on a snowy day", "in a snowy landscape"),
          "sunset": ("at sunset", "in the evening", "under a sunset sky")}
SPOTS = {"beach": "by the sea", "meadow": "in the meadow", "night": "in the moonlight",
         "room": "in the room", "snow": "in the snow", "sunset": "in this picture"}
VIEWS = {"beach": "a beach", "meadow": "a meadow", "night": "a night scene",
         "room": "a room", "snow": "a snowy landscape", "sunset": "a sunset scene"}
VERBS = {"ball": ("lies", "rests"), "balloon": ("floats", "hangs"),
         "butterfly": ("flies", "flutters"), "car": ("is parked", "stands"), "cat": ("sits",),
         "house": ("stands",), "mug": ("stands", "rests"), "mushroom": ("grows", "stands"),
         "star": ("hangs", "shines"), "tree": ("grows", "stands")}
SHORTEST, LONGEST = 5, 16      # words in a sentence
SIDES = {"left": ("on the left", "on the left side"),
         "right": ("on the right", "on the right side"),
         "middle": ("in the middle", "in the centre")}


def plural(noun):
    return noun[:-1] + "ies" if noun.endswith("y") else noun + "s"


def with_article(words):
    return ("an " if words[0] in "aeiou" else "a ") + words


def joined(parts):
    """a / a and b / a, b and c"""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


class Group:
    """The like objects of a picture: `.members` are their places in the graph's objects."""

    def __init__(self, graph, members):
        first = graph["objects"][members[0]]
        self.shape, self.colour, self.size = first["shape"], first["colour"], first["size"]
        self.members, self.number = members, len(members)
        self.column = first["column"] if self.number == 1 else None
        self.are = "is" if self.number == 1 else "are"

    def fits(self, thing, attributes):
        """Whether an object of the graph would go by the same noun and these adjectives."""
        same = all(thing[attribute] == getattr(self, attribute) for attribute in attributes)
        return thing["shape"] == self.shape and same


class Teller:
    """Words for one picture, drawn with `rng`. Frames return a sentence, or None if they can't."""

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
        """Which adjectives to say: by chance, but enough to tell the group from all others."""
        said = {a for a, share in (("size", 0.6), ("colour", 0.95)) if self.rng.random() < share}
        if sum(group.fits(thing, said) for thing in self.graph["objects"]) > group.number:
            said.add("colour")
        return said

    def phrase(self, group, start=None):
        """A noun phrase, such as "a big red car"; `start` replaces the article or number."""
        said, noun = self.attributes(group), self.usual(NOUNS[group.shape])
        words = [self.usual(SIZES[group.size])] if "size" in said else []
        words += [group.colour] if "colour" in said else []
        words = " ".join([*words, noun if group.number == 1 else plural(noun)])
        if start is None and group.number == 1:
            return with_article(words)
        return f"{start or self.usual(NUMBERS[group.number])} {words}"

    def usual(self, words):
        """One of several words that mean the same, half the time the first."""
        return words[0] if self.rng.random() < 0.5 else self.rng.choice(words)

    def everything(self, one=None):
        """All groups in one list, from left to right, and "is" or "are" to go before it."""
        phrases = [self.phrase(group, one if group.number == 1 else None) for group in self.groups]
        return joined(phrases), self.groups[0].are

    def place(self, chance=1.0):
        """Words for the background, with a space before them; nothing at 1 - `chance`."""
        if self.rng.random() >= chance:
            return ""
        return " " + self.rng.choice(PLACES[self.graph["background"]])

    def verb(self, group):
        """What the group does: "is", "stands", of several "stand"."""
        first, *rest = self.rng.choice(("is", *VERBS[group.shape])).split()
        if group.number > 1:
            irregular = {"is": "are", "lies": "lie", "flies": "fly"}
            first = irregular.get(first, first.removesuffix("s"))
        return " ".join([first, *rest])

    def holds(self, subject, word, other):
        pairs = [(i, word, j) in self.facts for i in subject.members for j in other.members]
        return any(pairs) if word == "next to" else all(pairs)

    def related(self):
        """Two groups and words for how the first stands to the second, or None."""
        true = [(a, word, b) for a in self.groups for b in self.groups for word in RELATIONS
                if a is not b and self.holds(a, word, b)]
        if not true:
            return None
        subject, word, other = self.rng.choice(true)
        return subject, self.rng.choice(RELATIONS[word]), other

    # Frames that name everything.

    def listing(self):
        return self.everything()[0] + self.place()

    def existence(self):
        things, are = self.everything()
        return f"there {are} {things}{self.place(0.6)}"

    def shown(self):
        start = self.rng.choice(("this picture shows", "you can see", "a picture of",
                                 "a drawing of", "here you see"))
        return f"{start} {self.everything()[0]}{self.place(0.5)}"

    def view(self):
        return f"{VIEWS[self.graph['background']]} with {self.everything()[0]}"

    def counted(self):
        things, are = self.everything(self.rng.choice(("one", "a single", "exactly one")))
        if self.rng.random() < 0.5:
            return f"there {are} {things}{self.place()}"
        return f"{things} can be seen{self.place()}"

    # Frames about one thing or two.

    def alone(self):
        group = self.rng.choice(self.groups)
        if self.rng.random() < 0.5:
            return f"{self.phrase(group)} {self.verb(group)}{self.place()}"
        return f"{self.place().strip()}, there {group.are} {self.phrase(group)}"

    def described(self):
        """The only things of their noun, with adjectives after the verb."""
        group = self.rng.choice(self.groups)
        if sum(other.shape == group.shape for other in self.groups) > 1:
            return None
        size, noun = self.usual(SIZES[group.size]), self.usual(NOUNS[group.shape])
        told = self.rng.choice((group.colour, group.colour, size, f"{size} and {group.colour}"))
        spot = self.rng.choice(("in this picture", SPOTS[self.graph["background"]]))
        if group.number == 1:
            return f"the {noun} {spot} is {told}"
        start = "both" if group.number == 2 else f"all {NUMBERS[group.number][0]}"
        return f"{start} {plural(noun)} {spot} are {told}"

    def sided(self):
        """Where a single thing stands in the picture."""
        group = self.rng.choice(self.groups)
        if group.column not in SIDES:
            return None
        side, thing = self.rng.choice(SIDES[group.column]), self.phrase(group)
        return self.rng.choice((f"{side} there is {thing}", f"{thing} is {side} of the picture",
                                f"{thing} {side} of the picture"))

    def relation(self):
        if not (found := self.related()):
            return None
        subject, words, other = found
        verb = self.rng.choice(("", " " + self.verb(subject)))
        return f"{self.phrase(subject)}{verb} {words} {self.phrase(other)}{self.place(0.4)}"

    def inverted(self):
        if not (found := self.related()):
            return None
        subject, words, other = found
        verb = self.rng.choice((f"there {subject.are}", self.verb(subject)))
        return f"{words} {self.phrase(other)} {verb} {self.phrase(subject)}"

    def companion(self):
        if not (found := self.related()):
            return None
        subject, words, other = found
        them = "it" if other.number == 1 else "them"
        return f"{self.phrase(other)} with {self.phrase(subject)} {words} {them}{self.place(0.3)}"

    def between(self):
        true = [(a, b, c) for a in self.groups for b in self.groups for c in self.groups
                if self.holds(b, "left of", a) and self.holds(a, "left of", c)]
        if not true:
            return None
        middle, first, last = self.rng.choice(true)
        verb, ends = self.verb(middle), [self.phrase(first), self.phrase(last)]
        self.rng.shuffle(ends)
        return f"{self.phrase(middle)} {verb} between {ends[0]} and {ends[1]}"


WHOLE = (Teller.listing, Teller.existence, Teller.shown, Teller.view, Teller.counted)
RELATED = (Teller.relation, Teller.inverted, Teller.companion, Teller.between)
PARTIAL = (Teller.alone, Teller.described, Teller.sided)


def finished(words):
    """A capital and a full stop; None if the sentence is too short or too long."""
    if words is None or not SHORTEST <= len(words.split()) <= LONGEST:
        return None
    return words[0].upper() + words[1:] + "."


def sentences(graph, rng, number):
    """`number` different true sentences; all but one name everything, or two things related."""
    teller, found = Teller(graph, rng), []
    frames = [rng.choice(PARTIAL), *rng.sample(WHOLE + RELATED, len(WHOLE + RELATED))]
    while len(found) < number:
        sentence = finished((frames.pop(0) if frames else rng.choice(WHOLE))(teller))
        if sentence and sentence not in found:
            found.append(sentence)
    rng.shuffle(found)
    return found
