"""Label every frame of a clip with all that is going on in it, several labels at a time.

    truth -> spans [(class, start, end)] -> labels (frames, classes), one boolean each

Times are in seconds; frame n is shown at n / RATE. As readers of MultiTHUMOS have it, a frame has
a label if its time lies strictly between start and end, so frames at rest have none.
"""

import numpy as np

from scenes.motion.frames import RATE

OF_ACTION = {"enter": "Enter", "leave": "Leave", "hide": "Hide", "come out": "ComeOut",
             "jump": "Jump", "change colour": "ChangeColour", "grow": "Grow", "shrink": "Shrink"}
OF_DIRECTION = {"left": "MoveLeft", "right": "MoveRight"}
CLASSES = (*OF_ACTION.values(), *OF_DIRECTION.values(), "Meet", "Part")


def labels_of(event):
    """Return the labels of an event of a truth: to enter is also to move."""
    found = [OF_ACTION[event["action"]]] if event["action"] in OF_ACTION else []
    found += [OF_DIRECTION[event["direction"]]] if event["direction"] else []
    return found + ["Meet"] * bool(event["meets"]) + ["Part"] * bool(event["parts"])


def spans(truth):
    """Return [(class, start, end)] of a truth in order of time."""
    return [(label, event["first"] / RATE, event["last"] / RATE)
            for event in truth["events"] for label in labels_of(event)]


def frame_labels(truth):
    """Return which of CLASSES each frame of a truth has, (frames, classes)."""
    times = np.arange(truth["frames"]) / RATE
    found = np.zeros((len(times), len(CLASSES)), bool)
    for label, start, end in spans(truth):
        found[:, CLASSES.index(label)] |= (start < times) & (times < end)
    return found
