"""Detect the words of captions in pictures, after Fang et al. 2015 (arXiv:1411.4952), pooled.

    features (P, D), fractions (P, W) --train_detector--> WordDetector
    features (P, D) --WordDetector--> scores (P, W)             sigmoid: the fraction of captions

Theirs looks at parts of a picture and takes the noisy or of them; this one looks at the whole.

Shape letters:  P pictures   D channels   W words
"""

import torch
from torch import nn
from torch.nn import functional
from tqdm import tqdm

HIDDEN = 512
DROPOUT = 0.3
BATCH_SIZE = 128
EPOCHS = 12
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.3
FOLDS = 4


class WordDetector(nn.Module):
    """Two linear layers on standardised features.

    mean, deviation (D,): of the features.  prior (W,): the scores that it begins with.
    """

    def __init__(self, mean, deviation, prior):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation.clamp(min=1e-6))
        last = nn.Linear(HIDDEN, len(prior))
        nn.init.zeros_(last.weight)
        with torch.no_grad():
            last.bias.copy_(torch.logit(prior.clamp(1e-4, 1 - 1e-4)))
        self.layers = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(len(mean), HIDDEN), nn.ReLU(),
                                    nn.Dropout(DROPOUT), last)

    def forward(self, features):
        """Return scores (P, W) of features (P, D)."""
        return self.layers((features - self.mean) / self.deviation)

    @torch.no_grad()
    def fractions(self, features):
        """Return the fraction of a picture's captions that it expects to have each word (P, W)."""
        return torch.sigmoid(self.eval()(features))


def train_detector(features, fractions, seed=0, epochs=EPOCHS, title="learning words"):
    """Return a `WordDetector` trained on features (P, D) and fractions (P, W)."""
    torch.manual_seed(seed)
    network = WordDetector(features.mean(0), features.std(0), fractions.mean(0)).train()
    steps = epochs * -(-len(features) // BATCH_SIZE)
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps,
                                                   pct_start=0.1)
    for _ in tqdm(range(epochs), title, unit="epoch", leave=False):
        for rows in torch.randperm(len(features)).split(BATCH_SIZE):
            loss = functional.binary_cross_entropy_with_logits(
                network(features[rows]), fractions[rows], reduction="sum") / len(rows)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def cross_fitted(known, asked, seed=0, folds=FOLDS):
    """Return fractions (P, W) for pictures, each by a detector that was not trained on it.

    known, asked: features and fractions of the pictures on which all detectors are trained, and of
    those that are divided into `folds` parts.
    """
    features, fractions = asked
    found, part = torch.zeros_like(fractions), torch.arange(len(features)) % folds
    for fold in range(folds):
        rest = part != fold
        network = train_detector(torch.cat([known[0], features[rest]]),
                                 torch.cat([known[1], fractions[rest]]), seed,
                                 title=f"learning words, {fold + 1} of {folds}")
        found[~rest] = network.fractions(features[~rest])
    return found
