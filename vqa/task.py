"""The task of answering questions: what the engine in training/ needs to train and judge a model.

    VQASettings --VQA--> answerer, objective, batches, accuracy on val

Data are a split's questions with ten answers each and the cached features of its pictures; the
encoder is frozen. The families differ in the model alone.
"""

from dataclasses import asdict
from hashlib import sha256

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from coco.dataset import Split
from coco.instances import instances_file
from coco.readable import readable
from encoders.backbones import transform_of
from encoders.features import cached_features
from system.cache import cache_name
from system.contents import content_hashes
from system.distributed import is_main, main_first, rank, world_size
from system.files import BadInput
from system.tensor_file import best_file
from training.task import Task
from vqa.accuracy import accuracies, by_type
from vqa.beginning import begin
from vqa.checkpoint import Answerer, save_answerer
from vqa.facts import in_words, know, table_of
from vqa.files import read_questions
from vqa.settings import MODELS
from vqa.words import Answers, Part, vocabulary_of

VAL_BATCH = 512             # questions of val in one forward pass
LEAST_STEPS = 30            # of an epoch: after fewer there is little to validate


class Objective(nn.Module):
    """How wrong a model's scores are: cross-entropy of every answer by itself, or of all as one.

    output: "sigmoid" or "softmax". A softmax target is as heavy as its scores are together, so a
    question of whose answers the model knows none says nothing.
    """

    def __init__(self, model, output):
        super().__init__()
        self.model, self.output = model, output

    def forward(self, batch):
        """Return the objective, the same as a loss, and the number of questions."""
        found = self.model(batch.features, batch.questions, batch.lengths, batch.beside)
        scores = found.scores.float()
        if self.output == "sigmoid":
            each = functional.binary_cross_entropy_with_logits(scores, batch.targets,
                                                               reduction="none").sum(dim=1)
        else:
            each = -(batch.targets * scores.log_softmax(dim=1)).sum(dim=1)
        if found.loss is not None:
            each = each + found.loss
        loss = (each * batch.counted).sum()
        return loss, loss.detach(), batch.counted.sum()


class VQA(Task):
    """The training of a model of any family on the questions of a root, chosen by accuracy on val.

    features: function of (backbone, transform, split) that gives arrays (1, P, ...).
    """

    name, key, better = "vqa", "accuracy", max
    shown = ("val_loss", "accuracy", "distinct", "sentence")
    places = ("data", "weights", "boxes", "glove")
    curves, unit = {"accuracy": "accuracy"}, "question"

    def __init__(self, settings, features=cached_features):
        super().__init__(settings)
        self.features = features

    def read(self):
        """Read the questions of train and val."""
        with main_first():
            settings = self.settings
            self.train_questions, self.val_questions = (
                readable_only(first(read_questions(settings.data, split), count))
                for split, count in (("train", settings.train_questions),
                                     ("val", settings.val_questions)))
            for one in (self.train_questions, self.val_questions):
                if not one.answers:
                    raise BadInput(f"{settings.data} has no annotations of {one.split}, so there "
                                   "is nothing to learn or to judge by: add them, or give another "
                                   "--data")
            self.dials, self.beside = MODELS[settings.model].beside(self.train_questions,
                                                                    self.val_questions)
            self.content = content_of(settings, self.train_questions, self.val_questions)
            # of train and of val, empty where the family reads none
            self.tables = [table_of(one) if settings.model == "knowledge" else []
                           for one in (self.train_questions, self.val_questions)]
            if any(self.tables):
                self.content["the facts"] = cache_name(self.tables)
            if self.beside[0] is not None:
                self.content["what stands beside the questions"] = cache_name(
                    [self.dials, *(one.tolist() for one in self.beside)])

    def prepare(self, device):
        """Build words, answers and model by train and the seed, and encode train."""
        settings, self.device, train = self.settings, device, self.train_questions
        vocab = vocabulary_of(train.texts + in_words(self.tables[0]), settings.vocab_threshold)
        answers = Answers.build(train.answers, settings.answer_threshold)
        self.train, self.val = (Part(one, vocab, answers, settings, beside) for one, beside in
                                zip((train, self.val_questions), self.beside, strict=True))
        built, backbone = architecture(settings), None
        built["model"] |= self.dials
        if settings.boxes:
            from encoders.boxes import chosen  # imports torchvision
            built["encoder"]["boxes"], backbone = chosen(settings, train)
        transform = transform_of(settings.encoder, settings.fit)
        if backbone:
            built["encoder"]["backbone"] = backbone.name
            transform = backbone.transform(settings.fit)
        torch.manual_seed(settings.seed)
        self.answerer = Answerer.build(built, vocab, answers, transform, settings.longest,
                                       settings.output, backbone, settings.weights)
        self.answerer.backbone.to(device)
        self.train.features = self.encoded(train)
        begin(self.answerer, settings, self.train)
        if self.tables[0]:
            know(self.answerer, self.tables[0])
            self.answerer.model.told[self.answerer.model.table.objects] = True
        self.answerer.model.to(device)
        self.objective = Objective(self.answerer.model, settings.output)
        steps = len(self.order(0))
        self.passes = max(1, -(-LEAST_STEPS // steps))          # over train, in an epoch
        self.steps_per_epoch = self.passes * steps
        if is_main():
            print(f"{len(self.train)} questions with {len(vocab)} words, {len(answers)} answers"
                  + (f"; an epoch is {self.passes} passes" if self.passes > 1 else ""))

    def encoded(self, questions):
        """Return the features (P, ...) of the pictures of questions."""
        return self.features(self.answerer.backbone, self.answerer.transform, questions)[0]

    def groups(self):
        """Return the parameters of the model; the encoder is frozen."""
        return [{"params": [one for one in self.answerer.model.parameters() if one.requires_grad],
                 "peak": self.settings.learning_rate}]

    def order(self, number):
        """Return the rows of each batch of pass `number`, those of all processes."""
        settings = self.settings
        return self.train.order(settings.batch_size, settings.seed, number,
                                settings.pairs_together, settings.questions_per_picture)

    def batches(self, epoch, start):
        """Yield this process's part of the batches of an epoch, from batch `start` on."""
        for number in range(epoch * self.passes, (epoch + 1) * self.passes):
            order = self.order(number)
            for rows in order[start:]:
                mine = rows[rank()::world_size()]
                # every process takes part in every step, even without a question of its own
                yield self.train.batch(mine) if len(mine) else self.train.batch(rows[:1], False)
            start = max(0, start - len(order))

    def measure(self):
        """Return the loss a question on val, and the accuracy of the likeliest answers."""
        self.val.features = self.encoded(self.val_questions)
        if not is_main():           # the others have helped to encode val
            return None
        if self.tables[0]:
            know(self.answerer, self.tables[1])
        total, places = 0.0, []
        for start in range(0, len(self.val), VAL_BATCH):
            rows = np.arange(start, min(start + VAL_BATCH, len(self.val)))
            batch = self.val.batch(rows[:, None]).to(self.device)
            total += self.objective(batch)[1].item()
            places += self.answerer.model(*batch[:3]).scores.argmax(dim=1).tolist()
        if self.tables[0]:
            know(self.answerer, self.tables[0])
        said = [self.answerer.answers.spelled[place] for place in places]
        scores = accuracies(said, self.val_questions.answers)
        return {"val_loss": total / len(said), "accuracy": float(scores.mean()),
                **by_type(scores, self.val_questions.answer_types), "distinct": len(set(said)),
                "sentence": f"{self.val_questions.texts[0]} {said[0]}"}

    def tensors(self):
        """Return the weights of the encoder and of the model by name."""
        return self.answerer.tensors()

    def load_tensors(self, tensors):
        """Put back what `tensors` returned."""
        self.answerer.load_tensors(tensors)

    def save_best(self, path, row):
        """Write the answerer as a checkpoint with its settings and scores."""
        save_answerer(path, self.answerer, settings=asdict(self.settings), val=row)

    def complaints(self, history):
        """Return what the epochs so far show to be wrong."""
        row = history[-1]
        if row["distinct"] > 1 or len(self.val) == 1:
            return []
        return [f"every question got the same answer, as in {row['sentence']!r}: if that stays, "
                "train longer, lower the learning rate, and check that features differ between "
                "pictures"]


def first(questions, count):
    """Return the first `count` questions (None: all)."""
    return questions if count is None else questions.only(range(min(count, len(questions.ids))))


def readable_only(questions):
    """Return the questions about pictures that can be read; the others are listed on stderr."""
    kept = readable(Split(questions.split, questions.pictures)).pictures
    if len(kept) == len(questions.pictures):
        return questions
    kept = {picture.id for picture in kept}
    there = np.array([picture.id in kept for picture in questions.pictures])
    return questions.only(np.flatnonzero(there[questions.picture]))


def content_of(settings, *splits):
    """Return hashes of all that a training reads, by what each is of."""
    found = {}
    for name, one in zip(("train", "val"), splits, strict=True):
        digest = sha256()
        for id, text, ten in zip(one.ids.tolist(), one.texts, one.answers, strict=True):
            digest.update(f"{id} {text} {ten}".encode())
        digest.update(one.pairs.tobytes())
        found[f"the questions of {name}"] = digest.hexdigest()
        found[f"the pictures of {name}"] = cache_name(
            content_hashes([picture.file for picture in one.pictures]))
    files = {"the file of weights": settings.weights, "the file of GloVe": settings.glove,
             "the boxes": settings.boxes and best_file(settings.boxes)}
    for what, file in files.items():    # "pretrained" and None are no files
        found[what] = file and content_hashes([file])[0] or str(file)
    if settings.boxes == "truth":
        files = {instances_file(picture) for one in splits for picture in one.pictures}
        found["the boxes"] = cache_name(content_hashes(sorted(files)))
    elif settings.boxes:
        from encoders.boxes import content_of_features
        found["the boxes"] = content_of_features(settings.boxes) or found["the boxes"]
    return found


def architecture(settings):
    """Return the arguments of encoder and model, as a checkpoint keeps them."""
    dials = ("embed_size", "hidden_size", "dropout", "gated", "streams", "places")
    return {"encoder": {"backbone": settings.encoder,
                        "grid": settings.grid or settings.boxes is not None},
            "model": {"name": settings.model, **{key: getattr(settings, key) for key in dials}}}
