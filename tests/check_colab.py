"""Run each notebook as on Colab: in an empty folder, where its first cell fetches the project.

    <temporary>/0_Dataset/0_Dataset.ipynb     all there is; google.colab is an empty package
                          image-captioning/   what the first cell clones, from a mirror beside it

The mirror has the working tree as its one commit. Nothing is installed: what the first cell asks
pip for must be there. With few epochs, on scenes drawn once; each notebook's runs are its own.

Run from the repository's root: python -m tests.check_colab
"""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from course.kernels import NAMES, choose_event_loop, kernel, read_notebook
from course.notebooks import shrink
from scenes.motion.dataset import draw as draw_clips
from scenes.questions.dataset import draw
from system.commands import run_command
from system.files import BadInput
from tests.check_exercises import CLIPS, PASSES, SIZES

ADDRESS = "https://github.com/YOUR-NAME/image-captioning"
ASSERT_INSTALLED = "assert _exit_code == 0, 'pip could not install what the first cell names'"
AUTHOR = ("-c", "user.name=check", "-c", "user.email=check@localhost", "-c", "commit.gpgsign=false")


def make_mirror(folder):
    """Make a repository whose one commit has the files git tracks here, as they are now."""
    names = subprocess.run(["git", "ls-files", "-z"], check=True, stdout=subprocess.PIPE).stdout
    for name in map(Path, filter(None, os.fsdecode(names).split("\0"))):
        if name.is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(name, folder / name)
    for command in (["init", "--quiet"], ["add", "--all", "--force"],
                    ["commit", "--quiet", "--no-verify", "-m", "Mirror the working tree"]):
        subprocess.run(["git", *AUTHOR, *command], cwd=folder, check=True)
    return folder


def make_colab(folder):
    """Make a package google.colab; `google` stays open to other packages of that name."""
    (folder / "google" / "colab").mkdir(parents=True)
    (folder / "google" / "colab" / "__init__.py").touch()
    return folder


def examine(name, folder, **variables):
    """Run one notebook in the empty `folder`; raises `BadInput` at the first cell that fails."""
    shutil.copyfile(f"{name}.ipynb", folder / f"{name}.ipynb")
    notebook = read_notebook(folder / f"{name}.ipynb")
    shrink(notebook, {"DATA": repr(str(folder.parent / "scenes")), "EPOCHS": "2",
                      "MOTION": repr(str(folder.parent / "motion"))})
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    if ADDRESS not in cells[0]:
        raise BadInput(f"{name}, first code cell: it does not fetch the project from {ADDRESS}")
    with kernel(folder, **variables) as run:
        for source in [cells[0], ASSERT_INSTALLED, PASSES, *cells[1:]]:      # %pip fails in silence
            error = run(source)
            if error:
                raise BadInput(f"{name} on Colab, the cell that begins {source.strip()[:60]!r} "
                               f"should run and gives {error[0]}: {error[1]}")
    if not (folder / "image-captioning" / "course" / "notebooks.py").exists():
        raise BadInput(f"{name} on Colab ran without fetching the project into image-captioning/")


def main():
    choose_event_loop()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        folder = Path(folder).resolve()
        draw(folder / "scenes", SIZES, progress=False)
        draw_clips(folder / "motion", CLIPS, progress=False)
        variables = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_VALUE_0": ADDRESS, "PIP_NO_INDEX": "1",
                     "GIT_CONFIG_KEY_0": f"url.{make_mirror(folder / 'mirror').as_uri()}.insteadOf",
                     "PYTHONPATH": str(make_colab(folder / "packages"))}
        for name in NAMES:
            began = time.monotonic()
            (folder / name).mkdir()
            examine(name, folder / name, **variables)
            print(f"{name}: runs by itself on Colab, {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    run_command(main)
