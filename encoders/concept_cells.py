"""Words that the encoder's own classifier sees, as further cells behind those of the grid.

    images (B, 3, S, S) --ConceptBackbone--> rows (B, L + 1, D)     cells; probabilities of W words
    rows --ConceptEmbedding--> features (B, L + K + 1, E + 1)       cells; K words; none

The K likeliest words of a picture become cells whose content is the decoder's own word vector, so
a decoder that attends can say a word that few of its pictures showed. You et al. 2016
(arXiv:1603.03925) let such words guide a decoder; Venugopalan et al. 2017 (arXiv:1606.07770) teach
objects that only texts name. The last cell is there if no other is. Behind the E numbers of a cell
stands whether it is there, 1 or 0, which `decoders.base.Decoder.cells` reads. How certain a word is
is its probability as far as it is above chance, (p - c) / (1 - c): it has c of the categories.

Shape letters:  B pictures   S side in pixels   D channels   L grid cells   W concept words
                K words of a picture at most   E embedding
"""

import copy
import math

import torch
from torch import nn
from torch.nn import functional

from encoders.backbones import Backbone
from encoders.classifiers import AVERAGED, CLASSES, head_of
from encoders.concepts import concept_matrix, concepts, listed, needs_one_layer
from system.files import BadInput
from vocabulary import UNK_ID

DROPPED = 0.1               # of the pictures in training: all words, so that cells are looked at


class ConceptBackbone(Backbone):
    """A CNN's grid, and the words that its published classifier sees in the picture.

    words: those of encoders/concept_words.py, or some of them.  apart: the stage from which on the
    weights as they were published are kept beside those in use, which were or will be tuned; None
    if no stage is.
    """

    def __init__(self, name, weights, tune_from, words, apart=None):
        if name not in AVERAGED:
            raise BadInput(needs_one_layer(name))
        super().__init__(name, weights, grid=True, tune_from=tune_from)
        self.apart = len(self.stages) if apart is None else apart
        if self.apart > self.tune_from:
            raise BadInput(f"stages from {self.tune_from} on cannot be tuned, since their "
                           "published weights, which the classifier needs, would be lost")
        self.published = copy.deepcopy(self.stages[self.apart:])
        self.linear = head_of(name, weights)[-1]
        with torch.no_grad():               # as `Backbone` does
            self.linear.weight.copy_(self.linear.weight.half())
        # a checkpoint brings its own; the names of the categories are torchvision's
        self.register_buffer("matrix", torch.zeros(CLASSES, len(words)) if weights is None else
                             concept_matrix({word: listed()[word] for word in words}))
        for part in (self.published, self.linear):
            part.requires_grad_(False)

    def forward(self, images):
        """Return rows (B, L + 1, D); the last has the words' probabilities and then zeros."""
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            shared = self.stages[:self.apart](images)
            published = self.published(shared).flatten(2).mean(2, dtype=torch.float32)  # (B, D)
            # in float32: bfloat16 would round scores to the second digit
            scores = functional.linear(published, self.linear.weight.float(),
                                       self.linear.bias.float())
            row = concepts(scores.softmax(1), self.matrix.float())      # (B, W)
            below = self.stages[self.apart:self.tune_from](shared)
        cells = self.stages[self.tune_from:](below).flatten(2).transpose(1, 2)
        row = functional.pad(row, (0, self.channels - row.shape[1]))
        return torch.cat([cells, row.unsqueeze(1)], dim=1)

    @torch.no_grad()
    def compile_stages(self, build, side):
        """Replace the stages before and behind `apart`, and the published ones, each by one."""
        maps = torch.zeros(1, 3, side, side, dtype=next(self.parameters()).dtype)
        shape = self.stages[:self.apart](maps).shape[1:]
        parts = [(self.stages[:self.apart], (3, side, side)), (self.stages[self.apart:], shape),
                 (self.published, shape)]
        first, own, self.published = (build(*part) if len(part[0]) else nn.Sequential()
                                      for part in parts)
        self.stages, self.apart, self.tune_from = nn.Sequential(first, own), 1, 2

    def fingerprint(self):
        """Return a hash of every weight and of the words, to name cached features."""
        return f"{super().fingerprint()}-concepts"


class ConceptEmbedding(nn.Module):
    """Linear layers of cells and of words: rows (B, L + 1, D) to features (B, L + K + 1, E + 1).

    words: W of them.  most: K.  least: the certainty below which a word is not there.  dropout: the
    fraction of words left out in training, besides all words of a fraction DROPPED of pictures.
    """

    def __init__(self, channels, embed_size, words, most, least):
        super().__init__()
        self.words = tuple(words)
        self.most, self.least, self.dropout = most, least, 0.0
        self.cell = nn.Linear(channels, embed_size)
        self.word = nn.Linear(embed_size, embed_size)
        self.kind, self.certainty, self.nothing = (
            nn.Parameter(torch.zeros(embed_size)) for _ in range(3))
        nn.init.normal_(self.nothing)
        # the probability that a word has by its share of the categories alone: a dog has 118 breeds
        self.register_buffer("chance", torch.zeros(len(self.words)))
        self.shared = ()

    def share(self, vectors, vocab):
        """Read the vectors of words where the decoder has them: `vectors`, an `nn.Embedding`."""
        # in a tuple: the module is the decoder's, and is no second time among these weights
        self.shared = (vectors, [vocab(word) for word in self.words])

    @property
    def beside(self):
        """The number of cells that are none of the grid."""
        return self.most + 1

    def forward(self, rows):
        """Return the features of pictures."""
        certain = self.certainties(rows[:, -1, :len(self.words)])
        return self.join(self.cell(rows[:, :-1]), certain, True)

    def certainties(self, probabilities):
        """Return how far above chance probabilities (..., W) are, 0 to 1."""
        return ((probabilities - self.chance) / (1 - self.chance)).clamp(min=0)

    def without_picture(self, certain, count):
        """Return features with `count` absent cells, and words of certainties (B, W)."""
        cells = certain.new_zeros(len(certain), count, self.nothing.shape[0])
        return self.join(cells, certain, False)

    def join(self, cells, certain, seen):
        """Return features of cells (B, L, E), there if `seen`, and of certainties (B, W)."""
        table, ids = self.shared
        known = certain.new_tensor([one != UNK_ID for one in ids])
        sure, which = (certain * known).topk(self.most, dim=1)                # (B, K)
        there = sure >= self.least
        if self.training:
            there = there & (torch.rand_like(sure) >= self.dropout) & (
                torch.rand(len(sure), 1, device=sure.device) >= DROPPED)
        vectors = self.word(table.weight[ids] * math.sqrt(table.embedding_dim))     # (W, E)
        found = (vectors[which] + self.kind
                 + sure.clamp(min=self.least).log().unsqueeze(2) * self.certainty)
        present = torch.cat([there.new_full(cells.shape[:2], seen), there], dim=1)
        present = torch.cat([present, ~present.any(1, keepdim=True)], dim=1)
        nothing = self.nothing.expand(len(cells), 1, -1)
        return torch.cat([torch.cat([cells, found, nothing], dim=1),
                          present.unsqueeze(2).to(found.dtype)], dim=2)


class ConceptEncoder(nn.Module):
    """A `ConceptBackbone`, then a trainable `ConceptEmbedding`; used as an `EncoderCNN` is."""

    def __init__(self, embed_size, backbone, weights, tune_from, words, most, least, apart):
        super().__init__()
        self.backbone = ConceptBackbone(backbone, weights, tune_from, words, apart)
        self.embed = ConceptEmbedding(self.backbone.channels, embed_size, words, most, least)
        if weights is not None:             # a checkpoint brings its own
            self.embed.chance.copy_(self.backbone.matrix.mean(0))

    def forward(self, images):
        """Encode images (B, 3, S, S) as features (B, L + K + 1, E + 1)."""
        return self.embed(self.backbone(images))
