"""Every performance figure that is quoted, measured as ratios in one run of some minutes.

    python -m experiments.bench                         all rows but MORE, on samples
    python -m experiments.bench --only train beam       some of them, or of MORE
    python -m experiments.bench --full --json FILE      whole sizes, which takes hours

Reference and ours take turns for five rounds, fewer if the machine is too busy for them. A row
gives the median of the rounds' ratios, in brackets the lowest and highest, then the sample it was
measured on. A share is of the highest rate at which this machine multiplies matrices of any type,
measured in the same rounds.

    encode.py      encode, load, regions, fidelity
    rows.py        train, beam, sample, score, reward
    decoders.py    attend, decode;  answers.py  vqa;  clips.py  clips, told
    scale.py       open, scaling, ddp, cold;  questions.py  questions
    growth.py      scaling_questions, scaling_clips
    reference.py, usual_captions.py      what they are compared with
    compare.py     reports of several processors
    child.py       training and opening in processes of their own
    tools.py       rounds and FLOPs;  machine.py  limits and memory
"""

import argparse
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from system.commands import run_command
from system.files import write_json
from system.outputs import keys_in, output_file

SECTIONS = ("encode", "load", "regions", "fidelity", "train", "attend", "beam", "sample",
            "decode", "score", "reward", "vqa", "clips", "told", "open", "questions", "scaling",
            "scaling_questions", "scaling_clips", "ddp", "cold")
MORE = ("decode", "vqa", "clips", "told", "questions", "scaling_questions", "scaling_clips")
USUAL = tuple(name for name in SECTIONS if name not in MORE)     # eight minutes of two cores


def find_data():
    """Return the folder of Flickr8k where it is at hand, else of the drawn scenes."""
    from scenes.dataset import find_root

    flickr8k = Path(os.environ.get("CAPTION_DATA", "../shared")) / "flickr8k"
    return flickr8k if flickr8k.is_dir() else find_root("scenes")


def measure(names, setup, report):
    """Run sections and put their figures into `report`, each printed as soon as it is known.

    Raises `Unequal` if a reference and ours differ.
    """
    from experiments.bench import answers as bench_answers
    from experiments.bench import clips as bench_clips
    from experiments.bench import decoders as bench_decoders
    from experiments.bench import encode as bench_encode
    from experiments.bench import growth as bench_growth
    from experiments.bench import questions as bench_questions
    from experiments.bench import rows as bench_rows
    from experiments.bench import scale as bench_scale
    from experiments.bench.tools import Unmeasured, timed

    rows = dict(zip(SECTIONS, (
        bench_encode.encode, bench_encode.load, bench_encode.regions,
        bench_encode.fidelity, bench_rows.train, bench_decoders.attend, bench_rows.beam,
        bench_rows.sample, bench_decoders.decode, bench_rows.score, bench_rows.reward,
        bench_answers.vqa, bench_clips.clips, bench_clips.told, bench_scale.opening,
        bench_questions.opening, bench_scale.scaling, bench_growth.scaling_questions,
        bench_growth.scaling_clips, bench_scale.ddp, bench_scale.cold), strict=True))
    for name in names:
        print(f"-- {name}: {rows[name].__doc__.splitlines()[0]}", flush=True)
        try:
            figures, report["seconds"][name] = timed(rows[name], setup)
        except Unmeasured as reason:
            print(f"{name} is not measured: {reason}", file=sys.stderr)
            continue
        for key, figure in figures.items():
            report[key] = figure.value
            report["details"][key] = asdict(figure)
            print(line(key, figure), flush=True)


def line(key, figure):
    """Return a figure as a row of the table."""
    spread = f"({figure.low:.3g} .. {figure.high:.3g}, {figure.rounds} rounds)"
    return (f"{key:24} {figure.value:8.3g} {figure.unit:8} "
            f"{spread if figure.rounds > 1 else '':30} {figure.sample}")


def run(options, folder):
    """Measure the sections asked for, and write those that are done, also after Ctrl-C."""
    from experiments.bench.machine import limits, machine
    from experiments.bench.tools import FULL, SMALL, Setup

    began, data, found = time.monotonic(), find_data(), machine()
    print(*(f"{name} {value}" for name, value in found.items()), sep=", ")
    print("-- limits: matrix products and copies, as fast as this machine does them", flush=True)
    highest, fastest = limits()
    print("a second:", ", ".join(f"{name.replace('_', ' G')} {rate / 1e9:.0f}"
                                 for name, rate in highest.items()), flush=True)
    setup = Setup(FULL if options.full else SMALL, data, folder, fastest)
    report = {"machine": found, "limits": highest, "data": data.name,
              "sizes": asdict(setup.sizes), "seconds": {}, "details": {}}
    try:
        measure(options.only, setup, report)
    finally:
        report["minutes"] = (time.monotonic() - began) / 60
        print(f"took {report['minutes']:.1f} minutes on {data.name}", flush=True)
        if options.json:
            write_json(options.json, report, indent=1)
            print(f"wrote {options.json}", file=sys.stderr)


def arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Measure how fast everything is, against the usual way of doing it.")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=USUAL, metavar="NAME",
                        help=f"of {', '.join(SECTIONS)}: only these (all but {', '.join(MORE)})")
    parser.add_argument("--full", action="store_true",
                        help="whole sizes instead of samples: hours instead of minutes")
    parser.add_argument("--json", help="write the figures to this file")
    return parser.parse_args()


def main():
    """Measure in a folder of scratch that is removed afterwards."""
    options = arguments()
    if options.json is not None:
        options.json = output_file(options.json, "a report of this benchmark", lambda path: {
            "machine", "limits", "sizes", "seconds", "details"} <= keys_in(path))
    print(f"{len(options.only)} sections, each named before it begins; loading PyTorch", flush=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # Both are read on import, so the sections are imported late. The cache is this run's own:
        # it must find nothing that it did not make. Progress bars would break the table's lines.
        os.environ.update(CAPTION_CACHE=str(Path(folder) / "cache"), TQDM_DISABLE="1")
        run(options, Path(folder))


if __name__ == "__main__":
    run_command(main)
