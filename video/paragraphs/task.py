"""The task of writing paragraphs: what the engine in training/ needs to train and judge a model.

    ParagraphSettings --Paragraphs--> narrator, objective, batches, CIDEr on val

Data are a split's clips, as cached features of their frames, and the paragraphs about them; the
encoder is frozen. The models differ in what a sentence knows of those before it.
"""

from dataclasses import asdict

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from encoders.backbones import transform_of
from scoring.paragraphs import paragraph_scores
from system.contents import content_hashes
from system.distributed import is_main, main_first, rank, world_size
from training.task import Task
from video.features import clip_features
from video.paragraphs.checkpoint import Narrator, save_narrator
from video.paragraphs.evaluation import true_claims
from video.paragraphs.files import read_told
from video.paragraphs.grounding import ground, guess_loss
from video.paragraphs.teller import FIRST
from video.paragraphs.words import Part, vocabulary_of

VAL_CLIPS = 32              # in one forward pass
LEAST_STEPS = 30            # of an epoch: after fewer there is little to validate


class Objective(nn.Module):
    """The cross-entropy of the words of paragraphs, and what else teaches to write and to look.

    That is, of `ParagraphSettings`, where paragraphs end unless they have given segments, what
    patches guess by `said`, and by `located` where words look.
    """

    def __init__(self, model, settings):
        super().__init__()
        self.model, self.ending = model, not settings.segments
        self.said, self.located = settings.said, settings.located

    def forward(self, batch):
        """Return the objective, the loss of the words alone, and the number of words."""
        found = self.model(batch)
        targets = batch.sentences[:, :, 1:]
        there = torch.arange(targets.shape[2], device=targets.device) < batch.lengths[..., None]
        loss = functional.cross_entropy(found.scores[there].float(), targets[there],
                                        reduction="sum")
        whole = loss + self.located * look_loss(found.weights.float(), batch.inside)[there].sum()
        if self.ending:
            whole = whole + end_loss(found.ends.float(), batch.lengths)
        whole = whole + start_loss(found.starts.float(), batch)
        if self.said:
            whole = whole + self.said * guess_loss(found.guesses.float(), batch)
        return whole, loss.detach(), batch.lengths.sum()


def look_loss(weights, inside):
    """Return minus the log of how much words look at the span of their sentence, (B, S, W).

    weights (B, S, W, 2, T), whose mean over the heads counts.  inside (B, S, T).
    """
    found = (weights * inside[:, :, None, None]).sum(dim=4)
    return -found.clamp(min=1e-6).log().mean(dim=3)


def start_loss(starts, batch):
    """Return the cross-entropy of log-odds (P, T) that a step starts at a frame."""
    there = batch.frames & batch.lengths.any()
    return functional.binary_cross_entropy_with_logits(starts[there], batch.starts[there].float(),
                                                       reduction="sum")


def end_loss(ends, lengths):
    """Return the cross-entropy of log-odds (B, S) that a paragraph ends before each sentence.

    lengths (B, S): of sentences, 0 where there is none.  The first one is always written.
    """
    number = (lengths > 0).sum(dim=1, keepdim=True)                     # (B, 1)
    place = torch.arange(ends.shape[1], device=ends.device)
    asked = (place > 0) & (place <= number) & (number > 0)
    return functional.binary_cross_entropy_with_logits(
        ends[asked], (place == number).float()[asked], reduction="sum")


class Paragraphs(Task):
    """The training of a model of paragraphs on the clips of a root, chosen by CIDEr on val.

    features: function of (backbone, transform, clips, rate=, name=) that gives `ClipFeatures`.
    """

    name, key, better = "paragraphs", "CIDEr", max
    shown = ("val_loss", "CIDEr", "sentence")
    places = ("data", "weights")
    curves, unit = {"CIDEr": "CIDEr-D"}, "word"

    def __init__(self, settings, features=clip_features):
        super().__init__(settings)
        self.features = features

    def read(self):
        """Read which clips train and val have, and what is told of them."""
        with main_first():
            settings = self.settings
            self.told = [read_told(settings.data, split) for split in ("train", "val")]
            for one in self.told:
                for part, found in zip(("paragraphs", "clips"), one.content(), strict=True):
                    self.content = self.content | {f"the {part} of {one.split}": found}
            file = settings.weights
            self.content["the file of weights"] = file and content_hashes([file])[0] or str(file)

    def prepare(self, device):
        """Build words and model by train and the seed, encode train, and ground the words."""
        settings, self.device, train = self.settings, device, self.told[0]
        vocab = vocabulary_of(train, settings.vocab_threshold)
        torch.manual_seed(settings.seed)
        self.narrator = Narrator.build(
            architecture(settings, len(vocab)), vocab, transform_of(settings.encoder, settings.fit),
            settings.rate, settings.segments, settings.longest, settings.most, settings.weights)
        self.narrator.backbone.to(device)
        self.train = self.part(train)
        ground(self.narrator.model.sight, self.train, settings.words_first, settings.seed,
               settings.each)
        self.narrator.model.to(device)
        self.objective = Objective(self.narrator.model, settings)
        steps = -(-len(self.train) // settings.batch_size)
        self.passes = max(1, -(-LEAST_STEPS // steps))          # over train, in an epoch
        self.steps_per_epoch = self.passes * steps
        if is_main():
            print(f"{len(self.train)} clips with {len(vocab)} words"
                  + (f"; an epoch is {self.passes} passes" if self.passes > 1 else ""))

    def part(self, told):
        """Return the `Part` of a split, its clips encoded."""
        clips = told.clips()
        features = self.features(self.narrator.backbone, self.narrator.transform, clips,
                                 rate=self.settings.rate, name=told.split)
        return Part(told, self.narrator.vocab, features, [one.duration for one in clips],
                    self.settings)

    def groups(self):
        """Return the parameters of the model; the encoder is frozen."""
        return [{"params": [*self.narrator.model.parameters()],
                 "peak": self.settings.learning_rate}]

    def batches(self, epoch, start):
        """Yield this process's part of the batches of an epoch, from batch `start` on."""
        settings, steps = self.settings, self.steps_per_epoch // self.passes
        for number in range(start, self.steps_per_epoch):
            done, place = divmod(number, steps)
            order = np.random.default_rng([settings.seed, epoch, done]).permutation(len(self.train))
            whole = order[place * settings.batch_size:(place + 1) * settings.batch_size]
            mine = whole[rank()::world_size()]
            rng = np.random.default_rng([settings.seed, epoch, number, rank()])
            # every process takes part in every step, even without a clip of its own
            yield self.train.batch(mine if len(mine) else whole[:1], rng, settings.each,
                                   settings.mirror, bool(len(mine)))

    def measure(self):
        """Return the loss a word on val, the scores of paragraphs, and how many claims are true."""
        told = self.told[1]
        part = self.part(told)
        if not is_main():           # the others have helped to encode val
            return None
        total = count = 0
        for start in range(0, len(part), VAL_CLIPS):
            batch = part.batch(range(start, min(start + VAL_CLIPS, len(part)))).to(self.device)
            _, loss, words = self.objective(batch)
            total, count = total + loss.item(), count + words.item()
        written = self.narrator.paragraphs(part.features, part.durations, told.spans(),
                                           self.narrator.search(method="greedy"))
        scores = paragraph_scores(dict(zip(told.names, written, strict=True)), told.references())
        truths = told.truths()
        return {"val_loss": total / count, **scores,
                **({"claims": true_claims(written, truths)["all"]} if truths else {}),
                "sentence": " ".join(written[0])}

    def tensors(self):
        """Return the weights of the encoder and of the model by name."""
        return self.narrator.tensors()

    def load_tensors(self, tensors):
        """Put back what `tensors` returned."""
        self.narrator.load_tensors(tensors)

    def save_best(self, path, row):
        """Write the narrator as a checkpoint with its settings and scores."""
        save_narrator(path, self.narrator, settings=asdict(self.settings), val=row)


def architecture(settings, words):
    """Return the arguments of encoder and model, as a checkpoint keeps them."""
    dials = ("embed_size", "hidden_size", "dropout")
    return {"encoder": {"backbone": settings.encoder},
            "model": {"name": settings.model, "guessed": min(settings.guessed, words - FIRST),
                      **{key: getattr(settings, key) for key in dials}}}
