"""Per-frame mean average precision of labels in time, and what it is without a model.

    scores, truth: of each video (frames, classes) --frame_map--> FrameMap

The average precision of a class ranks the frames of all videos together and is not interpolated.
It depends on the grid, the frames a second at which the labels are looked at: perfect labels at
1 Hz score 64 where MultiTHUMOS is judged at 10 Hz. So a result knows its grid, and two of different
grids are not compared. Print beside it

    the prevalence       what equal scores for every frame get: MultiTHUMOS's test 2.4 at 10 Hz
    `video_shares`       an oracle that knows how often a class is in a video and never when: 28.9
"""

from dataclasses import dataclass

import numpy as np

from system.files import BadInput


@dataclass(frozen=True, eq=False)
class FrameMap:
    """Average precisions 0 to 1, (classes,); NaN for a class that no frame has."""

    hz: float
    frames: int
    each: np.ndarray
    shares: np.ndarray          # of the frames that have a class, (classes,)
    common: bool                # whether by the rules of the tool that others use

    @property
    def absent(self):
        """The classes that no frame has, which have no average precision."""
        return np.flatnonzero(self.shares == 0).tolist()

    @property
    def mean(self):
        """The mean over the classes that frames have; of the common tool, over all, absent as 0."""
        return float(np.nan_to_num(self.each).mean() if self.common else
                     self.each[self.shares > 0].mean())

    @property
    def prevalence(self):
        """The mean share of the frames that have a class: the `mean` of equal or random scores."""
        return float(self.shares.mean() if self.common else self.shares[self.shares > 0].mean())

    def gain(self, other):
        """Return by how much the mean is higher than another's.

        Raises `BadInput` if they are not of the same frames, classes and rules.
        """
        mine, theirs = ((one.hz, one.frames, one.common, one.shares.tolist())
                        for one in (self, other))
        if mine != theirs:
            raise BadInput(f"a mAP of {self.frames} frames at {self.hz:g} Hz does not compare with "
                           f"one of {other.frames} at {other.hz:g} Hz: score both on one grid, of "
                           "the same videos and classes, by the same rules")
        return self.mean - other.mean


def frame_map(scores, truth, hz, common=False):
    """Return the `FrameMap` of the frames of all videos together.

    scores: an array (frames, classes) for each video, the higher the surer.  truth: booleans of
    the same shape.  hz: frames a second in both.  common: as the tool that others use does it,
    APMeter: of equal scores the earlier frame ranks first, so that equal scores for all get more
    than the prevalence, and a class without frames counts 0. Raises `BadInput` for scores that are
    no numbers and for labels that no frame has.
    """
    frames = sum(map(len, truth))
    if not any(one.any() for one in truth):
        raise BadInput(f"none of the {frames} frames has a label, so there is nothing to score: "
                       "give labelled videos")
    each, shares = [], []
    for label in range(truth[0].shape[1]):
        column = np.concatenate([one[:, label] for one in truth])
        ranked = np.concatenate([one[:, label] for one, _ in zip(scores, truth, strict=True)])
        each.append(average_precision(ranked, column, in_order=common))
        shares.append(column.mean())
    return FrameMap(hz, frames, np.array(each), np.array(shares), common)


def average_precision(scores, truth, in_order=False):
    """Return the average precision, 0 to 1: the sum of precision times what recall gains.

    scores: (frames,).  truth: booleans (frames,); without a true one it is NaN.  Frames of equal
    score are one step; in_order: each frame is a step, the earlier first. The first does not depend
    on the order of the frames, and is scikit-learn's `average_precision_score`.
    """
    if len(scores) != len(truth) or not np.isfinite(scores).all():
        raise BadInput(f"{len(scores)} scores of {len(truth)} frames are too few or no finite "
                       "numbers: the model has diverged, or they are of other videos")
    if not truth.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order])                          # true ones among the first n
    steps = np.arange(len(hits))
    if not in_order:
        ranked = scores[order]
        steps = steps[np.append(ranked[1:] != ranked[:-1], True)]
    gained = np.diff(hits[steps], prepend=0)
    return float((gained * hits[steps] / (steps + 1)).sum() / hits[-1])


def video_shares(truth):
    """Return the scores of an oracle without timing: the share of a video that has each class."""
    return [np.broadcast_to(one.mean(0), one.shape) for one in truth]
