"""The decoders by name, as settings and checkpoints call them.

    name --build_decoder--> a decoder: forward, hidden and score, begin and step, grid, regularizer

A decoder of your own is added to DECODERS by your own module: see docs/EXTENDING.md.
"""

import inspect
from functools import partial

from decoders.adaptive import AdaptiveAttention
from decoders.attention import SoftAttention, UpDown
from decoders.hard import HardAttention
from decoders.transformer import ObjectTransformer, Transformer
from model import DecoderRNN

DECODERS = {"lstm_first": partial(DecoderRNN, inject="first"),
            "lstm_every": partial(DecoderRNN, inject="every"),
            "soft": SoftAttention, "hard": HardAttention, "adaptive": AdaptiveAttention,
            "updown": UpDown, "transformer": Transformer, "objects": ObjectTransformer}
NAMES = DECODERS.keys()         # a view: it has what is added later
COMMON = {"embed_size", "hidden_size", "vocab_size", "num_layers", "dropout"}   # arguments of all


def build_decoder(name, vocab_size, **arguments):
    """Build an untrained decoder; ValueError for an argument that is not its own or in COMMON."""
    own = own_arguments(name)
    for key, value in arguments.items():
        if key not in COMMON and not (key in own and type(value) is type(own[key])):
            takes = ", ".join(f"{one}={default!r}" for one, default in own.items()) or "none"
            raise ValueError(f"decoder {name} takes no argument {key!r:.40} with the value "
                             f"{value!r:.40}; those of its own are: {takes}")
    return DECODERS[name](vocab_size=vocab_size, **arguments)


def wants_grid(name):
    """Tell whether a decoder reads the cells of a grid, not one vector a picture."""
    kind = DECODERS[name]
    return (kind.func if isinstance(kind, partial) else kind).grid


def own_arguments(name):
    """Return the arguments that a decoder takes besides COMMON, with their defaults."""
    # A checkpoint's header holds them as JSON, so only plain values can be arguments of its own.
    declared = inspect.signature(DECODERS[name]).parameters.values()
    return {one.name: one.default for one in declared
            if one.name not in COMMON and type(one.default) in (int, float, bool, str)}
