"""Write `student/`, a folder to zip and hand out: the notebooks as exercises, and what they need.

    solved notebooks --student_version--> notebooks without solutions
                     --needed--> the modules that they, captioning and handing in import, ...

The folder is generated: edit the solved notebooks and make it again.
"""

import argparse
import copy
import filecmp
import re
import shutil
import tempfile
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

from course.closure import closure
from course.exercises import cut, paste, read_exercises
from course.kernels import NAMES, read_notebook
from course.notebooks import tidy
from system.commands import run_command
from system.files import BadInput, whole_folder

HERE = Path(__file__).parents[1]
COMMANDS = ("caption", "course.handin")         # the modules that a student runs
# the results are those that notebooks 5 and 6 draw and print
BESIDE = ("requirements.txt", "LICENSE", "checkpoints/*", "results/questions/tips*-[0-9].json",
          "results/actions/*-[0-9].json", "results/paragraphs/*-[0-9].json")
PICTURE = re.compile(r"!\[[^]]*\]\((?P<place>[^)\s]+)\)")
PAGE = re.compile(r"(?<!!)\[(?P<text>[^]]+)\]\((?!\w+://)(?P<place>[^)#\s]+)[^)]*\)")
README = """# Image captioning: exercises

    python -m pip install -r requirements.txt
    jupyter lab 0_Dataset.ipynb

Go through the seven notebooks in order. 2, 4, 5 and 6 train for a minute or two each, the first
time a little longer, since every picture is encoded once. An exercise is a question, a cell in
which you replace each line `...     # TODO: your code here`, and a check that says what is wrong.

    python -m course.handin

runs all notebooks from top to bottom, says which exercises pass, and writes that to `handin.txt`.
Hand in this folder without `.venv`, `cache`, `data` and `runs`.

    python caption.py photo.jpg         # what a captioner trained on photographs says of yours

This folder holds what the notebooks need. Some cells name more, as `train.py`, `prepare.py` or a
page in `docs/`: that is in the whole project, from which this folder was made.
"""


def student_version(solved, name):
    """Return a solved notebook without its solutions and outputs; raises `BadInput` at a fault."""
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
    """Return a student version with the solutions pasted back."""
    notebook = copy.deepcopy(notebook)
    for exercise in read_exercises(solved, name):
        cell = notebook.cells[exercise.cell]
        cell.source = paste(cell.source, solved.cells[exercise.cell].source)
    return notebook


def make(folder, source=HERE):
    """Write the student folder from the course in `source`; return its number of exercises.

    Raises `BadInput` if a notebook breaks the contract, if a module is missing, or if the folder is
    there and differs: somebody may have worked in it.
    """
    folder = Path(folder)
    solved = {name: read_notebook(source / f"{name}.ipynb") for name in NAMES}
    notebooks = {name: student_version(notebook, name) for name, notebook in solved.items()}
    files = needed(solved, source)
    if not folder.exists():
        with whole_folder(folder) as beside:
            fill(beside, source, files, notebooks)
    else:
        with tempfile.TemporaryDirectory() as beside:
            fill(Path(beside), source, files, notebooks)
            if not same(folder, Path(beside)):
                raise BadInput(f"{folder} is not as it would be made, somebody may have worked in "
                               "it: move it elsewhere, and start again")
    return sum(len(read_exercises(notebook, name)) for name, notebook in solved.items())


def needed(solved, source):
    """Return the files of the course that must stand beside the `solved` notebooks {name: it}."""
    sources = {f"{name}.ipynb": python_of(notebook) for name, notebook in solved.items()}
    commands = {f"python -m {command}": f"import {command}" for command in COMMANDS}
    pictures = {source / link for notebook in solved.values() for link in links(PICTURE, notebook)}
    others = {path for pattern in BESIDE for path in source.glob(pattern)}
    modules = closure({**sources, **commands}, source)
    templates = {file for one in modules if (file := one.with_suffix(".html")).exists()}
    return sorted({*modules, *templates, *pictures, *others})


def python_of(notebook):
    """Return the code cells of a notebook as one Python source, IPython's commands translated."""
    transform = TransformerManager().transform_cell
    return "\n".join(transform(cell.source) for cell in notebook.cells if cell.cell_type == "code")


def links(pattern, notebook):
    """Return the files of the project that a notebook's text links: PICTURE or PAGE."""
    return {found["place"] for cell in notebook.cells if cell.cell_type == "markdown"
            for found in pattern.finditer(cell.source)}


def fill(folder, source, files, notebooks):
    """Copy `files` from `source`, and write the notebooks and a README."""
    for file in files:
        copied = folder / file.relative_to(source)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copied)
    for name, notebook in notebooks.items():
        unlink_pages(notebook)
        nbformat.write(notebook, folder / f"{name}.ipynb")
    (folder / "README.md").write_text(README, encoding="utf-8")


def unlink_pages(notebook):
    """Replace each link to a page by its text, except to a notebook: the page is left out."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = PAGE.sub(lambda found: found[0] if found["place"].endswith(".ipynb")
                                   else found["text"], cell.source)


def same(left, right):
    """Return whether two folders hold the same files, byte for byte."""
    names = [{path.relative_to(root) for path in root.rglob("*")} for root in (left, right)]
    return names[0] == names[1] and all(
        filecmp.cmp(left / name, right / name, shallow=False)
        for name in names[0] if (right / name).is_file())


def measure(folder):
    """Return the number of entries at the top of a folder, and of lines of Python in all of it."""
    return len(list(folder.iterdir())), sum(
        len(path.read_text("utf-8").splitlines()) for path in folder.rglob("*.py"))


def main():
    argparse.ArgumentParser(description=__doc__.split("\n\n")[0]).parse_args()
    folder = Path("student")
    count = make(folder)
    entries, lines = measure(folder)
    print(f"{folder}: {len(NAMES)} notebooks, {count} exercises; {entries} entries at the top, "
          f"{lines:,} lines of Python")


if __name__ == "__main__":
    run_command(main)
