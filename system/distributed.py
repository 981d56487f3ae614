"""Several processes as one run: torchrun starts them, and each works on its part.

    torchrun --nproc-per-node=2 -- train.py --data data/scenes --run runs/small

Every function here also works, and does nothing, in a single process. The processes must see the
same folders: the main one, of rank 0, writes, and the others read what it wrote.
"""

import gc
import os
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from system.files import BadInput
from system.torchrun import launched

PATIENCE = timedelta(hours=1)       # for the others while the main process validates


@contextmanager
def processes(device):
    """Join the process group that torchrun started, if any; yield the device of this process."""
    if not launched():
        yield device
        return
    if device == "mps":
        raise BadInput("processes cannot share Apple's GPU: give --device cpu, or leave torchrun "
                       "out")
    backend = "gloo"
    if device == "cuda":            # gloo as well, for what must not wait for the GPU
        refuse_few_gpus()
        backend, device = "cpu:gloo,cuda:nccl", f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield device
        barrier()                   # no process leaves while another still listens to it
    finally:
        gc.collect()                # models in cycles hold threads, which must end first
        distributed.destroy_process_group()


def refuse_few_gpus():
    """Raise `BadInput` if this machine has fewer GPUs than torchrun started processes here."""
    gpus, wanted = torch.cuda.device_count(), int(os.environ["LOCAL_WORLD_SIZE"])
    if gpus < wanted:
        raise BadInput(f"torchrun started {wanted} processes for {gpus} GPUs: let --nproc-per-node "
                       "be the number of GPUs, or give --device cpu")


def is_single():
    """Return whether there is no process group, so that this process is the only one."""
    return not (distributed.is_available() and distributed.is_initialized())


def rank():
    """Return the number of this process, from 0."""
    return 0 if is_single() else distributed.get_rank()


def world_size():
    """Return the number of processes."""
    return 1 if is_single() else distributed.get_world_size()


def is_main():
    """Return whether this is the process of rank 0, which writes files and prints."""
    return rank() == 0


def data_parallel(module):
    """Wrap `module` so that every backward pass averages its gradients over the processes."""
    return module if is_single() else DistributedDataParallel(module)


def all_reduce(tensor):
    """Sum a tensor over the processes, in place and in each of them, and return it."""
    if not is_single():
        distributed.all_reduce(tensor)
    return tensor


def any_of(flag):
    """Return whether `flag` is true in at least one process."""
    return flag if is_single() else bool(all_reduce(torch.tensor(int(flag))))


def barrier():
    """Wait until every process has come here."""
    any_of(False)


def broadcast(value):
    """Return the main process's `value` in every process."""
    if is_single():
        return value
    box = [value]
    distributed.broadcast_object_list(box, device=torch.device("cpu"))
    return box[0]


def gather(value):
    """Collect the values of all processes, by rank, in the main one; elsewhere an empty list."""
    if is_single():
        return [value]
    values = [None] * world_size() if is_main() else None
    distributed.gather_object(value, values)
    return values or []


@contextmanager
def main_first():
    """Run a block in the main process before the others, which then find its files on disk."""
    if not is_main():
        barrier()
    yield
    if is_main():
        barrier()


def shard(length):
    """Return the part of `length` rows that belongs to this process: (first, end)."""
    return rank() * length // world_size(), (rank() + 1) * length // world_size()


def bar_options():
    """Return the arguments of tqdm that show a progress bar only in the main process."""
    return {} if is_main() else {"disable": True}
