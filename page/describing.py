"""Describe what was dropped: one file in, one plain entry for the page and for its JSON out.

    file --describe--> picture, features, hypotheses --weigh--> Entry
    file --narrate---> frames, paragraphs                   --> Entry
    file, question --ask--> answers, and how sure            --> Entry

A file that cannot be read is an entry with an error, one sentence, and the others go on.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from PIL import Image

from calibration.figures import figures_of
from captioning.photos import seeded
from coco.pictures import open_picture
from decoders.confidence import weigh
from encoders.encoding import encode, on_one_core
from encoders.transform import middle
from figures.marking import marked
from system.commands import one_line, sentence_of
from system.files import BadInput
from video.readers import CLIPS

SIDE, FRAMES = 720, 5       # pixels of a picture's longer side; frames of a clip's strip
WHAT = "replace it, or leave it out"


@dataclass
class Entry:
    """What is said of one file: an error or a note, one sentence, or all that follows.

    picture: name of its JPEG in the desk, "" for none.  size: (width, height) of that.
    said: `Weighed` of each caption, best first.  calibrated: whether their confidence is the
    probability that nothing they name is absent.  paragraphs: of a clip.  answers: (answer, how
    sure, fact or None).  concepts: (word, probability).  certain: words of which a caption had to
    name one.  graph: of a drawn scene.
    seen: left, top, right, bottom of what the encoder was shown, in fractions.
    boxes: (L, 4) of regions that were looked at; None for a grid.
    """

    name: str
    error: str = ""
    note: str = ""
    picture: str = ""
    size: tuple = (1, 1)
    said: list = field(default_factory=list)
    calibrated: bool = False
    paragraphs: list = field(default_factory=list)
    answers: list = field(default_factory=list)
    concepts: list = field(default_factory=list)
    certain: list = field(default_factory=list)
    graph: dict | None = None
    seen: tuple = (0.0, 0.0, 1.0, 1.0)
    boxes: torch.Tensor | None = None

    @property
    def best(self):
        """Return the first sentence that was said, a picture's alt text."""
        return next(iter([one.sentence for one in self.said] + self.paragraphs), self.name)

    def plain(self):
        """Return all that is said as plain data, for JSON."""
        if self.error:
            return {"file": self.name, "error": self.error}
        captions = [one.sentence for one in self.said] or self.paragraphs
        words = [[{"word": word.text, "probability": round(word.probability, 4),
                   "rivals": {other: round(value, 4) for other, value in word.rivals}}
                  for word in one.words] for one in self.said]
        return {"file": self.name, "captions": captions,
                **({"confidence": [round(one.confidence, 4) for one in self.said],
                    "words": words} if words else {}),
                **({"concepts": {word: round(value, 4) for word, value in self.concepts}}
                   if self.concepts else {}),
                **({"had_to_name_one_of": self.certain} if self.certain else {})}


def readable(work, file, *arguments):
    """Return `work(file, ...)`, an `Entry`, by one core; bad input becomes an entry that says so.
    """
    try:
        return on_one_core(lambda _: work(file, *arguments), None)
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        # where the upload lies is no one's business
        return Entry(file.name, one_line(sentence.replace(str(file), file.name)))


def describe(file, ready, search, desk, number, graph=None):
    """Return the `Entry` of a picture that a `Ready` captioner describes; see `readable`."""
    refuse_clip(file)
    captioner, picture = ready.captioner, open_picture(file, WHAT)
    if search.method == "sample":
        search = seeded(search, file.name)      # as caption.py does in the picture's folder
    features = encode(ready.network, captioner.transform(picture)[None])
    found, = captioner.hypotheses(features, search)
    said = weigh(captioner.decoder, captioner.embed(features), found, captioner.vocab,
                 of_cells=captioner.of_cells)
    if ready.law:
        said = [one._replace(confidence=ready.law.probability(figures_of(one.words)))
                for one in said]
    entry = Entry(file.name, said=said, graph=graph, calibrated=ready.law is not None,
                  concepts=ready.see(picture) if ready.see else [],
                  certain=(captioner.certain_words(features, search) or [[]])[0])
    if captioner.transform.fit == "crop":
        width, height = picture.size
        left, top, right, bottom = middle(0, 0, width, height)
        entry.seen = left / width, top / height, right / width, bottom / height
    if "boxes" in captioner.architecture["encoder"]:
        entry.boxes = torch.from_numpy(features[0, :, -5:-1]).float()
    return keep(entry, picture, desk, number)


def narrate(file, narrator, search, desk, number):
    """Return the `Entry` of a clip that a narrator tells of; see `readable`."""
    from video.clips import open_clip  # here: pictures need none of it

    if search.method != "sample":
        search = replace(search, captions=1)
    told = narrator.narrate(file, replace(search, max_length=narrator.longest))
    entry = Entry(file.name, paragraphs=[" ".join(one) for one in told])
    clip = open_clip(file, remedy=WHAT)
    frames = [frame.picture for frame in clip.take(clip.at(clip.sample(number=FRAMES)))]
    return keep(entry, strip(frames), desk, number)


def ask(file, answerer, question, desk, number):
    """Return the `Entry` of a picture with the answers to a question about it."""
    refuse_clip(file)
    picture = open_picture(file, WHAT)
    entry = Entry(file.name, answers=answerer.answer(picture, question, 5))
    return keep(entry, picture, desk, number)


def keep(entry, picture, desk, number):
    """Write a picture as a small JPEG into the desk and return the entry that names it."""
    picture.thumbnail((SIDE, SIDE))
    entry.picture, entry.size = f"{number}.jpg", picture.size
    picture.save(desk / entry.picture, "JPEG", quality=85)
    return entry


def strip(frames):
    """Return frames side by side, as high as the first, at most SIDE wide."""
    width = SIDE // len(frames)
    height = max(1, round(frames[0].height * width / frames[0].width))
    found = Image.new("RGB", (width * len(frames), height))
    for place, frame in enumerate(frames):
        found.paste(frame.resize((width, height)), (place * width, 0))
    return found


def is_clip(file):
    """Return whether a file is a clip: by its name a video, or a picture that moves."""
    if file.suffix.lower() in CLIPS:
        return True
    try:
        with Image.open(file) as image:
            return getattr(image, "n_frames", 1) > 1 and image.format in ("GIF", "PNG", "WEBP")
    except Exception:                   # whoever reads it will say why it cannot be read
        return False


def refuse_clip(file):
    """Raise `BadInput` for a video, by its name."""
    if Path(file).suffix.lower() in CLIPS:
        raise BadInput(f"{file} is a clip, and no checkpoint of clips is open here: start the page "
                       "with a run of --recipe paragraphs, too, or drop frames as pictures")


def pieces(said, graph=None):
    """Return the words of a `Weighed` as (text before it, `Word`, whether its claims are true).

    The last is None for a word that claims nothing, and without the scene graph of a drawn picture.
    """
    letters = [true for text, true in marked(said.sentence, graph) for _ in text] if graph else []
    found, done = [], 0
    for word in said.words:
        start = said.sentence.find(word.text, done)
        if start < 0:                   # a quotation mark, which `vocabulary.join` writes plainly
            start, before = done, " "
        else:
            before, done = said.sentence[done:start], start + len(word.text)
        found.append((before, word, letters[start] if start < len(letters) else None))
    return found
