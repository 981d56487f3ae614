"""A run survives kills, Ctrl-C and a full disk, owns its folder, and says how it goes."""

import argparse
import itertools
import json
import math
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import types
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from multiprocessing import active_children
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch
from safetensors.torch import load_file

from captioning import task
from captioning.complaints import warn_of_shared
from captioning.settings import CaptioningSettings
from captioning.task import Captioning
from coco.dataset import Picture, Split, read_split
from system import contents, files
from system.files import BadInput, write_json
from tests.running import begin_run, train_run
from train import main as train_main
from train import status_of as status
from training import folders
from training import loop as training
from training import run as runs
from training.folders import read_history
from training.loop import Run, finish_epoch, step, train, validate
from training.settings import add_options
from training.tensorboard import TensorBoard

pytestmark = pytest.mark.usefixtures("no_curves")
HERE = Path(__file__).parents[1]
SEEN = {"val_loss": 1.0, "perplexity": 2.7, "CIDEr": 0.1, "distinct": 3, "sentence": "A dog."}


@pytest.fixture(scope="module")
def settings(tiny_root):
    return CaptioningSettings(
        data=str(tiny_root), encoder="tiny", epochs=2, batch_size=16, embed_size=8, hidden_size=8,
        vocab_threshold=1, warmup=2, val_pictures=6, dropout=0.3, learning_rate=0.05)


@pytest.fixture(scope="module")
def whole(settings, tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    train_run(settings, folder)
    return folder


def weights(folder, name="state.safetensors"):
    return load_file(folder / name)


def same(one, other):
    """Whether two folders hold the same weights, the same best captioner and the same history."""
    pairs = [(weights(one, name), weights(other, name))
             for name in ("state.safetensors", "best.safetensors")]
    return read_history(one) == read_history(other) and all(
        a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a) for a, b in pairs)


def test_the_time_a_run_takes_leaves_out_breaks(settings, tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(runs.time, "monotonic", lambda: now[0])

    def timed(run, batch, stop):
        if (run.position["epoch"], run.position["batch"]) == stop:
            raise KeyboardInterrupt
        now[0] += 10
        return step(run, batch)

    for stop in ((1, 2), None):                 # four steps an epoch; two of them taken twice
        monkeypatch.setattr(training, "step", partial(timed, stop=stop))
        with suppress(KeyboardInterrupt):
            train_run(settings, tmp_path, epochs=2)
        status = json.loads((tmp_path / "status.json").read_text())
        now[0] += 5000
    assert status["at_epoch"] == {"1": 40, "2": 80} and status["seconds"] == 80


class Kill(BaseException):
    """Nothing handles it, as nothing handles SIGKILL."""


def test_a_kill_between_any_two_writes_changes_nothing(settings, whole, tmp_path, monkeypatch):
    for last in itertools.count():
        folder, writes = tmp_path / str(last), itertools.count()

        def killed(beside, path, writes=writes, last=last):
            if next(writes) == last:
                raise Kill
            os.replace(beside, path)

        with monkeypatch.context() as patch:
            patch.setattr(files, "os", types.SimpleNamespace(replace=killed, getpid=os.getpid))
            try:
                train_run(settings, folder)
                break
            except Kill:
                pass
        train_run(settings, folder)
        assert same(folder, whole), last
    assert last >= 12       # vocabulary, settings; state, status, history, state, status; ...


@pytest.fixture
def begun(tiny_root, settings, tmp_path):
    """The settings of a run in `run`, of a copy of the data, with a saved state and a start."""
    root = tmp_path / "data"
    shutil.copytree(tiny_root, root)
    start = train_folder(settings, tmp_path / "start")
    settings = replace(settings, data=str(root), start=str(start))
    run = begin_run(settings, tmp_path / "run")
    run.save()
    run.lock.release(force=True)
    return settings


def train_folder(settings, folder):
    train_run(settings, folder, epochs=1)
    return folder


def moved(settings, folder):
    """The settings after data and start were moved."""
    for name in ("data", "start"):
        os.rename(folder / name, folder / f"{name} 2")
    return replace(settings, data=str(folder / "data 2"), start=str(folder / "start 2"))


SAME = {
    "a slash": lambda settings, folder: replace(settings, data=settings.data + os.sep,
                                                start=settings.start + os.sep),
    "another way": lambda settings, folder: replace(
        settings, data=str(folder / "run" / ".." / "data")),
    "another folder": lambda settings, folder: replace(settings, data="data", start="start"),
    "the file of the start": lambda settings, folder: replace(
        settings, start=str(folder / "start" / "best.safetensors")),
    "whole numbers": lambda settings, folder: replace(settings, clip=5),
    "moved": moved}


@pytest.mark.parametrize("name", SAME)
def test_a_run_goes_on_however_its_data_are_named(begun, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    changed = SAME[name](begun, tmp_path)
    run = begin_run(changed, tmp_path / "run")
    assert run.settings == changed
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["data"] == changed.data


def swap_captions(root):
    """Exchange the words of two captions: the vocabulary stays."""
    path = root / "annotations" / "captions_train.json"
    text = path.read_text().replace("red", "x").replace("blue", "red")
    path.write_text(text.replace("x", "blue"))


def swap_pictures(root):
    names = [root / "val" / "000013.jpg", root / "val" / "x", root / "val" / "000014.jpg"]
    for old, new in ((0, 1), (2, 0), (1, 2)):
        os.rename(names[old], names[new])


def other_start(root):
    path = root.parent / "start" / "best.safetensors"
    path.write_bytes((root.parent / "run" / "state.safetensors").read_bytes())


@pytest.mark.parametrize("change, said", [
    (swap_captions, "the captions of train changed"),
    (swap_pictures, "the pictures of val changed"),
    (lambda root: (root / "train" / "000001.jpg").unlink(), "the pictures of train changed"),
    (other_start, "the start changed")])
def test_a_run_whose_data_are_others_by_now_is_refused(begun, tmp_path, change, said):
    before = (tmp_path / "run" / "state.safetensors").read_bytes()
    change(Path(begun.data))
    with pytest.raises(BadInput, match=f"other settings .{said}.: give another --run"):
        begin_run(begun, tmp_path / "run")
    assert (tmp_path / "run" / "state.safetensors").read_bytes() == before


def test_a_slash_at_the_end_of_a_folder_s_name_means_nothing(tmp_path):
    write_json(tmp_path / "run" / "settings.json", {})
    assert folders.fresh_folder(f"{tmp_path}/run/") == str(tmp_path / "run-2")


@pytest.mark.parametrize("stop", [1, 4, 7])
def test_a_kill_in_mid_epoch_repeats_the_steps_since_the_last_save(settings, whole, tmp_path,
                                                                   monkeypatch, stop):
    monkeypatch.setattr(runs, "SAVE_EVERY", -1)             # the state is saved before every step
    steps = []

    def killed(run, batch):
        steps.append(dict(run.position))
        if len(steps) == stop:
            raise Kill
        return step(run, batch)

    monkeypatch.setattr(training, "step", killed)
    with pytest.raises(Kill):
        train_run(settings, tmp_path)
    train_run(settings, tmp_path)
    assert steps[stop] == steps[stop - 1] and same(tmp_path, whole)


def test_ctrl_c_ends_after_the_step_and_says_how_to_go_on(settings, whole, tmp_path, monkeypatch):
    def interrupted(run, batch):
        if run.position["batch"] == 2:
            signal.raise_signal(signal.SIGINT)
        return step(run, batch)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt) as stop:
        patch.setattr(training, "step", interrupted)
        train_run(settings, tmp_path)
    assert f"epoch 1 after 3 of 4 steps, and saved in {tmp_path}" in str(stop.value)
    assert json.loads((tmp_path / "status.json").read_text())["batch"] == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    train_run(settings, tmp_path)
    assert same(tmp_path, whole)


def test_a_loop_on_a_page_that_was_stopped_goes_on_from_the_run_in_memory(settings, whole,
                                                                          tmp_path):
    run = begin_run(settings, tmp_path)

    def loop(stop):
        for epoch in run.epochs():
            for batch in run.batches(epoch):
                step(run, batch)
                if run.position["batch"] == stop:
                    signal.raise_signal(signal.SIGINT)
            finish_epoch(run, validate(run))

    for stop in (2, 4):
        with pytest.raises(KeyboardInterrupt, match="RESUME"):
            loop(stop)
    loop(None)
    assert same(tmp_path, whole)


def test_a_page_stopped_while_it_writes_its_best_captioner_writes_it_again(settings, tmp_path,
                                                                             monkeypatch):
    def stopped(*arguments, **about):
        raise KeyboardInterrupt

    with epoch_of(settings, tmp_path, CIDEr=0.5) as run:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(task, "save_captioner", stopped)
            finish_epoch(run, {**SEEN, "CIDEr": 0.5})
        assert not (tmp_path / "best.safetensors").exists()
    assert (tmp_path / "best.safetensors").exists()


def test_a_second_ctrl_c_does_not_wait(settings, tmp_path):
    run = begin_run(settings, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        for _ in run.batches(0):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("the second was held back as well")


@pytest.mark.skipif(sys.platform == "win32", reason="a worker there has a console of its own")
def test_ctrl_c_in_a_terminal_does_not_end_the_loader_s_workers(settings, tmp_path):
    run = begin_run(settings, tmp_path, tune_from=1, workers=2, one_per_picture=True,
                    batch_size=1)
    batches = run.batches(0)
    next(batches)
    for _ in range(2):                      # a forked one has its parent's handler for the first
        for worker in active_children():
            os.kill(worker.pid, signal.SIGINT)
        time.sleep(0.1)
    assert len(list(batches)) == run.steps_per_epoch - 1


def test_a_loss_that_is_no_number_is_never_saved(settings, tmp_path):
    run = begin_run(settings, tmp_path)
    run.losses.every = 100                                      # as on a GPU
    run.save()
    before = (tmp_path / "state.safetensors").read_bytes()
    batches = run.batches(0)
    with pytest.raises(BadInput, match="loss became nan at step 1"):
        for number, batch in enumerate(batches):
            step(run, batch._replace(images=batch.images * (math.nan if number == 1 else 1.0)))
    assert (tmp_path / "state.safetensors").read_bytes() == before


def test_when_losses_are_read_changes_no_number(settings, whole, tmp_path, monkeypatch):
    begin = Run.begin

    def seldom(run, resume):
        begin(run, resume)
        run.losses.every = 3

    monkeypatch.setattr(Run, "begin", seldom)
    train_run(settings, tmp_path)
    assert same(tmp_path, whole)


def test_a_clock_set_back_changes_nothing(settings, whole, tmp_path, monkeypatch):
    clock = iter(range(10**9, 0, -3600))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    train_run(settings, tmp_path)
    assert same(tmp_path, whole)


def test_a_folder_is_refused_to_a_second_process_until_the_first_is_killed(settings, tmp_path,
                                                                           monkeypatch):
    tmp_path.joinpath("run").mkdir()
    holder = subprocess.Popen([sys.executable, "-c", "import sys, time, filelock; "
                               "lock = filelock.FileLock(sys.argv[1]); lock.acquire(); "
                               "print('held', flush=True); time.sleep(60)",
                               str(tmp_path / "run" / "lock")], stdout=subprocess.PIPE)
    try:
        holder.stdout.readline()
        with monkeypatch.context() as patch:
            patch.setattr(folders, "PATIENCE", 0.1)
            with pytest.raises(BadInput, match="another process trains in"):
                begin_run(settings, tmp_path / "run")
        assert folders.in_use(tmp_path / "run")
    finally:
        holder.kill()
        holder.wait()
    begin_run(settings, tmp_path / "run")


def test_a_page_may_make_its_run_again_and_a_finished_run_holds_no_folder(settings, tmp_path):
    run = begin_run(settings, tmp_path)
    again = begin_run(settings, tmp_path)
    assert folders.in_use(tmp_path) and again.lock is run.lock
    train_run(settings, tmp_path)
    assert not folders.in_use(tmp_path)


DISK_SIZE = 1 << 20
DISK = """
import subprocess, sys
from pathlib import Path
import tests.tiny
from captioning.settings import CaptioningSettings
from system.files import BadInput
from tests.running import train_run

disk, settings = Path(sys.argv[1]), CaptioningSettings(**eval(sys.argv[2]))

def attempt():
    try:
        train_run(settings, disk / "run")
        print("done")
    except BadInput as error:
        print(error)

with open(disk / "filling", "wb") as file:
    file.truncate(0)
    file.write(bytes(int(sys.argv[3])))
attempt()                                       # full before the first state
(disk / "filling").write_bytes(bytes(int(sys.argv[4])))
attempt()                                       # full at the second, which is written beside it
(disk / "filling").unlink()
subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
attempt()                                       # read-only
subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
attempt()
subprocess.run(["cp", "-r", disk / "run", sys.argv[5]], check=True)
"""


def can_mount():
    """Whether this process may mount a small disk that only it sees."""
    return sys.platform == "linux" and shutil.which("unshare") and subprocess.run(
        ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False,
        capture_output=True).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="needs the right to mount a disk")
def test_a_full_or_read_only_disk_is_one_sentence_and_nothing_is_lost(settings, whole, tmp_path):
    disk, state = tmp_path / "disk", (whole / "state.safetensors").stat().st_size
    first, second = DISK_SIZE - state // 2, DISK_SIZE - 2 * state   # of these the disk is full
    disk.mkdir()
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=1m tmpfs "$1" && shift && "$@"', "",
         disk, sys.executable, "-c", DISK, disk, repr(vars(settings)), str(first), str(second),
         tmp_path / "copy"], capture_output=True, text=True, cwd=HERE,
        env={**os.environ, "OMP_NUM_THREADS": "1"})
    lines = [line for line in done.stdout.splitlines() if not line.startswith("epoch")]
    assert len(lines) == 4, done.stdout + done.stderr
    assert "No space left on device" in lines[0] and "state.safetensors" in lines[0]
    assert "No space left on device" in lines[1]
    assert "Read-only file system" in lines[2]
    assert lines[3] == "done" and same(tmp_path / "copy", whole)


def test_status_says_where_a_run_stands(settings, tmp_path):
    run = begin_run(settings, tmp_path)
    assert "nothing is saved yet\nit is running now" in status(tmp_path)
    for batch in run.batches(0):
        step(run, batch)
        if run.position["batch"] == 3:
            run.save()
            break
    mean = run.position["loss"] / run.position["count"]
    assert "0 of 2 epochs done, and 3 of 4 steps" in status(tmp_path)
    assert f"last loss {mean:.3f}" in status(tmp_path) and "s an epoch" in status(tmp_path)
    assert "running now" in status(tmp_path)
    for epoch, cider in ((1, 0.5), (2, 0.25)):
        row = finish_epoch(run, {**SEEN, "CIDEr": cider})
        assert f"{epoch} of 2 epochs done\nbest CIDEr on val 0.500, after" in status(tmp_path)
        run.position.update(loss=3.0, count=2)
    assert f"last loss {row['train_loss']:.3f} per word, 1.000 on val" in status(tmp_path)
    assert status(tmp_path).endswith(f"evaluate.py {tmp_path} --data {settings.data}")


def test_the_command_that_status_gives_means_the_same_settings(settings, tmp_path):
    settings = replace(settings, data=settings.data + " x", one_per_picture=True, tune_from=3,
                       weights=None)
    (tmp_path / "settings.json").write_text(json.dumps({"task": "captioning", **vars(settings)}))
    words = shlex.split(status(tmp_path).split("begin with: ")[1])
    assert words[:4] == ["python", "train.py", "--run", str(tmp_path)]
    parser = argparse.ArgumentParser()
    add_options(parser, CaptioningSettings)
    assert CaptioningSettings(**vars(parser.parse_args(words[4:]))) == settings


def test_the_command_answers_status_alone(settings, whole, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train.py", "--status", str(whole)])
    with pytest.raises(SystemExit) as end:
        train_main()
    assert end.value.code == 0 and "2 of 2 epochs done" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["train.py", "--status", str(whole / "nowhere")])
    with pytest.raises(BadInput, match="give a run's folder"):
        train_main()


def test_the_status_of_a_run_with_settings_that_are_no_more_is_one_sentence(tmp_path):
    write_json(tmp_path / "settings.json", {"task": "captioning", "data": "data", "powder": 1})
    with pytest.raises(BadInput, match="settings of another version"):
        status(tmp_path)


def test_a_device_that_is_not_there_leaves_no_folder(settings, tmp_path):
    with pytest.raises(BadInput, match="device 'abacus' cannot be used"):
        train(Captioning(settings), tmp_path / "run", "abacus")
    assert not (tmp_path / "run").exists()


@contextmanager
def epoch_of(settings, folder, **scores):
    """A run whose first epoch is done, and is written when the block ends."""
    run = begin_run(settings, folder)
    run.position.update(batch=4, loss=100.0, count=100)
    yield run
    finish_epoch(run, {**SEEN, **scores})


def test_nothing_is_warned_of_without_a_reason(settings, tmp_path, capsys):
    with epoch_of(settings, tmp_path):
        pass
    assert "warning" not in capsys.readouterr().err


def test_one_caption_for_every_picture_is_named(settings, tmp_path, capsys):
    with epoch_of(settings, tmp_path, distinct=1):
        pass
    assert "warning: every picture got the same caption, 'A dog.': " in capsys.readouterr().err


def test_a_diverging_loss_is_named(settings, tmp_path, capsys):
    with epoch_of(settings, tmp_path) as run:
        pass
    run.position.update(batch=4, loss=150.0, count=100)
    finish_epoch(run, SEEN)
    assert "warning: the loss rose to 1.500, so training diverges" in capsys.readouterr().err


def test_an_encoder_left_in_train_mode_is_named(settings, tmp_path, capsys):
    with epoch_of(replace(settings, tune_from=1), tmp_path) as run:
        torch.nn.Module.train(run.task.captioner.encoder.backbone.stages)
        run.task.captioner.encoder(torch.randn(2, 3, 64, 64))
    assert "warning: the encoder's batch-norm statistics moved" in capsys.readouterr().err


def test_val_pictures_that_are_also_train_pictures_are_named(write_root, tmp_path, capsys):
    root = write_root(tmp_path / "root", {"train": 4, "val": 3})
    train_split, val = read_split(root, "train"), read_split(root, "val")
    warn_of_shared(train_split, val)
    assert not capsys.readouterr().err
    shutil.copy(train_split.pictures[2].file, val.pictures[1].file)
    warn_of_shared(train_split, val)
    assert "warning: 1 of 3 val pictures are also train pictures" in capsys.readouterr().err


def test_each_picture_is_read_once_to_find_equal_ones_however_many_have_one_size(
        tmp_path, monkeypatch, capsys):
    read, content_hash = [], contents.content_hash
    monkeypatch.setattr(contents, "content_hash", lambda path: (read.append(path),
                                                             content_hash(path))[1])
    pictures = []
    for number in range(90):
        (tmp_path / f"{number}.bmp").write_bytes(b"%03d" % (number % 80))
        pictures.append(Picture(number, tmp_path / f"{number}.bmp", ("A dog.",)))
    warn_of_shared(Split("train", tuple(pictures[:60])), Split("val", tuple(pictures[60:])))
    assert "warning: 10 of 30 val pictures are also train pictures" in capsys.readouterr().err
    assert len(read) == 90


def test_curves_and_history_are_written_after_every_epoch(settings, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.undo()
    monkeypatch.setattr(training, "warn_of_loss", lambda history: drawn.append(
        plt.imread(tmp_path / "curves.png").shape))
    train_run(settings, tmp_path)
    assert len(drawn) == 2 and drawn[0][:2] == (260, 1000) and not plt.get_fignums()
    assert [row["epoch"] for row in read_history(tmp_path)] == [1, 2]


def test_tensorboard_is_one_sentence_if_it_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(BadInput, match="pip install tensorboard"):
        TensorBoard(tmp_path)


def test_tensorboard_gets_every_number_of_an_epoch(tmp_path, monkeypatch):
    sent = {}
    writer = types.SimpleNamespace(flush=lambda: None, add_scalar=lambda name, value, epoch:
                                   sent.update({name: (value, epoch)}))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(
        SummaryWriter=lambda folder, purge_step: writer))
    TensorBoard(tmp_path)({"epoch": 3, "CIDEr": 0.5, "sentence": "A dog."})
    assert sent == {"CIDEr": (0.5, 3)}
