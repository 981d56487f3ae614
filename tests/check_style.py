"""The notebooks keep the measure: short cells, enough prose, six parts, small files.

Run from the repository's root: python -m tests.check_style
"""

import re
import sys
from pathlib import Path
from statistics import median

from notebooks import NAMES, read_notebook

LONGEST, MEDIAN = 25, 6         # lines of a code cell
PROSE = (0.6, 1.9)              # markdown cells per code cell
SIZE = 300                      # kB
PARTS = {"title": r"\A# \d · ", "setup": r"^## Setup$", "summary": r"^## Summary$",
         "exercises": r"^## Exercises$", "next": r"^(## What comes next$|\*\*Next:\*\* )"}


def measure(path):
    """What a notebook measures, and what it breaks, as two dicts by name."""
    cells = read_notebook(path).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    lines = [len(cell.source.splitlines()) for cell in code]
    found = {"cells": len(cells), "median": median(lines), "longest": max(lines),
             "prose": (len(cells) - len(code)) / len(code), "kB": path.stat().st_size / 1000}
    errors = sum(out.output_type == "error" for cell in code for out in cell.outputs)
    broken = {"median": found["median"] > MEDIAN, "longest": found["longest"] > LONGEST,
              "prose": not PROSE[0] <= found["prose"] <= PROSE[1], "kB": found["kB"] >= SIZE,
              "order": [cell.execution_count for cell in code] != list(range(1, len(code) + 1)),
              "error outputs": errors > 0, **missing_parts(cells)}
    return found, [name for name, is_broken in broken.items() if is_broken]


def missing_parts(cells):
    """{part: whether it is missing}; the title begins the notebook, parameters are one cell."""
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    missing = {part: not re.search(pattern, text, re.M) for part, pattern in PARTS.items()}
    tagged = sum("parameters" in cell.metadata.get("tags", []) for cell in cells)
    return {**missing, "one parameters cell": tagged != 1}


def main():
    print(f"{'':16} cells  median  longest  prose per code  kB")
    failed = False
    for name in NAMES:
        found, broken = measure(Path(f"{name}.ipynb"))
        failed = failed or bool(broken)
        print(f"{name:16} {found['cells']:5}  {found['median']:6.1f}  {found['longest']:7}  "
              f"{found['prose']:14.2f}  {found['kB']:3.0f}  {', '.join(broken) or 'well'}")
    print(f"at most                 {MEDIAN:6}  {LONGEST:7}  {PROSE[0]:8} to {PROSE[1]}  {SIZE}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
