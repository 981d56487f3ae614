"""Find the objects that a sentence names, as COCO's 80 categories.

    sentence --mentions--> [Mention("hot dog", 10, 17)] --objects_in--> {"hot dog"}
    references --known_by--> the categories that they name or imply

Words are read from left to right, the longest entry of scoring/object_words.py first; then what
stands beside a name is asked whether it is one: "a statue of a horse" names none, nor do "no dog",
"an orange shirt" and "ties his shoe". A word that may mean several categories, as "van", names one
object, "car or truck". Sentences may be as people wrote them or as tokens joined by spaces.
"""

import re
from typing import NamedTuple

from scoring.object_words import IMPLIED, NAMES, NOT


def table(text):
    """Return {categories: list of words} of a text such as "cat: cat, kitten; horse: horse"."""
    return {label: listed.split(", ") for label, listed in (
        one.split(": ") for one in " ".join(text.split()).split("; "))}


CATEGORIES = tuple(label for label in table(NAMES) if " or " not in label)
ANIMALS = frozenset(CATEGORIES[CATEGORIES.index("bird"):CATEGORIES.index("bear") + 1])
IRREGULAR = {"man": "men", "woman": "women", "child": "children", "person": "people",
             "mouse": "mice", "knife": "knives", "goose": "geese", "calf": "calves", "ox": "oxen",
             "leaf": "leaves", "sheep": "sheep", "foot": "feet", "wife": "wives", "wolf": "wolves",
             "shelf": "shelves", "bookshelf": "bookshelves", "scarf": "scarves", "loaf": "loaves",
             "half": "halves", "tomato": "tomatoes", "potato": "potatoes", "cactus": "cacti",
             "passerby": "passersby", "doberman": "dobermans"}


def words(text):
    """Return the set of words in a string."""
    return frozenset(text.split())


DETERMINERS = words("a an the this that these those his her its their my your our some any each "
                    "every another one two three four five six seven eight nine ten several many "
                    "few both single half")
COLOURS = words("red orange yellow green blue white black purple pink brown grey gray tan gold "
                "silver beige maroon violet")
ADJECTIVES = COLOURS | words("small little tiny big large huge giant old young new bright dark "
                             "light ripe fresh whole peeled sliced cut fake colorful colourful "
                             "fluffy cute furry tall short long wet dirty round")
# what may follow a noun that ends its phrase
FUNCTION = words("in on at by with of to from into onto over under near beside behind above below "
                 "between through against across along around toward towards off out up down and "
                 "or but while as who which that is are was were has have can sits sit sitting "
                 "lies lie lying lay laying rests being next for inside outside past before after "
                 "during away then underneath atop")
# a game, a colour, a sex or an adjective, unless they end a noun phrase that begins with an article
BARE = words("orange baseball basketball football volleyball softball remote male female")
# a verb, if a noun stands before it and an object or a direction behind
VERBS = words("tie ties train trains bear bears steer steers cup cups bowl bowls sink sinks book "
              "books duck ducks ram rams bat bats ship ships mug mugs fork forks ski cook bench")
DIRECTIONS = words("under into down up back through around")
# before a noun or behind it: then it is of an image, or of something else
IMAGES = words("statue statues sculpture sculptures figurine figurines painting paintings "
               "drawing drawings mural tattoo cartoon mascot cutout logo")
BEFORE = words("no without toy fake model lego cardboard cartoon matchbox carousel")
MADE_OF = words("stuffed plush ceramic plastic wooden metal bronze stone carved knitted porcelain "
                "glass paper inflatable balloon origami rubber chocolate")
BEHIND = IMAGES | words("costume costumes toy toys print figure figures shaped themed puppet "
                        "puppets balloon balloons ornament ornaments stuffed plush mask masks suit "
                        "suits")
TOYS = {"sports ball", "frisbee", "kite", "teddy bear"}       # a toy ball is a ball
# of people or of animals, which only the rest of the sentence tells
KIN = words("baby babies mother mothers mom moms father fathers parent parents adult adults "
            "male males female females")


class Mention(NamedTuple):
    """An object that a sentence names: categories, joined by " or ", and its place in the text."""

    label: str
    start: int
    stop: int


def categories(label):
    """Return the categories of which a label may mean any."""
    return label.split(" or ")


def plural(phrase):
    """Return the plural of a noun, which in "glass of wine" is its first word."""
    noun, of, rest = phrase.partition(" of")
    before, last = noun[:noun.rfind(" ") + 1], noun[noun.rfind(" ") + 1:]
    if last in IRREGULAR:
        last = IRREGULAR[last]
    elif last.endswith("man") and last != "human":
        last = last[:-3] + "men"
    elif re.search(r"(s|x|z|ch|sh)$", last):
        last += "es"
    else:
        last = last[:-1] + "ies" if re.search(r"[^aeiou]y$", last) else last + "s"
    return before + last + of + rest


def entries(listed):
    """Return {words of an entry, a tuple: labels} for singulars and plurals of a table's words."""
    found = {}
    for label, phrases in listed.items():
        for one in phrases:
            for phrase in {one, plural(one), *(["busses"] if one == "bus" else [])}:
                found.setdefault(tuple(phrase.split()), []).append(label)
    return found


NAMING = {phrase: labels[0] for phrase, labels in entries(table(NAMES)).items()}
NAMING |= dict.fromkeys(entries(table(f"none: {NOT}")), "")
IMPLYING = entries(table(IMPLIED))
LONGEST = max(map(len, NAMING))


def tokens(sentence):
    """Return the words of a sentence, lower case, each with its place: (word, start, stop)."""
    # "'s" is no word, nor is the "s" that a tokeniser leaves of it
    return [(one[0], *one.span()) for one in re.finditer(r"[^\W\d_]+|\d+", sentence.lower())
            if one[0] != "s"]


def matched(said, listed):
    """Yield (first word, word after the last, entry) of the longest entries, left to right."""
    place = 0
    while place < len(said):
        for stop in range(min(len(said), place + LONGEST), place, -1):
            if (phrase := tuple(said[place:stop])) in listed:
                yield place, stop, listed[phrase]
                place = stop
                break
        else:
            place += 1


def before(said, place):
    """Return the place of the last word before a noun and its adjectives, -1 if there is none."""
    place -= 1
    while place >= 0 and said[place] in ADJECTIVES:
        place -= 1
    return place


def at(said, place):
    """Return the word at a place, "" beyond either end."""
    return said[place] if 0 <= place < len(said) else ""


def is_image(said, first, stop, label):
    """Return whether a noun stands for a likeness or the absence of what it names."""
    place = before(said, first)
    word = at(said, place)
    if word in BEFORE and not (word == "toy" and label in TOYS):
        return True
    if at(said, stop) in BEHIND:
        return True
    if label in ANIMALS and word in MADE_OF:
        return True
    while word in DETERMINERS:
        place = before(said, place)
        word = at(said, place)
    return word in ("no", "without") or (word == "of" and at(said, place - 1) in IMAGES)


def is_verb(said, first, stop):
    """Return whether a word that may be a verb is one: "ties his shoe", "ducks under a fence"."""
    ahead, behind = at(said, before(said, first)), at(said, stop)
    if behind not in DETERMINERS and behind not in DIRECTIONS:
        return False
    return ahead == "to" or bool(ahead) and ahead not in DETERMINERS | FUNCTION | words("no")


def ends_phrase(said, first, stop, follows):
    """Return whether a noun has an article before it and no noun behind: "an orange on a plate".

    follows: whether another object ends two words before it: "an apple and orange".
    """
    behind = at(said, stop)
    if behind and behind not in FUNCTION:
        return False
    if behind in ("and", "or") and at(said, stop + 1) in COLOURS:
        return False                # an orange and white cat
    place = before(said, first)
    article = at(said, place)
    if article == "the" and at(said, place - 1) in ("in", "wearing"):
        return False                # the man in the orange
    return article in DETERMINERS or article in ("and", "or") and follows


def named(sentence):
    """Return the `Mention`s in a sentence before those of kin are looked at, with their words."""
    placed, found, end = tokens(sentence), [], None
    said = [word for word, *_ in placed]
    for first, stop, label in matched(said, NAMING):
        word = said[first] if stop == first + 1 else ""
        if label == "bear" and at(said, before(said, first)) in ("stuffed", "toy", "plush"):
            label = "teddy bear"
        bare = word in BARE and not ends_phrase(said, first, stop, end == first - 1)
        if (not label or bare or word in VERBS and is_verb(said, first, stop)
                or is_image(said, first, stop, label)):
            continue
        found.append((word, Mention(label, placed[first][1], placed[stop - 1][2])))
        end = stop
    return found


def mentions(sentence):
    """Return the objects that a sentence names, in its order: a list of `Mention`s."""
    found = named(sentence)
    animals = any(mention.label in ANIMALS for _, mention in found)
    return [mention for word, mention in found if not (animals and word in KIN)]


def objects_in(sentence):
    """Return the labels of the objects that a sentence names, a set."""
    return {mention.label for mention in mentions(sentence)}


def known_by(sentences):
    """Return the categories that sentences name or imply, a set."""
    found = {label for sentence in sentences for _, (label, *_) in named(sentence)}
    for sentence in sentences:
        said = [word for word, *_ in tokens(sentence)]
        found.update(label for *_, labels in matched(said, IMPLYING) for label in labels)
    return {category for label in found for category in categories(label)}
