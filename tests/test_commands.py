"""Commands as people start them: into files, in notebooks, without a console, under torchrun."""

import errno
import io
import json
import os
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from nltk.downloader import Downloader

import answer
import caption
import evaluate
import prepare
import train
from captioning.photos import Described
from captioning.settings import CaptioningSettings
from experiments import ladder, truth
from system import commands, distributed, torchrun
from system.commands import command_line, ensure_home, run_command
from system.files import BadInput, write_json
from training.status import status
from vocabulary import tokenize

LETTERS = "\u72d7 caf\u00e9 \N{CAT}\udcff"


class Screen(io.TextIOWrapper):
    """A console."""

    def isatty(self):
        return True


class Notebook:
    """What Jupyter, Spyder and IDLE have for stdout: it takes text, and is no file."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text
        return len(text)

    def flush(self):
        pass


def ends(main, **options):
    """Run something as a command and return its exit status."""
    with pytest.raises(SystemExit) as end:
        run_command(main, **options)
    return end.value.code


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-16", "utf-8"])
def test_files_and_pipes_are_written_in_utf_8(monkeypatch, encoding):
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding) for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    found = Described("photos/" + LETTERS, [LETTERS])
    assert not ends(lambda: caption.report([found], 1, True, None))
    line = json.loads(streams["stdout"].buffer.getvalue().decode("utf-8"))
    assert line == {"file": "photos/\u72d7 caf\u00e9 \N{CAT}?", "captions": [
        "\u72d7 caf\u00e9 \N{CAT}?"]}

    def refuse():
        raise BadInput(LETTERS)

    assert ends(refuse) == 2
    streams["stderr"].flush()
    assert "error: \u72d7 caf\u00e9 \N{CAT}?" in streams["stderr"].buffer.getvalue().decode("utf-8")


def test_a_screen_keeps_its_encoding_and_shows_what_it_can(monkeypatch):
    screen = Screen(io.BytesIO(), "cp1252")
    monkeypatch.setattr(sys, "stdout", screen)
    assert not ends(lambda: print(LETTERS, end=""))
    assert screen.buffer.getvalue() == b"? caf\xe9 ??"


def test_a_notebook_s_stdout_serves_every_command(monkeypatch):
    out, err = Notebook(), Notebook()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    found = [Described("a.jpg", [LETTERS]), Described("b.jpg", [], "b.jpg is empty")]
    assert ends(lambda: int(caption.report(found, 2, False, None) > 0)) == 1
    assert out.text == f"a.jpg\t{LETTERS}\n" and "error: b.jpg is empty" in err.text
    monkeypatch.setattr(sys, "argv", ["caption.py", "x", "--references", "y"])
    assert ends(caption.main, shared=True) == 2 and "add --gallery" in err.text
    monkeypatch.setattr(sys, "argv", ["evaluate.py", "--help"])
    assert ends(evaluate.main) == 0 and "usage: evaluate.py" in out.text


def test_without_a_console_nothing_is_said_and_all_is_done(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    found = [Described("a.jpg", ["a dog"]), Described("b.jpg", [], "b.jpg is empty")]
    assert not ends(lambda: caption.report(found, 2, False, None) - 1)


@pytest.mark.parametrize("stdout", [Notebook, lambda: None, lambda: io.TextIOWrapper(io.BytesIO())])
def test_a_reader_that_has_ended_ends_the_command(monkeypatch, stdout):
    def main():
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(sys, "stdout", stdout())
    assert ends(main) == 1


COMMANDS = {"train.py": (train.main, ["--data", "d", "--run", "r"]),
            "evaluate.py": (evaluate.main, ["r", "--data", "d"]),
            "caption.py": (caption.main, ["a.jpg"]),
            "answer.py": (answer.main, ["a.jpg", "why?", "--checkpoint", "r"]),
            "ladder": (ladder.main, ["--data", "d"]), "truth": (truth.main, ["--data", "d"])}


@pytest.mark.parametrize("device", ["gpu", "cuda:7", "CUDA", "", "cpu:1", "meta", "xla", "cuda:x"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_device_that_is_not_there_is_refused_first(monkeypatch, tmp_path, capsys, command,
                                                     device):
    main, options = COMMANDS[command]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [command, *options, "--device", device])
    assert ends(main) == 2 and not list(tmp_path.iterdir())
    error = capsys.readouterr().err
    assert error.startswith(f"error: device '{device}' cannot be used (")
    assert error.count("\n") == 1 and "give cpu" in error


@pytest.fixture
def process(monkeypatch, tmp_path):
    """Be a process of torchrun: a function of its rank, which returns the list of its waits."""
    waits = []

    def be(rank, world_size=2):
        for name, value in {"TORCHELASTIC_RUN_ID": "1", "RANK": rank, "WORLD_SIZE": world_size,
                            "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": world_size,
                            "TORCHELASTIC_ERROR_FILE": tmp_path / "error.json"}.items():
            monkeypatch.setenv(name, str(value))
        return waits

    monkeypatch.setattr(torchrun.time, "sleep", waits.append)
    return be


def test_the_first_process_says_what_all_have_met(process, tmp_path, capsys):
    def main():
        print("reading")
        raise BadInput("there is no data: make some")

    waits = process(0)
    assert ends(main, shared=True) == 2 and waits == []
    assert capsys.readouterr() == ("reading\n", "error: there is no data: make some\n")
    message = json.loads((tmp_path / "error.json").read_text("utf-8"))["message"]
    assert message["extraInfo"]["py_callstack"] == "there is no data: make some"
    process(1)          # torchrun ends it while it waits, unless it alone has met the error
    assert ends(main, shared=True) == 2 and waits == [torchrun.TURN]
    assert capsys.readouterr() == ("", "error: there is no data: make some\n")


@pytest.mark.parametrize(("rank", "waits"), [(0, []), (1, [torchrun.TURN])])
def test_a_wrong_option_is_explained_once(process, monkeypatch, capsys, rank, waits):
    process(rank)
    monkeypatch.setattr(sys, "argv", ["train.py", "--bogus"])
    assert ends(train.main, shared=True) == 2 and process(rank) == waits
    assert ("usage:" in capsys.readouterr().err) == (rank == 0)
    monkeypatch.setattr(sys, "argv", ["train.py", "--help"])
    assert not ends(train.main, shared=True) and process(rank) == waits


@pytest.mark.parametrize("rank", [0, 1])
def test_what_follows_from_another_process_s_end_waits_longest(process, rank):
    def main():
        raise RuntimeError("Connection closed by peer")

    with pytest.raises(RuntimeError, match="closed by peer"):
        process(rank)
        run_command(main, shared=True)
    assert process(rank) == [2 * torchrun.TURN]


def test_a_command_that_shares_no_work_is_done_once(process, capsys):
    done = []
    for rank in (0, 1, 2):
        process(rank, 3)
        assert not ends(lambda rank=rank: done.append(rank))
    assert done == [0] and "works in one process" in capsys.readouterr().err
    process(0, 1)
    assert not ends(lambda: None) and capsys.readouterr().err == ""


def test_more_processes_than_gpus_are_refused(process, monkeypatch):
    monkeypatch.setattr(distributed.torch.cuda, "device_count", lambda: 2)
    process(1, 3)
    with pytest.raises(BadInput, match="3 processes for 2 GPUs"), distributed.processes("cuda"):
        pass
    with pytest.raises(BadInput, match="cannot share Apple's GPU"), distributed.processes("mps"):
        pass


@pytest.fixture
def homeless(monkeypatch):
    """Have no home folder, and a number without a name for a user."""
    def getpwuid(_):
        raise KeyError("uid not found")

    for name in ("HOME", "USERPROFILE", "HOMEPATH", "HOMEDRIVE"):
        monkeypatch.setenv(name, "before")      # so that it is given back, whatever is set later
        monkeypatch.delenv(name)
    if os.name == "posix":
        monkeypatch.setattr("pwd.getpwuid", getpwuid)


def test_a_user_without_a_home_gets_one_that_nltk_accepts(homeless):
    assert os.path.expanduser("~") == "~"
    with pytest.raises(ValueError):
        Downloader().default_download_dir()
    assert not ends(lambda: None)
    home = Path.home()
    assert home.is_dir() and not any(home.iterdir())
    assert Path(Downloader().default_download_dir()).is_relative_to(home)
    assert tokenize("It's not, is it?") == ["it", "'s", "not", ",", "is", "it", "?"]


def test_a_home_that_is_there_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("USERPROFILE" if os.name == "nt" else "HOME", str(tmp_path))
    ensure_home()
    assert Path.home() == tmp_path


WORDS = [["python", "train.py", "--data", "my data/é"], ["python", "a'b", "$HOME", "x;y", ""]]


@pytest.mark.parametrize("words", WORDS)
def test_a_command_is_printed_as_a_shell_reads_it(words, monkeypatch):
    monkeypatch.setattr(commands, "os", SimpleNamespace(name="posix"))
    assert shlex.split(command_line(*words)) == words


def test_a_command_is_printed_with_double_quotes_on_windows(monkeypatch):
    monkeypatch.setattr(commands, "os", SimpleNamespace(name="nt"))
    assert command_line("python", "train.py", "--data", "C:\\my data", Path("runs")) == (
        'python train.py --data "C:\\my data" runs')


def test_what_comes_next_can_be_pasted(write_root, tmp_path, capsys):
    root = write_root(tmp_path / "my photos", {"train": 2, "val": 1})
    prepare.main(["check", str(root)])
    assert capsys.readouterr().out.splitlines()[-1] == "next: " + command_line(
        "python", "train.py", "--data", root, "--run", "runs/my photos")
    settings = CaptioningSettings(data=str(root), epochs=1)
    task = SimpleNamespace(better=max, key="CIDEr", settings=settings, unit="word")
    history = [{"CIDEr": 0.5, "epoch": 1}]
    scoring = command_line("python", "evaluate.py", tmp_path, "--data", root)
    assert train.summary(task, tmp_path, history, False).endswith("next: " + scoring)
    write_json(tmp_path / "status.json", {
        "epoch": 1, "batch": 0, "best": 0.5, "best_epoch": 0, "loss": 1.0, "count": 0,
        "steps_per_epoch": 1, "seconds_per_epoch": 0, "finished": True, "key": "CIDEr",
        "seconds": 1, "at_epoch": {}})
    assert status(tmp_path, task, settings).endswith("finished: " + scoring)
