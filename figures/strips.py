"""Draw a clip as a strip of frames, and under it what is going on, frame by frame.

    clip --strip--> its frames from left to right
    clip, {source: probabilities (T, C)} --show_labels--> the strip, and a panel for each source

All panels have the strip's axis of time, so that a frame stands above its labels.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from figures.pictures import ACCENT

SHADES = LinearSegmentedColormap.from_list("shades", ["white", ACCENT])


def show_strip(clip, frames=8, width=8.0):
    """Show the middles of so many equal parts of a clip, each with its time in seconds below it.

    width: of the figure, in inches.
    """
    figure, axis = plt.subplots(figsize=(width, width / frames + 0.35), layout="constrained")
    times = draw_strip(axis, clip, frames)
    axis.set_xticks((np.arange(frames) + 0.5) * clip.duration / frames,
                    [f"{time:.1f} s" for time in times], fontsize=8)
    return figure


def show_labels(clip, sources, classes, hz, frames=10, width=8.0, least=0.5):
    """Show a clip, and of each source how probable each class is in each frame, white to accent.

    sources: {name: booleans or probabilities (T, C)}, hz frames a second.  least: classes that no
    source finds so probable in any frame are left out, unless that are all.
    """
    highest = np.max([np.asarray(one, float).max(axis=0) for one in sources.values()], axis=0)
    shown = np.flatnonzero(highest >= min(least, highest.max()))
    tall = 0.16 * len(shown) + 0.1
    figure, (top, *panels) = plt.subplots(
        1 + len(sources), sharex=True, layout="constrained",
        figsize=(width, width / frames + (tall + 0.1) * len(sources) + 0.4),
        height_ratios=[width / frames, *[tall] * len(sources)])
    draw_strip(top, clip, frames)
    for axis, (name, values) in zip(panels, sources.items(), strict=True):
        # a frame is shown from its time on, until the next one
        axis.imshow(np.asarray(values, float)[:, shown].T, aspect="auto", cmap=SHADES, vmin=0,
                    vmax=1, interpolation="nearest", extent=(0, len(values) / hz, len(shown), 0))
        axis.set_yticks(np.arange(len(shown)) + 0.5, [classes[one] for one in shown], fontsize=8)
        axis.tick_params(length=0)
        axis.set_ylabel(name, fontsize=9)
        axis.hlines(np.arange(1, len(shown)), 0, clip.duration, color="0.9", lw=0.5)
    panels[-1].set_xlabel("seconds", fontsize=9)
    top.set_xlim(0, clip.duration)
    return figure


def draw_strip(axis, clip, frames):
    """Draw the middles of so many parts of a clip on an axis of time; return their times (N,)."""
    times, part = clip.sample(number=frames), clip.duration / frames
    for number, index in enumerate(clip.at(times).tolist()):
        axis.imshow(clip.picture(index), aspect="auto",
                    extent=((number + 0.02) * part, (number + 0.98) * part, 0, 1))
    axis.set(xlim=(0, clip.duration), ylim=(0, 1), yticks=[])
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    return times
