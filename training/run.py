"""The state of a training run: made from settings, saved at least once a minute, taken up again.

    Settings, folder --Run--> epochs() -> batches(epoch) -> save()

Order of batches, augmentation and dropout are functions of the seed and of the step. So a run that
was killed and started again, from whichever state it had saved last, ends with the same weights as
one that was not.
"""

import math
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch

from captioning.captioner import Captioner
from captioning.checkpoint import load_captioner, load_state, save_state
from captioning.evaluation import tokenized_references
from captioning.objectives import Loss
from captioning.self_critical import Rewards, SelfCritical
from coco.checkup import readable
from coco.dataset import read_split
from data_loader import CaptionData, tokenized
from decoders.registry import own_arguments, wants_grid
from encoders.backbones import transform_of
from encoders.features import cached_features, encode_split
from system.distributed import (
    any_of,
    data_parallel,
    is_main,
    is_single,
    main_first,
    rank,
    world_size,
)
from system.files import BadInput, read_json, write_json
from system.processor import choose_precision
from training.averaging import Average
from training.dropout import use_fast_dropout
from training.folders import claim, read_history
from training.watching import warn_of_shared
from vocabulary import Vocabulary, read_words

SAVE_EVERY = 45             # seconds between two saves of the state within an epoch
READ_EVERY = 50             # steps between two looks at the losses, for which a GPU must be waited


class Run:
    """A training run: data, captioner, optimizer and how far it has come."""

    def __init__(self, settings, folder, device="cpu", resume=True):
        self.started = time.monotonic()
        self.settings, self.folder, self.device = settings, Path(folder), device
        self.precision = choose_precision(settings.precision, device)
        with main_first():                                  # the others find the texts tokenised
            train, val = read_split(settings.data, "train"), read_split(settings.data, "val")
            self.lock = claim(self.folder, settings, resume) if is_main() else None
            train, self.val_split = readable(train), readable(val.first(settings.val_pictures))
            self.vocab = Vocabulary.build(tokenized(train), settings.vocab_threshold)
            self.train = CaptionData(train, self.vocab)
            self.val = CaptionData(self.val_split, self.vocab)
        self.references = tokenized_references(self.val_split)
        torch.manual_seed(settings.seed)
        self.captioner = Captioner.build(
            architecture(settings), self.vocab, transform_of(settings.encoder, settings.fit),
            settings.weights, settings.tune_from).to(device)
        if str(device) == "cpu":
            use_fast_dropout(self.captioner.decoder)
        if settings.start:                          # before its features are asked for
            take_over(self.captioner, settings.start)
        backbone, self.train.transform = self.captioner.encoder.backbone, self.captioner.transform
        if backbone.frozen:
            self.train.features = cached_features(backbone, self.train.transform, train,
                                                  settings.views)
        if is_main():
            warn_of_shared(train, self.val_split)
        self.optimizer = build_optimizer(self.captioner, settings)
        self.average = Average([parameter for group in self.optimizer.param_groups
                                for parameter in group["params"]], settings.average)
        self.steps_per_epoch = len(self.train.order(
            settings.batch_size, 0, 0, settings.one_per_picture, settings.together))
        self.begin(resume)

    def begin(self, resume):
        """Take the state from the folder, or write the first files into it."""
        self.position = {"epoch": 0, "batch": 0, "best": -1.0, "best_epoch": 0, "loss": 0.0,
                         "words": 0}
        self.spent = {"seconds": 0.0, "at_epoch": {}}       # for whoever asks what it took
        state, words = self.folder / "state.safetensors", self.folder / "vocabulary.json"
        if resume and state.exists():
            if (status := self.folder / "status.json").exists():
                found = read_json(status, "delete it")
                self.spent = {key: found.get(key, none) for key, none in self.spent.items()}
            if read_words(words) != self.vocab.words:
                raise BadInput(f"{words} is not of the captions that {self.settings.data} has now: "
                               "give another --run, or the data that this one was begun with")
            self.position = load_state(state, self.captioner, self.optimizer, self.average.values)
        if is_main():
            self.vocab.save(words)
            write_json(self.folder / "settings.json", asdict(self.settings), indent=1)
        encoder = self.captioner.encoder
        self.model = data_parallel(self.objective(encoder if self.train.features is None
                                             else encoder.embed, self.captioner.decoder))
        self.statistics = [one.clone() for one in encoder.backbone.buffers()]
        self.pending, self.loss, self.seconds = [], math.nan, None
        self.read_every = 1 if str(self.device) == "cpu" else READ_EVERY
        self.saved = self.began = time.monotonic()
        self.first = dict(self.position)

    def objective(self, encoder, decoder):
        """What the steps minimise: cross-entropy, or the rewards of samples."""
        settings = self.settings
        if settings.samples:
            return SelfCritical(encoder, decoder, Rewards(self.train.split, self.vocab),
                                settings.samples)
        return Loss(encoder, decoder, settings.label_smoothing, settings.word_dropout)

    def val_features(self):
        """The backbone's output for val: from the cache if it is frozen, else as it is now.

        All processes fill the cache; what is not kept there, only the main one computes.
        """
        encoder = self.captioner.encoder
        if encoder.backbone.frozen:
            return cached_features(encoder.backbone, self.captioner.transform, self.val_split)
        if not is_main():
            return None
        return encode_split(encoder.backbone, self.captioner.transform, self.val_split)

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
        """The batches of an epoch still to come, on the run's device: of each, this process's part.

        The state is saved every SAVE_EVERY seconds and at the end, since validation may take long.
        Ctrl-C waits for the step in hand, then saves, then interrupts.
        """
        settings, position = self.settings, self.position
        start = position["batch"] if epoch == position["epoch"] else 0
        self.captioner.encoder.train()
        self.captioner.decoder.train()
        self.began, self.first = time.monotonic(), dict(position)
        with interrupts() as asked:
            for batch in self.train.batches(
                    settings.batch_size, settings.seed, epoch, start, settings.one_per_picture,
                    settings.workers, (rank(), world_size()), settings.together,
                    bool(settings.samples)):
                self.stop_if(asked)
                if time.monotonic() - self.saved > SAVE_EVERY:
                    self.save()
                *inputs, which = batch          # lengths or pictures: needed on the CPU
                yield [*map(self.send, inputs), which]
            self.save()
            self.stop_if(asked)

    def send(self, tensor):
        """A tensor on the run's device; a GPU fetches it while the processor goes on."""
        on_gpu = str(self.device).startswith("cuda")
        return (tensor.pin_memory() if on_gpu else tensor).to(self.device, non_blocking=True)

    def stop_if(self, asked):
        """End here, with everything saved, if one of the processes was asked to."""
        if any_of(bool(asked)):
            self.save()
            raise KeyboardInterrupt(
                f"stopped in epoch {self.position['epoch'] + 1} after {self.position['batch']} of "
                f"{self.steps_per_epoch} steps, and saved in {self.folder}: start again with the "
                "same settings to go on (in the notebook, set RESUME = True)")

    def note_time(self, epoch):
        """Keep how many seconds the run had taken at the end of an epoch, encoding included."""
        now = time.monotonic()
        self.spent["at_epoch"][str(epoch)] = self.spent["seconds"] + now - self.started

    def tally(self):
        """Add the losses of the steps since the last reading; a GPU must be waited for here.

        Raises `BadInput` if one was no number. It is called before every save, so the state on
        disk is always one from before that step.
        """
        pending, self.pending = self.pending, []
        values = torch.stack([one for _, one in pending]).tolist() if pending else []
        for (number, _), (loss, words, norm) in zip(pending, values, strict=True):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise BadInput(f"the loss became {loss} at step {number}, its gradient {norm}: "
                               "lower the learning rate, or look for broken features")
            self.position["loss"] += loss
            self.position["words"] += int(words)
            self.loss = loss / words

    def save(self):
        """Write the state from which this run can go on."""
        self.tally()
        self.saved, done = time.monotonic(), self.position["batch"] - self.first["batch"]
        self.spent["seconds"] += self.saved - self.started
        self.started = self.saved
        if done > 0:
            self.seconds = (self.saved - self.began) / done * self.steps_per_epoch
        if is_main():
            save_state(self.folder / "state.safetensors", self.captioner, self.optimizer,
                       self.position, self.average.values)
            write_json(self.folder / "status.json", {
                **self.position, "steps_per_epoch": self.steps_per_epoch,
                "seconds_per_epoch": self.seconds, "finished": self.finished, **self.spent})

    def pace(self):
        """The last loss and the speed of this epoch, for a progress bar."""
        speed = (self.position["words"] - self.first["words"]) / (time.monotonic() - self.began)
        return f"loss {self.loss:.3f}, {speed:.0f} words/s"

    def history(self):
        """One dict per finished epoch."""
        return read_history(self.folder)[:self.position["epoch"]]


@contextmanager
def interrupts():
    """Hold back Ctrl-C and Jupyter's stop button; gives a list that is not empty once one came.

    A second one is not held back, except under torchrun, which sends it by itself.
    """
    asked = []

    def note(number, frame):
        asked.append(number)
        if is_single():
            signal.signal(signal.SIGINT, before)

    if threading.current_thread() is not threading.main_thread():   # no other may hear signals
        yield asked
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


def take_over(captioner, start):
    """Begin with the weights of another run's best captioner, of the same build and words."""
    other = load_captioner(start)
    if (other.architecture, other.vocab.words) != (captioner.architecture, captioner.vocab.words):
        raise BadInput(f"{start} is another kind of captioner, or of other words: give the same "
                       "encoder, decoder, sizes and data as it was trained with")
    captioner.load_tensors(other.tensors())


def architecture(settings):
    """Return the arguments of encoder and decoder that a checkpoint must know."""
    name, sizes = settings.decoder, ("embed_size", "hidden_size", "num_layers", "dropout")
    return {"encoder": {"backbone": settings.encoder, "grid": wants_grid(name)},
            "decoder": {"name": name, **{key: getattr(settings, key) for key in sizes},
                        **own_arguments(name)}}


def build_optimizer(captioner, settings):
    """AdamW over the decoder, the linear layer and, at its own rate, tuned encoder stages."""
    tuned = [p for p in captioner.encoder.backbone.parameters() if p.requires_grad]
    heads = [*captioner.encoder.embed.parameters(), *captioner.decoder.parameters()]
    groups = [{"params": heads, "peak": settings.learning_rate}]
    groups += [{"params": tuned, "peak": settings.encoder_rate}] if tuned else []
    return torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
