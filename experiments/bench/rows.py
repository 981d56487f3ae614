"""The rows of the benchmark on captions: models trained, captions searched for and judged.

    Setup --train, beam, sample, score, reward--> {"train_ratio": Figure, ...}

Each prepares reference and ours, requires equal results, and lets the two take turns.
"""

from itertools import cycle, islice
from statistics import median

import numpy as np
import torch

from caption import SHIPPED
from captioning import evaluation
from captioning.checkpoint import load_captioner
from coco.dataset import Split, find_split, read_split
from data_loader import Batch
from decoders.search import Search
from encoders.features import cached_features, encode_split
from experiments.bench import reference, usual_captions
from experiments.bench.child import CHANNELS, in_pairs, take_steps, training_run, write_stand_in
from experiments.bench.tools import (
    Figure,
    alternate,
    best_rates,
    quiet,
    ratios,
    require,
    runs_java,
    timed,
    training_flops,
)
from scoring.ptb import tokenize
from scoring.scores import CiderD
from training.loop import step

SAME_LOSS = 0.005           # relative difference of losses per word: our features are float16
SAME_SCORE = 1e-9
SAMPLES = 5                 # of a picture, as self-critical training draws them
NAMED = "dog"               # in captions that must name a word
WHOLE_SCORED = 5000         # pictures; of Karpathy's test split


def train(setup):
    """Train the seed model: pairs per second against two loops, and the share of the limit."""
    split = read_split(setup.data, "train")
    root = write_stand_in(setup.folder / "train", split.pictures)
    run = training_run(root, setup.folder / "run")
    theirs = TheirTraining(setup, run)
    same_losses(run, theirs, split.first(run.settings.batch_size))
    speeds = []

    def ours():
        lengths, seconds = timed(take_steps, run, setup.sizes.steps)
        speeds.append(training_flops(run.task.captioner.decoder, CHANNELS, lengths) / seconds)
        return in_pairs(run, int(lengths.sum()) / seconds)

    def per_second(loop, steps):
        ids, seconds = timed(loop, steps)
        return in_pairs(run, ids / seconds)

    take_steps(run, 2)
    usual, plain, fast, limits = alternate(
        setup.sizes, lambda: per_second(theirs.usual, setup.sizes.usual_steps),
        lambda: per_second(theirs.plain, setup.sizes.steps), ours, setup.limit)
    sample = f"{setup.sizes.steps} steps of 64 a round"
    rates = best_rates(usual, fast, "pairs/s", sample)
    return {"train_ratio": Figure.of(ratios(fast, usual), "x",
                                     f"{rates}, of the usual loop {setup.sizes.usual_steps}"),
            "train_cached_ratio": Figure.of(ratios(fast, plain), "x",
                                            best_rates(plain, fast, "pairs/s", sample)),
            "train_rate": Figure.of(fast, "pairs/s", sample),
            "train_lstm_share": Figure.of(ratios(speeds, limits), "of limit",
                                          f"{max(speeds) / 1e9:.0f} GFLOP/s at best, {sample}")}


class TheirTraining:
    """The two loops of the reference, with the sizes, weights and captions of our run."""

    def __init__(self, setup, run):
        captioner, settings = run.task.captioner, run.settings
        name = find_split(setup.data, "train")
        self.captions = reference.UsualDataset(
            setup.data / "annotations" / f"captions_{name}.json", setup.data / name,
            reference.usual_transform(captioner.transform))
        require(self.captions.words == run.task.vocab.words, "the vocabulary")
        self.network = reference.plain_network(captioner.encoder.backbone)
        self.model = reference.PlainModel.like(captioner)
        self.optimizer = torch.optim.Adam(self.model.parameters(), settings.learning_rate)
        self.batch_size = settings.batch_size
        self.cached = reference.CachedDataset(run.task.train.features[0], self.captions)

    def usual(self, steps):
        """Take steps of the usual loop and return the ids trained on."""
        return reference.usual_steps(self.captions, self.batch_size, self.network, self.model,
                                     self.optimizer, steps)

    def plain(self, steps):
        """Take steps of the plain loop on cached features and return the ids trained on."""
        return reference.plain_steps(self.cached, self.batch_size, self.model, self.optimizer,
                                     steps)


def same_losses(run, theirs, split):
    """Require equal losses per word in three steps on a caption of each picture of `split`."""
    first = np.unique(theirs.cached.pictures, return_index=True)[1][:len(split.pictures)]
    images, captions = zip(*[theirs.captions[index] for index in first], strict=True)
    with torch.no_grad():
        features = theirs.network(torch.stack(images)).mean((2, 3))
    features, captions, lengths = reference.padded(zip(features, captions, strict=True))
    encoder = run.task.captioner.encoder
    found = encode_split(encoder.backbone, run.task.captioner.transform, split)[0]
    run.task.captioner.decoder.eval()            # no dropout, until the next epoch begins
    theirs.model.eval()
    batch = Batch(torch.from_numpy(found).float(), captions, lengths, torch.arange(len(lengths)))
    for _ in range(3):
        loss, _ = step(run, batch)
        other = reference.plain_step(theirs.model, theirs.optimizer, features, captions, lengths)
        require(abs(loss.item() - other) <= SAME_LOSS * other,
                f"the loss per word ({other:.4f} and {loss.item():.4f})")
    theirs.model.train()


def beam(setup):
    """Search beam-3 captions from cached features, per second, by the shipped captioner.

    Beside it: how many times as long it takes where every caption must name a word.
    """
    few, many = setup.sizes.captioned
    captioner, features = shipped(setup, many)

    def theirs():
        return usual_captions.captions(captioner, features[:few], Search())

    def ours():
        return [found[0] for found in captioner.sentences(features, Search())]

    def naming():
        return captioner.sentences(features, Search(naming=captioner.naming([NAMED])))

    require(theirs() == ours()[:few], "the captions")
    slow, fast, named = alternate(
        setup.sizes, lambda: len(features[:few]) / timed(theirs)[1],
        lambda: len(features) / timed(ours)[1], lambda: len(features) / timed(naming)[1])
    sample = f"{len(features[:few])} and {len(features)} pictures a round, of 1,000"
    return {"beam_ratio": Figure.of(ratios(fast, slow), "x",
                                    best_rates(slow, fast, "captions/s", sample)),
            "beam_rate": Figure.of(fast, "captions/s", sample),
            "naming_times": Figure.of(ratios(fast, named), "x", "as long with one word to name, "
                                      f"{len(features)} pictures a round")}


def shipped(setup, pictures):
    """Return the shipped captioner without rules of its own, and features of so many pictures."""
    captioner, split = load_captioner(SHIPPED), read_split(setup.data, "val").first(pictures)
    captioner.about = {"max_length": captioner.max_length}      # usual searches have none
    with quiet():
        return captioner, cached_features(captioner.encoder.backbone, captioner.transform, split)[0]


def sample(setup):
    """Sample five captions a picture, per second, against one caption at a time.

    The same random numbers must give the same captions. Timed, each draws numbers of its own.
    """
    few, many = setup.sizes.sampled
    captioner, features = shipped(setup, many)
    settings = Search(method="sample", captions=SAMPLES)

    def theirs(chances=None):
        found = usual_captions.samples(captioner, features[:few], settings, chances)
        return [sorted(captions) for captions in found]

    def ours(count=None):
        return [sorted(one.words for one in found)
                for found in captioner.hypotheses(features[:count], settings)]

    generator = torch.Generator().manual_seed(settings.seed)
    chances = torch.rand(SAMPLES * len(features[:few]), settings.max_length, generator=generator)
    require(theirs(chances) == ours(few), "the sampled captions")
    slow, fast = alternate(setup.sizes,
                           lambda: SAMPLES * len(features[:few]) / timed(theirs)[1],
                           lambda: SAMPLES * len(features) / timed(ours)[1])
    sample = f"{SAMPLES} of each of {len(features[:few])} and {len(features)} pictures a round"
    return {"sample_ratio": Figure.of(ratios(fast, slow), "x",
                                      best_rates(slow, fast, "captions/s", sample)),
            "sample_rate": Figure.of(fast, "captions/s", sample)}


def reward(setup):
    """Compute the CIDEr-D of 320 samples, a step of self-critical training: milliseconds."""
    split = read_split(setup.data, "train")
    scorer = CiderD([[tokenize(sentence) for sentence in picture.sentences]
                     for picture in split.pictures])
    rounds = iter(range(1000))

    def rewards():
        """Time the rewards of five samples of 64 pictures: captions of other pictures."""
        first = 64 * next(rounds)               # other pictures each time: none is prepared yet
        pictures = [number % len(split.pictures) for number in range(first, first + 64)]
        samples = [scorer.references[picture - 1][place % len(scorer.references[picture - 1])]
                   for picture in pictures for place in range(5)]
        return timed(scorer.scores, samples, [one for one in pictures for _ in range(5)])[1]

    rewards()
    times, = alternate(setup.sizes, lambda: 1000 * median(rewards() for _ in range(9)))
    return {"reward_ms": Figure.of(times, "ms", "320 samples, the median of 9 a round")}


def score(setup):
    """Score BLEU, ROUGE-L and CIDEr-D of 5,000 pictures: seconds, and the official code's."""
    spoken = read_split(setup.data, "train").pictures
    pictures = tuple(islice(cycle(spoken), setup.sizes.scored))
    split, scale = Split("scored", pictures), WHOLE_SCORED / setup.sizes.scored
    references = [picture.sentences for picture in pictures]
    candidates = [mine[0] for mine in references[1:] + references[:1]]      # of the next picture

    def ours():
        return evaluation.score(candidates, evaluation.tokenized_references(split))[0]

    def theirs():
        with quiet():
            return usual_captions.official_scores(candidates, references)

    sample = f"{len(pictures)} pictures, scaled to {WHOLE_SCORED}"
    if not runs_java():
        times, = alternate(setup.sizes, lambda: timed(ours)[1] * scale)
        return {"score_seconds": Figure.of(times, "s", f"{sample}; no Java to compare with")}
    mine = ours()
    for name, value in theirs().items():
        require(abs(mine[name] - value) <= SAME_SCORE, f"{name} ({value} and {mine[name]})")
    slow, fast = alternate(setup.sizes, lambda: timed(theirs)[1] * scale,
                           lambda: timed(ours)[1] * scale)
    return {"score_seconds": Figure.of(fast, "s", sample),
            "score_ratio": Figure.of(ratios(slow, fast), "x", f"the official code {min(slow):.1f} "
                                     f"s at best, {sample}")}
