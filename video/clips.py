"""A clip as frames with times, whatever it is: read forward from its beginning, never by seeking.

    path --open_clip--> Clip --frames, take--> Frame(index, time, picture), one after another

    a folder of PNG or JPEG frames, and when each is shown      readers.py
    GIF, APNG, animated WebP                                    readers.py, by Pillow
    mp4, avi, webm, mkv and others                              containers.py, by PyAV if installed

What a file is, its bytes say and not its name. In memory is one picture at a time, so a long clip
takes no more than a short one. Times are seconds from the first frame, but those of a folder are as
they are written there.
"""

import os
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from coco.pictures import fault
from system.files import BadInput, refuse_web_address
from video import containers, readers

REMEDY = "check its path, replace it, or leave it out"
ROUNDING = 0.0006           # s: Matroska and WebM write whole milliseconds, half of one too late


class Frame(NamedTuple):
    """A frame of a clip: its place from 0 on, its time in seconds, and its upright RGB picture."""

    index: int
    time: float
    picture: Image.Image


class Timeline(NamedTuple):
    """When the frames of a clip are shown, (N,) seconds in order, and how long the clip lasts."""

    times: np.ndarray
    duration: float


class Clip:
    """Frames that are read one after another, from the beginning again for an earlier one.

    walk: a function that yields a `readers.Step` for each frame.  files: those of the frames, where
    each has its own.  Every method raises `BadInput` for a damaged clip.  For one thread at a time.
    """

    def __init__(self, path, walk, remedy=REMEDY, files=None):
        self.path, self.walk, self.remedy, self.files = path, walk, remedy, files
        self.steps, self.index, self.step = None, -1, None

    @cached_property
    def timeline(self):
        """The `Timeline`, for which all frames of a file are decoded once."""
        with reading(self.path, self.remedy):
            rows = [(step.stamp, step.length) for step in self.walk()]
            if not rows:
                raise ValueError("it holds no frame")
        stamps, lengths = zip(*rows, strict=True)
        times = in_order(stamps, float(np.median(lengths)))
        return Timeline(times, float(times[-1]) + lengths[-1])

    @property
    def times(self):
        """When each frame is shown, (N,) seconds."""
        return self.timeline.times

    @property
    def duration(self):
        """How long the clip lasts, in seconds: to the end of its last frame."""
        return self.timeline.duration

    def __len__(self):
        return len(self.times)

    def picture(self, index):
        """Return the picture of a frame; one after another they are fastest in order."""
        with reading(self.path, self.remedy):
            if self.steps is None or index < self.index:
                self.steps, self.index = self.walk(), -1
            while self.index < index:
                self.step = next(self.steps, None)
                if self.step is None:
                    raise ValueError(f"it has no frame {index}")
                self.index += 1
            return self.step.picture()

    def frame(self, index):
        """Return the frame at an index from 0 on."""
        if not 0 <= index < len(self):
            raise IndexError(f"{self.path} has no frame {index} but {len(self)} frames")
        return Frame(index, float(self.times[index]), self.picture(index))

    def take(self, indices):
        """Yield the frames of these indices, in this order; fastest if none is before another."""
        return map(self.frame, indices)

    def frames(self):
        """Yield all frames."""
        return self.take(range(len(self)))

    def at(self, times):
        """Return the indices (T,) of the frames that are shown at times (T,) in seconds.

        Before the first frame that is the first, and after the end the last.
        """
        found = np.searchsorted(self.times, np.asarray(times) + ROUNDING, side="right") - 1
        return found.clip(0, len(self) - 1)

    def sample(self, number=None, rate=None):
        """Return times (T,) to look at the clip: so many, or so many a second.

        number: the middles of as many equal parts.  rate: 0, 1 / rate, ... before the end.
        """
        given = [one for one in (number, rate) if one is not None]
        if len(given) != 1 or given[0] <= 0:
            raise ValueError("give either a number of frames or a rate, greater than 0")
        if rate is None:
            return (np.arange(number) + 0.5) * (self.duration / number)
        # what the end misses by rounding is no time before it
        return np.arange(max(1, np.ceil(self.duration * rate - 1e-6))) / rate


def name_of(path):
    """Return what annotations call the clip at a path: a folder's name, a file's without ending."""
    return path.name if path.is_dir() else path.stem


def open_clip(path, rate=None, remedy=REMEDY):
    """Return the clip at a path, a file or a folder; or raise `BadInput` for what is none.

    rate: frames a second, of a folder that does not say when each is shown.
    """
    path = Path(path)
    with reading(path, remedy):
        if path.is_dir():
            folder = readers.Folder(path, rate, remedy)
            clip = Clip(path, folder.walk, remedy, folder.files)
            clip.timeline = Timeline(np.array(folder.times, float), float(folder.end))
            return clip
        if not path.is_file():
            os.stat(path)               # raises that there is nothing
            raise ValueError("it is a pipe, a socket or a device, and no file")
        moving = readers.animation if readers.is_picture(path) else containers.container
        return Clip(path, lambda: moving(path), remedy)


@contextmanager
def reading(path, remedy):
    """Raise `BadInput` in one sentence for whatever keeps the block from reading a clip."""
    try:
        yield
    except BadInput:
        raise
    except FileNotFoundError:
        refuse_web_address(path)
        raise BadInput(f"clip {path} is missing: {remedy}") from None
    except Exception as error:  # PyAV and Pillow have many kinds for one cause
        raise BadInput(f"clip {path} cannot be read ({fault(path, error)}): {remedy}") from None


def in_order(stamps, usual):
    """Return the times (N,) of frames in the order in which they are shown, from 0 on.

    stamps: in seconds, None where a file has none.  usual: how long a frame lasts where no stamp
    says it.
    """
    known = [place for place, stamp in enumerate(stamps) if stamp is not None] or [0]
    # in AVI, stamps may stand in the order of decoding, while decoders give that of showing
    values = sorted(stamp for stamp in stamps if stamp is not None) or [0]
    before = values[0] - usual * (known[0] + 1)
    after = values[-1] + usual * (len(stamps) - known[-1])
    times = np.interp(range(len(stamps)), [-1, *known, len(stamps)], [before, *values, after])
    return times - times[0]
