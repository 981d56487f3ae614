"""ImageNet's classifiers: the layers that a `Backbone` leaves out, and what each network costs.

    images (B, 3, S, S) --stages--> maps (B, D, rows, columns) --head--> scores (B, 1000)

Shape letters:  B pictures   S side in pixels   D channels
"""

from functools import partial
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn

from encoders import efficientnet_lite
from encoders.backbones import (
    EFFICIENTNETS,
    RESNETS,
    Backbone,
    lite_file,
    source_of,
    torchvision_network,
    transform_of,
)
from encoders.weights import read_weights
from system.files import BadInput

CLASSES = 1000      # of ImageNet


def head_of(name, weights="pretrained"):
    """Return the layers from a network's last maps to its scores; weights: "pretrained" or None."""
    if name not in HEADS:
        raise BadInput(f"there is no classifier of '{name}': choose one of {', '.join(HEADS)}")
    return nn.Sequential(*HEADS[name](name, weights)).eval()


def torchvision_head(name, weights, **options):
    """Return the layers of a torchvision classifier from its pooling on."""
    layers = dict(torchvision_network(name, weights, **options).named_children())
    pool, *rest = list(layers.values())[list(layers).index("avgpool"):]
    return [pool, nn.Flatten(), *(layer for one in rest for layer in one.modules()
                                  if not isinstance(layer, nn.Sequential))]


def lite_head(name, weights):
    """Return EfficientNet-Lite's pooling, dropout and linear layer."""
    linear = nn.Linear(1280, CLASSES)
    if weights is not None:
        tensors = read_weights(lite_file(name))
        linear.load_state_dict({key: tensors[f"_fc.{key}"] for key in ("weight", "bias")})
    dropout = 0.3 if name == "efficientnet_lite2" else 0.2
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), linear]


HEADS = {**dict.fromkeys([*RESNETS, "vgg16"], torchvision_head),
         "inception_v3": partial(torchvision_head, init_weights=False, aux_logits=True),
         **dict.fromkeys(EFFICIENTNETS, torchvision_head),
         **dict.fromkeys(efficientnet_lite.SCALES, lite_head)}
INPUTS = {"vgg16": (25088, 4096, 4096)}     # of its three linear layers, the first of every cell
AVERAGED = HEADS.keys() - INPUTS.keys()     # the others have one, of the mean of the cells


def class_names():
    """Return the names of ImageNet's 1,000 classes in the order of the scores."""
    return source_of("resnet50").meta["categories"]


class Cost(NamedTuple):
    """What a network takes, gives and needs.

    side: of its picture, pixels.  maps: (D, rows, columns).  parameters, flops: those of its
    stages, the latter multiplications and additions for one picture.  widths: of its head, from
    the first linear layer's input to the scores.  removed: parameters of the head.
    """

    name: str
    side: int
    maps: tuple
    parameters: int
    flops: int
    widths: tuple
    removed: int


def cost_of(name):
    """Return the `Cost` of a network, built on a device that keeps shapes and no numbers."""
    from torch.utils.flop_counter import FlopCounterMode

    side = transform_of(name).size
    with torch.device("meta"):
        stages, images = Backbone(name, weights=None).stages, torch.empty(1, 3, side, side)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        maps = stages(images)[0]
    widths = (*INPUTS.get(name, (len(maps),)), CLASSES)
    return Cost(name, side, tuple(maps.shape), sum(p.numel() for p in stages.parameters()),
                counter.get_total_flops(), widths,
                sum((before + 1) * after for before, after in pairwise(widths)))


def cost_table(names):
    """Return the costs of networks as a table in Markdown, parameters in millions."""
    lines = ["| network | picture | maps, D x H x W | parameters | GFLOP "
             "| classifier, removed | its parameters |", "|:--|--:|--:|--:|--:|:--|--:|"]
    for name, side, maps, parameters, flops, widths, removed in map(cost_of, names):
        shape, layers = " x ".join(map(str, maps)), " → ".join(map(str, widths))
        lines.append(f"| {name} | {side} x {side} | {shape} | {parameters / 1e6:.1f} M "
                     f"| {flops / 1e9:.1f} | {layers} | {removed / 1e6:.1f} M |")
    return "\n".join(lines)
