"""Run the notebooks on a ResNet-18 of random weights that a server on this machine publishes.

    weights --Server, which breaks off once--> <temporary>/torch --> ENCODER of each notebook

All that have a parameter ENCODER must run to their ends and what they compute must have ResNet-18's
shapes; what they say, of random weights, is not looked at. The file must be fetched once, and each
byte of it once. Few pictures and few epochs; nothing is kept.

Run from the repository's root: python -m tests.check_resnet
"""

import hashlib
import io
import re
import tempfile
import time
from pathlib import Path

import torch
import torchvision

from course.kernels import NAMES, choose_event_loop, kernel, read_notebook
from course.notebooks import shrink
from scenes.questions.dataset import draw
from system.commands import run_command
from system.files import BadInput
from tests.check_exercises import PASSES, SIZES, succeed
from tests.server import Server

ENCODER = "resnet18"
PUBLISHED_AT = "import torchvision\ntorchvision.models.ResNet18_Weights.IMAGENET1K_V1.value.url = "
CELLS, CHANNELS = 49, 512
SHAPES = {                  # what must hold at the end of a notebook, by the names that it uses
    "1_Preliminaries": f"encoder.backbone(image).shape == (1, {CHANNELS})",
    "2_Training": f"task.train.features.shape == (1, {SIZES['train']}, {CHANNELS})",
    "3_Inference": f"captioner.features(split).shape == (1, {SIZES['test']}, {CHANNELS})",
    "4_Attention": f"read['cells'].shape == ({SIZES['test']}, {CELLS}, {CHANNELS}) and "
                   f"backbone.name == {ENCODER!r}",
    "5_Questions": f"grids.shape == ({SIZES['train']}, {CELLS}, {CHANNELS})"}


def random_weights():
    """Return the file of a ResNet-18 that was never trained: its name with the hash, its bytes."""
    torch.manual_seed(0)
    buffer = io.BytesIO()
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), buffer)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    return f"/{ENCODER}-{digest[:8]}.pth", buffer.getvalue()


def has_encoder(name):
    """Return whether a notebook lets its reader choose the encoder."""
    return any(re.search(r"^ENCODER = ", cell.source, re.M)
               for cell in read_notebook(f"{name}.ipynb").cells
               if "parameters" in cell.metadata.get("tags", []))


def examine(name, url, folder):
    """Run one notebook; raises `BadInput` at the first cell that fails, or for another shape."""
    notebook = read_notebook(f"{name}.ipynb")
    shrink(notebook, {"EPOCHS": "2", "STEPS": "4", "ENCODER": repr(ENCODER),
                      "DATA": repr(str(folder / "scenes")), "RUN": repr(str(folder / "run")),
                      "POOLED": repr(str(folder / "run"))})
    variables = {"TORCH_HOME": str(folder / "torch"), "CAPTION_CACHE": str(folder / "cache")}
    with kernel(".", **variables) as run:
        run(f"{PASSES}\n{PUBLISHED_AT}{url!r}")
        for place, cell in enumerate(notebook.cells):
            if cell.cell_type == "code":
                succeed(name, place, cell, run)
        error = run(f"assert {SHAPES[name]}") if name in SHAPES else None
    if error:
        raise BadInput(f"{name} with {ENCODER} should end with {SHAPES[name]}, and does not: "
                       f"{error[0]}: {error[1]}")


def main():
    choose_event_loop()
    path, content = random_weights()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, \
            Server({path: content}) as server:
        folder = Path(folder).resolve()
        draw(folder / "scenes", SIZES, progress=False)
        server.faults[path] = ["breaks off"]
        for name in filter(has_encoder, NAMES):
            began = time.monotonic()
            examine(name, server.url + path, folder)
            print(f"{name}: runs with {ENCODER}, {time.monotonic() - began:.0f} s", flush=True)
    half = len(content) // 2
    asked = [(first, sent) for _, first, _, sent in server.asked]
    if asked != [(0, half), (half, len(content) - half)]:
        raise BadInput(f"of {len(content)} bytes of weights, in two halves, were asked for, as "
                       f"(first byte, bytes sent): {asked}")
    print("the weights were fetched once, and after a break only what was missing")


if __name__ == "__main__":
    run_command(main)
