"""The README keeps its word: its commands run, its links lead somewhere, its numbers are files'.

Run from the repository's root: python tests/check_readme.py
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

README = Path("README.md").read_text(encoding="utf-8")
WORDS = (600, 1200)
# Commands with real numbers of pictures and epochs are run with small ones.
SMALLER = {"prepare.py": "--root cache/readme/scenes --train 60 --val 12 --test 12 --novel 12",
           "train.py": "--epochs 1 --embed-size 32 --hidden-size 32 --views 1",
           "evaluate.py": "--limit 8"}
# what a checkout does not have, or what does not end
ELSEWHERE = ("shared", "coco", "flickr8k", "mine", "photo.jpg", "questions", "app.py")


def commands():
    """The `python x.py` lines of the README's code blocks that need nothing but a checkout."""
    blocks = re.findall(r"```(?:bash|sh)\n(.*?)```", README, re.S)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("python ") and not any(
        word in line for word in ELSEWHERE) and "-m venv" not in line and "-m pip" not in line]


def run(line):
    """Run one command as a reader would, in folders of this check's own."""
    line = line.replace("data/scenes", "cache/readme/scenes").replace("runs/", "cache/readme/runs/")
    line = line.replace("results/", "cache/readme/results/")
    script = line.split()[1]
    full = [sys.executable, *shlex.split(line)[1:], *SMALLER.get(script, "").split()]
    print("$", *full[1:], flush=True)
    subprocess.run(full, check=True)


def check_links():
    for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)\s#]+)", README):
        assert Path(link).exists(), f"README.md links {link}, which is not there"


def check_numbers():
    """Every row of the results table has the scores of the file it names."""
    rows = re.findall(r"\|.*\[\S+\]\((results/[\w.-]+\.json)\).*\|", README)
    assert rows, "README.md has no results table"
    for line in README.splitlines():
        name = re.search(r"\((results/[\w.-]+\.json)\)", line)
        if name:
            report = json.loads(Path(name[1]).read_text(encoding="utf-8"))
            for metric in ("Bleu_4", "METEOR", "ROUGE_L", "CIDEr"):
                shown = f" {100 * report[metric]:.1f} "
                assert shown in line, f"README.md: {metric} of {name[1]} is {shown.strip()}"


if __name__ == "__main__":
    count = len(README.split())
    assert WORDS[0] <= count <= WORDS[1], f"README.md has {count} words, not {WORDS}"
    check_links()
    check_numbers()
    shutil.rmtree("cache/readme", ignore_errors=True)
    for command in commands():
        run(command)
    print("README.md keeps its word")
