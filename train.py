"""Train a model of any task: one run in one folder, by a recipe and the options that win over it.

    python train.py --data data/scenes --run runs/small --recipe small
    python train.py --status runs/small
    torchrun --nproc-per-node=2 -- train.py --data data/scenes --run runs/small

(Without the two dashes some versions of torchrun take --run for one of their own options.)
"""

import argparse
import sys
from dataclasses import fields

from captioning.mirroring import RECIPES as MIRRORED
from captioning.mirroring import Mirrored, MirroredSettings
from captioning.settings import RECIPES as CAPTIONING
from captioning.settings import CaptioningSettings
from captioning.task import Captioning
from concepts.settings import RECIPES as CONCEPTS
from concepts.settings import ConceptSettings
from concepts.task import Conceptual
from detection.settings import RECIPES as DETECTION
from detection.settings import DetectionSettings
from detection.task import Detection
from system.commands import run_command
from system.distributed import is_main, processes
from system.files import BadInput
from system.processor import add_device, name_gpu
from system.roots import output_folder
from system.shapes import misfit
from training.folders import read_history, read_settings, refuse_strangers
from training.loop import train
from training.settings import add_options
from training.status import evaluation, status
from training.tensorboard import TensorBoard
from video.actions.settings import RECIPES as ACTIONS
from video.actions.settings import ActionSettings
from video.actions.task import Actions
from video.paragraphs.settings import RECIPES as PARAGRAPHS
from video.paragraphs.settings import ParagraphSettings
from video.paragraphs.task import Paragraphs
from vqa.settings import RECIPES as QUESTIONS
from vqa.settings import VQASettings
from vqa.task import VQA

# Of every task its class, the class of its settings, and its recipes, the first without a dial.
TASKS = {"captioning": (Captioning, CaptioningSettings, CAPTIONING),
         "mirrored captioning": (Mirrored, MirroredSettings, MIRRORED),
         "captioning with concepts": (Conceptual, ConceptSettings, CONCEPTS),
         "detection": (Detection, DetectionSettings, DETECTION),
         "vqa": (VQA, VQASettings, QUESTIONS),
         "actions": (Actions, ActionSettings, ACTIONS),
         "paragraphs": (Paragraphs, ParagraphSettings, PARAGRAPHS)}
RECIPES = {recipe: name for name, (_, _, recipes) in TASKS.items() for recipe in recipes}
DEFAULT = "seed"


def status_of(folder):
    """Return lines of text that say where the run in `folder` stands."""
    found = read_settings(folder, "give a run's folder, or start the training again if it "
                          "was stopped before its first step")
    name = found.pop("task")
    if name not in TASKS:
        raise BadInput(f"{folder} holds a run of no task that this program knows: give another")
    task, settings, recipes = TASKS[name]
    shape = {one.name: one.type for one in fields(settings)}
    if misfit(found, shape) or found.keys() - shape:        # they come and go between versions
        raise BadInput(f"{folder} holds a run with settings of another version of this program: "
                       "train it again in another folder")
    found = settings(**found)
    plain = next(iter(recipes))
    return status(folder, task, found, [] if plain == DEFAULT else ["--recipe", plain])


class Status(argparse.Action):
    """An option that answers at once, whatever other options are missing, as --help does."""

    def __call__(self, parser, namespace, folder, option_string=None):
        print(status_of(folder))
        parser.exit()


def arguments(words=None):
    """Return the options of a command line as a dict, those that were not given left out."""
    first = argparse.ArgumentParser(add_help=False)
    first.add_argument("--recipe", choices=RECIPES, default=DEFAULT, metavar="NAME",
                       help="named settings, those of the list below; options given beside it win; "
                       "tuned and critical need --start besides (by default %(default)s)")
    known, _ = first.parse_known_args(words)
    parser = argparse.ArgumentParser(
        parents=[first], formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train a model of the task that --recipe names. Started again with the same\n"
        "options, an interrupted run goes on where it stopped. Defaults in brackets.",
        epilog="recipes by task, whose other options --recipe NAME --help lists:\n" + "\n".join(
            f"  {task}: {', '.join(recipes)}" for task, (*_, recipes) in TASKS.items()))
    parser.add_argument("--run", required=True, help="folder of the run, new or to be resumed")
    parser.add_argument("--status", metavar="DIR", action=Status, default=argparse.SUPPRESS,
                        help="say where the run in this folder stands, and do nothing else")
    parser.add_argument("--tensorboard", action="store_true",
                        help="send the numbers of each epoch to TensorBoard as well")
    add_device(parser)
    add_options(parser, TASKS[RECIPES[known.recipe]][1])
    return vars(parser.parse_args(words))


def main():
    options = arguments()
    folder, device = output_folder(options.pop("run"), "--run"), options.pop("device")
    recipe = options.pop("recipe")
    refuse_strangers(folder)
    report = TensorBoard(folder) if options.pop("tensorboard") else None
    task_class, settings_class, recipes = TASKS[RECIPES[recipe]]
    task = task_class(settings_class(**{**recipes[recipe], **options}))
    before = read_history(folder)
    with processes(device) as device:
        speaks = is_main()
        name_gpu(device)
        try:
            history = train(task, folder, device, report=report)
        except KeyboardInterrupt as stop:
            if speaks:
                print(f"\n{str(stop) or 'stopped: the same command goes on'}", file=sys.stderr)
            return 130
    if speaks:
        print(summary(task, folder, history, finished_before=len(history) == len(before)))
    return 0


def summary(task, folder, history, finished_before):
    """Return what is said at the end: the best epoch, and the command that comes next."""
    best = task.better(history, key=lambda row: row[task.key])
    return (f"{'was finished already' if finished_before else 'finished'}: best {task.key} "
            f"{best[task.key]:.3f} on {task.settings.data} val after epoch {best['epoch']}\n"
            f"next: {evaluation(folder, task.settings)}")


if __name__ == "__main__":
    run_command(main, shared=True)
