"""Fetch COCO from its own server, in its own layout: whole, or a subset for a first run.

    annotations_trainval2017.zip (253 MB) --read--> captions and instances of both splits
    whole     train2017.zip, val2017.zip (20 GB) --extract--> root/train2017, root/val2017
    subset N  N + N/5 pictures, each from its `coco_url` --> the same folders

The annotations are written after the pictures and those of train at the end: a root that has them
is whole, any other goes on where it stopped when the same command is given again. A subset is the
beginning of one fixed random order, so a larger one keeps what a smaller one fetched.
"""

import json
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

from PIL import Image

from coco.dataset import in_drawn_order, inside, read_annotations
from system import archives
from system.download import fetch, fetch_all, part_of, size_of
from system.files import BadInput, make_room, whole_file, write_json
from system.outputs import begins, output_file
from system.roots import sweep_root
from system.shapes import misfit

HOST = "http://images.cocodataset.org"      # no https: the certificate is of another name
# Of the archives there, as many independent projects give them; COCO itself publishes none.
MD5 = {"annotations_trainval2017.zip": "f4bbac642086de4f52a3fdda2de5fa2c",
       "train2017.zip": "cced6f7f71b7629ddf16f17bbcfab6b2",
       "val2017.zip": "442b8da7639aecaf257c1dceb8ba8c80",
       "annotations_trainval2014.zip": "0a379cfc70b0e71301e0f377548639bd",
       "val2014.zip": "a3d79f5ed8d289b7a7554ce06a5782b3"}
PICTURE = 165_000           # bytes of one of COCO's pictures, on average
JSON = 2.5                  # times the annotations archive that its captions and instances take
MISSED = 0.1                # share of a subset that the server may lack
KINDS = ("instances", "captions")
MARK = b'{"made_by": "prepare.py"'          # annotations cut to a subset begin so
OURS = "image-captioning.zip"               # ends the name of an archive that is deleted again


def download_coco(root, year=2017, subset=None, seed=0, host=HOST):
    """Download COCO of a year to `root`, or `subset` of its train and a fifth as many val pictures.

    Only one process at a time may make a root. Raises `BadInput` for what cannot be had and for a
    root that holds something else.
    """
    root, host = Path(root), host.rstrip("/")
    refuse_other(root, year, subset)
    sweep_root(root)
    archive = root / f"annotations_trainval{year}.zip"
    make_room(root, room_for(root, archive, year, subset, host), f"COCO {year}"
              if subset is None else f"COCO {year}, {subset} pictures to train on")
    get(f"{host}/annotations/{archive.name}", archive)
    refuse_foreign(root, archive, year)
    contents = {}
    for split, count in splits(year, subset):
        images = images_in(archive, split)
        if count is None:
            whole_split(root, split, host)
            found = there(root, split, images)
            if len(found) < len(images):
                raise BadInput(f"{root / split} lacks {len(images) - len(found)} of "
                               f"{len(images)} pictures: move it away, or give another --root")
            contents[split] = None
        else:
            chosen = in_drawn_order(images, seed, lambda image: image["id"])[:count]
            contents[split] = part_of_split(root, split, chosen, host)
    for split, images in contents.items():
        for kind in KINDS:
            write_annotations(root, archive, f"{kind}_{split}.json", images)


def splits(year, subset):
    """Return the splits and how many pictures of each (None: all), train last."""
    return ((f"val{year}", subset and max(1, subset // 5)), (f"train{year}", subset))


def refuse_other(root, year, subset):
    """Raise `BadInput` if root holds the other year or more pictures than are asked for."""
    other = 2014 if year == 2017 else 2017
    # not by `info`, as elsewhere: these files have COCO's own, and a larger subset may follow
    if any(root.glob(f"annotations/captions_*{other}.json")):
        raise BadInput(f"{root} holds COCO {other}, whose pictures are partly the same: give "
                       "another --root")
    path = root / "annotations" / f"captions_train{year}.json"
    if subset is not None and path.exists():
        held = len(read_annotations(path, ("images",))[0])
        if held > subset:
            raise BadInput(f"{root} holds {held} training pictures, more than {subset}: give "
                           "another --root, or train on fewer")


def refuse_foreign(root, archive, year):
    """Raise `BadInput` if a file of annotations that would be replaced is not COCO's or a part."""
    for split, _ in splits(year, None):
        for kind in KINDS:
            path = root / "annotations" / f"{kind}_{split}.json"
            output_file(path, "COCO's or cut from COCO's", lambda path: begins(path, MARK)
                        or archives.is_member(path, archive, f"annotations/{path.name}"),
                        "give another --root")


def room_for(root, archive, year, subset, host):
    """Return the bytes still to be taken up at the worst moment, an archive beside its content."""
    size = taken(archive) if archive.exists() else size_of(f"{host}/annotations/{archive.name}")
    worst = kept = size + JSON * size - taken(archive) - taken(root / "annotations")
    for split, count in splits(year, subset):
        if count:
            worst += max(0, count * PICTURE - taken(root / split))
        elif not (root / split).exists():
            given, begun = taken(root / f"{split}.zip"), taken(root / f"{split}.{OURS}")
            size = given or size_of(f"{host}/zips/{split}.zip")
            worst = max(worst, kept + 2 * size - (given or begun))
            kept += size - begun
    return max(0, worst)


def taken(path):
    """Return the bytes of a file or a folder, or of the part there is of a file."""
    found = [path, part_of(path)]
    return sum(file.stat().st_size for place in found for file in [place, *place.rglob("*")]
               if file.is_file())


def get(url, archive):
    """Fetch one of COCO's archives, from COCO's own host with exactly the digest of MD5."""
    # a mirror may have packed the same pictures anew
    fetch(url, archive, MD5.get(url.rpartition("/")[2]) if url.startswith(HOST + "/") else None,
          archives.fault)


def whole_split(root, split, host):
    """Unpack all pictures of a split, and delete their archive if it was downloaded for that."""
    given, fetched = (root / f"{split}.{end}" for end in ("zip", OURS))
    if not (root / split).exists():
        if not given.exists():
            get(f"{host}/zips/{split}.zip", fetched)
        archives.extract(given if given.exists() else fetched, root / split)
    fetched.unlink(missing_ok=True)


def part_of_split(root, split, images, host):
    """Fetch pictures and print which are missing; return the ids of the others.

    Raises `BadInput` if more than a share MISSED of them is missing.
    """
    missing = fetch_all([(host + quote(urlsplit(image["coco_url"]).path),
                          root / split / image["file_name"]) for image in images], picture_fault)
    found = there(root, split, images)
    if len(images) - len(found) > MISSED * len(images):
        raise BadInput(f"{host} has not {len(missing)} of {len(images)} pictures of {split} "
                       f"({missing[0]}): look at the address and the network")
    if missing:
        print(f"left out {len(missing)} pictures of {split}:", *missing, sep="\n  ")
    return {image["id"] for image in found}


def there(root, split, images):
    """Return those of the images whose file is in the folder of their split."""
    return [image for image in images if (root / split / image["file_name"]).exists()]


def picture_fault(path):
    """Return what is wrong with a fetched picture, or None."""
    try:
        with Image.open(path) as image:
            image.load()
    except Exception as error:      # Pillow has many kinds for one cause
        return f"it is no whole picture, {error}"


def images_in(archive, split):
    """Return the entries of the pictures of a split; raise `BadInput` if they are not COCO's."""
    content = archives.read(archive, f"annotations/captions_{split}.json")
    with understood(archive, f"captions_{split}.json"):
        shape = {"id": int, "file_name": str, "coco_url": str}
        images = [{key: image[key] for key in shape} for image in json.loads(content)["images"]]
        if place := misfit(images, [shape]):
            raise ValueError(f"{place} of its images")
        if not images or not all(inside(image["file_name"]) for image in images):
            raise ValueError("no pictures, or names that lead out of their folder")
        return images


@contextmanager
def understood(archive, name):
    """Raise `BadInput` if the block meets JSON that is damaged or not as COCO's."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(f"{archive} has in {name} what is not COCO's ({type(error).__name__}: "
                       f"{error}): move it away and look where it came from") from None


def write_annotations(root, archive, name, wanted):
    """Write a file of annotations, cut to the pictures of the ids `wanted` (None: all)."""
    content, path = archives.read(archive, f"annotations/{name}"), root / "annotations" / name
    if wanted is None:
        with whole_file(path) as beside:
            beside.write_bytes(content)
        return

    def keep(entry):        # as each is read, since all instances at once would take 3 GB
        image_id = entry.get("image_id", entry["id"] if "file_name" in entry else None)
        return entry if image_id is None or image_id in wanted else None

    with understood(archive, name):
        cut = json.loads(content, object_hook=keep)
        for part in ("images", "annotations"):
            cut[part] = [entry for entry in cut[part] if entry is not None]
    write_json(path, {"made_by": "prepare.py", **cut})
