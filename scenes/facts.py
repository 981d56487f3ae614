"""State facts about the drawn shapes that no picture shows: 30 of them, in part redrawn for test.

    facts(seed)                 the cat is made of wood, the cat is stored in the attic, ...
    facts(seed, redrawn=True)   of half of the shapes something else is true

The shapes are toys, so that anything may be true of each. A question such as "What is the red toy
made of?" needs the picture for the shape and the table for the fact. Who has learned the facts by
heart is wrong where they were redrawn: there no shape keeps its object of a relation.
"""

import random

from scenes.drawing import PAINTERS
from system.files import read_json

# what may be true of a toy -> ten objects, one a shape
OBJECTS = {
    "made of": ("wood", "glass", "paper", "wool", "metal", "rubber", "stone", "clay", "wax",
                "leather"),
    "meant for": ("birthdays", "weddings", "picnics", "parades", "carnival", "christmas", "easter",
                  "halloween", "graduation", "harvest"),
    "stored in": ("attic", "kitchen", "garden", "cellar", "garage", "museum", "school", "library",
                  "workshop", "harbour")}
FILE = "facts_{}.json"
FACT = {"id": int, "subject": str, "relation": str, "object": str, "redrawn": bool}


def facts(seed, redrawn=False):
    """Return the table, a list of FACT; redrawn: with other objects for half of the shapes."""
    found = []
    for relation, objects in OBJECTS.items():
        rng = random.Random(f"{seed} {relation}")
        true = dict(zip(PAINTERS, rng.sample(objects, len(objects)), strict=True))
        # each takes the object of the next one in a circle, so none keeps its own
        circle = rng.sample(list(PAINTERS), len(PAINTERS) // 2) if redrawn else []
        true |= {shape: true[circle[i - 1]] for i, shape in enumerate(circle)}
        found += [{"id": len(found) + number, "subject": shape, "relation": relation,
                   "object": true[shape], "redrawn": shape in circle}
                  for number, shape in enumerate(PAINTERS)]
    return found


def lookup(table):
    """Return {(subject, relation): object} of a table, as programs.Scene takes it."""
    return {(fact["subject"], fact["relation"]): fact["object"] for fact in table}


def read_facts(path):
    """Return the table in a file, a list of FACT; raise `BadInput` for any other file."""
    return read_json(path, "draw the questions again", {"facts": [FACT]})["facts"]
