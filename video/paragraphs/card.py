"""Pack a run's narrator into one file, with a card that says what it is and what it cannot do.

    run + report of evaluate.py --pack--> checkpoints/NAME.safetensors --card--> NAME.md

    python -m video.paragraphs.card runs/paragraphs checkpoints/paragraphs.safetensors \\
        --report results/paragraphs-test.json --note "What the data is and may be used for."

As in captioning/card.py everything that a card says is in the checkpoint's header.
"""

from dataclasses import asdict, fields, replace
from pathlib import Path

from system.commands import run_command
from system.files import BadInput, read_json
from system.shapes import misfit
from training.cards import card_files, pack_by_options, training_command, write_card
from video.paragraphs.checkpoint import load_narrator, save_narrator
from video.paragraphs.evaluation import table
from video.paragraphs.files import read_told
from video.paragraphs.settings import RECIPES, ParagraphSettings

ABOUT = {                   # of a packed narrator: what its card says
    "settings": {"data": str, "epochs": int, "seed": int}, "command": str,
    "train": {"clips": int, "paragraphs": int}, "val": {"epoch": int}, "note": str,
    "report": {"split": str, "clips": int, "search": str, "R@4": float},
    "commit": str | None, "torch": str, "torchvision": str}
CARD = """\
# {name}

{encoder} (frozen) and the model `{model}` of {hidden_size}; {words} words; {megabytes:.1f} MB.
A frame is {fit} to {side} x {side}, {rate:g} of them a second.

| | |
| --- | --- |
| trained on | {data}: {clips} clips, {paragraphs} paragraphs |
| best after | epoch {epoch} of {epochs}, seed {seed} |
| commit | {commit} |
| versions | torch {torch}, torchvision {torchvision} |

```bash
{command}
```

## Scores

Scores x 100; search of each sentence: {search}.

```
{report}
```

## What it was trained on

{note}

## What it cannot do

- It tells any clip in the {words} words that it has learned, as if it were one of those it was
  trained on. It never says that it does not know.
- It looks at {rate:g} frames a second, so what is quicker it does not see, and it hears nothing.
- {segments}
- It has inherited what people chose to tell, and how. Nothing that matters to a person should rest
  on what it says.
"""
SEGMENTS = {True: "It has to be given the parts of a clip that its sentences are to tell.",
            False: "It decides by itself what a sentence tells and when a paragraph ends."}


def pack(run, file, report, note):
    """Write the best narrator of a run to `file` and its card beside it; return the card's path.

    report: a file that `evaluate.py --json` wrote.  note: what the training data is and may be
    used for.  Raises `BadInput` if a file would be replaced that this function did not write.
    """
    file, path = card_files(file, "a narrator packed before", is_packed)
    narrator = load_narrator(run)
    settings = settings_of(narrator, run)
    told = read_told(settings.data, "train")
    settings = replace(settings, data=f"data/{Path(settings.data).name}")
    about = {**narrator.about, "settings": asdict(settings), "note": note,
             "command": training_command(settings, f"runs/{Path(run).name}", RECIPES),
             "train": {"clips": len(told), "paragraphs": sum(map(len, told.paragraphs))},
             "report": read_json(report, "make it with evaluate.py --json", ABOUT["report"])}
    save_narrator(file, narrator, **about)
    write_card(path, card(file))
    return path


def settings_of(narrator, run):
    """Return the settings of a narrator's training; raise `BadInput` if it does not say them."""
    found, known = narrator.about.get("settings"), {
        one.name: one.type for one in fields(ParagraphSettings)}
    if misfit(found, known) or found.keys() - known:
        raise BadInput(f"{run} does not say how it was trained: give a run of train.py")
    return ParagraphSettings(**found)


def is_packed(file):
    """Return whether `pack` wrote a file."""
    try:
        return not misfit(load_narrator(file).about, ABOUT)
    except BadInput:
        return False


def card(file):
    """Return the card of a packed narrator as Markdown."""
    narrator = load_narrator(file)
    about, transform = narrator.about, narrator.transform
    if misfit(about, ABOUT):
        raise BadInput(f"{file} was not packed and has no card: pack a run with "
                       "video.paragraphs.card")
    model, report = narrator.architecture["model"], about["report"]
    return CARD.format(
        name=Path(file).stem, encoder=narrator.architecture["encoder"]["backbone"],
        model=model["name"], hidden_size=model["hidden_size"], words=len(narrator.vocab),
        megabytes=Path(file).stat().st_size / 1e6, rate=narrator.rate,
        fit={"squash": "squashed", "crop": "cropped"}[transform.fit], side=transform.size,
        data=Path(about["settings"]["data"]).name, **about["train"], epoch=about["val"]["epoch"],
        epochs=about["settings"]["epochs"], seed=about["settings"]["seed"],
        commit=about.get("commit", "not recorded"), torch=about["torch"],
        torchvision=about["torchvision"], command=about["command"], search=report["search"],
        report=table(report), note=about["note"], segments=SEGMENTS[narrator.segments])


def main():
    pack_by_options(pack, "narrator")


if __name__ == "__main__":
    run_command(main)
