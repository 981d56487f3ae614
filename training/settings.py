"""The settings that every training has, and settings as the options of a command.

A task's settings are a subclass with fields of its own. The same fields are a notebook's
parameters, the command's options, and the `settings.json` of a run's folder.
"""

import argparse
import re
from dataclasses import MISSING, dataclass, field, fields

from system.files import BadInput


def dial(default, meaning):
    """Return a dataclass field with its meaning, which is also the help of its option."""
    return field(default=default, metadata={"help": meaning})


@dataclass(frozen=True)
class Settings:
    """The engine's settings; raises `BadInput` for a value that makes no sense."""

    data: str = field(metadata={"help": "dataset in COCO's layout"})
    epochs: int = dial(8, "epochs at most, each a pass over the training data, or several over "
                          "few items")
    batch_size: int = dial(64, "items a step")
    learning_rate: float = dial(2e-3, "peak rate of AdamW")
    warmup: int = dial(200, "steps of linear rise, before a cosine fall to 0")
    clip: float = dial(5.0, "largest norm of the gradient")
    average: float = dial(0.0, "decay a step of the averaged weights that are used; 0 is off")
    patience: int = dial(3, "epochs without a better score before stopping")
    seed: int = dial(0, "random seed of weights, order, views and dropout")
    workers: int = dial(0, "processes that read pictures where features are not cached")
    precision: str = dial("auto", "number type of the steps: float32, bfloat16, or auto, the "
                          "device's fastest")

    def __post_init__(self):
        for rule, kept in self.rules().items():
            if not kept:
                options = [option_name(one.name) for one in fields(self)
                           if re.search(rf"\b{one.name}\b", rule)]
                raise BadInput(f"{rule}: change that setting, {' or '.join(options)}")

    def beside(self):
        """Return what evaluate.py needs as --boxes beside a checkpoint of this training, or None.
        """
        return None

    def rules(self):
        """Return {what must hold: whether it does}; a subclass adds rules of its own."""
        return {
            **at_least_one(self, "epochs", "batch_size", "patience"),
            "learning_rate and clip must be above 0": min(self.learning_rate, self.clip) > 0,
            "average must be at least 0 and below 1": 0 <= self.average < 1,
            "warmup, workers and seed must not be negative":
                min(self.warmup, self.workers, self.seed) >= 0,
            "seed must be at most 4294967295": self.seed < 2**32,   # torch gets a million times it
            "precision must be auto, float32 or bfloat16":
                self.precision in ("auto", "float32", "bfloat16"),
        }


def at_least_one(settings, *names):
    """Return the rules that these whole numbers are 1 or more."""
    return {f"{name} must be 1 or more": getattr(settings, name) >= 1 for name in names}


def add_options(parser, kind):
    """Add an option to `parser` for every field of the settings class `kind`.

    Options that are not given are absent from what the parser returns, so a recipe may fill them.
    """
    for one in fields(kind):
        value = next(value for value in (bool, int, float, str)
                     if one.type in (value, value | None))
        shown = "" if one.default is MISSING else f" ({one.default})"
        how = {"action": argparse.BooleanOptionalAction} if value is bool else {
            "type": value if one.type is value else none_or(value)}
        parser.add_argument(option_name(one.name), default=argparse.SUPPRESS,
                            required=one.default is MISSING,
                            # argparse reads % as the start of a name of its own
                            help=(one.metadata["help"] + shown).replace("%", "%%"), **how)


def none_or(kind):
    """Return a function that reads the word None as None and any other as `kind` does."""
    def read(text):
        return None if text == "None" else kind(text)

    read.__name__ = kind.__name__           # argparse shows it
    return read


def options_of(settings, recipe=None):
    """Return the options of `add_options` that give `settings` again, as a list of words.

    recipe: a dict of settings that the command has without options; by default the defaults.
    """
    known = {one.name: one.default for one in fields(settings)} | (recipe or {})
    words = []
    for one in fields(settings):
        value, option = getattr(settings, one.name), option_name(one.name)
        if value == known[one.name]:
            continue
        if one.type is bool:
            words.append(option if value else f"--no-{option[2:]}")
        else:
            words += [option, str(value)]
    return words


def option_name(field_name):
    """Return the option of a field: `batch_size` -> `--batch-size`."""
    return f"--{field_name.replace('_', '-')}"
