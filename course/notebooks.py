"""Run the notebooks as a machine would: every cell in order, in a fresh kernel, outputs kept.

A cell that draws says in its metadata, under "alt", what is to be seen; the run writes that to the
pictures it made, where `jupyter nbconvert --template classic` and others read it.

A notebook is replaced only after it has run to its end. Checks run copies instead, with the small
numbers of `shrink`, cell by cell in a `kernel`.
"""

import argparse
import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from system.files import BadInput, run_command, whole_file

NAMES = ("0_Dataset", "1_Preliminaries", "2_Training", "3_Inference", "4_Attention")
LONGEST = 600                       # seconds for one cell
PICTURES = ("image/png", "image/jpeg")
SILENT = ["--IPKernelApp.log_level=CRITICAL"]       # of what a kernel says about itself
BAR = "application/vnd.jupyter.widget-view+json"


def execute(path):
    """Run one notebook in place."""
    notebook = nbformat.read(path, as_version=4)
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


@contextmanager
def kernel(folder, seconds=LONGEST, **variables):
    """A fresh kernel at work in `folder`: a function that runs one cell's source there.

    It returns the cell's error as (name, message), or None. The kernel outlives errors, and a cell
    that runs too long is stopped. nbclient's `DeadKernelError` says that the kernel is gone.
    """
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell()])
    late = {"ename": "TimeoutError", "evalue": f"it ran longer than {seconds} s", "traceback": []}
    client = NotebookClient(notebook, timeout=seconds, kernel_name="python3", allow_errors=True,
                            interrupt_on_timeout=True, error_on_timeout=late,
                            extra_arguments=SILENT,
                            resources={"metadata": {"path": str(folder)}})

    def run(source):
        replies = []
        client.on_cell_error = lambda execute_reply, **_: replies.append(execute_reply["content"])
        client.execute_cell(nbformat.v4.new_code_cell(source), 0)
        return (replies[0]["ename"], replies[0]["evalue"]) if replies else None

    with client.setup_kernel(env={**os.environ, "TQDM_DISABLE": "1", **variables}):
        yield run


def read_notebook(path):
    """A notebook's cells and all; raises `BadInput` if there is none."""
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except FileNotFoundError:
        raise BadInput(f"{path} is not there: put it back") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError,
            nbformat.ValidationError) as error:
        why = (str(error).splitlines() or ["it is empty"])[0][:80]
        raise BadInput(f"{path} cannot be read as a notebook ({why}): save it again in Jupyter, "
                       "or take a fresh copy") from None
    return notebook


def shrink(notebook, values):
    """Replace the values of the parameters cell by `values`, as far as they are among them."""
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            lines = [line.split("=")[0].strip() for line in cell.source.splitlines()]
            cell.source += "".join(f"\n{name} = {values[name]}" for name in lines if name in values)


def tidy(notebook):
    """Leave out what differs between machines, and what a page on the web cannot show."""
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python",
                                        "name": "python3"}, "language_info": {"name": "python"}}
    for cell in notebook.cells:
        if cell.cell_type == "code":        # a progress bar is a widget, alive only while it runs
            cell.outputs = [output for output in cell.outputs
                            if BAR not in output.get("data", {})]
            describe_pictures(cell)


def describe_pictures(cell):
    """Give every picture among a cell's outputs the cell's alt text, if it has one."""
    for output in cell.outputs:
        for kind in PICTURES:
            if kind in output.get("data", {}) and "alt" in cell.metadata:
                output.metadata.setdefault(kind, {})["alt"] = cell.metadata["alt"]


def choose_event_loop():
    """On Windows the kernels' sockets need the loop that is not the default there."""
    if sys.platform == "win32":
        import asyncio
        asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("notebooks", nargs="+", type=Path, help="in the order they are to run")
    options = parser.parse_args()
    os.environ["TQDM_DISABLE"] = "1"        # a kept bar is noise; a reader's own run shows it
    choose_event_loop()
    for path in options.notebooks:
        began = time.monotonic()
        execute(path)
        seconds, size = time.monotonic() - began, path.stat().st_size / 1000
        print(f"{path}: ran in {seconds:.0f} s, {size:.0f} kB")


if __name__ == "__main__":
    run_command(main)
