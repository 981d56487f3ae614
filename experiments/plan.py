"""Can I do this tonight? Disk and hours for COCO, computed from what the benchmark measured.

    results/bench.json --read_measured--> rates --page--> PLANNING.md

    python -m experiments.bench --json results/bench.json
    python -m experiments.plan results/bench.json docs/PLANNING.md

An encoder that was not measured does as many useful FLOP/s as the measured one of its kind. On a
processor the same cores read pictures and encode them, so the seconds of both add up; beside a GPU
they read while it encodes, so the slower of the two holds.
"""

import argparse
from typing import NamedTuple

import torch

from caption import SHIPPED
from captioning.checkpoint import load_captioner
from encoders.backbones import Backbone, transform_of
from experiments.bench.child import CHANNELS
from experiments.bench.tools import picture_flops, training_flops
from model import DecoderRNN
from system.files import BadInput, read_json, run_command, whole_file
from training.settings import Settings

TRAIN, VAL, SPOKEN = 118_287, 5_000, 5      # pictures of COCO 2017, captions of each
WORDS = 10_000              # of COCO's captions that occur five times or more, about
LENGTH = 12                 # ids of a usual caption, both ends included
USUAL_EPOCHS = 30           # at cross-entropy, in published recipes for COCO
CORES = 16                  # of the larger machine without a GPU
PEAKS = {"T4": 65e12, "A100": 312e12, "H100": 989e12}   # dense FLOP/s in half precision: NVIDIA's
READERS = {"T4": 4, "A100": 12, "H100": 16}     # cores that read pictures for it, as often rented
PROCESSES = (1, 2, 4, 8, 16)
BATCHES = (64, 256, 1024)   # captions a step, of all processes together
MILLION = 1_000_000
RECIPE = Settings(data="coco")
ENCODERS = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "efficientnet_b0",
            "resnet18", "resnet50", "resnet101", "resnet152", "vgg16", "inception_v3")
MEASURED = {"lite0": "efficientnet_lite0", "resnet50": "resnet50"}
KEYS = ("encode_lite0_rate", "encode_resnet50_rate", "encode_share", "encode_resnet50_share",
        "load_rate", "train_rate", "beam_rate", "ddp_ratio")
PAGE = """\
# Can I do this tonight?

COCO 2017 has {train:,} train and {val:,} val pictures, {spoken} captions each, about 640 x 480.
This page says what disk and hours they take.
`python -m experiments.plan {file} {target}` wrote it, from what
`python -m experiments.bench --json {file}` **measured** on {cores} cores
({cpu}, {instructions}, no GPU).
Everything else is **computed** from these numbers, and says so:

| measured | a second | key |
| --- | --- | --- |
{measured}

## Encode every picture once

Disk is exact: D x 2 bytes a picture and view pooled, L x D x 2 as a grid. Hours are for one view of
all {pictures:,} pictures. Training keeps {views} views of train by default: times {views}.
Each picture costs its reading (`load_rate`) and its network. The network's rate is measured for
efficientnet_lite0 and resnet50. For the others it is computed: their FLOPs at the speed of
efficientnet_lite0 (EfficientNets) or of resnet50 (the rest). efficientnet_b0 has more small steps
than Lite, which no FLOP counts: it takes longer than its row says. {more} cores
are computed as {times:g} times {cores}. The downloaded pictures take 20 GB besides.

| encoder | GFLOP a picture | network, pictures/s | pooled | grid | {cores} cores | {more} cores |
| --- | --- | --- | --- | --- | --- | --- |
{encoders}

## The same with a GPU

**No GPU was measured: every hour here is computed**, as the slower of two. *cores*: reading cores x
`load_rate`. *GPU*: NVIDIA's dense half-precision peak ({peaks}) x the
share of its limit that the processor reached ({share:.2f} EfficientNets, {resnet_share:.2f} the
rest), a stand-in. The name behind an hour says which of them holds. Where it is *cores*, a bigger
GPU changes nothing and more cores do. Take the *GPU* hours for a
lower bound, on a T4 above all: it has no bfloat16, which the encoder uses.

| encoder | {gpu_names} |
| --- |{gpu_columns}
{gpus}

## Train on cached features

An epoch is {pairs:,} captions. COCO has about {words:,} words, the measured run had {known:,}: by
the FLOPs of a caption a step takes {heavier:.1f} times as long, so `train_rate` becomes
{train_rate:,.0f} captions a second (computed). The cost is the same for every encoder, nearly.

| epochs | hours on {cores} cores, computed |
| --- | --- |
{epochs}

The recipe stops early once CIDEr has not risen for {patience} epochs. Pictures are not opened.

### What `--nproc-per-node` gives

    time = work / processes / efficiency
    efficiency = (C / P) / (C / P + X (P - 1) / P x 2)

C is a batch on one core, {step:.0f} ms at batch {batch}. X is what two processes lose in a step by
exchanging the gradients of all {parameters:.1f} million parameters: {lost:.0f} ms, from `ddp_ratio`
({ddp:.2f} of one process on the same {cores} cores). X does not grow with the batch, so the
efficiency does. Computed from one measurement, of two processes at batch {batch}; a core a process:

| processes | {batch_names} |
| --- |{batch_columns}
{efficiencies}

On one processor leave `--nproc-per-node` out: one process uses all cores and exchanges nothing. On
GPUs the formula holds with their own C and X. C is then small: raise `--batch-size` first.

## Caption a million pictures

`torchrun --nproc-per-node=N -- caption.py FOLDER`: photographs read, encoded by efficientnet_lite0,
described with beam 3. Under torchrun a process has one core. Nothing is exchanged but sentences, so
the time is computed as that of one process / processes, where each has a core of its own.

| processes, a core each | pictures/s | hours, computed |
| --- | --- | --- |
{captioning}
"""


class Encoder(NamedTuple):
    """What a picture costs: FLOPs, cells L, channels D; and the measured network it is like."""

    flops: int
    cells: int
    channels: int
    kind: str               # lite0 or resnet50, as in the keys of the benchmark

    @classmethod
    def of(cls, name):
        """Counted on a network without numbers."""
        size = transform_of(name).size
        with torch.device("meta"):
            network = Backbone(name, None, grid=True)
            _, cells, channels = network(torch.empty(1, 3, size, size)).shape
            kind = "lite0" if name.startswith("efficientnet") else "resnet50"
            return cls(picture_flops(network, size), cells, channels, kind)

    def disk(self, pictures):
        """Bytes of one view's features: (pooled, grid)."""
        return 2 * self.channels * pictures, 2 * self.cells * self.channels * pictures


def read_measured(file):
    """The benchmark's report; raises `BadInput` if it lacks a rate or is of other captions."""
    remedy = "make it with 'python -m experiments.bench --json FILE'"
    report = read_json(file, remedy)
    missing = [key for key in (*KEYS, "machine", "data") if key not in report]
    if missing:
        raise BadInput(f"{file} has no {', '.join(missing)}: {remedy}")
    if report["data"] != "flickr8k":
        raise BadInput(f"{file} was measured on {report['data']}, whose captions are not like "
                       "COCO's: measure again with flickr8k in the folder CAPTION_DATA")
    return report


def network_rate(report, encoders, name):
    """Pictures a second through the network alone, on the measured cores."""
    kind = encoders[name].kind
    return report[f"encode_{kind}_rate"] * encoders[MEASURED[kind]].flops / encoders[name].flops


def cpu_rate(report, encoders, name, cores):
    """Photographs a second, read and encoded by the same cores."""
    whole = cores / report["machine"]["threads"]
    return 1 / (1 / (whole * network_rate(report, encoders, name))
                + 1 / (cores * report["load_rate"]))


def gpu_rate(report, encoder, peak, cores):
    """(Photographs a second, which limit holds: cores or GPU)."""
    share = report["encode_share" if encoder.kind == "lite0" else "encode_resnet50_share"]
    return min((cores * report["load_rate"], "cores"), (peak * share / encoder.flops, "GPU"))


def efficiency(report, processes, batch):
    """The share of their time that processes of one core each compute, of `batch` captions."""
    cores = report["machine"]["threads"]
    usual = RECIPE.batch_size / report["train_rate"]     # the measured step, seconds
    compute = cores * usual * batch / RECIPE.batch_size / processes
    exchange = usual * (1 / report["ddp_ratio"] - 1)
    return compute / (compute + exchange * 2 * (processes - 1) / processes)


def caption_rate(report, encoders, processes):
    """Photographs described a second, by processes of a core each."""
    core = report["beam_rate"] / report["machine"]["threads"]
    return processes / (1 / cpu_rate(report, encoders, "efficientnet_lite0", 1) + 1 / core)


def heavier():
    """(How many times the FLOPs with COCO's words, words and parameters of the measured run)."""
    known = load_captioner(SHIPPED).decoder
    more = DecoderRNN(RECIPE.embed_size, RECIPE.hidden_size, WORDS)
    costs = [training_flops(one, CHANNELS, torch.tensor([LENGTH])) for one in (more, known)]
    parameters = sum(one.numel() for one in known.parameters()) + CHANNELS * RECIPE.embed_size
    return costs[0] / costs[1], known.words.num_embeddings, parameters


def hours(seconds):
    """Seconds as a person reads them."""
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.{0 if seconds >= 600 else 1}f} min"


def gigabytes(size):
    return f"{size / 1e9:.2f} GB" if size < 1e10 else f"{size / 1e9:.0f} GB"


def rows(table):
    """Lists of cells as the lines of a Markdown table."""
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in table)


def encoding_tables(report):
    """The lines of the two tables on encoders, and what their headings need."""
    encoders = {name: Encoder.of(name) for name in ENCODERS}
    cores, pictures = report["machine"]["threads"], TRAIN + VAL
    machines = list(READERS.items())

    def on_gpu(name, gpu, readers):
        rate, holds = gpu_rate(report, encoders[name], PEAKS[gpu], readers)
        return f"{hours(pictures / rate)} {holds}"

    return {
        "encoders": rows([name, f"{one.flops / 1e9:.2f}",
                          f"{network_rate(report, encoders, name):.0f} "
                          + ("measured" if name in MEASURED.values() else "computed"),
                          *map(gigabytes, one.disk(pictures)),
                          *(hours(pictures / cpu_rate(report, encoders, name, some))
                            for some in (cores, CORES))] for name, one in encoders.items()),
        "gpus": rows([name, *(on_gpu(name, *one) for one in machines)] for name in encoders),
        "gpu_names": " | ".join(f"{gpu}, {readers} cores" for gpu, readers in machines),
        "gpu_columns": " --- |" * len(machines),
        "captioning": rows([some, f"{rate:.0f}", hours(MILLION / rate)] for some, rate in (
            (some, caption_rate(report, encoders, some)) for some in PROCESSES))}


def training_tables(report):
    """The lines of the tables on training, and what the text around them needs."""
    times, known, parameters = heavier()
    rate, usual = report["train_rate"] / times, RECIPE.batch_size / report["train_rate"]
    return {
        "heavier": times, "known": known, "train_rate": rate, "parameters": parameters / 1e6,
        "pairs": TRAIN * SPOKEN, "step": 1000 * usual * report["machine"]["threads"],
        "lost": 1000 * usual * (1 / report["ddp_ratio"] - 1), "ddp": report["ddp_ratio"],
        "batch": RECIPE.batch_size, "patience": RECIPE.patience,
        "epochs": rows([label, hours(number * TRAIN * SPOKEN / rate)] for number, label in (
            (1, "1"), (RECIPE.epochs, f"{RECIPE.epochs}, the recipe's"),
            (USUAL_EPOCHS, f"{USUAL_EPOCHS}, usual in published recipes for COCO"))),
        "efficiencies": rows([some, *(f"{efficiency(report, some, batch):.2f}"
                                      for batch in BATCHES)] for some in PROCESSES[1:]),
        "batch_names": " | ".join(f"efficiency at batch {batch}" for batch in BATCHES),
        "batch_columns": " --- |" * len(BATCHES)}


def page(report, file, target):
    """The whole page as Markdown, from the benchmark's report."""
    machine, cores = report["machine"], report["machine"]["threads"]
    named = {"encode_lite0_rate": "pictures of 224 x 224, efficientnet_lite0",
             "encode_resnet50_rate": "pictures of 224 x 224, resnet50",
             "load_rate": "photographs of 640 x 480 read, by one core",
             "train_rate": f"captions trained on, batch {RECIPE.batch_size}",
             "beam_rate": "pictures described from cached features, beam 3"}
    return PAGE.format(
        train=TRAIN, val=VAL, spoken=SPOKEN, pictures=TRAIN + VAL, words=WORDS, file=file,
        target=target, cores=cores, more=CORES, times=CORES / cores, views=RECIPE.views,
        cpu=machine["cpu"], instructions=machine["instructions"], share=report["encode_share"],
        resnet_share=report["encode_resnet50_share"],
        peaks=", ".join(f"{gpu} {peak / 1e12:.0f}" for gpu, peak in PEAKS.items()) + " TFLOP/s",
        measured=rows([what, f"{report[key]:,.0f}", f"`{key}`"] for key, what in named.items()),
        **encoding_tables(report), **training_tables(report))


def main():
    parser = argparse.ArgumentParser(description="Write what COCO takes, in disk and hours.")
    parser.add_argument("report", help="what experiments.bench --json wrote")
    parser.add_argument("page", help="the Markdown file to write")
    options = parser.parse_args()
    text = page(read_measured(options.report), options.report, options.page)
    with whole_file(options.page) as beside:
        beside.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_command(main)
