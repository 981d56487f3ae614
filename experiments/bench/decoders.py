"""The rows of the benchmark on decoders: how well training uses the machine, seconds to caption.

    Setup --attend, decode--> {"train_attention_share": Figure, ..., "decode_seconds": Figure}
"""

from statistics import median

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from captioning.captioner import Captioner
from coco.dataset import read_split
from data_loader import Batch
from decoders.registry import NAMES, build_decoder, wants_grid
from decoders.search import Search, search
from experiments.bench.child import take_steps, training_run, write_stand_in
from experiments.bench.tools import Figure, alternate, ratios, timed
from vocabulary import UNK_ID

CAPTIONS = 5                # of a picture in one batch, as decoders with a grid are trained
GRID = {"views": 1, "captions_per_picture": CAPTIONS}
LARGEST_GRID = 81           # cells, of EfficientNet-Lite2
SEARCHED = 128              # pictures in one search, as in an evaluation


def attend(setup):
    """Measure the share of the limit at which decoders with attention to a grid are trained."""
    pictures = read_split(setup.data, "train").pictures
    return {key: attend_by(setup, name, pictures) for key, name in (
        ("train_attention_share", "adaptive"), ("train_transformer_share", "transformer"))}


def attend_by(setup, name, pictures):
    """Measure the share of one decoder."""
    folder = setup.folder / name
    run = training_run(write_stand_in(folder / "data", pictures), folder, decoder=name, **GRID)
    flops = UsefulFlops(run)

    def ours():
        lengths, seconds = timed(take_steps, run, setup.sizes.steps)
        return flops.of(lengths.tolist(), len(lengths) / CAPTIONS) / seconds

    take_steps(run, 2)
    speeds, limits = alternate(setup.sizes, ours, setup.limit)
    return Figure.of(ratios(speeds, limits), "of limit", f"{name}, {max(speeds) / 1e9:.0f} GFLOP/s "
                     f"at best, {setup.sizes.steps} steps of 64 a round")


class UsefulFlops:
    """The FLOPs that training a decoder on captions needs, by PyTorch's count of its products.

    A picture with two captions of n ids costs one caption of n ids more than a picture with one;
    what is left of the latter is the picture's own. Captions are not padded here, so padding does
    not count.
    """

    def __init__(self, run):
        self.run, self.costs = run, {}

    def of(self, lengths, pictures):
        """Count FLOPs, forward and backward, of captions of `lengths` and so many pictures."""
        return sum(map(self.caption, lengths)) + pictures * (self.count(1, 12) - self.caption(12))

    def caption(self, length):
        """Count FLOPs of one caption of so many ids, without its picture."""
        if length not in self.costs:
            self.costs[length] = self.count(2, length) - self.count(1, length)
        return self.costs[length]

    def count(self, captions, length):
        """Count FLOPs of one picture with so many captions of so many ids."""
        features = torch.from_numpy(self.run.task.train.features[0][:1].astype(np.float32))
        batch = Batch(features, torch.full((captions, length), UNK_ID),
                      torch.full((captions,), length), torch.zeros(1, dtype=torch.long))
        # oneDNN's LSTM is one operation that the counter does not know; without it, it is products
        with FlopCounterMode(display=False) as counter, torch.backends.mkldnn.flags(enabled=False):
            self.run.model(batch)[0].backward()
        return counter.get_total_flops()


def decode(setup):
    """Measure seconds for beam-3 captions of 1,000 pictures, by the slowest decoder."""
    seconds = {name: decode_by(setup, name) for name in NAMES}
    slowest = max(NAMES, key=lambda name: median(seconds[name]))
    others = ", ".join(f"{name} {median(times):.1f}" for name, times in seconds.items())
    return {"decode_seconds": Figure.of(
        seconds[slowest], "s", f"{setup.sizes.captioned[1]} pictures a round, scaled: {others}")}


def decode_by(setup, name):
    """Measure the rounds of one decoder."""
    torch.manual_seed(0)                # with random weights a caption seldom ends before 20 ids
    sizes = {"embed_size": 512, "hidden_size": 512, "num_layers": 1, "dropout": 0.0}
    decoder = build_decoder(name, 2500, **sizes)
    count = setup.sizes.captioned[1]
    features = torch.randn(count, *([LARGEST_GRID] if wants_grid(name) else []), 512)

    def ours():
        for some in features.split(Captioner.batch_size):
            search(decoder, some, Search())

    times, = alternate(setup.sizes, lambda: timed(ours)[1] * 1000 / count)
    return times
