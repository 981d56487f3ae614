"""Check every picture, caption and id of a dataset, and say whether it is whole.

    root --check--> what it holds and all that is wrong with it, printed and returned

A fault makes the verdict bad: what it touches is lost to training, or scores would not mean what
they say. A remark (REMARKS) does not.
"""

import os
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path
from statistics import median

from coco.dataset import (
    PREPARE,
    WORDS,
    find_split,
    read_annotations,
    says_something,
    split_names,
    unknown_splits,
)
from coco.readable import NAMED, faults_of
from system.contents import content_hashes
from system.files import BadInput
from vocabulary import tokenize

UNKNOWN = "splits whose names are not understood"
REMARKS = ("empty captions", "captions given twice to one picture", "captions that share an id",
           "pictures without captions", "equal pictures within a split", UNKNOWN)


def check(root):
    """Print a table of what `root` holds and what is wrong with it; return it as a dict.

    Its "verdict" is "good" or "bad"; "found" has every case, by kind; "splits" has statistics.
    Raises `BadInput` if root is no dataset at all.
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
    if None in (find_split(root, word) for word in WORDS):
        found[UNKNOWN] += [f"{name}; understood are {', '.join(sum(WORDS.values(), ()))}"
                           for name in unknown_splits(root)]
    found = {kind: cases for kind, cases in found.items() if cases}
    report = {"root": str(root), "splits": splits, "found": found,
              "verdict": "good" if set(found) <= set(REMARKS) else "bad"}
    print(table(report))
    return report


def check_captions(name, images, annotations, found):
    """Add to `found` the captions and pictures that do not match; return `statistics`."""
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
    """Return a case, a sentence that begins with `where`, for each value that occurs repeatedly."""
    return [f"{where}: {value!r} {times} times" for value, times in Counter(values).items()
            if times > 1]


def statistics(sentences):
    """Return the numbers of pictures, captions and words in {image id: sentences}."""
    lengths, words = [], set()
    for mine in sentences.values():
        for sentence in map(tokenize, mine):
            lengths.append(len(sentence))
            words.update(sentence)
    return {"pictures": len(sentences), "captions": len(lengths),
            "words each": median(lengths) if lengths else 0,
            "longest": max(lengths, default=0), "distinct words": len(words)}


def check_pictures(folder, images, found):
    """Open every picture; return, in one dict, {id: file} and {hash of the bytes: file}."""
    files = [folder / image["file_name"] for image in images]
    seen = dict(zip((image["id"] for image in images), files, strict=True))
    for file, digest, reason in zip(files, content_hashes(files), faults_of(files), strict=True):
        if reason:
            kind = "that cannot be read" if os.path.exists(file) else "missing"
            found[f"pictures {kind}"].append(reason)
        elif digest in seen:
            found["equal pictures within a split"].append(f"{seen[digest]} and {file}")
        else:
            seen[digest] = file
    return seen


def check_sides(root, pictures, found):
    """Add to `found` the pictures that two of train, val and test share, by id or by bytes."""
    sides = [name for name in (find_split(root, word) for word in WORDS) if name in pictures]
    for one, other in combinations(sides, 2):
        common = pictures[one].keys() & pictures[other].keys()
        found["pictures on both sides"] += sorted(
            f"{pictures[one][key]} and {pictures[other][key]} "
            f"({f'both have id {key}' if isinstance(key, int) else 'equal bytes'})"
            for key in common)


def table(report):
    """Return a report as lines of text: splits, what was found, the verdict."""
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
