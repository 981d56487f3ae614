"""Captions of COCO's size are opened in bounded memory: 590,000 of 118,000 pictures.

Run from the repository's root: python tests/check_memory.py
"""

import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

PICTURES, CAPTIONS = 118_000, 590_000
WORDS = 27_000              # different ones in COCO's captions
LIMIT = 1.5e9               # bytes


def write_annotations(path):
    """A captions file as COCO's own, written line by line to keep this process small."""
    rng = random.Random(0)
    path.parent.mkdir(parents=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"info": {}, "licenses": [], "images": [')
        for id in range(PICTURES):
            file.write(f'{"," * (id > 0)}\n{{"license": 3, "file_name": "{id:012d}.jpg", "coco_url"'
                       f': "http://images.cocodataset.org/train2017/{id:012d}.jpg", "height": 427, '
                       '"width": 640, "date_captured": "2013-11-14 11:18:45", "flickr_url": '
                       f'"http://farm9.staticflickr.com/8186/{id:010d}_z.jpg", "id": {id}}}')
        file.write('], "annotations": [')
        for id in range(CAPTIONS):
            words = " ".join(f"w{int(WORDS ** rng.random())}" for _ in range(rng.randint(8, 13)))
            words = "so " * 10_000 if id == 7 else words
            file.write(f'{"," * (id > 0)}\n{{"image_id": {id % PICTURES}, "id": {id}, "caption": '
                       f'"{words}."}}')
        file.write("]}")


def open_all(root):
    """What a training run does before its first step; prints this process's peak of memory."""
    sys.path.insert(0, "")
    from coco.dataset import read_split
    from data_loader import CaptionData, tokenized
    from vocabulary import Vocabulary

    split = read_split(root, "train")
    data = CaptionData(split, Vocabulary.build(tokenized(split), 5))
    assert len(data) == CAPTIONS and len(split.pictures) == PICTURES
    assert sum(len(rows.captions) for rows in data.order(64)) == CAPTIONS
    print(peak())


def peak():
    """Most bytes of memory this process has had."""
    try:
        import resource
    except ImportError:                                         # Windows
        import psutil
        return psutil.Process().memory_info().peak_wset
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main():
    with tempfile.TemporaryDirectory() as folder:
        write_annotations(Path(folder) / "annotations" / "captions_train.json")
        (Path(folder) / "annotations" / "captions_val.json").touch()    # train lends it none
        for times in ("first", "second"):               # then with what the first one kept
            child = subprocess.run(
                [sys.executable, __file__, folder], check=True, text=True, stdout=subprocess.PIPE,
                env={**os.environ, "CAPTION_CACHE": folder})
            used = int(child.stdout)
            print(f"{CAPTIONS} captions of {PICTURES} pictures, opened for the {times} time: "
                  f"{used / 1e9:.2f} GB at most")
            assert used <= LIMIT, f"more than {LIMIT / 1e9} GB"


if __name__ == "__main__":
    open_all(sys.argv[1]) if sys.argv[1:] else main()
