"""A picture as a network wants it: of one size, each channel normalised.

    RGB picture --box--> --fit--> (S, S) pixels --flip--> (x / 255 - mean) / std --> (3, S, S)

Each network has its own input size and normalisation: wrong ones cost several CIDEr and raise no
error. So the transform belongs to the network, is stored in every checkpoint, and is the same in
training and in use.
"""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

SHAPE = {"size": int, "mean": (float,) * 3, "std": (float,) * 3, "fit": str}    # of a header


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

    @classmethod
    def from_header(cls, fields):
        """Return the transform of a checkpoint's header, in which tuples are lists."""
        return cls(**{key: tuple(value) if isinstance(value, list) else value
                      for key, value in fields.items()})

    def __call__(self, picture, box=None, flip=False):
        """Return an RGB picture, `box` of it, mirrored if `flip`, as a tensor (3, size, size)."""
        if self.fit == "crop":
            box = middle(*(box or (0, 0, *picture.size)))
        if picture.size != (self.size, self.size) or box is not None:
            picture = picture.resize((self.size, self.size), Image.Resampling.BICUBIC, box)
        if flip:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous() / 255
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (self.mean, self.std))
        return (pixels - mean) / std


def rules(fields):
    """Return what a header's transform must keep, {sentence: whether it does}."""
    return {
        "its pictures have an absurd size": 32 <= fields["size"] <= 1024,
        "its pictures are neither squashed nor cropped": fields["fit"] in ("squash", "crop"),
        "its normalisation is absurd": all(0 <= value <= 1 for value in fields["mean"])
            and all(0.001 <= value <= 1 for value in fields["std"]),
    }


def middle(left, top, right, bottom):
    """Return the largest square in the middle of a box."""
    side = min(right - left, bottom - top)
    left, top = (left + right - side) / 2, (top + bottom - side) / 2
    return left, top, left + side, top + side
