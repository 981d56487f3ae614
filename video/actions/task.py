"""The task of labelling frames: what the engine in training/ needs to train and judge a model.

    ActionSettings --Actions--> labeller, objective, batches, mAP on val

Data are the cached features of a split's clips and the labels of their frames; the encoder is
frozen. The rungs of the ladder differ in the model alone.
"""

from dataclasses import asdict
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from encoders.backbones import transform_of
from scoring.frames import frame_map
from system.contents import content_hashes
from system.distributed import is_main, main_first, rank, world_size
from system.files import BadInput
from system.processor import to_device
from training.task import Task
from video.actions.checkpoint import Labeller, save_labeller
from video.actions.files import read_actions
from video.features import clip_features


class Batch(NamedTuple):
    """Features (B, T, L, D), targets (B, T, C), and mask (B, T): true in the clips."""

    features: torch.Tensor
    targets: torch.Tensor
    mask: torch.Tensor

    def to(self, device):
        """Return the batch on `device`."""
        return Batch(*(to_device(tensor, device) for tensor in self))


class Objective(nn.Module):
    """Binary cross-entropy of every label of every frame, summed over the labels."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, batch):
        """Return the objective, the same as a loss, and the number of frames."""
        scores = self.model(batch.features, batch.mask).float()
        each = functional.binary_cross_entropy_with_logits(scores, batch.targets, reduction="none")
        loss = (each.sum(2) * batch.mask).sum()
        return loss, loss.detach(), batch.mask.sum()


class Actions(Task):
    """The training of a model of the ladder on the clips of a root, chosen by mAP on val.

    features: function of (backbone, transform, clips, rate=, name=) that gives `ClipFeatures`.
    """

    name, key, better = "actions", "mAP", max
    shown = ("val_loss", "mAP")
    places = ("data", "weights")
    curves, unit = {"mAP": "mAP"}, "frame"

    def __init__(self, settings, features=clip_features):
        super().__init__(settings)
        self.features = features

    def read(self):
        """Read which clips train and val have, and what is seen in them."""
        with main_first():
            settings = self.settings
            self.train, self.val = (read_actions(settings.data, split)
                                    for split in ("train", "val"))
            for one in (self.train, self.val):
                for part, found in zip(("labels", "clips"), one.content(), strict=True):
                    self.content = self.content | {f"the {part} of {one.name}": found}
            file = settings.weights
            self.content["the file of weights"] = (
                file and content_hashes([file])[0] or str(file))

    def prepare(self, device):
        """Build the model by the seed, and encode train."""
        settings, self.device = self.settings, device
        torch.manual_seed(settings.seed)
        self.labeller = Labeller.build(architecture(settings), self.train.classes, settings.hz,
                                       transform_of(settings.encoder, settings.fit),
                                       settings.weights)
        self.labeller.backbone.to(device)
        self.rows = self.encoded(self.train)
        self.labels = self.train.labels(settings.hz)
        refuse_unlabelled(self.train, self.labels, settings.hz)
        self.labeller.model.to(device)
        self.objective = Objective(self.labeller.model)
        # (clip, first frame, end) of every piece
        self.pieces = [(clip, start, min(start + settings.longest, len(labels)))
                       for clip, labels in enumerate(self.labels)
                       for start in range(0, len(labels), settings.longest)]
        self.steps_per_epoch = -(-len(self.pieces) // settings.batch_size)
        if is_main():
            print(f"{len(self.train.clips)} clips with {sum(map(len, self.labels))} frames at "
                  f"{settings.hz:g} Hz and {len(self.train.classes)} classes")

    def encoded(self, split):
        """Return the `ClipFeatures` of a split."""
        return self.features(self.labeller.backbone, self.labeller.transform, split.clips,
                             rate=self.settings.hz, name=split.name)

    def groups(self):
        """Return the parameters of the model; the encoder is frozen."""
        return [{"params": [*self.labeller.model.parameters()],
                 "peak": self.settings.learning_rate}]

    def batches(self, epoch, start):
        """Yield this process's part of the batches of an epoch, from batch `start` on."""
        settings = self.settings
        order = np.random.default_rng([settings.seed, epoch]).permutation(len(self.pieces))
        for first in range(start * settings.batch_size, len(order), settings.batch_size):
            whole = order[first:first + settings.batch_size]
            mine = whole[rank()::world_size()]
            # every process takes part in every step, even without a piece of its own
            yield self.batch(mine) if len(mine) else self.batch(whole[:1], counted=False)

    def batch(self, places, counted=True):
        """Return the `Batch` of pieces by their places."""
        pieces = [self.pieces[place] for place in places]
        most = max(end - start for _, start, end in pieces)
        features = torch.zeros(len(pieces), most, *self.rows.rows.shape[1:])
        targets = torch.zeros(len(pieces), most, len(self.train.classes))
        mask = torch.zeros(len(pieces), most, dtype=torch.bool)
        for row, (clip, start, end) in enumerate(pieces):
            part = slice(0, end - start)
            seen = self.rows.of(clip)[0][start:end].astype(np.float32)
            features[row, part] = torch.from_numpy(seen)
            targets[row, part] = torch.from_numpy(self.labels[clip][start:end])
            mask[row, part] = counted
        return Batch(features, targets, mask)

    def measure(self):
        """Return the loss a frame on val, and the mAP of its frames."""
        rows = self.encoded(self.val)
        if not is_main():           # the others have helped to encode val
            return None
        labels = self.val.labels(self.settings.hz)
        refuse_unlabelled(self.val, labels, self.settings.hz)
        scores = self.labeller.scores(rows)
        scores = [some[:len(one)] for some, one in zip(scores, labels, strict=True)]
        found = frame_map([one.numpy() for one in scores], labels, self.settings.hz)
        losses = functional.binary_cross_entropy_with_logits(
            torch.cat(scores), torch.from_numpy(np.concatenate(labels)).float(), reduction="none")
        return {"val_loss": losses.sum(1).mean().item(), "mAP": found.mean}

    def tensors(self):
        """Return the weights of the encoder and of the model by name."""
        return self.labeller.tensors()

    def load_tensors(self, tensors):
        """Put back what `tensors` returned."""
        self.labeller.load_tensors(tensors)

    def save_best(self, path, row):
        """Write the labeller as a checkpoint with its settings and scores."""
        save_labeller(path, self.labeller, settings=asdict(self.settings), val=row)


def refuse_unlabelled(split, labels, hz):
    """Raise `BadInput` if no frame of a split has a label."""
    if not any(one.any() for one in labels):
        raise BadInput(f"no frame of {split.name} has a label at {hz:g} Hz: give a higher --hz, or "
                       "spans that lie within the clips")


def architecture(settings):
    """Return the arguments of encoder and model, as a checkpoint keeps them."""
    dials = ("cell_size", "hidden_size", "window", "dropout")
    return {"encoder": {"backbone": settings.encoder, "grid": settings.grid},
            "model": {"name": settings.model, **{key: getattr(settings, key) for key in dials}}}
