"""Painting with polygons: each filled from light to dark, with an outline in a darker shade.

    Sprite(colour) --part, line, shine--> .image (RGBA), .solids (the silhouette, in units)

Lengths are in units: x to the right, y down, the longer side of a drawn thing is about 1.
"""

from functools import cached_property

import numpy as np
from PIL import Image, ImageDraw

PIXELS = 240            # a unit's pixels: shrinking to 40-110 is what smooths the edges
PAD = 0.08              # room around the unit square for outlines and for tilting
OUTLINE = 0.022         # width in units


def mix(colour, other, share):
    """`colour` moved by `share` (0 to 1) towards `other`."""
    return tuple(round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))


def lighter(colour, share):
    return mix(colour, (255, 255, 255), share)


def darker(colour, share):
    """A power above 1 sinks the weak channels first: yellow turns to gold, not to mud."""
    rich = tuple(round(255 * (channel / 255) ** (1 + 1.6 * share)) for channel in colour)
    return mix(rich, (16, 10, 38), 0.6 * share)


def oval(x, y, rx, ry, start=0, end=360):
    """Points on an ellipse; degrees clockwise from the right, as y points down."""
    angles = np.radians(np.linspace(start, end, 33))
    return np.stack([x + rx * np.cos(angles), y + ry * np.sin(angles)], axis=1)


def smooth(points, corner=0.25, rounds=3):
    """Chaikin's corner cutting; a small first `corner` keeps edges straight and rounds the tips."""
    points = np.asarray(points, dtype=float)
    for step in range(rounds):
        cut = corner if step == 0 else 0.25
        following = np.roll(points, -1, axis=0)
        pair = [points + cut * (following - points), following - cut * (following - points)]
        points = np.stack(pair, axis=1).reshape(-1, 2)
    return points


class Sprite:
    """One painted thing: `.image` (RGBA), `.solids` (polygons in units) and its `.colour`."""

    def __init__(self, colour):
        self.colour, self.solids = colour, []
        side = round((1 + 2 * PAD) * PIXELS)
        self.image = Image.new("RGBA", (side, side))

    def part(self, points, colour=None, shade=0.22, outline=True, solid=True):
        """Adds a polygon, lit from the top left by `shade`; `solid` counts in the silhouette."""
        colour = self.colour if colour is None else colour
        mask = Image.new("L", self.image.size)
        ImageDraw.Draw(mask).polygon(pixels(points), fill=255)
        left, top, right, bottom = box = mask.getbbox()
        gradient = shading(colour, right - left, bottom - top, shade)
        self.image.paste(gradient, box, mask.crop(box))
        if outline:
            self.line([*points, *points[:2]], darker(colour, 0.45))
        if solid:
            self.solids.append(np.array(points, dtype=float))

    def line(self, points, colour, width=OUTLINE):
        ImageDraw.Draw(self.image).line(pixels(points), fill=colour, width=round(width * PIXELS),
                                        joint="curve")

    def shine(self, x, y, rx, ry, strength=0.55):
        """A soft white highlight."""
        glow = Image.new("RGBA", self.image.size)
        white = (255, 255, 255, round(255 * strength))
        ImageDraw.Draw(glow).polygon(pixels(oval(x, y, rx, ry)), fill=white)
        self.image.alpha_composite(glow)

    @cached_property
    def bounds(self):
        """The silhouette's upper left and lower right corner, in units."""
        points = np.concatenate(self.solids)
        return np.array([points.min(axis=0), points.max(axis=0)])

    def tilt(self, degrees):
        """Turns the picture and its silhouette clockwise about the middle of the unit square."""
        self.image = self.image.rotate(-degrees, Image.Resampling.BICUBIC)
        turn = np.radians(degrees)
        matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        self.solids = [(points - 0.5) @ matrix + 0.5 for points in self.solids]


def pixels(points):
    """Units to a sprite's pixels, as Pillow likes them."""
    return ((np.array(points, dtype=float) + PAD) * PIXELS).ravel().tolist()


def shading(colour, width, height, shade):
    """An RGB picture of one colour, `shade` lighter at the top left, darker at the bottom right."""
    across, down = np.linspace(0, 1, width)[None, :], np.linspace(0, 1, height)[:, None]
    depth = (0.35 * across + 0.65 * down)[..., None]
    light, dark = np.array(lighter(colour, shade)), np.array(darker(colour, shade))
    return Image.fromarray((light + (dark - light) * depth).astype(np.uint8))
