"""Say where a run stands: python train.py --status runs/small"""

from pathlib import Path

from system.commands import command_line
from training.folders import in_use, read_history, read_status
from training.settings import options_of


def status(folder, task, settings, options=()):
    """Return lines of text that say where a run stands.

    task: its class.  settings: those of its settings.json.  options: words that the command needs
    beside those of the settings.
    """
    folder = Path(folder)
    command = command_line("python", "train.py", "--run", folder, *options, *options_of(settings))
    if not (folder / "status.json").exists():
        return f"{folder}: nothing is saved yet\n" + (
            "it is running now" if in_use(folder) else f"begin with: {command}")
    at = read_status(folder, "go on with the run, which writes it again")
    lines = [f"{folder}: {at['epoch']} of {settings.epochs} epochs done"
             + (f", and {at['batch']} of {at['steps_per_epoch']} steps" if at["batch"] else "")]
    if at.get("best") is not None:
        lines += [f"best {at['key']} on val {at['best']:.3f}, after epoch {at['best_epoch']}"]
    if at["count"]:
        lines += [f"last loss {at['loss'] / at['count']:.3f} per {task.unit}, in this epoch so far"]
    elif history := read_history(folder)[:at["epoch"]]:
        last = history[-1]
        lines += [f"last loss {last['train_loss']:.3f} per {task.unit}, {last['val_loss']:.3f} on "
                  "val"]
    if at.get("seconds_per_epoch"):
        lines += [f"about {at['seconds_per_epoch']:.0f} s an epoch, validation aside"]
    if at["finished"]:
        lines += [f"finished: {evaluation(folder, settings)}"]
    else:
        lines += ["it is running now" if in_use(folder) else f"stopped; go on with: {command}"]
    return "\n".join(lines)


def evaluation(folder, settings):
    """Return the command that evaluates a finished run."""
    boxes = settings.beside()
    return command_line("python", "evaluate.py", folder, "--data", settings.data,
                        *(["--boxes", boxes] if boxes else []))
