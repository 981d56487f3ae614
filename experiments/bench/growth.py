"""The rows of the benchmark on growth where nothing is trained: questions answered, clips encoded.

    Setup --scaling_questions, scaling_clips--> {"scaling_questions_time": Figure, ...}

Each is done in a process of its own, which has an answerer with random weights, or clips.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from encoders.backbones import Backbone, transform_of
from experiments.bench.child import Child, random_features, tell
from experiments.bench.clips import ENCODER, write_clips
from experiments.bench.machine import memory
from experiments.bench.questions import sentence
from experiments.bench.scale import grown, in_turn
from experiments.bench.tools import timed
from scenes.motion.frames import RATE
from video.clips import open_clip
from video.features import encode_clips
from vocabulary import Vocabulary
from vqa.checkpoint import Answerer
from vqa.settings import RECIPES, VQASettings
from vqa.task import architecture
from vqa.words import Answers

EACH = 10                   # questions about a picture
WORDS, ANSWERS = 150, 60    # that an answerer of drawn pictures knows, about
TIMES = 1, 3, 10
MODULE = "experiments.bench.growth"


def scaling_questions(setup):
    """Answer 3 and 10 times as many questions, on as many pictures: time per question, memory."""
    size, threads = setup.sizes.growing[0], torch.get_num_threads()
    answers = in_turn(setup, [Child(["answers", setup.folder / f"{times}.npy", times * size],
                                    threads, module=MODULE) for times in TIMES])
    return grown("scaling_questions", answers, size, "questions")


def scaling_clips(setup):
    """Encode 3 and 10 times as many clips: time per clip, and anonymous memory on Linux."""
    size, threads = setup.sizes.growing[1], torch.get_num_threads()
    write_clips(setup.folder / "growing", size)
    answers = in_turn(setup, [Child(["clips", setup.folder / "growing", times], threads,
                                    module=MODULE) for times in TIMES])
    return grown("scaling_clips", answers, size, "clips")


def serve(work, items):
    """Do the work whenever asked, and answer with seconds, memory and items."""
    work()                                  # which allocates memory, as later ones do not
    tell(ready=True)
    while sys.stdin.readline():
        seconds = timed(work)[1]
        tell(seconds=seconds, memory=memory("RssAnon"), items=items)


def serve_answers(file, count):
    """Answer so many questions when asked, with features of their pictures in `file`."""
    count, settings = int(count), VQASettings(**{**RECIPES["vqa_grounded"], "data": ""})
    answerer = Answerer.build(
        architecture(settings), Vocabulary(words=[f"w{number}" for number in range(WORDS)]),
        Answers(f"a{number}" for number in range(ANSWERS)), transform_of(settings.encoder),
        settings.longest, settings.output)
    features = random_features(Path(file), 1, -(-count // EACH), grid=True)[0]
    random = np.random.default_rng(0)
    texts = [sentence(random) for _ in range(count)]
    serve(lambda: answerer.predicted(features, np.arange(count) // EACH, texts), count)


def serve_clips(root, times):
    """Encode the clips in a folder, each so many times, when asked."""
    backbone, transform = Backbone(ENCODER, grid=True), transform_of(ENCODER)
    folders = sorted(Path(root).iterdir()) * int(times)
    serve(lambda: encode_clips(backbone, transform, [*map(open_clip, folders)], rate=RATE),
          len(folders))


if __name__ == "__main__":
    sys.stdout = sys.stderr                 # what libraries print must not look like an answer
    {"answers": serve_answers, "clips": serve_clips}[sys.argv[1]](*sys.argv[2:])
