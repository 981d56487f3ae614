"""The row of the benchmark on answers: a model that answers questions trained, then asked.

    Setup --vqa--> {"vqa_train_ratio": Figure, ..., "vqa_answer_rate": Figure}

Questions are about drawn pictures, whose features are cached, and the recipe is `vqa_grounded`.
Reference and ours have the same network, the reference with PyTorch's own dropout and Adam; what
differs is all that is around it.
"""

from itertools import islice

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from experiments.bench.child import take_steps
from experiments.bench.tools import Figure, alternate, best_rates, quiet, ratios, require, timed
from scenes.questions.dataset import draw
from training.loop import step
from training.run import Run
from vocabulary import END_ID
from vqa.checkpoint import Answerer
from vqa.settings import RECIPES, VQASettings
from vqa.task import VQA, architecture
from vqa.words import question_words

FEW = {"val": 4, "test": 1, "novel": 1}     # pictures of the splits beside train
SAME_LOSS = 1e-4            # relative difference of losses a question: both are float32
SAME_SCORES = 1e-3          # difference of scores before softmax


def vqa(setup):
    """Train an answerer, then ask it: questions per second, against a plain loop and one by one."""
    run = begun(setup)
    return {**trained(setup, run), **asked(setup, run.task)}


def begun(setup):
    """Draw pictures, ask about them, and begin a run on that."""
    with quiet():
        root = draw(setup.folder / "asked", {**FEW, "train": setup.sizes.asked_about},
                    progress=False)
        settings = VQASettings(**{**RECIPES["vqa_grounded"], "data": str(root), "warmup": 0})
        return Run(VQA(settings), setup.folder / "answerer")


def trained(setup, run):
    """Measure training: ratio to the plain loop, and rate."""
    steps, dataset, model = setup.sizes.steps, AskedDataset(run.task), plain_model(run.task)
    optimizer = torch.optim.Adam(model.parameters(), run.settings.learning_rate)
    same_losses(run, dataset, model, optimizer)

    def theirs():
        count, seconds = timed(plain_steps, dataset, model, optimizer, run.settings, steps)
        return count / seconds

    def ours():
        lengths, seconds = timed(take_steps, run, steps)
        return len(lengths) / seconds

    take_steps(run, 2)
    slow, fast = alternate(setup.sizes, theirs, ours)
    sample = f"{steps} steps of {run.settings.batch_size} a round"
    return {"vqa_train_ratio": Figure.of(ratios(fast, slow), "x",
                                         best_rates(slow, fast, "questions/s", sample)),
            "vqa_train_rate": Figure.of(fast, "questions/s", sample)}


def asked(setup, task):
    """Measure answering: ratio to one question after another, and rate."""
    questions, answerer = task.train_questions, task.answerer
    features, few = task.train.features, questions.only(range(setup.sizes.answered))

    def theirs():
        return one_by_one(answerer, features, few.picture, few.texts)

    def ours(some=questions):
        return torch.cat([one.scores for one in
                          answerer.answered(features, some.picture, some.texts)])

    require((theirs() - ours(few)).abs().max() <= SAME_SCORES, "the scores of answers")
    slow, fast = alternate(setup.sizes, lambda: len(few.texts) / timed(theirs)[1],
                           lambda: len(questions.texts) / timed(ours)[1])
    sample = f"{len(few.texts)} and {len(questions.texts)} questions a round"
    return {"vqa_answer_ratio": Figure.of(ratios(fast, slow), "x",
                                          best_rates(slow, fast, "questions/s", sample)),
            "vqa_answer_rate": Figure.of(fast, "questions/s", sample)}


class AskedDataset(Dataset):
    """The questions of train as public code has them: each of full length, its targets in a list.
    """

    def __init__(self, task):
        self.features, self.picture = task.train.features, task.train_questions.picture
        vocab, longest, targets = task.answerer.vocab, task.settings.longest, task.train.targets
        words = [[vocab(word) for word in question_words(text)[:longest]]
                 for text in task.train_questions.texts]
        self.lengths = list(map(len, words))
        self.questions = [one + [END_ID] * (longest - len(one)) for one in words]
        self.answers, ends = task.train.answers, targets.begin.tolist()
        self.targets = [(targets.ids[start:end].tolist(), targets.scores[start:end].tolist())
                        for start, end in zip(ends, ends[1:], strict=False)]

    def __len__(self):
        return len(self.questions)

    def __getitem__(self, row):
        target = torch.zeros(self.answers)
        for answer, value in zip(*self.targets[row], strict=True):
            target[answer] = value
        features = torch.from_numpy(self.features[self.picture[row]].astype(np.float32))
        return features, torch.tensor(self.questions[row]), self.lengths[row], target


def plain_model(task):
    """Return the network of a task's answerer afresh, with the same weights."""
    one = task.answerer
    found = Answerer.build(architecture(task.settings), one.vocab, one.answers, one.transform,
                           one.longest, one.output, one.backbone).model
    found.load_state_dict(one.model.state_dict())
    return found


def plain_step(model, optimizer, batch, clip):
    """Take one optimizer step and return the loss a question."""
    features, questions, lengths, targets = batch
    scores = model(features, questions, lengths).scores
    loss = -(targets * scores.log_softmax(1)).sum(1).mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return loss.item()


def plain_steps(dataset, model, optimizer, settings, steps):
    """Run the plain loop over shuffled batches and return how many questions it has trained on."""
    model.train()
    loader, count = DataLoader(dataset, settings.batch_size, shuffle=True), 0
    while count < steps * settings.batch_size:
        for batch in islice(loader, steps):
            plain_step(model, optimizer, batch, settings.clip)
            count += len(batch[0])
    return count


def same_losses(run, dataset, model, optimizer):
    """Require equal losses a question in three steps on the first questions, without dropout."""
    run.model.eval()                # until the next epoch begins
    model.eval()
    rows = np.arange(min(run.settings.batch_size, len(dataset)))
    batch = next(iter(DataLoader(dataset, len(rows))))
    for _ in range(3):
        loss, _ = step(run, run.task.train.batch(rows[:, None]))
        other = plain_step(model, optimizer, batch, run.settings.clip)
        require(abs(loss.item() - other) <= SAME_LOSS * other,
                f"the loss a question ({other:.5f} and {loss.item():.5f})")


@torch.no_grad()
def one_by_one(answerer, features, pictures, texts):
    """Return the scores (N, A) of the answers to questions, each asked by itself."""
    answerer.model.eval()
    found = []
    for picture, text in zip(pictures, texts, strict=True):
        ids = [answerer.vocab(word) for word in question_words(text)[:answerer.longest]]
        seen = torch.from_numpy(features[picture].astype(np.float32))
        found.append(answerer.model(seen[None], torch.tensor([ids]), torch.tensor([len(ids)])))
    return torch.cat([one.scores for one in found])
