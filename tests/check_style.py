"""Measure the notebooks' rhythm: short cells, as much prose as code, the same six parts each.

Run from the repository's root: python -m tests.check_style
"""

import re
from pathlib import Path
from statistics import median

from course.exercises import read_exercises
from course.kernels import NAMES, read_notebook
from system.commands import run_command
from system.files import BadInput

MEDIAN, LONGEST = 6, 25         # lines of a code cell
PROSE = (0.9, 1.9)              # prose cells per code cell
SIZE = 300                      # kB
EXERCISES = (3, 7)
PARTS = ("Setup", "Summary", "Exercises", "What comes next")
COLUMNS = ("code cells", "median", "longest", "prose", "exercises", "kB")


def measure(name, notebook):
    """Return the numbers of a notebook, in the order of COLUMNS."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    lines = [len(source.splitlines()) for source in code]
    return (len(code), median(lines), max(lines), (len(notebook.cells) - len(code)) / len(code),
            len(read_exercises(notebook, name)), Path(f"{name}.ipynb").stat().st_size / 1000)


def faults(notebook, code, middle, longest, prose, exercises, size):
    """Yield the faults of a notebook, a sentence each."""
    if middle > MEDIAN:
        yield f"half of its code cells have more than {MEDIAN} lines: split some"
    if longest > LONGEST:
        yield f"a code cell has {longest} lines, {LONGEST} are allowed: split it"
    if not PROSE[0] <= prose <= PROSE[1]:
        yield f"{prose:.2f} prose cells per code cell are not between {PROSE[0]} and {PROSE[1]}"
    if not EXERCISES[0] <= exercises <= EXERCISES[1]:
        yield f"it has {exercises} exercises: let it have {EXERCISES[0]} to {EXERCISES[1]}"
    if size >= SIZE:
        yield f"it has {size:.0f} kB, {SIZE} are too many: show fewer or smaller figures"
    yield from faults_of_outputs(notebook, code)
    yield from faults_of_parts(notebook.cells)


def faults_of_outputs(notebook, code):
    """Yield a fault unless all cells were run, in order and without an error."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in cells] != list(range(1, code + 1)):
        yield f"its cells are not counted 1 to {code}: run it by python -m course.notebooks"
    if any(output.output_type == "error" for cell in cells for output in cell.outputs):
        yield "an output is an error: repair the cell and run it again"


def faults_of_parts(cells):
    """Yield a fault for each of the six parts that is not there, or not in its order."""
    if not re.match(r"# \d · .+\n+\*\*.+\.\*\*", cells[0].source):
        yield "it does not begin with a title and, in bold, a sentence that says what one will know"
    if sum("parameters" in cell.metadata.get("tags", []) for cell in cells) != 1:
        yield "not exactly one cell is tagged parameters: keep all knobs in one"
    headings = [line for cell in cells if cell.cell_type == "markdown"
                for line in re.findall(r"^## (.+)", cell.source, re.M)]
    if [heading for heading in headings if heading in PARTS] != list(PARTS):
        yield f"its parts are not {', '.join(PARTS)}, once each and in this order"


def main():
    print(f"{'':18}" + "".join(f"{column:>12}" for column in COLUMNS))
    found = []
    for name in NAMES:
        notebook = read_notebook(Path(f"{name}.ipynb"))
        numbers = measure(name, notebook)
        print(f"{name:18}" + "".join(f"{number:12.3g}" for number in numbers))
        found += [f"{name}: {fault}" for fault in faults(notebook, *numbers)]
    if found:
        raise BadInput("\n       ".join(found))


if __name__ == "__main__":
    run_command(main)
