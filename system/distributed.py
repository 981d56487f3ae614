"""Several processes as one run: torchrun starts them, each takes its share of the same work.

    torchrun --nproc-per-node=2 -- train.py --data data/scenes --run runs/scenes

Every function here also works, and does nothing, in a process that is alone. The processes must see
the same folders: the main one, of rank 0, writes, and the others read what it wrote.
"""

import gc
import os
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

PATIENCE = timedelta(hours=1)       # for the others while the main process validates


@contextmanager
def processes(device):
    """Join the processes that torchrun started, if it did; gives the device of this one."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield device
        return
    backend = "gloo"
    if device == "cuda":            # gloo as well, for what must not wait for the GPU
        backend, device = "cpu:gloo,cuda:nccl", f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield device
        wait()                      # none leaves while another still listens to it
    finally:
        gc.collect()                # models in cycles hold on to threads, which must end first
        distributed.destroy_process_group()


def alone():
    """Whether this process is the only one."""
    return not (distributed.is_available() and distributed.is_initialized())


def rank():
    """The number of this process, from 0."""
    return 0 if alone() else distributed.get_rank()


def world():
    """How many processes there are."""
    return 1 if alone() else distributed.get_world_size()


def is_main():
    """Whether this is the process that writes and speaks."""
    return rank() == 0


def together(module):
    """`module` with its gradients averaged over all processes in every backward pass."""
    return module if alone() else DistributedDataParallel(module)


def total(tensor):
    """The sum of the processes' tensors, in each of them."""
    if not alone():
        distributed.all_reduce(tensor)
    return tensor


def any_of(flag):
    """Whether `flag` is true in one process at least."""
    return flag if alone() else bool(total(torch.tensor(int(flag))))


def wait():
    """Go on when all processes have come here."""
    any_of(False)


def from_main(value):
    """The main process's `value`, in all of them."""
    if alone():
        return value
    box = [value]
    distributed.broadcast_object_list(box, device=torch.device("cpu"))
    return box[0]


def to_main(value):
    """The values of all processes, in their order, in the main one; elsewhere an empty list."""
    if alone():
        return [value]
    values = [None] * world() if is_main() else None
    distributed.gather_object(value, values)
    return values or []


@contextmanager
def main_first():
    """Let the main process through the block before the others: they find what it left on disk."""
    if not is_main():
        wait()
    yield
    if is_main():
        wait()


def share(length):
    """The part of `length` rows that this process takes: (first, end)."""
    return rank() * length // world(), (rank() + 1) * length // world()


def silence():
    """What keeps a progress bar to the main process, as an argument of tqdm."""
    return {} if is_main() else {"disable": True}
