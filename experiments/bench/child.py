"""Processes of their own that train or open files, for what one process cannot tell of itself.

    Child(["train", ...]) --a line--> serve_training, a round of it --a line of JSON--> Child.ask

They train on captions of the dataset at hand, repeated until there are enough, with random numbers
for features: a step takes the same time whatever the numbers are, and no picture has to be encoded.
"""

import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from captioning.settings import settings_of
from captioning.task import Captioning
from coco.dataset import read_split
from data_loader import CaptionData, tokenized
from experiments.bench.machine import memory
from experiments.bench.tools import ROOT, Unmeasured, timed
from system.distributed import broadcast, is_main, processes
from system.files import write_json
from training.loop import step
from training.run import Run
from vocabulary import Vocabulary
from vqa.files import read_questions

PATIENCE = 60               # seconds in which a process must end that is asked to
CELLS = (49,)               # of a grid of features
CHANNELS = 1280             # of the stand-ins for cached features: EfficientNet-Lite's
THRESHOLD = 5               # occurrences of a word, as in the seed recipe


class Child:
    """A Python process that does a round of work when asked, and waits idle in between.

    arguments: the name of its work and what that needs.  launcher: torchrun's module and options;
    torchrun has, like Python, an option -m for a module that is run.  module: that has the work.
    """

    def __init__(self, arguments, threads, launcher=(), module="experiments.bench.child"):
        # not a pipe, which nobody reads until the end and which would fill up
        self.said = tempfile.TemporaryFile()        # noqa: SIM115  closed in __exit__
        self.process = subprocess.Popen(
            [sys.executable, *launcher, "-m", module, *map(str, arguments)],
            encoding="utf-8", cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said)

    def answer(self):
        """Return its next answer; raise `Unmeasured`, with its last line, if it has ended."""
        line = self.process.stdout.readline()
        if not line:
            self.said.seek(0)
            last = self.said.read().decode(errors="replace").strip().splitlines()
            raise Unmeasured("a process of its own ended early "
                             f"({last[-1] if last else 'without a word'})")
        return json.loads(line)

    def ask(self):
        """Let it do a round and return its answer."""
        with suppress(OSError):             # it has ended, and `answer` says why
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        return self.answer()

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        if error:
            self.process.terminate()        # torchrun then ends the others
        try:
            self.process.communicate(timeout=PATIENCE)      # closes its input, on which it ends
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.said.close()


def write_stand_in(root, pictures):
    """Write a dataset in COCO's layout of tiny pictures that have the sentences of `pictures`."""
    write_tiny(root, "train", [picture.sentences for picture in pictures], side=8)
    write_tiny(root, "val", [pictures[0].sentences], side=9)
    return root


def write_tiny(root, name, sentences, side):
    """Write one split of equal pictures, so many pixels wide, with lists of sentences."""
    (root / name).mkdir(parents=True)
    images, annotations = [], []
    Image.new("RGB", (side, side)).save(root / "tiny.png")
    bits = (root / "tiny.png").read_bytes()
    for number, mine in enumerate(sentences):
        (root / name / f"{number}.png").write_bytes(bits)
        images.append({"id": number, "file_name": f"{number}.png"})
        annotations += [{"image_id": number, "caption": one} for one in mine]
    write_json(root / "annotations" / f"captions_{name}.json",
               {"images": images, "annotations": annotations})


def random_features(path, views, pictures, grid=False):
    """Write features as cached ones are: (views, pictures, D) or (views, pictures, L, D)."""
    shape = (*CELLS, CHANNELS) if grid else (CHANNELS,)
    array = np.lib.format.open_memmap(path, "w+", np.float16, (views, pictures, *shape))
    random = np.random.default_rng(0)
    for view, picture in np.ndindex(views, pictures):       # one by one: it may exceed the memory
        array[view, picture] = random.random(shape, np.float32)
    array.flush()
    return np.load(path, mmap_mode="r")


def training_run(root, folder, threshold=THRESHOLD, **changes):
    """Begin a run of recipe `seed`, with changes, on a stand-in dataset and random features."""
    settings = settings_of("seed", str(root), **{"warmup": 0, "vocab_threshold": threshold,
                                                 **changes})
    path = folder / f"features-{os.getpid()}.npy"

    def features(backbone, transform, split, views=1):
        return random_features(path, views, len(split.pictures), backbone.grid)

    folder.mkdir(parents=True, exist_ok=True)
    return Run(Captioning(settings, features), folder / "run")


def take_steps(run, steps):
    """Take the next steps, all in one epoch, and return the lengths of their captions."""
    position, lengths = run.position, []
    if position["batch"] + steps > run.steps_per_epoch:
        position.update(epoch=position["epoch"] + 1, batch=0)
    run.saved = time.monotonic()            # so that no round includes a save of the state
    with closing(run.batches(position["epoch"])) as batches:
        for batch in islice(batches, steps):
            step(run, batch)
            lengths.append(batch.lengths)
    return torch.cat(lengths)


def in_pairs(run, ids):
    """Convert a number of ids to pairs of picture and caption of the epoch's mean length."""
    # batches hold captions of like length, so a few of them are not like the epoch
    return ids / run.task.train.lengths.float().mean().item()


def open_first_batch(root):
    """Read a captions file as a run does and return the vocabulary, data and first batch."""
    split = read_split(root, "train")
    vocab = Vocabulary.build(tokenized(split), THRESHOLD)
    features = np.broadcast_to(np.float16(0), (1, len(split.pictures), CHANNELS))
    data = CaptionData(split, vocab, features)
    return vocab, data, data.batch(data.order(64, 0, 0)[0])


def write_captions(root, count, seed):
    """Write a captions file of COCO's proportions whose sentences no other seed gives."""
    random = np.random.default_rng(seed)
    annotations = root / "annotations"
    annotations.mkdir(parents=True, exist_ok=True)
    (annotations / "captions_val.json").touch()     # without it, a part of train would become val
    with open(annotations / "captions_train.json", "w", encoding="utf-8") as file:
        images = ",\n".join(f'{{"license": 3, "file_name": "{id:012d}.jpg", "height": 427, '
                            f'"width": 640, "id": {id}}}' for id in range(count // 5))
        file.write(f'{{"images": [{images}], "annotations": [')
        for id in range(count):
            words = (27_000 ** random.random(random.integers(8, 14))).astype(int).tolist()
            sentence = " ".join(f"w{word}" for word in words)
            file.write(f'{"," * (id > 0)}\n{{"image_id": {id // 5}, "id": {id}, '
                       f'"caption": "A {sentence} of {seed}."}}')
        file.write("]}")
    return root


def tell(**answer):
    """Answer the parent, in the main process."""
    if is_main():
        print(json.dumps(answer), file=sys.__stdout__, flush=True)


def serve_training(root, folder, steps, threshold):
    """Train so many steps when asked, and answer with seconds, memory and pairs."""
    with processes("cpu"):
        run = training_run(Path(root), Path(folder), int(threshold))
        take_steps(run, 2)                       # which allocate memory, as later ones do not
        tell(ready=True)
        while broadcast(sys.stdin.readline() if is_main() else None):
            lengths, seconds = timed(take_steps, run, int(steps))
            tell(seconds=seconds, memory=memory("RssAnon"),
                 items=in_pairs(run, int(lengths.sum())))


def serve_opening(root):
    """Open a captions file, and again when asked, with what the first opening left on disk."""
    tell(seconds=timed(open_first_batch, root)[1], peak=memory("VmHWM"))
    while sys.stdin.readline():
        gc.collect()                        # of what the opening before left, and not in its time
        tell(seconds=timed(open_first_batch, root)[1])


def serve_questions(root, split):
    """Open questions about pictures."""
    tell(seconds=timed(read_questions, root, split)[1], peak=memory("VmHWM"))


if __name__ == "__main__":
    sys.stdout = sys.stderr                 # what libraries print must not look like an answer
    {"train": serve_training, "open": serve_opening,
     "questions": serve_questions}[sys.argv[1]](*sys.argv[2:])
