"""A labeller: clips to labels of their frames; and the one file that holds it whole.

    clips --features--> ClipFeatures --scores--> of each clip logits (T, C)
    path of a clip --label--> FrameLabels: times (T,), probabilities (T, C)
    labeller --save_labeller--> best.safetensors --load_labeller--> labeller

In the file kernels and matrices are float16 and the encoder is included, so loading needs no other
file and no network. The file may come from a stranger: nothing is built before its header is
checked, and nothing loaded before every tensor is.

Shape letters:  T frames, hz a second   C classes
"""

from dataclasses import asdict, dataclass, replace

import numpy as np
import torch

from encoders import transform as transforms
from encoders.backbones import NAMES, Backbone
from encoders.transform import Transform
from system import tensor_file
from system.files import BadInput
from system.processor import refuse_device
from system.shapes import misfit
from video.actions.models import MODELS, Sizes
from video.clips import open_clip
from video.features import cells_of, clip_features, encode_clips

KIND, FORMAT = "action labeller", 1
LARGEST = 1 << 16           # of whole numbers in a header
REMEDY = "give a run of the recipe actions, or its checkpoint"
SHAPE = {
    "architecture": {"encoder": {"backbone": str, "grid": bool},
                     "model": {"name": str, "cell_size": int, "hidden_size": int, "window": int,
                               "dropout": float}},
    "classes": [str], "hz": float, "about": dict,
    "transform": transforms.SHAPE,
}


@dataclass(frozen=True, eq=False)
class FrameLabels:
    """How probable each class is in each frame of a clip: (T, C), at times (T,) in seconds."""

    times: np.ndarray
    probabilities: np.ndarray
    classes: tuple


@dataclass
class Labeller:
    """An encoder and a model of the ladder, with the classes it knows.

    hz: frames a second it looks at.  about: settings, scores, versions.
    """

    backbone: torch.nn.Module
    model: torch.nn.Module
    classes: tuple
    hz: float
    transform: Transform
    architecture: dict
    about: dict

    @classmethod
    def build(cls, architecture, classes, hz, transform, weights="pretrained"):
        """Build an untrained labeller; `architecture` has the arguments of both networks."""
        encoder = architecture["encoder"]
        backbone = Backbone(encoder["backbone"], weights, encoder["grid"])
        dials = {key: value for key, value in architecture["model"].items() if key != "name"}
        model = MODELS[architecture["model"]["name"]](
            Sizes(backbone.channels, cells_of(backbone, transform), len(classes), **dials))
        return cls(backbone, model, tuple(classes), hz, transform, architecture, {})

    def features(self, clips, name="clips"):
        """Return the `ClipFeatures` of clips, computed only once."""
        return clip_features(self.backbone, self.transform, clips, rate=self.hz, name=name)

    @torch.no_grad()
    def scores(self, features):
        """Return the logits of each clip's frames, (T, C) on the CPU, of `ClipFeatures`."""
        self.model.eval()
        device = next(self.model.parameters()).device
        found = []
        for clip in range(len(features)):       # one by one, however long each is
            rows = torch.from_numpy(features.of(clip)[0].astype(np.float32)).to(device)
            found.append(self.model(rows[None], rows.new_ones(1, len(rows), dtype=torch.bool))[0])
        return [one.float().cpu() for one in found]

    def label(self, path):
        """Return the `FrameLabels` of the clip at a path; `BadInput` for one that is none."""
        features = encode_clips(self.backbone, self.transform, [open_clip(path)], rate=self.hz)
        scores, = self.scores(features)
        return FrameLabels(features.times, scores.sigmoid().numpy(), self.classes)

    def tensors(self):
        """Return the weights and buffers of both networks by name, those of a checkpoint."""
        return {f"{part}.{name}": tensor for part in ("backbone", "model")
                for name, tensor in getattr(self, part).state_dict().items()}

    def load_tensors(self, tensors, assign=False):
        """Load what `tensors` returned; `assign` puts the tensors in place instead of copying them.
        """
        for part in ("backbone", "model"):
            getattr(self, part).load_state_dict({
                name.removeprefix(f"{part}."): tensor for name, tensor in tensors.items()
                if name.startswith(f"{part}.")}, assign=assign)


def save_labeller(path, labeller, **about):
    """Write a self-contained checkpoint; `about` (settings, scores) goes into its header."""
    header = {"architecture": labeller.architecture, "classes": [*labeller.classes],
              "hz": labeller.hz, "transform": asdict(labeller.transform)}
    tensor_file.save(path, KIND, FORMAT, labeller, header, about)


def load_labeller(path, device="cpu"):
    """Read a checkpoint, or the best one of a run's folder, ready to use on `device`.

    Raises `BadInput` for a file that `save_labeller` did not write, and for a device that cannot
    be used.
    """
    refuse_device(device)
    labeller = tensor_file.load(path, KIND, FORMAT, REMEDY, build_empty)
    labeller.model.eval()
    labeller.model.to(device)
    labeller.backbone.to(device)
    return labeller


def build_empty(header):
    """Build the labeller of a header, its tensors without memory; `BadInput` if it is unsound."""
    refuse_unsound(header)
    with tensor_file.no_memory():
        found = Labeller.build(header["architecture"], header["classes"], header["hz"],
                               Transform.from_header(header["transform"]), weights=None)
    return replace(found, about=header["about"])


def refuse_unsound(header):
    """Raise `BadInput` unless every field has its type and a sane value."""
    if place := misfit(header, SHAPE, "its header"):
        raise BadInput(f"{place} is not what it should be")
    encoder, model = (header["architecture"][key] for key in ("encoder", "model"))
    tensor_file.refuse_broken({
        f"its backbone is unknown ({encoder['backbone']!r:.40})": encoder["backbone"] in NAMES,
        f"its model is unknown ({model['name']!r:.40})": model["name"] in MODELS,
        "its sizes are absurd": all(1 <= model[size] <= LARGEST for size in
                                    ("cell_size", "hidden_size", "window")),
        "its dropout is no probability": 0 <= model["dropout"] < 1,
        "it has no classes": bool(header["classes"]),
        "its frames a second are absurd": 0 < header["hz"] <= 1000,
        **transforms.rules(header["transform"]),
    })
