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

from encoders.backbones import NAMES, Backbone
from encoders.transform import Transform
from system import tensor_file
from system.files import BadInput
from system.processor import refuse_device
from system.shapes import misfit
from video.actions.models import MODELS, Sizes
from video.clips import open_clip
from video.features import clip_features, encode_clips

KIND, FORMAT = "action labeller", 1
LARGEST = 1 << 16           # of whole numbers in a header
REMEDY = "give a run of the recipe actions, or its checkpoint"
SHAPE = {
    "architecture": {"encoder": {"backbone": str, "grid": bool},
                     "model": {"name": str, "cell_size": int, "hidden_size": int, "window": int,
                               "dropout": float}},
    "classes": [str], "hz": float, "about": dict,
    "transform": {"size": int, "mean": (float,) * 3, "std": (float,) * 3, "fit": str},
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


def cells_of(backbone, transform):
    """Return how many vectors a backbone gives of a picture, 1 if it pools."""
    device = next(backbone.parameters()).device
    found = backbone(torch.zeros(1, 3, transform.size, transform.size, device=device))
    return found.shape[1] if backbone.grid else 1


def save_labeller(path, labeller, **about):
    """Write a self-contained checkpoint; `about` (settings, scores) goes into its header."""
    header = {"architecture": labeller.architecture, "classes": [*labeller.classes],
              "hz": labeller.hz, "transform": asdict(labeller.transform),
              "about": {**tensor_file.versions(), **about}}
    tensors = halved(labeller.tensors())
    if name := tensor_file.infinite(tensors):
        raise BadInput(f"{path} was not written, {name} has numbers that float16 cannot hold: "
                       "lower the learning rate and train again")
    tensor_file.write(path, KIND, FORMAT, tensors, header)


def load_labeller(path, device="cpu"):
    """Read a checkpoint, or the best one of a run's folder, ready to use on `device`.

    Raises `BadInput` for a file that `save_labeller` did not write, and for a device that cannot
    be used.
    """
    refuse_device(device)
    path = tensor_file.best_file(path)
    tensors, header = tensor_file.read(path, KIND, FORMAT, REMEDY)
    try:
        labeller = build_empty(header)
        tensor_file.refuse_strange(tensors, halved(labeller.tensors()))
    except BadInput as error:
        raise BadInput(f"{path} is no {KIND} that this program can use, {error}: {REMEDY}"
                       ) from None
    labeller.load_tensors({name: tensor.float() if tensor.is_floating_point() else tensor
                           for name, tensor in tensors.items()}, assign=True)
    labeller.model.eval()
    labeller.model.to(device)
    labeller.backbone.to(device)
    return labeller


def build_empty(header):
    """Build the labeller of a header, its tensors without memory; `BadInput` if it is unsound."""
    refuse_unsound(header)
    transform = {key: tuple(value) if isinstance(value, list) else value
                 for key, value in header["transform"].items()}
    try:
        with torch.device("meta"), tensor_file.SkipInit():
            found = Labeller.build(header["architecture"], header["classes"], header["hz"],
                                   Transform(**transform), weights=None)
    except (ArithmeticError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise BadInput(f"it cannot be built ({' '.join(str(error).split())[:120]})") from None
    return replace(found, about=header["about"])


def refuse_unsound(header):
    """Raise `BadInput` unless every field has its type and a sane value."""
    if place := misfit(header, SHAPE, "its header"):
        raise BadInput(f"{place} is not what it should be")
    encoder, model = (header["architecture"][key] for key in ("encoder", "model"))
    transform = header["transform"]
    rules = {
        f"its backbone is unknown ({encoder['backbone']!r:.40})": encoder["backbone"] in NAMES,
        f"its model is unknown ({model['name']!r:.40})": model["name"] in MODELS,
        "its sizes are absurd": all(1 <= model[size] <= LARGEST for size in
                                    ("cell_size", "hidden_size", "window")),
        "its dropout is no probability": 0 <= model["dropout"] < 1,
        "it has no classes": bool(header["classes"]),
        "its frames a second are absurd": 0 < header["hz"] <= 1000,
        "its pictures have an absurd size": 32 <= transform["size"] <= 1024,
        "its pictures are neither squashed nor cropped": transform["fit"] in ("squash", "crop"),
        "its normalisation is absurd": all(0 <= value <= 1 for value in transform["mean"])
            and all(0.001 <= value <= 1 for value in transform["std"]),
    }
    for rule, kept in rules.items():
        if not kept:
            raise BadInput(rule)


def halved(tensors):
    """Return tensors by name, kernels and matrices in half precision, as a checkpoint has them."""
    return {name: tensor.half() if tensor.dim() > 1 else tensor
            for name, tensor in tensors.items()}
