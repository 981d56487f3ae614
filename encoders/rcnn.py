"""Regions of a published detector: torchvision's Faster R-CNN finds the boxes and their features.

    images (B, 3, S, S) --maps, proposals--> boxes --box_roi_pool, box_head--> rows (B, K, D + 5)

Faster R-CNN, Ren et al. 2015 (arXiv:1506.01497), trained on COCO's boxes; Bottom-Up and Top-Down
Attention, Anderson et al. 2018 (arXiv:1707.07998), took the regions of one that was trained on
Visual Genome. Weights are fetched once, or come from a local file. A captioner's checkpoint holds
their hash, not the weights.

Shape letters:  B pictures   S side in pixels   K regions   D features of a region
"""

from functools import partial

import torch
from torch import nn
from torchvision.models import detection, get_model_weights
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import nms

from encoders.detector import OVERLAP
from encoders.regions import MOST, padded, whole_first
from encoders.transform import Transform
from encoders.weights import fetch_weights, load_into, read_weights, weights_hash
from system.files import BadInput

SIDE = 640                  # pixels at most: COCO's pictures have no more, and the 800 of the
                            # publisher take 1.6 times as long
SURE = 0.2                  # score below which a box is none, as in Bottom-Up and Top-Down
OTHERWISE = "or give a local file of them, to train.py as --weights FILE, else as --boxes FILE"


class RCNN(nn.Module):
    """A detector of torchvision in the place of a backbone; nothing in it trains.

    name: one of DETECTORS.  weights: see `Backbone`.  most: regions of a picture, the surest.
    """

    frozen, carried, reads_images, precision = True, False, True, torch.float32

    def __init__(self, name, weights="pretrained", most=MOST):
        super().__init__()
        if name not in DETECTORS:
            raise BadInput(f"{name} is neither there nor a detector of torchvision's whose boxes "
                           "have features: give --boxes truth, a run of the recipe detector, "
                           f"bottom-up features, or one of {', '.join(DETECTORS)}")
        self.name, self.most = name, most
        self.network = DETECTORS[name](weights)
        self.network.roi_heads.score_thresh = SURE
        self.channels = self.network.roi_heads.box_predictor.cls_score.in_features
        self.requires_grad_(False).eval()

    def forward(self, images):
        """Return rows (B, 1 + most, D + 5) of images (B, 3, S, S), the surest region first."""
        heads, side = self.network.roi_heads, images.shape[2]
        sizes = [(side, side)] * len(images)
        maps = self.network.backbone(images)
        proposals, _ = self.network.rpn(ImageList(images, sizes), maps)
        found = heads.box_predictor(heads.box_head(heads.box_roi_pool(maps, proposals, sizes)))
        boxes, scores, _ = heads.postprocess_detections(*found, proposals, sizes)
        # the head's own suppression is within a label: one thing may have boxes of two
        boxes = [one[nms(one, sure, OVERLAP)] / side for one, sure in
                 zip(boxes, scores, strict=True)]
        boxes = whole_first(padded(boxes, self.most))                       # (B, K, 5)
        features = heads.box_head(heads.box_roi_pool(maps, list(side * boxes[..., :4]), sizes))
        features = features.unflatten(0, boxes.shape[:2])                   # (B, K, D)
        return torch.cat([features * boxes[..., 4:], boxes], dim=2)

    @property
    def source(self):
        """The source of these boxes, as a checkpoint keeps it."""
        return {"boxes": "torchvision", "most": self.most, "channels": self.channels,
                "weights": weights_hash(self.network, self.name)}

    def beside(self, pictures):
        """Return what `forward` takes beside the images of pictures of a dataset: nothing."""
        return ()

    def files(self, pictures):
        """Return the files, besides the pictures, on which their regions depend: none."""
        return []

    def fingerprint(self):
        """Return a hash of every weight and of the source."""
        return f"{self.source['weights']}-{self.most}"

    def transform(self, fit):
        """Return the transform with which the weights were trained, but at most SIDE pixels."""
        own = self.network.transform
        return Transform(min(SIDE, own.min_size[-1]), tuple(own.image_mean), tuple(own.image_std),
                         fit)

    def train(self, mode=True):
        """Stay in evaluation whatever the mode."""
        return super().train(False)


def choose(boxes, weights):
    """Return the detector that --boxes names."""
    return RCNN(boxes, weights)


def complete(absent, where):
    """Return the detector of a checkpoint, with weights as published or from the file `where`.

    Raises `BadInput` if they are not to be had, or are not those that it was trained with.
    """
    source = absent.source
    if absent.name not in DETECTORS:    # of a stranger's file, so it may be any text
        raise BadInput(f"this captioner needs a detector that is unknown ({absent.name!r:.60}): if "
                       "it is your own, import its module first")
    needs = f"this captioner needs the detector {absent.name}, which is not in its checkpoint"
    try:
        found = RCNN(absent.name, where or "pretrained", source["most"])
    except BadInput as error:
        raise BadInput(f"{needs} ({error})") from None
    if found.source != source:
        raise BadInput(f"{needs}, with other weights than {where or 'those that are published'}: "
                       "give the file of those it was trained with as --boxes FILE")
    return found


def published(name, epsilon, weights):
    """Build a detector of torchvision with weights from its publisher, a local file, or none.

    epsilon: of batch norms, where the published weights go with another than the network has.
    """
    network = getattr(detection, name)(weights=None, weights_backbone=None)
    for module in network.modules():
        if epsilon is not None and isinstance(module, nn.BatchNorm2d):
            module.eps = epsilon
    if weights == "pretrained":
        weights = fetch_weights(name, get_model_weights(name).COCO_V1, OTHERWISE)
    if weights is not None:
        load_into(network, read_weights(weights), weights)
    return network


# The networks that have boxes with features of their own, but for that of people's joints. Each is
# a function of `weights`; one of your own is added, a `GeneralizedRCNN`.
DETECTORS = {name: partial(published, name, epsilon) for name, epsilon in {
    "fasterrcnn_resnet50_fpn_v2": None, "maskrcnn_resnet50_fpn_v2": None,
    "fasterrcnn_resnet50_fpn": 0.0, "maskrcnn_resnet50_fpn": 0.0,
    "fasterrcnn_mobilenet_v3_large_fpn": 1e-5,
    "fasterrcnn_mobilenet_v3_large_320_fpn": 1e-5}.items()}
