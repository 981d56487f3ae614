"""The notebooks as exercises: `student/`, a folder to zip and hand out.

    solved notebooks --cut--> student/*.ipynb, beside the modules and what else they need there

It is generated; edit the solved notebooks and make it again.
"""

import argparse
import copy
import filecmp
import os
import shutil
from pathlib import Path

import nbformat

from course.exercises import cut, paste, read_exercises
from course.notebooks import NAMES, read_notebook, tidy
from system.files import BadInput, run_command, writing

HERE = Path(__file__).parents[1]
ROOMS = ("system", "scoring", "scenes", "coco", "training", "encoders", "decoders", "captioning",
         "figures", "course")
NEEDED = ("*.py", *(f"{room}/*.py" for room in ROOMS),
          "requirements.txt", "Makefile", "LICENSE", "checkpoints/*", "images/unrolled.png",
          "docs/*.md")
README = """# Image captioning: exercises

    python -m pip install -r requirements.txt
    jupyter lab 0_Dataset.ipynb

Go through the five notebooks in order. 2 and 4 train for a minute or two each, the first time a
little longer, since every picture is encoded once. An exercise is a question, a cell in
which you replace each line `...     # TODO: your code here`, and a check that says what is wrong.

    make handin         # or: python -m course.handin

runs all notebooks from top to bottom, says which exercises pass, and writes that to `handin.txt`.
Hand in this folder without `.venv`, `cache`, `data` and `runs`.
"""


def student_version(solved, name):
    """A solved notebook without its solutions and outputs; raises `BadInput` if it has faults."""
    notebook = copy.deepcopy(solved)
    for exercise in read_exercises(notebook, name):
        cell = notebook.cells[exercise.cell]
        cell.source = cut(cell.source)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    tidy(notebook)
    return notebook


def solved_version(notebook, solved, name):
    """A student version with the solutions pasted back."""
    notebook = copy.deepcopy(notebook)
    for exercise in read_exercises(solved, name):
        cell = notebook.cells[exercise.cell]
        cell.source = paste(cell.source, solved.cells[exercise.cell].source)
    return notebook


def make(folder, source=HERE):
    """Write the student folder; how many exercises it has.

    Raises `BadInput` if a notebook breaks the contract, or if the folder is there and differs:
    somebody may have worked in it.
    """
    folder = Path(folder)
    solved = {name: read_notebook(source / f"{name}.ipynb") for name in NAMES}
    notebooks = {name: student_version(notebook, name) for name, notebook in solved.items()}
    beside = folder.with_name(f"{folder.name}.part-{os.getpid()}")
    with writing(folder):
        try:
            fill(beside, source, notebooks)
            if not folder.exists():
                os.replace(beside, folder)
            elif not same(folder, beside):
                raise BadInput(f"{folder} is not as it would be made, somebody may have worked in "
                               "it: move it elsewhere or delete it, and start again")
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return sum(len(read_exercises(notebook, name)) for name, notebook in solved.items())


def fill(folder, source, notebooks):
    """Write the notebooks and a README, and copy what the notebooks need."""
    folder.mkdir(parents=True)
    for pattern in NEEDED:
        for path in sorted(source.glob(pattern)):
            if path.name != Path(__file__).name:    # there is nothing left to cut
                (folder / path.relative_to(source)).parent.mkdir(exist_ok=True)
                shutil.copyfile(path, folder / path.relative_to(source))
    for name, notebook in notebooks.items():
        nbformat.write(notebook, folder / f"{name}.ipynb")
    (folder / "README.md").write_text(README, encoding="utf-8")


def same(left, right):
    """Whether two folders hold the same files, byte for byte."""
    names = [{path.relative_to(root) for path in root.rglob("*")} for root in (left, right)]
    return names[0] == names[1] and all(
        filecmp.cmp(left / name, right / name, shallow=False)
        for name in names[0] if (right / name).is_file())


def main():
    argparse.ArgumentParser(description=__doc__.split("\n\n")[0]).parse_args()
    count = make("student")
    print(f"student: {len(NAMES)} notebooks, {count} exercises")


if __name__ == "__main__":
    run_command(main)
