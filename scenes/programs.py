"""Functional programs over a scene graph, in the form of CLEVR, and their executor.

    [{"function": "scene", "inputs": [], "value_inputs": []},
     {"function": "filter_colour", "inputs": [0], "value_inputs": ["red"]},
     {"function": "unique", "inputs": [1], "value_inputs": []},
     {"function": "query_shape", "inputs": [2], "value_inputs": []}]

    program, Scene --run--> the value of every step --answer--> "ball"
                                                    --box-----> x, y, width, height of the ball

Johnson et al. 2017 (arXiv:1612.06890). Objects are tuples of places in the graph's list. Where one
could argue, as when two things of a picture are red and "the red one" is asked for, a function
raises `Undecided`, and the question is not asked.
"""

import math

from scenes.scenery import SIDE
from system.files import BadInput

QUERIED = ("shape", "colour", "size")
CLEAR = 0.05            # of the width: how far from the border of two columns a place is plain
FAR = 0.4               # of the width: the gap from which two things are plainly not next to
RELATIONS = ("left of", "right of", "above", "below", "next to")
STEP = {"function": str, "inputs": [int], "value_inputs": [str]}    # as system/shapes.py reads it


class Undecided(ValueError):
    """A program whose answer on this picture a person could dispute."""


class Scene:
    """A scene graph as programs read it, with a table of facts {(shape, relation): object}."""

    def __init__(self, graph, facts=None):
        self.objects, self.background, self.facts = graph["objects"], graph["background"], facts
        self.relations = {(r["subject"], r["relation"], r["object"]) for r in graph["relations"]}


def step(function, inputs=(), values=()):
    """Return one step of a program; inputs are the places of earlier steps."""
    return {"function": function, "inputs": list(inputs), "value_inputs": list(values)}


def then(program, function, *values):
    """Return a program with one more step, which takes the value of the last one."""
    return [*program, step(function, [len(program) - 1], values)]


def join(function, first, second, *values):
    """Return the program that applies a function of two values to those of two programs."""
    moved = [step(one["function"], [i + len(first) for i in one["inputs"]], one["value_inputs"])
             for one in second]
    both = [*first, *moved]
    return [*both, step(function, [len(first) - 1, len(both) - 1], values)]


def run(program, scene):
    """Return the value of every step, the answer's last.

    Raises `Undecided`, and `BadInput` for what is no program.
    """
    values = []
    for number, one in enumerate(program):
        try:
            function, inputs = FUNCTIONS[one["function"]], [values[i] for i in one["inputs"]]
            values.append(function(scene, *inputs, *one["value_inputs"]))
        except (LookupError, TypeError):
            raise BadInput(f"step {number} of a program cannot be executed ({str(one)[:100]}): "
                           "draw the questions again") from None
    return values


def answer(value):
    """Return the value of a program's last step as the answer to its question."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def box(program, values, scene):
    """Return x, y, width and height of what a program asks about: its last choice of objects.

    None if these are several or none, or if the program chooses twice, as to compare.
    """
    # the first value is everything there is
    chosen = [value for value in values[1:] if isinstance(value, tuple)]
    if sum(one["function"] == "scene" for one in program) > 1 or not chosen or len(chosen[-1]) != 1:
        return None
    return scene.objects[chosen[-1][0]]["box"]


# The functions: (scene, values of the inputs ..., words ...) -> objects, number, word or truth.

def everything(scene):
    return tuple(range(len(scene.objects)))


def filter_by(attribute):
    """Return the function that keeps the objects with a value of an attribute."""
    def keep(scene, objects, value):
        return tuple(i for i in objects if scene.objects[i][attribute] == value)
    return keep


def filter_size(scene, objects, value):
    """Keep what is small or large; in a picture of one size alone nobody could say which."""
    return tuple(i for i in objects if size(scene, i) == value)


def filter_column(scene, objects, value):
    """Keep what stands at the left, in the middle or at the right of the picture."""
    return tuple(i for i in objects if column(scene.objects[i]) == value)


def unique(scene, objects):
    if len(objects) != 1:
        raise Undecided(f"which of {len(objects)}")
    return objects


def relate(scene, objects, relation):
    """Return the objects that stand in a relation to the one given."""
    one, = objects
    others = [i for i in everything(scene) if i != one]
    if any(disputed(scene, i, relation, one) for i in others):
        raise Undecided(f"what is {relation} it")
    return tuple(i for i in others if (i, relation, one) in scene.relations)


def disputed(scene, i, relation, j):
    """Return whether one could argue about a relation that the graph holds or lacks."""
    aside = any((i, side, j) in scene.relations for side in ("left of", "right of"))
    if relation in ("left of", "right of"):     # one hangs over the other, never quite in line
        return not aside
    if relation == "next to":                   # of what hangs close above one could say both
        return (i, relation, j) not in scene.relations and gap(scene, i, j) < FAR * SIDE
    # of what hangs above and to a side one could say "above" or not
    return aside and scene.objects[i]["row"] != scene.objects[j]["row"]


def gap(scene, i, j):
    """Return the pixels between the boxes of two things, in a straight line."""
    one, other = scene.objects[i]["box"], scene.objects[j]["box"]
    return math.hypot(*(max(0, one[k] - other[k] - other[k + 2], other[k] - one[k] - one[k + 2])
                        for k in (0, 1)))


def is_related(scene, subject, other, relation):
    """Return whether one thing stands in a relation to another."""
    (i,), (j,) = subject, other
    if disputed(scene, i, relation, j):
        raise Undecided(f"whether it is {relation} it")
    return (i, relation, j) in scene.relations


def query(attribute):
    """Return the function that gives an attribute of the one object."""
    def ask(scene, objects):
        return scene.objects[objects[0]][attribute]
    return ask


def query_size(scene, objects):
    return size(scene, objects[0])


def size(scene, i):
    """Return the size of a thing beside which there is one of the other size."""
    if len({thing["size"] for thing in scene.objects}) == 1:
        raise Undecided("how large it is")
    return scene.objects[i]["size"]


def query_column(scene, objects):
    return column(scene.objects[objects[0]])


def column(thing):
    """Return where in the picture's width a thing stands, if its middle is well within a third."""
    middle = (thing["box"][0] + thing["box"][2] / 2) / SIDE
    if " or " in thing["column"] or any(abs(middle - third) < CLEAR for third in (1 / 3, 2 / 3)):
        raise Undecided("where it is")
    return thing["column"]


def query_fact(scene, objects, relation):
    """Return what the table of facts says of the one object's shape."""
    return scene.facts[scene.objects[objects[0]]["shape"], relation]


FUNCTIONS = {
    "scene": everything, "unique": unique, "relate": relate, "is_related": is_related,
    "filter_size": filter_size, "filter_column": filter_column,
    **{f"filter_{name}": filter_by(name) for name in ("shape", "colour")},
    "query_size": query_size, **{f"query_{name}": query(name) for name in ("shape", "colour")},
    "query_column": query_column, "query_fact": query_fact,
    "query_background": lambda scene, whole: scene.background,
    "exist": lambda scene, objects: len(objects) > 0,
    "count": lambda scene, objects: len(objects),
    **{f"equal_{name}": lambda scene, one, other: one == other for name in (*QUERIED, "integer")},
    "greater_than": lambda scene, one, other: one > other,
    "less_than": lambda scene, one, other: one < other,
    "and": lambda scene, one, other: one and other,
    "or": lambda scene, one, other: one or other}
