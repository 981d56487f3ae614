"""Roots of clips with labels in time: which clips are which split, and what is seen in them.

    <root>/<split>/<clip>               a folder of frames, a GIF or a video: see video/clips.py
    <root>/multithumos/class_list.txt, annotations/<class>.txt      or, in place of them,
    <root>/multithumos.json             both as MultiTHUMOS has them: see video/thumos.py

    root, word --read_actions--> Labelled --labels--> of each clip booleans (T, C)

The folder that a clip lies in says its split, and how long it is, it says itself. A clip that the
annotations do not name has no label. A root without val lends clips of train, chosen by their
names.

Shape letters:  P clips   T frames of a clip, hz a second   C classes
"""

from dataclasses import dataclass, replace
from pathlib import Path

from coco.dataset import WORDS, lend, tell
from system.cache import cache_name
from system.contents import content_hashes
from system.files import BadInput
from video.clips import name_of, open_clip
from video.spans import Video, frame_labels
from video.thumos import read_multithumos

FOLDER, FILE = "multithumos", "multithumos.json"
REMEDY = "draw clips with 'python prepare.py motion', or give another --data"


@dataclass(frozen=True)
class Labelled:
    """The clips of a split, P of them, the spans of each, and the names of the C classes."""

    name: str
    clips: tuple
    videos: tuple
    classes: tuple

    def labels(self, hz):
        """Return which classes each clip's frames have, hz of them a second, booleans (T, C)."""
        return [frame_labels(replace(video, duration=clip.duration), len(self.classes), hz)
                for clip, video in zip(self.clips, self.videos, strict=True)]

    def first(self, count):
        """Return the split cut to its first `count` clips (None: all)."""
        return replace(self, clips=self.clips[:count], videos=self.videos[:count])

    def content(self):
        """Return hashes of all that is read: of what is said about the clips, and of the clips."""
        said = [[video.name, [[span.start, span.end, span.label] for span in video.spans]]
                for video in self.videos]
        files = [file for clip in self.clips for file in clip.files or [clip.path]]
        return cache_name([said, self.classes]), cache_name(content_hashes(files))


def read_actions(root, word):
    """Read the split `word` of a root: train, val, test or another folder.

    Raises `BadInput` if there is no such split, no annotations, or none of its clips is in them.
    """
    root = Path(root)
    videos, classes, source = annotations(root)
    folder = find_folder(root, word)
    lends = find_folder(root, "val") is None and word in ("train", "val")
    if folder is None and not (lends and (folder := find_folder(root, "train"))):
        held = ", ".join(sorted(one.name for one in root.iterdir() if one.is_dir())) or "no folder"
        raise BadInput(f"{root} has no folder of clips of the split '{word}', but {held}: {REMEDY}")
    paths = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    if lends:
        paths = lend(paths, key=name_of)[word == "val"]
    known = {video.name: video for video in videos}
    names = [name_of(path) for path in paths]
    found = [known.get(name, Video(name, None, ())) for name in names]
    if not any(video.spans for video in found):
        raise BadInput(f"{source} says nothing about any of the {len(paths)} clips in {folder}, "
                       f"which it must name as their files are called: {REMEDY}")
    if unnamed := sum(name not in known for name in names):
        tell(f"{source} does not name {unnamed} of the {len(paths)} clips in {folder}, so nothing "
             "is labelled in them")
    name = f"val, lent by {folder.name}" if lends and word == "val" else folder.name
    return Labelled(name, tuple(map(open_clip, paths)), tuple(found), classes)


def annotations(root):
    """Return (videos, names of the classes, where they are read) of a root."""
    for path in (root / FOLDER, root / FILE):
        if path.exists():
            return *read_multithumos(path), path
    raise BadInput(f"{root} has neither {FOLDER}/class_list.txt nor {FILE}, which say what is seen "
                   f"when: {REMEDY}")


def find_folder(root, word):
    """Return the folder of a split, whatever of its names it has, or None."""
    return next((root / name for name in WORDS.get(word, (word,)) if (root / name).is_dir()), None)
