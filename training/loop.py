"""Training: cross-entropy on every word, validated by free-running CIDEr.

    Settings --Run--> step(run, batch) ... validate(run) -> finish_epoch(run, scores) ... and again

Under torchrun each process takes its share of every batch, and the gradient is that of the whole:
the loss is divided by the words of all processes together.

    torchrun --nproc-per-node=2 -- train.py --data data/scenes --run runs/scenes
"""

import json
import math
from dataclasses import asdict

import torch
from tqdm.auto import tqdm

from captioning.checkpoint import save_captioner
from captioning.evaluation import score
from captioning.objectives import caption_loss
from figures.pictures import save_curves
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
from training.folders import fresh_folder, newest_run, read_history
from training.run import Run
from training.watching import tensorboard, warn_of_epoch, write_scalars

__all__ = ["Run", "caption_loss", "finish_epoch", "fresh_folder", "newest_run", "rate_at",
           "read_history", "step", "train", "validate"]        # what a page of training needs


def rate_at(step, settings, steps):
    """The share of the peak learning rate at `step` of `steps`: linear rise, then cosine."""
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    share = (step - settings.warmup) / max(1, steps - settings.warmup)
    return 0.5 * (1 + math.cos(math.pi * share))


def step(run, batch):
    """One optimizer step on a batch of `run.batches`: loss per word, words.

    Nothing here waits for a GPU, so both are tensors, and a loss that is no number is noticed some
    steps later, by `run.tally`; on a CPU at once, before it spoils the weights.
    """
    settings, position, device = run.settings, run.position, torch.device(run.device).type
    number = position["epoch"] * run.steps_per_epoch + position["batch"]
    # dropout: a function of the step, and another in every process
    torch.manual_seed(settings.seed * 1_000_003 + number + rank() * 15_485_863)
    for group in run.optimizer.param_groups:
        group["lr"] = group["peak"] * rate_at(number, settings,
                                              settings.epochs * run.steps_per_epoch)
    with torch.autocast(device, torch.bfloat16, enabled=run.precision == "bfloat16"):
        objective, loss, words = run.model(*batch)
    all_loss, all_words = all_reduce(torch.stack([loss, words]))
    run.optimizer.zero_grad()
    (objective * world_size() / all_words).backward()         # processes average their gradients
    norm = torch.nn.utils.clip_grad_norm_(
        [p for group in run.optimizer.param_groups for p in group["params"]], settings.clip)
    run.pending.append((number, torch.stack([all_loss, all_words, norm])))
    if len(run.pending) >= run.read_every:
        run.tally()
    run.optimizer.step()
    run.average.update(number)
    position["batch"] += 1
    return all_loss / all_words, all_words


@torch.no_grad()
def validate(run):
    """Loss per word under teacher forcing, and scores and sentences of free-running captions.

    The main process does it for all.
    """
    run.captioner.encoder.eval()
    run.captioner.decoder.eval()
    with run.average.in_use():
        run.val.features = run.val_features()
        return broadcast(measure(run) if is_main() else None)


def measure(run):
    """The scores of `validate`, in this process."""
    captioner, total_loss, total_words = run.captioner, 0.0, 0
    for batch in run.val.batches(256):
        features, captions, lengths = (tensor.to(run.device) for tensor in batch)
        scores = captioner.decoder(captioner.encoder.embed(features), captions)
        loss, words = caption_loss(scores, captions, lengths)
        total_loss, total_words = total_loss + loss.item(), total_words + words.item()
    sentences = [found[0] for found in captioner.sentences(run.val.features[0])]
    scores, _ = score(sentences, run.references)
    loss = total_loss / total_words
    return {"val_loss": loss, "perplexity": math.exp(loss), **scores, "sentence": sentences[0]}


def finish_epoch(run, scores):
    """Write an epoch's history, its captioner if it is the best so far, the curves, the state."""
    run.tally()
    position = run.position
    row = {"epoch": position["epoch"] + 1, "train_loss": position["loss"] / position["words"],
           **scores}
    better = scores["CIDEr"] > position["best"]
    if is_main():
        history = [*run.history(), row]
        with whole_file(run.folder / "history.jsonl") as beside:
            beside.write_text("".join(json.dumps(line) + "\n" for line in history),
                              encoding="utf-8")
        if better:
            with run.average.in_use():
                save_captioner(run.folder / "best.safetensors", run.captioner,
                               settings=asdict(run.settings), val=row)
        save_curves(history, run.folder / "curves.png")
        warn_of_epoch(history, run)
    if better:                          # not before it is written: a page may be stopped, and go on
        position.update(best=scores["CIDEr"], best_epoch=row["epoch"])
    position.update(epoch=row["epoch"], batch=0, loss=0.0, words=0)
    run.note_time(row["epoch"])
    run.save()
    if run.finished and is_main():
        run.lock.release(force=True)
    barrier()                              # the others may read what is written
    return row


def train(settings, folder, device="cpu", resume=True, scalars=False):
    """Train until done; the whole loop, which notebook 2 writes out. Returns the history.

    scalars: send the numbers of each epoch to TensorBoard.
    """
    run = Run(settings, folder, device, resume)
    writer = tensorboard(folder, run.position["epoch"]) if scalars and is_main() else None
    for epoch in run.epochs():
        with tqdm(run.batches(epoch), f"epoch {epoch + 1}/{settings.epochs}", leave=False,
                  total=run.steps_per_epoch, initial=run.position["batch"], **bar_options()) as bar:
            for batch in bar:
                step(run, batch)
                bar.set_postfix_str(run.pace(), refresh=False)
        row = finish_epoch(run, validate(run))
        if is_main():
            tqdm.write("epoch {epoch:3d}   loss {train_loss:.3f}   val loss {val_loss:.3f}   CIDEr "
                       "{CIDEr:.3f}   {distinct} distinct captions   {sentence!r}".format(**row))
        if writer:
            write_scalars(writer, row)
    return run.history()
