"""Run a folder's notebooks from top to bottom and report which exercises pass.

    python -m course.handin                the notebooks here
    python -m course.handin ../anna        those that Anna handed in, with the modules in her folder

    notebook, our checks --plan--> steps --run_steps--> errors --judge--> {exercise: passed or why}

The checks are always those of the notebooks beside this room, found by the exercise's number. The
report is also written to `handin.txt` in the folder. Exit status 0: everything ran and passed.
"""

import argparse
import re
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbclient.exceptions import DeadKernelError
from tqdm import tqdm

from course.kernels import NAMES, choose_event_loop, kernel, read_notebook
from system.commands import run_command
from system.files import BadInput, whole_file
from system.outputs import output_file

HERE = Path(__file__).parents[1]
REPORT = "handin.txt"
ENDING = "notebooks ran to their end"       # of its last line
HEADING = re.compile(r"^### Exercise (\d+\.\d+) · (.+)$", re.M)


class Step(NamedTuple):
    """A cell to run."""

    source: str
    exercise: str | None        # the number of the exercise it belongs to
    check: bool                 # whether it is our check of that exercise
    place: int                  # its number among the code cells of the notebook handed in


class Outcome(NamedTuple):
    """The report on one notebook."""

    lines: list
    ended: bool                 # no cell outside the exercises failed
    passed: int


def section(cell, before):
    """Return the (number, title) of a cell's exercise or None; before: the previous cell's."""
    if cell.cell_type != "markdown":
        return before
    if heading := HEADING.search(cell.source):
        return heading.groups()
    return None if cell.source.startswith("#") else before      # another heading ends a section


def is_check(cell):
    """Return whether a cell is a check, by its tag or its first line."""
    return cell.cell_type == "code" and (       # some editors drop the tags
        "check" in cell.metadata.get("tags", []) or cell.source.startswith("# check "))


def read_checks(notebook):
    """Return {number: (title, source of the check)} of a notebook."""
    found, place = {}, None
    for cell in notebook.cells:
        place = section(cell, place)
        if place and is_check(cell):
            found.setdefault(place[0], (place[1], cell.source))
    return found


def plan(notebook, checks):
    """Return the steps through a notebook handed in, with our `checks` in place of its own."""
    steps, waiting, where, place = [], dict(checks), None, 0
    for cell in [*notebook.cells, nbformat.v4.new_markdown_cell("# The end")]:
        number, now = where and where[0], section(cell, where)
        # a check that was deleted runs where the exercise's section ends
        if number in waiting and (now != where or is_check(cell)):
            steps.append(Step(waiting.pop(number)[1], number, True, place))
        number, where = now and now[0], now
        if cell.cell_type == "code":
            place += 1
            if cell.source.strip() and not is_check(cell):
                steps.append(Step(cell.source, number if number in waiting else None, False, place))
    return steps


def run_steps(steps, folder, name):
    """Run steps in a fresh kernel while it lives; return [(step, its error as a line or None)]."""
    ran = []
    with kernel(folder) as run:
        for step in tqdm(steps, name, unit=" cells", leave=False, disable=None):
            try:
                error = run(step.source)
            except DeadKernelError:
                return [*ran, (step, "the kernel died here, and nothing after it was run")]
            ran.append((step, error and in_words(*error, step.check)))
    return ran


def in_words(kind, message, check=False):
    """Return an error as one line; of a check that failed, only its message."""
    # of a cell that does not compile, Jupyter names a file that nobody sees
    message = re.sub(r"\(\d+\.py, line (\d+)\)$", r"(line \1 of the cell)", message)
    message = textwrap.shorten(message, 300, placeholder=" ...")
    return message if check and kind == "AssertionError" and message else f"{kind}: {message}"


def judge(checks, steps, ran):
    """Return {number of an exercise: None if it passed, or why it did not}."""
    verdicts = {}
    for number in checks:
        mine = [(step, error) for step, error in ran if step.exercise == number]
        own = [error for step, error in mine if error and not step.check]
        checked = [error for step, error in mine if step.check]
        if not any(step.exercise == number and not step.check for step in steps):
            verdicts[number] = f"missing: no cell under a heading '### Exercise {number}'"
        elif checked == [None]:
            verdicts[number] = None
        else:
            # the first error explains those after it; a dead kernel leaves no error of its own
            verdicts[number] = f"not yet: {[*own, *checked, 'it was not reached'][0]}"
    return verdicts


def examine(name, checks, folder):
    """Run one notebook of `folder` and return its `Outcome`."""
    try:
        steps = plan(read_notebook(folder / f"{name}.ipynb"), checks)
    except BadInput as error:
        missing = [f"  {number} {title}: missing" for number, (title, _) in checks.items()]
        return Outcome([f"{name}: {error}", *missing], False, 0)
    ran = run_steps(steps, folder, name)
    verdicts = judge(checks, steps, ran)
    failed = [(step, error) for step, error in ran if error and not step.exercise]
    ended = not failed and len(ran) == len(steps)
    lines = [f"{name}: {'ran to its end' if ended else 'did not run to its end'}"]
    lines += [f"  code cell {step.place} ({first_line(step.source)}): {error}"
              for step, error in failed]
    lines += [f"  {number} {checks[number][0]}: {why or 'passed'}"
              for number, why in verdicts.items()]
    return Outcome(lines, ended, sum(why is None for why in verdicts.values()))


def first_line(source):
    """Return the first line of a cell, shortened."""
    return textwrap.shorten(source.strip().splitlines()[0], 60, placeholder=" ...")


def hand_in(folder, own=HERE):
    """Examine the notebooks of `folder` by the checks of `own`; return whether all passed."""
    folder = Path(folder)
    if not any((folder / f"{name}.ipynb").exists() for name in NAMES):
        raise BadInput(f"{folder} holds none of the notebooks ({', '.join(NAMES)}): name the "
                       "folder in which they are")
    report = output_file(folder / REPORT, "a report of this command", lambda path: (
        path.read_bytes().rstrip().endswith(ENDING.encode())))
    checks = {name: read_checks(read_notebook(own / f"{name}.ipynb")) for name in NAMES}
    outcomes = []
    for name in NAMES:
        outcomes.append(examine(name, checks[name], folder))
        print("\n".join(outcomes[-1].lines), flush=True)
    count, ended = sum(map(len, checks.values())), sum(one.ended for one in outcomes)
    passed = sum(one.passed for one in outcomes)
    total = f"{passed} of {count} exercises passed, {ended} of {len(NAMES)} {ENDING}"
    print(total)
    with whole_file(report) as beside:
        beside.write_text("\n".join([*(line for one in outcomes for line in one.lines), total, ""]),
                          encoding="utf-8")
    return passed == count and ended == len(NAMES)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", nargs="?", default=".", help="what was handed in (default: .)")
    options = parser.parse_args()
    choose_event_loop()
    if hand_in(options.folder):
        return 0
    print("Not all is done, so this command ends in status 1, which make calls an error.",
          file=sys.stderr)
    return 1


if __name__ == "__main__":
    run_command(main)
