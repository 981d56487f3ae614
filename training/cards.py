"""What packing a run into one file with a card is in every task; the texts are the tasks' own.

    file --card_files--> NAME.safetensors, NAME.md      settings --training_command--> a line
"""

import argparse
import shlex
from pathlib import Path

from system.files import BadInput, whole_file
from system.outputs import output_file
from training.settings import options_of

LIMITS = "## What it cannot do"     # a heading by which a card is known


def card_files(file, what, is_packed):
    """Return the paths of a checkpoint and of the card beside it, both to be written.

    what: a file that `is_packed` knows, in words.  Raises `BadInput` if another would be lost.
    """
    if Path(file).suffix != ".safetensors":
        raise BadInput(f"{file} is no name of a checkpoint: give one that ends in .safetensors")
    file = output_file(file, what, is_packed)
    return file, output_file(file.with_suffix(".md"), "a card", is_card)


def is_card(file):
    """Return whether a file is a card."""
    return f"\n{LIMITS}".encode() in file.read_bytes()


def write_card(path, text):
    """Write a card, whole or not at all."""
    with whole_file(path) as beside:
        beside.write_text(text, encoding="utf-8")


def training_command(settings, run, recipes):
    """Return the command that trains `run` with these settings, by the nearest of `recipes`.

    settings: an instance of `Settings`.  run: the folder's name in the command.
    """
    recipe = min(recipes, key=lambda name: len(options_of(settings, recipes[name])))
    return shlex.join(["python", "train.py", "--run", run, "--recipe", recipe,
                       *options_of(settings, recipes[recipe])])


def pack_by_options(pack, what):
    """Call `pack(run, file, report, note)` by the options of the command line; print its result.

    what: the model of the run, in a word.
    """
    parser = argparse.ArgumentParser(description=f"Pack the best {what} of a run into one file "
                                     "with a card beside it.")
    parser.add_argument("run", help="a run's folder")
    parser.add_argument("file", help="NAME.safetensors, to be written with NAME.md beside it")
    parser.add_argument("--report", required=True, help="what evaluate.py --json wrote")
    parser.add_argument("--note", required=True,
                        help="what the training data is and may be used for, as Markdown")
    options = parser.parse_args()
    print(pack(options.run, options.file, options.report, options.note))
