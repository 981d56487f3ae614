"""Simulate the ten people who answer every question of VQA v2, and who do not always agree.

    the executor's answer, the box of what is asked --answers--> ten answers

Of ten at least seven give the executor's answer, so it alone has an accuracy of 1. Each of the
others says what a person might: a synonym (cup for mug), a neighbouring number or colour (3 for 2,
orange for red), what is alike (balloon for ball), for yes or no its contrary or "maybe". People
agree less about small things and large numbers: soft scores tell what is hard.
"""

from scenes import facts, words

ANNOTATORS, DEVIANTS = 10, 3            # people, of whom at most so many deviate
SMALL = 2500                            # pixels of a box; below, slips are twice as frequent
SLIP, SYNONYM = 0.06, 0.15              # chance of a person to err, to choose another word
NEXT = {"red": ("orange",), "orange": ("red", "yellow"), "yellow": ("orange",),
        "green": ("blue",), "blue": ("purple",), "white": ("grey",), "black": ("grey",),
        "left": ("middle",), "right": ("middle",), "middle": ("left", "right"),
        "beach": ("meadow",), "meadow": ("beach",), "night": ("sunset",), "sunset": ("night",),
        "snow": ("meadow",), "room": ("night",),
        "ball": ("balloon",), "balloon": ("ball",), "butterfly": ("moth",), "car": ("truck",),
        "cat": ("dog",), "house": ("church",), "mug": ("bucket",), "mushroom": ("tree",),
        "star": ("flower",), "tree": ("mushroom",),
        "small": ("large",), "large": ("small",), "yes": ("no", "maybe"), "no": ("yes", "maybe")}
SYNONYMS = {**{noun: others for noun, *others in words.NOUNS.values() if others},
            "cat": ["kitten"], "large": ["big"], "small": ["little"], "middle": ["centre"]}


def neighbours(said):
    """Return what a person may answer who errs a little."""
    if said.isdigit():
        return [str(number) for number in (int(said) - 1, int(said) + 1) if number >= 0]
    if said in NEXT:
        return NEXT[said]
    row, = (row for row in facts.OBJECTS.values() if said in row)
    return [other for other in row if other != said]        # of the facts, misread


def slip(said, box):
    """Return the chance of one person to err about an answer; box: of what is asked, or None."""
    hard = said.isdigit() and int(said) > 2 or box is not None and box[2] * box[3] < SMALL
    return SLIP * 2 if hard else SLIP


def answers(said, box, rng):
    """Return the answers of the ten, in the order of the people."""
    given, chance = [], slip(said, box)
    for _ in range(ANNOTATORS):
        drawn = rng.random()
        if sum(one != said for one in given) == DEVIANTS:
            given.append(said)
        elif drawn < chance:
            given.append(rng.choice(neighbours(said)))
        elif drawn < chance + SYNONYM and said in SYNONYMS:
            given.append(rng.choice(SYNONYMS[said]))
        else:
            given.append(said)
    return rng.sample(given, ANNOTATORS)        # the limit bears on the last ones
