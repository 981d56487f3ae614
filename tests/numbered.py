"""Clips whose frames carry their number in the pixels, to see which frame was read."""

import numpy as np
from PIL import Image

from system.files import write_json

BITS, BAR, SIDE = 6, 16, 48
LENGTHS = [40, 120, 50, 30, 70, 40, 200, 10, 90, 60]        # ms, whole hundredths as in GIF
STARTS = np.cumsum([0, *LENGTHS]) / 1000


def picture(number):
    """A frame: a bar for each bit of its number, white for 1."""
    bits = [number >> bit & 1 for bit in range(BITS)]
    pixels = np.repeat(np.repeat([bits], BAR, axis=1), SIDE, axis=0) * 255
    return Image.fromarray(pixels.astype(np.uint8)).convert("RGB")


def number(picture):
    """The number that a frame carries."""
    grey = np.asarray(picture.convert("L"))
    assert grey.shape == (SIDE, BITS * BAR)
    return sum(int(grey[:, bit * BAR + 4:bit * BAR + 12].mean() > 127) << bit
               for bit in range(BITS))


def write_animation(path, lengths=LENGTHS, **options):
    """A GIF, PNG or WebP, by the name's end."""
    first, *others = (picture(k) for k in range(len(lengths)))
    first.save(path, save_all=True, append_images=others, duration=lengths, loop=3, **options)
    return path


def write_folder(path, suffix="png", times=tuple(STARTS[:-1]), duration=STARTS[-1]):
    """A folder of frames, with their times beside if there are any."""
    path.mkdir()
    for k in range(len(LENGTHS)):
        picture(k).save(path / f"{k:06d}.{suffix}")
    if len(times):
        write_json(path / "frames.json", {"times": list(times), "duration": duration})
    return path
