"""The rows of the benchmark on clips: encoded, told in paragraphs, their frames labelled.

    Setup --clips, told--> {"clips_ratio": Figure, ..., "labels_rate": Figure}

Clips are drawn, folders of frames as `prepare.py motion` writes them.
"""

import numpy as np
import torch
from PIL import Image

from encoders.backbones import Backbone, transform_of
from experiments.bench import reference
from experiments.bench.tools import Figure, alternate, best_rates, cosine, ratios, require, timed
from experiments.bench.usual_captions import beam_search
from scenes.motion.dataset import one_clip, write_clip
from scenes.motion.frames import RATE
from scenes.motion.labels import CLASSES
from video.actions.checkpoint import Labeller
from video.actions.settings import ActionSettings
from video.actions.task import architecture as labeller_of
from video.clips import open_clip
from video.features import ClipFeatures, cells_of, encode_clips
from video.paragraphs.checkpoint import Narrator
from video.paragraphs.settings import ParagraphSettings
from video.paragraphs.sight import when
from video.paragraphs.task import architecture as narrator_of
from video.paragraphs.teller import Beginning
from video.paragraphs.words import sentence_of
from video.paragraphs.writing import Sparing, said_before
from video.paragraphs.writing import told as remember
from vocabulary import Vocabulary

ENCODER = "efficientnet_lite0_fine"     # of the recipes on clips
SAME_FRAME = 0.99           # cosine between features of one frame, at least
# of the drawn clips, about: of a clip, of a paragraph, of a sentence (ids), of all of them
FRAMES, SENTENCES, LONGEST, WORDS = 20, 3, 12, 100


def clips(setup):
    """Encode clips, frames in files, to grid features: clips per second, against one by one.

    The reference reads the frames of a clip in order and encodes them in one batch in float32.
    """
    few, many = setup.sizes.clips
    folders = write_clips(setup.folder / "clips", many)
    backbone, transform = Backbone(ENCODER, grid=True), transform_of(ENCODER)
    network, usual = reference.plain_network(backbone), reference.usual_transform(transform)

    def theirs():
        return [encode_frames(network, usual, folder) for folder in folders[:few]]

    def ours(count=many):
        opened = [open_clip(folder) for folder in folders[:count]]
        return encode_clips(backbone, transform, opened, rate=RATE)

    found, expected = ours(few), theirs()
    require(np.diff(found.offsets).tolist() == [*map(len, expected)], "the frames of clips")
    alike = cosine(found.rows.mean(1), np.concatenate(expected).mean(1))
    require(alike >= SAME_FRAME, f"the features of clips (cosine {alike:.4f})")
    slow, fast = alternate(setup.sizes, lambda: few / timed(theirs)[1],
                           lambda: many / timed(ours)[1])
    sample = f"{few} and {many} clips a round, {np.mean(np.diff(found.offsets)):.0f} frames each"
    return {"clips_ratio": Figure.of(ratios(fast, slow), "x",
                                     f"{best_rates(slow, fast, 'clips/s', sample)}, "
                                     f"cosine {alike:.4f}"),
            "clips_rate": Figure.of(fast, "clips/s", sample)}


def write_clips(root, count):
    """Draw so many clips and return their folders."""
    folders = [root / f"{number}" for number in range(count)]
    for number, folder in enumerate(folders):
        write_clip(folder, one_clip(0, "train", number)[0])
    return folders


def told(setup):
    """Write paragraphs about clips, per second, against one by one; and label their frames.

    The reference writes one paragraph at a time, its sentences by the beam search of one picture.
    Of labels there is a rate only: a clip at a time is ours as it is everybody's.
    """
    few, many = setup.sizes.told
    narrator, labeller = untrained()
    features = random_clips(narrator.backbone, narrator.transform, many)
    durations = [FRAMES / RATE] * many

    def theirs():
        return [usual_paragraph(narrator, features.of(clip)) for clip in range(few)]

    def ours():
        return narrator.paragraphs(features, durations)

    require(theirs() == ours()[:few], "the paragraphs")
    slow, fast, labelled = alternate(
        setup.sizes, lambda: few / timed(theirs)[1], lambda: many / timed(ours)[1],
        lambda: len(features.rows) / timed(labeller.scores, features)[1])
    sample = f"{few} and {many} clips of {FRAMES} frames a round, {SENTENCES} sentences each"
    return {"told_ratio": Figure.of(ratios(fast, slow), "x",
                                    best_rates(slow, fast, "paragraphs/s", sample)),
            "told_rate": Figure.of(fast, "paragraphs/s", sample),
            "labels_rate": Figure.of(labelled, "frames/s", f"{many} clips of {FRAMES} frames")}


def untrained():
    """Return a narrator and a labeller with random weights; texts are as long as they may be."""
    torch.manual_seed(0)
    transform, vocab = transform_of(ENCODER), Vocabulary(words=[f"w{id}" for id in range(WORDS)])
    narrator = Narrator.build(narrator_of(ParagraphSettings(""), len(vocab)), vocab, transform,
                              RATE, False, LONGEST, SENTENCES)
    with torch.no_grad():
        narrator.model.output.weight *= 6           # as decided as a trained one
        narrator.model.ends.bias.fill_(-10)
    narrator.model.eval()
    return narrator, Labeller.build(labeller_of(ActionSettings("")), CLASSES, RATE, transform)


def random_clips(backbone, transform, count):
    """Return `ClipFeatures` of so many clips, random numbers in place of a backbone's."""
    shape = count * FRAMES, cells_of(backbone, transform), backbone.channels
    rows = np.random.default_rng(0).random(shape, np.float32).astype(np.float16)
    return ClipFeatures(rows, FRAMES * np.arange(count + 1), np.tile(np.arange(FRAMES) / RATE,
                                                                     count))


@torch.no_grad()
def usual_paragraph(narrator, clip):
    """Return the sentences about one clip, features (T, L, D) and times (T,)."""
    rows, times = clip
    teller, search, captions = narrator.model, narrator.search(), []
    seen, *_ = teller.sight(torch.from_numpy(rows[None].astype(np.float32)),
                            torch.ones(1, len(rows), dtype=torch.bool))
    moments = when(times, [(0.0, FRAMES / RATE)], FRAMES / RATE)
    memory = teller.nothing(1)
    for _ in range(narrator.most):
        beginning = Beginning(seen, moments, teller.first(memory))
        if captions and teller.over(beginning) >= 0.5:
            break
        sparing = Sparing(teller, said_before([captions], "cpu"))
        captions.append(beam_search(sparing, beginning, search))
        memory = remember(teller, memory, captions[-1:])
    return [sentence_of(narrator.vocab.decode(one)) for one in captions]


@torch.no_grad()
def encode_frames(network, transform, folder):
    """Return the grid features (T, L, D) of the frames in a folder, float16."""
    images = [transform(Image.open(file).convert("RGB")) for file in sorted(folder.glob("*.png"))]
    return network(torch.stack(images)).flatten(2).transpose(1, 2).half().numpy()
