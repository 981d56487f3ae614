"""Paint the things of the drawn world: each once, large, on a transparent ground.

    sprite(shape, colour, tilt) -> Sprite: an RGBA image, PIXELS a unit, and its silhouette

Every shape has one painter, a function that adds parts to a sprite `s` from back to front, in
units. The solid parts make the silhouette, which becomes COCO's segmentation.
"""

from functools import cache

import numpy as np

from scenes.brush import Sprite, darker, lighter, oval, smooth

COLOURS = {"red": (224, 32, 36), "orange": (250, 130, 8), "yellow": (255, 218, 26),
           "green": (40, 166, 62), "blue": (26, 92, 230), "white": (248, 248, 250),
           "black": (44, 44, 52)}       # not pure: shades and outlines must still show on it
CREAM, BROWN, DARK = (250, 236, 208), (134, 88, 52), (52, 50, 60)
GLASS, GOLD, PINK = (188, 226, 246), (250, 206, 70), (244, 150, 166)


def ball(s):
    # nothing is lighter than white: its panels are grey
    panel = (178, 184, 200) if s.colour == COLOURS["white"] else lighter(s.colour, 0.85)
    s.part(oval(0.5, 0.5, 0.5, 0.5), shade=0.3)
    for inner, outer in ((0.06, 0.24), (-0.3, -0.42)):
        s.part([*bow(outer), *bow(inner)[::-1]], panel, 0.1, solid=False)
    s.part(oval(0.5, 0.045, 0.09, 0.04), panel, solid=False)
    s.shine(0.29, 0.27, 0.08, 0.055)


def bow(bulge):
    """Return a seam of the ball from top to bottom, `bulge` units to the right half-way."""
    return oval(0.5, 0.5, bulge, 0.497, -90, 90)


def balloon(s):
    s.line([(0.36, 0.78), (0.33, 0.86), (0.39, 0.93), (0.36, 1.0)], (92, 92, 104), 0.018)
    s.part([(0.36, 0.74), (0.29, 0.82), (0.43, 0.82)])
    s.part(smooth(np.concatenate([oval(0.36, 0.38, 0.36, 0.38, 160, 380)[::4],
                                  [(0.5, 0.7), (0.36, 0.77), (0.22, 0.7)]])), shade=0.28)
    s.shine(0.22, 0.21, 0.05, 0.09)


def butterfly(s):
    for flip in (0, 1):                     # both halves from one: x as it is, and 1 - x
        def side(points, flip=flip):
            return np.abs(np.array([flip, 0]) - np.asarray(points))
        s.line([side(p) for p in [(0.49, 0.2), (0.43, 0.08), (0.36, 0.02)]], DARK, 0.02)
        s.part(side(smooth([(0.48, 0.42), (0.3, 0.44), (0.1, 0.62), (0.2, 0.84), (0.36, 0.8)])),
               darker(s.colour, 0.12))
        s.part(side(smooth([(0.48, 0.42), (0.4, 0.16), (0.1, 0.02), (-0.04, 0.16), (0.06, 0.44),
                            (0.3, 0.52)])))
        for x, y, r in ((0.17, 0.2, 0.06), (0.29, 0.3, 0.045), (0.25, 0.66, 0.05)):
            s.patch(side(oval(x, y, r, r)), lighter(s.colour, 0.72))
    s.part(oval(0.5, 0.46, 0.042, 0.28), DARK, 0.15)            # last, over the wings' roots


def car(s):
    s.part(smooth([(0.17, 0.28), (0.3, 0.03), (0.66, 0.03), (0.82, 0.28)], 0.1))
    s.part(smooth([(0.25, 0.26), (0.335, 0.09), (0.47, 0.09), (0.47, 0.26)], 0.06), GLASS,
           solid=False)
    s.part(smooth([(0.52, 0.26), (0.52, 0.09), (0.635, 0.09), (0.74, 0.26)], 0.06), GLASS,
           solid=False)
    s.part(smooth([(0.0, 0.28), (0.08, 0.23), (0.86, 0.24), (0.98, 0.3), (1.0, 0.45), (0.0, 0.45)],
                  0.12))
    s.line([(0.495, 0.27), (0.495, 0.43)], darker(s.colour, 0.4), 0.014)
    s.part(oval(0.95, 0.335, 0.028, 0.035), GOLD, solid=False)
    for x in (0.22, 0.78):                  # the wheels
        s.part(oval(x, 0.45, 0.115, 0.115), DARK, 0.15)
        s.part(oval(x, 0.45, 0.05, 0.05), (206, 208, 216), solid=False)


def cat(s):
    s.part(smooth([(0.62, 0.98), (0.86, 0.94), (0.86, 0.66), (0.72, 0.52), (0.78, 0.44),
                   (0.98, 0.62), (0.98, 0.9), (0.88, 1.06), (0.62, 1.02)]))
    s.part(smooth([(0.3, 0.4), (0.64, 0.4), (0.8, 0.8), (0.76, 1.03), (0.18, 1.03), (0.16, 0.8)]))
    for x in (0.36, 0.58):
        s.part(oval(x, 0.95, 0.09, 0.055), lighter(s.colour, 0.3))
    for flip in (1, -1):                    # ears before the head, which covers their roots
        ear = np.array([(-0.28, 0.3), (-0.28, -0.02), (-0.06, 0.12)])
        s.part(smooth(ear * (flip, 1) + (0.47, 0), 0.08))
        inner = (ear * 0.5 + (-0.095, 0.09)) * (flip, 1) + (0.47, 0)
        s.patch(smooth(inner, 0.1), PINK)
    s.part(oval(0.47, 0.32, 0.31, 0.245))
    for x in (0.36, 0.58):
        s.part(oval(x, 0.3, 0.055, 0.068), (255, 252, 236), 0, solid=False)
        s.patch(oval(x, 0.31, 0.026, 0.055), (24, 22, 30))
    s.part(smooth([(0.43, 0.39), (0.51, 0.39), (0.47, 0.44)], 0.15), PINK, 0, solid=False)
    # dark whiskers could not be seen on a dark cat
    whiskers = lighter(s.colour, 0.75) if sum(s.colour) < 300 else darker(s.colour, 0.5)
    for flip in (1, -1):
        for y in (0.38, 0.44):
            s.line([(0.47 + flip * 0.14, 0.41), (0.47 + flip * 0.36, y)], whiskers, 0.012)


def house(s):
    s.part([(0.68, 0.05), (0.8, 0.05), (0.8, 0.3), (0.68, 0.3)], (176, 92, 76))
    s.part([(0.1, 0.95), (0.1, 0.4), (0.5, 0.08), (0.9, 0.4), (0.9, 0.95)], shade=0.16)
    s.part([(0.5, 0.0), (1.0, 0.42), (0.94, 0.5), (0.5, 0.13), (0.06, 0.5), (0.0, 0.42)],
           darker(s.colour, 0.42))
    s.part(smooth([(0.41, 0.95), (0.41, 0.65), (0.59, 0.65), (0.59, 0.95)], 0.06), BROWN,
           solid=False)
    s.patch(oval(0.55, 0.81, 0.018, 0.018), GOLD)
    for x in (0.18, 0.68):
        s.part([(x, 0.58), (x + 0.14, 0.58), (x + 0.14, 0.75), (x, 0.75)], GLASS, solid=False)
        s.line([(x + 0.07, 0.58), (x + 0.07, 0.75)], CREAM, 0.014)
        s.line([(x, 0.665), (x + 0.14, 0.665)], CREAM, 0.014)
    s.part(oval(0.5, 0.36, 0.06, 0.06), GLASS, solid=False)


def mug(s):
    # the handle is a half ring: there along the outer edge, back along the inner
    s.part([*oval(0.74, 0.5, 0.26, 0.26, -100, 100), *oval(0.74, 0.5, 0.14, 0.14, 100, -100)])
    s.part(smooth([(0.02, 0.12), (0.78, 0.12), (0.76, 0.86), (0.66, 0.94), (0.14, 0.94),
                   (0.04, 0.86)], 0.12), shade=0.3)
    s.part(oval(0.4, 0.14, 0.385, 0.105), lighter(s.colour, 0.35), 0.1)
    s.part(oval(0.4, 0.16, 0.32, 0.072), (96, 58, 36), 0.2, solid=False)
    s.shine(0.15, 0.5, 0.035, 0.2, 0.4)


def mushroom(s):
    s.part(smooth([(0.4, 0.45), (0.6, 0.45), (0.62, 0.7), (0.72, 0.95), (0.28, 0.95), (0.38, 0.7)]),
           CREAM)
    s.part(oval(0.5, 0.5, 0.36, 0.09), (232, 208, 172), solid=False)
    s.part(smooth([(0.0, 0.46), (0.04, 0.2), (0.3, 0.0), (0.7, 0.0), (0.96, 0.2), (1.0, 0.46),
                   (0.86, 0.55), (0.5, 0.47), (0.14, 0.55)]), shade=0.28)
    # white spots could not be seen on a white cap
    spot = (255, 250, 240) if min(s.colour) < 200 else (186, 186, 198)
    for x, y, r in ((0.5, 0.17, 0.085), (0.24, 0.26, 0.065), (0.76, 0.26, 0.065),
                    (0.36, 0.4, 0.045), (0.64, 0.4, 0.045), (0.1, 0.43, 0.035), (0.9, 0.43, 0.035)):
        s.patch(oval(x, y, r, r * 0.85), spot, 0.05)


def star(s):
    angles = np.radians(np.arange(10) * 36 - 90)
    radii = np.where(np.arange(10) % 2 == 0, 0.56, 0.28)
    tips = np.stack([0.5 + radii * np.cos(angles), 0.53 + radii * np.sin(angles)], axis=1)
    s.part(smooth(tips, 0.16))
    for tip in range(0, 10, 2):             # one half of every arm lies in shade
        s.patch([tips[tip] * 0.84 + np.array((0.5, 0.53)) * 0.16, tips[tip + 1], (0.5, 0.53)],
                darker(s.colour, 0.16), 0.04)
    s.shine(0.42, 0.36, 0.03, 0.06, 0.45)


def tree(s):
    s.part(smooth([(0.36, 0.5), (0.48, 0.5), (0.49, 0.8), (0.58, 1.01), (0.26, 1.01), (0.35, 0.8)],
                  0.1), BROWN)
    lobes = ((0.2, 0.5, 0.19), (0.64, 0.5, 0.19), (0.42, 0.53, 0.2), (0.17, 0.32, 0.17),
             (0.67, 0.32, 0.17), (0.3, 0.17, 0.17), (0.54, 0.17, 0.17), (0.42, 0.34, 0.24))
    for x, y, r in lobes:
        s.part(oval(x, y, r, r), shade=0.2)
    for x, y, r in lobes:
        s.patch(oval(x, y, r * 0.93, r * 0.93), shade=0.16)      # hides the outlines inside
    for x, y in ((0.28, 0.16), (0.16, 0.33), (0.5, 0.28), (0.6, 0.46), (0.33, 0.45)):
        s.line(oval(x, y, 0.06, 0.05, 190, 300), lighter(s.colour, 0.4), 0.022)


PAINTERS = {painter.__name__: painter for painter in        # the order gives COCO's category ids
            (ball, balloon, butterfly, car, cat, house, mug, mushroom, star, tree)}
TILTING = ("ball", "balloon", "butterfly", "star")      # the others would seem to fall over


@cache          # thousands of pictures show the same 70 things, at three tilts
def sprite(shape, colour, tilt=0):
    """Return the painted thing, turned clockwise by `tilt` degrees."""
    painted = Sprite(COLOURS[colour])
    PAINTERS[shape](painted)
    if tilt:
        painted.tilt(tilt)
    return painted
