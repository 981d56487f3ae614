"""An untrained captioner for tests that need sentences and not good ones.

    words --untrained--> Captioner: EfficientNet-Lite0, an LSTM of 12, weights as a checkpoint keeps
"""

import torch

from captioning.captioner import Captioner
from encoders.backbones import transform_of
from vocabulary import Vocabulary


def untrained(words):
    """Return a captioner of these words, sharp enough to say something else of every colour."""
    torch.manual_seed(3)
    architecture = {"encoder": {"backbone": "efficientnet_lite0", "grid": False},
                    "decoder": {"embed_size": 12, "hidden_size": 12, "num_layers": 1,
                                "name": "lstm_every", "dropout": 0.5}}
    made = Captioner.build(architecture, Vocabulary(words=words),
                           transform_of("efficientnet_lite0"))
    with torch.no_grad():
        for parameter in [*made.encoder.embed.parameters(), *made.decoder.parameters()]:
            parameter.mul_(4).copy_(parameter.half())       # as a checkpoint will keep it
    return made
