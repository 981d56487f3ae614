"""A tiny root of clips for tests: a square that goes left or right, and is labelled while it does.

    write_clips(root, {"train": 12, "val": 4}) --> folders of frames, and MultiTHUMOS's files

Annotations are written as the datasets have them, by the opposites of what video/ reads.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from system.files import whole_file, write_json
from video.spans import Action, Video

HZ, SIDE, CLASSES = 4, 32, ("Left", "Right", "Bright")


def picture(place, bright):
    """A square in a column of four, on a ground that may be bright."""
    found = np.full((SIDE, SIDE, 3), 170 if bright else 60, np.uint8)
    found[8:24, 8 * place:8 * place + 8] = 240, 30, 30
    return Image.fromarray(found)


def write_clips(root, sizes, longest=9):
    """Write clips of five to `longest` frames: it waits, goes all the way, and waits again."""
    number, videos = 0, []
    for split, size in sizes.items():
        for _ in range(size):
            number += 1
            name, right, bright = f"video_{number:04d}", number % 2, number % 3 == 0
            frames = 5 + number % (longest - 4)
            waits = number // 2 % (frames - 4)
            folder = root / split / name
            folder.mkdir(parents=True)
            for at in range(frames):
                place = min(3, max(0, at - waits))
                picture(place if right else 3 - place, bright).save(folder / f"{at:03d}.png")
            write_json(folder / "frames.json", {"times": [at / HZ for at in range(frames)],
                                                "duration": frames / HZ})
            spans = [Action(waits / HZ, (waits + 3) / HZ, right)]
            spans += [Action(-1, 9, 2)] if bright else []
            videos.append(Video(name, frames / HZ, tuple(spans)))
    write_class_files(root / "multithumos", videos, CLASSES)
    return root


def write_activitynet(path, videos):
    """Write videos with sentences as ActivityNet Captions does, whole or not at all."""
    write_json(path, {video.name: {
        "duration": video.duration, "timestamps": [[one.start, one.end] for one in video.spans],
        "sentences": [one.sentence for one in video.spans]} for video in videos})


def write_multithumos(path, videos):
    """Write videos with actions as the JSON file has them, whole or not at all."""
    write_json(path, {video.name: {
        "subset": video.subset, "duration": video.duration,
        "actions": [[one.label + 1, one.start, one.end] for one in video.spans]}
        for video in videos})


def write_class_files(folder, videos, names):
    """Write a list of classes and a text file for each, as MultiTHUMOS has them."""
    lists = {"class_list.txt": [f"{n} {name}" for n, name in enumerate(names, 1)],
             **{f"annotations/{name}.txt": [
                 f"{video.name} {one.start} {one.end}" for video in videos for one in video.spans
                 if one.label == label] for label, name in enumerate(names)}}
    for name, lines in lists.items():
        with whole_file(Path(folder) / name) as beside:
            beside.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
