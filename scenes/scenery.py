"""Paint the backgrounds of the drawn world: a sky or wall above, a ground below, in gradients.

    backdrop(name, variant) -> RGB image; a canvas within is an array (SIDE, SIDE, 3), 0 to 255

Coordinates are fractions of the side: DOWN and ACROSS hold those of every pixel. Each edge is
smoothed by the pixels' distance from it (`cover`), so nothing needs to be drawn larger and shrunk.
Nothing here looks like one of the world's things: no trees on the hills, no stars in the night.
"""

import math
import random
from functools import cache

import numpy as np
from PIL import Image

SIDE = 224              # pixels: what the encoders read
VARIANTS = 24           # drawings of each background
DOWN, ACROSS = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE


def gradient(*stops, along=DOWN):
    """Return a canvas through the colours `stops`; along: each pixel's place in it, 0 to 1."""
    stops = np.array(stops, dtype=float)
    places = np.linspace(0, 1, len(stops))
    channels = [np.interp(along, places, stops[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def cover(distance, softness=1.0):
    """Return the opacity (SIDE, SIDE, 1) of a shape from each pixel's distance inside its edge.

    distance: in sides, negative outside; softness: the width of the edge in pixels.
    """
    # half a pixel: one whose middle lies on the edge is half covered
    return np.clip(distance * SIDE / softness + 0.5, 0, 1)[..., None]


def blend(canvas, paint, opacity):
    """Return the canvas under `paint` (a colour or a canvas) of an opacity of 0 to 1."""
    return canvas + (np.asarray(paint, dtype=np.float32) - canvas) * opacity


def wave(rng, size, waves=1.2):
    """Return a random line over ACROSS of `waves` waves, within about +-`size` sides."""
    first, second = rng.uniform(0, 2 * math.pi), rng.uniform(0, 2 * math.pi)
    # the second wave, 2.3 times as fast, keeps the line from looking like a sine
    return size * (0.7 * np.sin(2 * math.pi * waves * ACROSS + first)
                   + 0.3 * np.sin(2 * math.pi * 2.3 * waves * ACROSS + second))


def land(canvas, crest, *colours, softness=1.0):
    """Paint everything below the line `crest`, shaded from there to the bottom."""
    depth = np.clip((DOWN - crest) / max(1e-6, 1 - float(np.min(crest))), 0, 1)
    return blend(canvas, gradient(*colours, along=depth), cover(DOWN - crest, softness))


def glow(canvas, x, y, radius, colour, strength):
    """Paint a soft light around a point."""
    # a Gaussian has no edge that could pass for a thing
    far = ((ACROSS - x) ** 2 + (DOWN - y) ** 2) / radius ** 2
    return blend(canvas, colour, (strength * np.exp(-far))[..., None])


def clouds(canvas, rng, colour, number, strength=0.85, lowest=0.36):
    """Paint clouds, each a row of four puffs cut off flat below."""
    for _ in range(number):
        x, y, size = rng.uniform(0, 1), rng.uniform(0.06, lowest), rng.uniform(0.06, 0.11)
        puffs = np.zeros((SIDE, SIDE))
        for offset, radius in ((-1.3, 0.55), (-0.5, 0.9), (0.4, 1.0), (1.2, 0.6)):
            centre, radius = x + offset * size * rng.uniform(0.9, 1.1), radius * size
            # flattened by 1.5: round puffs could pass for balls
            far = ((ACROSS - centre) ** 2 + ((DOWN - y) * 1.5) ** 2) / radius ** 2
            puffs = np.maximum(puffs, 1 - far)
        flat = cover(y + 0.3 * size - DOWN, 5)
        canvas = blend(canvas, colour, np.clip(puffs * 3, 0, 1)[..., None] * flat * strength)
    return canvas


def grain(canvas, rng, strength, down=1, across=1):
    """Add noise of deviation `strength`, its grains `down` x `across` pixels."""
    # seeded from rng: numpy draws an array where random.Random draws a number
    noise = np.random.default_rng(rng.getrandbits(32)).normal(
        0, strength, (SIDE // down + 1, SIDE // across + 1))
    return canvas + np.kron(noise, np.ones((down, across)))[:SIDE, :SIDE, None]


def meadow(rng):
    canvas = gradient((84, 170, 236), (150, 208, 246), (222, 240, 248), (222, 240, 248))
    canvas = glow(canvas, rng.uniform(0.1, 0.9), 0.02, 0.4, (255, 250, 214), 0.6)
    canvas = clouds(canvas, rng, (255, 255, 255), rng.randint(1, 3))
    # two ridges, the far one paler and bluer, and the grass in front
    canvas = land(canvas, 0.53 + wave(rng, 0.035), (158, 204, 170), (120, 190, 130))
    canvas = land(canvas, 0.58 + wave(rng, 0.03), (140, 202, 106), (96, 176, 84))
    grass = grain(gradient((158, 212, 92), (104, 180, 66), (74, 150, 58), along=(DOWN - 0.6) / 0.4),
                  rng, 4, down=4)
    return blend(canvas, grass, cover(DOWN - 0.64 - wave(rng, 0.02, 0.8)))


def beach(rng):
    canvas = gradient((96, 190, 240), (176, 226, 246), (250, 242, 220), (250, 242, 220))
    canvas = glow(canvas, rng.uniform(0.1, 0.9), 0.05, 0.35, (255, 252, 226), 0.7)
    canvas = clouds(canvas, rng, (255, 255, 255), rng.randint(0, 2))
    sea = gradient((30, 122, 186), (46, 162, 204), (110, 212, 214), along=(DOWN - 0.5) / 0.18)
    ripples = np.sin(2 * math.pi * (14 * ACROSS + rng.random())) * 0.004
    for level in (0.535, 0.57, 0.61):           # rows of white ripples
        sea = blend(sea, (235, 250, 252), 0.35 * cover(0.004 - abs(DOWN - level - ripples), 2))
    canvas = blend(canvas, sea, cover(DOWN - 0.5))
    shore = 0.67 + wave(rng, 0.018, 0.9)
    canvas = blend(canvas, (250, 254, 252), cover(DOWN - shore + 0.022, 5))     # surf
    sand = grain(gradient((214, 184, 132), (242, 216, 160), (236, 202, 142),
                          along=(DOWN - 0.67) / 0.33), rng, 3.5)
    return blend(canvas, sand, cover(DOWN - shore, 3))


def snow(rng):
    canvas = gradient((134, 182, 226), (190, 216, 240), (230, 240, 250), (230, 240, 250))
    for height, light, dark in ((0.3, (176, 198, 226), (200, 216, 238)),
                                (0.38, (196, 212, 236), (218, 230, 246))):
        start, step = rng.uniform(-0.2, 0.1), rng.uniform(0.3, 0.42)
        tooth = abs((ACROSS - start) / step % 1 - 0.5) * 2      # mountains: a triangle wave
        canvas = land(canvas, height + 0.24 * tooth + wave(rng, 0.012, 3), light, dark)
    canvas = land(canvas, 0.57 + wave(rng, 0.02), (226, 236, 248), (206, 222, 242))
    canvas = land(canvas, 0.64 + wave(rng, 0.018, 0.8), (250, 252, 255), (222, 232, 246),
                  (196, 212, 236), softness=2)
    inside = np.full((SIDE, SIDE), -1.0)        # distance inside the nearest falling flake
    for _ in range(46):
        x, y, radius = rng.random(), rng.uniform(0, 0.62), rng.uniform(0.002, 0.009)
        inside = np.maximum(inside, radius - np.hypot(ACROSS - x, DOWN - y))
    return blend(canvas, (255, 255, 255), 0.85 * cover(inside, 2.5))


def night(rng):
    canvas = gradient((16, 22, 66), (34, 46, 112), (84, 84, 160), (128, 108, 176))
    x, y = rng.uniform(0.08, 0.92), rng.uniform(0.08, 0.14)
    canvas = glow(canvas, x, y, 0.22, (176, 184, 236), 0.45)
    # a crescent, since a full moon could pass for a ball
    disc = cover(0.05 - np.hypot(ACROSS - x, DOWN - y))
    bite = cover(0.045 - np.hypot(ACROSS - x - 0.024, DOWN - y + 0.012))
    canvas = blend(canvas, (252, 246, 214), disc * (1 - bite))
    canvas = clouds(canvas, rng, (96, 100, 168), rng.randint(1, 2), 0.35)
    canvas = land(canvas, 0.54 + wave(rng, 0.035), (70, 80, 146), (54, 62, 124))
    canvas = land(canvas, 0.6 + wave(rng, 0.025), (54, 72, 132), (44, 58, 110))
    return land(canvas, 0.65 + wave(rng, 0.018, 0.8), (74, 100, 150), (52, 74, 122), (34, 48, 92))


def sunset(rng):
    canvas = gradient((98, 62, 140), (214, 92, 134), (252, 150, 104), (255, 214, 130),
                      (255, 226, 150), (255, 226, 150))
    x = rng.uniform(0.15, 0.85)
    canvas = glow(canvas, x, 0.56, 0.4, (255, 240, 170), 0.75)
    canvas = clouds(canvas, rng, (255, 190, 160), rng.randint(1, 3), 0.5)
    # half below the horizon: hills hide the lower half of the sun
    canvas = blend(canvas, (255, 246, 206), cover(0.075 - np.hypot(ACROSS - x, DOWN - 0.57), 1.5))
    canvas = land(canvas, 0.56 + wave(rng, 0.03), (196, 110, 136), (160, 84, 130))
    canvas = land(canvas, 0.61 + wave(rng, 0.025), (150, 84, 128), (124, 66, 116))
    return land(canvas, 0.66 + wave(rng, 0.018, 0.8), (186, 116, 122), (142, 84, 112),
                (98, 58, 98))


def room(rng):
    tint = rng.choice([(246, 226, 196), (214, 230, 222), (236, 216, 220), (222, 222, 238)])
    wall = np.array(tint) * (1 + 0.025 * np.sign(np.sin(2 * math.pi * 9 * ACROSS)))[..., None]
    canvas = glow(wall, rng.uniform(0.2, 0.8), 0.1, 0.6, (255, 252, 240), 0.45)
    canvas = blend(canvas, (252, 248, 240), cover(DOWN - 0.6))
    canvas = blend(canvas, (206, 196, 182), cover(DOWN - 0.602) - cover(DOWN - 0.61))
    depth = np.clip((DOWN - 0.645) / 0.355, 0, 1)
    boards = gradient((166, 112, 70), (204, 148, 98), (216, 162, 112), along=depth)
    # boards run away from the viewer: the further down, the wider
    plank = (ACROSS - 0.5) / (0.45 + 0.75 * depth) * 9 + rng.random()
    tone = np.sin(np.floor(plank) * 12.9898) * 8        # each board its own, by its number
    seam = cover(0.006 - abs(plank % 1 - 0.5) / 9 * (0.45 + 0.75 * depth), 1.5)
    boards = blend(boards + tone[..., None], (128, 82, 50), 0.5 * seam)
    return blend(canvas, boards, cover(DOWN - 0.645))


BACKDROPS = {painter.__name__: painter for painter in (beach, meadow, night, room, snow, sunset)}


@cache
def backdrop(name, variant):
    """Return drawing `variant` of a background; each has its own hills, clouds and light."""
    canvas = BACKDROPS[name](random.Random(f"{name} {variant}"))
    return Image.fromarray(np.clip(canvas + 0.5, 0, 255).astype(np.uint8))
