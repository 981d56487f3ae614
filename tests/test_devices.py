"""A GPU where there is one: which, in what type, and what Apple's and a T4 lack, simulated."""

import argparse
import threading
from dataclasses import replace

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from captioning.checkpoint import load_captioner
from captioning.settings import CaptioningSettings
from captioning.task import Captioning
from coco.dataset import read_split
from encoders import encoding
from system import processor
from system.commands import run_command
from system.files import BadInput
from system.processor import (
    add_device,
    choose_device,
    choose_precision,
    line_about,
    name_gpu,
    precision_of,
    trains_in_bfloat16,
)
from tests.running import begin_run
from training import speed
from training.loop import step, train, validate

pytestmark = pytest.mark.usefixtures("no_curves")
NO_ROOM = [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a "
                                  "total capacity of 14.58 GiB of which 1.12 MiB is free."),
           RuntimeError("MPS backend out of memory (MPS allocated: 9.05 GB, other allocations: 1.13"
                        " MB, max allowed: 9.07 GB). Tried to allocate 25.00 MB on private pool."),
           RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`")]


@pytest.fixture
def settings(tiny_root):
    return CaptioningSettings(
        data=str(tiny_root), encoder="tiny", epochs=1, batch_size=16, embed_size=16, hidden_size=16,
        vocab_threshold=1, warmup=2, views=1, val_pictures=6, dropout=0.3)


@pytest.fixture
def machine(monkeypatch):
    """Be a machine with these GPUs, of which `broken` are too old: a function."""
    def be(*gpus, broken=()):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in gpus)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in gpus)
        monkeypatch.setattr(processor, "fault_of",
                            lambda name: "it is too old" if name in broken else None)
    return be


@pytest.mark.parametrize(("gpus", "broken", "chosen", "shared"), [
    (("cuda", "mps"), (), "cuda", "cuda"), (("mps",), (), "mps", "cpu"), ((), (), "cpu", "cpu"),
    (("cuda",), ("cuda",), "cpu", "cuda"), (("cuda", "mps"), ("cuda",), "mps", "cuda")])
def test_the_first_gpu_that_works_is_taken(machine, monkeypatch, gpus, broken, chosen, shared):
    machine(*gpus, broken=broken)
    parser = argparse.ArgumentParser()
    add_device(parser)
    assert choose_device() == chosen
    assert parser.parse_args([]).device == parser.parse_args(["--device", "auto"]).device == chosen
    assert parser.parse_args(["--device", "cpu"]).device == "cpu"
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")      # each process is given its GPU later
    assert choose_device() == shared


def test_no_device_is_looked_for_where_one_is_named(monkeypatch):
    monkeypatch.setattr(processor, "choose_device", lambda: pytest.fail("it was looked for"))
    parser = argparse.ArgumentParser()
    add_device(parser)
    assert parser.parse_args(["--device", "cpu"]).device == "cpu"


def test_a_line_says_what_is_computed_on(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    assert line_about("cuda:1") == "computing on cuda:1, Tesla T4"
    assert line_about("mps") == "computing on mps"
    assert line_about("cpu") == "computing on cpu, no GPU is used"
    name_gpu("cpu")
    name_gpu("mps")
    assert capsys.readouterr().err == "computing on mps\n"


@pytest.mark.parametrize(("emulates_only", "precision"), [(True, "float32"), (False, "bfloat16")])
def test_a_gpu_that_emulates_bfloat16_as_a_t4_does_takes_float32(monkeypatch, emulates_only,
                                                                 precision):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported",
                        lambda including_emulation=True: including_emulation or not emulates_only)
    monkeypatch.setattr(processor, "trains_in_bfloat16", lambda kind: True)     # the T4 can: slowly
    assert choose_precision("auto", "cuda:0") == precision
    assert precision_of("cuda") == getattr(torch, precision)


def test_apple_s_gpu_takes_float32_and_old_ones_have_no_bfloat16(monkeypatch):
    assert choose_precision("auto", "mps") == "float32" and precision_of("mps") == torch.float32
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind: False)   # as on macOS 13
    trains_in_bfloat16.cache_clear()
    assert not trains_in_bfloat16("cpu")
    trains_in_bfloat16.cache_clear()


def test_float16_which_would_need_a_scaler_is_refused(settings):
    with pytest.raises(BadInput, match="precision must be auto, float32 or bfloat16"):
        replace(settings, precision="float16")


def names_mps(value):
    """Whether a value names Apple's GPU."""
    return isinstance(value, (str, torch.device)) and str(value).startswith("mps")


class OnMPS(TorchFunctionMode):
    """Call the CPU mps, refuse what goes there unsafely, and count what goes there."""

    moved = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is not torch.device and any(map(names_mps, tree_leaves((args, kwargs)))):
            assert not kwargs.get("non_blocking"), "mps would read freed memory"
            self.moved += 1
            args, kwargs = tree_map(lambda one: "cpu" if names_mps(one) else one, (args, kwargs))
        assert function is not torch.Tensor.pin_memory
        return function(*args, **kwargs)


class WithoutWhatMPSLacks(TorchDispatchMode):
    """Refuse float64, bfloat16 and random numbers of 64 bits, which Apple's GPU does not have."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        for one in tree_leaves(found):
            if isinstance(one, torch.Tensor) and "lift_fresh" not in str(function):    # NumPy's
                assert one.dtype not in (torch.float64, torch.bfloat16), function
                assert "random" not in str(function) or one.dtype != torch.int64, function
        return found


@pytest.mark.parametrize("dials", [
    {"average": 0.9, "label_smoothing": 0.1}, {"decoder": "adaptive"},
    {"decoder": "transformer"}, {"samples": 2, "one_per_picture": True}], ids=str)
def test_a_training_on_apple_s_gpu_asks_for_nothing_that_it_lacks(settings, tmp_path, dials,
                                                                  monkeypatch):
    # the processor that is called mps may encode in bfloat16, and mps itself does not
    assert precision_of("mps") == torch.float32
    monkeypatch.setattr("encoders.encoding.precision_of", lambda device: torch.float32)
    with OnMPS() as gpu, WithoutWhatMPSLacks():
        train(Captioning(replace(settings, batch_size=60, val_pictures=2, max_length=6, **dials)),
              tmp_path / "run", "mps")
        before, captioner = gpu.moved, load_captioner(tmp_path / "run", "mps")
        features = captioner.features(read_split(settings.data, "val"))[0]
        for search in ({}, {"method": "greedy"}, {"method": "sample", "top_p": 0.9, "captions": 2}):
            assert captioner.sentences(features[:2], captioner.search(**search))
    assert 0 < before < gpu.moved


def test_the_simulation_finds_what_it_is_to_find():
    numbers = torch.zeros(2)
    with OnMPS(), WithoutWhatMPSLacks():
        for wrong in (lambda: numbers.double(), lambda: numbers.bfloat16(),
                      lambda: numbers.long().random_(-2**63, None), lambda: numbers.pin_memory(),
                      lambda: numbers.to("mps", non_blocking=True)):
            with pytest.raises(AssertionError):
                wrong()
        assert numbers.to("mps").device.type == "cpu"


def test_on_apple_s_gpu_one_thread_computes_at_a_time(monkeypatch):
    class Kernel(torch.nn.Parameter):
        device = property(lambda self: torch.device("mps"))

    network, held = torch.nn.Flatten(), []
    network.register_forward_hook(lambda *_: held.append(encoding.MPS.locked()))
    kernel = Kernel(torch.zeros(1))
    monkeypatch.setattr(network, "parameters", lambda: iter([kernel]))
    monkeypatch.setattr(encoding, "MPS", threading.Lock())
    with OnMPS():
        encoding.encode(network, torch.zeros(9, 3, 2, 2))
    assert held == [True, True] and not encoding.MPS.locked()


@pytest.mark.parametrize("error", NO_ROOM, ids=["cuda", "mps", "cublas"])
def test_a_gpu_without_room_is_one_sentence_for_commands_and_notebooks(settings, tmp_path, capsys,
                                                                       error):
    def full(batch):
        raise error

    run = begin_run(settings, tmp_path)
    run.task.objective.forward = run.task.measure = full
    batch = next(run.task.batches(0, 0))
    with pytest.raises(BadInput, match="more memory than the GPU has: give smaller .* of a batch"):
        step(run, batch)
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        run_command(lambda: step(run, batch))
    said = capsys.readouterr().err
    assert end.value.code == 2 and said.startswith("error: ") and said.count("\n") == 1
    run.task.measure = lambda: full(None)
    with pytest.raises(BadInput, match="or the device cpu"):
        validate(run)


def test_another_error_of_a_step_keeps_its_traceback(settings, tmp_path):
    run = begin_run(settings, tmp_path)
    run.task.objective.forward = lambda batch: torch.zeros(2) @ torch.zeros(3)
    with pytest.raises(RuntimeError, match="size"):
        step(run, next(run.task.batches(0, 0)))


def test_what_a_gpu_changes_is_measured_by_real_steps(settings, monkeypatch):
    monkeypatch.setattr(speed, "BATCH_SIZES", (8, 16))
    monkeypatch.setattr(speed, "choose_precision", lambda name, device: "float32")
    monkeypatch.setattr(speed, "STEPS", 9)          # more than an epoch has
    rows = list(speed.speeds(Captioning, settings, "cpu"))
    assert [(row["batch_size"], row["precision"]) for row in rows] == [(8, "float32"),
                                                                      (16, "float32")]
    for row in rows:
        assert row["items"] == pytest.approx(row["batch_size"] / row["seconds"])
        assert row["seconds"] > 0 and row["bytes"] is None


def test_a_run_may_use_the_first_pictures_of_train_only(settings, tmp_path):
    few = begin_run(replace(settings, train_pictures=4), tmp_path / "few")
    assert [one.id for one in few.task.train_split.pictures] == [
        one.id for one in read_split(settings.data, "train").pictures[:4]]
    assert len(few.task.train) == 20 and len(begin_run(settings, tmp_path / "all").task.train) == 60
    with pytest.raises(BadInput, match="train_pictures must be 1 or more: change that setting, "
                                       "--train-pictures"):
        replace(settings, train_pictures=0)
