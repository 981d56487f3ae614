"""The solved exercises pass their checks, and the students' fail them with a sentence.

    student's cell -> check fails -> solution pasted back -> check passes -> next exercise

in one run of each notebook, with small numbers, in a student folder that was just made.
Run from the repository's root: python -m tests.check_exercises
"""

import sys
import tempfile
import time
from pathlib import Path

import student
from exercises import read_exercises
from notebooks import (
    NAMES,
    SIZES,
    SMOKE,
    choose_event_loop,
    kernel,
    read_notebook,
    shrink,
)
from scenes import draw


def check_notebook(name, folder):
    """Run the student's notebook of `folder`, pasting back each solution; what is wrong."""
    solved, given = (read_notebook(root / f"{name}.ipynb") for root in (student.HERE, folder))
    exercises = {one.cell: one for one in read_exercises(solved, name)}
    checks = {one.check for one in exercises.values()}
    pasted = student.solved_version(given, solved, name)
    shrink(given)
    wrong = []
    with kernel(folder) as run:
        for place, cell in enumerate(given.cells):
            if place in exercises:
                again = pasted.cells[place].source
                found = check_exercise(run, cell.source, again, given.cells[exercises[place].check])
                print(f"  {exercises[place].number} {exercises[place].title}: "
                      f"{found or 'passes when solved, fails before'}", flush=True)
                wrong += [f"{exercises[place].number}: {found}"] if found else []
            elif cell.cell_type == "code" and place not in checks and (error := run(cell.source)):
                wrong.append(f"{name}, {cell.source[:40]!r}: {error}")
    return wrong


def check_exercise(run, cut, pasted, check):
    """What is wrong with an exercise, or None."""
    if error := run(cut):
        return f"the student's cell does not run as it is handed out: {error}"
    kind, message = run(check.source) or ("nothing", "the student's cell passes")
    if kind != "AssertionError":
        return f"the check of an unsolved cell should fail by an assert, not with {kind}: {message}"
    if len(message.split()) < 4:
        return f"the check of an unsolved cell should explain itself, and says {message!r}"
    print(f"      {message}")
    error = run(pasted) or run(check.source)
    return error and f"the solution does not pass: {error}"


def main():
    choose_event_loop()
    wrong = []
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "student"
        count = student.make(folder)
        draw(folder / SMOKE / "scenes", SIZES, progress=False)
        for name in NAMES:
            began = time.monotonic()
            print(name, flush=True)
            wrong += check_notebook(name, folder)
            print(f"  {time.monotonic() - began:.0f} s")
    print(*wrong, sep="\n")
    print(f"{count} exercises, {len(wrong)} faults")
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    sys.exit(main())
