"""List the words that captions of the drawn world use, and inflect and join them.

A table names, for what a scene graph holds (a shape, a size, a number, a relation, a background),
the words that say it. scenes/lexicon.py understands more words than these.
"""

# of NOUNS, SIZES and NUMBERS the first is the usual word: see `Writer.synonym`
NOUNS = {"ball": ("ball", "beach ball"), "balloon": ("balloon",), "butterfly": ("butterfly",),
         "car": ("car", "automobile"), "cat": ("cat",), "house": ("house", "cottage"),
         "mug": ("mug", "cup"), "mushroom": ("mushroom", "toadstool"), "star": ("star",),
         "tree": ("tree",)}
SIZES = {"small": ("small", "little", "tiny"), "large": ("big", "large", "huge")}
NUMBERS = {2: ("two", "a pair of", "a couple of"), 3: ("three",), 4: ("four",)}
RELATIONS = {"left of": ("to the left of", "left of", "on the left of"),
             "right of": ("to the right of", "right of", "on the right of"),
             "above": ("above", "above", "over", "higher than"),        # "above" twice as often
             "below": ("below", "under", "underneath"),
             "next to": ("next to", "beside", "near", "close to")}
PLACES = {"beach": ("at the beach", "by the sea", "on a sandy beach"),
          "meadow": ("in a meadow", "in a grassy field", "in the meadow"),
          "night": ("at night", "in the moonlight", "under a night sky"),
          "room": ("in a room", "indoors", "inside a room"),
          "snow": ("in the snow", "on a snowy day", "in a snowy landscape"),
          "sunset": ("at sunset", "in the evening", "under a sunset sky")}
# places that can follow "the ball" in "the ball by the sea is red"
SPOTS = {"beach": "by the sea", "meadow": "in the meadow", "night": "in the moonlight",
         "room": "in the room", "snow": "in the snow", "sunset": "in this picture"}
# backgrounds as nouns, which "with a red car" can follow
VIEWS = {"beach": "a beach", "meadow": "a meadow", "night": "a night scene",
         "room": "a room", "snow": "a snowy landscape", "sunset": "a sunset scene"}
VERBS = {"ball": ("lies", "rests"), "balloon": ("floats", "hangs"),
         "butterfly": ("flies", "flutters"), "car": ("is parked", "stands"), "cat": ("sits",),
         "house": ("stands",), "mug": ("stands", "rests"), "mushroom": ("grows", "stands"),
         "star": ("hangs", "shines"), "tree": ("grows", "stands")}
SIDES = {"left": ("on the left", "on the left side"),
         "right": ("on the right", "on the right side"),
         "middle": ("in the middle", "in the centre")}


def plural(noun):
    """Return the plural of a noun: balls, butterflies, toys."""
    ends = noun.endswith("y") and noun[-2] not in "aeiou"
    return noun[:-1] + "ies" if ends else noun + "s"


def with_article(words):
    """Return the words after "a" or "an"."""
    return ("an " if words[0] in "aeiou" else "a ") + words


def joined(parts):
    """Return phrases as one list: "a", "a and b" or "a, b and c"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
