"""List the words that are understood of what things do, beside those of still pictures.

    LEXICON            "comes out" -> ("event", "come out"), "from the left" -> ("side", "left")
    tokens(sentence)   as scenes/lexicon.py gives them, of both

A verb stands in all its regular forms. Again more is understood than paragraphs.py writes.
"""

from itertools import product

from scenes import lexicon as still
from scenes.lexicon import split

# verb -> what it says; "go" leaves open where to, "turn" into what
VERBS = {
    "go": "move, go, slide, travel, glide, drift, roll, drive, walk, fly, float, head, run, come, "
          "shift, sail, hurry, crawl, wander, race, pass",
    "enter": "enter, arrive", "appear": "appear, reappear, show up, turn up, pop up",
    "return": "return, come back", "leave": "leave, exit, depart", "vanish": "disappear, vanish",
    "hide": "hide", "come out": "come out, emerge", "meet": "meet, join, approach, reach, visit",
    "part": "separate", "jump": "jump, hop, leap, bounce, spring",
    "grow": "grow, expand, swell, enlarge", "shrink": "shrink",
    "turn": "turn, become, change, get, turn into"}
# the actions that may be meant; those of "go" and "turn" depend on what follows
ACTIONS = {"go": ("move", "enter", "leave", "hide", "come out"), "enter": ("enter",),
           "appear": ("enter", "come out"), "return": ("enter", "come out"), "leave": ("leave",),
           "vanish": ("leave", "hide"), "hide": ("hide",), "come out": ("come out",),
           "meet": ("move", "enter"), "part": ("move", "leave"), "jump": ("jump",),
           "grow": ("grow",), "shrink": ("shrink",), "turn": ("change colour",)}
IRREGULAR = {"go": "goes, going, gone", "fly": "flies, flying, flown", "run": "runs, running",
             "come": "comes, coming, came", "leave": "leaves, leaving, left the", "hide": "hides, "
             "hiding, hidden", "hop": "hops, hopping, hopped", "vanish": "vanishes, vanishing, "
             "vanished", "approach": "approaches, approaching", "reach": "reaches, reaching, "
             "reached", "get": "gets, getting, got", "become": "becomes, becoming", "hurry":
             "hurries, hurrying", "swell": "swells, swelling", "pass": "passes, passing, passed",
             "grow": "grows, growing, grown", "drive": "drives, driving", "pop": "pops, popping",
             "show": "shows, showing"}
VIEWS = "view, sight, the picture, the scene, the frame, the screen, the image"
# between clauses: how the one after it follows the one before it
LINKS = {"then": "then, next, after that, afterwards, later, later on, thereafter, and then, "
                 "subsequently, after this, before long, shortly after",
         "while": "meanwhile, at the same time, in the meantime, simultaneously",
         "earlier": "before that, before this, earlier",
         "last": "finally, in the end, at the end, lastly, last of all, at last, at the very end"}
# a clause follows, which may also come first
UNDER = {"while": "while, as, whilst, just as, at the same time as", "after": "after, once",
         "before": "before, until"}
TOWARDS = "to, towards, toward, up to, over to"
FILLERS = ("slowly, quickly, soon, now, again, also, too, back, first, at first, up and down, "
           "suddenly, once more, colour, color, its colour, its color, in size, start, starts to, "
           "begins to, keeps, quietly, gently, until it is")


def forms(verb):
    """Return all forms of a verb, whose first word is inflected."""
    first, *rest = verb.split()
    stem = first.removesuffix("e")
    found = split(IRREGULAR[first]) if first in IRREGULAR else [
        first + "s", stem + "ing", stem + "ed"]
    return [" ".join([one, *rest]) for one in (first, *found)]


def lexicon():
    """Return {phrase: (part of speech, meaning)} of all that is understood."""
    words = dict(still.LEXICON)
    for meaning, text in VERBS.items():
        words.update({form: ("event", meaning) for verb in split(text) for form in forms(verb)})
    for kind, table in (("link", LINKS), ("under", UNDER)):
        words.update({phrase: (kind, meaning) for meaning, text in table.items()
                      for phrase in split(text)})
    for side, start in product(("left", "right"), ("from the", "from", "in from the")):
        words.update({f"{start} {side}{end}": ("side", side) for end in
                      ("", " side", " hand side", " edge", " of the picture")})
    for side, start, end in product(("left", "right"), ("", "to ", "towards the ", "toward the "),
                                    ("", "wards", "ward", " side")):
        words[f"{start}{side}{end}"] = ("way", side)
    words.update({f"into {view}": ("particle", "in") for view in split(VIEWS)})
    words.update({f"{out} {view}": ("particle", "out") for view in split(VIEWS)
                  for out in ("out of", "from", "off")})
    words.update({out: ("particle", "out") for out in ("out", "off", "away")})
    words.update({phrase: ("towards", phrase) for phrase in split(TOWARDS)})
    words.update({phrase: ("filler", "filler") for phrase in (*split(FILLERS), *split(VIEWS))})
    words |= {"behind": ("behind", "behind"), "from behind": ("from behind", "from behind"),
              "out from behind": ("from behind", "from behind"), "from": ("from", "from"),
              "away from": ("away from", "away from"), "does": ("same", "same"),
              "does so": ("same", "same"), "bigger": ("size", "large"), "larger": ("size", "large"),
              "smaller": ("size", "small"), "taller": ("size", "large")}
    return words


LEXICON = lexicon()
LONGEST = max(len(phrase.split()) for phrase in LEXICON)


def tokens(sentence):
    """Return (part of speech, meaning, words, span) of each token, without fillers."""
    return still.tokens(sentence, LEXICON, LONGEST)
