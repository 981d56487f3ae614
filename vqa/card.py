"""Pack a run's answerer into one file, with a card that says what it is and what it cannot do.

    run + report of evaluate.py --pack--> checkpoints/NAME.safetensors --card--> NAME.md

    python -m vqa.card runs/questions checkpoints/questions.safetensors \\
        --report results/questions-test.json --note "What the data is and may be used for."

As in captioning/card.py everything that a card says is in the checkpoint's header.
"""

from dataclasses import asdict, replace
from pathlib import Path

from system.commands import run_command
from system.files import BadInput, read_json
from system.shapes import misfit
from training.cards import card_files, pack_by_options, training_command, write_card
from vqa.checkpoint import load_answerer, save_answerer
from vqa.evaluation import task_of
from vqa.facts import reads_facts
from vqa.settings import RECIPES

SCORES = {"accuracy": float, "by_answer_type": {str: float}, "pair_accuracy": float | None}
ABOUT = {                   # of a packed answerer: what its card says
    "settings": {"data": str, "epochs": int, "seed": int}, "command": str,
    "train": {"pictures": int, "questions": int}, "val": {"epoch": int}, "note": str,
    "report": {"split": str, "questions": int, "rules": str, **SCORES, "baselines": {str: SCORES}},
    "commit": str | None, "torch": str, "torchvision": str}
CARD = """\
# {name}

{encoder} (frozen) and the model `{model}` of {hidden_size}; {words} words, {answers} answers;
{megabytes:.1f} MB. A picture is {fit} to {side} x {side}.

| | |
| --- | --- |
| trained on | {data}: {pictures} pictures, {questions} questions |
| best after | epoch {epoch} of {epochs}, seed {seed} |
| commit | {commit} |
| versions | torch {torch}, torchvision {torchvision} |

```bash
{command}
```

## Scores

{report[split]}: {report[questions]} questions; VQA accuracy by the rules {report[rules]} x 100. The
baselines have not seen the picture, or not read the question.

| | accuracy | {kinds} | pairs |
| --- | --- |{columns} --- |
{rows}

## What it was trained on

{note}

## What it cannot do

- It chooses among the {answers} answers that were frequent in training, whatever is asked of
  whatever picture. It never answers that it does not know.
- It sees {sees}. It reads no writing and knows no names.
- It reads {longest} words of a question, and every word that it has not learned as the same.{facts}
- It has inherited what most annotators answered. Nothing that matters to a person should rest on
  what it says.
"""
FACTS = """
- It knows facts only from the table it is given. What the table says is said, true or not."""


def pack(run, file, report, note):
    """Write the best answerer of a run to `file` and its card beside it; return the card's path.

    report: a file that `evaluate.py --json` wrote.  note: what the training data is and may be
    used for.  Raises `BadInput` if a file would be replaced that this function did not write.
    """
    file, path = card_files(file, "an answerer packed before", is_packed)
    answerer = load_answerer(run)
    task = task_of(answerer, "the data that it was trained on")
    settings, train = elsewhere(task.settings), task.train_questions
    about = {**answerer.about, "settings": asdict(settings), "note": note,
             "command": training_command(settings, f"runs/{Path(run).name}", RECIPES),
             "train": {"pictures": len(train.pictures), "questions": len(train.ids)},
             "report": read_json(report, "make it with evaluate.py --json", ABOUT["report"])}
    save_answerer(file, answerer, **about)
    write_card(path, card(file))
    return path


def is_packed(file):
    """Return whether `pack` wrote a file."""
    try:
        return not misfit(load_answerer(file).about, ABOUT)
    except BadInput:
        return False


def elsewhere(settings):
    """Return settings whose files are named as in a folder of this program, not as on this disk."""
    folders = {"data": "data", "boxes": "runs", "weights": "data", "glove": "data"}
    moved = {name: f"{folder}/{Path(value).name}" for name, folder in folders.items()
             if (value := getattr(settings, name)) and Path(value).name != value}
    return replace(settings, **moved)


def card(file):
    """Return the card of a packed answerer as Markdown."""
    answerer = load_answerer(file)
    about, transform = answerer.about, answerer.transform
    if misfit(about, ABOUT):
        raise BadInput(f"{file} was not packed and has no card: pack a run with vqa.card")
    report, model = about["report"], answerer.architecture["model"]
    kinds = [*report["by_answer_type"]]
    rows = {"this model": report, **report["baselines"]}
    return CARD.format(
        name=Path(file).stem, encoder=answerer.architecture["encoder"]["backbone"],
        model=model["name"], hidden_size=model["hidden_size"], words=len(answerer.vocab),
        answers=len(answerer.answers), megabytes=Path(file).stat().st_size / 1e6,
        fit={"squash": "squashed", "crop": "cropped"}[transform.fit], side=transform.size,
        data=Path(about["settings"]["data"]).name, **about["train"], epoch=about["val"]["epoch"],
        epochs=about["settings"]["epochs"], seed=about["settings"]["seed"],
        commit=about.get("commit", "not recorded"), torch=about["torch"],
        torchvision=about["torchvision"], command=about["command"], report=report,
        kinds=" | ".join(kinds), columns=" --- |" * len(kinds), note=about["note"],
        rows="\n".join(row(name, scores, kinds) for name, scores in rows.items()),
        sees=sees(answerer.architecture["encoder"]), longest=answerer.longest,
        facts=FACTS if reads_facts(answerer) else "")


def row(name, scores, kinds):
    """Return the scores of a model or baseline as a row of a table."""
    values = scores["accuracy"], *map(scores["by_answer_type"].get, kinds), scores["pair_accuracy"]
    return "| " + " | ".join([name, *("" if value is None else f"{100 * value:.1f}"
                                      for value in values)]) + " |"


def sees(encoder):
    """Return in words what the encoder of an architecture gives of a picture."""
    if encoder.get("boxes"):
        return f"at most {encoder['boxes']['most']} things that a detector has found"
    return "a coarse grid of cells" if encoder["grid"] else "one vector a picture"


def main():
    pack_by_options(pack, "answerer")


if __name__ == "__main__":
    run_command(main)
