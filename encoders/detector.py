"""Find the objects of a picture: a small detection head on the maps of a frozen CNN.

    images (B, 3, S, S) --Maps--> three maps (B, C, s, s) --Head--> boxes, labels and scores

The head is FCOS, Tian et al. 2019 (arXiv:1904.01355), built of torchvision's parts: a feature
pyramid, two small towers of convolutions, and at every place of every level the distances to the
four sides of the box around it. The CNN stays as it was pretrained; the head alone is trained, by
the task in detection/.

Shape letters:  B pictures   S, s sides of pictures and maps   C channels   A places of all levels
"""

from collections import OrderedDict

import torch
from torchvision.models.detection.fcos import FCOS, FCOSHead
from torchvision.ops import FeaturePyramidNetwork, nms

from encoders.backbones import Backbone, transform_of

LEVELS = 3                  # maps: those of strides 8, 16 and 32
FINEST = 1                  # of them the first that the head looks at: stride 8 takes four times as
                            # long, and finds no more of things as large as those of scenes
WIDTH = 64                  # channels of every level of the pyramid
LAYERS = 2                  # convolutions of each tower; the paper's 4 are no better on scenes
SURE = 0.3                  # score below which a box is none
OVERLAP = 0.6               # intersection over union above which two boxes are of one object


class Maps(Backbone):
    """A frozen backbone that gives its last three maps, each of half the side of the one before."""

    precision = torch.float32       # bfloat16 would round a box to whole pixels
    compilable = False              # maps of several stages are read

    def __init__(self, name="efficientnet_lite0", weights="pretrained"):
        super().__init__(name, weights, grid=True)
        self.side = transform_of(name).size
        device = next(self.parameters()).device
        self.shapes = [one.shape[1:] for one in
                       self.maps(torch.zeros(1, 3, self.side, self.side, device=device))]
        self.widths = [shape[0] for shape in self.shapes]

    def maps(self, images):
        """Return the maps (B, C, s, s) of images (B, 3, S, S), the finest first."""
        found = {}
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            for stage in self.stages:
                images = stage(images)
                found[images.shape[2]] = images         # the last one of each side
        return list(found.values())[-LEVELS:]

    def forward(self, images):
        """Return the maps of images (B, 3, S, S) side by side, (B, numbers), to be cached."""
        return torch.cat([one.flatten(1) for one in self.maps(images)], dim=1)

    def unflatten(self, features):
        """Return the maps that `forward` put side by side."""
        sizes = [shape.numel() for shape in self.shapes]
        return [part.unflatten(1, shape)
                for part, shape in zip(features.split(sizes, dim=1), self.shapes, strict=True)]

    def fingerprint(self):
        """Return a hash of every weight and of what is given of them."""
        return f"{super().fingerprint()}-{type(self).__name__.lower()}"


class Pyramid(FeaturePyramidNetwork):
    """A feature pyramid of maps, a list, as `FCOS` expects its backbone."""

    out_channels = WIDTH

    def __init__(self, widths):
        super().__init__(widths, WIDTH)

    def forward(self, maps):
        """Return a level (B, WIDTH, s, s) for each map."""
        return list(super().forward(OrderedDict(enumerate(maps))).values())


class Head(FCOS):
    """FCOS without its CNN: maps to boxes.

    widths: channels of the maps.  classes: kinds of object.  most: boxes of a picture.
    side: S, the scale on which boxes are compared with the sizes of the levels, in pixels.
    """

    def __init__(self, widths, classes, most, side):
        super().__init__(Pyramid(widths[FINEST:]), classes, score_thresh=SURE, nms_thresh=OVERLAP,
                         detections_per_img=most, head=FCOSHead(WIDTH, 1, classes, LAYERS))
        self.side = side

    def forward(self, maps):
        """Return the head's outputs {name: (B, A, ...)}, anchors (A, 4) and places a level."""
        levels = self.backbone(maps[FINEST:])
        anchors = [self.anchors(level) for level in levels]
        return self.head(levels), torch.cat(anchors), [len(one) for one in anchors]

    def anchors(self, level):
        """Return the box (s * s, 4) around each place of a level (B, WIDTH, s, s), row by row."""
        # not torchvision's generator, which has whole strides: a side of 260 pixels has 33 places
        stride = self.side / level.shape[2]
        middles = (torch.arange(level.shape[2], device=level.device) + 0.5) * stride
        y, x = torch.meshgrid(middles, middles, indexing="ij")
        middles = torch.stack([x, y], dim=2).flatten(0, 1)
        return torch.cat([middles - stride / 2, middles + stride / 2], dim=1)

    def loss(self, maps, boxes, labels):
        """Return the loss, a mean over boxes, of maps given the true boxes.

        boxes: a list of (n, 4), left, top, right and bottom as fractions of the picture's sides.
        labels: a list of (n,), numbers from 0.
        """
        outputs, anchors, counts = self(maps)
        targets = [{"boxes": self.side * one, "labels": of} for one, of in
                   zip(boxes, labels, strict=True)]
        return sum(self.compute_loss(targets, outputs, [anchors] * len(targets), counts).values())

    @torch.no_grad()
    def find(self, maps):
        """Return for each picture {"boxes": (n, 4) fractions, "labels", "scores": (n,)}.

        The surest come first. Boxes that overlap are of one object, whatever their labels.
        """
        outputs, anchors, counts = self(maps)
        pictures, side = len(maps[0]), (self.side, self.side)
        found = self.postprocess_detections(
            {name: list(one.split(counts, dim=1)) for name, one in outputs.items()},
            [anchors.split(counts)] * pictures, [side] * pictures)
        for one in found:
            chosen = nms(one["boxes"], one["scores"], OVERLAP)
            one.update({name: tensor[chosen] for name, tensor in one.items()})
            one["boxes"] = one["boxes"] / self.side
        return found
