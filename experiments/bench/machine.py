"""What the machine is and can do: its processor, its limits, and the memory of a process.

    machine() -> {"cpu": ..., "threads": ...}       limits() -> {"float32_flops": ...}, fastest
    product_rate(type, side) -> FLOP/s              copy_rate(size) -> bytes/s

FLOPs count a multiplication and an addition as two.
"""

import os
import platform
import timeit
from importlib import metadata
from pathlib import Path

import torch

from system.processor import precision_of

SIDES = (1024, 2048, 3072)          # of square matrices
COPIED = 256 << 20                  # bytes; more than any cache holds


def machine():
    """Return what ran the benchmark."""
    return {"cpu": processor(), "system": platform.system(),
            "instructions": torch.backends.cpu.get_cpu_capability(), "cores": os.cpu_count(),
            "threads": torch.get_num_threads(), "torch": torch.__version__, "openvino": openvino(),
            "python": platform.python_version()}


def openvino():
    """Return the version of OpenVINO, or None where it is not installed."""
    try:
        return metadata.version("openvino")
    except metadata.PackageNotFoundError:
        return None


def processor():
    """Return the processor's name, or its architecture where the system tells no more."""
    # Python itself knows no more than "x86_64" on Linux
    return (linux_tells("/proc/cpuinfo", "model name") or platform.processor()
            or platform.machine())


def linux_tells(file, key):
    """Return the text after a key of a file of "key: text" lines in Linux's /proc, else None."""
    lines = Path(file).read_text(encoding="utf-8").splitlines() if Path(file).exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), None)


def memory(name):
    """Return bytes of this process: anonymous ("RssAnon"), or at its peak ("VmHWM").

    None where the system is not Linux: others count otherwise, so their figures do not compare.
    """
    found = linux_tells("/proc/self/status", f"{name}:")
    return found and 1024 * int(found.split()[0])


def limits():
    """Measure the highest rates of this machine, by name, and (type, side) of its fastest product.

    Only in types that the processor multiplies itself: one without bfloat16 computes it number by
    number, minutes for what float32 does in a second.
    """
    kinds = sorted({"float32", str(precision_of("cpu")).removeprefix("torch.")})
    rates = {(kind, side): product_rate(kind, side) for kind in kinds for side in SIDES}
    highest = {f"{kind}_flops": max(rates[kind, side] for side in SIDES) for kind in kinds}
    return {**highest, "memory_bytes": copy_rate(COPIED)}, max(rates, key=rates.get)


def product_rate(kind, side):
    """Return FLOP/s of square matrices of a type, by name, in the fastest of some products."""
    matrix = torch.randn(side, side).to(getattr(torch, kind))
    return 2 * side**3 / best_of(lambda: matrix @ matrix)


def copy_rate(size):
    """Return bytes/s of memory, read and written, in the fastest of some copies."""
    source = torch.ones(size, dtype=torch.uint8)
    target = torch.empty_like(source)
    return 2 * size / best_of(lambda: target.copy_(source))


def best_of(function, trials=7):
    """Return the seconds of the fastest of some calls, after one that warms up."""
    function()
    return min(timeit.repeat(function, number=1, repeat=trials))
