"""Captions of regions with left and right: pictures are mirrored, so that boxes have to be read.

    MirroredSettings --Mirrored--> captioner, as Captioning does
        Batch --mirrored--> Batch       Batch --SidesToo--> objective, loss, words

Shape letters:  P pictures   B captions   T tokens   K regions   D channels
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from captioning.objectives import CrossEntropy
from captioning.settings import CaptioningSettings
from captioning.task import Captioning
from data_loader import Rows
from system.processor import to_device

SIDES = ("left", "right")   # words that are exchanged
BEFORE = 4                  # tokens before such a word, for what it is said of to be among them
AT_ONCE = 64                # captions with such a word, in each step besides its batch
# the relation Transformer, over regions: the boxes are to be given
RECIPES = {"mirrored": {"decoder": "objects", "views": 1}}


@dataclass(frozen=True)
class MirroredSettings(CaptioningSettings):
    """The same dials, of which boxes must be given."""

    def rules(self):
        """Return the rules of captioning, and that there are boxes."""
        return {**super().rules(), "mirrored needs boxes": bool(self.boxes)}


class Mirrored(Captioning):
    """Captioning with half of the pictures of a batch mirrored, and `SidesToo`."""

    name = "mirrored captioning"

    def prepare_captioner(self):
        """Build the captioner, whose places begin large: a decoder has to learn left from right."""
        super().prepare_captioner()
        self.captioner.about["task"] = self.name        # which no dial tells
        if not self.start:
            self.captioner.encoder.embed.weigh_places(0.5)

    def build_objective(self):
        """Return cross-entropy with the choice between left and right."""
        return SidesToo(self.captioner.encoder.embed, self.captioner.decoder,
                        self.settings.label_smoothing, self.train, self.vocab)

    def batches(self, epoch, start):
        """Yield the batches of an epoch from `start` on, half of their pictures mirrored."""
        for place, batch in enumerate(super().batches(epoch, start), start):
            yield mirrored(batch, self.vocab, [self.settings.seed, epoch, place])


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


class SidesToo(CrossEntropy):
    """Cross-entropy, and in each step the choice between left and right in captions that have one.

    In a batch these words are too few to be learned from, and half of them begin a sentence, where
    nothing determines them. So each step draws captions in which what lies left or right has been
    named before, mirrors half, and adds the mean cross-entropy between the two words alone, as if
    it were that of every word. Neither word becomes likelier by it, only the right one of the two.

    data: the `CaptionData` of train.
    """

    def __init__(self, encoder, decoder, smoothing, data, vocab):
        super().__init__(encoder, decoder, smoothing)
        self.data, self.vocab = data, vocab
        self.sides = [vocab(word) for word in SIDES]
        said = torch.isin(data.captions, torch.tensor(self.sides))
        said &= (said.sum(dim=1) == 1)[:, None]         # a second one might be said of another
        said[:, :BEFORE] = False
        self.captions, self.places = (one.numpy() for one in torch.nonzero(said, as_tuple=True))

    def forward(self, batch):
        """Return the objective, the batch's cross-entropy in it, and the batch's words."""
        objective, loss, count = super().forward(batch)
        if self.training and len(self.places):
            objective = objective + count * self.side_loss(batch.captions.device)
        return objective, loss, count

    def side_loss(self, device):
        """Return the mean cross-entropy of the choice in captions drawn at random."""
        # by torch's generator, whose state a run keeps
        drawn = torch.randint(len(self.places), (AT_ONCE,)).numpy()
        seed = int(torch.randint(2**31, ()))
        captions, places = self.captions[drawn], torch.from_numpy(self.places[drawn])
        rows = Rows(captions, self.data.picture[captions], True)
        batch = mirrored(self.data.batch(rows, seed), self.vocab, seed)
        read = to_device(batch.captions[:, :int(places.max()) + 1], device)
        hidden = self.decoder.hidden(self.encoder(to_device(batch.images, device)), read)
        chosen = torch.arange(AT_ONCE), places
        scores = self.decoder.score(hidden[chosen])[:, self.sides].float()     # (B, 2)
        return functional.cross_entropy(scores, (read[chosen] == self.sides[1]).long())
