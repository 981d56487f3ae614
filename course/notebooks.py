"""Run notebooks in place: every cell in order, in a fresh kernel, its outputs kept.

    notebook --execute--> the same with outputs

A notebook is replaced only after it has run to its end. Checks run copies instead, with the small
numbers of `shrink`. A cell that draws has in its metadata, under "alt", the alt text of its
pictures; `tidy` copies it to the outputs, where `jupyter nbconvert --template classic` reads it.
"""

import argparse
import os
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from course.kernels import LONGEST, SILENT, choose_event_loop, read_notebook
from system.commands import run_command
from system.files import BadInput, whole_file

PICTURES = ("image/png", "image/jpeg")
BAR = "application/vnd.jupyter.widget-view+json"


def execute(path):
    """Run one notebook in place."""
    notebook = read_notebook(path)
    client = NotebookClient(notebook, timeout=LONGEST, kernel_name="python3", record_timing=False,
                            extra_arguments=SILENT,
                            resources={"metadata": {"path": str(path.parent)}})
    try:
        client.execute()
    except CellExecutionError as error:
        raise BadInput(f"{path} stopped: {error}") from None
    tidy(notebook)
    with whole_file(path) as beside:
        nbformat.write(notebook, beside)


def shrink(notebook, values):
    """Replace in the parameters cell the values of those names that `values` holds."""
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            lines = [line.split("=")[0].strip() for line in cell.source.splitlines()]
            cell.source += "".join(f"\n{name} = {values[name]}" for name in lines if name in values)


def tidy(notebook):
    """Remove the metadata that differ between machines, and outputs that no web page can show."""
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python",
                                        "name": "python3"}, "language_info": {"name": "python"}}
    for cell in notebook.cells:
        if cell.cell_type == "code":        # a progress bar is a widget, alive only while it runs
            cell.outputs = [output for output in cell.outputs
                            if BAR not in output.get("data", {})]
            describe_pictures(cell)


def describe_pictures(cell):
    """Copy the cell's alt text, if it has one, to every picture among its outputs."""
    for output in cell.outputs:
        for kind in PICTURES:
            if kind in output.get("data", {}) and "alt" in cell.metadata:
                output.metadata.setdefault(kind, {})["alt"] = cell.metadata["alt"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("notebooks", nargs="+", type=Path, help="in the order they are to run")
    options = parser.parse_args()
    os.environ["TQDM_DISABLE"] = "1"        # a kept bar is noise; a reader's own run shows it
    os.environ["PYTHONOPTIMIZE"] = ""       # a claim on the page is an assert, which 1 drops
    choose_event_loop()
    for path in options.notebooks:
        began = time.monotonic()
        execute(path)
        seconds, size = time.monotonic() - began, path.stat().st_size / 1000
        print(f"{path}: ran in {seconds:.0f} s, {size:.0f} kB")


if __name__ == "__main__":
    run_command(main)
