"""Draw the moving scenes: clips, five true paragraphs about each, and labels of every frame.

    python prepare.py motion              # 900 clips from a seed; nothing is downloaded

    <split>/<clip>/000000.png, ...          frames of 112 x 112 pixels, and frames.json, their times
    annotations/events_<split>.json         what each clip shows, see truth.py
    activitynet/<split>_<1 to 5>.json       a paragraph of each clip, as in ActivityNet Captions
    multithumos/class_list.txt, annotations/<class>.txt, multithumos.json      as in MultiTHUMOS
    show/<split>.gif                        the first clip of each split, to look at

The splits are train, val, test and novel. Every clip of `novel` has a pair that the other three
lack, of shape and colour (those of scenes) or of shape and act (HELD_OUT_ACTS of events.py). A clip
is a function of the seed, its split and its number. Times are in seconds from the clip's start.
"""

import random
from pathlib import Path

from tqdm import tqdm

from scenes.dataset import checked
from scenes.motion.events import compose
from scenes.motion.frames import RATE, frames, save_gif
from scenes.motion.labels import CLASSES, spans
from scenes.motion.lookup import accuracies
from scenes.motion.paragraphs import NUMBER, paragraphs
from scenes.motion.truth import TRUTH, truth
from system.files import BadInput, holds, read_json, whole_folder, write_json

VERSION = 1                             # of what a seed gives: raise it when the clips change
SIZES = {"train": 2000, "val": 80, "test": 120, "novel": 100}
SUBSETS = {"train": "training", "val": "validation", "test": "testing", "novel": "novel"}
EVENTS = "annotations/events_{}.json"
ACTIVITYNET = "activitynet/{}_{}.json"
THUMOS = "multithumos"
FRAME = "{:06d}.png"


def one_clip(seed, split, number):
    """Return a clip, its truth and its paragraphs, each a list of sentences with their times."""
    rng = random.Random(f"motion {seed} {split} {number}")
    clip = compose(rng, novel=split == "novel")
    known = truth(clip)
    return clip, known, paragraphs(known, rng)


def write_clip(folder, clip):
    """Write the frames of a clip and their times."""
    folder.mkdir(parents=True)
    for number, picture in enumerate(frames(clip)):
        picture.save(folder / FRAME.format(number), compress_level=2)   # 6 takes twice the time
    write_json(folder / "frames.json", {"times": [n / RATE for n in range(clip.frames)],
                                        "duration": clip.frames / RATE})


def write_split(root, split, size, about, bar):
    """Draw and write a split; return {clip: truth}."""
    truths, told = {}, {}
    for number in range(1, size + 1):
        name = f"video_{split}_{number:07d}"
        clip, truths[name], told[name] = one_clip(about["seed"], split, number)
        write_clip(root / split / name, clip)
        if number == 1:
            (root / "show").mkdir(exist_ok=True)
            save_gif(frames(clip), root / "show" / f"{split}.gif")
        bar.update()
    for k in range(NUMBER):
        write_json(root / ACTIVITYNET.format(split, k + 1), {
            name: {"duration": truths[name]["frames"] / RATE,
                   "timestamps": [[one.start, one.end] for one in some[k]],
                   "sentences": [one.text for one in some[k]]} for name, some in told.items()})
    write_json(root / EVENTS.format(split), {"info": {**about, "split": split}, "clips": truths})
    return truths


def write_labels(folder, truths):
    """Write the labels of {split: {clip: truth}}: a file for each class, and all in one."""
    (folder / "annotations").mkdir(parents=True)
    lines, videos = {label: [] for label in CLASSES}, {}
    for split, clips in truths.items():
        for name, known in clips.items():
            found = spans(known)
            videos[name] = {"subset": SUBSETS[split], "duration": known["frames"] / RATE,
                            "actions": [[1 + CLASSES.index(label), start, end]
                                        for label, start, end in found]}
            for label, start, end in found:
                lines[label].append(f"{name} {start:.2f} {end:.2f}\n")
    for label, some in lines.items():
        (folder / "annotations" / f"{label}.txt").write_bytes("".join(some).encode())
    (folder / "class_list.txt").write_bytes(
        "".join(f"{number} {label}\n" for number, label in enumerate(CLASSES, 1)).encode())
    write_json(folder / "multithumos.json", videos)


def drawn(root, about):
    """Return whether root has these very clips; raise `BadInput` if it holds anything else."""
    for split in about["sizes"]:
        if not holds(root, EVENTS.format(split), {**about, "split": split}):
            return False
        found = len(list((root / split).glob("*/*.png")))
        needed = sum(known["frames"] for known in read_truths(root, split).values())
        if found != needed:
            raise BadInput(f"{root} holds something else, {found} frames of {split} in place of "
                           f"{needed}: give another folder")
    return True


def read_truths(root, split):
    """Return {clip: truth} of a split that has been drawn."""
    path = Path(root) / EVENTS.format(split)
    return read_json(path, "draw the clips again", {"clips": {str: TRUTH}})["clips"]


def draw(root, sizes=None, seed=0, progress=True):
    """Draw the dataset and return its folder, whole or absent; done at once if it is there.

    sizes: clips by split, over SIZES.  Raises `BadInput` if root holds something else.
    """
    root = Path(root).resolve()
    about = {"description": "scenes in which things move", "version": VERSION, "seed": seed,
             "sizes": checked(sizes, seed, SIZES, "clips")}
    if drawn(root, about):
        if progress:
            print(f"{root} already holds these clips")
        return root
    with whole_folder(root) as beside, tqdm(total=sum(about["sizes"].values()), unit="clip",
                                            desc="drawing", disable=not progress) as bar:
        truths = {split: write_split(beside, split, size, about, bar)
                  for split, size in about["sizes"].items()}
        write_labels(beside / THUMOS, truths)
    if progress:
        print("left or right, by place, facing and time alone: " + ", ".join(
            f"{share:.1%} of things {which}" for which, share in accuracies(
                truths["train"].values(), truths["test"].values()).items()))
    return root


def find_root(data):
    """Return the folder of a dataset: a path, or "motion" for this one, drawn if need be."""
    if data != "motion":
        return Path(data)
    root = Path("data/motion")
    draw(root, progress=not root.exists())
    return root
