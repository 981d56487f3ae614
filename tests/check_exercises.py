"""Check that each check refuses the unsolved exercise in a sentence and passes the solved one.

The notebooks run in order and with small numbers, each once in one kernel. At an exercise that runs
the student's version of the cell, then the check, then the solved cell, then the check again.

Run from the repository's root: python -m tests.check_exercises
"""

import shutil
import time
from pathlib import Path

from course.exercises import read_exercises
from course.kernels import NAMES, choose_event_loop, kernel, read_notebook
from course.notebooks import shrink
from course.student import solved_version, student_version
from scenes.motion.dataset import draw as draw_clips
from scenes.questions.dataset import draw
from system.commands import run_command
from system.files import BadInput

FOLDER = Path("cache/exercises")
SIZES = {"train": 96, "val": 24, "test": 24, "novel": 12}      # pictures to be drawn
CLIPS = {"train": 24, "val": 6, "test": 6, "novel": 2}
VALUES = {"EPOCHS": "2", "DATA": repr(f"{FOLDER}/scenes"), "RUN": repr(f"{FOLDER}/run"),
          "MOTION": repr(f"{FOLDER}/motion"),
          "POOLED": repr(f"{FOLDER}/run")}      # notebook 2's, whatever else is under runs/
PASSES = "\n".join(             # an epoch of few is one pass here
    f"from {room} import task\ntask.LEAST_STEPS = 1" for room in
    ("captioning", "vqa", "video.paragraphs"))
FEWEST = 4                                      # words of a message, fewer explain nothing


def examine(name, run):
    """Go through a notebook in a running kernel; raises `BadInput` at the first broken promise."""
    solved = read_notebook(Path(f"{name}.ipynb"))
    shrink(solved, VALUES)
    given = student_version(solved, name)
    pasted = solved_version(given, solved, name)
    found = {one.cell: one for one in read_exercises(solved, name)}
    for place, cell in enumerate(pasted.cells):
        if place in found:
            refuse(name, found[place], given.cells, run)
        if cell.cell_type == "code":
            succeed(name, place, cell, run)
    if not found:
        raise BadInput(f"{name} has no exercises: write three to seven")


def refuse(name, exercise, cells, run):
    """Run an exercise unsolved: all but its check must run, and the check must explain itself."""
    for place in range(exercise.cell, exercise.check):
        if cells[place].cell_type == "code":
            succeed(name, place, cells[place], run)
    kind, message = run(cells[exercise.check].source) or ("nothing", "it passed")
    if kind != "AssertionError" or len(message.split()) < FEWEST:
        raise BadInput(f"{name}, exercise {exercise.number}: of the cell as a student gets it the "
                       f"check should say in a sentence what is wrong, not {kind}: {message!r}")
    print(f"{exercise.number} {exercise.title}: {message.splitlines()[0]}", flush=True)


def succeed(name, place, cell, run):
    """Run a cell that must not fail."""
    error = run(cell.source)
    if error:
        raise BadInput(f"{name}, cell {place}, which begins {cell.source.strip()[:60]!r}, should "
                       f"run and gives {error[0]}: {error[1]}")


def main():
    choose_event_loop()
    shutil.rmtree(FOLDER, ignore_errors=True)
    draw(FOLDER / "scenes", SIZES, progress=False)
    draw_clips(FOLDER / "motion", CLIPS, progress=False)
    began = time.monotonic()
    for name in NAMES:
        with kernel(".") as run:
            run(PASSES)
            examine(name, run)
    print(f"every check refuses the unsolved exercise and passes the solved one, "
          f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    run_command(main)
