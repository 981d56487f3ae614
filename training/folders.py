"""The folder of a run: who may train in it, and what its files tell.

    settings.json                    the task and its settings; the task may add files (vocabulary)
    history.jsonl, curves.png        a line and a point for every epoch
    best.safetensors                 the weights of the best epoch: to use
    state.safetensors                weights, optimizer, position: to go on
    status.json                      how far the run has come
    lock                             held by the process that trains, empty

Only the main process writes, each file whole or not at all, the state last. A kill between two
files is a kill before both: the run goes on from the older state and writes the same again.
"""

import itertools
from dataclasses import asdict
from pathlib import Path

from system.files import BadInput, parse_json, read_json, read_text, write_json, writing
from system.locks import is_locked, lock, sweep
from system.outputs import keys_in
from training.state import read_content

TRAIN_AGAIN = "train again in another folder"
STATUS = {"epoch": int, "batch": int, "best": float | None, "best_epoch": int, "loss": float,
          "count": float, "steps_per_epoch": int, "seconds_per_epoch": float | None,
          "finished": bool, "key": str, "seconds": float, "at_epoch": {str: float}}
PATIENCE = 10               # seconds: loader workers outlive a killed run by five, and its lock


def read_history(folder, figures=()):
    """Return the epochs of a run's folder, one dict each; none if none is finished.

    figures: entries that each must have beside the losses. Raises `BadInput` for a damaged line.
    """
    path = Path(folder) / "history.jsonl"
    if not path.exists():
        return []
    shape = {"epoch": int, "train_loss": float, "val_loss": float, **dict.fromkeys(figures, float)}
    return [parse_json(line, f"line {number} of {path}", TRAIN_AGAIN, shape)
            for number, line in enumerate(read_text(path, TRAIN_AGAIN).splitlines(), 1)]


def read_status(folder, remedy):
    """Return what status.json holds; raise `BadInput`, ending in `remedy`, if it is damaged."""
    return read_json(Path(folder) / "status.json", remedy, STATUS)


def read_spent(folder):
    """Return the seconds that a run took, in all and at the end of each epoch."""
    if not (Path(folder) / "status.json").exists():
        return {}
    found = read_status(folder, "delete it")
    return {key: found[key] for key in ("seconds", "at_epoch")}


def recorded(task):
    """Return what settings.json holds of a task: its name and its settings."""
    return {"task": task.name, **asdict(task.settings)}


def read_settings(folder, remedy):
    """Return what settings.json holds; raise `BadInput`, ending in `remedy`, if it is damaged."""
    return read_json(Path(folder) / "settings.json", remedy, {"task": str})


def write_settings(folder, task):
    """Write settings.json."""
    write_json(folder / "settings.json", recorded(task), indent=1)


def refuse_other_settings(folder, task, resume):
    """Raise `BadInput` if a folder holds a run of other settings, or one not to be resumed."""
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file: give --run a folder")
    refuse_strangers(folder)
    path = folder / "settings.json"
    if not path.exists():
        return
    if not resume:
        raise BadInput(f"{folder} holds a run already: give another folder, or resume it")
    before, now = read_settings(folder, "give another --run"), recorded(task)
    changed = [f"{key} was {before.get(key)!r}, is {now[key]!r}" for key in now
               if key not in task.places and before.get(key) != now[key]]
    state = folder / "state.safetensors"
    read = read_content(state) if state.exists() else task.content
    changed += [f"{what} changed" for what in task.content if read.get(what) != task.content[what]]
    if changed:
        raise BadInput(f"{folder} holds a run with other settings ({'; '.join(changed)}): "
                       "give another --run, or the same settings to go on")


def refuse_strangers(folder):
    """Raise `BadInput` if a folder holds anything but a run, begun or not, and hidden files."""
    path, strangers = folder / "settings.json", []
    if path.exists():
        strangers = [] if "task" in keys_in(path) else [path]
    elif folder.is_dir():
        strangers = [one for one in sorted(folder.iterdir()) if not (
            one.name.startswith(".") or one.name == "lock" and one.stat().st_size == 0)]
    if strangers:
        raise BadInput(f"{folder} holds other files than a run's, {strangers[0].name} for one: "
                       "give --run a new folder")


def claim(folder, task, resume):
    """Lock a folder for a run and return the lock; raise `BadInput` if the folder cannot be had.

    The lock lasts as long as something refers to it, and never beyond the process.
    """
    refuse_other_settings(folder, task, resume)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        held = lock(folder / "lock", f"another process trains in {folder}, perhaps a notebook left "
                    "open: wait for it, stop it, or give another --run", PATIENCE).lock
        sweep(folder)
    return held


def fresh_folder(folder):
    """Return `folder`, or the first of folder-2, folder-3 ... that holds no run yet."""
    folder = Path(folder)               # without a slash at the end
    names = itertools.chain([str(folder)], (f"{folder}-{number}" for number in itertools.count(2)))
    return next(name for name in names if not (Path(name) / "settings.json").exists())


def newest_run(folder="runs"):
    """Return the run under `folder` whose best weights were written last."""
    runs = [path.parent for path in Path(folder).glob("*/best.safetensors")]
    if not runs:
        raise BadInput(f"there is no trained run under {folder}/: run 2_Training.ipynb first, or "
                       "python train.py")
    return max(runs, key=lambda run: (run / "best.safetensors").stat().st_mtime)


def in_use(folder):
    """Return whether a process trains in this folder now."""
    return is_locked(Path(folder) / "lock")
