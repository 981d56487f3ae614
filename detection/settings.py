"""The settings of a detector's training, and its recipe."""

from dataclasses import dataclass

from encoders.backbones import NAMES as ENCODERS
from training.settings import Settings, at_least_one, dial


@dataclass(frozen=True)
class DetectionSettings(Settings):
    """What the training of a detection head depends on."""

    encoder: str = dial("efficientnet_lite0", "backbone, see encoders/backbones.py")
    weights: str | None = dial("pretrained", "pretrained, or a local .pth or .safetensors file")
    val_pictures: int = dial(1000, "pictures of val in which objects are looked for, each epoch")
    train_pictures: int | None = dial(None, "pictures of train used, the first; None is all")

    def rules(self):
        """Return the engine's rules and those of the fields above."""
        return {
            **super().rules(),
            **at_least_one(self, "val_pictures"),
            f"encoder must be one of {', '.join(ENCODERS)}": self.encoder in ENCODERS,
            "train_pictures must be 1 or more":
                self.train_pictures is None or self.train_pictures >= 1,
        }


RECIPES = {"detector": {"batch_size": 16, "epochs": 4, "learning_rate": 2e-3, "warmup": 100}}
