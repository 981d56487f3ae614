"""The settings of the training of a model that labels every frame of a clip, and its recipe."""

from dataclasses import dataclass

from encoders.backbones import NAMES as ENCODERS
from training.settings import Settings, at_least_one, dial
from video.actions.models import MODELS


@dataclass(frozen=True)
class ActionSettings(Settings):
    """What the training of a model that labels frames depends on."""

    epochs: int = dial(24, "passes over the clips of train at most")
    batch_size: int = dial(8, "clips a step")
    learning_rate: float = dial(4e-3, "peak rate of AdamW")
    warmup: int = dial(50, "steps of linear rise, before a cosine fall to 0")
    patience: int = dial(8, "epochs without a better mAP before stopping")

    encoder: str = dial("efficientnet_lite0_fine", "backbone, see encoders/backbones.py")
    weights: str | None = dial("pretrained", "pretrained, or a local .pth or .safetensors file")
    grid: bool = dial(True, "see a grid of cells, each with weights of its own; else one pooled "
                      "vector, which does not know where anything is")
    fit: str = dial("squash", "frame to square: squash it, or crop the middle")
    hz: float = dial(4.0, "frames a second that are looked at and labelled")
    model: str = dial("multilstm", "of the ladder: " + ", ".join(MODELS))
    window: int = dial(5, "frames of a window of inputs, and of outputs")
    cell_size: int = dial(32, "numbers kept of a cell")
    hidden_size: int = dial(128, "size of a frame's vector and of the LSTM")
    dropout: float = dial(0.2, "fraction of each silenced")
    longest: int = dial(256, "frames of a piece, into which longer clips are cut for training")

    def rules(self):
        """Return the engine's rules and those of the fields above."""
        return {
            **super().rules(),
            **at_least_one(self, "window", "cell_size", "hidden_size", "longest"),
            f"encoder must be one of {', '.join(ENCODERS)}": self.encoder in ENCODERS,
            f"model must be one of {', '.join(MODELS)}": self.model in MODELS,
            "fit must be squash or crop": self.fit in ("squash", "crop"),
            "hz must be above 0 and at most 1000": 0 < self.hz <= 1000,
            "dropout must be at least 0 and below 1": 0 <= self.dropout < 1,
        }


# A recipe's name keeps its meaning for good: scores are quoted with it.
RECIPES = {"actions": {}}       # MultiLSTM (arXiv:1507.05738); --model is another of the ladder
