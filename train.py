"""Train a captioner: one run in one folder, by a recipe and the options that win over it.

    python train.py --data data/scenes --run runs/scenes --recipe small
    python train.py --status runs/scenes
    torchrun --nproc-per-node=2 -- train.py --data data/scenes --run runs/scenes

(Without the two dashes some versions of torchrun take --run for one of their own options.)
"""

import argparse
import sys

import torch

from system.distributed import is_main, processes
from system.files import run_command
from training.folders import read_history
from training.loop import train
from training.settings import RECIPES, Settings, add_options
from training.watching import status


class Status(argparse.Action):
    """Like --help: answers, whatever other options are missing, and ends."""

    def __call__(self, parser, namespace, folder, option_string=None):
        print(status(folder))
        parser.exit()


def arguments():
    parser = argparse.ArgumentParser(
        description="Train a captioner. Started again with the same options, an interrupted run "
        "goes on where it stopped. Defaults in brackets.")
    parser.add_argument("--run", required=True, help="folder of the run, new or to be resumed")
    parser.add_argument("--recipe", choices=RECIPES, default="seed",
                        help="named settings; options given beside it win (seed)")
    parser.add_argument("--status", metavar="DIR", action=Status, default=argparse.SUPPRESS,
                        help="say where the run in this folder stands, and do nothing else")
    parser.add_argument("--tensorboard", action="store_true",
                        help="send the numbers of each epoch to TensorBoard as well")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu",
                        help="cpu, cuda or mps (%(default)s)")
    add_options(parser)
    return vars(parser.parse_args())


def main():
    options = arguments()
    folder, device, recipe = options.pop("run"), options.pop("device"), options.pop("recipe")
    scalars = options.pop("tensorboard")
    settings = Settings(**{**RECIPES[recipe], **options})
    before = read_history(folder)
    with processes(device) as device:
        speaks = is_main()
        try:
            history = train(settings, folder, device, scalars=scalars)
        except KeyboardInterrupt as stop:
            if speaks:
                print(f"\n{str(stop) or 'stopped: the same command goes on'}", file=sys.stderr)
            return 130
    if speaks:
        best = max(history, key=lambda row: row["CIDEr"])
        state = "was finished already" if len(history) == len(before) else "finished"
        print(f"{state}: best CIDEr {best['CIDEr']:.3f} on {settings.data} val after epoch "
              f"{best['epoch']}\nnext: python evaluate.py {folder} --data {settings.data}")
    return 0


if __name__ == "__main__":
    run_command(main)
