"""What the training of a captioner of regions needs besides: its source of boxes, mirrored batches.

    settings, train --box_source--> source, backbone        Batch --mirrored--> Batch

Shape letters:  P pictures   B captions   K regions   D channels
"""

import numpy as np
import torch

from system.files import BadInput

SIDES = ("left", "right")   # words that are exchanged


def box_source(settings, split):
    """Return the source of a captioner's boxes and its backbone or None, see encoders/boxes.py.

    Raises `BadInput` if a detector has another encoder, or if views of a picture are asked for
    whose features are in a file.
    """
    from encoders.boxes import choose  # imports torchvision
    source, backbone = choose(settings.boxes, settings.weights, split)
    if backbone and backbone.carried and backbone.name != settings.encoder:
        raise BadInput(f"{settings.boxes} finds boxes by {backbone.name}, and this captioner has "
                       f"{settings.encoder}: give --encoder {backbone.name}")
    if backbone and not backbone.reads_images and settings.views > 1:
        raise BadInput(f"{settings.boxes} has features of each picture as it is, and of no other "
                       "view: give --views 1")
    return source, backbone


def mirrored(batch, vocab, seed):
    """Return a `Batch` of regions, images (P, K, D + 5), with half of its pictures mirrored.

    The boxes change sides, the features stay, and left and right are exchanged in the captions. So
    what a region looks like does not tell where it lies: a captioner has to read its box.
    """
    flips = torch.from_numpy(np.random.default_rng(seed).random(len(batch.images)) < 0.5)
    images, captions = batch.images.clone(), batch.captions.clone()
    left, right, there = batch.images[..., -5], batch.images[..., -3], batch.images[..., -1]
    images[..., -5] = torch.where(flips[:, None], (1 - right) * there, left)
    images[..., -3] = torch.where(flips[:, None], (1 - left) * there, right)
    mine = flips.repeat_interleave(len(captions) // len(images))[:, None]
    one, other = (vocab(word) for word in SIDES)
    captions[mine & (batch.captions == one)] = other
    captions[mine & (batch.captions == other)] = one
    return batch._replace(images=images, captions=captions)
