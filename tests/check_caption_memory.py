"""Check that caption.py takes no more memory for ten thousand pictures than for a thousand.

Run from the repository's root: python tests/check_caption_memory.py --pictures 10000

One picture in 200 is broken. caption.py describes all and writes a gallery, with an untrained
captioner on small pictures unless --checkpoint names another. Meanwhile its anonymous memory, which
belongs to no file and to no other process, is measured. In the second half it may not grow.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from captioning.captioner import Captioner
from captioning.checkpoint import save_captioner
from encoders.transform import Transform
from vocabulary import Vocabulary

DIFFERENT = 50              # pictures; the others are links to these
ALLOWED = 16                # megabytes that the second half may add to the first


def make_pictures(folder, count):
    """Write `count` pictures as large as photographs, every 200th cut short; return how many are.
    """
    random = np.random.default_rng(0)
    for number in range(DIFFERENT):
        pixels = random.integers(0, 256, (15, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((640, 480)).save(folder / f"{number:06d}.jpg")
    (folder / "broken").write_bytes((folder / "000000.jpg").read_bytes()[:2000])
    for number in range(DIFFERENT, count):
        source = "broken" if number % 200 == 199 else f"{number % DIFFERENT:06d}.jpg"
        os.link(folder / source, folder / f"{number:06d}.jpg")
    return count // 200


def make_captioner(path):
    """Write an untrained captioner that reads pictures at 64 x 64, so that the check is quick."""
    architecture = {"encoder": {"backbone": "efficientnet_lite0", "grid": False},
                    "decoder": {"embed_size": 64, "hidden_size": 64, "num_layers": 1,
                                "name": "lstm_first", "dropout": 0.0}}
    vocab = Vocabulary(words=[f"word{number}" for number in range(1000)])
    save_captioner(path, Captioner.build(architecture, vocab,
                                         Transform(64, (0.5,) * 3, (0.5,) * 3), None))


def anonymous(process):
    """Return the memory of a process that belongs to no file, in megabytes."""
    status = Path(f"/proc/{process.pid}/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("RssAnon"))
        return int(line.split()[1]) / 1024
    return process.memory_full_info().uss / 2**20       # macOS and Windows have no finer figure


def watch(command):
    """Run a command and measure it twice a second.

    Returns its exit status, (bytes written so far, megabytes) of each measurement, the number of
    lines it wrote and the number of pictures it could not read.
    """
    samples = []
    with tempfile.TemporaryFile("w+") as lines, tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(command, stdout=lines, stderr=errors)
        process = psutil.Process(child.pid)
        while child.poll() is None:
            try:
                samples.append((os.fstat(lines.fileno()).st_size, anonymous(process)))
            except (psutil.Error, OSError, StopIteration):      # it has just ended
                break
            time.sleep(0.5)
        status = child.wait()
        lines.seek(0)
        errors.seek(0)
        return status, samples, lines.read().count("\n"), errors.read().count("cannot be read")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--checkpoint")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "photos").mkdir()
        broken = make_pictures(folder / "photos", options.pictures)
        checkpoint = options.checkpoint or folder / "tiny.safetensors"
        if not options.checkpoint:
            make_captioner(checkpoint)
        began = time.monotonic()
        status, samples, lines, errors = watch(
            [sys.executable, "caption.py", folder / "photos", "--checkpoint", checkpoint,
             "--gallery", folder / "gallery.html", "--device", "cpu"])
        seconds, size = time.monotonic() - began, (folder / "gallery.html").stat().st_size
    written = [sample for sample in samples if sample[0]]       # once the first line is out
    first, second = (max(megabytes for _, megabytes in half) for half in (
        written[:len(written) // 2], written[len(written) // 2:]))
    for number in range(0, len(written), max(1, len(written) // 20)):
        print(f"{number / len(written):5.0%}  {written[number][1]:6.0f} MB")
    print(f"{options.pictures} pictures, {errors} broken, in {seconds:.0f} s; gallery "
          f"{size / 2**20:.0f} MB\nanonymous memory at most {first:.0f} MB in the first half, "
          f"{second:.0f} MB in the second")
    flat = second - first <= ALLOWED
    complete = (status, lines, errors) == (1, options.pictures - broken, broken)
    print("flat" if flat else "it grows", "and", "complete" if complete else "incomplete")
    return 0 if flat and complete else 1


if __name__ == "__main__":
    sys.exit(main())
