"""Videos as their files describe them: what is said or done from when to when.

    Video("v_QOlSCBRmfWY", 82.73, (Segment(0.83, 19.86, "A girl dances"), ...))     activitynet.py
    Video("video_test_0000004", 33.9, (Action(0.2, 1.1, 11), ...), "testing")       thumos.py

Times are seconds, as written: a span may end after its video or before its own start. Readers keep
such spans and tell how many there are, `frame_labels` takes of them what lies in the video.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

from coco.dataset import tell
from system.files import BadInput

ROUNDING = 0.005            # seconds, since times are written in hundredths
LEAST = 1e-6                # of a frame: what is missing of it by rounding is not missing
FAULTS = {"late": "end after their video", "empty": "have no length",
          "overlapping": "begin before the end of the one before of the same class",
          "unordered": "begin before the one before"}


@dataclass(frozen=True, slots=True)
class Segment:
    """A sentence about the part of a video from `start` to `end`."""

    start: float
    end: float
    sentence: str


@dataclass(frozen=True, slots=True)
class Action:
    """A class of action, by its place in a list of classes, that is seen from `start` to `end`."""

    start: float
    end: float
    label: int


@dataclass(frozen=True)
class Video:
    """The spans of a video in the order of their file; a duration of None is not known."""

    name: str
    duration: float | None
    spans: tuple
    subset: str = ""            # where one file holds several


def faults(videos):
    """Count the spans that are not as they should be: a Counter by the keys of `FAULTS`."""
    found = Counter()
    for video in videos:
        classes = defaultdict(list)
        last = float("inf") if video.duration is None else video.duration + ROUNDING
        for span in video.spans:
            found["late"] += span.end > last
            found["empty"] += span.end <= span.start
            classes[getattr(span, "label", None)].append((span.start, span.end))
        sentences = classes.pop(None, [])
        found["unordered"] += sum(after[0] < before[0] for before, after in
                                  zip(sentences, sentences[1:], strict=False))
        found["overlapping"] += sum(after[0] < before[1] for times in map(sorted, classes.values())
                                    for before, after in zip(times, times[1:], strict=False))
    return +found


def tell_faults(path, videos):
    """Say on stderr, in one line, how many spans of a file are not as they should be."""
    found = faults(videos)
    if found:
        told = ", ".join(f"{found[key]} {words}" for key, words in FAULTS.items() if found[key])
        tell(f"{path}: of {sum(len(video.spans) for video in videos)} spans, {told}; they are kept")


def frame_labels(video, classes, hz=10):
    """Return the labels of a video's frames, hz of them a second, as booleans (frames, classes).

    A frame has a label if its time lies between start and end, both excluded, and there are as many
    frames as fit whole into the duration: as in the program others use, piergiaj/super-events.
    Raises `BadInput` if the duration is not known.
    """
    if video.duration is None:
        raise BadInput(f"the duration of {video.name} is not known, so it has no frames: read it "
                       "with durations")
    labels = np.zeros((int(video.duration * hz + LEAST), classes), bool)
    times = np.arange(len(labels)) / hz
    for span in video.spans:
        # times are in order, so only the frames between are touched
        labels[slice(np.searchsorted(times, span.start, "right"),
                     np.searchsorted(times, span.end, "left")), span.label] = True
    return labels
