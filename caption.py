"""Describe photographs: paths in, sentences out, with the captioner in the box or one's own.

    paths --find_pictures--> files --describe_files--> Described, one by one --> lines, gallery

Pictures are described a batch at a time, and what is known of one is written as soon as it is its
turn: ten thousand take no more memory than a hundred. A picture that cannot be
read is reported and the others go on. Under torchrun every process takes its share of the pictures
and the first one writes, in order, what all have found.
"""

import argparse
import glob
import json
import re
import sys
from itertools import islice, zip_longest
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm import tqdm

from captioning.checkpoint import load_captioner
from captioning.evaluation import caption_batch
from captioning.gallery import Gallery
from coco.pictures import open_picture
from decoders.search import Search
from encoders.encoding import encode, fast, in_order
from system.distributed import gather, is_main, processes, rank, world_size
from system.files import BadInput, run_command

SHIPPED = Path(__file__).parent / "checkpoints" / "critical-flickr8k.safetensors"
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
AT_ONCE = 32                # pictures per pass through the networks


class Described(NamedTuple):
    """A picture's file and its sentences, best first, or why it could not be read."""

    file: Path
    sentences: list
    error: str = ""


def find_pictures(places):
    """The picture files at paths, in folders (to the bottom) and of patterns, each once."""
    files = []
    for place in places:
        matches = [] if Path(place).exists() else sorted(glob.glob(str(place), recursive=True))
        for match in map(Path, matches or [place]):     # not there is one way to be broken
            files += pictures_in(match) if match.is_dir() else [match]
    return list(dict.fromkeys(files))


def pictures_in(folder):
    """The pictures in a folder and the folders in it, by their suffix, in the order of paths."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES
                   and not file.name.startswith("."))
    if not files:
        raise BadInput(f"{folder} holds no picture ({' '.join(SUFFIXES)}): give another folder")
    return files


def describe_files(captioner, files, settings=None):
    """Yield a `Described` for every file, in order; each core works on some of its own."""
    network = fast(captioner.encoder.backbone)
    captioner.decoder.eval()                        # before the threads: they would take turns

    def work(start):
        some = files[start:start + AT_ONCE]
        images = [read(captioner, file) for file in some]
        whole = [image for image in images if not isinstance(image, str)]
        sentences = iter(caption_batch(captioner, encode(network, torch.stack(whole)), settings)
                         if whole else [])
        return [Described(file, [], image) if isinstance(image, str)
                else Described(file, next(sentences))
                for file, image in zip(some, images, strict=True)]

    for found in in_order(work, range(0, len(files), AT_ONCE)):
        yield from found


def read(captioner, file):
    """A file as the captioner's input (3, S, S), or why it cannot be read."""
    try:
        return captioner.transform(open_picture(file, "replace it, or leave it out"))
    except BadInput as error:
        return str(error)


def shared_out(captioner, files, settings):
    """`describe_files`, each process its share: all are yielded in the main one, in order."""
    mine = describe_files(captioner, files[rank()::world_size()], settings)
    for _ in range(0, len(files), AT_ONCE * world_size()):
        dealt = gather(list(islice(mine, AT_ONCE)))
        for row in zip_longest(*dealt):
            yield from (one for one in row if one is not None)


def lines_of(found, as_json):
    """What is printed of a picture: path, tab, sentence; or one JSON object."""
    if as_json:
        return json.dumps({"file": str(found.file), "captions": found.sentences},
                          ensure_ascii=False)
    control = re.compile(r"[\x00-\x1f\x7f-\x9f]")       # a name may hold what a line may not
    return "\n".join(f"{control.sub('?', str(found.file))}\t{control.sub('?', sentence)}"
                     for sentence in found.sentences)


def arguments():
    parser = argparse.ArgumentParser(
        description="Describe pictures: one line each, path, tab, sentence. Without network. "
        "The exit status is 1 if a picture could not be read, 2 if nothing could be done.")
    parser.add_argument("pictures", nargs="+",
                        help="pictures, folders with all in them, patterns like 'a/*.jpg'")
    parser.add_argument("--checkpoint", default=SHIPPED,
                        help="a .safetensors checkpoint or a run's folder (the one in the box)")
    parser.add_argument("--beam", type=int, default=Search.beam, help="beams; 1 is greedy (3)")
    parser.add_argument("--captions", type=int, default=1,
                        help="sentences a picture, best first, at most as many as beams (1)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead")
    parser.add_argument("--gallery", help="write a web page of the pictures to this .html file")
    parser.add_argument("--references", help="COCO captions file; the gallery then scores every "
                        "picture whose file name it holds, and shows the worst first")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu",
                        help="cpu, cuda or mps (%(default)s)")
    return parser.parse_args()


def main():
    options = arguments()
    if not 1 <= options.captions <= options.beam:
        raise BadInput("--beam takes a whole number of 1 or more, --captions one from 1 to --beam")
    if options.references and not options.gallery:
        raise BadInput("--references scores pictures in a gallery: add --gallery FILE.html")
    files = find_pictures(options.pictures)
    settings = Search(beam=options.beam, captions=options.captions)
    with processes(options.device) as device:
        captioner = load_captioner(options.checkpoint, device)
        gallery = None
        if options.gallery and is_main():
            gallery = Gallery(options.gallery, options.references)
        broken = report(shared_out(captioner, files, settings), len(files), options.json, gallery)
        if gallery:
            gallery.write(f"{Path(options.checkpoint).name}, {settings}")
    return 1 if broken else 0


def report(described, total, as_json, gallery):
    """Print every `Described` as it comes and add it to the gallery, if any; how many broke."""
    broken = 0
    write = tqdm.write if sys.stdout.isatty() else print    # past the bar where both share a screen
    quiet = total == 1 or not is_main()
    with tqdm(total=total, unit="picture", leave=False, disable=quiet) as bar:
        for found in described:
            bar.update()
            if found.error:
                broken += 1
                tqdm.write(f"error: {found.error}", file=sys.stderr)
                continue
            write(lines_of(found, as_json))
            sys.stdout.flush()                      # whoever reads them need not wait for the end
            if gallery:
                gallery.add(found.file, found.sentences)
    return broken


if __name__ == "__main__":
    run_command(main)
