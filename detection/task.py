"""The detection task: what the engine in training/ needs to train a detection head and judge it.

    DetectionSettings --Detection--> RegionBackbone with a head, objective, batches, AP on val

The maps of the frozen CNN are cached, and the head learns from the boxes of the instances files.
"""

from dataclasses import asdict
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from coco.dataset import read_split
from coco.instances import boxes_of, instances_file
from coco.readable import readable
from detection.average_precision import average_precision
from detection.evaluation import known
from encoders.backbones import transform_of
from encoders.detector import Maps
from encoders.features import cached_features
from encoders.regions import MOST, RegionBackbone, save_detector
from system.cache import cache_name
from system.contents import content_hashes
from system.distributed import is_main, main_first, rank, world_size
from system.files import BadInput
from system.processor import to_device
from training.task import Task

SPARE = 2                   # boxes a picture may have, for each of the fullest picture of train


class Batch(NamedTuple):
    """The maps of some pictures, (B, numbers), and a list of the boxes and labels of each."""

    maps: torch.Tensor
    boxes: list
    labels: list

    def to(self, device):
        """Return the batch on `device`."""
        return Batch(to_device(self.maps, device), *([to_device(one, device) for one in part]
                                                     for part in (self.boxes, self.labels)))


class Objective(nn.Module):
    """The head's loss, as the objective of a step."""

    def __init__(self, backbone):
        super().__init__()
        self.head, self.unflatten = backbone.head, backbone.unflatten

    def forward(self, batch):
        """Return the objective, the same as a loss, and the number of pictures."""
        count = len(batch.maps)
        loss = count * self.head.loss(self.unflatten(batch.maps), batch.boxes, batch.labels)
        return loss, loss.detach(), loss.new_full((), count)


class Detection(Task):
    """The training of a detection head on a dataset with boxes, chosen by AP on val."""

    name, key, better = "detection", "AP", max
    shown = ("val_loss", "AP", "AP50")
    places = ("data", "weights")
    curves, unit = {"AP": "average precision"}, "picture"

    def read(self):
        """Read which pictures train and val have, and their boxes."""
        with main_first():
            settings = self.settings
            self.train_split = read_split(settings.data, "train").first(settings.train_pictures)
            self.val_split = read_split(settings.data, "val").first(settings.val_pictures)
            self.content = content_of(settings, self.train_split, self.val_split)
            self.names = sorted({name for picture in self.train_split.pictures
                                 for name in boxes_of(picture).names})
            if not self.names:
                raise BadInput(f"{settings.data} has no box in train, so there is nothing to "
                               "learn: give a dataset with instances files")

    def prepare(self, device):
        """Build the head by the seed, and encode train."""
        settings, self.device = self.settings, device
        with main_first():
            self.train_split = readable(self.train_split)
            self.val_split = readable(self.val_split)
        self.things = [boxes_of(picture) for picture in self.train_split.pictures]
        torch.manual_seed(settings.seed)
        most = min(MOST, SPARE * max(len(one.boxes) for one in self.things))
        source = {"boxes": "detector", "names": self.names, "most": most}
        self.backbone = RegionBackbone(settings.encoder, settings.weights, source).to(device)
        self.backbone.head.requires_grad_(True)
        self.maps = Maps(settings.encoder, settings.weights).to(device)
        self.features = self.encoded(self.train_split)
        self.objective = Objective(self.backbone)
        self.steps_per_epoch = len(self.order(0))

    def encoded(self, split):
        """Return the maps of a split's pictures, cached."""
        transform = transform_of(self.settings.encoder)
        return cached_features(self.maps, transform, split)[0]

    def groups(self):
        """Return the head's parameters."""
        return [{"params": [*self.backbone.head.parameters()],
                 "peak": self.settings.learning_rate}]

    def order(self, epoch):
        """Return the pictures of each batch of an epoch in this process."""
        random = np.random.default_rng([self.settings.seed, epoch])
        pictures = random.permutation(len(self.things))
        size, count = self.settings.batch_size, world_size()
        batches = [pictures[start:start + size] for start in range(0, len(pictures), size)]
        # a process without a picture of its own reads the first one
        return [one[rank()::count] if len(one) > rank() else one[:1] for one in batches]

    def batches(self, epoch, start):
        """Yield this process's part of the batches of an epoch, from batch `start` on."""
        for pictures in self.order(epoch)[start:]:
            yield self.batch(self.features, self.things, pictures)

    def batch(self, features, things, pictures):
        """Return the `Batch` of some pictures by number."""
        things = [things[picture] for picture in pictures]
        labels = [torch.tensor([self.names.index(name) for name in one.names], dtype=torch.long)
                  for one in things]
        return Batch(torch.from_numpy(features[pictures]).float(),
                     [one.boxes for one in things], labels)

    def measure(self):
        """Return the loss a picture on val, and the average precision of what is found there."""
        features = self.encoded(self.val_split)
        if not is_main():
            return None
        things = [known(boxes_of(picture), self.names) for picture in self.val_split.pictures]
        total, found = 0.0, []
        for start in range(0, len(things), self.settings.batch_size):
            pictures = np.arange(start, min(start + self.settings.batch_size, len(things)))
            batch = self.batch(features, things, pictures).to(self.device)
            total += self.objective(batch)[1].item()
            found += self.backbone.head.find(self.backbone.unflatten(batch.maps))
        return {"val_loss": total / len(things), **average_precision(found, things, self.names)}

    def tensors(self):
        """Return the weights of the CNN and of the head by name."""
        return self.backbone.state_dict()

    def load_tensors(self, tensors):
        """Put back what `tensors` returned."""
        self.backbone.load_state_dict(tensors)

    def save_best(self, path, row):
        """Write the CNN with its head as a detector's file."""
        save_detector(path, self.backbone, settings=asdict(self.settings), val=row)


def content_of(settings, *splits):
    """Return hashes of all that a training reads, by what each is of."""
    found = {}
    for split in splits:
        files = sorted({instances_file(picture) for picture in split.pictures})
        found[f"the boxes of {split.name}"] = cache_name(content_hashes(files))
        found[f"the pictures of {split.name}"] = cache_name(
            content_hashes([picture.file for picture in split.pictures]))
    file = settings.weights
    found["the file of weights"] = file and content_hashes([file])[0] or str(file)
    return found
