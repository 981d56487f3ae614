"""Words for what ImageNet's classifier sees in a picture, with probabilities.

    images (B, 3, S, S) --Classifier--> probabilities (B, 1000) --matrix--> concepts (B, W)

The classifier is the published one, stages and head, whatever becomes of an encoder that began with
the same weights. Its probabilities are cached as features are, by `cached_features`; a concept word
has the sum of those of the categories that encoders/concept_words.py lists for it.

Shape letters:  B, P pictures   S side in pixels   D channels   W concept words
"""

import torch
from torch import nn
from torch.nn import functional

from encoders.backbones import Backbone, transform_of
from encoders.classifiers import AVERAGED, class_names, head_of
from encoders.concept_words import CONCEPTS
from encoders.features import cached_features
from encoders.weights import weights_hash
from system.files import BadInput


def listed(text=CONCEPTS):
    """Return {word: list of names and ranges of categories} of the text of a table."""
    return {word: names.split(", ") for word, names in (
        one.split(": ") for one in " ".join(text.split()).split("; "))}


WORDS = tuple(listed())


class Classifier(nn.Module):
    """A network with the classifier that it was published with; it never trains.

    name: of a network whose classifier is one linear layer on the mean of the cells.
    weights: "pretrained" or None (random, for tests).
    """

    precision, reads_images = None, True        # what `cached_features` asks of a backbone

    def __init__(self, name="efficientnet_lite0", weights="pretrained"):
        super().__init__()
        if name not in AVERAGED:
            raise BadInput(needs_one_layer(name))
        self.name = f"classifier of {name}"
        self.stages = Backbone(name, weights).stages
        self.linear = head_of(name, weights)[-1]
        self.requires_grad_(False).eval()

    def forward(self, images):
        """Return the probabilities (B, 1000) of images (B, 3, S, S)."""
        pooled = self.stages(images).flatten(2).mean(2, dtype=torch.float32)        # (B, D)
        # in float32: bfloat16 would round scores to the second digit
        return self.classify(pooled)

    def classify(self, pooled):
        """Return the probabilities (B, 1000) of the means of the cells (B, D), in float32."""
        return functional.linear(pooled, self.linear.weight.float(),
                                 self.linear.bias.float()).softmax(1)

    def train(self, mode=True):
        return super().train(False)

    def beside(self, pictures):
        """Return what `forward` takes beside images: nothing."""
        return ()

    def files(self, pictures):
        """Return the files, besides the pictures, on which probabilities depend: none."""
        return []

    def fingerprint(self):
        """Return a hash of every weight, to name what is cached."""
        return weights_hash(self, self.name)


def needs_one_layer(name):
    """Return what is said of a network whose classifier is not one linear layer."""
    return (f"'{name}' has no classifier of one layer: choose one of "
            f"{', '.join(sorted(AVERAGED))}")


def category_numbers(entry, names):
    """Return the numbers of a category's name, or of "one .. another"; names: of all categories."""
    first, dots, last = entry.partition(" .. ")
    for name in (first, last or first):
        if names.count(name) != 1:
            raise BadInput(f"ImageNet has {names.count(name)} categories of the name '{name}': "
                           "name it in encoders/concept_words.py as torchvision does")
    return range(names.index(first), names.index(last or first) + 1)


def concept_matrix(table=None, names=None):
    """Return which category stands for which word, a tensor of zeros and ones (1000, W).

    table: {word: names and ranges of categories}, by default that of the project.  names: of the
    categories in their order, by default torchvision's.
    """
    table, names = table or listed(), list(names or class_names())
    matrix = torch.zeros(len(names), len(table))
    for column, entries in enumerate(table.values()):
        for entry in entries:
            matrix[list(category_numbers(entry, names)), column] = 1
    return matrix


def concepts(probabilities, matrix):
    """Return the probability of each word (..., W) from those of categories (..., 1000)."""
    return probabilities.float() @ matrix


def cached_concepts(split, name="efficientnet_lite0", fit="squash", cache=None):
    """Return the probabilities of each picture's concept words (P, W), computed only once."""
    classifier = Classifier(name)
    found = cached_features(classifier, transform_of(name, fit), split, cache=cache)[0]
    return concepts(torch.tensor(found), concept_matrix())
