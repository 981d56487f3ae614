"""Each notebook alone, in an empty folder on a machine that looks like Colab, runs to its end.

Its first cell clones the repository, here from a mirror of the working tree, and installs what is
already there. Numbers are small. Run from the repository's root: python -m tests.check_colab
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from notebooks import NAMES, SIZES, choose_event_loop, kernel, read_notebook, shrink
from scenes import draw

REPOSITORY = re.compile(r'^ *REPOSITORY = "([^"]+)"', re.M)
GIT = ("git", "-c", "user.name=check", "-c", "user.email=check@localhost", "-c", "gc.auto=0",
       "-c", "core.compression=0", "-c", "commit.gpgsign=false")


def mirror(folder):
    """A repository of one commit: the tracked files as they are in the working tree now."""
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if Path(name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(name, folder / name)
    for line in (["init", "--quiet"], ["add", "--all", "--force"],
                 ["commit", "--quiet", "--no-verify", "--message", "As it is now"]):
        subprocess.run([*GIT, *line], cwd=folder, check=True)


def like_colab(folder):
    """Environment variables that make a kernel believe that it is there, without a network."""
    package = folder / "packages" / "google" / "colab"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package.parent / "__init__.py").write_text(      # other parts of google stay where they are
        "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n")
    return {"PYTHONPATH": str(folder / "packages"), "PIP_NO_INDEX": "1", "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{(folder / 'mirror').as_uri()}.insteadOf"}


def run_alone(name, folder, variables, values):
    """Run one notebook in `folder`, which is empty; the cell that failed and its error, or None."""
    notebook = read_notebook(Path(f"{name}.ipynb"))
    shrink(notebook, values)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    address = REPOSITORY.search(code[0])
    assert address, f"{name}: the first code cell names no REPOSITORY"
    folder.mkdir()
    with kernel(folder, **variables, GIT_CONFIG_VALUE_0=address[1]) as run:
        for place, source in enumerate(code, 1):
            if error := run(source):
                return f"code cell {place}, {source[:60]!r}: {': '.join(error)}"
    cloned = (folder / "captioning" / "model.py").exists()
    return None if cloned else "the first cell cloned no repository"


def main():
    choose_event_loop()
    failed, start = False, time.monotonic()
    with tempfile.TemporaryDirectory() as root:
        root = Path(root).resolve()
        (root / "mirror").mkdir()
        mirror(root / "mirror")
        draw(root / "scenes", SIZES, progress=False)
        variables = {**like_colab(root), "CAPTION_CACHE": str(root / "cache")}
        values = {"DATA": repr(str(root / "scenes")), "EPOCHS": "2"}
        for name in NAMES:
            began = time.monotonic()
            wrong = run_alone(name, root / name, variables, values)
            failed = failed or bool(wrong)
            print(f"{name} alone, as on Colab: {wrong or 'ran to its end'}, "
                  f"{time.monotonic() - began:.0f} s", flush=True)
    print(f"took {time.monotonic() - start:.0f} s")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
