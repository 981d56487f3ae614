"""Convert other layouts to COCO's: Flickr8k's, and a folder of your own pictures.

    captions file --read_*--> {file name: sentences} --convert--> root, in COCO's layout

What cannot be used is left out and named: pictures that are missing or cannot be read, lines
without a file or a caption. The root is built beside its place and renamed when it is whole. A
picture's side is drawn by the hash of its bytes, so two copies of it never stand on both.
"""

import csv
import json
import re
import sys
from collections import defaultdict
from pathlib import Path, PureWindowsPath

from coco.dataset import Picture, Split, in_drawn_order, inside, says_something
from coco.karpathy import place
from coco.readable import NAMED, readable
from system.cache import cache_name, file_state
from system.files import BadInput, content_hash, holds, whole_folder, writable, write_json
from system.roots import sweep_root

FILE_NAMES = ("file", "filename", "image", "imagename", "picture", "photo", "path")
CAPTION_NAMES = ("caption", "captions", "sentence", "sentences", "description", "text", "comment")
LISTS = {"train": "Flickr_8k.trainImages.txt", "val": "Flickr_8k.devImages.txt",
         "test": "Flickr_8k.testImages.txt"}


def flickr8k(root, captions, pictures, lists=None, val=0.1, test=0.1, seed=0, linked=False):
    """Make `root` from Flickr8k and return its path; done at once if root already holds it.

    captions: `captions.txt` (image,caption) or `Flickr8k.token.txt` (image.jpg#0<TAB>caption).
    pictures: the folder of photographs.  lists: the folder of `Flickr_8k.trainImages.txt`,
    `devImages` and `testImages`; None divides by `seed` into shares of pictures, val and test.
    linked: hard links to the pictures in place of copies.
    Raises `BadInput` for what cannot be read and for a root that holds something else.
    """
    return convert(root, "Flickr8k", captions, read_flickr8k(captions), pictures,
                   read_lists(lists) if lists else None, val, test, seed, linked)


def folder(root, pictures, captions, val=0.1, test=0.1, seed=0, linked=False):
    """Make `root` from a folder of pictures and a file that names and describes them.

    captions: CSV with a column `file` and a column `caption`, a row per sentence, or JSONL with
    such keys.  val and test: shares of the pictures, drawn by `seed`.  linked: hard links to the
    pictures in place of copies.  Returns root's path.
    Raises `BadInput` for what cannot be read and for a root that holds something else.
    """
    text = read_text(captions)
    rows = read_jsonl if text.lstrip()[:1] == "{" else read_csv
    return convert(root, "pictures of one's own", captions, gather(captions, rows(captions, text)),
                   pictures, None, val, test, seed, linked)


def read_flickr8k(path):
    """Return {file name: sentences} of Flickr8k's captions, in either form."""
    pairs = []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        found = re.fullmatch(r"([^\t]+)#\d+\t(.*)|([^,\t]+),(.*)", line.strip())
        if found:
            name, sentence = found[1] or found[3], found[2] or found[4] or ""
            if re.fullmatch(r'".*"', sentence):     # quoted, since it has a comma or quotes
                sentence = sentence[1:-1].replace('""', '"')
            if (number, sentence) != (1, "caption"):
                pairs.append((f"line {number}", name, [sentence]))
        elif line.strip():
            raise BadInput(f"{path} has in line {number} neither 'image.jpg,caption' nor "
                           "'image.jpg#0<TAB>caption': give captions.txt or Flickr8k.token.txt")
    return gather(path, pairs)


def read_lists(folder):
    """Return {file name: split} of Flickr8k's three official lists."""
    sides = {}
    for split, list_name in LISTS.items():
        for name in read_text(Path(folder) / list_name).split():
            if sides.setdefault(name, split) != split:
                raise BadInput(f"{Path(folder) / list_name} names {name}, which is in the list of "
                               f"{sides[name]} already: give the lists as they were published")
    return sides


def read_csv(path, text):
    """Yield (where, file name, sentences) of a table whose first line names its columns."""
    first = text.partition("\n")[0]
    try:
        rows = csv.reader(text.splitlines(True), delimiter=max(",;\t|", key=first.count),
                          strict=True)
        names = [plain(name) for name in next(rows, [])]
        files = [column for column, name in enumerate(names) if name in FILE_NAMES]
        said = [column for column, name in enumerate(names) if name in CAPTION_NAMES]
        if not files or not said:
            raise BadInput(f"{path} names its columns {first.strip()[:80]!r} in the first line: "
                           "call one 'file' and one 'caption'")
        for row in rows:
            row += [""] * (len(names) - len(row))
            if any(row):
                yield f"line {rows.line_num}", row[files[0]], [row[column] for column in said]
    except csv.Error as error:
        raise BadInput(f"{path} is broken in line {rows.line_num} ({error}): a caption with a "
                       "comma or quotation marks needs quotation marks around it") from None


def plain(name):
    """Return a column's name without case, numbers and signs: 'File_name' -> 'filename'."""
    return re.sub(r"[\W\d_]+", "", str(name).lower())


def read_jsonl(path, text):
    """Yield (where, file name, sentences) of a file with a JSON object in every line."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = {plain(key): value for key, value in json.loads(line).items()}
            name = next(row[key] for key in FILE_NAMES if key in row)
            said = next(row[key] for key in CAPTION_NAMES if key in row)
            said = said if isinstance(said, list) else [said]
            if not all(isinstance(value, str) for value in [name, *said]):
                raise TypeError("they must be text")
        except (ValueError, TypeError, AttributeError, StopIteration, RecursionError):
            raise BadInput(f"{path} has in line {number} no JSON object with texts 'file' and "
                           "'caption': mend that line") from None
        yield f"line {number}", name, said


def gather(path, rows):
    """Return {file name: sentences} of rows (where, file name, sentences); list the empty rows.

    Raises `BadInput` for a name outside the folder, and if no row has a name and a sentence.
    """
    sentences, empty = defaultdict(list), []
    for where, name, said in rows:
        said = [writable(one.strip()) for one in said if says_something(one)]
        name = PureWindowsPath(writable(name.strip())).as_posix()
        if name == "." or not said:
            empty.append(where)
        elif not inside(name):
            raise BadInput(f"{path} names in {where} the picture {name!r}, which is outside its "
                           "folder: write names as they are within it")
        else:
            sentences[name] += said
    if not sentences:
        raise BadInput(f"{path} names no picture with a caption: write a line for each")
    if empty:
        print(f"{path}: left out {len(empty)} lines without a file or a caption: "
              f"{', '.join(empty[:NAMED])}{', ...' * (len(empty) > NAMED)}", file=sys.stderr)
    return dict(sentences)


def read_text(path):
    """Return the text of a file; raise `BadInput` if it is not there or not UTF-8."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): check the path") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not text in UTF-8: save it as such, which Excel calls "
                       "'CSV UTF-8'") from None


def convert(root, what, source, sentences, pictures, sides=None, val=0.1, test=0.1, seed=0,
            linked=False):
    """Build root from {file name: sentences} and {file name: split}, or None to draw the splits.

    what, source: the names of the dataset and of its captions file, for `info` and messages.
    val, test: shares of the pictures, drawn by `seed`. linked: hard links in place of copies.
    Only one process at a time may make a root. Returns its path.
    """
    root, pictures = Path(root), Path(pictures)
    if not pictures.is_dir():
        raise BadInput(f"{pictures} is no folder: give the one with the pictures")
    states = [file_state(pictures / name) for name in sentences]
    info = {"description": what,
            "made_from": cache_name([sentences, states, sides, val, test, seed])}
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
    for picture in pictures:
        groups[content_hash(picture.file)].append(picture)
    drawn = in_drawn_order(groups, seed, lambda digest: digest)
    ends = {"val": max(1, round(val * len(drawn)))}
    ends["test"] = ends["val"] + (max(1, round(test * len(drawn))) if test else 0)
    if ends["test"] >= len(drawn):
        raise BadInput(f"{len(drawn)} different pictures are too few to divide: add more")
    parts = {"train": drawn[ends["test"]:], "val": drawn[:ends["val"]],
             "test": drawn[ends["val"]:ends["test"]]}
    return {name: [picture for digest in digests for picture in groups[digest]]
            for name, digests in parts.items() if digests}


def listed(pictures, folder, sides):
    """Return {split: pictures} by the official lists, without what is in none of them."""
    splits = {name: [] for name in LISTS}
    for picture in pictures:
        side = sides.get(picture.file.relative_to(folder).as_posix())
        splits.get(side, []).append(picture)
    inside_lists = sum(map(len, splits.values()))
    if not all(splits.values()):
        raise BadInput(f"the lists name no picture of {folder} for one of {', '.join(LISTS)}: give "
                       "those that belong to these pictures")
    if inside_lists < len(pictures):
        print(f"left out {len(pictures) - inside_lists} pictures that are in no list")
    return splits


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
