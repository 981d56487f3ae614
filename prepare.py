"""Get data onto disk, in COCO's layout, one command for each source.

    python prepare.py scenes                                  drawn here, nothing to download
    python prepare.py questions                               the same, and questions about it
    python prepare.py motion                                  clips in which these things move
    python prepare.py coco --subset 1000                      COCO, a part of it or whole
    python prepare.py karpathy dataset_coco.json              the split on which papers compare
    python prepare.py flickr8k Images captions.txt            Flickr8k as you have it
    python prepare.py folder photos captions.csv              your own pictures
    python prepare.py lent --captioned .. --asked .. --texts ..   questions in place of captions
    python prepare.py check data/coco                         is it all there, and sound?
    python prepare.py cache                                   what is kept, and how large it is

Each leaves the whole or a part from which the same command goes on, and ends by saying the next
command. Two at once on one folder do not meet: the second is refused.
"""

import argparse
import os
import tempfile
from functools import partial
from itertools import product
from pathlib import Path

from coco import sources
from coco.checkup import check
from coco.karpathy import karpathy
from coco.official import HOST, download_coco
from scenes import dataset as scenes
from scenes.motion import dataset as motion
from scenes.questions import dataset as questions
from system.cache import CACHE, cache_name
from system.commands import command_line, run_command
from system.files import BadInput, amount
from system.kept import empty, kept
from system.locks import lock
from system.roots import output_folder, sweep_root

# by what was prepared, as the README trains on it; all else by the default
RECIPES = {"scenes": "small", "questions": "vqa_grounded", "motion": "actions", "folder": "own",
           "lent": "own"}


def locked(root):
    """Return a lock that keeps other commands away from `root`; `BadInput` if it cannot be had."""
    root = root.resolve()
    # not in root, which may hold something else and must then stay as it is; and of this user, as
    # another's file in a folder that all share may not be opened
    user = os.getuid() if hasattr(os, "getuid") else "own"
    name = f"prepare-{user}-{cache_name(str(root))}.lock"
    try:
        return lock(Path(tempfile.gettempdir()) / name, f"another command is preparing {root}: "
                    "wait until it ends, or give another --root", patience=0)
    except OSError as error:
        raise BadInput(f"the lock {name} cannot be written among the temporary files "
                       f"({error.strerror}): set the environment variable TMPDIR to a folder of "
                       "your own") from None


def draw_scenes(options, draw=scenes.draw):
    draw(options.root, {split: getattr(options, split) for split in scenes.SIZES}, options.seed)
    sweep_root(options.root)    # here, as a notebook, which has no lock, may draw them too


def get_coco(options):
    download_coco(options.root, options.year, options.subset, options.seed, options.base_url)


def apply_karpathy(options):
    karpathy(options.root, options.split_file, options.coco, options.link)


def convert_flickr8k(options):
    sources.flickr8k(options.root, options.captions, options.pictures, options.lists,
                     options.val, options.test, options.seed, options.link)


def convert_folder(options):
    sources.folder(options.root, options.pictures, options.captions, options.val, options.test,
                   options.seed, options.link)


def lend_captions(options):
    from pseudo_captions.dataset import lend  # imports torch, which takes a second

    lend(options.root, options.captioned, options.asked, options.texts, options.without,
         options.sentences, seed=options.seed, linked=options.link)


def show_cache(options):
    """Print what the cache holds, by kind, and empty it if the options say so."""
    found = empty() if options.empty else kept()
    print(f"{CACHE.absolute()}{' held, and is empty now' * options.empty}:")
    for kind, (what, count, size) in found.items():
        print(f"  {kind:9} {count:6} files {amount(size):>9}   {what}")
    if not options.empty:
        print(f"{amount(sum(size for _, _, size in found.values()))} in all; "
              "python prepare.py cache --empty deletes them")


def add_source(commands, name, run, root, text):
    """Add and return the parser of the command `name`, which makes a dataset by `run(options)`."""
    one = commands.add_parser(name, help=text, description=f"To {text}.")
    one.add_argument("--root", default=root, help="the folder to make (%(default)s)")
    one.set_defaults(run=run)
    return one


def add_lent(source):
    """Add and return the parser of lent captions; source: `add_source` of the commands."""
    lent = source("lent", lend_captions, "data/lent",
                  "lend captions to pictures that have only questions")
    lent.add_argument("--captioned", required=True, metavar="ROOT",
                      help="a dataset with captions, whose val it will have")
    lent.add_argument("--asked", required=True, metavar="ROOT",
                      help="pictures with questions in VQA v2's layout")
    lent.add_argument("--texts", required=True, nargs="+", metavar="FILE",
                      help="COCO captions files, whose sentences are lent")
    lent.add_argument("--without", nargs="+", default=[], metavar="ROOT",
                      help="datasets whose pictures, by their ids, are left out")
    lent.add_argument("--sentences", type=at_least_one, default=5, metavar="N",
                      help="lent to each picture (%(default)s)")
    return lent


def parse(arguments):
    """Return the options of a command line."""
    parser = argparse.ArgumentParser(
        description="Get data onto disk in COCO's layout. Started again, an interrupted command "
        "goes on where it stopped. Defaults in brackets.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    source = partial(add_source, commands)
    drawn = source("scenes", draw_scenes, "data/scenes", "draw the embedded dataset")
    asked = source("questions", partial(draw_scenes, draw=questions.draw), "data/questions",
                   "draw pictures, and questions about them")
    moving = source("motion", partial(draw_scenes, draw=motion.draw), "data/motion",
                    "draw clips, paragraphs about them, and labels of their frames")
    for one, (split, size) in product((drawn, asked), scenes.SIZES.items()):
        one.add_argument(f"--{split}", type=int, default=size, metavar="N",
                         help=f"pictures in {split} (%(default)s)")
    for split, size in motion.SIZES.items():
        moving.add_argument(f"--{split}", type=int, default=size, metavar="N",
                            help=f"clips in {split} (%(default)s)")
    coco = source("coco", get_coco, "data/coco", "fetch COCO, whole (20 GB) or a part of it")
    coco.add_argument("--year", type=int, choices=(2014, 2017), default=2017, help="(%(default)s)")
    coco.add_argument("--subset", type=at_least_one, metavar="N",
                      help="only N pictures of train and a fifth as many of val (all)")
    coco.add_argument("--base-url", default=HOST, help="a server with COCO's paths (%(default)s)")
    split = source("karpathy", apply_karpathy, "data/karpathy", "apply Karpathy's split to COCO")
    split.add_argument("split_file", help="his dataset_coco.json")
    split.add_argument("--coco", default="data/coco", help="where COCO is (%(default)s)")
    flickr8k = source("flickr8k", convert_flickr8k, "data/flickr8k", "convert Flickr8k")
    flickr8k.add_argument("pictures", help="the folder of photographs")
    flickr8k.add_argument("captions", help="captions.txt, Flickr8k.token.txt or "
                          "Flickr30k's")
    flickr8k.add_argument("--lists", help="the folder of Flickr_8k.trainImages.txt and the others, "
                          "which then say what is train, val and test")
    own = source("folder", convert_folder, "data/mine", "convert your own pictures")
    own.add_argument("pictures", help="their folder")
    own.add_argument("captions", help="CSV or JSON with columns or keys file and caption, "
                     "and split if you like")
    for one in (flickr8k, own):
        one.add_argument("--val", type=float, help="share of val (0.1)")
        one.add_argument("--test", type=float, help="share of test (0.1)")
    lent = add_lent(source)
    for one in (split, flickr8k, own, lent):
        one.add_argument("--link", action="store_true", help="make hard links, not copies: they "
                         "take no room, but a picture changed in one place changes in both")
    for one in (drawn, asked, moving, coco, flickr8k, own, lent):
        one.add_argument("--seed", type=int, default=0, help="random seed (%(default)s)")

    looked_at = commands.add_parser("check", help="look at every picture and caption of a dataset")
    looked_at.add_argument("root", help="the dataset")
    cache = commands.add_parser("cache", help="say what is kept, and how large it is")
    cache.add_argument("--empty", action="store_true", help="delete it; it is made again as needed")
    return parser.parse_args(arguments)


def at_least_one(text):
    """Return an option's text as a number from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1 picture")
    return number


def main(arguments=None):
    options = parse(arguments)
    if options.command == "cache":
        show_cache(options)
        return 0
    if options.command == "check":
        if check(options.root)["verdict"] == "bad":
            return 1
    else:
        options.root = output_folder(options.root, "--root")
        with locked(options.root):
            options.run(options)
    recipe = RECIPES.get(options.command)
    # by its recipe, since the notebooks call their runs as the data; pictures of one's own by name
    run = Path(options.root).resolve().name if recipe in (None, "own") else recipe
    print("next:", command_line("python", "train.py", "--data", options.root, "--run",
                                f"runs/{run}", *(("--recipe", recipe) if recipe else ())))
    return 0


if __name__ == "__main__":
    run_command(main)
