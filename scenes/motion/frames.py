"""Paint the frames of a clip, and say where everything is in each.

    Clip --toys--> the things in view at a frame, with places --frame--> picture of SIDE pixels

Lengths are in pixels of the drawn world, in which all is painted; then it is made half as large.
"""

import random
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image

from scenes import scenery
from scenes.drawing import sprite
from scenes.motion.events import INSIDE, SCREEN
from scenes.world import Thing, scaled, shade, view

RATE = 4                                # frames a second
SMALLER = 2
SIDE = scenery.SIDE // SMALLER          # pixels of a frame
MIDDLES = (40, 112, 184)                # of the stations in view
LENGTH, GROWN, SCREENS = 52, 74, {"house": 100, "mug": 92}     # the longer side of a thing
ASIDE = {"house": 0, "mug": 10}         # from the middle of a screen to that of what it covers
FLOOR, SKY = 200, 96                    # the lowest line of things on the ground, and in the air
NEARER = 4                              # how much lower a screen stands than what is behind it
JUMP = 30
OUTSIDE = 2                             # from the edge to a thing beyond it


@dataclass
class Toy(Thing):
    """A thing at a frame, perhaps on its way to another colour, or up in a jump."""

    turning: tuple = ()         # the other colour, and how far it is there, 0 to 1
    lift: int = 0

    @property
    def image(self):
        """The thing as it is painted, a mixture of both colours while it changes."""
        own = picture(self.shape, self.colour, self.tilt, self.side, self.mirrored)
        if not self.turning:
            return own
        colour, share = self.turning
        other = picture(self.shape, colour, self.tilt, self.side, self.mirrored)
        return Image.blend(own, other, share)


@lru_cache(1000)        # most things look as they did in the frame before
def picture(shape, colour, tilt, side, mirrored):
    """Return the image of a thing at a size in pixels."""
    return scaled(sprite(shape, colour, tilt).image, side, mirrored)


def toy(shape, colour, length, tilt=0, mirrored=False, group=0):
    """Return a thing whose longer side has `length` pixels."""
    low, high = sprite(shape, colour, tilt).bounds
    size = "small" if length < GROWN else "large"
    return Toy(shape, colour, size, group, length / max(high - low), tilt, mirrored)


def middle(thing, station):
    """Return the x of a thing's middle at a station."""
    if station in INSIDE:
        return MIDDLES[station]
    beyond = OUTSIDE + thing.extent[0] / 2
    return -beyond if station < 0 else scenery.SIDE + beyond


def stand(thing, x, foot):
    """Move a thing so that its middle is at `x` and it stands at y `foot`, or floats there."""
    width, height = thing.extent
    thing.move(x - width / 2, foot - thing.lift - height)
    return thing


def progress(clip, at):
    """Return the step at frame `at` and how far it is, 0 to 1; at rest the one before or after."""
    for number, events in enumerate(clip.steps):
        first, last = events[0].frames
        if at <= last:
            return number, max(0, (at - first) / (last - first))
    return len(clip.steps) - 1, 1


def mover(clip, i, at):
    """Return mover `i` at frame `at`, wherever it is."""
    number, done = progress(clip, at)
    before, after = clip.states[number:number + 2]
    own = clip.movers[i]
    event = next((event for event in clip.steps[number] if event.thing == i), None)
    start, end = ((GROWN if state.grown[i] else LENGTH) for state in (before, after))
    one = toy(own.shape, before.colours[i], start + (end - start) * done, own.tilt,
              own.facing == "right", i)
    one.turning = (after.colours[i], done) if event and event.colours else ()
    if event and event.action == "jump":
        one.lift = round(JUMP * 4 * done * (1 - done))      # up and down on a parabola
    start, end = (middle(one, state.stations[i]) for state in (before, after))
    return stand(one, start + (end - start) * done, SKY if one.in_air else FLOOR)


def toys(clip, at):
    """Return the things to paint at frame `at`, the screen last, since it is in front."""
    found = [mover(clip, i, at) for i in range(len(clip.movers))]
    if clip.screen:
        one = toy(*clip.screen, SCREENS[clip.screen[0]], group=len(clip.movers))
        found.append(stand(one, MIDDLES[SCREEN] + ASIDE[one.shape], FLOOR + NEARER))
    return found


def frames(clip):
    """Yield the pictures of a clip."""
    backdrop = view(clip.background, random.Random(clip.look))
    for at in range(clip.frames):
        canvas, things = backdrop.copy(), toys(clip, at)
        for thing in (thing for thing in things if not thing.in_air):
            x, y, width, height = thing.box()
            shade(canvas, x, y + thing.lift, width, height)     # it stays on the ground
        for thing in things:
            canvas.paste(thing.image, (thing.left, thing.top), thing.image)
        yield canvas.reduce(SMALLER)


def strip(pictures, every=1):
    """Return pictures side by side as one, every so many of them."""
    pictures = list(pictures)[::every]
    whole = Image.new("RGB", (sum(one.width for one in pictures), pictures[0].height))
    for at, one in enumerate(pictures):
        whole.paste(one, (at * one.width, 0))
    return whole


def save_gif(pictures, path):
    """Write pictures as a GIF that repeats: for show, as it has 256 colours and merges frames."""
    first, *rest = (one.convert("RGB") for one in pictures)
    first.save(path, save_all=True, append_images=rest, duration=1000 // RATE, loop=0)
