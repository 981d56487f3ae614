"""Regions in place of a grid's cells: the features of a picture's objects, and where they lie.

    images (B, 3, S, S) --RegionBackbone--> rows (B, K, D + 5) --RegionEmbedding--> (B, K, E + 5)

A row is a region's D features, pooled from the maps of a frozen CNN by `roi_align`, then its box
(left, top, right, bottom as fractions of the picture's sides), then 1 if the region is there and 0
if the row only fills up. Row 0 is the whole picture, so that no picture is without a region.
Bottom-Up and Top-Down Attention, Anderson et al. 2018 (arXiv:1707.07998), brought such regions into
captioning.

Where the boxes come from is the backbone's `source`; boxes.py has the other sources:

    {"boxes": "detector", "names": [...], "most": n}    found in the image by a head of detector.py
    {"boxes": "truth", "names": [], "most": n}          of a COCO instances file, for a picture of a
                                                        dataset only: scores with them are an
                                                        oracle's

Shape letters:  B pictures   S side in pixels   K regions   D channels   E embedding   C classes
"""

import torch
from torch import nn
from torchvision.ops import roi_align

from coco.instances import boxes_of, instances_file
from encoders.detector import Head, Maps
from system import tensor_file
from system.files import BadInput
from system.shapes import misfit

KIND, FORMAT = "detector", 1
REMEDY = "give a run of the recipe detector"
POINTS = 4                  # a side, of the points whose mean is a region's feature
BESIDE = 5                  # numbers of a row after its features: box, and whether it is there
MOST = 36                   # regions of a picture at most, as in Bottom-Up and Top-Down
SOURCE = {"boxes": str, "names": [str], "most": int}
LIMITS = {"most": 1000, "names": 10_000}        # of a file from a stranger


class RegionBackbone(Maps):
    """A frozen CNN that gives the regions of a picture; nothing in it trains.

    name, weights: see `Backbone`.  source: where the boxes come from, see above.
    """

    def __init__(self, name, weights, source):
        super().__init__(name, weights)
        self.source, self.most = source, source["most"]
        self.channels = sum(self.widths)
        self.head = None
        if source["boxes"] == "detector":
            self.head = Head(self.widths, len(source["names"]), self.most, self.side)
        self.requires_grad_(False).eval()

    def forward(self, images, boxes=None):
        """Return rows (B, 1 + most, D + 5) of images (B, 3, S, S), see above.

        boxes: (B, most, 5), each with whether it is there, if they are not to be found.
        """
        maps = self.maps(images)
        if boxes is None and self.head is None:
            raise BadInput("this captioner was trained with the boxes of an instances file, which "
                           "a photograph has not: give one that finds boxes, or a grid's")
        if boxes is None:
            boxes = padded([one["boxes"] for one in self.head.find(maps)], self.most)
        boxes = whole_first(boxes)
        pooled = torch.cat([pool(one, boxes[..., :4]) for one in maps], dim=2)     # (B, K, D)
        return torch.cat([pooled * boxes[..., 4:], boxes], dim=2)

    def beside(self, pictures):
        """Return what `forward` takes beside the images of some pictures of a dataset."""
        if self.head is not None:
            return ()
        return (padded([boxes_of(one)[0] for one in pictures], self.most),)

    def files(self, pictures):
        """Return the files, besides the pictures, on which their regions depend."""
        return [] if self.head is not None else sorted({instances_file(one) for one in pictures})

    def fingerprint(self):
        """Return a hash of every weight and of the source."""
        return f"{super().fingerprint()}-{self.source['boxes']}-{self.most}"

    def train(self, mode=True):
        """Stay in evaluation, head included, whatever the mode."""
        return nn.Module.train(self, False)


class RegionEmbedding(nn.Module):
    """Linear layers of a region's features and of its place: rows (B, K, D + 5) to (B, K, E + 5).

    The place is the box, and how it lies to the others of its picture: left of the others or not
    is a number of its own. Beside the features it begins small, which is learned from soonest.
    """

    def __init__(self, channels, embed_size):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(channels, embed_size), nn.LayerNorm(embed_size))
        self.box, self.apart = nn.Linear(6, embed_size), nn.Linear(4, embed_size, bias=False)
        self.weigh_places(0.1)

    def weigh_places(self, std):
        """Draw the weights of the place anew; the normalised features have a deviation of 1."""
        for layer in (self.box, self.apart):
            nn.init.normal_(layer.weight, std=std)

    def forward(self, rows):
        """Return rows (B, K, E + 5), the last five numbers as they were."""
        features, beside = rows.split([rows.shape[2] - BESIDE, BESIDE], dim=2)
        corners, apart = beside[..., :4], from_others(beside)
        size = corners[..., 2:] - corners[..., :2]
        cells = (self.features(features) + self.box(torch.cat([corners, size], dim=2))
                 + self.apart(torch.cat([4 * apart, apart.sign()], dim=2)))
        return torch.cat([cells, beside], dim=2)


def from_others(boxes):
    """Return how boxes (B, K, 5) lie to the mean middle of the others of their picture, (B, K, 2).

    It is 0 for row 0, which is the whole picture, for rows that only fill up and for a box alone.
    """
    there = boxes[..., 4:].clone()
    there[:, 0] = 0
    middle = (boxes[..., :2] + boxes[..., 2:4]) / 2 * there
    others = there.sum(dim=1, keepdim=True) - 1
    mean = (middle.sum(dim=1, keepdim=True) - middle) / others.clamp(min=1)
    return (middle - mean) * there * (others > 0)


def truth(split):
    """Return the source of the boxes in the instances file, as many as a picture of `split` has."""
    most = max(len(boxes_of(picture).boxes) for picture in split.pictures)
    return {"boxes": "truth", "names": [], "most": max(1, min(MOST, most))}


def pool(maps, boxes):
    """Return the mean (B, K, C) of maps (B, C, s, s) within each of boxes (B, K, 4), fractions."""
    found = roi_align(maps.contiguous(), list(boxes), 1, spatial_scale=maps.shape[2],
                      sampling_ratio=POINTS, aligned=True)
    return found.view(*boxes.shape[:2], -1)


def padded(boxes, most):
    """Return a list of boxes (n, 4) as (B, most, 5): the first `most`, each with a 1, then zeros.
    """
    rows = torch.zeros(len(boxes), most, BESIDE)
    for row, one in zip(rows, boxes, strict=True):
        row[:len(one), :4], row[:len(one), 4] = one[:most], 1
    return rows.to(boxes[0].device)


def whole_first(boxes):
    """Return boxes (B, K, 5) behind the box of the whole picture, (B, 1 + K, 5)."""
    return torch.cat([boxes.new_tensor([0, 0, 1, 1, 1]).expand(len(boxes), 1, BESIDE), boxes],
                     dim=1)


def save_detector(path, backbone, **about):
    """Write a `RegionBackbone` with a head as a self-contained file; `about` says how it was made.
    """
    tensors = {name: tensor.half() if tensor.dim() > 1 else tensor
               for name, tensor in backbone.state_dict().items()}
    header = {"backbone": backbone.name, "source": backbone.source, "about": about}
    tensor_file.write(path, KIND, FORMAT, tensors, header)


def load_detector(path):
    """Read a `RegionBackbone` with a head from a run's folder or a file; `BadInput` if damaged."""
    path = tensor_file.best_file(path)
    tensors, header = tensor_file.read(path, KIND, FORMAT, REMEDY)
    if misfit(header, {"backbone": str, "source": SOURCE, "about": dict}):
        raise BadInput(f"{path} is no detector that this program can use: {REMEDY}")
    source = header["source"]
    try:
        tensor_file.refuse_broken({
            "its boxes are not those of a head": source["boxes"] == "detector",
            "its number of boxes is absurd": 1 <= source["most"] <= LIMITS["most"],
            "its names are absurd": 1 <= len(source["names"]) <= LIMITS["names"]})
        backbone = RegionBackbone(header["backbone"], None, source)
        backbone.load_state_dict({name: tensor.float() if tensor.is_floating_point() else tensor
                                  for name, tensor in tensors.items()})
    except (BadInput, RuntimeError) as error:
        raise BadInput(f"{path} cannot be built ({shorten(error)}): {REMEDY}") from None
    return backbone


def shorten(error):
    """Return the first line of an error."""
    return str(error).splitlines()[0]
