"""Sources of boxes: where the regions of a captioner lie, and what gives their features.

    --boxes --choose--> backbone                        in training
    source --RegionEncoder--> backbone, or Absent --complete--> backbone        of a checkpoint

The source, a dict, stands in the checkpoint. Each has a backbone with the same attributes and
methods:

    "detector"      regions.py      a head of our own finds them; it is in the checkpoint
    "truth"         regions.py      those of a COCO instances file
    "torchvision"   rcnn.py         a published detector finds them
    "file"          bottom_up.py    classic files of bottom-up features

A published detector and files are no part of a checkpoint: until they are there, `Absent` stands in
their place.
"""

from importlib import import_module
from pathlib import Path

import torch
from torch import nn

from encoders.regions import RegionBackbone, RegionEmbedding, load_detector, truth
from system.files import BadInput, refuse_web_address
from system.tensor_file import BEST

# By name: a student's folder has all that is imported, and does without these.
OUTSIDE = {"torchvision": "encoders.rcnn", "file": "encoders.bottom_up"}


class Absent(nn.Module):
    """The place of a backbone that is not in the checkpoint.

    name: of the backbone.  source: of the checkpoint, with the channels of its features.
    """

    frozen, carried, reads_images, precision = True, False, False, torch.float32

    def __init__(self, name, weights, source):
        super().__init__()
        self.name, self.source, self.channels = name, source, source["channels"]

    def refuse(self, *_):
        """Raise `BadInput`, whatever is asked."""
        raise BadInput("this captioner reads bottom-up features, which a photograph has not and "
                       "no checkpoint holds: name those of a dataset's pictures with the option "
                       "--boxes of evaluate.py")

    forward = beside = files = fingerprint = refuse


BACKBONES = {"detector": RegionBackbone, "truth": RegionBackbone, **dict.fromkeys(OUTSIDE, Absent)}


class RegionEncoder(nn.Module):
    """`model.EncoderCNN` for regions: a frozen backbone of regions, then a trained embedding.

    boxes: the source.
    """

    def __init__(self, embed_size, backbone, weights="pretrained", boxes=None):
        super().__init__()
        self.backbone = BACKBONES[boxes["boxes"]](backbone, weights, boxes)
        self.embed = RegionEmbedding(self.backbone.channels, embed_size)

    def forward(self, images):
        """Encode images (B, 3, S, S), or rows of the cache, as regions (B, K, E + 5)."""
        return self.embed(self.backbone(images))


def choose(boxes, weights, split):
    """Return the source that --boxes names and its backbone, None if it is made of the source.

    weights: of a published detector, see `Backbone`.  split: of which the truth is asked.
    """
    kind = kind_of(boxes)
    if kind == "truth":
        return truth(split), None
    backbone = load_detector(boxes) if kind == "detector" else outside(kind).choose(boxes, weights)
    return backbone.source, backbone


def chosen(settings, split):
    """Return what `choose` does for the settings of a task, whose dials name boxes and encoder.

    Raises `BadInput` if a detector has another encoder.
    """
    source, backbone = choose(settings.boxes, settings.weights, split)
    if backbone and backbone.carried and backbone.name != settings.encoder:
        raise BadInput(f"{settings.boxes} finds boxes by {backbone.name}, and this model has "
                       f"{settings.encoder}: give --encoder {backbone.name}")
    return source, backbone


def complete(backbone, where):
    """Return the backbone for which an `Absent` one stands, or that one if it cannot be known.

    where: files of features or of weights; None takes weights as they are published.
    """
    return outside(backbone.source["boxes"]).complete(backbone, where)


def beside(boxes, weights):
    """Return the `where` of `complete` for what these settings were trained with."""
    local = None if weights == "pretrained" else weights
    return {"file": boxes, "torchvision": local}.get(kind_of(boxes))


def content_of_features(boxes):
    """Return a hash of the files of features that --boxes names, None if it names none."""
    return choose(boxes, None, None)[1].fingerprint() if kind_of(boxes) == "file" else None


def kind_of(boxes):
    """Return the kind of source that --boxes names; a name of no file is that of a detector."""
    refuse_web_address(boxes)
    path = Path(boxes)
    if boxes == "truth":
        return "truth"
    if not path.exists():
        return "torchvision"
    ours = path.suffix == ".safetensors" or any(
        (path / name).exists() for name in (BEST, "settings.json"))
    return "detector" if ours else "file"


def outside(kind):
    """Return the module of a source that is outside of checkpoints."""
    try:
        return import_module(OUTSIDE[kind])
    except ModuleNotFoundError:
        raise BadInput(f"this folder lacks {OUTSIDE[kind].replace('.', '/')}.py, which this "
                       "captioner needs: use the whole project") from None
