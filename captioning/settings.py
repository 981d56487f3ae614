"""The settings of a captioner's training, and its named recipes."""

from dataclasses import dataclass

from decoders.registry import NAMES as DECODERS
from decoders.registry import wants_grid
from encoders.backbones import NAMES as ENCODERS
from system.files import BadInput
from training.settings import Settings, at_least_one, dial


@dataclass(frozen=True)
class CaptioningSettings(Settings):
    """What a captioner's training depends on. Captions are counted one by one: five a picture."""

    encoder: str = dial("efficientnet_lite0", "backbone, see encoders/backbones.py")
    weights: str | None = dial("pretrained", "pretrained, or a local .pth or .safetensors file")
    boxes: str | None = dial(None, "where regions come from, in place of a grid's cells: a run of "
                             "recipe detector, truth for those of the instances file, a detector "
                             "of torchvision as fasterrcnn_resnet50_fpn_v2, or a file or folder "
                             "of bottom-up features")
    fit: str = dial("squash", "picture to square: squash it, or crop the middle")
    tune_from: int | None = dial(None, "first encoder stage that trains; none is frozen")
    encoder_rate: float = dial(1e-5, "peak rate of tuned encoder stages")
    views: int = dial(2, "cached views of a training picture: 1 is as it is, more are augmented")
    vocab_threshold: int = dial(5, "occurrences in train below which a word is <unk>")
    one_per_picture: bool = dial(False, "an epoch has one caption a picture instead of all")
    captions_per_picture: int = dial(
        0, "captions of a picture side by side in a batch; 0 mixes captions by length")
    decoder: str = dial("lstm_every", "decoder, see decoders/registry.py")
    embed_size: int = dial(512, "size of image and word vectors")
    hidden_size: int = dial(512, "size of the decoder's state")
    num_layers: int = dial(1, "layers of the decoder")
    dropout: float = dial(0.5, "fraction of word vectors and of outputs silenced")
    label_smoothing: float = dial(0.0, "fraction of a target's probability spread over all words")
    start: str | None = dial(None, "run or checkpoint whose words and weights training begins with")
    max_length: int | None = dial(
        None, "ids of a caption written, <start> and <end> counted; by default 20, or more where "
        "more than a twentieth of train's captions are longer")
    no_repeat_ngram: int = dial(0, "words of an n-gram that a written caption has once only; 0 is "
                                "off, and right where 'a red' may stand twice")
    samples: int = dial(0, "self-critical: captions sampled of a picture; 0 is cross-entropy")
    hallucination: float = dial(0.0, "self-critical: CIDEr-D that a named object costs which no "
                                "caption of the picture knows of")
    val_pictures: int = dial(1000, "pictures of val captioned and scored after each epoch")
    train_pictures: int | None = dial(None, "pictures of train used, the first; None is all")

    def beside(self):
        """Return the files of features or weights that a checkpoint of regions needs, or None."""
        if not self.boxes:
            return None
        from encoders.boxes import beside  # imports torchvision, which takes a second
        return beside(self.boxes, self.weights)

    def rules(self):
        """Return the engine's rules and those of the fields above."""
        return {
            **super().rules(),
            **at_least_one(self, "views", "vocab_threshold", "embed_size", "hidden_size",
                           "num_layers", "val_pictures"),
            f"encoder must be one of {', '.join(ENCODERS)}": self.encoder in ENCODERS,
            f"decoder must be one of {', '.join(DECODERS)}": self.decoder in DECODERS,
            "boxes need a decoder that attends, and an encoder that does not train":
                self.boxes is None or wants_grid(self.decoder) and self.tune_from is None,
            "boxes of truth need views 1 and fit squash, since a crop would move them":
                self.boxes != "truth" or self.views == 1 and self.fit == "squash",
            "fit must be squash or crop": self.fit in ("squash", "crop"),
            "tune_from must be a stage, 0 or more": self.tune_from is None or self.tune_from >= 0,
            "dropout and label_smoothing must be at least 0 and below 1":
                0 <= self.dropout < 1 and 0 <= self.label_smoothing < 1,
            "encoder_rate must be above 0": self.encoder_rate > 0,
            "captions_per_picture must not be negative": self.captions_per_picture >= 0,
            "start must name a run or a checkpoint, from which this recipe goes on":
                self.start != "",
            "max_length must be 3 or more": self.max_length is None or self.max_length >= 3,
            "no_repeat_ngram must be 0 or more": self.no_repeat_ngram >= 0,
            "train_pictures must be 1 or more":
                self.train_pictures is None or self.train_pictures >= 1,
            "samples must be 0, or 2 or more with one_per_picture":
                self.samples == 0 or self.samples > 1 and self.one_per_picture,
            "hallucination must be 0 or more, and is for samples":
                self.hallucination == 0 or self.hallucination > 0 and self.samples > 0,
        }


# A recipe's name keeps its meaning for good: scores are quoted with it. An empty start has to be
# given.
ATTENTION = {"encoder": "efficientnet_lite2", "decoder": "adaptive", "views": 3,
             "label_smoothing": 0.1, "learning_rate": 1.5e-3, "average": 0.998}
RECIPES = {
    # Show and Tell's LSTM (arXiv:1411.4555) on a frozen pooled feature, seen at every step
    "seed": {},
    # the same, small enough for a minute on a laptop: notebook 2 on the drawn scenes
    "small": {"epochs": 12, "embed_size": 256, "hidden_size": 256, "learning_rate": 3e-3,
              "dropout": 0.2, "views": 1},
    # Show and Tell to the letter, for COCO on a GPU: ResNet-50's pooled feature, a linear layer, an
    # LSTM that reads the image once, as its first input
    "resnet": {"encoder": "resnet50", "decoder": "lstm_first", "batch_size": 256},
    # Knowing When to Look (arXiv:1612.01887) on the grid of a larger frozen encoder
    "attention": ATTENTION,
    # for pictures of one's own, which may be few: goes on from the captioner in the box
    "own": {**ATTENTION, "start": "checkpoints/captioner.safetensors", "views": 1,
            "learning_rate": 3e-4, "vocab_threshold": 1, "epochs": 1,
            "captions_per_picture": 5, "no_repeat_ngram": 2},
    # its encoder learns too: goes on from a run of "attention"
    "tuned": {**ATTENTION, "start": "", "tune_from": 5, "captions_per_picture": 5,
              "learning_rate": 3e-4, "encoder_rate": 3e-5, "epochs": 4},
    # taught by the CIDEr of its own sentences: goes on from a run of "tuned"
    "critical": {**ATTENTION, "start": "", "tune_from": 5, "samples": 5, "one_per_picture": True,
                 "batch_size": 32, "learning_rate": 1e-4, "warmup": 20, "average": 0.98,
                 "epochs": 5, "patience": 5},
}


def settings_of(recipe, data, **changes):
    """Return the settings of a recipe by name, with `changes` that win; `BadInput` if unknown."""
    if recipe not in RECIPES:
        raise BadInput(f"there is no recipe {recipe!r}: choose one of {', '.join(RECIPES)}")
    return CaptioningSettings(**{**RECIPES[recipe], "data": data, **changes})
