"""Paint with polygons: each is filled from light to dark and outlined in a darker shade.

    Sprite(colour) --part, patch, line, shine--> .image (RGBA), .solids (polygons: the silhouette)

Coordinates are in units: x to the right, y down, the longer side of a drawn thing is about 1.
"""

from functools import cached_property

import numpy as np
from PIL import Image, ImageDraw

PIXELS = 240            # a unit; Pillow draws hard edges, which shrinking to 40-110 smooths
PAD = 0.08              # units around the unit square: room for outlines and for tilting
OUTLINE = 0.022         # units: the width of an outline


def mix(colour, other, amount):
    """Return `colour` (RGB, 0 to 255) moved by `amount` (0 to 1) towards `other`."""
    return tuple(round(a + (b - a) * amount) for a, b in zip(colour, other, strict=True))


def lighter(colour, amount):
    """Return `colour` moved by `amount` (0 to 1) towards white."""
    return mix(colour, (255, 255, 255), amount)


def darker(colour, amount):
    """Return `colour` made richer and darker by `amount` (0 to 1)."""
    # a power above 1 lowers the weak channels first: yellow turns to gold, not to mud
    rich = tuple(round(255 * (channel / 255) ** (1 + 1.6 * amount)) for channel in colour)
    return mix(rich, (16, 10, 38), 0.6 * amount)    # shadows lean to violet, black looks dirty


def oval(x, y, rx, ry, start=0, end=360):
    """Return 33 points on an ellipse, from angle `start` to `end` (degrees clockwise)."""
    angles = np.radians(np.linspace(start, end, 33))        # clockwise, since y points down
    return np.stack([x + rx * np.cos(angles), y + ry * np.sin(angles)], axis=1)


def smooth(points, corner=0.25, rounds=3):
    """Round a polygon by Chaikin's corner cutting; `corner` is the part of an edge cut first."""
    points = np.asarray(points, dtype=float)
    for step in range(rounds):
        cut = corner if step == 0 else 0.25     # a small first cut leaves the edges straight
        following = np.roll(points, -1, axis=0)
        pair = [points + cut * (following - points), following - cut * (following - points)]
        points = np.stack(pair, axis=1).reshape(-1, 2)
    return points


class Sprite:
    """A painted thing: its `.image` (RGBA), `.solids` (polygons in units) and main `.colour`."""

    def __init__(self, colour):
        self.colour, self.solids = colour, []
        side = round((1 + 2 * PAD) * PIXELS)
        self.image = Image.new("RGBA", (side, side))

    def part(self, points, colour=None, shade=0.22, *, outline=True, solid=True):
        """Paint a polygon, lit from the top left by `shade`; a `solid` one joins the silhouette."""
        colour = self.colour if colour is None else colour
        mask = Image.new("L", self.image.size)
        ImageDraw.Draw(mask).polygon(pixels(points), fill=255)
        left, top, right, bottom = box = mask.getbbox()
        gradient = shading(colour, right - left, bottom - top, shade)
        self.image.paste(gradient, box, mask.crop(box))
        if outline:
            # two points again: only where a line goes on does Pillow round its joint
            self.line([*points, *points[:2]], darker(colour, 0.45))
        if solid:
            self.solids.append(np.array(points, dtype=float))

    def patch(self, points, colour=None, shade=0):
        """Paint a polygon without an outline, such as a spot inside a part."""
        self.part(points, colour, shade, outline=False, solid=False)

    def line(self, points, colour, width=OUTLINE):
        """Draw a line through points; `width` in units."""
        ImageDraw.Draw(self.image).line(pixels(points), fill=colour, width=round(width * PIXELS),
                                        joint="curve")

    def shine(self, x, y, rx, ry, strength=0.55):
        """Paint a white highlight, an oval of opacity `strength`."""
        # ImageDraw would replace the alpha of the image; a layer of its own is blended
        glow = Image.new("RGBA", self.image.size)
        white = (255, 255, 255, round(255 * strength))
        ImageDraw.Draw(glow).polygon(pixels(oval(x, y, rx, ry)), fill=white)
        self.image.alpha_composite(glow)

    @cached_property
    def bounds(self):
        """The upper left and lower right corner of the silhouette, in units (2, 2)."""
        points = np.concatenate(self.solids)
        return np.array([points.min(axis=0), points.max(axis=0)])

    def tilt(self, degrees):
        """Turn image and silhouette clockwise about the middle of the unit square."""
        self.image = self.image.rotate(-degrees, Image.Resampling.BICUBIC)   # Pillow: other way
        turn = np.radians(degrees)
        matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        self.solids = [(points - 0.5) @ matrix + 0.5 for points in self.solids]


def pixels(points):
    """Return points in units as a sprite's pixels, flat (x, y, x, y, ...) as Pillow reads them."""
    return ((np.array(points, dtype=float) + PAD) * PIXELS).ravel().tolist()


def shading(colour, width, height, shade):
    """Return an RGB image of one colour, `shade` lighter top left and darker bottom right."""
    across, down = np.linspace(0, 1, width)[None, :], np.linspace(0, 1, height)[:, None]
    depth = (0.35 * across + 0.65 * down)[..., None]        # (height, width, 1), 0 to 1
    light, dark = np.array(lighter(colour, shade)), np.array(darker(colour, shade))
    return Image.fromarray((light + (dark - light) * depth).astype(np.uint8))
