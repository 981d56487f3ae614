"""The ladder: every quality figure that we quote, one change a rung, by one command.

    RUNGS --train--> runs/ladder/RUNG-SEED --evaluate--> results/ladder/RUNG-SEED.json --> table

    python -m experiments.ladder --data data/flickr8k     # hours; finished rungs stay
    python -m experiments.ladder --data data/flickr8k --only soft updown
    python -m experiments.ladder --table                 # from the files alone; also into the pages

Killed at any moment, it goes on when the same command is given again: a training from its last
save, the ladder from its last file. All figures are of val, which is for choosing: test is for the
one model that was chosen.
"""

import argparse
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from captioning.checkpoint import load_captioner
from captioning.ensemble import Ensemble, combine
from captioning.evaluation import evaluate, report_of
from captioning.objectives import caption_loss
from coco.checkup import readable
from coco.dataset import read_split
from data_loader import CaptionData
from decoders.search import Search
from experiments.baselines import most_frequent, neighbour
from experiments.ladder_table import COLUMNS, SHORT, each_of, filled, result_of, table
from scoring.prose import prose
from system.files import BadInput, read_json, run_command, whole_file, write_json
from training.loop import train
from training.settings import RECIPES, Settings

GREEDY, BEAM = Search(method="greedy"), Search(beam=3)
BEST = "adaptive"           # the decoder, by CIDEr on val, with which the upper rungs go on
EPOCHS = 6                  # of a decoder: after them adaptive attention over-fits
AT_ONCE = 128               # captions in one forward pass
PAGES = {"README.md": SHORT, "docs/EXPERIMENTS.md": tuple(COLUMNS)}


@dataclass(frozen=True)
class Rung:
    """A captioner and the one thing in which it differs from the rung `below` it.

    It is a `baseline`; or a training, by `recipe` and `settings` that win over it, beginning with
    the weights of the rung `start`; or the trained `runs` of other rungs, captioning in another
    way: together as an ensemble of all seeds if `together`.
    """

    name: str
    change: str
    below: str | None
    baseline: object = None         # function of train, val and settings that gives sentences
    recipe: str = "attention"
    settings: dict = field(default_factory=dict)
    start: str | None = None
    runs: tuple = ()
    together: bool = False
    search: Search = BEAM
    repeated: bool = False          # with several seeds


def decoder_rung(name, change, below, **settings):
    """A decoder trained with a frozen encoder, its captions the likeliest word after word."""
    return Rung(name, change, below, settings={"decoder": name, "epochs": EPOCHS, **settings},
                search=GREEDY, repeated=name == BEST)


# A Transformer silences what each layer adds, and its cells look at each other once a picture
TRANSFORMER = {"num_layers": 2, "dropout": 0.1, "learning_rate": 5e-4, "together": 5}


RUNGS = (
    Rung("constant", "the most frequent training sentence", None, most_frequent),
    Rung("neighbour", "a sentence of the nearest training picture", "constant", neighbour),
    decoder_rung("lstm_first", "an LSTM that is given the picture once", "neighbour"),
    decoder_rung("lstm_every", "the picture at every step", "lstm_first"),
    decoder_rung("soft", "soft attention over the grid", "lstm_every"),
    decoder_rung("adaptive", "adaptive attention", "soft"),
    decoder_rung("updown", "two LSTMs, one to look and one to speak", "adaptive"),
    decoder_rung("transformer", "a Transformer in place of LSTMs", "updown", **TRANSFORMER),
    decoder_rung("objects", "geometry in its encoder", "transformer", **TRANSFORMER),
    Rung("beam", f"{BEST}, beam search", BEST, runs=(BEST,), repeated=True),
    Rung("tuned", "the encoder's last stages fine-tuned", "beam", recipe="tuned", start=BEST,
         repeated=True),
    Rung("self_critical", "trained for CIDEr-D", "tuned", recipe="critical", start="tuned",
         repeated=True),
    Rung("ensemble", "all seeds together", "self_critical", runs=("self_critical",), together=True),
)


def named(name):
    """The rung of a name."""
    return next(rung for rung in RUNGS if rung.name == name)


@dataclass(frozen=True)
class Ladder:
    """Where a ladder stands: dataset, folders of runs and of results, seeds of repeated rungs."""

    data: str
    runs: Path = Path("runs/ladder")
    results: Path = Path("results/ladder")
    seeds: int = 3
    device: str = "cpu"

    def seeds_of(self, rung):
        return range(self.seeds if rung.repeated else 1)

    def run(self, name, seed):
        """The folder of a rung's training."""
        return self.runs / f"{name}-{seed}"

    def finished(self, name, seed):
        """The same for whoever builds on it; raises `BadInput` if there is nothing to build on."""
        folder, file = self.run(name, seed), result_of(self.results, name, seed)
        if not (file.exists() and (folder / "best.safetensors").exists()):
            raise BadInput(f"the finished training {folder} is needed: run the rung {name} first, "
                           f"and if {file} is there already, delete it before")
        return folder

    def runs_of(self, rung, seed):
        """The folders whose captioners a rung evaluates."""
        if not rung.runs:
            return [self.run(rung.name, seed)]
        return [self.finished(name, number) for name in rung.runs
                for number in (self.seeds_of(named(name)) if rung.together else [seed])]

    def settings(self, rung, seed):
        """What a rung is trained with; its start has the same seed if it has several."""
        given = {**RECIPES[rung.recipe], **rung.settings, "data": self.data, "seed": seed}
        if rung.start:
            start = seed if named(rung.start).repeated else 0
            given["start"] = self.finished(rung.start, start).as_posix()
        return Settings(**given)


def is_done(ladder, rung, seed):
    """Whether a rung has its result; raises `BadInput` if that is of other data."""
    file = result_of(ladder.results, rung.name, seed)
    done = file.exists()
    if done and read_json(file, "delete it")["data"] != Path(ladder.data).name:
        raise BadInput(f"{file} is not of {ladder.data}: give another --name for other data")
    return done


def climb(ladder, rung, seed):
    """Do a rung, whatever of it is not done yet, and write its two files; the result."""
    val = readable(read_split(ladder.data, "val"))
    about = {"rung": rung.name, "seed": seed, "data": Path(ladder.data).name}
    if rung.baseline:
        examples = readable(read_split(ladder.data, "train"))
        sentences = rung.baseline(examples, val, ladder.settings(rung, seed))
        found = report_of(sentences, val, "none", meteor=True)
    else:
        if not rung.runs:
            about |= trained(ladder, rung, seed)
        folders = ladder.runs_of(rung, seed)
        captioners = [load_captioner(folder, ladder.device) for folder in folders]
        about |= {"runs": [folder.name for folder in folders],
                  "parameters": sum(map(parameters, captioners)),
                  "val_loss": loss_per_word(captioners, val)}
        found = evaluate(combine(captioners), val, rung.search, meteor=True)
    report, results, each = found
    result = {**about, **report, **prose([one["caption"] for one in results]),
              "torch": torch.__version__, "threads": torch.get_num_threads()}
    write_json(each_of(ladder.results, rung.name, seed), [round(score, 4) for score in each])
    write_json(result_of(ladder.results, rung.name, seed), result, indent=1)    # last: now it is
    return result


def trained(ladder, rung, seed):
    """Train a rung, or go on with it: settings, minutes, and of each epoch minutes and CIDEr."""
    settings, folder = ladder.settings(rung, seed), ladder.run(rung.name, seed)
    history = train(settings, folder, ladder.device)
    status = read_json(folder / "status.json", "delete the run's folder and train again")
    curve = [[round(status["at_epoch"][str(row["epoch"])] / 60, 3), round(row["CIDEr"], 4)]
             for row in history]
    about = {**asdict(settings), "data": Path(ladder.data).name}    # where it lay is nobody's
    return {"settings": about, "minutes": status["seconds"] / 60, "curve": curve}


def parameters(captioner):
    """How many numbers a captioner consists of, encoder included."""
    return sum(one.numel() for network in (captioner.encoder, captioner.decoder)
               for one in network.parameters())


@torch.no_grad()
def loss_per_word(captioners, split):
    """Return the cross-entropy per word of a split under teacher forcing, by an ensemble."""
    ensemble = Ensemble(captioners)
    data, features = CaptionData(split, ensemble.vocab), ensemble.features(split)[0]
    total, words = 0.0, 0
    for index in data.order(AT_ONCE, seed=0, epoch=0):
        embedded = ensemble.embed(features[data.picture[index]])
        lengths = data.lengths[index].to(embedded.device)
        captions = data.captions[index, :int(lengths.max())].to(embedded.device)
        loss, count = caption_loss(ensemble.decoder(embedded, captions), captions, lengths)
        total, words = total + loss.item(), words + count.item()
    return total / words


def arguments():
    names = [rung.name for rung in RUNGS]
    parser = argparse.ArgumentParser(description="Train and score what is not yet, rung by rung. "
                                     "Started again, it goes on where it stopped.")
    parser.add_argument("--data", help="dataset in COCO's layout")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="RUNG",
                        help=f"these rungs: {', '.join(names)}")
    parser.add_argument("--seeds", type=int, default=Ladder.seeds,
                        help="seeds of the rungs that are repeated (%(default)s)")
    parser.add_argument("--name", default="ladder",
                        help="folder in runs/ and results/; another for other data (%(default)s)")
    parser.add_argument("--table", action="store_true",
                        help="print the table of all that is finished, and do nothing else; that "
                        "of the ladder itself goes into the pages that quote it as well")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu",
                        help="cpu, cuda or mps (%(default)s)")
    return parser.parse_args()


def write_pages(results):
    """Put the table into the pages that quote it, as far as they are here."""
    for name, keys in PAGES.items():
        if (page := Path(name)).exists():
            text = filled(page.read_text(encoding="utf-8"), table(RUNGS, results, keys))
            with whole_file(page) as beside:
                beside.write_text(text, encoding="utf-8")


def main():
    options = arguments()
    results = Path("results") / options.name
    if options.table:
        print(table(RUNGS, results))
        if options.name == "ladder":
            write_pages(results)
        return
    if not options.data or options.seeds < 1:
        raise BadInput("give --data a dataset in COCO's layout, and --seeds 1 or more")
    ladder = Ladder(options.data, Path("runs") / options.name, results, options.seeds,
                    options.device)
    for rung in (rung for rung in RUNGS if rung.name in options.only):
        for seed in ladder.seeds_of(rung):
            if not is_done(ladder, rung, seed):
                result = climb(ladder, rung, seed)
                print(f"{rung.name}, seed {seed}: CIDEr {result['CIDEr']:.3f}", flush=True)


if __name__ == "__main__":
    run_command(main)
