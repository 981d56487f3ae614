"""The decoders by name, as settings and checkpoints call them.

All have one interface: `forward` and `hidden` for a whole caption, `begin` and `step` for a word at
a time. Those of GRIDS look at the cells of the feature map, those of POOLED at their mean. One of
your own is added to either dict, by your own module: see EXTENDING.md.
"""

from collections import ChainMap
from functools import partial

from decoders.attention import AdaptiveAttention, SoftAttention, UpDown
from decoders.transformer import ObjectTransformer, Transformer
from model import DecoderRNN

GRIDS = {"soft": SoftAttention, "adaptive": AdaptiveAttention, "updown": UpDown,
         "transformer": Transformer, "objects": ObjectTransformer}
POOLED = {"lstm_first": partial(DecoderRNN, inject="first"),
          "lstm_every": partial(DecoderRNN, inject="every")}
DECODERS = ChainMap(GRIDS, POOLED)      # and NAMES: views, which see what is added later
NAMES = DECODERS.keys()


def build_decoder(name, vocab_size, **sizes):
    """An untrained decoder; `sizes` are embed_size, hidden_size, num_layers and dropout."""
    return DECODERS[name](vocab_size=vocab_size, **sizes)
