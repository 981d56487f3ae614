"""Is a dataset whole? Every picture, caption and id of a root looked at, and a verdict.

    check(root)         what a root holds and all that is wrong with it, printed and returned
    readable(split)     the split without the pictures that cannot be read: before training, so
                        that one bad picture among thousands is left out, not met after an hour

A fault makes the verdict bad: what it touches is lost to training, or scores would not mean what
they say. A remark (REMARKS) does not.
"""

import sys
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from statistics import median

from tqdm.auto import tqdm

from coco.dataset import (
    PREPARE,
    Split,
    find_split,
    open_picture,
    read_annotations,
    says_something,
    split_names,
)
from encoders.features import CACHE, name_of, state
from system.files import BadInput, content_hash, read_json, write_json
from vocabulary import tokenize

AT_ONCE = 256               # pictures between two steps of the progress bar
NAMED = 5                   # cases of a fault that are named; the others are counted
SIDES = ("train", "val", "test")
REMARKS = ("empty captions", "captions given twice to one picture", "captions that share an id",
           "pictures without captions", "equal pictures within a split")


def readable(split, cache=None):
    """The split without the pictures that cannot be read, which are listed on stderr.

    Every picture is opened once; the verdict is kept on disk and holds until a file changes.
    Raises `BadInput` if none can be read.
    """
    files = [picture.file for picture in split.pictures]
    name = name_of([[str(file), state(file)] for file in files])
    path = Path(cache or CACHE) / "readable" / f"{name}.json"
    if not path.exists():
        reasons = [reason for _, reason in look_at(files)]
        write_json(path, {"bad": [[n, reason] for n, reason in enumerate(reasons) if reason]}, 1)
    bad = dict(read_json(path, "delete it")["bad"])
    if not bad:
        return split
    told = f"{len(bad)} of {len(files)} pictures of {split.name} cannot be read"
    if len(bad) == len(files):
        raise BadInput(f"{told}, so none is left; the first: {bad[0]}")
    print(f"{told} and are left out (all are named in {path}):", *list(bad.values())[:NAMED],
          sep="\n  ", file=sys.stderr)
    return Split(f"{split.name} ({len(bad)} unreadable left out)",
                 tuple(one for index, one in enumerate(split.pictures) if index not in bad))


def look_at(files):
    """(hash of its bytes, None) for a picture that can be read, else (None, what is wrong)."""
    def look(file):
        try:
            open_picture(file)
            return content_hash(file), None
        except BadInput as error:
            return None, str(error)

    seen = []
    with ThreadPoolExecutor(4) as pool, tqdm(total=len(files), desc="checking pictures",
                                             unit="picture", leave=False) as bar:
        for start in range(0, len(files), AT_ONCE):
            seen += pool.map(look, files[start:start + AT_ONCE])
            bar.update(len(seen) - start)
    return seen


def check(root):
    """Print a table of what `root` holds and what is wrong with it; return it as a dict.

    report["verdict"] is "good" or "bad": a command ends with exit status 1 for "bad".
    report["found"] has every case, by kind. Raises `BadInput` if root is no dataset at all.
    """
    names = split_names(root)
    if not names:
        raise BadInput(f"{root} holds no annotations/captions_*.json: {PREPARE}")
    found, splits, pictures = defaultdict(list), {}, {}
    for name in names:
        try:
            images, annotations = read_annotations(
                Path(root) / "annotations" / f"captions_{name}.json")
        except BadInput as error:
            found["annotations that cannot be used"].append(str(error))
            continue
        splits[name] = check_captions(name, images, annotations, found)
        pictures[name] = check_pictures(Path(root) / name, images, found)
    check_sides(root, pictures, found)
    found = {kind: cases for kind, cases in found.items() if cases}
    report = {"root": str(root), "splits": splits, "found": found,
              "verdict": "good" if set(found) <= set(REMARKS) else "bad"}
    print(table(report))
    return report


def check_captions(name, images, annotations, found):
    """Match captions and pictures, adding to `found` what does not; returns statistics."""
    sentences = {image["id"]: [] for image in images}
    for number, one in enumerate(annotations):
        where = f"{name}: annotations[{number}] of image {one['image_id']}"
        if one["image_id"] not in sentences:
            found["captions of no picture"].append(where)
        elif says_something(one["caption"]):
            sentences[one["image_id"]].append(one["caption"])
        else:
            found["empty captions"].append(where)
    found["pictures that share an id"] += twice(name, (image["id"] for image in images))
    found["pictures that share a file"] += twice(name, (image["file_name"] for image in images))
    found["captions that share an id"] += twice(name, (
        one["id"] for one in annotations if isinstance(one.get("id"), int)))
    for id, mine in sentences.items():
        found["captions given twice to one picture"] += twice(f"{name}: image {id}", mine)
    found["pictures without captions"] += [f"{name}: image {id}" for id, mine in sentences.items()
                                           if not mine]
    return statistics(sentences)


def twice(where, values):
    """One case for each value that occurs more than once."""
    return [f"{where}: {value!r} {times} times" for value, times in Counter(values).items()
            if times > 1]


def statistics(sentences):
    """What {image id: sentences} amount to."""
    lengths, words = [], set()
    for mine in sentences.values():
        for sentence in map(tokenize, mine):
            lengths.append(len(sentence))
            words.update(sentence)
    return {"pictures": len(sentences), "captions": len(lengths),
            "words each": median(lengths) if lengths else 0,
            "longest": max(lengths, default=0), "distinct words": len(words)}


def check_pictures(folder, images, found):
    """Open every picture; returns {id: file} and {hash of the bytes: file} of a split in one."""
    files = [folder / image["file_name"] for image in images]
    seen = dict(zip((image["id"] for image in images), files, strict=True))
    for file, (digest, reason) in zip(files, look_at(files), strict=True):
        if reason:
            kind = "missing" if state(file) is None else "that cannot be read"
            found[f"pictures {kind}"].append(reason)
        elif digest in seen:
            found["equal pictures within a split"].append(f"{seen[digest]} and {file}")
        else:
            seen[digest] = file
    return seen


def check_sides(root, pictures, found):
    """A picture, by its id or by its bytes, must not be in two of train, val and test."""
    sides = [name for name in (find_split(root, word) for word in SIDES) if name in pictures]
    for one, other in combinations(sides, 2):
        common = pictures[one].keys() & pictures[other].keys()
        found["pictures on both sides"] += sorted(
            f"{pictures[one][key]} and {pictures[other][key]} "
            f"({f'both have id {key}' if isinstance(key, int) else 'equal bytes'})"
            for key in common)


def table(report):
    """A report as lines of text: splits, what was found, the verdict."""
    columns = list(next(iter(report["splits"].values()), []))
    wide = max(map(len, ["split", *report["splits"]]))
    lines = [f"{'split':{wide}}  " + "  ".join(columns)] if columns else []
    for name, row in report["splits"].items():
        lines.append(f"{name:{wide}}  " + "  ".join(
            f"{row[column]:>{len(column)}g}" for column in columns))
    for kind, cases in report["found"].items():
        lines.append(f"{'remark' if kind in REMARKS else 'FAULT'}: {kind}: {len(cases)}")
        lines += [f"  {case}" for case in cases[:NAMED]]
        lines += [f"  and {len(cases) - NAMED} more"] * (len(cases) > NAMED)
    advice = {"good": "train on it", "bad": "mend what is marked FAULT, or prepare it again"}
    return "\n".join([*lines, f"{report['root']} is {report['verdict']}: "
                      f"{advice[report['verdict']]}"])
