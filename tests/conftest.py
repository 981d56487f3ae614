"""Fixtures: a tiny dataset in COCO's layout, and the real data where it is at hand."""

import os
import shutil
import tempfile
from pathlib import Path

os.environ["CAPTION_CACHE"] = tempfile.mkdtemp(prefix="captions-")     # read at import
os.environ["OMP_NUM_THREADS"] = "1"     # of processes that tests start, too: others run beside them

import numpy as np
import pytest
import torch
from PIL import Image

import tests.tiny  # noqa: F401  an encoder that settings may name
from system.files import write_json
from training import loop

torch.set_num_threads(1)        # bits must not depend on how many cores a machine has
LONGEST = {"bad_input", "bench", "bench_rows", "caption", "claims", "distributed", "extending",
           "runs", "student"}
COLOURS = {"red": (210, 40, 40), "green": (40, 170, 60), "blue": (40, 70, 200)}
WORDINGS = ("A {} picture.", "The picture is {}.", "This one is {}, all of it.",
            "Nothing but {} here.", "A square of {} paint.")


def pytest_collection_modifyitems(items):
    """Put the files that take longest first: whoever began one last would keep all waiting."""
    items.sort(key=lambda item: item.path.stem.removeprefix("test_") not in LONGEST)


def pytest_unconfigure():
    shutil.rmtree(os.environ["CAPTION_CACHE"], ignore_errors=True)


def write_root(root, sizes, side=48):
    """A dataset of plainly coloured pictures, each with five captions that name its colour."""
    image_id = 0
    for split, size in sizes.items():
        images, annotations = [], []
        (root / split).mkdir(parents=True)
        for _ in range(size):
            image_id += 1
            name, rgb = list(COLOURS.items())[image_id % 3]
            noise = np.random.default_rng(image_id).integers(-20, 20, (side, side, 3))
            Image.fromarray(np.clip(noise + rgb, 0, 255).astype("uint8")).save(
                root / split / f"{image_id:06d}.jpg", quality=95)
            images.append({"id": image_id, "file_name": f"{image_id:06d}.jpg", "width": side,
                           "height": side})
            annotations += [{"id": 10 * image_id + k, "image_id": image_id,
                             "caption": wording.format(name)} for k, wording in enumerate(WORDINGS)]
        write_json(root / "annotations" / f"captions_{split}.json",
                   {"info": {}, "images": images, "annotations": annotations})
    return root


@pytest.fixture(scope="session", name="write_root")
def give_write_root():
    """As a fixture, so that tests need not import this file."""
    return write_root


@pytest.fixture
def no_curves(monkeypatch):
    """They take longer than an epoch of a tiny run."""
    monkeypatch.setattr(loop, "save_curves", lambda *_: None)


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory):
    """12 pictures to train on and 6 to validate with."""
    return write_root(tmp_path_factory.mktemp("tiny"), {"train": 12, "val": 6})


def shared(name):
    """Return a folder of real data that is not part of the project, or skip the test."""
    folder = Path(os.environ.get("CAPTION_DATA", "../shared")) / name
    if not folder.is_dir():
        pytest.skip(f"needs real data: no {folder} (set CAPTION_DATA)")
    return folder


@pytest.fixture(scope="session")
def data_root():
    """The folder that holds all real data."""
    return shared("flickr8k").parent


@pytest.fixture(scope="session")
def shared_vqa():
    """The folder of real questions."""
    return shared("vqa")


@pytest.fixture(scope="session")
def shared_video():
    """The folder of real clips and annotations."""
    return shared("video")
