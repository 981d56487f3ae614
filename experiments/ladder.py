"""The ladder: every quality figure that is quoted, one change a rung, by one command.

    RUNGS --train--> runs/ladder/RUNG-SEED --evaluate--> results/ladder/RUNG-SEED.json --> table

    python -m experiments.ladder --data data/flickr8k     # hours; finished rungs stay
    python -m experiments.ladder --data data/flickr8k --only soft updown
    python -m experiments.ladder --table                 # from the files alone; also into the pages

Stopped at any moment, the same command goes on: a training from its last save, the ladder from its
last file. All figures are of val, which is for choosing; test is for the one model that was chosen.
"""

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path

import torch

from captioning.checkpoint import load_captioner
from captioning.ensemble import Ensemble, combine
from captioning.evaluation import evaluate, left_out, report_of
from captioning.objectives import caption_loss
from captioning.settings import settings_of
from coco.dataset import read_split
from coco.readable import readable
from data_loader import CaptionData
from decoders.search import Search
from experiments.baselines import most_frequent, neighbour
from experiments.harness import Experiment, add_options, folders
from experiments.ladder_table import each_of, filled, table
from scoring.prose import prose
from system.commands import run_command
from system.files import BadInput, whole_file, write_json
from system.outputs import json_in, output_file

GREEDY, BEAM = Search(method="greedy"), Search(beam=3)
BEST = "adaptive"           # the decoder of the upper rungs, that of recipe `attention`
EPOCHS = 6                  # of a decoder: adaptive attention over-fits after them
BATCH_SIZE = 128            # captions in one forward pass
PAGE = Path("docs/EXPERIMENTS.md")


@dataclass(frozen=True)
class Rung:
    """A captioner and the one change that distinguishes it from the rung `below`.

    A rung is one of three things: a `baseline`; a training by `recipe`, with `settings` in place of
    the recipe's and beginning with the weights of the rung `start`; or the captioners of the rungs
    `runs`, evaluated with another search or, if `ensemble`, as an ensemble of all their seeds.
    """

    name: str
    change: str
    below: str | None
    baseline: object = None         # function: train, val, settings -> sentences
    recipe: str = "attention"
    settings: dict = field(default_factory=dict)
    start: str | None = None
    runs: tuple = ()
    ensemble: bool = False
    search: Search = BEAM
    repeated: bool = False          # with several seeds


def decoder_rung(name, change, below, **settings):
    """Return the rung of a decoder that is trained on a frozen encoder and captions greedily."""
    return Rung(name, change, below, settings={"decoder": name, "epochs": EPOCHS, **settings},
                search=GREEDY, repeated=name == BEST)


# Dropout of 0.1 as in the paper, since it is of each layer's output. Five captions of a picture in
# one batch, so that the encoder layers, which see the picture alone, run once for them
TRANSFORMER = {"num_layers": 2, "dropout": 0.1, "learning_rate": 5e-4, "captions_per_picture": 5}


RUNGS = (
    Rung("constant", "the most frequent training sentence", None, most_frequent),
    Rung("neighbour", "a sentence of the nearest training picture", "constant", neighbour),
    decoder_rung("lstm_first", "an LSTM that is given the picture once", "neighbour"),
    decoder_rung("lstm_every", "the picture at every step", "lstm_first"),
    decoder_rung("soft", "soft attention over the grid", "lstm_every"),
    decoder_rung("hard", "a sampled location in place of a mean", "soft"),
    decoder_rung("adaptive", "adaptive attention", "soft"),
    decoder_rung("updown", "an LSTM for attention below one for language", "adaptive"),
    decoder_rung("transformer", "a Transformer in place of LSTMs", "updown", **TRANSFORMER),
    decoder_rung("objects", "geometry in its encoder", "transformer", **TRANSFORMER),
    Rung("beam", f"{BEST}, beam search", BEST, runs=(BEST,), repeated=True),
    Rung("tuned", "the encoder's last stages fine-tuned", "beam", recipe="tuned", start=BEST,
         repeated=True),
    Rung("self_critical", "trained for CIDEr-D", "tuned", recipe="critical", start="tuned",
         repeated=True),
    Rung("ensemble", "an ensemble of all seeds", "self_critical", runs=("self_critical",),
         ensemble=True),
)


def named(name):
    """Return the rung of a name."""
    return next(rung for rung in RUNGS if rung.name == name)


@dataclass(frozen=True)
class Ladder(Experiment):
    """The experiment whose runs and results are rungs, some of them repeated with several seeds."""

    seeds: int = 3

    def seeds_of(self, rung):
        """Return the seeds with which a rung is run."""
        return range(self.seeds if rung.repeated else 1)

    def finished(self, rung, seed):
        """Return the name of a finished training; raise `BadInput` if it is not finished."""
        name = f"{rung}-{seed}"
        if not (self.file(name).exists() and (self.run(name) / "best.safetensors").exists()):
            raise BadInput(f"the finished training {self.run(name)} is needed: run the rung {rung} "
                           f"first, and if {self.file(name)} is there already, move it away before")
        return name

    def runs_of(self, rung, seed):
        """Return the names of the trainings whose captioners a rung evaluates."""
        if not rung.runs:
            return [f"{rung.name}-{seed}"]
        return [self.finished(name, number) for name in rung.runs
                for number in (self.seeds_of(named(name)) if rung.ensemble else [seed])]

    def settings(self, rung, seed):
        """Return the settings of a rung's training."""
        given = {**rung.settings, "seed": seed}
        if rung.start:                  # of the same seed, if the start has several
            start = self.finished(rung.start, seed if named(rung.start).repeated else 0)
            given["start"] = self.run(start).as_posix()
        return settings_of(rung.recipe, self.data, **given)


def climb(ladder, rung, seed):
    """Do what is missing of a rung, write its two files and return its result."""
    name = f"{rung.name}-{seed}"
    output_file(each_of(ladder.results, rung.name, seed), "the CIDEr of each picture",
                lambda path: isinstance(json_in(path), list))
    val = readable(read_split(ladder.data, "val"))
    about = {"rung": rung.name, "seed": seed, "data": Path(ladder.data).name}
    if rung.baseline:
        examples = readable(read_split(ladder.data, "train"))
        sentences = rung.baseline(examples, val, ladder.settings(rung, seed))
        report, results, each = report_of(sentences, val, "none", slow=True)
    else:
        if not rung.runs:
            about |= ladder.trained(name, ladder.settings(rung, seed))
        runs = ladder.runs_of(rung, seed)
        captioners = [load_captioner(ladder.run(one), ladder.device) for one in runs]
        about |= {"runs": runs, "parameters": sum(map(parameters, captioners)),
                  "val_loss": loss_per_word(captioners, val)}
        report, results, each = evaluate(combine(captioners), val, rung.search, slow=True)
    result = {**about, **report, **prose([one["caption"] for one in results]),
              "torch": torch.__version__, "threads": torch.get_num_threads()}
    write_json(each_of(ladder.results, rung.name, seed), [round(score, 4) for score in each])
    ladder.write(name, result)          # last, since a rung with this file counts as done
    return result


def parameters(captioner):
    """Count the parameters of a captioner, those of its encoder included."""
    return sum(one.numel() for network in (captioner.encoder, captioner.decoder)
               for one in network.parameters())


@torch.no_grad()
def loss_per_word(captioners, split):
    """Return the cross-entropy per word of a split under teacher forcing, by an ensemble."""
    ensemble = Ensemble(captioners)
    data, features = CaptionData(split, ensemble.vocab), ensemble.features(split)[0]
    total, words = 0.0, 0
    for rows in data.order(BATCH_SIZE):
        embedded = ensemble.embed(features[rows.pictures])
        lengths = data.lengths[rows.captions].to(embedded.device)
        captions = data.captions[rows.captions, :int(lengths.max())].to(embedded.device)
        loss, count = caption_loss(ensemble.decoder(embedded, captions), captions, lengths)
        total, words = total + loss.item(), words + count.item()
    return total / words


def arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train and score the rungs that are not done yet. "
                                     "Started again, it goes on where it stopped. The table of the "
                                     "ladder itself is also written into the pages that quote it.")
    add_options(parser, [rung.name for rung in RUNGS], "ladder")
    parser.add_argument("--seeds", type=int, default=Ladder.seeds,
                        help="seeds of the rungs that are repeated (%(default)s)")
    return parser.parse_args()


def write_page(results):
    """Write the table into the page that quotes it, if it exists."""
    if PAGE.exists():
        text = filled(PAGE.read_text(encoding="utf-8"), table(RUNGS, results))
        with whole_file(PAGE) as beside:
            beside.write_text(text, encoding="utf-8")


def main():
    """Climb the ladder, or print its table."""
    options = arguments()
    runs, results = folders(options)
    if options.table:
        print(table(RUNGS, results))
        if options.name == "ladder":
            write_page(results)
        return
    if not options.data or options.seeds < 1:
        raise BadInput("give --data a dataset in COCO's layout, and --seeds 1 or more")
    ladder = Ladder(options.data, runs, results, options.device, options.seeds)
    for rung in RUNGS:
        for seed in ladder.seeds_of(rung) if rung.name in options.only else ():
            if not ladder.done(f"{rung.name}-{seed}"):
                result = climb(ladder, rung, seed)
                print(f"{rung.name}, seed {seed}: CIDEr {result['CIDEr']:.3f}", flush=True)
                for line in left_out(result):
                    print(line, file=sys.stderr)


if __name__ == "__main__":
    run_command(main)
