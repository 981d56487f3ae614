"""Tensors and a JSON header in one safetensors file, with a digest that finds every damage.

    tensors, header --write--> file --read--> tensors, header, or BadInput in one sentence
    model, header   --save-->  file --load--> model, kernels and matrices in half precision

safetensors holds numbers and text, so reading one runs no code and takes no more memory than the
file is long. The digest finds a flipped bit or an edited score. It is no signature: whatever reads
a stranger's file must also check what the header says.
"""

import hashlib
import json
import os
import subprocess
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from textwrap import shorten

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch.overrides import TorchFunctionMode

from system.files import BadInput, parse_json, refuse_web_address, whole_file

BEST = "best.safetensors"   # the checkpoint in a run's folder
LONGEST_HEADER = 16 << 20   # bytes; a vocabulary of a million words fits
PATIENCE = 10               # seconds in which git must say the commit


def write(path, kind, version, tensors, header):
    """Write `tensors` and `header`, a dict of plain values, whole or not at all."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {"kind": kind, "version": version, **header}
    header["digest"] = digest(tensors, header)
    with whole_file(path) as beside:
        try:
            # one entry: safetensors writes several in no fixed order, and equal runs must give
            # equal files
            save_file(tensors, beside, {"header": json.dumps(header)})
        except SafetensorError as error:        # its name for a full disk
            raise OSError(str(error)) from None


def read(path, kind, version, remedy):
    """Return the tensors, on the CPU and independent of the file, and the header given to `write`.

    Raises `BadInput`, ending in `remedy`, for a file of another kind, another version, or damaged.
    """
    refuse_outsiders(path, remedy)
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {}).get("header", "{}"))
            names = file.keys()
            mapped = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} cannot be read as safetensors ({shorten(str(error), 120)}): "
                       f"{remedy}") from None
    refuse_others(path, header, kind, version, remedy)
    tensors = {name: tensor.clone() for name, tensor in mapped.items()}
    if header.pop("digest", None) != digest(tensors, header):
        raise BadInput(f"{path} is damaged or was edited (its digest does not match): {remedy}")
    return tensors, {key: one for key, one in header.items() if key not in ("kind", "version")}


def save(path, kind, version, model, header, about):
    """Write a model's `tensors()`, a header, and `about` with the versions in it, whole or not.

    Raises `BadInput` for numbers that half precision cannot hold.
    """
    tensors = halved(model.tensors())
    if name := infinite(tensors):
        raise BadInput(f"{path} was not written, {name} has numbers that float16 cannot hold: "
                       "lower the learning rate and train again")
    write(path, kind, version, tensors, {**header, "about": {**versions(), **about}})


def load(path, kind, version, remedy, build):
    """Return the model that `save` wrote at `path`, or into the run's folder there, on the CPU.

    build: function of the header that returns a model without memory, see `no_memory`, or raises
    `BadInput`.  Raises `BadInput`, ending in `remedy`, for any other file.
    """
    path = best_file(path)
    tensors, header = read(path, kind, version, remedy)
    try:
        model = build(header)
        refuse_strange(tensors, halved(model.tensors()))
    except BadInput as error:
        raise BadInput(f"{path} is no {kind} that this program can use, {error}: {remedy}"
                       ) from None
    model.load_tensors({name: tensor.float() if tensor.is_floating_point() else tensor
                        for name, tensor in tensors.items()}, assign=True)
    return model


def halved(tensors):
    """Return tensors by name, kernels and matrices in half precision."""
    return {name: tensor.half() if tensor.dim() > 1 else tensor
            for name, tensor in tensors.items()}


@contextmanager
def no_memory():
    """Give what is built inside tensors without memory; raise `BadInput` if it cannot be built."""
    try:
        with torch.device("meta"), SkipInit():
            yield
    except (ArithmeticError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise BadInput(f"it cannot be built ({' '.join(str(error).split())[:120]})") from None


def refuse_broken(rules):
    """Raise `BadInput` with the first of these sentences whose rule, a boolean, is not kept."""
    for rule, kept in rules.items():
        if not kept:
            raise BadInput(rule)


def best_file(path):
    """Return the checkpoint at `path`: the file itself, or the best one of a run's folder."""
    path = Path(path)
    return path / BEST if path.is_dir() else path


def kind_of(path, remedy):
    """Return the kind of a file that `write` wrote; raise `BadInput` for any other file."""
    return read_header(path, remedy, {"kind": str})["kind"]


def read_header(path, remedy, shape):
    """Return the header given to `write`, its digest not checked; `BadInput` if it has not this
    shape, see system/shapes.py.
    """
    refuse_outsiders(path, remedy)
    try:
        with safe_open(path, "pt") as file:
            header = (file.metadata() or {})["header"]
        return parse_json(header, "its header", remedy, shape)
    except (SafetensorError, KeyError, BadInput):
        raise BadInput(f"{path} is no file of this program's: {remedy}") from None


def refuse_outsiders(path, remedy):
    """Raise `BadInput` if the first bytes show a pickle, a damaged file or a vast header."""
    try:
        with open(path, "rb") as file:
            length, opening = file.read(8), file.read(1)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        refuse_web_address(path)
        if Path(path).name == BEST and Path(path).with_name("settings.json").exists():
            raise BadInput(f"{Path(path).parent} is a run of which no epoch is finished yet: go on "
                           "with it, or give another") from None
        raise BadInput(f"{path} is not there: {remedy}") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): {remedy}") from None
    if opening != b"{" and length.startswith((b"PK", b"\x80")):
        raise BadInput(f"{path} is a pickle, which can run code and is never loaded: {remedy}")
    if opening != b"{" or int.from_bytes(length, "little") > min(LONGEST_HEADER, size):
        raise BadInput(f"{path} is cut short, or no safetensors file: {remedy}")


def refuse_others(path, header, kind, version, remedy):
    """Raise `BadInput` if the header names another kind of file or another version."""
    other = header.get("kind") if isinstance(header, dict) else None
    if other != kind:
        but = f" but a {other!r:.40}" if isinstance(other, str) else ""
        raise BadInput(f"{path} is no {kind} of this program's{but}: {remedy}")
    found = header.get("version")
    if found != version:
        newer = isinstance(found, int) and found > version
        raise BadInput(f"{path} has version {found!r} of the format, and this program reads "
                       f"{version}: {'update the program' if newer else remedy}")


def digest(tensors, header):
    """Return the SHA-256 of the header and of every tensor's name, type, shape and bytes."""
    found = hashlib.sha256(json.dumps(header).encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        if tensor.numel():              # view() refuses the strides that an empty one may have
            found.update(tensor.flatten().view(torch.uint8).numpy())
    return found.hexdigest()


def refuse_strange(tensors, expected):
    """Raise `BadInput` unless names, shapes and types are the expected and all numbers finite."""
    strange = sorted(tensors.keys() ^ expected.keys())
    if strange:
        raise BadInput(f"its tensor {strange[0]!r:.80} is "
                       f"{'unknown' if strange[0] in tensors else 'missing'}")
    for name, tensor in tensors.items():
        if (tensor.shape, tensor.dtype) != (expected[name].shape, expected[name].dtype):
            raise BadInput(f"its tensor {name} is {tensor.dtype} {tuple(tensor.shape)} instead of "
                           f"{expected[name].dtype} {tuple(expected[name].shape)}")
    if name := infinite(tensors):
        raise BadInput(f"its tensor {name} has numbers that are not finite")


def infinite(tensors):
    """Return the name of a tensor that has NaN or infinity in it, or None."""
    return next((name for name, tensor in tensors.items() if not tensor.isfinite().all()), None)


class SkipInit(TorchFunctionMode):
    """A mode in which normal initialisation leaves a tensor as it is."""

    # on "meta" there is nothing to draw, and to find that out torch imports its compiler: a second
    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in (torch.nn.init.normal_, torch.Tensor.normal_):
            return args[0] if args else kwargs["tensor"]
        return function(*args, **(kwargs or {}))


def versions():
    """Return the versions of the libraries and the commit of this program."""
    found = {"torch": torch.__version__, "torchvision": metadata.version("torchvision")}
    try:        # git may be absent, or look for ever in a folder on a network
        git = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True,
                             stdin=subprocess.DEVNULL, encoding="utf-8", errors="replace",
                             timeout=PATIENCE, cwd=Path(__file__).parent)
    except (OSError, subprocess.TimeoutExpired):
        return found
    return {**found, "commit": git.stdout.strip()} if git.returncode == 0 else found
