"""Can I do this tonight? Disk and hours for COCO, computed from what the benchmark measured.

    results/bench.json --read_measured--> report --page--> docs/PLANNING.md

    python -m experiments.bench --json results/bench.json
    python -m experiments.plan results/bench.json docs/PLANNING.md [--beside OTHER.json]

An encoder that was not measured computes as many FLOP/s as the measured one of its kind. The cores
that read a picture also encode it, so the seconds of both add up.
"""

import argparse
import sys
from typing import NamedTuple

import torch

from captioning.settings import CaptioningSettings, settings_of
from encoders.backbones import Backbone, transform_of
from experiments.bench.child import CHANNELS
from experiments.bench.compare import comparison, processor, products
from experiments.bench.tools import picture_flops, training_flops
from experiments.harness import markdown
from model import DecoderRNN
from system.commands import command_line, run_command
from system.files import BadInput, read_json, whole_file
from system.outputs import begins, output_file

TRAIN, VAL, SPOKEN = 118_287, 5_000, 5      # pictures of COCO 2017, captions of each
WORDS = 10_000              # of COCO's captions that occur five times or more, about
MEASURED_WORDS = 2_548      # of Flickr8k's train, on which the bench trains
LENGTH = 12                 # ids of a usual caption, both ends included
USUAL_EPOCHS = 30           # at cross-entropy, in published recipes for COCO
CORES = 16                  # of a larger machine
GPU = 8.1e12                # FLOP/s of a T4 in float32, by NVIDIA's data sheet
RECIPE, RESNET = CaptioningSettings(data="coco"), settings_of("resnet", "coco")
ENCODERS = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "resnet18",
            "resnet50", "resnet101", "resnet152", "vgg16", "inception_v3")
MEASURED = {"lite0": "efficientnet_lite0", "resnet50": "resnet50"}
RATES = {"encode_lite0_rate": "pictures of 224 x 224 encoded, efficientnet_lite0",
         "encode_resnet50_rate": "pictures of 224 x 224 encoded, resnet50",
         "load_rate": "photographs of 640 x 480 read, by one core",
         "train_rate": f"captions trained on, batch {RECIPE.batch_size}"}
MEASURES = {**dict.fromkeys(RATES, float), "data": str, "limits": {str: float},
            "machine": {"cpu": str, "instructions": str, "threads": int}}
PAGE = """\
# Can I do this tonight?

COCO 2017 has {train:,} train and {val:,} val pictures, {spoken} captions each, about 640 x 480.

**Measured** by `{measure}`, on {cores} cores of a
processor that calls itself {cpu}, has {instructions} and multiplies matrices at
{limits}:

{measured}
{others}
All else is **computed** from the first table. A processor without bfloat16 encodes and trains at
its float32 rate. To plan with your own, measure it by the command above and write this page again:
`{write}`.

## Encode every picture once

Disk is exact: D x 2 bytes a picture and view pooled, L x D x 2 as a grid. Hours are for one view of
all {pictures:,} pictures; training uses {views} views of train by default: times {views}.

A picture costs its reading (`load_rate`) and its encoding. The measured encoding includes reading a
small picture, so the hours are upper bounds. A network that was not measured counts as computing
as fast as efficientnet_lite0 (those of its name) or resnet50 (the rest). {more} cores count as
{times:g} times {cores}. The downloaded pictures take 20 GB besides.

{encoders}

No GPU was measured. However fast it is, it waits for {cores} cores that take {reading} to read the
pictures.

## Train on cached features

An epoch is {pairs:,} captions. COCO has about {words:,} words, the measured run had {known:,}: by
the FLOPs of a caption a step takes {heavier:.1f} times as long, so `train_rate` becomes
{train_rate:,.0f} captions a second. That is nearly the same for every encoder.

{epochs}

The recipe stops early once CIDEr has not risen for {patience} epochs.

## Recipe `resnet` on a GPU

**Estimated**, not measured: a T4, as Colab has it, multiplies {gpu:.1f} TFLOP/s in float32 by its
data sheet, and so counts as {faster:.1f} times the {cores} cores above. Take it for an order of
magnitude: scoring after each epoch is left out, and small steps keep no GPU busy.

{resnet}
"""


class Encoder(NamedTuple):
    """What a picture costs: FLOPs, cells L, channels D; and the measured network of its kind."""

    flops: int
    cells: int
    channels: int
    kind: str               # lite0 or resnet50, as in the keys of the benchmark

    @classmethod
    def of(cls, name):
        """Count the FLOPs of an encoder, on a network without weights."""
        size = transform_of(name).size
        with torch.device("meta"):
            network = Backbone(name, None, grid=True)
            _, cells, channels = network(torch.empty(1, 3, size, size)).shape
            kind = "lite0" if name.startswith("efficientnet") else "resnet50"
            return cls(picture_flops(network, size), cells, channels, kind)

    def disk(self, pictures):
        """Return the bytes of cached features: (pooled, as a grid)."""
        pooled = 2 * pictures * self.channels
        return pooled, self.cells * pooled


def read_measured(file):
    """Read the benchmark's report; raise `BadInput` if it lacks a rate or has other captions."""
    remedy = "make it with 'python -m experiments.bench --json FILE'"
    report = read_json(file, remedy, dict)
    missing = [key for key in (*RATES, "machine", "limits", "data") if key not in report]
    if missing:
        raise BadInput(f"{file} has no {', '.join(missing)}: {remedy}")
    report = read_json(file, remedy, MEASURES)
    if min(report["machine"]["threads"], *(report[key] for key in RATES)) <= 0:
        raise BadInput(f"{file} has a rate, or a number of threads, of 0: {remedy}")
    if max(products(report).values(), default=0) <= 0:
        raise BadInput(f"{file} has no rate of matrix products: {remedy}")
    if report["data"] != "flickr8k":
        raise BadInput(f"{file} was measured on {report['data']}, whose captions are not like "
                       "COCO's: measure again with flickr8k in the folder CAPTION_DATA")
    return report


def encoding_rate(report, encoders, name):
    """Return how many small pictures the measured cores encode a second."""
    kind = encoders[name].kind
    return report[f"encode_{kind}_rate"] * encoders[MEASURED[kind]].flops / encoders[name].flops


def photograph_rate(report, encoders, name, cores):
    """Return how many photographs so many cores read and encode a second."""
    encoded = encoding_rate(report, encoders, name) * cores / report["machine"]["threads"]
    return 1 / (1 / encoded + 1 / (cores * report["load_rate"]))


def heavier():
    """Return how many times the FLOPs a caption has with COCO's words, and the words measured."""
    costs = [training_flops(DecoderRNN(RECIPE.embed_size, RECIPE.hidden_size, words), CHANNELS,
                            torch.tensor([LENGTH])) for words in (WORDS, MEASURED_WORDS)]
    return costs[0] / costs[1], MEASURED_WORDS


def hours(seconds):
    """Return seconds as text, in hours or minutes."""
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.{0 if seconds >= 600 else 1}f} min"


def gigabytes(size):
    """Return bytes as text."""
    return f"{size / 1e9:.2f} GB" if size < 1e10 else f"{size / 1e9:.0f} GB"


def encoder_rows(report):
    """Return the rows of the table of encoders."""
    encoders = {name: Encoder.of(name) for name in ENCODERS}
    for name, one in encoders.items():
        origin = "measured" if name in MEASURED.values() else "computed"
        yield [name, f"{one.flops / 1e9:.2f}",
               f"{encoding_rate(report, encoders, name):.0f} {origin}",
               *map(gigabytes, one.disk(TRAIN + VAL)),
               *(hours((TRAIN + VAL) / photograph_rate(report, encoders, name, cores))
                 for cores in (report["machine"]["threads"], CORES))]


def resnet_rows(report, rate, faster):
    """Return the rows of the table of recipe `resnet`; rate: captions a second of the cores."""
    cores, pictures = report["machine"]["threads"], RESNET.views * TRAIN + VAL
    seconds = {
        f"{pictures:,} views of pictures read, by {cores} cores":
            pictures / (cores * report["load_rate"]),
        f"encoded, to {gigabytes(Encoder.of(RESNET.encoder).disk(pictures)[0])}":
            pictures / (report["encode_resnet50_rate"] * faster),
        f"{RESNET.epochs} epochs": RESNET.epochs * TRAIN * SPOKEN / (rate * faster)}
    return [[step, hours(took)]
            for step, took in {**seconds, "together": sum(seconds.values())}.items()]


def page(report, file, target, beside=()):
    """Return the whole page as Markdown.

    beside: (report, its file) of other processors, which are only compared.
    """
    machine, cores = report["machine"], report["machine"]["threads"]
    reports = [report, *(one for one, _ in beside)]
    times, known = heavier()
    rate, captions = report["train_rate"] / times, TRAIN * SPOKEN
    faster = GPU / max(products(report).values())
    epochs = {1: "1", RECIPE.epochs: f"{RECIPE.epochs}, the recipe's",
              USUAL_EPOCHS: f"{USUAL_EPOCHS}, usual in published recipes for COCO"}
    return PAGE.format(
        train=TRAIN, val=VAL, spoken=SPOKEN, pictures=TRAIN + VAL, pairs=captions, words=WORDS,
        measure=command_line("python", "-m", "experiments.bench", "--json", file),
        write=command_line("python", "-m", "experiments.plan", file, target, *(
            ["--beside", *(name for _, name in beside)] if beside else [])),
        cores=cores, more=CORES, times=CORES / cores, known=known,
        cpu=machine["cpu"], instructions=machine["instructions"], heavier=times, train_rate=rate,
        views=RECIPE.views, patience=RECIPE.patience,
        limits=", ".join(f"{limit / 1e9:.0f} GFLOP/s in {name}"
                         for name, limit in products(report).items()),
        reading=hours((TRAIN + VAL) / (cores * report["load_rate"])),
        measured=markdown(["measured", "a second", "key"],
                          [[what, f"{report[key]:,.0f}", f"`{key}`"]
                           for key, what in RATES.items()]),
        others="\n" + markdown(["GFLOP/s of products", *map(processor, reports)],
                               comparison(reports, RATES)) + "\n" if beside else "",
        encoders=markdown(["encoder", "GFLOP a picture", "encoded a second", "pooled", "grid",
                           f"{cores} cores", f"{CORES} cores"], encoder_rows(report)),
        gpu=GPU / 1e12, faster=faster,
        resnet=markdown(["step", "estimate"], resnet_rows(report, rate, faster)),
        epochs=markdown(["epochs", f"hours on {cores} cores, computed"],
                        [[label, hours(number * captions / rate)]
                         for number, label in epochs.items()]))


def main():
    """Write the page."""
    parser = argparse.ArgumentParser(description="Write what COCO takes, in disk and hours.")
    parser.add_argument("report", help="what experiments.bench --json wrote")
    parser.add_argument("page", help="the Markdown file to write")
    parser.add_argument("--beside", nargs="+", default=[], metavar="REPORT",
                        help="reports of other processors, compared with the first")
    options = parser.parse_args()
    options.page = output_file(options.page, "a page of this command",
                               lambda path: begins(path, PAGE.partition("\n")[0].encode()))
    text = page(read_measured(options.report), options.report, options.page,
                [(read_measured(file), file) for file in options.beside])
    with whole_file(options.page) as beside:
        beside.write_text(text, encoding="utf-8")
    print(f"wrote {options.page}", file=sys.stderr)


if __name__ == "__main__":
    run_command(main)
