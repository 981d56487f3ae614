"""Describe photographs: paths in, sentences out, with the captioner in the box or one's own.

    options --search_of--> Search;  paths --photos.py--> Described, one by one --> lines, gallery

    python caption.py photo.jpg
    python caption.py clip.gif --checkpoint runs/paragraphs
    python caption.py photos --sample 5 --temperature 0.8 --gallery page.html

A line is written as soon as its picture is described. What only some calls need, such as the
gallery, is imported only then: describing one photograph starts half a second after torch.
"""

import argparse
import json
import math
import sys
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

from tqdm import tqdm

from calibration.law import GUESS, judge_of
from captioning.checkpoint import SHIPPED, load_captioner, refuse_needless
from captioning.photos import Described, describe_distributed, find_pictures, short_names
from decoders.constrained import MOST
from decoders.search import Search
from system.commands import one_line, run_command
from system.distributed import is_main, processes
from system.files import BadInput
from system.processor import add_device, name_gpu
from system.tensor_file import best_file, kind_of
from video.readers import CLIPS, TIMES

FROM_ONE = "a whole number of 1 or more", lambda value: value >= 1
RANGES = {                  # of the options for the search: what each takes, and whether it does
    "beam": FROM_ONE, "captions": FROM_ONE, "sample": FROM_ONE, "top_k": FROM_ONE,
    "no_repeat": ("a whole number of 0 or more", lambda value: value >= 0),
    "max_length": ("a whole number of 3 or more", lambda value: value >= 3),
    "temperature": ("a number above 0", lambda value: 0 < value < math.inf),
    "top_p": ("a number above 0 and at most 1", lambda value: 0 < value <= 1),
    "seed": ("a whole number from 0 to 4294967295", lambda value: 0 <= value < 2**32),
    "naming": (f"1 to {MOST} words with commas between them",
               lambda value: value.count(",") < MOST and all(map(str.strip, value.split(","))))}
ONLY_BEAMS, ONLY_SAMPLES = {"beam", "captions", "naming"}, {"temperature", "top_k", "top_p", "seed"}


def arguments():
    parser = argparse.ArgumentParser(
        description="Describe pictures: one line each, path, tab, sentence, and with a tab '(a "
        "guess)' where a calibrated captioner has little confidence; or clips in "
        "paragraphs, with a checkpoint of --recipe paragraphs. No network is needed. "
        "The exit status is 1 if a picture could not be read, 2 if nothing could be done.")
    parser.add_argument("pictures", nargs="+",
                        help="pictures, folders with all in them, patterns like 'a/*.jpg'; or "
                        "clips")
    parser.add_argument("--checkpoint", default=SHIPPED,
                        help="a .safetensors checkpoint or a run's folder (the one in the box)")
    parser.add_argument("--boxes", metavar="FILE", help="weights of the detector that a captioner "
                        "of regions needs, if they are not the published ones")
    parser.add_argument("--beam", type=int, help=f"beams; 1 is greedy ({Search.beam})")
    parser.add_argument("--captions", type=int,
                        help="sentences a picture, best first, at most as many as beams (1)")
    parser.add_argument("--naming", metavar="WORDS", help="words like cup,table that every "
                        "sentence names, each in singular or plural (none)")
    parser.add_argument("--no-repeat", type=int, metavar="N",
                        help="no N words in a row occur twice in a sentence; 0 is off (as the "
                        "captioner was trained)")
    parser.add_argument("--max-length", type=int, metavar="N", help="ids of a sentence at most, "
                        "<start> and <end> counted (as the captioner was trained)")
    parser.add_argument("--sample", type=int, metavar="N",
                        help="instead of beams draw N sentences of each picture, likeliest first")
    parser.add_argument("--temperature", type=float, help="divides the log-probabilities before a "
                        f"word is drawn; below 1 is safer, above 1 bolder ({Search.temperature})")
    parser.add_argument("--top-k", type=int, help="draw among the K likeliest words only (all)")
    parser.add_argument("--top-p", type=float, help="draw among the fewest words whose "
                        "probabilities add up to this (1, which is all)")
    parser.add_argument("--seed", type=int, help=f"random seed of a sample ({Search.seed})")
    parser.add_argument("--views", type=int, choices=(1, 2, 3), default=1, help="sizes in which "
                        "each picture is read, its words chosen by their mean probability: the "
                        "captioner's own, one larger, two larger; better on average, slower (1)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead, with "
                        "the probability that a sentence names no object that is absent")
    parser.add_argument("--gallery", help="write a web page of the pictures to this .html file")
    parser.add_argument("--references", help="COCO captions file; the gallery then scores every "
                        "picture whose file name it holds, and shows the worst first")
    add_device(parser)
    return parser.parse_args()


def search_of(options):
    """Return the `Search` that the options ask for; raise `BadInput` for one that cannot be had.

    What it is to name depends on the captioner, so --naming is only checked.
    """
    given = {name: value for name, value in vars(options).items()
             if name in RANGES and value is not None}
    for name, value in given.items():
        takes, allowed = RANGES[name]
        if not allowed(value):
            raise BadInput(f"{written(name)} takes {takes}, not {value}")
    sampling = "sample" in given
    for name in sorted((ONLY_BEAMS if sampling else ONLY_SAMPLES) & given.keys()):
        raise BadInput(f"{written(name)} " + (
            "is for beams: leave it or --sample out" if sampling else
            "is for sampling: add --sample N, or leave it out"))
    given.pop("naming", None)
    captions = given.pop("sample" if sampling else "captions", 1)
    if not sampling and captions > (beams := given.get("beam", Search.beam)):
        raise BadInput(f"--captions {captions} is more than there are beams, {beams}: add --beam "
                       f"{captions}, or give a smaller --captions")
    return Search("sample" if sampling else "beam", captions,
                  no_repeat_ngram=given.pop("no_repeat", Search.no_repeat_ngram), **given)


def written(name):
    """Return how an option is typed: top_k is --top-k."""
    return "--" + name.replace("_", "-")


def lines_of(found, as_json):
    """Return what is printed of a picture: path, tab, sentence a line; or one JSON object.

    A sentence whose confidence is known and low has another tab and a mark behind it.
    """
    if as_json:
        sure = [round(one, 4) for one in found.confidence]
        return json.dumps({"file": str(found.file), "captions": found.sentences,
                           **({"confidence": sure} if sure else {})}, ensure_ascii=False)
    return "\n".join(f"{one_line(str(found.file))}\t{one_line(sentence)}{mark}"
                     for sentence, mark in zip_longest(
                         found.sentences, map(mark_of, found.confidence), fillvalue=""))


def mark_of(confidence):
    """Return what stands behind a caption of this probability: a mark if it is a guess."""
    return "\t(a guess)" if confidence < GUESS else ""


def report(described, total, as_json, gallery):
    """Print every `Described` as it comes and add it to the gallery; return how many failed."""
    failed = 0
    screen = hasattr(sys.stdout, "isatty") and sys.stdout.isatty()
    write = tqdm.write if screen else print         # past the bar, if on one screen
    quiet = total == 1 or not is_main()
    with tqdm(total=total, unit="picture", leave=False, disable=quiet) as bar:
        for found in described:
            bar.update()
            if found.error:
                failed += 1
                tqdm.write(f"error: {one_line(found.error)}", file=sys.stderr)
                if gallery:
                    gallery.leave_out(found.file, found.error)
                continue
            write(lines_of(found, as_json))
            sys.stdout.flush()          # so that a program that reads the lines need not wait
            if gallery:
                gallery.add(found.file, found.sentences, found.likeliest, guesses=[
                    sentence for sentence, confidence in zip_longest(
                        found.sentences, found.confidence, fillvalue=1) if confidence < GUESS])
    return failed


def narrate(options, search, device):
    """Print paragraphs about each clip, with a checkpoint of --recipe paragraphs; return status."""
    from video.paragraphs.checkpoint import load_narrator  # here: photographs need none of it

    ignored = [name for name in ("boxes", "gallery", "references", "naming")
               if getattr(options, name)]
    if search.method == "beam" and search.captions > 1:
        ignored.append("captions")
    if options.views > 1:
        ignored.append("views")
    if ignored:
        raise BadInput(f"{written(ignored[0])} is not for clips: leave it out")
    narrator, failed = load_narrator(options.checkpoint, device), 0
    if options.max_length is None:
        search = replace(search, max_length=narrator.longest)
    for place in options.pictures:
        try:
            found = [" ".join(one) for one in narrator.narrate(place, search)]
        except BadInput as error:
            failed += 1
            print(f"error: {one_line(str(error))}", file=sys.stderr)
            continue
        print(lines_of(Described(Path(place), found), options.json), flush=True)
    return 2 if failed == len(options.pictures) else min(failed, 1)


def refuse_clips(places):
    """Raise `BadInput` for a clip, which a captioner of pictures cannot describe."""
    for place in map(Path, places):
        if (place / TIMES).exists() or place.suffix.lower() in CLIPS:
            raise BadInput(f"{place} is a clip, and the checkpoint describes pictures: give "
                           "--checkpoint a run of --recipe paragraphs, or frames as pictures")


def open_gallery(options, files):
    """Return the gallery of files that the options ask for, in the main process; otherwise None."""
    if not options.gallery or not is_main():
        return None
    from captioning.gallery import Gallery  # here: it imports the scores and jinja2

    return Gallery(options.gallery, options.references, sampled=options.sample is not None,
                   names=short_names(files, options.pictures))


def main():
    options = arguments()
    search = search_of(options)
    if options.references and not options.gallery:
        raise BadInput("--references scores pictures in a gallery: add --gallery FILE.html")
    if kind_of(best_file(options.checkpoint), "give a captioner, or a run's folder") == "narrator":
        return narrate(options, search, options.device)
    refuse_clips(options.pictures)
    with processes(options.device) as device:
        files = find_pictures(options.pictures)
        captioner = load_captioner(options.checkpoint, device, options.boxes)
        refuse_needless(options.boxes, [captioner])
        if options.views > 1:
            from captioning.ensemble import Views  # here: one view needs none of it

            captioner = Views(captioner, options.views)
        if options.max_length is None:
            search = replace(search, max_length=captioner.max_length)
        if options.no_repeat is None:
            search = replace(search, no_repeat_ngram=captioner.no_repeat_ngram)
        if options.naming:
            search = replace(search, naming=captioner.naming(options.naming.split(",")))
        gallery = open_gallery(options, files)
        name_gpu(device)
        # a gallery shows what is likeliest beside what was drawn
        second = (replace(search, method="beam", captions=1)
                  if options.gallery and search.method == "sample" else None)
        # a word that had to be said is no claim of the captioner's
        judge = judge_of(captioner) if not search.naming else None
        described = describe_distributed(captioner, files, search, second, judge)
        failed = report(described, len(files), options.json, gallery)
        if gallery and failed < len(files):
            gallery.write(f"{Path(options.checkpoint).name}, {captioner.search_words(search)}",
                          captioner.search_line(search))
            print(f"wrote {gallery.path}", file=sys.stderr)
        elif gallery:
            print(f"{options.gallery} was not written: nothing could be described",
                  file=sys.stderr)
    if failed == len(files):
        return 2
    return 1 if failed else 0


if __name__ == "__main__":
    run_command(main, shared=True)
