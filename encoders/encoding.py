"""Run a frozen CNN fast: the same features as `Backbone`'s, ten times as fast on a laptop.

    Backbone --fast--> network [--compiled--> network]
    images (B, 3, S, S) --encode--> features (B, D) or (B, L, D)

Five things make the difference, all measured in EXPERIMENTS.md:

    folding         an inference-time batch norm is a scale and a shift: both go into the kernel
    bfloat16        where the processor multiplies it in hardware
    channels last   the layout in which a 1 x 1 convolution is a matrix product
    small batches   a few pictures at a time, so that what one layer gives the next stays in the
                    processor's cache; each core takes a batch of its own and waits for no other
    compiling       where OpenVINO is installed (`pip install openvino`): a convolution, its ReLU6
                    and the addition after it in one pass, for EfficientNet-Lite and many pictures

Shape letters:  B pictures   S side in pixels   D channels   L grid cells
"""

import copy
import importlib.util
import sys
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import cache

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from encoders.efficientnet_lite import SCALES, InvertedResidual, SameConv2d
from system.processor import precision_of

BATCH_SIZE = 8              # pictures per pass through the network
WORTH = 500                 # pictures: fewer do not repay the second that compiling takes
MPS = threading.Lock()      # two threads that compute at once end a process there


def fast(backbone, precision=None):
    """Return a copy of a backbone that is fast and untrainable, by default in the fastest type."""
    parameter = next(backbone.parameters(), None)
    if parameter is None:           # bottom_up.py's, which computes nothing
        return backbone
    device = parameter.device
    precision = precision or backbone.precision or precision_of(device)
    network = copy.deepcopy(backbone).eval()
    fold(network)
    network.requires_grad_(False)
    return network.to(dtype=precision, memory_format=torch.channels_last)


def fold(module):
    """Put every batch norm that follows a convolution into the convolution's kernel and bias."""
    layers = list(module.named_children())
    for (name, layer), (next_name, after) in zip(layers, layers[1:], strict=False):
        if isinstance(layer, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(layer, after))
            setattr(module, next_name, nn.Identity())
    for _, layer in layers:
        fold(layer)


def compiled(network, side, pictures):
    """Return a `fast` network whose stages are compiled where that is possible and repays itself.

    side: S.  pictures: how many it is going to encode.
    """
    if (pictures >= WORTH and getattr(network, "compilable", False) and network.name in SCALES
            and next(network.parameters()).device.type == "cpu"
            and importlib.util.find_spec("openvino")):
        network.compile_stages(CompiledStages, side)
    return network


@cache
def core():
    """Return OpenVINO's `Core`, the only one, which lives as long as the process.

    With the last `Core` and model OpenVINO's processor plugin goes. On Linux it then frees the
    stack that it gave to the signals of the thread which loaded it, even if another thread lets go
    of it: the next Ctrl-C would end the process by a segmentation fault.
    """
    # a package that cannot be imported: OpenVINO does without, and tells nobody that it is in use
    sys.modules.setdefault("openvino_telemetry", None)
    import openvino

    return openvino.Core()


class CompiledStages(nn.Module):
    """Stages of EfficientNet-Lite with folded batch norms, as OpenVINO's.

    shape: (D, rows, columns) of what the first stage reads.  As many threads may call it at once as
    torch has when it is built, each on a core of its own.
    """

    def __init__(self, stages, shape):
        super().__init__()
        loaded = core()
        from openvino import Model, opset13

        maps = opset13.parameter([BATCH_SIZE, *shape], np.float32)
        bfloat16 = next(stages.parameters()).dtype == torch.bfloat16
        self.model = loaded.compile_model(Model([add(stages, maps, opset13)], [maps]), "CPU", {
            "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "NUM_STREAMS": torch.get_num_threads(), "ENABLE_CPU_PINNING": False})
        # its first call imports: two threads that do so at once would wait for each other forever
        self(torch.zeros(BATCH_SIZE, *shape))

    def forward(self, maps):
        """Return the last stage's maps (B, D, rows, columns), float32; B is 8 at most."""
        batch = torch.zeros(BATCH_SIZE, *maps.shape[1:])
        batch[:len(maps)] = maps
        found = self.model.create_infer_request().infer([batch.numpy()], share_inputs=True)[0]
        return torch.from_numpy(found)[:len(maps)]


def add(module, maps, operations):
    """Return OpenVINO's node of what a module makes of the maps of a node."""
    if isinstance(module, SameConv2d):
        kernel, steps = module.weight.float().numpy(), list(module.stride)
        convolution = operations.convolution
        if module.groups > 1:                       # (groups, channels of one, inputs of one, k, k)
            kernel = kernel.reshape(module.groups, -1, *kernel.shape[1:])
            convolution = operations.group_convolution
        maps = convolution(maps, kernel, steps, [0, 0], [0, 0], [1, 1], auto_pad="same_upper")
        return operations.add(maps, module.bias.float().numpy().reshape(1, -1, 1, 1))
    if isinstance(module, nn.ReLU6):
        return operations.clamp(maps, 0.0, 6.0)
    if isinstance(module, InvertedResidual):
        found = add(module.layers, maps, operations)
        return operations.add(maps, found) if module.adds else found
    for one in [] if isinstance(module, nn.Identity) else module:      # a folded batch norm's place
        maps = add(one, maps, operations)
    return maps


def encode(network, images, *beside):
    """Return the features of images by a `fast` network, float16 (B, D) or (B, L, D).

    beside: what the network takes beside the images, tensors (B, ...); see `Backbone.beside`.
    """
    kernel = next(network.parameters(), images)         # without any, where the images are
    parts = []
    with torch.inference_mode(), MPS if kernel.device.type == "mps" else nullcontext():
        for some, *more in zip(*(one.split(BATCH_SIZE) for one in (images, *beside)), strict=True):
            some = some.to(kernel.device, kernel.dtype, memory_format=torch.channels_last)
            more = [one.to(kernel.device) for one in more]
            parts.append(network(some, *more).half().cpu())
    return torch.cat(parts).numpy()


def in_order(work, items):
    """Yield `work(item)` of every item, in order, several at a time, each on a core of its own."""
    with single_threads() as threads, ThreadPoolExecutor(threads) as pool:
        ahead = deque()
        try:
            for item in items:
                ahead.append(pool.submit(on_one_core, work, item))
                if len(ahead) > 2 * threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:                            # after Ctrl-C, what has not begun never will
            for one in ahead:
                one.cancel()


def on_one_core(work, item):
    """Return `work(item)`, computed by the calling thread only."""
    torch.set_num_threads(1)                # of this thread: each other core has a thread too
    return work(item)


@contextmanager
def single_threads():
    """Give the block the number of torch's threads, and restore it afterwards."""
    threads = torch.get_num_threads()
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)
