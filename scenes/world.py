"""The drawn world's rules: which things a picture holds, where they stand, how they relate.

    compose -> groups of like things -> arrange -> things with places -> describe -> scene graph
                                                                      -> paint    -> picture

Things of the air (balloon, butterfly, star) hang in the upper half, the others stand on a common
ground line. Two things of one height keep a gap; a thing in the air is either well over one on the
ground or clearly to a side of it. So every relation that holds can be seen, and none is a matter
of opinion.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise, permutations

import numpy as np
from PIL import Image

from scenes.brush import PAD
from scenes.drawing import COLOURS, PAINTERS, TILTING, sprite
from scenes.scenery import BACKDROPS, SIDE, VARIANTS, backdrop

PAIRS = tuple((shape, colour) for shape in PAINTERS for colour in COLOURS)
IN_AIR = ("balloon", "butterfly", "star")       # the others stand on the ground
UNITS = {"small": 50, "large": 92}              # pixels a unit of the drawings
STRETCH = {"ball": 0.92, "butterfly": 1.06, "car": 1.18, "mug": 0.92, "tree": 1.05}
PLANS = {(1,): 6, (2,): 3, (3,): 3, (4,): 2, (1, 1): 7, (2, 1): 3, (3, 1): 1, (2, 2): 1,
         (1, 1, 1): 2}                          # numbers of like things, and each plan's weight
ALIKE = 0.3             # of the plans that draw one shape twice, the share that is kept
EDGE, GAP, FAR = 5, 9, 48                       # pixels: to the border, between neighbours, at most
OVER, ASIDE = 13, 42                            # pixels between centres: at most, at least
SKY = 100                                       # pixels: where the air's things end
TRIES = 80


@dataclass
class Thing:
    """One object of a picture; `left` and `top` place its sprite, in pixels."""

    shape: str
    colour: str
    size: str
    group: int
    scale: float
    tilt: int
    mirrored: bool
    left: int = 0
    top: int = 0

    @property
    def sprite(self):
        return sprite(self.shape, self.colour, self.tilt)

    @property
    def side(self):
        """The sprite's pixels in the picture, its empty border included."""
        return round(self.scale * (1 + 2 * PAD))

    def placed(self, points):
        """Points of the drawing, in units, as pixels of the picture to a tenth."""
        flip, shift = (-1, 1) if self.mirrored else (1, 0)
        scale = self.side / (1 + 2 * PAD)
        return ((points * (flip, 1) + (shift, 0) + PAD) * scale + (self.left, self.top)).round(1)

    def polygons(self):
        """The silhouette in the picture."""
        return [self.placed(points) for points in self.sprite.solids]

    def box(self):
        """x, y, width and height of the silhouette, in pixels."""
        corners = self.placed(self.sprite.bounds)
        (x, y), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        return [x, y, round(right - x, 1), round(bottom - y, 1)]

    @cached_property
    def extent(self):
        """Width and height of the silhouette, which moving does not change."""
        return self.box()[2:]

    def move(self, x, y):
        """Brings the silhouette's upper left corner to (x, y), to the nearest whole pixel."""
        left, top, *_ = self.box()
        self.left += round(x - left)
        self.top += round(y - top)


def compose(rng, pairs, first):
    """Groups (shape, colour, size, number) of like things, the first one's pair from `first`."""
    while True:
        plan, = rng.choices(list(PLANS), PLANS.values())
        kinds = [rng.choice(first)]
        kinds += rng.sample([pair for pair in pairs if pair != kinds[0]], len(plan) - 1)
        alike = len({shape for shape, _ in kinds}) < len(kinds)
        if not alike or rng.random() < ALIKE:
            numbers = rng.sample(plan, len(plan))
            return [(*kind, rng.choice(sorted(UNITS)), number)
                    for kind, number in zip(kinds, numbers, strict=True)]


def things_of(groups, rng):
    """The things of all groups, each a little different in size, tilt and facing."""
    things = []
    for group, (shape, colour, size, number) in enumerate(groups):
        for _ in range(number):
            scale = UNITS[size] * STRETCH.get(shape, 1) * rng.uniform(0.95, 1.05)
            tilt = rng.choice((-12, 0, 12)) if shape in TILTING else 0
            things.append(Thing(shape, colour, size, group, scale, tilt, rng.random() < 0.5))
    return things


def free_width(row):
    """What a row of things leaves of the picture's width."""
    return SIDE - 2 * EDGE - sum(thing.extent[0] for thing in row) - GAP * (len(row) - 1)


def columns(things, rng):
    """(thing, left edge) for a row, groups kept together; None if two neighbours are too far."""
    groups = sorted({thing.group for thing in things})
    rng.shuffle(groups)
    row = sorted(things, key=lambda thing: groups.index(thing.group))
    free, shares = free_width(row), sorted(rng.random() for _ in row)
    x, used, placed = EDGE, 0.0, []
    for thing, share in zip(row, shares, strict=True):
        step = free * (share - used)
        if placed and step + GAP > FAR:
            return None
        placed.append((thing, x + step))
        x, used = x + step + thing.extent[0] + GAP, share
    return placed


def arrange(things, rng):
    """Moves the things to their places; False if no try gave a clear picture."""
    rows = [[t for t in things if t.shape in IN_AIR], [t for t in things if t.shape not in IN_AIR]]
    floor = SIDE * (rng.uniform(0.9, 0.94) if rows[0] else rng.uniform(0.8, 0.94))
    if any(free_width(row) < 0 for row in rows):
        return False
    for _ in range(TRIES):
        placed, height = [columns(row, rng) for row in rows], rng.uniform(EDGE, SKY)
        if None in placed:
            continue
        for thing, x in placed[0]:      # about one height: in the air none is above another
            lowest = SKY - thing.extent[1]
            y = height + rng.uniform(-6, 6) - thing.extent[1] / 2
            thing.move(x, max(EDGE, min(y, lowest)))
        for thing, x in placed[1]:
            thing.move(x, floor + rng.uniform(-3, 3) - thing.extent[1])
        if all(not OVER < abs(middle(air) - middle(ground)) < ASIDE
               for air in rows[0] for ground in rows[1]):
            return True
    return False


def middle(thing):
    """How far from the left its middle is, in pixels."""
    x, _, width, _ = thing.box()
    return x + width / 2


def relations(things):
    """All (subject, relation, object), by place in `things`, that are plain to see."""
    middles, in_air = [middle(thing) for thing in things], [t.shape in IN_AIR for t in things]
    rows = [[i for i in range(len(things)) if in_air[i] == up] for up in (True, False)]
    rows = [sorted(row, key=middles.__getitem__) for row in rows]
    neighbours = {frozenset(pair) for row in rows for pair in pairwise(row)}
    found = []
    for i, j in permutations(range(len(things)), 2):
        tests = {"left of": middles[j] - middles[i] > 2 * OVER,
                 "right of": middles[i] - middles[j] > 2 * OVER,
                 "above": in_air[i] and not in_air[j], "below": in_air[j] and not in_air[i],
                 "next to": frozenset((i, j)) in neighbours}
        found += [{"subject": i, "relation": word, "object": j}
                  for word, true in tests.items() if true]
    return found


def column(thing):
    """Where in the picture's width; where one could argue, both."""
    across, names = middle(thing) / SIDE, []
    for name, low, high in (("left", 0, 0.43), ("middle", 0.36, 0.64), ("right", 0.57, 1)):
        names += [name] if low <= across <= high else []
    return " or ".join(names)


def describe(things, background):
    """The scene graph: everything a caption may claim, as plain data."""
    objects = [{"shape": thing.shape, "colour": thing.colour, "size": thing.size,
                "box": thing.box(), "group": thing.group, "column": column(thing),
                "row": "air" if thing.shape in IN_AIR else "ground"} for thing in things]
    return {"background": background, "objects": objects, "relations": relations(things)}


@cache
def soft_spot():
    """An oval that fades outwards: every shadow, before it is brought to size."""
    down, across = np.mgrid[-1:1:48j, -1:1:96j]
    return Image.fromarray((np.clip(1 - np.hypot(across, down), 0, 1) ** 0.8 * 150)
                           .astype(np.uint8))


def paint(things, background, rng):
    """The picture: backdrop, shadows, then the things."""
    canvas = backdrop(background, rng.randrange(VARIANTS)).copy()
    if rng.random() < 0.5:
        canvas = canvas.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for x, y, width, height in (t.box() for t in things if t.shape not in IN_AIR):
        spot = soft_spot().resize((round(width * 1.15), max(8, round(width * 0.22))))
        corner = (round(x + width / 2 - spot.width / 2) + 2, round(y + height - spot.height * 0.55))
        canvas.paste((24, 18, 48), corner, spot)
    for thing in things:
        image = thing.sprite.image.resize((thing.side, thing.side), Image.Resampling.HAMMING)
        if thing.mirrored:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        canvas.paste(image, (thing.left, thing.top), image)
    return canvas


def scene(rng, pairs=PAIRS, first=None):
    """A picture, its scene graph and its things; shapes and colours from `pairs`, the first
    group's from `first`."""
    background = rng.choice(sorted(BACKDROPS))
    while True:
        things = things_of(compose(rng, pairs, first or pairs), rng)
        if arrange(things, rng):
            return paint(things, background, rng), describe(things, background), things
