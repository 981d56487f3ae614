"""Features of clips, encoded once: frames are pictures, and kept in the pictures' cache.

    clips --sample--> frames (R rows) --encoders/features.py--> float16 (R, D) or (R, L, D), kept

The rows of all clips stand one after another, each clip's from its offset to the next one's. A
frame is known by its index and the bytes of its file, so that other clips, another sampling or
another encoder are other rows, and renamed or moved clips the same. When the frames of a file are
shown is worked out once, too.

Shape letters:  P clips   R rows, frames of all clips   T rows of a clip   D channels   L grid cells
"""

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from coco.dataset import Picture, Split
from encoders.encoding import in_order
from encoders.features import cached_features, encode_split
from system.cache import CACHE
from system.contents import content_hashes, read_kept
from system.distributed import main_first
from system.files import BadInput, write_json
from video.clips import Timeline, open_clip

KEPT = {"times": [float], "duration": float}
WALKS = threading.local()       # of each thread the clip it is in, as batches follow on one another


@dataclass(frozen=True)
class ClipFrame(Picture):
    """A frame of a clip that is one file: `id` is its index, `file` the clip."""

    def open(self):
        """Return it as upright RGB; raise `BadInput` if that cannot be done."""
        clip = getattr(WALKS, "clip", None)
        if clip is None or clip.path != self.file:
            clip = WALKS.clip = open_clip(self.file)
        return clip.picture(self.id)


@dataclass(frozen=True)
class ClipFeatures:
    """Features of P clips: rows (R, ...) in float16, offsets (P + 1,), and each row's time (R,).

    A time is the one at which the clip was looked at, in seconds.
    """

    rows: np.ndarray
    offsets: np.ndarray
    times: np.ndarray

    def __len__(self):
        return len(self.offsets) - 1

    def of(self, clip):
        """Return the features (T, ...) and times (T,) of one clip, by its place."""
        part = slice(*self.offsets[clip:clip + 2])
        return self.rows[part], self.times[part]

    def batch(self, clips):
        """Return features (B, T, ...) of some clips, zeros behind the shorter, and mask (B, T)."""
        parts = [self.of(clip)[0] for clip in clips]
        most = max(map(len, parts))
        features = np.zeros((len(parts), most, *self.rows.shape[1:]), self.rows.dtype)
        for found, part in zip(features, parts, strict=True):
            found[:len(part)] = part
        return features, np.arange(most) < np.array([len(part) for part in parts])[:, None]


def cells_of(backbone, transform):
    """Return L, how many vectors a backbone gives of a frame; 1 if it pools."""
    device = next(backbone.parameters()).device
    found = backbone(torch.zeros(1, 3, transform.size, transform.size, device=device))
    return found.shape[1] if backbone.grid else 1


def clip_features(backbone, transform, clips, number=None, rate=None, name="clips", cache=None):
    """Return the `ClipFeatures` of clips, computed if they are not in the cache yet.

    number, rate: see `Clip.sample`.  name: how a bar calls them.  Raises `BadInput` for a clip that
    cannot be read.
    """
    with main_first():              # the others find what it has kept
        keep_timelines(clips, cache)
    frames, offsets, times = frames_of(clips, number, rate)
    rows = cached_features(backbone, transform, Split(name, frames), cache=cache)
    return ClipFeatures(rows[0], offsets, times)


def encode_clips(backbone, transform, clips, number=None, rate=None):
    """Return the `ClipFeatures` of clips, not cached."""
    frames, offsets, times = frames_of(clips, number, rate)
    return ClipFeatures(encode_split(backbone, transform, Split("clips", frames))[0], offsets,
                        times)


def frames_of(clips, number=None, rate=None):
    """Return the sampled frames of clips as pictures (R,), the clips' offsets, the times (R,)."""
    if not clips:
        raise BadInput("there is no clip to encode: give at least one")
    times = [clip.sample(number, rate) for clip in clips]
    frames = [Picture(index, clip.files[index], ()) if clip.files else
              ClipFrame(index, clip.path, ())
              for clip, some in zip(clips, times, strict=True) for index in clip.at(some).tolist()]
    return tuple(frames), np.cumsum([0, *map(len, times)]), np.concatenate(times)


def keep_timelines(clips, cache=None):
    """Give each clip its timeline from the cache, and put there what is missing."""
    clips = [clip for clip in clips if clip.files is None]      # a folder says it itself
    folder = Path(cache or CACHE) / "clips"
    hashes = content_hashes([clip.path for clip in clips], cache)
    places = [folder / f"{content}.json" for content in hashes]
    todo = []
    for clip, place in zip(clips, places, strict=True):
        if kept := read_kept(place, KEPT):
            clip.timeline = Timeline(np.array(kept["times"]), kept["duration"])
        else:
            todo.append((clip, place))
    for (_, place), timeline in zip(todo, in_order(lambda one: one[0].timeline, todo),
                                    strict=True):
        write_json(place, {"times": timeline.times.tolist(), "duration": timeline.duration})
