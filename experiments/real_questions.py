"""Does the picture help with real questions? Models that see it against one that does not.

    rows --train--> runs/questions/real-ROW-SEED --answer val--> accuracy of each question
        --paired_bootstrap--> results/questions/real.json

    python -m experiments.real_questions --data ../shared/vqa
    python -m experiments.real_questions --table

The questions of val judge: where a root has none, the fifth of its pictures that is kept aside.
Nothing else may look at them, so another fifth, of the pictures that are left, chooses the epoch.
The accuracy of a question is the mean over the seeds; the interval is over questions, and does not
tell what other seeds would have given.
"""

import argparse
from pathlib import Path

import numpy as np

from experiments.harness import Experiment, folders, markdown, used
from experiments.questions import ROWS, settings_of
from experiments.questions_table import shown
from scoring.significance import paired_bootstrap
from system.commands import run_command
from system.files import BadInput, read_json
from system.processor import add_device
from vqa.accuracy import accuracies, by_type
from vqa.checkpoint import load_answerer
from vqa.files import lent, read_questions
from vqa.task import VQA, content_of
from vqa.words import counted

BLIND = "question-only"                     # what the others are compared with
COMPARED = ("joint", "tips-grid")
FEW = {"answer_threshold": 3}               # of two thousand questions few answers occur more often
NAME = "real"
REMEDY = "move it away and run experiments.real_questions again"
SCORES = {"accuracy": [float], "by_answer_type": {str: float}}
RESULT = {"data": str, "split": str, "questions": int, "seeds": int,
          "rows": {str: SCORES},
          "gains": {str: {"mean": float, "low": float, "high": float, "wins": float}}}


class Aside(VQA):
    """The training that chooses its epoch by a fifth of train, so that val may judge."""

    def read(self):
        """Read the questions of train, and divide them by their pictures."""
        super().read()
        whole = self.train_questions
        aside = lent(whole)[whole.picture]
        self.train_questions, self.val_questions = (
            whole.only(np.flatnonzero(aside == held)) for held in (False, True))
        self.content = content_of(self.settings, self.train_questions, self.val_questions)


def scores_of(experiment, row, seeds, epochs, questions):
    """Train a row by several seeds and return its accuracies (seeds, N) of questions."""
    found = []
    for seed in range(seeds):
        name = f"{NAME}-{row.name}-{seed}"
        settings = settings_of(row, experiment.data, seed, epochs=epochs, **FEW)
        experiment.trained(name, settings, task=Aside)
        answerer = load_answerer(experiment.run(name), experiment.device)
        said = answerer.predicted(answerer.features(questions), questions.picture,
                                  questions.texts)
        found.append(accuracies(said, questions.answers))
        print(f"{name}: {found[-1].mean():.3f}", flush=True)
    return np.array(found)


def compare(experiment, seeds, epochs=None):
    """Train all rows and return the RESULT; raise `BadInput` if val has no answers to judge by."""
    questions = read_questions(experiment.data, "val")
    if not questions.answers:
        raise BadInput(f"{experiment.data} has no annotations of {questions.split} to judge by: "
                       "add them, or give another --data")
    said = counted(read_questions(experiment.data, "train"), questions)
    found = {name: accuracies(one, questions.answers)[None] for name, one in said.items()}
    for row in ROWS:
        if row.name in (BLIND, *COMPARED):
            found[row.name] = scores_of(experiment, row, seeds, epochs, questions)
    means = {name: scores.mean(axis=0) for name, scores in found.items()}
    return {"data": Path(experiment.data).name, "split": questions.split,
            "questions": len(questions.ids), "seeds": seeds,
            "processor": used(experiment.device)["processor"],
            "rows": {name: {"accuracy": scores.mean(axis=1).tolist(),
                            "by_answer_type": by_type(means[name], questions.answer_types)}
                     for name, scores in found.items()},
            "gains": {name: paired_bootstrap(means[BLIND], means[name])._asdict()
                      for name in COMPARED}}


def table(results):
    """Return the result as Markdown, and a sentence for each gain; accuracy in per cent."""
    file = results / f"{NAME}.json"
    if not file.exists():
        raise BadInput(f"{results} holds no {file.name}: run experiments.real_questions with "
                       "--data first")
    found = read_json(file, REMEDY, RESULT)
    kinds = sorted({kind for one in found["rows"].values() for kind in one["by_answer_type"]})
    lines = [[name, shown(one["accuracy"]),
              *(shown([one["by_answer_type"].get(kind)]) for kind in kinds)]
             for name, one in found["rows"].items()]
    about = (f"{found['data']}, {found['split']}, {found['questions']} questions, "
             f"{found['seeds']} seeds.")
    return "\n\n".join([markdown(["row", "accuracy", *kinds], lines), about,
                        *(verdict(name, gain) for name, gain in found["gains"].items())])


def verdict(name, gain):
    """Return a sentence on what a row gains over questions alone."""
    clear = gain["low"] > 0 or gain["high"] < 0
    return (f"{name} over {BLIND}: {100 * gain['mean']:+.1f} "
            f"[{100 * gain['low']:+.1f}, {100 * gain['high']:+.1f}], "
            + ("beyond" if clear else "within") + " what other questions might give by chance.")


def main():
    """Train, judge and compare, if that is not done yet; or print the table."""
    parser = argparse.ArgumentParser(
        description="Compare models that see the picture with one that does not, on the real "
        "questions of a root. Started again, it goes on.")
    parser.add_argument("--data", help="root of questions, as VQA v2 lies")
    parser.add_argument("--seeds", type=int, default=3, metavar="N",
                        help="trainings of each row (%(default)s)")
    parser.add_argument("--epochs", type=int, help="passes over train at most (each recipe's)")
    parser.add_argument("--name", default="questions",
                        help="folder in runs/ and results/; another for other data (%(default)s)")
    parser.add_argument("--table", action="store_true", help="only print what is finished")
    add_device(parser)
    options = parser.parse_args()
    runs, results = folders(options)
    if not options.table:
        if not options.data or options.seeds < 1:
            raise BadInput("give --data a root of questions, and --seeds 1 or more")
        experiment = Experiment(options.data, runs, results, options.device)
        if not experiment.done(NAME):
            experiment.write(NAME, compare(experiment, options.seeds, options.epochs))
    print(table(results))


if __name__ == "__main__":
    run_command(main)
