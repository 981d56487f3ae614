"""Describe a drawn picture as a scene graph: its background, its objects and how they relate.

    things with places -> column, relations -> describe -> scene graph (plain data, written as JSON)

A caption may claim what the graph holds and nothing else; scenes/claims.py judges by it.
"""

from itertools import pairwise, permutations

from scenes.scenery import SIDE

OVER = 13               # pixels: how far apart at most the middles of a thing and one over it are
# parts of the picture's width; where two overlap one could argue, so both names are given
COLUMNS = (("left", 0, 0.43), ("middle", 0.36, 0.64), ("right", 0.57, 1))


def relations(things):
    """Return every relation that is plain to see, objects named by their place in `things`."""
    middles = [thing.middle for thing in things]
    order = sorted(range(len(things)), key=middles.__getitem__)
    rows = [[i for i in order if things[i].in_air == in_air] for in_air in (True, False)]
    # only things of one row are neighbours: what hangs over another is not "next to" it
    neighbours = {frozenset(pair) for row in rows for pair in pairwise(row)}
    found = []
    for i, j in permutations(range(len(things)), 2):
        # twice OVER: of a thing that hangs over another no side may be claimed
        tests = {"left of": middles[j] - middles[i] > 2 * OVER,
                 "right of": middles[i] - middles[j] > 2 * OVER,
                 "above": things[i].in_air and not things[j].in_air,
                 "below": things[j].in_air and not things[i].in_air,
                 "next to": frozenset((i, j)) in neighbours}
        found += [{"subject": i, "relation": word, "object": j}
                  for word, true in tests.items() if true]
    return found


def column(thing):
    """Return where in the picture's width a thing stands, such as "left" or "left or middle"."""
    across = thing.middle / SIDE
    return " or ".join(name for name, low, high in COLUMNS if low <= across <= high)


def describe(things, background):
    """Return the scene graph: everything a caption may claim, as plain data."""
    objects = [{"shape": thing.shape, "colour": thing.colour, "size": thing.size,
                "box": thing.box(), "group": thing.group, "column": column(thing),
                "row": "air" if thing.in_air else "ground"} for thing in things]
    return {"background": background, "objects": objects, "relations": relations(things)}
