"""Pack a run's labeller into one file, with a card that says what it is and what it cannot do.

    run + report of evaluate.py --pack--> checkpoints/NAME.safetensors --card--> NAME.md

    python -m video.actions.card runs/actions checkpoints/actions.safetensors \\
        --report results/actions-test.json --note "What the data is and may be used for."

As in captioning/card.py everything that a card says is in the checkpoint's header.
"""

from dataclasses import asdict, replace
from pathlib import Path

from system.commands import run_command
from system.files import BadInput, read_json
from system.shapes import misfit
from training.cards import card_files, pack_by_options, training_command, write_card
from video.actions.checkpoint import load_labeller, save_labeller
from video.actions.settings import RECIPES, ActionSettings

REPORT = {"split": str, "clips": int, "frames": int, "grid_hz": float, "mAP": float,
          "prevalence": float, "oracle_without_timing": float, "by_class": {str: float | None}}
ABOUT = {                   # of a packed labeller: what its card says
    "settings": {"data": str, "epochs": int, "seed": int}, "command": str, "val": {"epoch": int},
    "note": str, "report": REPORT, "commit": str | None, "torch": str, "torchvision": str}
CARD = """\
# {name}

{encoder} (frozen) and the model `{model}` of {hidden_size}; {classes} classes, {hz:g} frames a
second; {megabytes:.1f} MB. A frame is {fit} to {side} x {side}.

| | |
| --- | --- |
| trained on | {data} |
| best after | epoch {epoch} of {epochs}, seed {seed} |
| commit | {commit} |
| versions | torch {torch}, torchvision {torchvision} |

```bash
{command}
```

## Scores

{report[split]}: {report[clips]} clips, {report[frames]} frames at {report[grid_hz]:g} Hz; average
precision x 100, which does not compare with that of another grid. Equal scores get the prevalence;
the oracle knows how often a class is in a clip and never when.

| | average precision |
| --- | --- |
| mean | {mean} |
| prevalence | {prevalence} |
| oracle without timing | {oracle} |
{rows}

## What it was trained on

{note}

## What it cannot do

- It knows its {classes} classes alone, and says of each how probable it is in a frame: not by
  whom, nor where.
- It looks {hz:g} times a second. What is shorter it may not see.
- It has learned how often things were seen in training. Nothing that matters to a person should
  rest on what it says.
"""


def pack(run, file, report, note):
    """Write the best labeller of a run to `file` and its card beside it; return the card's path.

    report: a file that `evaluate.py --json` wrote.  note: what the training data is and may be
    used for.  Raises `BadInput` if a file would be replaced that this function did not write.
    """
    file, path = card_files(file, "a labeller packed before", is_packed)
    labeller = load_labeller(run)
    settings = elsewhere(ActionSettings(**labeller.about["settings"]))
    about = {**labeller.about, "settings": asdict(settings), "note": note,
             "command": training_command(settings, f"runs/{Path(run).name}", RECIPES),
             "report": read_json(report, "make it with evaluate.py --json", REPORT)}
    save_labeller(file, labeller, **about)
    write_card(path, card(file))
    return path


def is_packed(file):
    """Return whether `pack` wrote a file."""
    try:
        return not misfit(load_labeller(file).about, ABOUT)
    except BadInput:
        return False


def elsewhere(settings):
    """Return settings whose files are named as in a folder of this program, not as on this disk."""
    return replace(settings, **{name: f"data/{Path(value).name}" for name in ("data", "weights")
                                if (value := getattr(settings, name))
                                and Path(value).name != value})


def card(file):
    """Return the card of a packed labeller as Markdown."""
    labeller = load_labeller(file)
    about, transform = labeller.about, labeller.transform
    if misfit(about, ABOUT):
        raise BadInput(f"{file} was not packed and has no card: pack a run with video.actions.card")
    report, model = about["report"], labeller.architecture["model"]
    return CARD.format(
        name=Path(file).stem, encoder=labeller.architecture["encoder"]["backbone"],
        model=model["name"], hidden_size=model["hidden_size"], classes=len(labeller.classes),
        hz=labeller.hz, megabytes=Path(file).stat().st_size / 1e6,
        fit={"squash": "squashed", "crop": "cropped"}[transform.fit], side=transform.size,
        data=Path(about["settings"]["data"]).name, epoch=about["val"]["epoch"],
        epochs=about["settings"]["epochs"], seed=about["settings"]["seed"],
        commit=about.get("commit", "not recorded"), torch=about["torch"],
        torchvision=about["torchvision"], command=about["command"], report=report,
        note=about["note"], mean=percent(report["mAP"]), prevalence=percent(report["prevalence"]),
        oracle=percent(report["oracle_without_timing"]),
        rows="\n".join(f"| {name} | {percent(one)} |" for name, one in report["by_class"].items()))


def percent(share):
    """Return a share of 1 as text, times 100."""
    return "no frame" if share is None else f"{100 * share:.1f}"


def main():
    pack_by_options(pack, "labeller")


if __name__ == "__main__":
    run_command(main)
