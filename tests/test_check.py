"""Checks run side by side: what each wrote is shown whole, and one that fails is not lost."""

import signal
import subprocess
import sys
import time

import pytest

from tests import check

FAILS = "-c 'import sys; print(\"what is wrong\"); sys.exit(3)'"
MEETS = """
import pathlib, sys, time
mine, other = map(pathlib.Path, sys.argv[1:])
print("before", mine.name)
mine.touch()
while not other.exists():
    time.sleep(0.01)
print("after", mine.name)
"""
CLEANS_UP = """
import pathlib, sys, time
here = pathlib.Path(sys.argv[1])
try:
    (here / "begun").touch()
    time.sleep(60)
finally:
    (here / "cleaned").touch()
"""


def test_all_run_and_failures_are_shown_at_the_end(capfd):
    assert check.main(["-c 'print(1)'", FAILS, "-c 'print(2)'", "-c 'raise SystemExit(1)'"]) == 1
    lines = capfd.readouterr().out.splitlines()
    assert sum(": passed, " in line for line in lines) == 2
    first, wrong, _, count, *failed = lines[-6:]
    assert first.startswith("The first failure, of python -c ") and wrong == "what is wrong"
    assert count.startswith("4 checks") and count.endswith("2 failed")
    assert {FAILS, "-c 'raise SystemExit(1)'"} == {
        line.removeprefix("FAILED: python ") for line in failed}


def test_two_run_side_by_side_and_what_they_write_does_not_mix(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(check, "JOBS", 2)
    one, other = (tmp_path / "one").as_posix(), (tmp_path / "other").as_posix()
    assert check.main([f"-c '{MEETS}' {one} {other}", f"-c '{MEETS}' {other} {one}"]) == 0
    written = capfd.readouterr().out
    assert "before one\nafter one" in written and "before other\nafter other" in written


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no Ctrl-C to one process")
def test_ctrl_c_ends_all_and_lets_them_clean_up(tmp_path):
    runner = subprocess.Popen([sys.executable, "-m", "tests.check",
                               f"-c '{CLEANS_UP}' {tmp_path.as_posix()}"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (tmp_path / "begun").exists():
        time.sleep(0.01)
        assert runner.poll() is None
    runner.send_signal(signal.SIGINT)
    assert runner.wait(60) == 1 and (tmp_path / "cleaned").exists()
