"""Read frames with Pillow: of a folder of pictures, of a GIF, an APNG or an animated WebP.

    <clip>/000000.png, 000001.png, ...      frames in the order of the last number in their names
    <clip>/frames.json                      {"times": [0, 0.25, ...], "duration": 4.5}, in seconds

Both yield a `Step` for each frame. How often an animation repeats is not asked.
"""

import re
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from PIL import Image

from coco.pictures import JPEG, PNG, first_bytes, open_picture, to_rgb
from system.files import BadInput, read_json

FRAMES = ".png", ".jpg", ".jpeg"
TIMES = "frames.json"
CLIPS = ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg"    # names of files
SHAPE = {"times": [float], "duration": float}
UNSAID = 100                # ms: what browsers show a frame for that says 0
MOVING = "GIF", "PNG", "WEBP"
STILL = JPEG, b"BM", b"II*\0", b"MM\0*"         # how files of JPEG, BMP and TIFF begin


class Step(NamedTuple):
    """A frame on the way through a clip; `picture()` gives it, until the next step is made."""

    stamp: float | None     # when it is shown, in seconds
    length: float           # how long, in seconds
    picture: object


class Folder:
    """Frames that are files of a folder, with the times that it has beside or that a rate gives.

    Raises `BadInput` if a file has no number or frames and times do not fit.
    """

    def __init__(self, path, rate, remedy):
        self.remedy = remedy
        numbers = self.numbered(path)
        self.files = list(numbers.values())
        if (path / TIMES).exists():
            self.times, self.end = self.written(path / TIMES)
        elif rate:
            first, *_, last = numbers if len(numbers) > 1 else [*numbers, *numbers]
            self.times = [(number - first) / rate for number in numbers]
            self.end = (last - first + 1) / rate
        else:
            raise BadInput(f"clip {path} has no {TIMES}, which says when each frame is shown: "
                           'write {"times": [...], "duration": ...} in seconds there')

    def numbered(self, path):
        """Return {number: file} of the frames in a folder, in order."""
        found = {}
        for file in sorted(path.iterdir()):
            if file.suffix.lower() not in FRAMES or file.name.startswith("."):
                continue
            number = re.search(r"(\d+)\D*$", file.stem)
            if not number:
                raise BadInput(f"frame {file} has no number in its name: give it one, or take it "
                               "out of the clip")
            other = found.setdefault(int(number[1]), file)
            if other != file:
                raise BadInput(f"clip {path} has two frames of number {int(number[1])}, "
                               f"{other.name} and {file.name}: take one out")
        if not found:
            raise BadInput(f"clip {path} is a folder without frames ({' '.join(FRAMES)}): "
                           f"{self.remedy}")
        return dict(sorted(found.items()))

    def written(self, path):
        """Return the times in a file, and when the last frame ends."""
        content = read_json(path, "write it again", SHAPE)
        times, end = content["times"], content["duration"]
        if len(times) != len(self.files):
            raise BadInput(f"{path} has {len(times)} times of {len(self.files)} frames: write it "
                           "again, or bring back the frames that are missing")
        if any(later <= earlier for earlier, later in pairwise(times)) or end < times[-1]:
            raise BadInput(f"{path} has times that do not grow up to the duration: write it again")
        return times, end

    def walk(self):
        """Yield a `Step` for each frame."""
        ends = [*self.times[1:], self.end]
        for file, time, end in zip(self.files, self.times, ends, strict=True):
            yield Step(time, end - time, partial(open_picture, file, self.remedy))


def is_picture(path):
    """Return whether a file is of a kind that is read with Pillow, still or moving."""
    head = first_bytes(path)
    return head.startswith((b"GIF8", PNG, *STILL)) or head[8:12] == b"WEBP"


def animation(path):
    """Yield a `Step` for each frame of a GIF, an APNG or an animated WebP."""
    with Image.open(path) as image:
        if image.format not in MOVING or not image.is_animated:
            raise ValueError("it is a single picture, in which nothing moves")
        stamp = 0
        # of an APNG, the picture for programs that show no animation is no frame
        for index in range(bool(image.info.get("default_image")), image.n_frames):
            image.seek(index)
            image.load()                # only now a WebP says how long
            length = image.info.get("duration") or UNSAID
            yield Step(stamp / 1000, length / 1000, partial(to_rgb, image))
            stamp += length
