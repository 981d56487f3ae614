"""Thirty random command lines in a folder full of someone's files; tests.command_lines has more."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from scoring.metrics import METRICS
from tests import command_lines
from tests.command_lines import COMMANDS, fault_of, run_line, try_lines


def test_no_line_ends_in_a_traceback_or_changes_a_file(tmp_path, no_curves, monkeypatch):
    monkeypatch.setitem(METRICS, "METEOR", replace(METRICS["METEOR"], function=lambda *_: 0.25))
    tried = list(try_lines(tmp_path, 30))
    assert [(line, fault, said[-2000:]) for line, _, said, fault in tried if fault] == []
    statuses = [status for _, status, _, _ in tried]
    assert len(tried) == 30 and 0 in statuses and 2 in statuses


@pytest.mark.parametrize(("work", "fault"), [
    (lambda: Path("notes.txt").write_text("mine no more"), "changed or gone"),
    (lambda: Path("photos/1.jpg").unlink(), "changed or gone"),
    (lambda: 1 / 0, "a traceback"),
    (lambda: sys.exit(1), "a failure without a sentence"),
])
def test_a_fault_is_found(tmp_path, no_curves, monkeypatch, work, fault):
    monkeypatch.setattr(command_lines, "options_of", lambda main, words: [])
    monkeypatch.setattr(command_lines, "COMMANDS", {"x.py": (work, [])})
    [(_, _, _, found)] = try_lines(tmp_path, 1)
    assert found.startswith(fault)


def test_a_line_that_takes_too_long_is_stopped(monkeypatch):
    monkeypatch.setitem(COMMANDS, "x.py", (lambda: [None for _ in iter(int, 1)], []))
    status, said = run_line("x.py", [], patience=0.2)
    assert status == 130 and fault_of(status, said) is None
