"""Run a frozen CNN fast: the same features as `Backbone`'s, ten times as fast on a laptop.

    Backbone --fast--> network;  images (B, 3, S, S) --encode--> features (B, D) or (B, L, D)

Four things make the difference, all measured in EXPERIMENTS.md:

    folding         an inference-time batch norm is a scale and a shift: both go into the kernel
    bfloat16        where the processor multiplies it in hardware
    channels last   the layout in which a 1 x 1 convolution is a matrix product
    small batches   a few pictures at a time, so that what one layer gives the next stays in the
                    processor's cache; each core takes a batch of its own and waits for no other

Shape letters:  B pictures   S side in pixels   D channels   L grid cells
"""

import copy
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from system.processor import precision_of

BATCH_SIZE = 8              # pictures per pass through the network
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
