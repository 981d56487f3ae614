"""Which device is used, and what that device can do with bfloat16, found out by trying.

    choose_device() -> str                  cuda, else mps, else cpu; of commands and notebooks
    line_about(device) -> str               a line that says what is computed on
    name_gpu(device)                        prints that line, of a GPU
    add_device(parser)                      the option --device, of every command that has one
    refuse_device(device)                   BadInput if it cannot be used here
    to_device(tensor, device) -> tensor     without waiting, where that is safe
    enough_memory()                         BadInput if a block needs more than the device has
    trains_in_bfloat16(device) -> bool      whether an LSTM runs in it at all
    precision_of(device) -> torch.dtype     the type in which the device computes fastest
    choose_precision(name, device) -> str   the type of a training's steps, by its setting

Flags are not enough: they and the libraries disagree.
"""

import argparse
import re
import sys
from contextlib import contextmanager
from functools import cache

import torch
from torch import nn

from system.commands import sentence_of
from system.files import BadInput
from system.torchrun import launched


class Device(argparse.Action):
    """The option --device: a device that cannot be used is refused before anything is begun."""

    def __call__(self, parser, namespace, device, option_string=None):
        if not (launched() and device == "cuda"):       # `processes` gives each its own
            refuse_device(device)
        namespace.device = device


def add_device(parser):
    """Add the option --device to `parser`; without it a GPU is used if there is one."""
    # argparse gives a default to `type` too, but only where the option is not given
    parser.add_argument("--device", default="auto", action=Device,
                        type=lambda word: choose_device() if word == "auto" else word,
                        help="cpu, cuda, mps, or auto, the first of cuda, mps and cpu that is here "
                        "(%(default)s)")


def choose_device():
    """Return the device that is used unless one is asked for: "cuda", else "mps", else "cpu"."""
    here = [name for name, there in (("cuda", torch.cuda.is_available()),
                                     ("mps", torch.backends.mps.is_available())) if there]
    if launched():          # `processes` gives each a GPU of its own; of Apple's there is one
        return "cuda" if "cuda" in here else "cpu"
    # a GPU may be too old for this PyTorch
    return next((name for name in here if fault_of(name) is None), "cpu")


def line_about(device):
    """Return a line that says what is computed on."""
    device = torch.device(device)
    if device.type == "cuda":
        return f"computing on {device}, {torch.cuda.get_device_name(device)}"
    return f"computing on {device}" + (", no GPU is used" if device.type == "cpu" else "")


def name_gpu(device):
    """Print on stderr what is computed on, unless it is the processor, which is no news."""
    if torch.device(device).type != "cpu":
        print(line_about(device), file=sys.stderr)


def refuse_device(device):
    """Raise `BadInput` unless torch can compute on a device."""
    if why := fault_of(device):
        raise BadInput(f"device '{device}' cannot be used ({why}): give cpu, or another that this "
                       "machine has")


def fault_of(device):
    """Return why torch cannot compute on a device, or None if it can."""
    if not re.fullmatch(r"cpu|(cuda|mps|xpu)(:\d+)?", str(device)):
        return "there is none of that name"
    try:
        (torch.zeros(1).to(device) + 1).item()
    except (RuntimeError, AssertionError) as error:         # torch raises both
        return str(error).splitlines()[0].rstrip(".")
    return None


def to_device(tensor, device):
    """Return a tensor of the CPU on a device, without waiting for a CUDA GPU."""
    if torch.device(device).type == "cuda":     # it fetches pinned memory while others compute
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)        # without waiting mps reads freed memory: pytorch issue 189690


@contextmanager
def enough_memory():
    """Raise `BadInput` if the block, or the function it decorates, finds no memory.

    So the sentence that a command prints stands under a notebook's traceback too.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if sentence := sentence_of(error):
            raise BadInput(sentence) from None
        raise


def precision_of(device):
    """Return the type in which a device encodes fastest: bfloat16 if it multiplies that itself."""
    device = torch.device(device)
    if device.type == "cuda":       # a T4 emulates bfloat16, which is slower than float32
        able = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        flags = getattr(torch.cpu, "get_capabilities", dict)() if device.type == "cpu" else {}
        able = flags.get("avx512_bf16") or flags.get("amx_bf16")
    return torch.bfloat16 if able else torch.float32


@cache
def trains_in_bfloat16(device_type):
    """Run one step of a tiny LSTM in bfloat16, forward and back, and return whether that works.

    oneDNN has no such LSTM for processors without AVX-512, whatever else they compute in bfloat16.
    """
    try:
        with torch.random.fork_rng(devices=[]), torch.autocast(device_type, torch.bfloat16):
            lstm = nn.LSTM(4, 4, batch_first=True).to(device_type)
            lstm(torch.zeros(1, 2, 4, device=device_type))[0].float().sum().backward()
            return torch.is_autocast_enabled(device_type)   # macOS 13 only warns, and leaves it off
    except (RuntimeError, TypeError):
        return False


def choose_precision(name, device):
    """Return "float32" or "bfloat16" for a setting that may also be "auto", the device's fastest.

    Raises `BadInput` for bfloat16 on a device that cannot train in it.
    """
    kind = torch.device(device).type
    # float16 would be a T4's fast type, but needs a scaler of the loss, and no T4 was at hand to
    # measure whether it repays that: a GPU without bfloat16 trains in float32.
    if name == "auto":
        fastest = precision_of(device)
        able = fastest == torch.bfloat16 and trains_in_bfloat16(kind)
        return "bfloat16" if able else "float32"
    if name == "bfloat16" and not trains_in_bfloat16(kind):
        raise BadInput(f"this {kind} cannot train in bfloat16: give --precision float32, or leave "
                       "the option out")
    return name
