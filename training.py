"""Training: cross-entropy on every word, validated by free-running CIDEr.

    Settings --Run--> step(run, batch) ... validate(run) -> save(run, scores)      until it stops

A run is a folder: `settings.json`, `vocabulary.json`, `history.jsonl` (a line per epoch),
`best.safetensors` (the captioner with the best CIDEr on val) and `state.safetensors` (to go on).
Order of batches, augmentation and dropout are functions of the seed and of the step, so a run that
was interrupted and started again ends with the same weights as one that was not.
"""

import argparse
import itertools
import json
import math
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
from torch.nn import functional
from tqdm.auto import tqdm

from backbones import transform_of
from checkpoint import Captioner, load_state, save_captioner, save_state
from checkup import readable
from coco import read_split
from data_loader import CaptionData, tokenized
from evaluation import caption_features, score, tokenized_references
from features import cached_features, encode_split
from files import BadInput, read_json, run_command, whole_file, write_json
from settings import RECIPES, Settings, add_options
from vocabulary import Vocabulary, read_words

SAVE_EVERY = 60             # seconds between two saves of the state within an epoch


class Run:
    """A training run: data, captioner, optimizer and how far it has come."""

    def __init__(self, settings, folder, device="cpu", resume=True):
        self.settings, self.folder, self.device = settings, Path(folder), device
        claim(self.folder, settings, resume)
        torch.manual_seed(settings.seed)
        train = readable(read_split(settings.data, "train"))
        self.val_split = readable(read_split(settings.data, "val").first(settings.val_pictures))
        self.vocab = Vocabulary.build(tokenized(train), settings.vocab_threshold)
        state, words = self.folder / "state.safetensors", self.folder / "vocabulary.json"
        if resume and state.exists() and read_words(words) != self.vocab.words:
            raise BadInput(f"{words} is not of the captions that {settings.data} has now: give "
                           "another --run, or the data that this one was begun with")
        self.vocab.save(words)
        self.captioner = Captioner.build(
            architecture(settings), self.vocab, transform_of(settings.encoder, settings.fit),
            settings.weights, settings.tune_from).to(device)
        backbone, transform = self.captioner.encoder.backbone, self.captioner.transform
        features = cached_features(backbone, transform, train, settings.views) if (
            backbone.frozen) else None
        self.train = CaptionData(train, self.vocab, features, transform)
        self.val = CaptionData(self.val_split, self.vocab)
        self.references = tokenized_references(self.val_split)
        self.optimizer = build_optimizer(self.captioner, settings)
        self.steps_per_epoch = len(self.train.order(
            settings.batch_size, 0, 0, settings.one_per_picture))
        self.position = {"epoch": 0, "batch": 0, "best": -1.0, "best_epoch": 0, "loss": 0.0,
                         "words": 0}
        if resume and state.exists():
            self.position = load_state(state, self.captioner, self.optimizer)
        write_json(self.folder / "settings.json", asdict(settings), indent=1)
        self.saved = time.monotonic()

    def val_features(self):
        """The backbone's output for val: from the cache if it is frozen, else as it is now."""
        encode = cached_features if self.captioner.encoder.backbone.frozen else encode_split
        return encode(self.captioner.encoder.backbone, self.captioner.transform, self.val_split)

    def epochs(self):
        """The epochs still to run; stops early when CIDEr has not risen for `patience` epochs."""
        while not self.finished:
            yield self.position["epoch"]

    @property
    def finished(self):
        """True once all epochs are done or CIDEr has stopped rising."""
        epoch, best = self.position["epoch"], self.position["best_epoch"]
        return epoch >= self.settings.epochs or epoch - best >= self.settings.patience

    def batches(self, epoch):
        """The batches of an epoch still to come, on the run's device."""
        settings = self.settings
        self.captioner.encoder.train()
        self.captioner.decoder.train()
        for batch in self.train.batches(settings.batch_size, settings.seed, epoch,
                                        self.position["batch"], settings.one_per_picture,
                                        settings.workers):
            if time.monotonic() - self.saved > SAVE_EVERY:
                self.save()
            yield [tensor.to(self.device, non_blocking=True) for tensor in batch]

    def save(self):
        """Write the state from which this run can go on."""
        save_state(self.folder / "state.safetensors", self.captioner, self.optimizer, self.position)
        self.saved = time.monotonic()

    def history(self):
        """One dict per finished epoch."""
        return read_history(self.folder)[:self.position["epoch"]]


def read_history(folder):
    """The epochs of a run's folder, one dict each; none if none is finished."""
    path = Path(folder) / "history.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def claim(folder, settings, resume):
    """Refuse a folder that holds a run with other settings, or any run if it is not resumed."""
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file: give --run a folder")
    path = folder / "settings.json"
    if path.exists():
        if not resume:
            raise BadInput(f"{folder} holds a run already: give another folder, or resume it")
        before, now = read_json(path, "give another --run"), asdict(settings)
        changed = [f"{key} was {before.get(key)!r}, is {now[key]!r}"
                   for key in now if before.get(key) != now[key]]
        if changed:
            raise BadInput(f"{folder} holds a run with other settings ({'; '.join(changed)}): "
                           "give another --run, or the same settings to go on")


def fresh_folder(folder):
    """`folder`, or the first of folder-2, folder-3 ... where no run is yet."""
    names = itertools.chain([str(folder)], (f"{folder}-{number}" for number in itertools.count(2)))
    return next(name for name in names if not (Path(name) / "settings.json").exists())


def newest_run(folder="runs"):
    """The run under `folder` whose best captioner was written last."""
    runs = [path.parent for path in Path(folder).glob("*/best.safetensors")]
    if not runs:
        raise BadInput(f"there is no trained run under {folder}/: run 2_Training.ipynb first, or "
                       "python training.py")
    return max(runs, key=lambda run: (run / "best.safetensors").stat().st_mtime)


def architecture(settings):
    """The arguments of encoder and decoder that a checkpoint must know."""
    return {"encoder": {"backbone": settings.encoder, "grid": False},
            "decoder": {key: getattr(settings, key) for key in (
                "embed_size", "hidden_size", "num_layers", "inject", "dropout")}}


def build_optimizer(captioner, settings):
    """AdamW over the decoder, the linear layer and, at its own rate, tuned encoder stages."""
    tuned = [p for p in captioner.encoder.backbone.parameters() if p.requires_grad]
    heads = [*captioner.encoder.embed.parameters(), *captioner.decoder.parameters()]
    groups = [{"params": heads, "peak": settings.learning_rate}]
    groups += [{"params": tuned, "peak": settings.encoder_rate}] if tuned else []
    return torch.optim.AdamW(groups, weight_decay=settings.weight_decay)


def caption_loss(scores, captions, lengths):
    """Cross-entropy summed over the words that count, and how many these are.

    scores (B, T, V), captions (B, T), lengths (B,).  `<start>` is given, not predicted, and what
    lies past a caption's length is filling: neither counts. `<end>` does.
    """
    place = torch.arange(captions.shape[1], device=captions.device)
    counts = (place > 0) & (place < lengths[:, None])                          # (B, T)
    targets = captions.masked_fill(~counts, -100)
    loss = functional.cross_entropy(scores.flatten(0, 1), targets.flatten(), reduction="sum")
    return loss, counts.sum()


def rate_at(step, settings, steps):
    """The share of the peak learning rate at `step` of `steps`: linear rise, then cosine."""
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    share = (step - settings.warmup) / max(1, steps - settings.warmup)
    return 0.5 * (1 + math.cos(math.pi * share))


def step(run, batch):
    """One optimizer step on (features or images, captions, lengths): loss per word, words."""
    images, captions, lengths = batch
    settings, position, encoder = run.settings, run.position, run.captioner.encoder
    number = position["epoch"] * run.steps_per_epoch + position["batch"]
    torch.manual_seed(settings.seed * 1_000_003 + number)       # dropout: a function of the step
    for group in run.optimizer.param_groups:
        group["lr"] = group["peak"] * rate_at(number, settings,
                                              settings.epochs * run.steps_per_epoch)
    features = encoder(images) if run.train.features is None else encoder.embed(images)
    loss, words = caption_loss(run.captioner.decoder(features, captions), captions, lengths)
    run.optimizer.zero_grad()
    (loss / words).backward()
    norm = torch.nn.utils.clip_grad_norm_(
        [p for group in run.optimizer.param_groups for p in group["params"]], settings.clip)
    loss, words = loss.item(), words.item()
    if not (math.isfinite(loss) and torch.isfinite(norm)):      # before it spoils the weights
        raise BadInput(f"the loss became {loss} at step {number}, its gradient {norm.item()}: "
                       "lower the learning rate, or look for broken features")
    run.optimizer.step()
    position["batch"] += 1
    position["loss"] += loss
    position["words"] += words
    return loss / words, words


@torch.no_grad()
def validate(run):
    """Loss per word under teacher forcing, and scores and sentences of free-running captions."""
    captioner, device = run.captioner, run.device
    captioner.encoder.eval()
    captioner.decoder.eval()
    run.val.features = run.val_features()
    total = words = 0
    for batch in run.val.batches(256):
        features, captions, lengths = (tensor.to(device) for tensor in batch)
        scores = captioner.decoder(captioner.encoder.embed(features), captions)
        loss, count = caption_loss(scores, captions, lengths)
        total, words = total + loss.item(), words + count.item()
    sentences = [found[0] for found in caption_features(captioner, run.val.features[0])]
    scores, _ = score(sentences, run.references)
    return {"val_loss": total / words, "perplexity": math.exp(total / words), **scores,
            "sentence": sentences[0]}


def finish_epoch(run, scores):
    """Write an epoch's history, its captioner if it is the best so far, and the state."""
    position = run.position
    row = {"epoch": position["epoch"] + 1, "train_loss": position["loss"] / position["words"],
           **scores}
    with whole_file(run.folder / "history.jsonl") as beside:
        beside.write_text("".join(json.dumps(line) + "\n" for line in [*run.history(), row]),
                          encoding="utf-8")
    if scores["CIDEr"] > position["best"]:
        position.update(best=scores["CIDEr"], best_epoch=row["epoch"])
        save_captioner(run.folder / "best.safetensors", run.captioner,
                       settings=asdict(run.settings), val=row)
    position.update(epoch=row["epoch"], batch=0, loss=0.0, words=0)
    run.save()
    return row


def train(settings, folder, device="cpu", resume=True):
    """Train until done; the whole loop, which notebook 2 writes out. Returns the history."""
    run = Run(settings, folder, device, resume)
    for epoch in run.epochs():
        with tqdm(run.batches(epoch), f"epoch {epoch + 1}/{settings.epochs}", leave=False,
                  total=run.steps_per_epoch, initial=run.position["batch"]) as bar:
            began, seen = time.monotonic(), 0
            for batch in bar:
                loss, words = step(run, batch)
                seen += words
                bar.set_postfix_str(f"loss {loss:.3f}, {seen / (time.monotonic() - began):.0f} "
                                    "words/s", refresh=False)
        row = finish_epoch(run, validate(run))
        tqdm.write("epoch {epoch:3d}   loss {train_loss:.3f}   val loss {val_loss:.3f}   CIDEr "
                   "{CIDEr:.3f}   {distinct} distinct captions   {sentence!r}".format(**row))
    return run.history()


def arguments():
    parser = argparse.ArgumentParser(
        description="Train a captioner. Started again with the same options, an interrupted run "
        "goes on where it stopped. Defaults in brackets.")
    parser.add_argument("--run", required=True, help="folder of the run, new or to be resumed")
    parser.add_argument("--recipe", choices=RECIPES, default="seed",
                        help="named settings; options given beside it win (seed)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu",
                        help="cpu, cuda or mps (%(default)s)")
    add_options(parser)
    return vars(parser.parse_args())


def main():
    options = arguments()
    folder, device, recipe = options.pop("run"), options.pop("device"), options.pop("recipe")
    settings = Settings(**{**RECIPES[recipe], **options})
    before = read_history(folder)
    try:
        history = train(settings, folder, device)
    except KeyboardInterrupt:
        print(f"\nstopped; the same command goes on with {folder}", file=sys.stderr)
        return 130
    best = max(history, key=lambda row: row["CIDEr"])
    state = "was finished already" if len(history) == len(before) else "finished"
    print(f"{state}: best CIDEr {best['CIDEr']:.3f} on {settings.data} val after epoch "
          f"{best['epoch']}\nnext: python evaluation.py {folder} --data {settings.data}")
    return 0


if __name__ == "__main__":
    run_command(main)
