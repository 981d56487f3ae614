"""What the experiments have in common: each goes on where it stopped, and tables come from files.

    settings --Experiment.trained--> runs/EXPERIMENT/NAME --judged--> result
        --Experiment.write--> results/EXPERIMENT/NAME.json --markdown--> table

A training that was stopped goes on from its last saved state, an experiment from its last file.
"""

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from captioning.task import Captioning
from encoders.features import cached_features
from experiments.bench.machine import processor
from scenes.dataset import read_graphs
from system.files import BadInput, read_json, write_json
from system.processor import add_device, line_about
from training.loop import train

SEEDS = 3                   # trainings of each row


@dataclass(frozen=True)
class Experiment:
    """The dataset of an experiment, the folders of its trainings and results, and the device."""

    data: str
    runs: Path
    results: Path
    device: str = "cpu"

    def run(self, name):
        """Return the folder of a training."""
        return self.runs / name

    def file(self, name):
        """Return the file of a result."""
        return self.results / f"{name}.json"

    def done(self, name):
        """Return whether a result is there; raise `BadInput` if it is of another dataset."""
        file = self.file(name)
        if not file.exists():
            return False
        data = read_json(file, "give another --name", {"data": str | None}).get("data")
        if data is None:    # a result of one training alone names its dataset in the settings only
            data = read_json(file, "give another --name", {"settings": {"data": str}}
                             )["settings"]["data"]
        if Path(data).name != Path(self.data).name:
            raise BadInput(f"{file} is not of {self.data}: give another --name for other data")
        return True

    def trained(self, name, settings, features=cached_features, task=Captioning):
        """Train, or go on with a training, and return what a result says of it.

        {"settings": ..., "minutes": ..., "curve": [minutes, the task's key] after each epoch}.
        features: see `Captioning`.  task: its class.
        """
        history = train(task(settings, features), self.run(name), self.device)
        status = read_json(self.run(name) / "status.json",
                           "give another --name, to train again",
                           {"seconds": float, "at_epoch": {
                               str(row["epoch"]): float for row in history}})
        curve = [[round(status["at_epoch"][str(row["epoch"])] / 60, 3), round(row[task.key], 4)]
                 for row in history]
        # a result is published: it names the dataset, not the folder of the machine it lay in
        return {"settings": {**asdict(settings), "data": Path(settings.data).name},
                "minutes": status["seconds"] / 60, "curve": curve}

    def write(self, name, result):
        """Write a result, after which it counts as done."""
        write_json(self.file(name), result, indent=1)


def add_options(parser, names, name):
    """Give `parser` the options of every experiment; `names` are its parts, `name` its folder's."""
    parser.add_argument("--data", help="dataset in COCO's layout")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME",
                        help=f"only these: {', '.join(names)}")
    parser.add_argument("--name", default=name,
                        help="folder in runs/ and results/; another for other data (%(default)s)")
    parser.add_argument("--table", action="store_true",
                        help="print the table of all that is finished, and do nothing else")
    add_device(parser)


def add_seeds(parser, epochs):
    """Give `parser` the options of rows that are trained several times; epochs: whose default."""
    parser.add_argument("--seeds", type=int, default=SEEDS, metavar="N",
                        help="trainings of each row, by seeds 0, 1, ... (%(default)s)")
    parser.add_argument("--epochs", type=int, help=f"passes over train at most ({epochs})")


def used(device):
    """Return what a result says of the machine: the processor, or the GPU, and the threads."""
    return {"processor": processor() if device == "cpu" else
            line_about(device).removeprefix("computing on "), "threads": torch.get_num_threads()}


def folders(options):
    """Return the folders of trainings and of results that the options name."""
    if Path(options.name).name != options.name or options.name in ("", ".."):
        raise BadInput(f"--name {options.name} is no plain name: give one without slashes")
    return Path("runs") / options.name, Path("results") / options.name


def on_scenes(description, names, name, table):
    """Read the command line of an experiment on drawn scenes: the `Experiment` and the options.

    names: of its parts.  name: of its folder.  table: function of the folder of results; if its
    table is asked for, it is printed, and None stands in the experiment's place.
    """
    parser = argparse.ArgumentParser(description=description)
    add_options(parser, names, name)
    parser.add_argument("--seed", type=int, default=0, help="of the trainings (%(default)s)")
    options = parser.parse_args()
    runs, results = folders(options)
    if options.table:
        print(table(results))
        return None, options
    if not options.data:
        raise BadInput("give --data drawn scenes, made by prepare.py")
    return Experiment(options.data, runs, results, options.device), options


def graphs_of(data, split):
    """Return the scene graph of every picture of a split; `BadInput` if these are no scenes."""
    graphs = read_graphs(data, split)
    if not graphs:
        raise BadInput(f"{data} has no scene graphs to check claims by: make it with "
                       "'python prepare.py scenes'")
    return graphs


def markdown(heading, rows):
    """Return a Markdown table of lists of cells."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in lines)
