"""The house stands as it was drawn: who may import whom, and what lies where."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# A module imports what stands further left, or in its own room; words side by side are equals.
ORDER = """
system | vocabulary | scoring scenes coco training | encoders | detection
| data_loader model | decoders | captioning vqa video | concepts pseudo_captions calibration
| figures | page | prepare train evaluate caption answer app | experiments course | images | tests
"""
PLACES = {name: place for place, names in enumerate(ORDER.split("|")) for name in names.split()}
COMMANDS = {"prepare", "train", "evaluate", "caption", "answer", "app"}
COURSEWORK = {"vocabulary", "data_loader", "model"}
ROOMS = PLACES.keys() - COMMANDS - COURSEWORK - {"images", "tests"}


def modules():
    """Every Python file of the house as (its room or its own name, path)."""
    for path in sorted(ROOT.glob("*.py")):
        yield path.stem, path
    for room in sorted(PLACES.keys() - COMMANDS - COURSEWORK):
        for path in sorted((ROOT / room).rglob("*.py")):
            yield room, path


def imported(source):
    """The first names of all modules that a source imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (one.name.split(".")[0] for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0]


def wrong_imports(room, source):
    """The imports of a module in `room` that do not stand further left."""
    return {(room, name) for name in imported(source)
            if name in PLACES and name != room and PLACES[name] >= PLACES[room]}


def test_every_import_points_to_the_left():
    found = {(path.relative_to(ROOT).as_posix(), name) for room, path in modules()
             for _, name in wrong_imports(room, path.read_text(encoding="utf-8"))}
    assert found == set()


@pytest.mark.parametrize("room, source", [
    ("system", "import vocabulary"), ("training", "from captioning.task import Captioning"),
    ("scoring", "def late():\n    from coco.dataset import read_split"),
    ("decoders", "from captioning import checkpoint"), ("captioning", "import caption")])
def test_an_import_to_the_right_is_found(room, source):
    assert wrong_imports(room, source)


def test_at_the_root_stand_the_coursework_and_the_commands():
    assert {path.stem for path in ROOT.glob("*.py")} == COMMANDS | COURSEWORK


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_has_a_line_that_names_it_and_three_to_sixteen_files(room):
    files = [path for path in (ROOT / room).glob("*.py") if path.name != "__init__.py"]
    nested = [path for path in (ROOT / room).iterdir() if (path / "__init__.py").exists()]
    assert 3 <= len(files) + len(nested) <= 16
    for package in [ROOT / room, *nested]:
        tree = ast.parse((package / "__init__.py").read_text(encoding="utf-8"))
        assert ast.get_docstring(tree) and len(tree.body) == 1


def test_no_room_hides_a_package_of_the_standard_library():
    assert not PLACES.keys() & sys.stdlib_module_names


def test_make_clean_deletes_nothing_that_takes_hours_or_is_a_readers(tmp_path):
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").split("\nclean:\n")[1].split("\n\n")[0]
    words = recipe.replace("rm -rf", "").split()
    assert ".venv" in words and not {"data", "runs", "student", "cache", "*", "."} & set(words)
    if not shutil.which("make") or sys.platform == "win32":
        pytest.skip("no make here")
    shutil.copy(ROOT / "Makefile", tmp_path)
    kept = ["data/coco/1.jpg", "runs/x/best.safetensors", "student/0.ipynb", "cache/features/a.npy",
            "handin.txt", "coco/a.py"]
    for name in [*kept, ".venv/bin/python", "coco/__pycache__/a.pyc", ".pytest_cache/x"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
    found = filter(Path.is_file, tmp_path.rglob("*"))
    assert {path.relative_to(tmp_path).as_posix() for path in found} == {"Makefile", *kept}
