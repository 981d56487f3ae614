"""Read actions in time: MultiTHUMOS and THUMOS14.

    {"video_test_0000004": {"subset": "testing", "duration": 33.9, "actions": [[11, 0.2, 1.1]]}}
                                        read_multithumos: classes are 1 to 65, labels 0 to 64
    class_list.txt                      "1 BaseballPitch", a line for each class
    annotations/BaseballPitch.txt       "video_validation_0000266 72.80 76.40", one for each span
                                        read_multithumos of a folder: classes have names
    BaseballPitch_val.txt, _test.txt    the same lines            read_thumos14
    Ambiguous_val.txt, _test.txt        spans that the benchmark does not judge

Yeung et al. 2015 (arXiv:1507.05738); Jiang et al. 2014. In THUMOS14 every CliffDiving is a Diving
too; two test videos are wrongly annotated (`WRONG`) and a third, 0001292, has only ambiguous spans,
so papers report on 210 to 213 of them. The text files know no durations: give them if you can.
"""

from pathlib import Path

from system.files import BadInput, read_json, read_text
from system.records import collector_paused
from video.activitynet import REMEDY, sound
from video.spans import Action, Video

CLASSES = 65                # of MultiTHUMOS
MULTITHUMOS = {str: {"subset": str, "duration": float, "actions": [(int, float, float)]}}
SUBSETS = {"video_validation": "training", "video_test": "testing"}
WRONG = "video_test_0000270", "video_test_0001496"
AMBIGUOUS = "Ambiguous"


@collector_paused()
def read_multithumos(path, durations=None):
    """Return (videos, names of the classes) of a JSON file, or of a folder of text files.

    durations: {video: seconds} for a folder. Raises `BadInput` for files that are damaged.
    """
    path = Path(path)
    if path.is_dir():
        names = class_names(path / "class_list.txt")
        files = [path / "annotations" / f"{name}.txt" for name in names]
        return read_class_files(path, files, durations or {}), names
    videos = []
    for name, one in read_json(path, REMEDY, MULTITHUMOS).items():
        if wrong := [label for label, *_ in one["actions"] if not 1 <= label <= CLASSES]:
            raise BadInput(f"{path} has the class {wrong[0]} in the video {name[:80]}, and classes "
                           f"are 1 to {CLASSES}: {REMEDY}")
        videos.append(Video(name, one["duration"], tuple(
            Action(start, end, label - 1) for label, start, end in one["actions"]), one["subset"]))
    return sound(path, videos), tuple(map(str, range(1, CLASSES + 1)))


def read_thumos14(folder, split, durations=None, ambiguous=False):
    """Return (videos, names of the classes) of the text files of a split, val or test.

    durations: {video: seconds}.  ambiguous: take the ambiguous spans too, as a class of this name.
    Raises `BadInput` where there are no such files or one is damaged.
    """
    end = f"_{split}.txt"
    files = [file for file in sorted(Path(folder).glob(f"*{end}"))
             if ambiguous or file.name != AMBIGUOUS + end]
    if not files:
        raise BadInput(f"{folder} has no file <class>{end}: give the folder that has, or another "
                       "split of val and test")
    videos = read_class_files(folder, files, durations or {})
    return videos, tuple(file.name.removesuffix(end) for file in files)


def class_names(path):
    """Return the names of the classes in a list of numbers from 1 on and names."""
    lines = [line.split() for line in read_text(path, REMEDY).splitlines() if line.strip()]
    if not lines or [line[:-1] for line in lines] != [[f"{n}"] for n in range(1, len(lines) + 1)]:
        raise BadInput(f"{path} is no list of classes, '1 BaseballPitch' and so on: {REMEDY}")
    return tuple(name for _, name in lines)


def read_class_files(folder, files, durations):
    """Return the videos of text files, one for each class in the order of the labels."""
    spans = {}
    for label, file in enumerate(files):
        for number, line in enumerate(read_text(file, REMEDY).splitlines(), 1):
            if line.strip():
                name, start, end = fields(line, f"{file}: line {number}")
                spans.setdefault(name, []).append(Action(start, end, label))
    return sound(folder, [Video(name, durations.get(name), tuple(found), next(
        (subset for begin, subset in SUBSETS.items() if name.startswith(begin)), ""))
        for name, found in sorted(spans.items())])


def fields(line, where):
    """Return (video, start, end) of a line; raise `BadInput` if it is another."""
    try:
        name, start, end = line.split()
        start, end = float(start), float(end)
        if not abs(start) + abs(end) < float("inf"):        # nor NaN
            raise ValueError
    except ValueError:
        raise BadInput(f"{where} is '{line[:80]}' in place of a video, a start and an end in "
                       f"seconds: {REMEDY}") from None
    return name, start, end
