"""The decoders by name, as settings and checkpoints call them.

All have one interface: `forward` and `hidden` for a whole caption, `begin` and `step` for a word at
a time.
"""

from functools import partial

from model import DecoderRNN

DECODERS = {"lstm_first": partial(DecoderRNN, inject="first"),
            "lstm_every": partial(DecoderRNN, inject="every")}
NAMES = tuple(DECODERS)


def build_decoder(name, vocab_size, **sizes):
    """An untrained decoder; `sizes` are embed_size, hidden_size, num_layers and dropout."""
    return DECODERS[name](vocab_size=vocab_size, **sizes)
