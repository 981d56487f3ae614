"""Exercises: cut and pasted back, handed out and handed in."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from course import handin, student
from course.closure import OPTIONAL, closure, imported
from course.exercises import TODO, cut, paste, read_exercises
from course.kernels import NAMES, kernel, read_notebook
from system.files import BadInput

SOLVED = '''from double import twice
extra = None
def triple(number):
    """Three times the number."""
    # BEGIN SOLUTION
    two = twice(number)
    return two + number
    # END SOLUTION

# BEGIN SOLUTION
extra = triple(2)
# END SOLUTION'''
CUT = f'''from double import twice
extra = None
def triple(number):
    """Three times the number."""
    {TODO}

{TODO}'''
CHECK = """# check {}
assert triple(1) == 3, "triple(1) should be 3: add the number to its double"
assert extra == 6, "extra should be triple(2)"
print("passed")"""


def exercise(number, solved=SOLVED, check=CHECK):
    """Return the three cells of an exercise."""
    return [new_markdown_cell(f"### Exercise {number} · Triple\n\nHow much is three times two?"),
            new_code_cell(solved, metadata={"tags": ["exercise"]}),
            new_code_cell(check.format(number), metadata={"tags": ["check"]})]


def notebook(*cells):
    return new_notebook(cells=[*cells])


def source(text):
    return new_code_cell(text)


@pytest.fixture
def course(tmp_path, monkeypatch):
    """Return the folder of a course of one notebook with two exercises, a module and one unused."""
    monkeypatch.setattr(student, "NAMES", NAMES[:1])
    monkeypatch.setattr(student, "COMMANDS", ())
    monkeypatch.setattr(handin, "NAMES", NAMES[:1])
    folder = tmp_path / "course"
    folder.mkdir()
    (folder / "double.py").write_text("def twice(number):\n    return 2 * number\n")
    (folder / "other.py").write_text("nobody = 'imports this'\n")
    write(folder, source("start = 1"), *exercise("0.1"), *exercise("0.2"),
          new_markdown_cell("## After"), source("end = start + 1"))
    return folder


@pytest.fixture
def handed(course):
    """Return a copy of the course, as handed in with everything solved."""
    return Path(shutil.copytree(course, course.parent / "handed"))


def write(folder, *cells):
    nbformat.write(notebook(*cells), folder / f"{NAMES[0]}.ipynb")


def edit(folder, change):
    """Call `change` on the notebook's cells and write the notebook again."""
    cells = read_notebook(folder / f"{NAMES[0]}.ipynb").cells
    change(cells)
    write(folder, *cells)


def reported(folder, course, capsys):
    """Return whether all of a folder handed in passes, and the lines of the report."""
    well = handin.hand_in(folder, course)
    return well, capsys.readouterr().out.splitlines()


def test_a_student_gets_the_cell_without_the_solutions():
    assert cut(SOLVED) == CUT


def test_a_cut_cell_still_runs():
    state = {}
    exec(cut(SOLVED.replace("from double", "# from double")), state)
    assert state["triple"](2) is None and state["extra"] is None


def test_pasting_the_solutions_back_gives_the_solved_cell():
    assert paste(cut(SOLVED), SOLVED) == SOLVED
    assert paste(cut(SOLVED).replace("\n\n", "\n\nmine = 1\n"), SOLVED) == SOLVED.replace(
        "\n\n", "\n\nmine = 1\n")


def test_a_student_version_pasted_back_is_the_solved_notebook():
    solved = notebook(source("1"), *exercise("0.1"), *exercise("0.2"))
    given = student.student_version(solved, "0_Toy")
    again = student.solved_version(given, solved, "0_Toy")
    assert [cell.source for cell in again.cells] == [cell.source for cell in solved.cells]
    assert "two = " not in nbformat.writes(given)


def test_a_student_has_the_results_that_the_notebooks_read():
    root = student.HERE
    solved = {name: read_notebook(root / f"{name}.ipynb") for name in NAMES}
    files, code = student.needed(solved, root), "".join(map(student.python_of, solved.values()))
    for room, pattern in (("questions", "tips*-[0-9].json"), ("actions", "*-[0-9].json"),
                          ("paragraphs", "*-[0-9].json")):
        read = set((root / "results" / room).glob(pattern))
        assert pattern in code and read and read <= set(files)


def test_a_student_version_has_no_outputs():
    solved = notebook(source("6 * 7"), *exercise("0.1"))
    solved.cells[0].outputs = [nbformat.v4.new_output("stream", text="42")]
    solved.cells[0].execution_count = 1
    given = student.student_version(solved, "0_Toy")
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in given.cells)
    assert solved.cells[0].outputs, "the solved notebook is left as it was"


HEADING, CELL, CHECKED = exercise("0.1")
FAULTS = {
    "a begin without an end": [*exercise("0.1", SOLVED.replace("    # END SOLUTION", ""))],
    "an end without a begin": [*exercise("0.1", SOLVED.replace("    # BEGIN SOLUTION", ""))],
    "nested": [*exercise("0.1", SOLVED.replace("extra = triple(2)", "# BEGIN SOLUTION"))],
    "misspelt": [*exercise("0.1", SOLVED.replace("# BEGIN SOLUTION\nextra", "#begin solution\nx"))],
    "no solution": [*exercise("0.1", "extra = None")],
    "a solution elsewhere": [*exercise("0.1"), source("# BEGIN SOLUTION\n1\n# END SOLUTION")],
    "a solution in a check": [*exercise("0.1", check=f"# check 0.1\n{SOLVED}")],
    "no check": [HEADING, CELL],
    "no check before the next": [HEADING, CELL, *exercise("0.2")],
    "a check alone": [HEADING, CHECKED],
    "no heading": [CELL, CHECKED],
    "a heading alone": [HEADING],
    "no number": [new_markdown_cell("### Exercise · Triple"), CELL, CHECKED],
    "twice": [*exercise("0.1"), *exercise("0.1")],
    "the number of another notebook": [*exercise("1.1")],
    "a check of another number": [*exercise("0.1", check=CHECK.replace("{}", "0.2"))],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_malformed_exercise_is_refused_in_a_sentence(fault):
    with pytest.raises(BadInput, match="^0_Toy.* (exercise|cell)") as caught:
        read_exercises(notebook(source("1"), *FAULTS[fault]), "0_Toy")
    assert "\n" not in str(caught.value)


def test_a_student_folder_holds_all_it_needs_and_no_solution(course):
    assert student.make(course / "student", course) == 2
    given = course / "student"
    assert sorted(path.name for path in given.iterdir()) == [
        "0_Dataset.ipynb", "README.md", "double.py"]
    assert not any("SOLUTION" in path.read_text("utf-8") for path in given.iterdir())


def test_making_the_student_folder_again_changes_nothing(course):
    student.make(course / "student", course)
    student.make(course / "student", course)


@pytest.mark.parametrize("work", ("an edit", "a file"))
def test_a_student_folder_somebody_worked_in_is_left_alone(course, work):
    student.make(course / "student", course)
    path = course / "student" / ("double.py" if work == "an edit" else "notes.txt")
    path.write_text("my work")
    with pytest.raises(BadInput, match="student.*worked.*move it"):
        student.make(course / "student", course)
    assert path.read_text() == "my work"
    assert sorted(path.name for path in course.iterdir() if path.is_dir()) == ["student"]


def test_a_malformed_course_leaves_no_student_folder(course):
    edit(course, lambda cells: cells.pop(3))
    with pytest.raises(BadInput, match="0_Dataset.*0.1"):
        student.make(course / "student", course)
    assert not any(path.is_dir() for path in course.iterdir())


def test_the_solved_course_passes(course, capsys):
    well, lines = reported(course, course, capsys)
    assert well and lines == [
        "0_Dataset: ran to its end", "  0.1 Triple: passed", "  0.2 Triple: passed",
        "2 of 2 exercises passed, 1 of 1 notebooks ran to their end"]
    assert (course / "handin.txt").read_text("utf-8").splitlines() == lines


def test_the_student_course_runs_and_passes_nothing(course, capsys):
    student.make(course / "student", course)
    well, lines = reported(course / "student", course, capsys)
    why = "Triple: not yet: triple(1) should be 3: add the number to its double"
    assert not well and lines == [
        "0_Dataset: ran to its end", f"  0.1 {why}", f"  0.2 {why}",
        "0 of 2 exercises passed, 1 of 1 notebooks ran to their end"]


def test_what_went_wrong_is_said_of_each_exercise(course, handed, capsys):
    def wrong(cells):
        cells[2].source = "def triple(:"
        cells[5].source = SOLVED.replace("two + number", "two + missing")
        cells.append(source("1 / 0"))

    edit(handed, wrong)
    well, lines = reported(handed, course, capsys)
    assert not well and lines[0] == "0_Dataset: did not run to its end"
    assert lines[1] == "  code cell 7 (1 / 0): ZeroDivisionError: division by zero"
    assert "0.1 Triple: not yet: SyntaxError" in lines[2]
    assert lines[2].endswith("(line 1 of the cell)")
    assert "0.2 Triple: not yet: NameError: name 'missing' is not defined" in lines[3]
    assert lines[4] == "0 of 2 exercises passed, 0 of 1 notebooks ran to their end"


def test_a_missing_exercise_is_said_to_be_missing(course):
    checks = handin.read_checks(read_notebook(course / f"{NAMES[0]}.ipynb"))
    cells = exercise("0.1")
    for left in ([], cells[1:], [cells[0], cells[2]]):      # nothing, no heading, no cell
        steps = handin.plan(notebook(*left), checks)
        verdicts = handin.judge(checks, steps, [(step, None) for step in steps])
        assert all(why.startswith("missing") for why in verdicts.values())


def test_an_altered_or_deleted_check_changes_nothing(course, capsys):
    def cheat(cells):
        cells[2].source = cells[5].source = "pass"
        cells[3].source = "# check 0.1\nprint('passed')"
        cells[3].metadata["tags"] = ["check", "skip-execution"]
        del cells[6]

    student.make(course / "student", course)
    edit(course / "student", cheat)
    well, lines = reported(course / "student", course, capsys)
    assert not well and lines[-1].startswith("0 of 2 exercises passed")


def test_tags_lost_in_an_editor_change_nothing(course):
    content = read_notebook(course / f"{NAMES[0]}.ipynb")
    checks = handin.read_checks(content)
    before = handin.plan(content, checks)
    for cell in content.cells:
        cell.metadata.pop("tags", None)
    assert handin.plan(content, checks) == before and len(before) == 6


def test_the_student_s_own_module_is_used_and_none_of_their_files_changes(course, handed, capsys):
    (handed / "double.py").write_text("def twice(number):\n    return 5 * number\n")
    before = {path: path.read_bytes() for path in handed.iterdir()}
    _, lines = reported(handed, course, capsys)
    assert lines[-1].startswith("0 of 2 exercises passed")
    assert all(path.read_bytes() == content for path, content in before.items())


@pytest.mark.parametrize("text", (
    '{"cells": [', '{"nbformat": 4, "nbformat_minor": 5}', "\x00", ""))
def test_a_notebook_that_cannot_be_read_is_said_in_a_sentence(course, handed, capsys, text):
    (handed / f"{NAMES[0]}.ipynb").write_text(text)
    well, lines = reported(handed, course, capsys)
    assert not well and "cannot be read as a notebook" in lines[0]
    assert lines[1:3] == ["  0.1 Triple: missing", "  0.2 Triple: missing"] and len(lines) == 4


def test_a_folder_without_notebooks_is_refused(course, tmp_path):
    with pytest.raises(BadInput, match="none of the notebooks"):
        handin.hand_in(tmp_path, course)


def test_a_kernel_that_dies_is_said_and_the_rest_is_not_reached(course, handed, capsys):
    write(handed, source("import os; os._exit(1)"), *exercise("0.1"))
    _, lines = reported(handed, course, capsys)
    assert "the kernel died here" in lines[1] and lines[2].endswith("not yet: it was not reached")
    assert "0.2 Triple: missing" in lines[3] and lines[-1].startswith("0 of 2")


def test_a_cell_that_hangs_is_stopped_and_the_next_one_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONOPTIMIZE", "1")           # which a check must not notice
    with kernel(tmp_path) as run:
        assert run("a = 1") is None
        assert run("while True: pass", seconds=1) == ("TimeoutError", "it ran longer than 1 s")
        assert run("assert a == 2, 'a is one'") == ("AssertionError", "a is one")
        assert run("a") is None


def test_a_kernel_that_leaves_out_assert_checks_nothing(tmp_path):
    """As the -O of a kernel.json would have it."""
    with pytest.raises(BadInput, match="leaves out assert.* take -O out"), (
            kernel(tmp_path, PYTHONOPTIMIZE="2")):
        pass


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_does_not_begin_without_assert(name):
    first = next(cell for cell in read_notebook(Path(f"{name}.ipynb")).cells
                 if cell.cell_type == "code")
    source = TransformerManager().transform_cell(first.source)
    exec(compile(source, name, "exec", optimize=0), {})
    with pytest.raises(RuntimeError, match="checks need assert"):
        exec(compile(source, name, "exec", optimize=1), {})


def test_make_runs_python_with_assert():
    text = Path("Makefile").read_text("utf-8")
    assert re.search(r"^export PYTHONOPTIMIZE :=\s*(#|$)", text, re.M)


@pytest.mark.parametrize("well, status", ((True, 0), (False, 1)))
def test_the_exit_status_says_whether_all_passed(monkeypatch, well, status):
    monkeypatch.setattr(handin, "hand_in", lambda folder: well)
    monkeypatch.setattr("sys.argv", ["handin.py"])
    assert handin.main() == status


def asserts(text):
    """Return the assert statements of a check, at least one."""
    found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Assert)]
    assert found, f"this check asserts nothing: {text}"
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_has_three_to_seven_exercises_that_can_be_cut(name):
    solved = read_notebook(Path(f"{name}.ipynb"))
    found = read_exercises(solved, name)
    assert 3 <= len(found) <= 7
    given = student.student_version(solved, name)
    for one in found:
        asked = "\n".join(cell.source for cell in solved.cells[one.question:one.cell]
                          if cell.cell_type == "markdown")
        assert len(asked.split("\n", 1)[-1].split()) >= 5, f"{one.number} asks nothing"
        assert all(asserted.msg for asserted in asserts(solved.cells[one.check].source))
        compile(TransformerManager().transform_cell(given.cells[one.cell].source), name, "exec")
    again = student.solved_version(given, solved, name)
    assert [cell.source for cell in again.cells] == [cell.source for cell in solved.cells]


@pytest.mark.parametrize("name", NAMES)
def test_what_a_notebook_links_is_there(name):
    notebook = read_notebook(Path(f"{name}.ipynb"))
    pages = student.links(student.PAGE, notebook)
    assert pages and all(Path(place).is_file()
                         for place in pages | student.links(student.PICTURE, notebook))


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Return the folder that `make student` writes."""
    folder = tmp_path_factory.mktemp("handed out") / "student"
    checks = [cell for name in NAMES for cell in read_notebook(Path(f"{name}.ipynb")).cells
              if "check" in cell.metadata.get("tags", [])]
    assert student.make(folder) == len(checks) >= 3 * len(NAMES)
    return folder


def test_the_student_folder_is_small(given):
    entries, lines = student.measure(given)
    assert entries <= 30 and 4_000 < lines <= 21_500
    assert not {"prepare.py", "train.py", "tests", "experiments"} & {
        path.name for path in given.iterdir()}
    assert not list(given.rglob("student.py"))


def test_all_that_the_student_folder_imports_is_found_in_it(given):
    code = "\n".join([*map(student.python_of, map(read_notebook, given.glob("*.ipynb"))),
                      *(path.read_text("utf-8") for path in given.rglob("*.py"))])
    rooms = {path.name.removesuffix(".py") for path in given.iterdir()}
    names = {"course.handin"} | {name if name.split(".")[0] in rooms else name.split(".")[0]
                                 for name in imported(code, given)} - OPTIONAL
    finding = (f"import importlib.util, sys; sys.path[:0] = ['.']; names = {names}; "
               "print([name for name in names if not importlib.util.find_spec(name)]); "
               "import caption; print(caption.SHIPPED.is_file())")
    # -I: neither the folder that this was started from nor PYTHONPATH is searched
    ran = subprocess.run([sys.executable, "-I", "-c", finding], cwd=given, capture_output=True,
                         text=True)
    assert ran.stdout.splitlines() == ["[]", "True"], ran.stderr


def test_the_student_s_notebooks_link_what_is_there(given):
    for notebook in map(read_notebook, given.glob("*.ipynb")):
        links = student.links(student.PAGE, notebook) | student.links(student.PICTURE, notebook)
        assert links and all((given / link).is_file() for link in links)


@pytest.fixture
def house(tmp_path):
    """Return a folder of modules that import each other in the ways that count."""
    for name, text in {
            "first.py": "import json\nimport room.late as late\n",
            "room/__init__.py": '"""A room."""',
            "room/late.py": "def some_day():\n    from room import inner\n",
            "room/inner.py": "import torch\nfrom first import late\n",
            "room/unused.py": "import first\n"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_closure_holds_imports_of_imports_and_packages_and_no_more(house):
    found = closure({"a page": "from first import late"}, house)
    assert [path.relative_to(house).as_posix() for path in found] == [
        "first.py", "room/__init__.py", "room/inner.py", "room/late.py"]


@pytest.mark.parametrize("source, missing", [
    ("import room.gone", "room/gone.py"), ("from room import gone", "room/gone.py"),
    ("from room.gone import name", "room/gone.py"), ("import gone_away", "gone_away.py")])
def test_an_import_that_is_found_nowhere_is_said_in_a_sentence(house, source, missing):
    with pytest.raises(BadInput, match=f"^a page imports .*there is no {missing} "):
        closure({"a page": source}, house)
    (house / "first.py").write_text(source)
    with pytest.raises(BadInput, match=f"^first.py imports .*there is no {missing} "):
        closure({"a page": "import first"}, house)
