"""The loop of every training: steps on batches, validation, and what an epoch leaves behind.

    Task --Run--> step(run, batch) ... validate(run) -> finish_epoch(run, scores) ... and again

Under torchrun each process takes its part of every batch, and the gradient is that of the whole:
the loss is divided by the count of all processes.

    torchrun --nproc-per-node=2 -- train.py --data data/scenes --run runs/small
"""

import json
import math

import torch
from tqdm.auto import tqdm

from system.distributed import (
    all_reduce,
    bar_options,
    barrier,
    broadcast,
    is_main,
    rank,
    world_size,
)
from system.files import whole_file
from system.processor import enough_memory
from training.curves import save_curves
from training.run import Run
from training.watching import warn, warn_of_loss


def rate_at(step, settings, steps):
    """Return the fraction of the peak learning rate at `step` of `steps`.

    It rises linearly over `settings.warmup` steps, then falls to 0 along half a cosine. A run that
    would end with its warm-up, or soon after it, has a shorter one.
    """
    warmup = settings.warmup if steps > 1.1 * settings.warmup else steps // 8
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * progress))


@enough_memory()
def step(run, batch):
    """Take one optimizer step on a batch of `run.batches` and return loss per item, items.

    Nothing here waits for a GPU, so both are tensors, and a loss that is no number is noticed some
    steps later, by `run.losses`; on a CPU at once, before it spoils the weights.
    """
    settings, position, device = run.settings, run.position, torch.device(run.device).type
    number = position["epoch"] * run.steps_per_epoch + position["batch"]
    # dropout: a function of seed, step and rank; two primes keep the three apart
    torch.manual_seed(settings.seed * 1_000_003 + number + rank() * 15_485_863)
    for group in run.optimizer.param_groups:
        group["lr"] = group["peak"] * rate_at(number, settings,
                                              settings.epochs * run.steps_per_epoch)
    with torch.autocast(device, torch.bfloat16, enabled=run.precision == "bfloat16"):
        objective, loss, count = run.model(batch)
    all_loss, all_count = all_reduce(torch.stack([loss, count]))
    run.optimizer.zero_grad()
    # DDP averages gradients over processes; the objective is a sum, to be divided by all items
    (objective * world_size() / all_count).backward()
    norm = torch.nn.utils.clip_grad_norm_(run.parameters(), settings.clip)
    run.losses.add(number, all_loss, all_count, norm)
    run.optimizer.step()
    run.average.update(number)
    position["batch"] += 1
    return all_loss / all_count, all_count


@enough_memory()
@torch.no_grad()
def validate(run):
    """Return the figures of the task's `measure`, with the averaged weights in place."""
    run.model.eval()
    with run.average.applied():
        return broadcast(run.task.measure())


def finish_epoch(run, scores):
    """Write an epoch's history, its best weights if it is the best so far, curves and state."""
    run.losses.read()
    position = run.position
    row = {"epoch": position["epoch"] + 1, "train_loss": position["loss"] / position["count"],
           **scores}
    improves = run.improves(scores[run.task.key])
    if is_main():
        write_epoch(run, row, improves)
    if improves:                        # not before it is written: a page may be stopped, and go on
        position.update(best=scores[run.task.key], best_epoch=row["epoch"])
    position.update(epoch=row["epoch"], batch=0, loss=0.0, count=0)
    run.note_time(row["epoch"])
    run.save()
    if run.finished and is_main():
        run.lock.release(force=True)
    barrier()                           # the others may read what is written
    return row


def write_epoch(run, row, improves):
    """Write the files of a finished epoch, the state aside, and say what looks wrong."""
    history = [*run.history(), row]
    with whole_file(run.folder / "history.jsonl") as beside:
        beside.write_text("".join(json.dumps(line) + "\n" for line in history), encoding="utf-8")
    if improves:
        with run.average.applied():
            run.task.save_best(run.folder / "best.safetensors", row)
    save_curves(history, run.folder / "curves.png", run.task)
    warn_of_loss(history)
    for complaint in run.task.complaints(history):
        warn(complaint)


def train(task, folder, device="cpu", resume=True, report=None):
    """Train a task in a folder until it is done, and return the history.

    Notebook 2 writes this loop out.

    report: function of an epoch's row, called in the main process after each epoch.
    """
    run = Run(task, folder, device, resume)
    if run.position["epoch"] == run.position["batch"] == 0:
        task.before_first_step()
    for epoch in run.epochs():
        with tqdm(run.batches(epoch), f"epoch {epoch + 1}/{run.settings.epochs}", leave=False,
                  total=run.steps_per_epoch, initial=run.position["batch"],
                  **bar_options()) as bar:
            for batch in bar:
                step(run, batch)
                bar.set_postfix_str(run.pace(), refresh=False)
        row = finish_epoch(run, validate(run))
        if is_main():
            tqdm.write(line_about(row, task.shown))
            if report:
                report(row)
    return run.history()


def line_about(row, names):
    """Return a line about an epoch: its number, its loss, and these entries of its row."""
    shown = {name: f"{value:.3f}" if isinstance(value, float) else repr(value)
             for name, value in row.items()}
    return (f"epoch {row['epoch']:3d}   loss {row['train_loss']:.3f}   "
            + "   ".join(f"{name.replace('_', ' ')} {shown[name]}" for name in names))
