"""Which device a command uses, and what that device can do with bfloat16, found out by trying.

    add_device(parser)                      the option --device, of every command that has one
    refuse_device(device)                   BadInput if it cannot be used here
    trains_in_bfloat16(device) -> bool      whether an LSTM runs in it at all
    precision_of(device) -> torch.dtype     the type in which the device computes fastest
    choose_precision(name, device) -> str   the type of a training's steps, by its setting

Flags are not enough: they and the libraries disagree.
"""

import argparse
import re
from functools import cache

import torch
from torch import nn

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
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu",
                        action=Device, help="cpu, cuda or mps (%(default)s)")


def refuse_device(device):
    """Raise `BadInput` unless torch can compute on a device."""
    why = "there is none of that name"
    if re.fullmatch(r"cpu|(cuda|mps|xpu)(:\d+)?", str(device)):
        try:
            (torch.zeros(1).to(device) + 1).item()
            return
        except (RuntimeError, AssertionError) as error:     # torch raises both
            why = str(error).splitlines()[0].rstrip(".")
    raise BadInput(f"device '{device}' cannot be used ({why}): give cpu, or another that this "
                   "machine has")


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
    except (RuntimeError, TypeError):
        return False
    return True


def choose_precision(name, device):
    """Return "float32" or "bfloat16" for a setting that may also be "auto", the device's fastest.

    Raises `BadInput` for bfloat16 on a device that cannot train in it.
    """
    kind = torch.device(device).type
    if name == "auto":
        fastest = precision_of(device)
        able = fastest == torch.bfloat16 and trains_in_bfloat16(kind)
        return "bfloat16" if able else "float32"
    if name == "bfloat16" and not trains_in_bfloat16(kind):
        raise BadInput(f"this {kind} cannot train in bfloat16: give --precision float32, or leave "
                       "the option out")
    return name
