"""Run notebooks in place: every cell in order, in a fresh kernel, its outputs kept.

    notebook --execute--> the same with outputs      cells --kernel--> the error of each

A notebook is replaced only after it has run to its end. Checks run copies instead, with the small
numbers of `shrink`, cell by cell in a `kernel`. A cell that draws has in its metadata, under "alt",
the alt text of its pictures; `tidy` copies it to the outputs, where `jupyter nbconvert --template
classic` and others read it.
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
SILENT = ["--IPKernelApp.log_level=CRITICAL"]       # a kernel logs nothing about itself
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
def kernel(folder, **variables):
    """Start a fresh kernel in `folder` and give a function that runs a cell's source in it.

    `run(source, seconds)` returns the cell's error as (name, message), or None. The kernel outlives
    errors, and a cell that runs longer than `seconds` is stopped. Raises nbclient's
    `DeadKernelError` if the kernel ends. variables: of its environment, beside those of this one.
    """
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell()])
    client = NotebookClient(notebook, kernel_name="python3", allow_errors=True,
                            interrupt_on_timeout=True, extra_arguments=SILENT,
                            resources={"metadata": {"path": str(folder)}})

    def run(source, seconds=LONGEST):
        replies = []
        client.timeout, client.error_on_timeout = seconds, {
            "ename": "TimeoutError", "evalue": f"it ran longer than {seconds} s", "traceback": []}
        client.on_cell_error = lambda execute_reply, **_: replies.append(execute_reply["content"])
        client.execute_cell(nbformat.v4.new_code_cell(source), 0)
        return (replies[0]["ename"], replies[0]["evalue"]) if replies else None

    with client.setup_kernel(env={**os.environ, "TQDM_DISABLE": "1", **variables}):
        yield run


def read_notebook(path):
    """Return the notebook in a file; raises `BadInput` if there is none."""
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


def choose_event_loop():
    """Choose on Windows the event loop that the kernels' sockets need, not the default."""
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
