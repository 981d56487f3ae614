"""Layouts of module networks: programs as sequences of tokens in postfix order.

    program --postfix--> ("scene", "filter_colour red", "unique", "query_shape") --program--> steps
    layouts of a split --Grammar.encode--> (N, S), filled with END

A token is a function and its word, if it takes one. In postfix order a step takes the values of the
last steps that nothing has taken yet, so the order alone says what goes where, as on a stack.
1705.03633 writes programs in prefix order for the same reason. Every function has a signature, the
types that it takes and the one it gives, and a layout is valid if it leaves one answer. So of the
first tokens of a layout it is known which may follow, and no generator need emit an invalid one.

Shape letters:  N questions   S steps
"""

import math

import numpy as np
import torch

from system.files import BadInput, read_json

END = 0                     # the token behind a layout; the others count from 1
LONGEST = 32                # steps of a layout
DEEPEST = 3                 # values that wait to be taken
PROGRAMS = "v2_mscoco_{}_programs.json"
LENT = "val, lent by "      # how files.py names a split that is a part of another
REMEDY = "draw the questions again with 'python prepare.py questions', or give another --data"

OBJECTS, NUMBER, TRUTH = "objects", "number", "truth"
# By function, or by the first word of its name where the second is an attribute, "*".
SIGNATURES = {
    "scene": ((), OBJECTS), "unique": ((OBJECTS,), OBJECTS), "relate": ((OBJECTS,), OBJECTS),
    "union": ((OBJECTS, OBJECTS), OBJECTS), "intersect": ((OBJECTS, OBJECTS), OBJECTS),
    "filter": ((OBJECTS,), OBJECTS), "same": ((OBJECTS,), OBJECTS),
    "count": ((OBJECTS,), NUMBER), "exist": ((OBJECTS,), TRUTH),
    "is_related": ((OBJECTS, OBJECTS), TRUTH),
    "equal_integer": ((NUMBER, NUMBER), TRUTH), "greater_than": ((NUMBER, NUMBER), TRUTH),
    "less_than": ((NUMBER, NUMBER), TRUTH), "and": ((TRUTH, TRUTH), TRUTH),
    "or": ((TRUTH, TRUTH), TRUTH), "query_background": ((OBJECTS,), "background"),
    "query_fact": ((OBJECTS,), "fact"), "query": ((OBJECTS,), "*"), "equal": (("*", "*"), TRUTH)}


def kind_of(function):
    """Return the key of a function's signature and its attribute or None; `BadInput` if unknown.

    "filter_colour" -> "filter", "colour"       "count" -> "count", None
    """
    kind, _, attribute = function.partition("_")
    if function in SIGNATURES and function not in ("filter", "same", "query", "equal"):
        return function, None
    if kind in ("filter", "same", "query", "equal") and attribute:
        return kind, attribute
    raise BadInput(f"the function {function!r:.40} is none that this program has a module for: "
                   f"{REMEDY}")


def signature(token):
    """Return the types that the function of a token takes, and the type it gives."""
    kind, attribute = kind_of(token.partition(" ")[0])
    takes, gives = SIGNATURES[kind]
    if attribute is None:
        return takes, gives
    takes = tuple(attribute if one == "*" else one for one in takes)
    return takes, attribute if gives == "*" else gives


def postfix(steps):
    """Return a program as a layout, a tuple of tokens.

    steps: (function, inputs, values) each, of which the last gives the answer. Raises `BadInput`
    for what is no program, or too long a one.
    """
    tokens = []

    def append(place, above):
        function, inputs, values = steps[place]
        if not all(0 <= one < place for one in inputs) or len(tokens) + above >= LONGEST:
            raise BadInput("its steps are too many or do not follow from earlier ones")
        for one in inputs:
            append(one, above + 1)
        tokens.append(" ".join([function, *values]))

    append(len(steps) - 1, 0)
    return tuple(tokens)


def program(layout):
    """Return a layout as a program, steps as in scenes/programs.py: the inverse of `postfix`."""
    waiting, steps = [], []
    for token in layout:
        function, _, word = token.partition(" ")
        count = len(signature(token)[0])
        inputs = waiting[len(waiting) - count:]
        waiting[len(waiting) - count:] = [len(steps)]
        steps.append({"function": function, "inputs": inputs, "value_inputs": [word][:bool(word)]})
    return steps


def read_layouts(questions):
    """Return the layout of every question of a drawn split; raise `BadInput` if there is none."""
    path = questions.root / PROGRAMS.format(questions.split.removeprefix(LENT))
    if not path.exists():
        raise BadInput(f"{path} is not there, and a network of modules learns from the program of "
                       f"every question: {REMEDY}, or another --recipe")
    step = {"function": str, "inputs": [int], "value_inputs": [str]}
    found, known = read_json(path, REMEDY, {str: {"program": [step]}}), {}
    layouts = []
    for id in map(str, questions.ids.tolist()):
        try:
            layout = postfix([(one["function"], one["inputs"], one["value_inputs"])
                              for one in found[id]["program"]])
            if not is_answer(waiting(layout)):
                raise BadInput("it leaves no answer")
        except (BadInput, LookupError) as error:
            raise BadInput(f"{path} has no program of question {id} that modules could execute "
                           f"({error}): {REMEDY}") from None
        layouts.append(known.setdefault(layout, layout))
    return layouts


def after(stack, signature):
    """Return the types that wait after a step with this signature, None if it cannot follow."""
    takes, gives = signature
    kept = stack[:max(0, len(stack) - len(takes))]
    return None if stack[len(kept):] != takes or len(kept) == DEEPEST else (*kept, gives)


def waiting(layout):
    """Return the types of the values that a layout leaves, None if a step lacks what it takes."""
    stack = ()
    for token in layout:
        if stack is not None:
            stack = after(stack, signature(token))
    return stack


def is_answer(stack):
    """Return whether what waits is the one answer to a question."""
    return stack is not None and len(stack) == 1 and stack[0] != OBJECTS


class Grammar:
    """The tokens of some layouts as integers from 1 on, and which may follow which."""

    def __init__(self, tokens):
        self.tokens = ("", *tokens)             # the first is END
        self.signatures = (((), ""), *map(signature, tokens))
        self.ids = {token: number for number, token in enumerate(self.tokens)}
        self.steps_left, self.masks, self.places = {}, {}, {}
        if len(self.ids) < len(self.tokens) or self.least(()) == math.inf:
            raise BadInput("its layouts have no answer")

    def encode(self, layouts):
        """Return layouts (N, S) as integers; raise `BadInput` for a token that is not known."""
        unknown = {token for layout in layouts for token in layout} - self.ids.keys()
        if unknown:
            raise BadInput(f"its programs have the step {min(unknown)!r:.60}, which those of train "
                           "have not: give programs of the same kind")
        found = torch.full((len(layouts), max(map(len, layouts))), END)
        for row, layout in zip(found, layouts, strict=True):
            row[:len(layout)] = torch.tensor([self.ids[token] for token in layout])
        return found

    def decode(self, row):
        """Return the layout, a tuple of tokens, of integers (S,)."""
        return tuple(self.tokens[token] for token in row if token != END)

    def least(self, stack):
        """Return with how many steps more there can be an answer, infinity if never."""
        if stack not in self.steps_left:
            front, seen, steps = {stack}, {stack}, 0
            while front and not any(map(is_answer, front)):
                front = {after(one, other) for one in front for other in set(self.signatures[1:])}
                front -= {None, *seen}
                seen |= front
                steps += 1
            self.steps_left[stack] = steps if front else math.inf
        return self.steps_left[stack]

    def allowed(self, stack, left):
        """Return which tokens, (tokens,), may follow if an answer must be there in `left` steps."""
        if (stack, left) not in self.masks:
            rest = [after(stack, one) for one in self.signatures]
            self.masks[stack, left] = np.array([is_answer(stack), *(
                one is not None and self.least(one) < left for one in rest[1:])])
        return self.masks[stack, left]

    def inputs(self, layouts):
        """Return of every step of layouts (B, S) which two steps it takes the values of, (B, S, 2).

        A step that takes fewer has a number there that means nothing. END takes the answer.
        """
        return torch.tensor([self.inputs_of(tuple(row)) for row in layouts.tolist()])

    def inputs_of(self, row):
        """Return the two inputs of every step of one layout, a tuple of integers."""
        if row not in self.places:
            stack, found = [], []
            for step, token in enumerate(row):
                count = len(self.signatures[token][0]) if token != END else 1
                taken = stack[len(stack) - count:]
                found.append((taken + [0, 0])[:2])
                stack[len(stack) - count:] = [step]
            self.places[row] = found
        return self.places[row]
