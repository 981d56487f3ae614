"""Convert other layouts to COCO's: Flickr8k's, and a folder of your own pictures.

    captions file --tables.py--> rows --gather--> {file name: sentences}, {file name: split}
    --convert--> root, in COCO's layout

What cannot be used is left out and named: pictures that are missing or cannot be read, lines
without a file or a caption. The root is built beside its place and renamed when it is whole. A
picture's side is drawn by the hash of its bytes, so two copies of it never stand on both.
"""

import re
import sys
import unicodedata
from collections import defaultdict
from os.path import exists
from pathlib import Path, PureWindowsPath

from PIL import Image

from coco.dataset import WORDS, Picture, Split, in_drawn_order, inside, says_something
from coco.karpathy import place
from coco.readable import NAMED, readable
from coco.tables import read_rows, read_text
from system.cache import cache_name
from system.contents import content_hashes
from system.files import BadInput, holds, refuse_web_address, whole_folder, writable, write_json
from system.roots import sweep_root

SHARE = 0.1                 # of the pictures in val and in test, unless said
SIDES = {one: side for side, words in WORDS.items() for one in words} | {"restval": "train"}
LISTS = {"train": "Flickr_8k.trainImages.txt", "val": "Flickr_8k.devImages.txt",
         "test": "Flickr_8k.testImages.txt"}


def flickr8k(root, captions, pictures, lists=None, val=None, test=None, seed=0, linked=False):
    """Make `root` from Flickr8k or Flickr30k; return its path; at once if root already holds it.

    captions: `captions.txt` (image,caption), `Flickr8k.token.txt` (image.jpg#0<TAB>caption), or
    Flickr30k's (image_name| comment_number| comment).  pictures: the folder of photographs.
    lists: the folder of `Flickr_8k.trainImages.txt`, `devImages` and `testImages`; None divides by
    `seed` into shares of pictures, val and test (None: SHARE).  linked: hard links, not copies.
    Raises `BadInput` for what cannot be read and for a root that holds something else.
    """
    sentences, sides = gather(captions, read_rows(captions, bare=True), pictures)
    if lists and sides:
        print(f"{lists} says what is train, val and test, and the splits in {captions} are not "
              "used", file=sys.stderr)
    return convert(root, "Flickr8k", captions, sentences, pictures,
                   read_lists(lists) if lists else sides, val, test, seed, linked)


def folder(root, pictures, captions, val=None, test=None, seed=0, linked=False):
    """Make `root` from a folder of pictures and a file that names and describes them.

    captions: CSV with a column `file` and a column `caption`, a row per sentence, or JSON with
    such keys; a column `split` says what is train, val and test.  val and test: else shares of the
    pictures (None: SHARE), drawn by `seed`.  linked: hard links, not copies.  Returns root's path.
    Raises `BadInput` for what cannot be read and for a root that holds something else.
    """
    sentences, sides = gather(captions, read_rows(captions), pictures)
    made = convert(root, "pictures of one's own", captions, sentences, pictures, sides, val, test,
                   seed, linked)
    if unsaid := undescribed(pictures, sentences, made):
        print(f"{captions} has no sentence of {len(unsaid)} pictures in {pictures}, which are left "
              f"out: {', '.join(unsaid[:NAMED])}{', ...' * (len(unsaid) > NAMED)}", file=sys.stderr)
    return made


def undescribed(folder, sentences, root):
    """Return the names of the pictures in a folder, hidden ones aside, that have no sentence.

    Those of `root`, which may lie in the folder, are copies.
    """
    formats, folder, root = Image.registered_extensions(), Path(folder).resolve(), root.resolve()
    names = [file.relative_to(folder).as_posix() for file in sorted(folder.rglob("*"))
             if formats.get(file.suffix.lower()) in Image.OPEN and root not in file.parents]
    return [name for name in names if name not in sentences and "/." not in f"/{name}"]


def gather(path, rows, pictures=None):
    """Return {file name: sentences} of rows and {file name: split} or None; list the empty rows.

    Raises `BadInput` for a name outside the folder, a split that is none or a second one of a
    picture, and if no row has a name and a sentence.
    """
    sentences, sides, empty = defaultdict(list), {}, []
    composed = listing(pictures, rows)
    names = {name: located(pictures, writable(name.strip()), composed)
             for name in dict.fromkeys(row.name for row in rows)}
    for row in rows:
        said = [writable(one.strip()) for one in row.sentences if says_something(one)]
        name = names[row.name]
        if name == "." or not said:
            empty.append(row.where)
        elif name not in sentences and not inside(name):
            raise BadInput(f"{path} names in {row.where} the picture {name!r}, which is outside "
                           "its folder or has control characters: write names as they are within "
                           "it")
        else:
            sentences[name] += said
            if row.split is not None:
                note_side(path, row, name, sides)
    if not sentences:
        raise BadInput(f"{path} names no picture with a caption: write a line for each")
    if empty:
        print(f"{path}: left out {len(empty)} lines without a file or a caption: "
              f"{', '.join(empty[:NAMED])}{', ...' * (len(empty) > NAMED)}", file=sys.stderr)
    if sides and len(sides) < len(sentences):
        raise BadInput(f"{path} gives {len(sides)} of {len(sentences)} pictures a split: give all "
                       "one, or none")
    return dict(sentences), sides or None


def note_side(path, row, name, sides):
    """Add {name: split} of a row to `sides`; `BadInput` for no split, or another than before."""
    side = SIDES.get(re.sub("(2014|2017)$", "", row.split.strip().lower()))
    if side is None:
        raise BadInput(f"{path} has in {row.where} the split {row.split.strip()!r}: understood are "
                       f"{', '.join(SIDES)}")
    if sides.setdefault(name, side) != side:
        raise BadInput(f"{path} has {name} in {row.where} in {side} and before in {sides[name]}: a "
                       "picture can only be in one")


def listing(folder, rows):
    """Return {name with composed accents: name} of a folder's files, if a row's name has accents.
    """
    if folder is None or all(row.name.isascii() for row in rows):
        return {}
    names = (file.relative_to(folder).as_posix() for file in Path(folder).rglob("*"))
    return {unicodedata.normalize("NFC", name): name for name in names}


def located(folder, name, composed):
    """Return a picture's name as the disk has it: accents as they are there, \\ becomes a slash."""
    refuse_web_address(name)
    slashed = PureWindowsPath(name).as_posix()
    if folder is None or not inside(name) or exists(Path(folder) / slashed):
        return slashed
    if exists(Path(folder) / name):         # where \ is a sign like any other
        return name
    return composed.get(unicodedata.normalize("NFC", slashed), slashed)


def read_lists(folder):
    """Return {file name: split} of Flickr8k's three official lists."""
    sides = {}
    for split, list_name in LISTS.items():
        for name in read_text(Path(folder) / list_name).split():
            if sides.setdefault(name, split) != split:
                raise BadInput(f"{Path(folder) / list_name} names {name}, which is in the list of "
                               f"{sides[name]} already: give the lists as they were published")
    return sides


def convert(root, what, source, sentences, pictures, sides=None, val=None, test=None, seed=0,
            linked=False):
    """Build root from {file name: sentences} and {file name: split}, or None to draw the splits.

    what, source: the names of the dataset and of its captions file, for `info` and messages.
    val, test: shares of the pictures, drawn by `seed`. linked: hard links in place of copies.
    Only one process at a time may make a root. Returns its path.
    """
    root, pictures = Path(root), Path(pictures)
    if sides and (val, test) != (None, None):
        print("what is train, val and test is said already, by a column or lists: --val and --test "
              "are not used", file=sys.stderr)
        val = test = None                   # nor do they make it another dataset
    val, test = (SHARE if share is None else share for share in (val, test))
    refuse_web_address(pictures)
    if not pictures.is_dir():
        raise BadInput(f"{pictures} is no folder: give the one with the pictures")
    contents = content_hashes([pictures / name for name in sentences])
    info = {"description": what,
            "made_from": cache_name([sentences, contents, sides, val, test, seed])}
    if holds(root, "annotations/captions_*.json", info):
        print(f"{root} already holds this")
        return root
    split = readable(Split(str(source), tuple(
        Picture(number, pictures / name, tuple(said))
        for number, (name, said) in enumerate(sentences.items(), 1))))
    splits = divide(split.pictures, val, test, seed) if sides is None else listed(
        split.pictures, pictures, sides)
    sweep_root(root)
    with whole_folder(root) as beside:
        place([(one.file.resolve(), beside / name / one.file.relative_to(pictures))
               for name, mine in splits.items() for one in mine], root, linked)
        write(beside, info, splits, pictures)
    print(f"{root}: " + ", ".join(f"{len(mine)} {name}" for name, mine in splits.items()))
    return root


def divide(pictures, val, test, seed):
    """Return {split: pictures}, drawn by `seed`; pictures of equal bytes are in one split."""
    if not (0 < val < 1 and 0 <= test < 1 and val + test < 1):
        raise BadInput(f"--val {val} and --test {test} leave nothing to train on or to validate "
                       "with: give shares such as 0.1")
    groups = defaultdict(list)
    contents = content_hashes([picture.file for picture in pictures])
    for picture, content in zip(pictures, contents, strict=True):
        groups[content].append(picture)
    drawn = in_drawn_order(groups, seed, lambda digest: digest)
    ends = {"val": max(1, round(val * len(drawn)))}
    ends["test"] = ends["val"] + (max(1, round(test * len(drawn))) if test else 0)
    if ends["test"] >= len(drawn):
        raise BadInput("too few different pictures to divide into train, val and test, "
                       f"{len(drawn)}: add more")
    parts = {"train": drawn[ends["test"]:], "val": drawn[:ends["val"]],
             "test": drawn[ends["val"]:ends["test"]]}
    return {name: [picture for digest in digests for picture in groups[digest]]
            for name, digests in parts.items() if digests}


def listed(pictures, folder, sides):
    """Return {split: pictures} by {file name: split}, without what is in none.

    Of pictures with equal bytes in several splits only those of one stay: test, else val.
    """
    splits = {name: [] for name in LISTS}
    for picture in pictures:
        side = sides.get(picture.file.relative_to(folder).as_posix())
        splits.get(side, []).append(picture)
    inside_lists = sum(map(len, splits.values()))
    if inside_lists < len(pictures):
        print(f"left out {len(pictures) - inside_lists} pictures that are in no list")
    seen = {}
    for name in reversed(LISTS):
        digests = content_hashes([picture.file for picture in splits[name]])
        kept = [picture for picture, digest in zip(splits[name], digests, strict=True)
                if seen.setdefault(digest, name) == name]
        if len(kept) < len(digests):
            print(f"left out of {name} what is in another split as well, byte for byte: "
                  f"{len(digests) - len(kept)}")
        splits[name] = kept
    if any(not splits[name] for name in {"train", *sides.values()}):
        raise BadInput(f"the lists or the splits name no picture of {folder} for one of "
                       f"{', '.join(LISTS)}: give those that belong to these pictures")
    return {name: mine for name, mine in splits.items() if mine}


def write(root, info, splits, folder):
    """Write the annotations of COCO's layout into root; the pictures came from `folder`."""
    number = 0
    for name, mine in splits.items():
        annotations = []
        for picture in mine:
            for sentence in picture.sentences:
                number += 1
                annotations.append({"id": number, "image_id": picture.id, "caption": sentence})
        images = [{"id": one.id, "file_name": one.file.relative_to(folder).as_posix()}
                  for one in mine]
        write_json(root / "annotations" / f"captions_{name}.json",
                   {"info": info, "images": images, "annotations": annotations})
