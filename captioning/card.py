"""Pack a run's captioner into one file, with a card that says what it is and what it cannot do.

    run + report of evaluate.py --pack--> checkpoints/NAME.safetensors --card--> NAME.md

    python -m captioning.card runs/critical checkpoints/captioner.safetensors \\
        --report results/flickr8k-val.json --note "What the data is and may be used for."

Everything that a card says is in the checkpoint's header, so a card can be written again from its
checkpoint, and no number in it is typed by hand.
"""

import shlex
from dataclasses import MISSING, fields
from pathlib import Path

from captioning.checkpoint import load_captioner, save_captioner
from captioning.mirroring import RECIPES as MIRRORED
from captioning.mirroring import Mirrored
from captioning.settings import RECIPES, CaptioningSettings
from coco.dataset import read_split
from scoring.metrics import METRICS
from system.commands import run_command
from system.files import BadInput, read_json
from system.shapes import misfit
from training.cards import card_files, pack_by_options, training_command, write_card

PACKED = {"settings", "commands", "train", "val", "report", "note"}    # of what a card tells
# By the task that a captioner's header names, None for captioning: its settings and its recipes.
TASKS = {None: (CaptioningSettings, RECIPES), Mirrored.name: (CaptioningSettings, MIRRORED)}
SEES = {False: "one vector a picture", True: "a coarse grid of cells"}      # by grid or not
REPORT = {"split": str, "pictures": int, "references": int, "distinct": int, "search": str,
          "tokenizer": str, **dict.fromkeys(METRICS, float | None)}
ABOUT = {                   # of a packed captioner: what its card says
    "settings": {"data": str, "start": str | None, "tune_from": int | None, "epochs": int,
                 "seed": int},
    "commands": [str], "train": {"pictures": int, "sentences": int}, "val": {"epoch": int},
    "report": REPORT, "note": str, "commit": str | None, "torch": str, "torchvision": str}
CARD = """\
# {name}

{encoder} ({tuned}) and the decoder `{decoder}` of {hidden_size}; {words} words; {megabytes:.1f} MB,
encoder included. A picture is {fit} to {side} x {side}.

| | |
| --- | --- |
| trained on | {data}: {pictures} pictures, {sentences} sentences |
| best after | epoch {epoch} of {epochs}, seed {seed} |
| commit | {commit} |
| versions | torch {torch}, torchvision {torchvision} |

```bash
{commands}
```

## Scores

{report[split]}: {report[pictures]} pictures, {report[references]} references, {report[distinct]}
distinct captions; {report[search]}; {report[tokenizer]}. Scores x 100.

| {metrics} |
|{columns}
| {scores} |
{calibration}
## What it was trained on

{note}

## What it cannot do

- It says what its training pictures were like, of every picture. {unknown}
  not know, and a thing it has not seen becomes one that it has.
- It sees {sees}, so it knows what is there, less well how many, where, and which has which colour.
- It reads no writing and knows no names of people or places.
- It has inherited how people described other people, guesses of gender and age included. Nothing
  that matters to a person should rest on its sentences.
"""


MEASURED = {"data": str, "fitted": int, "measured": int, "absent": float, "error": float,
            "auc": float}           # of what `python -m calibration` notes
CALIBRATION = """
Calibrated on {fitted} pictures of {data}. Of {measured} others {absent:.1%} have a caption that
names an object which is not there; calibration error {error:.3f}, area under the curve {auc:.3f}.
"""
# whether it is calibrated -> the beginning of a sentence that ends in "not know"
UNKNOWN = {False: "It never answers that it does",
           True: "It marks only some guesses where it does"}


def pack(run, file, report, note):
    """Write the best captioner of a run to `file` and its card beside it; return the card's path.

    report: a file that `evaluate.py --json` wrote.  note: what the training data is and may be
    used for.  Raises `BadInput` if a file would be replaced that this function did not write.
    """
    file, path = card_files(file, "a captioner packed before", is_packed)
    captioner = load_captioner(run)
    settings = settings_in(captioner, run)
    train = read_split(settings["data"], "train")
    about = {**captioner.about, "settings": elsewhere(settings), "commands": commands(run),
             "train": {"pictures": len(train.pictures), "sentences": len(train.sentences)},
             "report": read_json(report, "make it with evaluate.py --json", REPORT),
             "note": note}
    save_captioner(file, captioner, **about)
    write_card(path, card(file))
    return path


def settings_in(captioner, run):
    """Return the settings in a run's checkpoint; raise `BadInput` if there are none, or others."""
    settings = captioner.about.get("settings")
    kind, _ = TASKS.get(captioner.about.get("task"), TASKS[None])
    names = {one.name: one.type for one in fields(kind)}
    if isinstance(settings, dict):      # what came later was as it is by default
        settings = {one.name: one.default for one in fields(kind)
                    if one.default is not MISSING} | settings
    if misfit(settings, names) or settings.keys() - names:
        raise BadInput(f"{run} has no settings of this version in its checkpoint: give a run's "
                       "folder made by train.py")
    return settings


def is_packed(file):
    """Return whether `pack` wrote a file."""
    try:
        return not misfit(load_captioner(file).about, ABOUT)
    except BadInput:
        return False


def elsewhere(settings):
    """Return settings, a dict, with the dataset in data/ and runs it was built on in runs/."""
    start, boxes = settings["start"], settings["boxes"]
    if boxes and Path(boxes).name != boxes:         # not truth, nor a detector's name
        boxes = f"runs/{Path(boxes).name}"
    return {**settings, "data": f"data/{Path(settings['data']).name}", "boxes": boxes,
            "start": start and f"runs/{Path(start).name}"}


def commands(run):
    """Return the commands that train a run, those of the runs it was built on first."""
    captioner = load_captioner(run)
    if is_packed(run):
        return captioner.about["commands"]
    settings = settings_in(captioner, run)
    before = commands(settings["start"]) if settings["start"] else []
    settings = elsewhere(settings)
    words = map(shlex.split, before)        # a name may have spaces
    trained = [line[line.index("--run") + 1] for line in words if "--run" in line]
    if trained:         # a packed captioner has another name than the run that it was
        settings["start"] = trained[-1]
    kind, recipes = TASKS.get(captioner.about.get("task"), TASKS[None])
    name = f"runs/{Path(run).name}"
    found = [*before, training_command(kind(**settings), name, recipes)]
    if captioner.certain is not None and len(trained) == len(before):   # none before it names
        found.append(shlex.join(["python", "-m", "concepts.certain", name, "--probability",
                                 f"{captioner.certain:g}"]))
    return found


def card(file):
    """Return the card of a packed captioner as Markdown."""
    captioner = load_captioner(file)
    about, transform = captioner.about, captioner.transform
    if misfit(about, ABOUT):
        raise BadInput(f"{file} was not packed and has no card: pack a run with captioning.card")
    settings, report = about["settings"], about["report"]
    stage, decoder = settings["tune_from"], captioner.architecture["decoder"]
    noted = about.get("calibration")
    calibrated = not misfit(noted, MEASURED)
    scores = {metric.label: metric.scale * report[name]
              for name, metric in METRICS.items() if name in report}
    return CARD.format(
        name=Path(file).stem, encoder=captioner.architecture["encoder"]["backbone"],
        tuned="frozen" if stage is None else f"tuned from stage {stage} on",
        hidden_size=decoder["hidden_size"],
        decoder=decoder["name"],
        sees=SEES[captioner.architecture["encoder"]["grid"]],
        words=len(captioner.vocab), megabytes=Path(file).stat().st_size / 1e6,
        fit={"squash": "squashed", "crop": "cropped"}[transform.fit], side=transform.size,
        data=Path(settings["data"]).name, **about["train"], epoch=about["val"]["epoch"],
        epochs=settings["epochs"], seed=settings["seed"], commands="\n".join(about["commands"]),
        commit=about.get("commit", "not recorded"), torch=about["torch"],
        torchvision=about["torchvision"], report=report, note=about["note"],
        metrics=" | ".join(scores), columns=" --- |" * len(scores),
        scores=" | ".join(f"{value:.1f}" for value in scores.values()),
        calibration=CALIBRATION.format(**noted) if calibrated else "", unknown=UNKNOWN[calibrated])


def main():
    pack_by_options(pack, "captioner")


if __name__ == "__main__":
    run_command(main)
