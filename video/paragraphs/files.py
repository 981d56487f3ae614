"""Read a split of clips with the paragraphs that people wrote about each.

    <root>/activitynet/<split>_1.json, <split>_2.json, ...  a paragraph of each clip, as in
                                                            ActivityNet Captions, by one annotator
    <root>/<split>/<clip>, or <clip>.mp4, .gif, ...         the clip: a folder of frames, or a file

    root, split --read_told--> Told: clips, and for each its paragraphs, lists of Segments

An annotator need not have written about every clip, but each clip is some annotator's.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from scenes.motion.dataset import EVENTS, read_truths
from system.cache import cache_name
from system.contents import content_hashes
from system.files import BadInput
from video.activitynet import read_activitynet
from video.clips import name_of, open_clip

SENTENCES = "activitynet/{}_{}.json"
REMEDY = "bring it back, or take the clip out of the files in activitynet/"


@dataclass(frozen=True)
class Told:
    """A split: P clips by name, and of each the paragraphs (tuples of `Segment`), one or more."""

    root: Path
    split: str
    names: tuple
    paragraphs: tuple

    def __len__(self):
        return len(self.names)

    def clips(self):
        """Return the clips, opened; raise `BadInput` for one that is missing or cannot be read."""
        folder = self.root / self.split
        files = {name_of(one): one for one in sorted(folder.glob("*"))}
        return [open_clip(files.get(name, folder / name), remedy=REMEDY) for name in self.names]

    def first(self, count):
        """Return the first `count` clips of the split (None: all)."""
        return replace(self, names=self.names[:count], paragraphs=self.paragraphs[:count])

    def references(self):
        """Return {clip: paragraphs}, each one text, as paragraphs are scored by."""
        return {name: [" ".join(one.sentence for one in segments) for segments in several]
                for name, several in zip(self.names, self.paragraphs, strict=True)}

    def spans(self):
        """Return of each clip the spans in seconds of the sentences of its first paragraph."""
        return [[(one.start, one.end) for one in first] for first, *_ in self.paragraphs]

    def content(self):
        """Return hashes of all that is read: of the paragraphs, and of the clips."""
        told = [[name, [[(one.start, one.end, one.sentence) for one in segments]
                        for segments in several]]
                for name, several in zip(self.names, self.paragraphs, strict=True)]
        files = [file for clip in self.clips() for file in clip.files or [clip.path]]
        return cache_name(told), cache_name(content_hashes(files))

    def truths(self):
        """Return the drawn truth of each clip, in order, or None where clips are not drawn."""
        if not (self.root / EVENTS.format(self.split)).exists():
            return None
        known = read_truths(self.root, self.split)
        missing = [name for name in self.names if name not in known]
        if missing:
            raise BadInput(f"{self.root / EVENTS.format(self.split)} says nothing of {missing[0]}: "
                           "draw the clips again")
        return [known[name] for name in self.names]


def read_told(root, split):
    """Return a split of a root; raise `BadInput` if it has none, or no sentence of a clip."""
    root = Path(root)
    files = [root / SENTENCES.format(split, number) for number in range(1, 100)]
    files = [file for file in files if file.exists()]
    if not files:
        raise BadInput(f"{root} has no {SENTENCES.format(split, 1)}, the sentences of its clips: "
                       "draw clips with 'python prepare.py motion', or put a file of ActivityNet "
                       "Captions there")
    found = {}
    for file in files:
        for video in read_activitynet(file):
            segments = tuple(one for one in video.spans if one.sentence.strip())
            found.setdefault(video.name, []).extend([segments] if segments else [])
    if silent := [name for name, several in found.items() if not several]:
        raise BadInput(f"{files[0]} has no sentence about {silent[0]}: leave it out")
    return Told(root, split, tuple(found), tuple(map(tuple, found.values())))
