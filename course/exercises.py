"""Exercises in a notebook: where they stand, without their solutions and with them again.

    markdown    ### Exercise 1.2 · Title, and the question
    code        tag "exercise": solutions between the lines # BEGIN SOLUTION and # END SOLUTION
    code        tag "check": the line # check 1.2, then asserts whose messages explain

Only the solved notebook is ever edited: `cut` gives what a student gets of a cell, `paste` undoes
it. Authors are held to the contract by `read_exercises`; what students make of it, deleted cells
and lost tags included, is read by `section` and `is_check`.
"""

import re
from typing import NamedTuple

from system.files import BadInput

HEADING = re.compile(r"^### Exercise (\d+\.\d+) · (.+)$", re.M)
ANY_HEADING = re.compile(r"^#+ *exercise\b", re.M | re.I)
MARK = re.compile(r"^[ \t]*# (BEGIN|END) SOLUTION[ \t]*$", re.M)
ANY_MARK = re.compile(r"(BEGIN|END)[ _-]*SOLUTION", re.I)       # one misspelt would leak a solution
SOLUTION = re.compile(r"^([ \t]*)# BEGIN SOLUTION.*?# END SOLUTION[ \t]*$", re.M | re.S)
TODO = "...     # TODO: your code here"
NEXT = {"heading": "exercise", "exercise": "check", "check": "heading"}


class Exercise(NamedTuple):
    """An exercise of a notebook: its number, and which cells it is."""

    number: str                 # as in "1.2"
    title: str
    question: int               # the cells' places in the notebook
    cell: int
    check: int


def cut(source):
    """A cell's source with a line to replace instead of each solution."""
    return SOLUTION.sub(lambda found: found[1] + TODO, source)


def paste(source, solved):
    """A cut cell's source with the solutions of the solved one, in their order."""
    solutions = (found[0] for found in SOLUTION.finditer(solved))
    todo = re.compile(rf"^[ \t]*{re.escape(TODO)}$", re.M)
    return todo.sub(lambda _: next(solutions), source)


def read_exercises(notebook, name):
    """The exercises of a solved notebook; raises `BadInput` if one breaks the contract above."""
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
    """What a cell is to an exercise: "heading", "exercise", "check" or nothing of it."""
    if cell.cell_type == "markdown":
        return "heading" if ANY_HEADING.search(cell.source) else "text"
    tags = cell.metadata.get("tags", [])
    return "check" if "check" in tags else "exercise" if "exercise" in tags else cell.cell_type


def read_heading(cell, name, taken):
    """The number and title in a heading."""
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
    """Solutions stand in exercises alone, at least one, and each begins and ends."""
    marks = [found[1] for found in MARK.finditer(cell.source)]
    pairs = ["BEGIN", "END"] * (len(marks) // 2)
    wanted = marks if marks == pairs and bool(marks) == (kind == "exercise") else None
    if cell.cell_type == "code" and wanted != [
            found[1] for found in ANY_MARK.finditer(cell.source)]:
        raise BadInput(f"{where}: a cell tagged exercise needs solutions, each between a line "
                       "'# BEGIN SOLUTION' and a line '# END SOLUTION', and no other cell has any; "
                       f"put this one right, which begins {cell.source.strip()[:40]!r}")


def refuse_order(name, number, due, found):
    raise BadInput(f"{name}, after the heading of exercise {number}: {found} where a {due} is due; "
                   "an exercise is a heading, then a cell tagged exercise, then one tagged check")


def refuse_number(cell, name, number):
    if cell.source.splitlines()[:1] != [f"# check {number}"]:
        raise BadInput(f"{name}, exercise {number}: its check begins {cell.source[:20]!r}; let the "
                       f"first line be '# check {number}'")


def section(cell, before):
    """The (number, title) of the exercise a cell belongs to, `before` being the last cell's."""
    if cell.cell_type != "markdown":
        return before
    heading = HEADING.search(cell.source)
    return heading.groups() if heading else None if cell.source.startswith("#") else before


def is_check(cell):
    """Whether a cell is a check, by its tag or, where an editor dropped the tags, by its line."""
    return cell.cell_type == "code" and (
        "check" in cell.metadata.get("tags", []) or cell.source.startswith("# check "))
