"""Pictures to try the page with: photographs that scikit-image installs, and drawn scenes.

    Folder --examples--> (file, label, scene graph or None), in the order in which they are shown
"""

import importlib.util
import shutil
from pathlib import Path
from typing import NamedTuple

from scenes.dataset import one_scene

PHOTOS = {"coffee.png": "a cup of coffee", "chelsea.png": "a cat", "rocket.jpg": "a rocket",
          "motorcycle_left.png": "a motorcycle"}      # public domain or CC0
SCENES = 4                  # drawn as those of the split test are, which no captioner has learned


class Example(NamedTuple):
    """A picture's file, what it is called, and its scene graph if it was drawn."""

    file: Path
    label: str
    graph: dict | None


def examples(folder, seed=0):
    """Write the examples into a folder and return them: photographs, then a seed's scenes."""
    data = data_folder()
    found = [Example(Path(shutil.copy(data / name, folder)), label, None)
             for name, label in PHOTOS.items() if (data / name).exists()]
    for number in range(1, SCENES + 1):
        picture, graph, captions, _ = one_scene(seed, "test", number)
        file = folder / f"scene {number}.png"
        picture.save(file)
        found.append(Example(file, captions[0], graph))
    return found


def data_folder():
    """Return where scikit-image's pictures lie; it is not imported, which takes a second."""
    return Path(importlib.util.find_spec("skimage").origin).parent / "data"
