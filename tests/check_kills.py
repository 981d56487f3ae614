"""Kill a download and a feature cache at any moment: they lose little, and end the same.

Run from the repository's root: python -m tests.check_kills
"""

import multiprocessing
import os
import random
import sys
import tempfile
import time
from contextlib import redirect_stderr, redirect_stdout
from http.client import HTTPResponse
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import prepare
from coco.dataset import read_split
from encoders import features
from encoders.backbones import Backbone
from encoders.encoding import BATCH_SIZE
from encoders.transform import Transform
from system.download import CHUNK
from system.files import write_json
from tests.server import Server, coco_files

KILLS = 20
PICTURES = {"train2017": 160, "val2017": 16}


def write_coco(root):
    """A small COCO whose pictures are large enough for a download that takes a while."""
    for split, count in PICTURES.items():
        (root / split).mkdir(parents=True)
        images = [{"id": 1000 * len(split) + number, "file_name": f"{number}.png"}
                  for number in range(count)]
        for number, image in enumerate(images):
            pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), "uint8")
            Image.fromarray(pixels).save(root / split / image["file_name"], compress_level=1)
        for kind in ("captions", "instances"):
            write_json(root / "annotations" / f"{kind}_{split}.json", {
                "images": images, "annotations": [
                    {"id": image["id"], "image_id": image["id"], "caption": "Noise."}
                    for image in images]})


def note(log, amount):
    """Add a line to `log`, at once."""
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"{amount}\n")


def download(url, root, log):
    """What one process does of the first check: all of `prepare.py coco`. Logs bytes received."""
    read = HTTPResponse.read1

    def noted(response, size):
        found = read(response, size)
        note(log, len(found))
        return found

    HTTPResponse.read1 = noted
    prepare.main(["coco", "--root", str(root), "--base-url", url])


def cache(coco, folder, log):
    """What one process does of the second: the features of a split. Logs pictures encoded."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    encode = features.encode

    def noted(network, images):
        note(log, len(images))
        return encode(network, images)

    features.encode = noted
    half = (0.5, 0.5, 0.5)
    features.cached_features(Backbone("resnet18", weights=None), Transform(32, half, half),
                             read_split(coco, "train"), cache=folder)


def begin(context, job, source, target, log):
    """Start a process and wait until it has imported what it needs and begins."""
    process = context.Process(target=quietly, args=(job, source, target, log))
    log.unlink(missing_ok=True)
    process.start()
    while not log.exists():
        time.sleep(0.001)
        assert process.exitcode in (None, 0), f"{job.__name__} did not begin"
    return process


def quietly(job, source, target, log):
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        note(log, 0)
        job(source, target, log)


def finish(context, job, source, target, log):
    """Run to the end; how many seconds that took, and what the log adds up to."""
    process, began = begin(context, job, source, target, log), time.monotonic()
    process.join()
    assert process.exitcode == 0, f"{job.__name__} did not end well"
    return time.monotonic() - began, logged(log)


def kill(context, after, job, source, target, log):
    """Kill a process after so many seconds; whether it was still at work, and its log's sum."""
    process = begin(context, job, source, target, log)
    process.join(after)
    process.kill()              # SIGKILL; on Windows, TerminateProcess
    process.join()
    return process.exitcode != 0, logged(log)


def logged(log):
    return sum(map(int, log.read_text(encoding="utf-8").split()))


def tree(root):
    """{path: bytes} of a folder's files, locks aside."""
    return {path.relative_to(root): path.read_bytes() for path in sorted(root.rglob("*"))
            if path.is_file() and path.suffix != ".lock"}


def check(context, job, source, folder, limit, unit):
    """Kill `job` KILLS times, each time in a new folder, and look at what the next run leaves."""
    folder.mkdir()
    log = folder / "log"
    whole, once = finish(context, job, source, folder / "whole", log)
    rng, hits, midway, repeated = random.Random(0), 0, 0, []
    for trial in range(4 * KILLS):
        if hits == KILLS:
            break
        target = folder / str(trial)
        hit, before = kill(context, rng.uniform(0, 0.9 * whole), job, source, target, log)
        hits, midway = hits + hit, midway + (hit and 0 < before < once)
        repeated.append(before + finish(context, job, source, target, log)[1] - once)
        found, wanted = tree(target), tree(folder / "whole")
        differ = [str(name) for name in found.keys() | wanted.keys()
                  if found.get(name) != wanted.get(name)]
        assert not differ, f"{job.__name__} ended otherwise, in {', '.join(sorted(differ))}"
    print(f"{job.__name__}: killed {hits} times, {midway} of them midway; every next run "
          f"ended whole and byte-identical and repeated {np.mean(repeated):.0f} {unit} on average, "
          f"{max(repeated)} at most, {limit} being allowed", flush=True)
    assert hits == KILLS and midway >= KILLS / 4 and max(repeated) <= limit


def main():
    # a process that has imported everything already starts in no time; Windows has none
    context = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
    if sys.platform != "win32":
        context.set_forkserver_preload(["encoders.backbones", "encoders.features", "prepare",
                                         "tests.server", "torchvision"])
    os.environ["PYTHONWARNINGS"] = "ignore:resource_tracker"    # what is killed cannot clean up
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TMPDIR"] = folder           # for locks
        folder = Path(folder)
        write_coco(folder / "coco")
        with Server(coco_files(folder / "coco"), pace=0.002) as server:
            check(context, download, server.url, folder / "downloads", CHUNK, "bytes")
        # what was not saved, what was in hand and what lay ready, and one that gives the shape
        check(context, cache, folder / "coco", folder / "caches",
              (features.SAVE_EVERY + 3) * BATCH_SIZE + 1, "pictures")
    print(f"took {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
