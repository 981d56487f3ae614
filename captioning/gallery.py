"""Make a web page of pictures and their captions, in one file that needs no other.

    Gallery.add(file, sentences) ... Gallery.write(about) -> page.html     pictures inside

A picture's score, and so its place on the page, is known only when all are described. Until then
the entries wait in an unnamed file, and the page is written entry by entry, so memory stays flat.
The page loads nothing, and its content-security policy would not let it. Where a picture has
references, the objects that a sentence names and that are not there are struck through.
"""

import base64
import io
import json
import math
import sys
import tempfile
from collections import Counter
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from captioning.evaluation import score, shown, tokens
from captioning.matching import matches
from coco.dataset import read_captions
from coco.instances import NONE, read_instances
from coco.pictures import open_picture
from scoring.chair import absent
from scoring.metrics import METRICS
from system.files import BadInput, whole_file, writing
from system.outputs import begins, output_file

SIDE = 320                  # pixels of a picture's longer side
QUALITY = 70                # of its JPEG: about 12 KB

PAGE = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True,
                   undefined=StrictUndefined, trim_blocks=True,
                   lstrip_blocks=True).get_template("gallery.html")
# what every page begins with, and no other file
HEAD = Path(PAGE.filename).read_text(encoding="utf-8").partition("<style>")[0].encode()


class Gallery:
    """A page in the making: entries as they come, and at the end the file.

    references: a COCO captions file; the pictures that captioning/matching.py finds in it are
    scored by their first caption, and for CHAIR by the objects of the references and, if there is
    one, of the instances file beside it.  sampled: whether the captions of a picture are equals, or
    the first is the best.  names: what the page calls files, by file, if not by their paths.
    """

    def __init__(self, path, references=None, sampled=False, names=None):
        if Path(path).suffix.lower() not in (".html", ".htm"):
            raise BadInput(f"{path} is no name of a web page: give the gallery a name that ends in "
                           ".html, before or after the pictures")
        self.path = output_file(path, "a gallery", lambda path: begins(path, HEAD))
        self.sampled = sampled
        self.names = names or {}
        self.files, self.places, self.candidates = [], [], []
        self.unread, self.faults = [], []
        self.source, self.truth, self.objects = references, {}, {}
        self.references = read_captions(references) if references else []
        self.instances = instances_beside(references) if references else {}
        with writing(path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.entries = tempfile.TemporaryFile(dir=self.path.parent)     # noqa: SIM115

    def add(self, file, sentences, likeliest="", name=None, guesses=()):
        """Add a picture, its sentences, best first, and the likeliest where these were sampled.

        name: what the page calls the picture, if `names` does not say.  guesses: those of the
        sentences that are marked as guesses.
        """
        entry = {"file": str(name or self.names.get(file, file)),
                 "sentences": list(Counter(sentences).items()),
                 "likeliest": likeliest, "best": likeliest or sentences[0],
                 "guesses": list(guesses),
                 "jpeg": thumbnail(file)}
        begin = self.entries.seek(0, io.SEEK_END)
        with writing(self.path):
            self.entries.write(json.dumps(entry).encode())
        self.places.append((begin, self.entries.tell() - begin))
        self.files.append(file)
        self.candidates.append(entry["best"])

    def leave_out(self, file, fault):
        """Note a picture that could not be read, and the sentence that says why.

        The page ends with these, and references may be its.
        """
        self.unread.append(file)
        self.faults.append(fault.replace(str(file), str(self.names.get(file, file))))

    def match(self):
        """Find the references of each picture that has some, by number; say which are unclear."""
        found, unclear = matches([*self.files, *self.unread],
                                 [name for _, name, _ in self.references])
        if unclear:
            print(f"{len(unclear)} pictures, {unclear[0]} for one, are not scored: by the file "
                  f"names in {self.source} it is unclear whose references are whose; write "
                  "names there with their folders, each once", file=sys.stderr)
        for number, file in enumerate(self.files):
            if file in found:
                id, _, self.truth[number] = self.references[found[file]]
                self.objects[number] = shown(self.truth[number],
                                             self.instances.get(id, NONE).names)

    def scores(self):
        """Return the CIDEr of each picture that has references, by number, and the means by name.
        """
        self.match()
        if not self.truth:
            return {}, {}
        scored = list(self.truth)
        scores, each = score([self.candidates[number] for number in scored],
                             [[tokens(one) for one in self.truth[number]] for number in scored],
                             objects=[self.objects[number] for number in scored])
        # one picture alone, say, has no CIDEr
        return {} if each is None else dict(zip(scored, each, strict=True)), scores

    def write(self, about, settings=""):
        """Write the page, whole or not at all.

        about: what described the pictures, and how.  settings: how exactly, which is folded away.
        """
        cider, means = self.scores()
        about = f"{len(self.places)} picture{'s' * (len(self.places) != 1)} described by {about}"
        orders = [("found", "as found"), ("caption", "by caption")]
        if cider:
            about += "; " + ", ".join(
                f"{label} {METRICS[name].scale * means[name]:.1f}" for name, label in (
                    ("CIDEr", "CIDEr"), ("CHAIRi", "CHAIRi"), ("CHAIRs", "CHAIRs"))
                if name in means) + f" over the {len(cider)} with references"
            about += " by their likeliest captions" if self.sampled else ""
            orders = [("worst", "worst first"), ("best", "best first"), *orders]
        page = PAGE.stream(about=about, settings=settings, faults=self.faults, orders=orders,
                           sampled=self.sampled, pieces=self.pieces, legend=bool(self.objects),
                           entries=self.worst_first(cider))
        with whole_file(self.path) as beside:
            page.dump(str(beside), "utf-8", "replace")      # half an emoji becomes a question mark
        self.entries.close()

    def pieces(self, number, sentence):
        """Return a sentence in pieces: (text, whether it names an object that is not there)."""
        found, done = [], 0
        for one in absent(sentence, self.objects[number]) if number in self.objects else ():
            found += [(sentence[done:one.start], False), (sentence[one.start:one.stop], True)]
            done = one.stop
        return [*found, (sentence[done:], False)]

    def worst_first(self, cider):
        """Yield (number, CIDEr or None, entry) of every picture; those without a score come last.
        """
        for number in sorted(range(len(self.places)),
                             key=lambda number: cider.get(number, math.inf)):
            begin, length = self.places[number]
            self.entries.seek(begin)
            entry = json.loads(self.entries.read(length))
            yield number, cider.get(number), {**entry, "references": self.truth.get(number, ())}


def instances_beside(captions):
    """Return the `Things` by image id of the instances file beside a captions file, {} if none."""
    path = Path(captions).with_name(Path(captions).name.replace("captions", "instances", 1))
    return read_instances(path) if path != Path(captions) and path.exists() else {}


def thumbnail(file, side=SIDE):
    """Return a picture, its longer side at most `side` pixels, as a JPEG in base64."""
    picture, jpeg = open_picture(file), io.BytesIO()
    picture.thumbnail((side, side))
    picture.save(jpeg, "JPEG", quality=QUALITY)
    return base64.b64encode(jpeg.getvalue()).decode()
