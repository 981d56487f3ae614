"""EXTENDING.md keeps its word: its examples are short, and each works with everything else.

A section's Python blocks run one after the other in one namespace, its commands as their own
processes would: what a module added is forgotten in between.
"""

import importlib
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from captioning import evaluation
from captioning.checkpoint import load_captioner
from captioning.settings import RECIPES, CaptioningSettings
from decoders import registry as decoders
from encoders import backbones
from scenes import dataset as scenes
from scoring.metrics import METRICS
from system.files import BadInput
from tests.interface import check_decoder
from training import loop as training
from training.folders import read_history

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = (REPOSITORY / "docs" / "EXTENDING.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.S | re.M))
EXAMPLES = ("A decoder", "An encoder", "A dataset", "A metric")
WORDS, LINES = 920, 19
# the page's numbers of pictures and epochs are real ones
SMALL = {"epochs": 1, "embed_size": 16, "hidden_size": 16, "views": 1}
PICTURES = {"train": 24, "val": 6, "test": 6, "novel": 2}
REGISTRIES = (decoders.DECODERS, backbones.NETWORKS, METRICS)


def blocks_of(text):
    """The (language, code) of every block, in order."""
    return re.findall(r"```(python|bash)\n(.*?)```", text, re.S)


def file_of(code):
    """The file that a block says it is, or None."""
    name = re.match(r"# (\w+\.py)\n", code)
    return name and name[1]


FILES = {file_of(code): code for _, code in blocks_of(PAGE) if file_of(code)}


@contextmanager
def fresh():
    """As in a new process, no module of the page's is imported, and after it none was."""
    before = [dict(one) for one in REGISTRIES]
    try:
        yield
    finally:
        for name in FILES:
            sys.modules.pop(Path(name).stem, None)
        for registry, content in zip(REGISTRIES, before, strict=True):
            registry.clear()
            registry.update(content)


def run_line(line):
    """Run a command line, in this process."""
    python, script, *rest = shlex.split(line)
    assert python == "python", line
    with pytest.MonkeyPatch.context() as patch, fresh():
        if script == "-c":
            patch.setattr(sys, "argv", ["-c", *rest[1:]])
            exec(rest[0], {})
            return
        patch.setattr(sys, "argv", [script, *rest])
        if script in FILES:
            runpy.run_path(script, run_name="__main__")
        else:
            assert not importlib.import_module(Path(script).stem).main()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder that has what the page takes for given, and the files it has its reader write."""
    folder = tmp_path_factory.mktemp("extending")
    scenes.draw(folder / "data/scenes", PICTURES, progress=False)
    (folder / "photos").mkdir()
    lines = []
    for number in range(16):
        split = "val" if number < 3 else "test" if number < 6 else "train"
        Image.effect_noise((40, 40), 20 + number).save(folder / f"photos/{number}.png")
        lines.append(f'{split}\t{number}.png\ta "grey" picture, number {number}\n')
    (folder / "table.tsv").write_text("".join(lines), encoding="utf-8")
    for name, code in FILES.items():
        (folder / name).write_text(code, encoding="utf-8")
    return folder


@pytest.fixture
def here(folder, monkeypatch):
    """The same, as the current folder, with small recipes."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setitem(RECIPES, "small", SMALL)
    monkeypatch.setitem(METRICS, "METEOR",                              # Java takes ten seconds,
                        replace(METRICS["METEOR"], function=lambda *_: 0.0))
    monkeypatch.setattr(training, "save_curves", lambda *_: None)       # a figure half of one
    return folder


def run_section(name, capsys):
    """Run all blocks of a section; what they printed."""
    namespace = {"__name__": "page"}
    for language, code in blocks_of(SECTIONS[name]):
        if language == "bash":
            for line in code.splitlines():
                run_line(line)
        elif not file_of(code):
            exec(compile(code, f"EXTENDING.md, {name}", "exec"), namespace)
    return capsys.readouterr().out


def test_every_example_is_short_and_so_is_the_page():
    assert set(EXAMPLES) < set(SECTIONS) and len(FILES) == len(EXAMPLES)
    for _, code in blocks_of(PAGE):
        lines = [line for line in code.splitlines() if line.strip() and line.strip()[0] != "#"]
        assert len(lines) <= LINES, f"{len(lines)} lines: {code[:60]}"
        assert max(map(len, code.splitlines())) <= 150
    assert len(re.sub(r"```.*?```", "", PAGE, flags=re.S).split()) <= WORDS
    for name, link in re.findall(r"`(\w+\.py)`|\]\(([\w/.]+)\)", PAGE):
        assert (REPOSITORY / name if name else REPOSITORY / "docs" / link).exists(), (name, link)


def test_a_decoder_is_trained_searched_saved_and_loaded(here, capsys):
    with fresh():
        printed = run_section("A decoder", capsys)
        assert "CIDEr" in printed and "beam 5" in printed
        assert load_captioner("runs/gru").architecture["decoder"]["name"] == "gru"
    assert read_history("runs/gru") == read_history("runs/gru-0")
    with pytest.raises(BadInput, match="decoder must be one of"):
        CaptioningSettings("data/scenes", decoder="gru")
    with pytest.raises(BadInput, match="decoder is unknown .'gru'; if it is your own, import its"):
        load_captioner("runs/gru")
    # a new process that has our decoders/ with the one line more that the page says
    shutil.copytree(REPOSITORY / "decoders", here / "patched/decoders")
    with open(here / "patched/decoders/registry.py", "a", encoding="utf-8") as registry:
        registry.write("\nimport my_decoder\n")
    path = os.pathsep.join(map(str, (here / "patched", here, REPOSITORY)))
    done = subprocess.run(
        [sys.executable, "-c", "from captioning.checkpoint import load_captioner as load\n"
         "print(type(load('runs/gru').decoder).__name__)"],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True)
    assert done.stdout == "GRUDecoder\n"


def test_an_encoder_is_cached_frozen_tuned_saved_and_loaded(here, capsys):
    with fresh():
        run_section("An encoder", capsys)
        frozen, tuned = (load_captioner(f"runs/{name}").encoder.backbone.state_dict()
                         for name in ("frozen", "tuned"))
    moved = {int(key.split(".")[1]) for key in frozen if not frozen[key].equal(tuned[key])}
    assert moved and min(moved) >= 11
    with pytest.raises(BadInput, match="backbone is unknown .'mobilenet_v3_small'; if it is your"):
        load_captioner("runs/tuned")


def test_a_dataset_is_converted_checked_and_trained_on(here, capsys):
    printed = run_section("A dataset", capsys)
    assert "10 train, 3 val, 3 test" in printed
    assert read_history("runs/mine") and "test" in printed.split("split")[-1]


def test_a_metric_is_in_history_and_report_and_can_choose_the_epoch(here, capsys, monkeypatch):
    monkeypatch.setitem(SMALL, "epochs", 2)
    with fresh():
        run_section("A metric", capsys)
        history, kept = read_history("runs/colours"), load_captioner(
            "runs/colours").about["val"]
        assert [0 <= row["colours"] <= 1 for row in history] == [True, True]
        assert kept["colours"] == max(row["colours"] for row in history)
        said, truths = ["a red ball", "a blue and a red cat"], [["the red ball"], ["a blue cat"]]
        assert evaluation.score(said, truths)[0]["colours"] == 2 / 3
    assert "colours" not in evaluation.score(said, truths)[0]


def test_a_comparison_gives_an_interval_and_a_number_with_its_origin(here, capsys):
    with fresh():
        printed = run_section("A comparison", capsys)
    assert re.search(r"GRU over LSTM: [+-]\d+\.\d CIDEr \[[+-]\d+\.\d, [+-]\d+\.\d\]\n", printed)
    assert re.search(r"CIDEr \d+\.\d ± \d+\.\d over 3 seeds, val, 6 pictures, 30 references; "
                     r"beam 3, length penalty 0.7, at most 20 ids; PTB", printed)


@pytest.mark.parametrize(("right", "wrong"), [
    ("(self.read(words) + image)", "self.read(words)"),                 # forgets the picture
    ("captions[:, :-1]", "captions[:, 1:]"),                            # sees the next word
    (".repeat_interleave(captions_per_picture(features, captions), 0)",
     ".repeat(captions_per_picture(features, captions), 1)"),           # takes another's picture
    ("(memory.transpose(0, 1), image)", "(memory, image)"),             # rows are not first
    (".contiguous()", ".contiguous() * 0"),                             # forgets what it said
    ("class GRUDecoder(Decoder):", "class GRUDecoder(Decoder):\n    grid = True"),
])
def test_the_check_of_a_decoder_finds_a_fault(right, wrong):
    assert FILES["my_decoder.py"].count(right) == 1
    with fresh():
        namespace = {}
        exec(FILES["my_decoder.py"].replace(right, wrong), namespace)
        with pytest.raises((AssertionError, RuntimeError)):
            check_decoder(namespace["GRUDecoder"])
