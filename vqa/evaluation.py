"""Score answers to a split's questions, beside those that never saw the picture or the question.

    most frequent       the most frequent answer of train, to everything
    per question type   the most frequent answer of train to a question of the same type
    question lookup     the most frequent answer of train to the same words
    question only       a model that sees no picture: an LSTM over the words
    picture only        a model that reads no question

    questions, predicted --report--> scores         task --trained--> answerers of one eye
    questions, answerer --beside--> the scores of all five

The last two are trained once, in the cache, with the settings of the model that they stand beside,
but smaller and for a few epochs: more would not teach them to look.
"""

import shutil
import sys
from collections import Counter
from contextlib import redirect_stdout
from dataclasses import asdict, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from system.cache import CACHE, cache_name
from system.files import BadInput, whole_file
from system.shapes import misfit
from training.loop import train
from vqa.accuracy import accuracies, by_type, harmonic_mean, pair_accuracy
from vqa.checkpoint import load_answerer
from vqa.settings import VQASettings
from vqa.task import VQA
from vqa.words import counted
from vqa.wups import hypernyms, wups

EPOCHS, WIDTH = 4, 256      # at most, of what is trained here
BLIND = {"question only": "question", "picture only": "picture"}    # the model of each
THRESHOLDS = 0.9, 0.0, -1   # of WUPS
SHOWN = "accuracy", "by_answer_type", "pair_accuracy"


def report(questions, predicted, rules="official"):
    """Return the scores of the answers to all questions, each from 0 to 1.

    arithmetic and harmonic are means over question types, in which a rare type counts as much as a
    frequent one; wups compares with the most frequent answer. Raises `BadInput` without answers.
    """
    if not questions.answers:
        raise BadInput(f"{questions.root} has no annotations of {questions.split}, so answers to "
                       "its questions have no score: give another split, or only --results")
    scores = accuracies(predicted, questions.answers, rules)
    kinds, (tree, similarity) = by_type(scores, questions.question_types), hypernyms()
    truths = [Counter(ten).most_common(1)[0][0] for ten in questions.answers]
    return {"split": questions.split, "questions": len(scores), "rules": rules,
            "accuracy": float(scores.mean()),
            "by_answer_type": by_type(scores, questions.answer_types), "by_question_type": kinds,
            "arithmetic": float(np.mean([*kinds.values()])),
            "harmonic": harmonic_mean([*kinds.values()]),
            "pair_accuracy": pair_accuracy(scores, questions.pairs),
            "wups": {"hypernyms": tree} | {str(threshold): float(wups(
                predicted, truths, threshold, similarity).mean()) for threshold in THRESHOLDS}}


def beside(questions, answerer, data, rules):
    """Return ({name: its scores} of all baselines, lines that say what is missing).

    answerer: the model that they stand beside.  data: a root that may have the questions of train,
    if those that it was trained on are not there any more.
    """
    if not questions.answers:
        return {}, ["nobody knows the answers, so nothing is scored"]
    try:
        task = task_of(answerer, data)
    except BadInput as error:
        return {}, [f"no baselines, since train cannot be read: {error}"]
    predictions = counted(task.train_questions, questions)
    device = next(answerer.model.parameters()).device
    for name, model in BLIND.items():
        one = trained(model, task, device)
        predictions[name] = one.predicted(one.features(questions), questions.picture,
                                          questions.texts)
    found = {name: report(questions, said, rules) for name, said in predictions.items()}
    return {name: {key: one[key] for key in SHOWN} for name, one in found.items()}, []


def task_of(answerer, data):
    """Return the task that an answerer was trained by, with its questions, or with those of `data`.

    Raises `BadInput` if neither is there.
    """
    settings = answerer.about.get("settings")
    known = {one.name: one.type for one in fields(VQASettings)}
    if misfit(settings, known) or settings.keys() - known:
        raise BadInput("the checkpoint does not say how it was trained")
    settings = VQASettings(**settings)
    if not Path(settings.data).exists():
        settings = replace(settings, data=str(data))
    task = VQA(settings)
    task.read()
    return task


def trained(model, task, device):
    """Return an answerer of the family `model` for the data and settings of a task that was read.

    It is kept in the cache, so that it is trained once.
    """
    settings = replace(task.settings, model=model, epochs=min(EPOCHS, task.settings.epochs),
                       hidden_size=min(WIDTH, task.settings.hidden_size), streams=1, glove=None)
    kept = CACHE / "baselines" / f"{cache_name([asdict(settings), task.content])}.safetensors"
    if not kept.exists():
        # on Windows a folder whose files are open stays
        with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            run = Path(folder) / "run"
            with redirect_stdout(sys.stderr):
                train(VQA(settings), run, device)
            with whole_file(kept) as part:
                shutil.copyfile(run / "best.safetensors", part)
    return load_answerer(kept, device, settings.beside())


def table(found):
    """Return a report, or what is added to one later, as lines of text; scores x 100."""
    rows = [(name, str(found[name])) for name in ("split", "questions", "rules", "layouts")
            if name in found]
    if "accuracy" in found:
        rows += [("accuracy", shown(found["accuracy"])),
                 *((kind, shown(score)) for kind, score in found["by_answer_type"].items()),
                 ("mean of question types", shown(found["arithmetic"])),
                 ("their harmonic mean", shown(found["harmonic"])),
                 ("pairs", shown(found["pair_accuracy"])),
                 *((f"WUPS at {threshold}", shown(score))
                   for threshold, score in found["wups"].items() if threshold != "hypernyms")]
    if "fact_accuracy" in found:
        rows += [(f"right with the right fact, {name}", shown(score))
                 for name, score in found["fact_accuracy"].items() if name != "questions"]
    for name, one in found.get("baselines", {}).items():
        pairs = "" if one["pair_accuracy"] is None else f", pairs {shown(one['pair_accuracy'])}"
        rows += [(f"baseline: {name}", shown(one["accuracy"]) + pairs)]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:>{width}}  {value}" for name, value in rows)


def shown(score):
    """Return a score as papers print it."""
    return "none" if score is None else f"{100 * score:6.2f}"
