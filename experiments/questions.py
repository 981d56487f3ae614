"""What answers questions about drawn pictures: families of models, and every trick by itself.

    rows --train--> runs/questions/NAME-SEED --answer test, novel--> accuracy, pairs, pointing
        --> results/questions/NAME-SEED.json --questions_table--> tables

    python -m experiments.questions --data data/questions   # hours: a detector first, then rows
    python -m experiments.questions --data data/questions --only tips tips-relu --seeds 1
    python -m experiments.questions --table                 # from the files alone

The tricks are those of "Tips and Tricks for Visual Question Answering", Teney et al. 2017
(arXiv:1708.02711), each alone turned from the default, the row `tips`, in a training of a few
minutes. A model without the table of facts cannot know those that are redrawn for test and novel,
so accuracy is also given over the families of questions without facts. `baselines.json` has what
needs no training, and as the ceiling the program executor, which knows the scene graph.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from experiments.harness import Experiment, add_options, add_seeds, folders, used
from experiments.objects import DETECTOR, detect
from experiments.pointing import REMEDY, read_programs, report
from experiments.questions_table import SPLITS, tables
from scenes.facts import OBJECTS
from scenes.programs import Undecided, answer
from scenes.programs import run as execute
from scenes.questions.dataset import read_scenes
from system.commands import run_command
from system.files import BadInput
from vqa.accuracy import accuracies, by_type, pair_accuracy
from vqa.checkpoint import load_answerer
from vqa.facts import fact_accuracy, know, reasoned, table_of
from vqa.files import read_questions
from vqa.settings import RECIPES, VQASettings
from vqa.task import VQA
from vqa.words import counted

BASELINES = "baselines"


def figures(questions, predicted):
    """Return the figures of the answers to all questions, each from 0 to 1.

    The question type of drawn questions is their family.
    """
    scores = accuracies(predicted, questions.answers)
    known = [score for score, family in zip(scores, questions.question_types, strict=True)
             if family not in OBJECTS]
    return {"accuracy": float(scores.mean()), "without facts": float(sum(known) / len(known)),
            "pairs": pair_accuracy(scores, questions.pairs),
            "families": by_type(scores, questions.question_types)}


def judge(answerer, questions, **given):
    """Return `figures` of an answerer's answers, and whether it looks at what is asked.

    given: what else its `answered` takes.
    """
    features = answerer.features(questions)
    found = list(answerer.answered(features, questions.picture, questions.texts, **given))
    places = torch.cat([one.scores.argmax(dim=1) for one in found]).tolist()
    weights = None
    if found[0].weights is not None:
        weights = torch.cat([one.weights for one in found]).cpu()
    return figures(questions, [answerer.answers.spelled[place] for place in places]) | {
        "pointing": report(answerer, questions, features, weights)}


def judge_gold(answerer, questions):
    """Judge a network of modules by the true layouts."""
    return judge(answerer, questions, beside=answerer.model.given(questions))


def judge_facts(answerer, questions):
    """Judge with the split's table of facts, and count right answers with the right fact.

    withheld: the figures of the families about facts without a table.
    """
    know(answerer, [])
    families = judge(answerer, questions)["families"]
    know(answerer, facts := table_of(questions))
    said, used = reasoned(answerer, answerer.features(questions), questions.picture,
                          questions.texts)
    return judge(answerer, questions) | {
        "facts": fact_accuracy(questions, said, used, facts),
        "withheld": {name: families[name] for name in OBJECTS if name in families}}


@dataclass(frozen=True)
class Row:
    """A model: a recipe of train.py with `changes`, over found boxes if `boxes`.

    trick: what is turned from the default, in words.  family: whether the table of families has
    it.  judge: function of answerer and questions.  trained: the row whose training it judges in
    another way, if not its own.
    """

    name: str
    recipe: str = "vqa"
    changes: dict = field(default_factory=dict)
    boxes: bool = True
    trick: str = ""
    family: bool = True
    judge: Callable = judge
    trained: str = ""


# The sizes of recipe vqa_grounded: the drawn questions have 150 words.
SMALL = {"embed_size": 128, "hidden_size": 128, "batch_size": 64, "dropout": 0.1, "warmup": 100,
         "epochs": 14, "precision": "float32"}
SHORT = {**SMALL, "epochs": 3}          # of a trick, which is trained three times
POOLED = {"grid": False}


def trick(name, about, boxes=True, **changes):
    """Return the row of the default with one trick turned."""
    return Row(name, changes=SHORT | changes, boxes=boxes, trick=about, family=False)


ROWS = (
    Row("question-only", changes={"model": "question", **SMALL, **POOLED}, boxes=False),
    Row("picture-only", changes={"model": "picture", **SMALL, **POOLED}, boxes=False),
    Row("joint", "vqa_joint", SMALL, boxes=False),
    Row("tips-boxes", changes=SMALL),
    Row("stacked-boxes", "vqa_stacked", SMALL),
    Row("grounded-grid", "vqa_grounded", boxes=False),
    Row("grounded-boxes", "vqa_grounded"),
    Row("modules-boxes", "vqa_modules"),
    Row("modules-gold", "vqa_modules", judge=judge_gold, trained="modules-boxes"),
    Row("knowledge-boxes", "vqa_knowledge", judge=judge_facts),
    trick("tips", ""),                  # the default, from which each trick is turned
    trick("tips-grid", "grid in place of boxes", boxes=False),
    trick("tips-pooled", "pooled picture in place of boxes", boxes=False, **POOLED),
    trick("tips-no-places", "places off", places=False),
    trick("tips-relu", "ReLU in place of gated tanh", gated=False),
    trick("tips-softmax", "softmax in place of sigmoid", output="softmax"),
    trick("tips-hard", "hard in place of soft targets", soft=False),
    trick("tips-two-streams", "two streams, rows of answers initialised by pictures", streams=2),
    trick("tips-two-streams-random", "two streams, rows as drawn", streams=2,
          answer_pictures=False),
    trick("tips-batch-32", "batches of 32 in place of 64", batch_size=32),
    trick("tips-batch-256", "batches of 256 in place of 64", batch_size=256),
    trick("tips-shuffled", "pairs shuffled in place of together", pairs_together=False))


def settings_of(row, data, seed, boxes=None, epochs=None, **changes):
    """Return the settings of a row's training, on the boxes of `boxes` if it has any."""
    changes = {**RECIPES[row.recipe], **row.changes, **changes, "seed": seed}
    if row.boxes:
        changes["boxes"] = boxes
    if epochs is not None:
        changes["epochs"] = epochs
    return VQASettings(str(data), **changes)


def executed(questions):
    """Return the answers of the programs, which are executed on the scene graphs.

    Raises `BadInput` if these are not the graphs that the questions are about.
    """
    table = table_of(questions)
    scenes = read_scenes(questions.root, questions.split, table)
    pictures = [questions.pictures[row].id for row in questions.picture.tolist()]
    try:
        return [answer(execute(one["program"], scenes[picture])[-1])
                for one, picture in zip(read_programs(questions), pictures, strict=True)]
    except (KeyError, Undecided):
        raise BadInput(f"{questions.root} has other scene graphs of {questions.split} than its "
                       f"questions are about: {REMEDY}") from None


def baselines(data):
    """Return {split: {name: figures}} of what needs no training."""
    train, found = read_questions(data, "train"), {}
    for split in SPLITS:
        questions = read_questions(data, split)
        said = counted(train, questions) | {"program executor": executed(questions)}
        found[split] = {name: figures(questions, one) for name, one in said.items()}
    return found


def climb(experiment, row, seed, boxes, epochs):
    """Train and judge a row with a seed, and write its result."""
    settings = settings_of(row, experiment.data, seed, boxes, epochs)
    run = f"{row.trained or row.name}-{seed}"
    result = experiment.trained(run, settings, task=VQA)
    if row.boxes:           # as for the dataset, the name and not where it lay
        result["settings"]["boxes"] = Path(boxes).name
    result |= used(experiment.device)
    for split in SPLITS:
        # loaded anew, since a row may be given something before it is judged
        answerer = load_answerer(experiment.run(run), experiment.device, settings.beside())
        result[split] = row.judge(answerer, read_questions(experiment.data, split))
    name = f"{row.name}-{seed}"
    experiment.write(name, result)
    print(f"{name}: test {result['test']['accuracy']:.3f}, novel {result['novel']['accuracy']:.3f}",
          flush=True)


def arguments():
    parser = argparse.ArgumentParser(
        description="Train models that answer questions on drawn pictures, by families and by "
        "tricks, and judge them on test and novel. Started again, it goes on.")
    add_options(parser, [row.name for row in ROWS], "questions")
    add_seeds(parser, "each recipe's")
    parser.add_argument("--boxes", metavar="RUN", help="where regions come from, as for train.py "
                        "(a detector that is trained first)")
    return parser.parse_args()


def main():
    """Train and judge the rows that are not done yet, or print the tables."""
    options = arguments()
    runs, results = folders(options)
    if options.table:
        print(tables(results, ROWS))
        return
    if not options.data or options.seeds < 1:
        raise BadInput("give --data drawn questions, made by prepare.py, and --seeds 1 or more")
    experiment = Experiment(options.data, runs, results, options.device)
    boxes = options.boxes or experiment.run(DETECTOR).as_posix()
    if not experiment.done(BASELINES):
        experiment.write(BASELINES, {"data": Path(options.data).name, **baselines(options.data)})
    for seed in range(options.seeds):
        for row in ROWS:
            if row.name not in options.only or experiment.done(f"{row.name}-{seed}"):
                continue
            if row.boxes and not options.boxes:
                detect(experiment, 0)
            climb(experiment, row, seed, boxes, options.epochs)


if __name__ == "__main__":
    run_command(main)
