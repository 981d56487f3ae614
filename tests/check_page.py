"""Run the tests of app.py's page in an environment of their own, beside the one in use.

    this environment --.pth--> cache/page-venv + gradio --> tests/test_page.py

Gradio wants an older Pillow than all else here; so it is installed where only these tests see it.

Run from the repository's root: python -m tests.check_page
"""

import subprocess
import sys
import sysconfig
import time
import venv
from pathlib import Path

from system.commands import run_command

PLACE = Path("cache/page-venv")


def environment():
    """Return the Python of an environment with gradio that sees the packages of this one, too."""
    begun = time.monotonic()
    python = PLACE / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.exists():
        venv.create(PLACE, with_pip=True)
    where = subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
                           check=True, capture_output=True, text=True).stdout.strip()
    Path(where, "beside.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", "requirements-app.txt"],
                   check=True)
    print(f"gradio is installed after {time.monotonic() - begun:.0f} s", flush=True)
    return python


def main():
    return subprocess.run([environment(), "-m", "pytest", "-q", "tests/test_page.py"]).returncode


if __name__ == "__main__":
    run_command(main)
