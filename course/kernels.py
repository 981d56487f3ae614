"""Read a notebook and run its cells one by one in a fresh kernel."""

import os
import sys
from contextlib import contextmanager

import nbformat
from nbclient import NotebookClient

from system.files import BadInput

NAMES = ("0_Dataset", "1_Preliminaries", "2_Training", "3_Inference", "4_Attention",
         "5_Questions", "6_Video")
LONGEST = 600                       # seconds for one cell
SILENT = ["--IPKernelApp.log_level=CRITICAL"]       # a kernel logs nothing about itself


@contextmanager
def kernel(folder, **variables):
    """Start a fresh kernel in `folder` and give `run(source, seconds)`, which runs a cell in it.

    It returns the cell's error as (name, message), or None; a cell that runs longer is stopped.
    Raises `BadInput` if the kernel leaves out assert, by which every exercise is checked.
    Raises nbclient's `DeadKernelError` if the kernel ends.  variables: of its environment.
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

    with client.setup_kernel(env={**os.environ, "TQDM_DISABLE": "1", "PYTHONOPTIMIZE": "",
                                  **variables}):
        if not run("assert False"):
            raise BadInput("the kernel python3 runs Python with -O, which leaves out assert, and "
                           "so all checks would pass: take -O out of its kernel.json "
                           "('jupyter kernelspec list' says where)")
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


def choose_event_loop():
    """Choose on Windows the event loop that the kernels' sockets need, not the default."""
    if sys.platform == "win32":
        import asyncio
        asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
