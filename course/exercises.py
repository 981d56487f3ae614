"""Find the exercises in a notebook, cut their solutions out and paste them back.

    markdown    ### Exercise 1.2 · Title, and the question
    code        tag "exercise": solutions between the lines # BEGIN SOLUTION and # END SOLUTION
    code        tag "check": the line # check 1.2, then asserts whose messages explain

Only the solved notebook is ever edited: `cut` gives a student's version of a cell, `paste` undoes
that, and `read_exercises` holds authors to the contract above.
"""

import re
from typing import NamedTuple

from course.handin import HEADING
from system.files import BadInput

ANY_HEADING = re.compile(r"^#+ *exercise\b", re.M | re.I)
MARK = re.compile(r"^[ \t]*# (BEGIN|END) SOLUTION[ \t]*$", re.M)
ANY_MARK = re.compile(r"(BEGIN|END)[ _-]*SOLUTION", re.I)       # one misspelt would leak a solution
SOLUTION = re.compile(r"^([ \t]*)# BEGIN SOLUTION.*?# END SOLUTION[ \t]*$", re.M | re.S)
TODO = "...     # TODO: your code here"
NEXT = {"heading": "exercise", "exercise": "check", "check": "heading"}


class Exercise(NamedTuple):
    """An exercise of a notebook: its number, its title and the places of its cells."""

    number: str                 # as in "1.2"
    title: str
    question: int               # the places of its cells in the notebook
    cell: int
    check: int


def cut(source):
    """Return a cell's source with the line TODO, to be replaced, instead of each solution."""
    return SOLUTION.sub(lambda found: found[1] + TODO, source)


def paste(source, solved):
    """Return a cut cell's source with the solutions of the solved one, in their order."""
    solutions = (found[0] for found in SOLUTION.finditer(solved))
    todo = re.compile(rf"^[ \t]*{re.escape(TODO)}$", re.M)
    return todo.sub(lambda _: next(solutions), source)


def read_exercises(notebook, name):
    """Return the exercises of a solved notebook; raises `BadInput` if one breaks the contract."""
    found, number, due, places = [], "none", "heading", []
    for place, cell in enumerate(notebook.cells):
        kind = kind_of(cell)
        refuse_marks(cell, kind, f"{name}, after the heading of exercise {number}")
        if kind not in NEXT:
            continue
        if kind != due:
            refuse_order(name, number, due, f"a {kind} stands")
        due, places = NEXT[kind], [*places, place]
        if kind == "heading":
            number, title = read_heading(cell, name, [exercise.number for exercise in found])
        elif kind == "check":
            refuse_number(cell, name, number)
            found.append(Exercise(number, title, *places))
            places = []
    if due != "heading":
        refuse_order(name, number, due, "the notebook ends")
    return found


def kind_of(cell):
    """Return the part of an exercise that a cell is: "heading", "exercise", "check" or another."""
    if cell.cell_type == "markdown":
        return "heading" if ANY_HEADING.search(cell.source) else "text"
    tags = cell.metadata.get("tags", [])
    return "check" if "check" in tags else "exercise" if "exercise" in tags else cell.cell_type


def read_heading(cell, name, taken):
    """Return the number and title in a heading; raises `BadInput` if they are not in order."""
    headings = HEADING.findall(cell.source)
    if len(headings) != len(ANY_HEADING.findall(cell.source)) or len(headings) != 1:
        line = next(line for line in cell.source.splitlines() if ANY_HEADING.match(line))
        raise BadInput(f"{name}, cell {line!r}: give each exercise a cell of its own with one "
                       "heading like '### Exercise 1.2 · Title'")
    number, title = headings[0]
    if number in taken or number.split(".")[0] != name[0]:
        raise BadInput(f"{name}, exercise {number}: another has this number or it does not begin "
                       f"with that of the notebook; write {name[0]}.{len(taken) + 1}")
    return number, title.strip()


def refuse_marks(cell, kind, where):
    """Raise `BadInput` unless solutions begin and end, and stand in exercises and nowhere else."""
    marks = [found[1] for found in MARK.finditer(cell.source)]
    pairs = ["BEGIN", "END"] * (len(marks) // 2)
    every = [found[1] for found in ANY_MARK.finditer(cell.source)]
    right = every == marks == pairs and bool(marks) == (kind == "exercise")
    if cell.cell_type == "code" and not right:
        raise BadInput(f"{where}: a cell tagged exercise needs solutions, each between a line "
                       "'# BEGIN SOLUTION' and a line '# END SOLUTION', and no other cell has any; "
                       f"put this one right, which begins {cell.source.strip()[:40]!r}")


def refuse_order(name, number, due, found):
    """Raise `BadInput`: a cell of another kind than is due was found."""
    raise BadInput(f"{name}, after the heading of exercise {number}: {found} where a {due} is due; "
                   "an exercise is a heading, then a cell tagged exercise, then one tagged check")


def refuse_number(cell, name, number):
    """Raise `BadInput` if a check does not begin with the number of its exercise."""
    if cell.source.splitlines()[:1] != [f"# check {number}"]:
        raise BadInput(f"{name}, exercise {number}: its check begins {cell.source[:20]!r}; let the "
                       f"first line be '# check {number}'")
