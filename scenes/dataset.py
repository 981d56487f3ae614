"""Draw the embedded dataset, a small world whose captions can be checked for truth.

    python prepare.py scenes              # 3,900 pictures from a seed; nothing is downloaded

    annotations/captions_<split>.json       five differently worded true captions a picture
    annotations/instances_<split>.json      categories, boxes, silhouettes as polygons
    annotations/scene_graphs_<split>.json   what each picture holds, and one more true wording
    <split>/000000000001.jpg                224 x 224 pixels

The splits are train, val, test and novel. In `novel` every picture has a thing whose shape and
colour never occur together in the other three (HELD_OUT), though each occurs in other company.
A picture is a function of the seed, its split and its number, so a longer set begins as a shorter
one does. scenes/claims.py judges a sentence by the scene graph.
"""

import json
import random
from pathlib import Path

from PIL import Image, ImageDraw
from tqdm import tqdm

from scenes.drawing import PAINTERS
from scenes.scenery import SIDE
from scenes.wording import sentences
from scenes.world import PAIRS, scene
from system.files import BadInput, holds, read_json, whole_folder

VERSION = 1                             # of what a seed gives: raise it when the pictures change
SIZES = {"train": 3000, "val": 300, "test": 300, "novel": 300}
APART = 1_000_000                       # between the first image ids of two splits
CAPTIONS = 5                            # a picture; one more wording is held out
HELD_OUT = (("ball", "green"), ("balloon", "orange"), ("butterfly", "white"), ("car", "yellow"),
            ("cat", "blue"), ("house", "red"), ("mug", "black"), ("mushroom", "blue"),
            ("star", "green"), ("tree", "orange"))
SEEN = tuple(pair for pair in PAIRS if pair not in HELD_OUT)
CATEGORIES = [{"id": number, "name": shape, "supercategory": "thing"}
              for number, shape in enumerate(PAINTERS, start=1)]
GRAPH = {"background": str, "held_out": str,    # what is read of a scene graph
         "objects": [{"shape": str, "colour": str, "size": str, "column": str, "row": str}],
         "relations": [{"subject": int, "relation": str, "object": int}]}
JPEG = {"format": "JPEG", "quality": 90, "subsampling": 0}      # colours keep full resolution


def one_scene(seed, split, number):
    """Draw one image: return picture, scene graph with the held-out wording, captions, things."""
    rng = random.Random(f"{seed} {split} {number}")
    picture, graph, things = (scene(rng, PAIRS, HELD_OUT) if split == "novel"
                              else scene(rng, SEEN))
    *captions, graph["held_out"] = sentences(graph, rng, CAPTIONS + 1)
    return picture, graph, captions, things


def area(polygons):
    """Return the number of pixels inside any of the polygons."""
    mask = Image.new("L", (SIDE, SIDE))
    for points in polygons:
        ImageDraw.Draw(mask).polygon(points.ravel().tolist(), fill=1)
    return mask.histogram()[1]


def instances(image_id, things):
    """Return the COCO annotations of one image, in the order of the scene graph's objects."""
    found = []
    for number, thing in enumerate(things):
        polygons = thing.polygons()
        found.append({"id": image_id * 10 + number, "image_id": image_id, "iscrowd": 0,
                      "category_id": 1 + list(PAINTERS).index(thing.shape),
                      "bbox": thing.box(), "area": area(polygons),
                      "segmentation": [points.ravel().tolist() for points in polygons]})
    return found


def write_split(root, split, size, first_id, about, bar):
    """Draw and write a split's pictures and its three files of annotations."""
    folder = root / split
    folder.mkdir(parents=True)
    images, captions, boxes, graphs = [], [], [], {}
    for number in range(1, size + 1):
        image_id, name = first_id + number, f"{first_id + number:012d}.jpg"
        picture, graphs[str(image_id)], texts, things = one_scene(about["seed"], split, number)
        picture.save(folder / name, **JPEG)
        images.append({"id": image_id, "file_name": name, "width": SIDE, "height": SIDE})
        captions += [{"id": image_id * 10 + k, "image_id": image_id, "caption": text}
                     for k, text in enumerate(texts)]
        boxes += instances(image_id, things)
        bar.update()
    start = {"info": {**about, "split": split}, "images": images}
    files = {"captions": {**start, "annotations": captions}, "scene_graphs": graphs,
             "instances": {**start, "annotations": boxes, "categories": CATEGORIES}}
    (root / "annotations").mkdir(exist_ok=True)
    for kind, content in files.items():
        path = root / "annotations" / f"{kind}_{split}.json"
        path.write_text(json.dumps(content), encoding="utf-8")


def checked(sizes, seed, usual=SIZES, of="pictures"):
    """Return all four sizes, the given ones over the usual; raise `BadInput` for impossible ones.
    """
    for split, size in (sizes or {}).items():
        if split not in usual:
            raise BadInput(f"there is no split {split!r}; the splits are {', '.join(usual)}")
        if not isinstance(size, int) or not 1 <= size < APART:
            raise BadInput(f"{split} needs between 1 and {APART - 1} {of}, not {size}")
    if not isinstance(seed, int) or seed < 0:
        raise BadInput(f"the seed must be a whole number from 0 on, not {seed}")
    return {**usual, **(sizes or {})}


def drawn(root, about):
    """Return whether root has these very scenes; raise `BadInput` if it holds anything else."""
    for split, size in about["sizes"].items():
        if not holds(root, f"annotations/captions_{split}.json", {**about, "split": split}):
            return False
        found = len(list((root / split).glob("*.jpg")))
        if found != size:
            raise BadInput(f"{root} holds something else, {found} pictures of {split} in place of "
                           f"{size}: give another folder")
    return True


def draw(root, sizes=None, seed=0, progress=True):
    """Draw the dataset and return its folder, whole or absent; done at once if it is there.

    sizes: pictures by split, over SIZES.  Raises `BadInput` if root holds something else.
    """
    root = Path(root).resolve()
    # COCO's `info`, which tells one set of scenes from another
    about = {"description": "scenes: a small drawn world", "version": VERSION, "seed": seed,
             "sizes": checked(sizes, seed)}
    if drawn(root, about):
        if progress:
            print(f"{root} already holds these scenes")
        return root
    total = sum(about["sizes"].values())
    with whole_folder(root) as beside, tqdm(
            total=total, unit="picture", desc="drawing", disable=not progress) as bar:
        for order, (split, size) in enumerate(about["sizes"].items()):
            write_split(beside, split, size, order * APART, about, bar)
    return root


def find_root(data):
    """Return the folder of a dataset: a path, or "scenes" for this one, drawn if need be."""
    if data != "scenes":
        return Path(data)
    root = Path("data/scenes")
    draw(root, progress=not root.exists())
    return root


def read_graphs(root, split):
    """Return the scene graph of every picture of a split, in order; none if these are no scenes."""
    path = Path(root) / "annotations" / f"scene_graphs_{split.name}.json"
    if not path.exists():
        return []
    names = [str(picture.id) for picture in split.pictures]
    graphs = read_json(path, "draw the scenes again", dict.fromkeys(names, GRAPH))
    return [graphs[name] for name in names]
