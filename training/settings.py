"""Everything a training run depends on besides its code and its machine, and its named recipes.

The same fields are the notebook's parameters, the command's options, and the `settings.json` of a
run's folder.
"""

import argparse
from dataclasses import MISSING, dataclass, field, fields

from decoders import registry as decoders
from encoders.backbones import NAMES
from system.files import BadInput


def dial(default, meaning):
    """A field with its meaning, which is also the text of its option."""
    return field(default=default, metadata={"help": meaning})


@dataclass(frozen=True)
class Settings:
    """The dials of a run. Captions are counted one by one: five to a picture of COCO."""

    data: str = field(metadata={"help": "dataset in COCO's layout"})
    encoder: str = dial("efficientnet_lite0", "backbone, see backbones.NAMES")
    weights: str | None = dial("pretrained", "pretrained, or a local .pth or .safetensors file")
    fit: str = dial("squash", "picture to square: squash it, or crop the middle")
    tune_from: int | None = dial(None, "first encoder stage that trains; none is frozen")
    views: int = dial(2, "cached views of a training picture: 1 is as it is, more are augmented")
    vocab_threshold: int = dial(5, "occurrences in train below which a word is <unk>")
    one_per_picture: bool = dial(False, "an epoch has one caption a picture instead of all")
    decoder: str = dial("lstm_every", "decoder, see decoders.NAMES")
    embed_size: int = dial(512, "size of image and word vectors")
    hidden_size: int = dial(512, "size of the LSTM's state")
    num_layers: int = dial(1, "LSTM layers")
    dropout: float = dial(0.5, "share of word vectors and of the LSTM's outputs silenced")
    epochs: int = dial(8, "passes over the captions at most")
    batch_size: int = dial(64, "captions a step")
    learning_rate: float = dial(2e-3, "peak rate of AdamW")
    encoder_rate: float = dial(1e-5, "peak rate of tuned encoder stages")
    warmup: int = dial(200, "steps of linear rise, before a cosine fall to 0")
    weight_decay: float = dial(0.0, "AdamW's, a step and unit of learning rate")
    label_smoothing: float = dial(0.0, "share of a target's probability spread over all words")
    word_dropout: float = dial(0.0, "share of the words read that become <unk>")
    average: float = dial(0.0, "decay a step of the averaged weights that are used; 0 is off")
    start: str | None = dial(None, "run or checkpoint whose weights the training begins with")
    samples: int = dial(0, "self-critical: captions sampled of a picture; 0 is cross-entropy")
    together: int = dial(0, "captions of a picture in one batch; 0 mixes captions by length")
    clip: float = dial(5.0, "largest norm of the gradient")
    patience: int = dial(3, "epochs without a better CIDEr before stopping")
    val_pictures: int = dial(1000, "pictures of val captioned and scored after each epoch")
    seed: int = dial(0, "of weights, order, views and dropout")
    workers: int = dial(0, "processes that read pictures where features are not cached")
    precision: str = dial("auto", "of the steps: float32, bfloat16, or auto, the device's fastest")

    def __post_init__(self):
        rules = {
            "encoder must be one of " + ", ".join(NAMES): self.encoder in NAMES,
            "fit must be squash or crop": self.fit in ("squash", "crop"),
            "decoder must be one of " + ", ".join(decoders.NAMES): self.decoder in decoders.NAMES,
            "precision must be auto, float32 or bfloat16":
                self.precision in ("auto", "float32", "bfloat16"),
            "tune_from must be a stage, 0 or more": self.tune_from is None or self.tune_from >= 0,
            "dropout, label_smoothing, word_dropout and average must be at least 0 and below 1":
                all(0 <= share < 1 for share in (self.dropout, self.label_smoothing,
                                                 self.word_dropout, self.average)),
            "learning_rate, encoder_rate and clip must be above 0":
                min(self.learning_rate, self.encoder_rate, self.clip) > 0,
            "samples must be 0, or 2 or more with one_per_picture":
                self.samples == 0 or self.samples > 1 and self.one_per_picture,
            "warmup, weight_decay, together, workers and seed must not be negative":
                min(self.warmup, self.weight_decay, self.together, self.workers, self.seed) >= 0,
        }
        whole = ("views", "vocab_threshold", "embed_size", "hidden_size", "num_layers", "epochs",
                 "batch_size", "patience", "val_pictures")
        rules |= {f"{name} must be 1 or more": getattr(self, name) >= 1 for name in whole}
        for rule, kept in rules.items():
            if not kept:
                raise BadInput(f"{rule}: change that setting")


# A recipe's name keeps its meaning for good: scores are quoted with it.
ATTENTION = {"encoder": "efficientnet_lite2", "decoder": "adaptive", "views": 3,
             "label_smoothing": 0.1, "learning_rate": 1.5e-3, "average": 0.998}
RECIPES = {
    # Show and Tell's LSTM (arXiv:1411.4555) on a frozen pooled feature, seen at every step
    "seed": {},
    # the same, small enough for a minute on a laptop: notebook 2 on the drawn scenes
    "small": {"epochs": 12, "embed_size": 256, "hidden_size": 256, "learning_rate": 3e-3,
              "dropout": 0.2, "views": 1},
    # Knowing When to Look (arXiv:1612.01887) on the grid of a larger frozen encoder
    "attention": ATTENTION,
    # its encoder learns too: needs --start, a run of "attention"
    "tuned": {**ATTENTION, "tune_from": 5, "together": 5, "learning_rate": 3e-4,
              "encoder_rate": 3e-5, "epochs": 4},
    # taught by the CIDEr of its own sentences: needs --start, a run of "tuned"
    "critical": {**ATTENTION, "tune_from": 5, "samples": 5, "one_per_picture": True,
                 "batch_size": 32, "learning_rate": 1e-4, "warmup": 20, "average": 0.98,
                 "epochs": 5, "patience": 5},
}


def add_options(parser):
    """Give `parser` an option for every field; those not given are absent from its result."""
    for one in fields(Settings):
        kind = next(kind for kind in (bool, int, float, str)
                    if one.type in (kind, kind | None))
        shown = "" if one.default is MISSING else f" ({one.default})"
        how = {"action": argparse.BooleanOptionalAction} if kind is bool else {"type": kind}
        parser.add_argument(f"--{one.name.replace('_', '-')}", default=argparse.SUPPRESS,
                            required=one.default is MISSING,
                            help=one.metadata["help"] + shown, **how)


def options_of(settings, recipe=None):
    """Return the options of `add_options` that give `settings` again, as a list of words.

    recipe: a dict of settings that the command has without options; by default the defaults.
    """
    known = {one.name: one.default for one in fields(settings)} | (recipe or {})
    words = []
    for one in fields(settings):
        value, name = getattr(settings, one.name), one.name.replace("_", "-")
        if value == known[one.name]:
            continue
        if one.type is bool:
            words.append(f"--{name}" if value else f"--no-{name}")
        else:
            words += [f"--{name}", str(value)]
    return words
