"""List the words that are understood of a caption, each with its part of speech and meaning.

    LEXICON            "a pair of" -> ("number", (2, 2)), "under" -> ("relation", "below") ...
    tokens(sentence)   longest matches from left to right; any other word is "unknown"
    scene_of(tokens)   the backgrounds that "a green meadow", "a night sky" ... may mean

It holds more than words.py: colours that never occur, so that "a pink car" is understood and
false, and other ways to say the same that a reader or a model may think of.
"""

import re
from itertools import product

from scenes.words import PLACES, plural

BACKGROUNDS = frozenset(PLACES)
SHAPES = {"ball": "ball, beach ball, beachball", "balloon": "balloon", "butterfly": "butterfly",
          "car": "car, automobile, auto, vehicle", "cat": "cat, kitten, kitty",
          "house": "house, cottage, home, building, hut, cabin", "tree": "tree", "star": "star",
          "mug": "mug, cup, coffee mug, coffee cup, teacup, tea cup, cup of coffee, mug of coffee",
          "mushroom": "mushroom, toadstool"}
# the shapes that a noun may name -> such nouns
NOUNS = {**{frozenset((shape,)): words for shape, words in SHAPES.items()},
         frozenset(SHAPES): "thing, object, item", frozenset(("cat", "butterfly")): "animal"}
SIZES = {"small": "small, little, tiny, smallish, mini",
         "large": "large, big, huge, giant, enormous, great big"}
COLOURS = {"red": "red", "orange": "orange", "yellow": "yellow", "green": "green", "blue": "blue",
           "white": "white", "black": "black", "purple": "purple, violet", "pink": "pink",
           "brown": "brown", "grey": "grey, gray"}
# (at least, at most) in the picture; None: no limit
COUNTS = {(0, 0): "no, zero, 0", (1, 1): "one, 1, a single, single, a lone, one single",
          (2, 2): "two, 2, a pair of, a couple of, pair of, couple of",
          (3, 3): "three, 3, a trio of", (4, 4): "four, 4", (5, 5): "five, 5", (6, 6): "six, 6",
          (7, 7): "seven, 7", (8, 8): "eight, 8", (9, 9): "nine, 9", (10, 10): "ten, 10",
          (2, None): "some, a group of, a number of, multiple, a bunch of",
          (3, None): "several, a few, few, many, lots of, a lot of"}
RELATIONS = {
    "above": "above, over, on top of, higher than, higher up than, up above, high above",
    "below": "below, under, underneath, beneath, lower than, down below",
    "next to": "next to, beside, near, close to, by, alongside, adjacent to, at the side of, "
               "by the side of, near to, to the side of, nearby"}
SCENES = {"beach": "beach, sea, seaside, seashore, shore, coast, ocean, sand, water",
          "meadow": "meadow, field, grass, lawn, pasture, grassland",
          "night": "night, moonlight, dark, darkness, moon, nighttime",
          "room": "room, floor, wall", "snow": "snow, winter",
          "sunset": "sunset, evening, dusk, sundown, setting sun"}
SCENIC = {"beach": "sandy", "meadow": "grassy", "night": "moonlit, starless",
          "room": "indoor, wooden, wood", "snow": "snowy, snow covered, wintry"}
# colours that may be said of a background, and of its sky; no room has a sky
USUAL = {"beach": ("blue", "yellow"), "meadow": ("green",), "snow": ("white", "blue"),
         "night": ("black", "blue"), "room": ("brown",), "sunset": ("orange", "red", "pink")}
SKIES = {"beach": ("blue",), "meadow": ("blue",), "snow": ("blue", "white", "grey"), "room": (),
         "night": ("black", "purple", "blue"), "sunset": ("orange", "red", "pink", "purple")}
# a caption may speak of the picture itself, which claims nothing
PICTURES = "picture, image, photo, photograph, drawing, illustration, painting, scene"
# verbs: those of STILL claim nothing, those of FLYING that a thing is in the air
STILL = ("stands, stand, standing, sits, sit, sitting, lies, lie, lying, rests, rest, resting, "
         "parked, placed, located, seen, shown, visible, grows, grow, growing, shines, shine, "
         "shining, waits, wait, waiting, positioned, situated, found, drawn, present, can be seen, "
         "can be found, appears, appear")
FLYING = ("flies, fly, flying, floats, float, floating, hovers, hover, hovering, hangs, hang, "
          "hanging, flutters, flutter, fluttering")
# part of speech -> words whose meaning is the part of speech itself
OTHERS = {"be": "is, are, was, were, 's", "preposition": "in, on, at, inside, within, during, "
          "across, along, in front of, in the middle of, against", "sky": "sky, skies",
          "view": "landscape, day, view, background, place, scenery, ground, scene, area, hill",
          "there": "there, here, we see, you see, here you see, here we see, i see, it shows, "
                   "this shows, this is, you can find",
          "of": "of", "between": "between, in between",
          "filler": "clearly, also, coloured, colored, as well, right there, high, low, up, "
                    "in view, in total, altogether, in all",
          "and": "and, while, but, whereas, plus, as well as, along with, together with",
          "with": "with, has, have, having, accompanied by", "that": "that, which",
          "pronoun": "it, them, they", "other": "other, another", "all": "all, every, each",
          "both": "both", "one": "ones", "a": "a, an", "the": "the, this, these, those, its"}


def split(text):
    """Return the phrases of a list in one string."""
    return text.split(", ")


def lexicon():
    """Return {phrase: (part of speech, meaning)} of all that is understood."""
    words = {}

    def add(kind, table):
        for meaning, text in table.items():
            words.update({phrase: (kind, meaning) for phrase in split(text)})

    for shapes, text in NOUNS.items():
        for noun in split(text):
            add("noun", {(shapes, noun, False): noun, (shapes, noun, True): plural(noun)})
    for kind, table in (("size", SIZES), ("colour", COLOURS), ("number", COUNTS),
                        ("relation", RELATIONS)):
        add(kind, table)
    for kind, table in (("scene", SCENES), ("scenic", SCENIC)):
        add(kind, {frozenset((background,)): text for background, text in table.items()})
    add("adverb", {frozenset(("room",)): "indoors, inside",
                   BACKGROUNDS - {"room"}: "outdoors, outside"})
    add("verb", {"still": STILL, "air": FLYING})
    for kind, text in OTHERS.items():
        add(kind, {kind: text})
    words |= places() | openings()
    # the tables again, with a word before the phrase
    words |= {f"{exactly} {phrase}": words[phrase] for text in COUNTS.values()
              for phrase in split(text) for exactly in ("exactly", "only", "just")}
    words |= {f"{start} {phrase}": ("number", (low + more, None))
              for (low, high), text in COUNTS.items() if low == high for phrase in split(text)
              for start, more in (("at least", 0), ("more than", 1))}
    words |= {f"{directly} {phrase}": meaning for phrase, meaning in words.items()
              for directly in ("directly", "just", "right") if meaning[0] == "relation"}
    return words


def places():
    """Return the phrases of place, such as "on the left", "to the left of" or "in the air"."""
    found = {f"{side} of": ("relation", f"{side} of") for side in ("left", "right")}
    sides = [(side, how + side) for side in ("left", "right") for how in ("", "far ")]
    sides += [("left", "left hand"), ("right", "right hand"), ("middle", "middle"),
              ("middle", "centre"), ("middle", "center")]
    for side, start in product(("left", "right"), ("on its", "to its")):
        found[f"{start} {side}"] = ("relation", f"{side} of")      # of what was just named
    for start, (side, word), end in product(("on the", "at the", "to the", "in the"), sides,
                                            ("", " side", " half", " part", " edge")):
        phrase = f"{start} {word}{end}"
        if side != "middle":            # with "of" it needs an object: a relation, not a place
            found[f"{phrase} of"] = ("relation", f"{side} of")
        for whole in ("", *(f" {of} {picture}" for of in ("of the", "of this", "in the", "in this")
                            for picture in split(PICTURES))):
            # without an object, or with the picture as the whole, it is a place
            found[phrase + whole] = ("place", side)
    for row, text in (("air", "in the air, in mid air, up in the air, at the top, up high"),
                      ("ground", "on the ground, at the bottom")):
        found |= {phrase: ("place", row) for phrase in split(text)}
    return found


def openings():
    """Return the phrases about the picture itself: "this picture shows", "in this picture"."""
    found = {f"{who} can see": ("there", "there") for who in ("you", "we", "one", "i")}
    starts = split("a, an, this, the, this is a, this is an, it is a, it 's a, it is an, it 's an")
    verbs = split("of, with, shows, showing, contains, has, depicts, features")
    for which, picture, verb in product(starts, split(PICTURES), verbs):
        found[f"{which} {picture} {verb}"] = ("there", "there")
    # every drawn thing is "in this picture": not a claim
    for where, picture in product(("in the", "in this", "of the", "of this", "in a", "on the",
                                   "on this"), split(PICTURES)):
        found[f"{where} {picture}"] = ("filler", "filler")
    return found


LEXICON = lexicon()
LONGEST = max(len(phrase.split()) for phrase in LEXICON)


def tokens(sentence, known=LEXICON, longest=LONGEST):
    """Return (part of speech, meaning, words, span) of each token in order, without fillers.

    span: where it begins and ends among the sentence's characters.  known: a lexicon, whose
    phrases have at most `longest` words.
    """
    # "isn't" is one word and unknown: cut in two it would read "is"
    matches = list(re.finditer(r"\w+n't|[^\W_]+|'s\b|[,.;:!?]|[^\w\s-]",
                               sentence.replace("\u2019", "'"), re.I))
    words = [match[0].lower() for match in matches]
    found, at = [], 0
    while at < len(words):
        # longest first: "beach ball" is no beach, "on the left of" no "on the left"
        for length in range(min(longest, len(words) - at), 0, -1):
            phrase = " ".join(words[at:at + length])
            if phrase in known or length == 1:
                break
        kind, meaning = known.get(phrase, ("unknown", phrase))
        # a lexicon holds words only
        kind = {",": "comma", ".": "stop", ";": "stop", ":": "stop", "!": "stop", "?": "stop",
                '"': "filler"}.get(phrase, kind)
        if kind != "filler":
            span = matches[at].start(), matches[at + length - 1].end()
            found.append((kind, meaning, phrase, span))
        at += length
    return found


def scene_of(named):
    """Return the backgrounds that tokens such as those of "blue sky" fit; none if not a scene."""
    kinds = [kind for kind, *_ in named]
    # "a sandy" is unfinished, "a green place" could be anything
    if not kinds or kinds[-1] in ("scenic", "colour") or set(kinds) <= {"view", "colour"}:
        return frozenset()
    fits = BACKGROUNDS - {"room"} if "sky" in kinds else BACKGROUNDS
    for kind, meaning, _ in named:
        if kind in ("scene", "scenic") and fits & meaning:          # a snowy field: snow decides
            fits &= meaning
        if kind == "colour":
            table = SKIES if "sky" in kinds else USUAL
            fits &= {background for background in fits if meaning in table[background]}
    return fits
