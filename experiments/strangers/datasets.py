"""What the experiments on strangers' photographs have in common: a result for each dataset.

    --data roots, {name: judge} --> results/EXPERIMENT/NAME.DATASET.json --> table
                                    ... NAME.DATASET.each.json: a list of numbers for each picture

Started again, an experiment goes on with the datasets that are not done yet.
"""

import argparse
from pathlib import Path

from experiments.harness import folders
from system.files import BadInput, read_json, write_json


def parser_of(description, name):
    """Return a parser with the options of all of them; name: of the experiment's folder."""
    parser = argparse.ArgumentParser(description=f"{description} Started again, it goes on.")
    parser.add_argument("--data", nargs="+", default=[], metavar="ROOT",
                        help="datasets in COCO's layout")
    parser.add_argument("--name", default=name,
                        help="folder in results/; another for other data (%(default)s)")
    parser.add_argument("--table", action="store_true", help="only print what is finished")
    return parser


def run(options, judges, table):
    """Judge the datasets that are not done yet, and print the table.

    judges: function of the options that gives {name: function of a root that gives its result};
    what a result has as "each" goes into a file of its own.
    table: function of the folder of results.
    """
    _, results = folders(options)
    if not options.table:
        if not options.data:
            raise BadInput("give --data the datasets to look at, or --table")
        every = judges(options)
        for root in options.data:
            for name, judge in every.items():
                file = results / f"{name}.{Path(root).name}.json"
                if not file.exists():
                    result = {"data": Path(root).name, **judge(root)}
                    if each := result.pop("each", None):
                        write_json(each_of(file), each)
                    write_json(file, result, indent=1)  # last, since with this file it is done
                    print(f"{file}: done", flush=True)
    print(table(results))


def each_of(file):
    """Return the path of what the result in a file has of each picture."""
    return file.with_suffix(".each.json")


def finished(results, shape, module):
    """Return all results of a folder; raise `BadInput` if there is none, or one is damaged.

    shape: of each, see `read_json`.  module: that wrote them.
    """
    found = [read_json(file, f"move it away and run {module} again", shape)
             for file in sorted(results.glob("*.json")) if not file.match("*.each.json")]
    if not found:
        raise BadInput(f"{results} holds no result: run {module} with --data first")
    return found


def percent(value):
    """Return a fraction as text in per cent, "" where there is none."""
    return "" if value is None else f"{100 * value:.1f}"
