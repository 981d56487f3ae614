"""EfficientNet-Lite: EfficientNet (Tan and Le 2019, arXiv:1905.11946) made plain for phones.

    images (B, 3, S, S) --stem--> (B, 32, S/2, S/2) --7 stages--> --head--> (B, 1280, S/32, S/32)

No squeeze-and-excitation, ReLU6 for Swish, stem and head of one width. The published weights were
trained in TensorFlow, whence three traps: 'same' padding, which is uneven at stride 2; a batch-norm
epsilon of 1e-3; and an input of `(x - 127) / 128`, which is not ImageNet's mean and deviation.
"""

import math

from torch import nn
from torch.nn import functional

# kernel, stride of the first block, expansion, channels, blocks: Table 1 of the paper
STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3),
          (5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1))
SCALES = {"efficientnet_lite0": (1.0, 1.0, 224), "efficientnet_lite1": (1.0, 1.1, 240),
          "efficientnet_lite2": (1.1, 1.2, 260)}  # width, depth, picture size


class SameConv2d(nn.Conv2d):
    """A convolution padded as in TensorFlow: at stride 2 the odd pixel goes right and below."""

    def forward(self, images):
        return self.convolve(images, self.weight, self.bias)

    def convolve(self, images, kernel, bias):
        """Return the convolution of images (B, C, rows, columns) with another kernel and bias."""
        pads = []
        for size in (images.shape[-1], images.shape[-2]):
            step, width = self.stride[0], self.kernel_size[0]
            total = max((math.ceil(size / step) - 1) * step + width - size, 0)
            pads += [total // 2, total - total // 2]
        even = pads[0] == pads[1] == pads[2] == pads[3]
        images = images if even else functional.pad(images, pads)
        return functional.conv2d(images, kernel, bias, self.stride, pads[0] if even else 0,
                                 groups=self.groups)


class ConvNorm(nn.Sequential):
    """Convolution, batch normalisation and, if `active`, ReLU6."""

    def __init__(self, inputs, outputs, kernel, stride=1, groups=1, active=True):
        conv = SameConv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
        layers = [conv, nn.BatchNorm2d(outputs, eps=1e-3)]
        super().__init__(*layers, *([nn.ReLU6(inplace=True)] if active else []))

    def forward(self, images):
        conv, norm, *active = self
        if norm.training or not isinstance(norm, nn.BatchNorm2d):
            return super().forward(images)
        # a batch norm with frozen statistics is a scale and a shift of each channel: put into the
        # kernel, while that trains too, it costs a pass over the kernel and none over the maps
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        maps = conv.convolve(images, conv.weight * scale.view(-1, 1, 1, 1),
                             norm.bias - norm.running_mean * scale)
        return active[0](maps) if active else maps


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow; the result is added to an input of the same shape."""

    def __init__(self, inputs, outputs, kernel, stride, expansion):
        super().__init__()
        wide = inputs * expansion
        self.layers = nn.Sequential(
            *([ConvNorm(inputs, wide, 1)] if expansion > 1 else []),
            ConvNorm(wide, wide, kernel, stride, groups=wide),
            ConvNorm(wide, outputs, 1, active=False))
        self.adds = stride == 1 and inputs == outputs

    def forward(self, images):
        return images + self.layers(images) if self.adds else self.layers(images)


def stages(name):
    """Build the network as a list of modules: stem, seven stages, head, without its classifier."""
    width, depth, _ = SCALES[name]
    modules, inputs = [ConvNorm(3, 32, 3, 2)], 32
    for number, (kernel, stride, expansion, channels, blocks) in enumerate(STAGES):
        outputs = round_channels(channels * width)
        if 0 < number < len(STAGES) - 1:  # Lite leaves the first and last stage one block deep
            blocks = math.ceil(blocks * depth)
        row = [InvertedResidual(inputs if block == 0 else outputs, outputs, kernel,
                                stride if block == 0 else 1, expansion) for block in range(blocks)]
        modules.append(nn.Sequential(*row))
        inputs = outputs
    return [*modules, ConvNorm(inputs, 1280, 1)]


def round_channels(channels, divisor=8):
    """Return the nearest multiple of `divisor`, but never less than 90 % of `channels`."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
