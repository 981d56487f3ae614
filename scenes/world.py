"""Compose the drawn world: which things a picture holds, where they stand, how they relate.

    compose -> groups of like things -> arrange -> things with places -> paint    -> picture
                                                                      -> describe -> scene graph

Things of the air (balloon, butterfly, star) hang in the upper half, the others stand on a common
ground line. Two things of one height keep a gap; a thing in the air is either well over one on the
ground or clearly to a side of it. So every relation that holds can be seen, and none is a matter
of opinion. Lengths are in pixels: x to the right, y down.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from PIL import Image

from scenes.brush import PAD
from scenes.drawing import COLOURS, PAINTERS, TILTING, sprite
from scenes.graph import OVER, describe
from scenes.scenery import BACKDROPS, SIDE, VARIANTS, backdrop

PAIRS = tuple((shape, colour) for shape in PAINTERS for colour in COLOURS)
IN_AIR = ("balloon", "butterfly", "star")       # the others stand on the ground
UNITS = {"small": 50, "large": 92}              # pixels a unit of the drawings
# shapes of one size should look as large as one another, whatever part of the unit they fill
STRETCH = {"ball": 0.92, "butterfly": 1.06, "car": 1.18, "mug": 0.92, "tree": 1.05}
# numbers of like things, and each plan's weight
PLANS = {(1,): 6, (2,): 3, (3,): 3, (4,): 2, (1, 1): 7, (2, 1): 3, (3, 1): 1, (2, 2): 1,
         (1, 1, 1): 2}
ALIKE = 0.3                                     # chance to accept two groups of one shape
EDGE, GAP, FAR = 5, 9, 48                       # pixels: to the border, between neighbours, at most
ASIDE = 42                                      # pixels between middles: at least, unless over
SKY = 100                                       # pixels: the lowest place in the air
TRIES = 80                                      # to arrange the same things


@dataclass
class Thing:
    """An object of a picture; `left` and `top` place its sprite, in pixels."""

    shape: str
    colour: str
    size: str
    group: int
    scale: float                # pixels a unit
    tilt: int                   # degrees clockwise
    mirrored: bool
    left: int = 0
    top: int = 0

    @property
    def sprite(self):
        """The painted thing, not yet brought to size or mirrored."""
        return sprite(self.shape, self.colour, self.tilt)

    @property
    def in_air(self):
        """Whether the thing hangs in the air; otherwise it stands on the ground."""
        return self.shape in IN_AIR

    @property
    def side(self):
        """Width and height of the sprite in the picture, its empty border included."""
        return round(self.scale * (1 + 2 * PAD))

    def placed(self, points):
        """Return points of the drawing, in units, as pixels of the picture to a tenth."""
        flip, shift = (-1, 1) if self.mirrored else (1, 0)      # x, or 1 - x
        scale = self.side / (1 + 2 * PAD)       # not self.scale: the side is a whole number
        return ((points * (flip, 1) + (shift, 0) + PAD) * scale + (self.left, self.top)).round(1)

    def polygons(self):
        """Return the silhouette in the picture: a list of arrays (points, 2)."""
        return [self.placed(points) for points in self.sprite.solids]

    def box(self):
        """Return x, y, width and height of the silhouette."""
        # of two mirrored corners the smaller x is the other's: so minimum and maximum
        corners = self.placed(self.sprite.bounds)
        (x, y), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        return [x, y, round(right - x, 1), round(bottom - y, 1)]

    @cached_property
    def extent(self):
        """Width and height of the silhouette."""
        return self.box()[2:]                   # moving does not change it, so it can be cached

    @property
    def middle(self):
        """The x of the silhouette's middle."""
        x, _, width, _ = self.box()
        return x + width / 2

    def move(self, x, y):
        """Move the silhouette's upper left corner to (x, y), to the nearest whole pixel."""
        left, top, *_ = self.box()
        self.left += round(x - left)
        self.top += round(y - top)


def compose(rng, pairs, first):
    """Draw groups (shape, colour, size, number) of like things, the first pair from `first`."""
    while True:
        plan, = rng.choices(list(PLANS), PLANS.values())
        kinds = [rng.choice(first)]
        kinds += rng.sample([pair for pair in pairs if pair != kinds[0]], len(plan) - 1)
        # rarer, since only their colour tells two groups of one shape apart
        alike = len({shape for shape, _ in kinds}) < len(kinds)
        if not alike or rng.random() < ALIKE:
            numbers = rng.sample(plan, len(plan))
            return [(*kind, rng.choice(sorted(UNITS)), number)
                    for kind, number in zip(kinds, numbers, strict=True)]


def things_of(groups, rng):
    """Make the things of all groups, each a little different in size, tilt and facing."""
    things = []
    for group, (shape, colour, size, number) in enumerate(groups):
        for _ in range(number):
            scale = UNITS[size] * STRETCH.get(shape, 1) * rng.uniform(0.95, 1.05)
            tilt = rng.choice((-12, 0, 12)) if shape in TILTING else 0
            things.append(Thing(shape, colour, size, group, scale, tilt, rng.random() < 0.5))
    return things


def free_width(row):
    """Return the pixels of the picture's width that a row of things leaves free."""
    return SIDE - 2 * EDGE - sum(thing.extent[0] for thing in row) - GAP * (len(row) - 1)


def spread(things, rng):
    """Return (thing, left edge) for each of a row, or None if two neighbours are too far apart."""
    groups = sorted({thing.group for thing in things})
    rng.shuffle(groups)
    # things of one group side by side, so that "two cars left of a tree" can be true
    row = sorted(things, key=lambda thing: groups.index(thing.group))
    # sorted random numbers divide the free width into gaps before, between and after the things
    free, cuts = free_width(row), sorted(rng.random() for _ in row)
    x, previous, placed = EDGE, 0.0, []
    for thing, cut in zip(row, cuts, strict=True):
        step = free * (cut - previous)
        if placed and step + GAP > FAR:         # too far to be called "next to"
            return None
        placed.append((thing, x + step))
        x, previous = x + step + thing.extent[0] + GAP, cut
    return placed


def arrange(things, rng):
    """Move the things to their places; return whether a try gave a clear picture."""
    air = [thing for thing in things if thing.in_air]
    ground = [thing for thing in things if not thing.in_air]
    floor = SIDE * (rng.uniform(0.9, 0.94) if air else rng.uniform(0.8, 0.94))
    if min(free_width(air), free_width(ground)) < 0:
        return False
    for _ in range(TRIES):
        hanging, standing = spread(air, rng), spread(ground, rng)
        height = rng.uniform(EDGE, SKY)
        if hanging is None or standing is None:
            continue
        for thing, x in hanging:                # all at about one height: none is above another
            lowest = SKY - thing.extent[1]
            y = height + rng.uniform(-6, 6) - thing.extent[1] / 2
            thing.move(x, max(EDGE, min(y, lowest)))
        for thing, x in standing:
            thing.move(x, floor + rng.uniform(-3, 3) - thing.extent[1])
        # between OVER and ASIDE one could argue whether it is above or to a side
        apart = [abs(one.middle - other.middle) for one in air for other in ground]
        if not any(OVER < distance < ASIDE for distance in apart):
            return True
    return False


@cache
def soft_spot():
    """Return an oval mask that fades outwards; every shadow is made from it by resizing."""
    down, across = np.mgrid[-1:1:48j, -1:1:96j]
    return Image.fromarray((np.clip(1 - np.hypot(across, down), 0, 1) ** 0.8 * 150)
                           .astype(np.uint8))


def view(background, rng):
    """Return a backdrop to paint on."""
    canvas = backdrop(background, rng.randrange(VARIANTS)).copy()       # the backdrop is cached
    return canvas.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else canvas


def shade(canvas, x, y, width, height):
    """Paint the shadow of a thing that stands on the ground, given its box."""
    spot = soft_spot().resize((round(width * 1.15), max(8, round(width * 0.22))))
    corner = (round(x + width / 2 - spot.width / 2) + 2, round(y + height - spot.height * 0.55))
    canvas.paste((24, 18, 48), corner, spot)


def scaled(image, side, mirrored):
    """Return the image of a sprite at a size in pixels, perhaps mirrored."""
    image = image.resize((side, side), Image.Resampling.HAMMING)
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else image


def paint(things, background, rng):
    """Paint the picture: the backdrop, the shadows, then the things."""
    canvas = view(background, rng)
    # all shadows first, or one could fall on a neighbour
    for thing in (thing for thing in things if not thing.in_air):
        shade(canvas, *thing.box())
    for thing in things:
        image = scaled(thing.sprite.image, thing.side, thing.mirrored)
        canvas.paste(image, (thing.left, thing.top), image)
    return canvas


def scene(rng, pairs=PAIRS, first=None):
    """Draw a picture from `pairs`; return it, its scene graph and its things."""
    background = rng.choice(sorted(BACKDROPS))
    while True:
        things = things_of(compose(rng, pairs, first or pairs), rng)
        if arrange(things, rng):
            return paint(things, background, rng), describe(things, background), things
