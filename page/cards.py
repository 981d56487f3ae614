"""Write what was said of each file as a card in HTML, and a drop's gallery and JSON.

    Entry --card--> HTML        cards --sheet--> HTML of the page        entries --Made--> files
"""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from calibration.figures import figures_of
from calibration.law import GUESS
from captioning.gallery import Gallery, thumbnail
from page.describing import pieces
from system.files import write_json

HERE = Path(__file__).parent
TEMPLATES = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined,
                        trim_blocks=True, lstrip_blocks=True)
LIKELY, POSSIBLE = 0.5, 0.2     # a word is sure from the first on, doubtful below the second


def percentage(chance):
    """Return a probability of 0 to 1 as people read it."""
    shown = f"{100 * chance:.0f} %" if chance >= 0.01 else "< 1 %"
    return shown.replace(" ", "\N{NO-BREAK SPACE}")


def level(word):
    """Return how sure a word is, for the style: sure, fair, doubtful; mark for a full stop."""
    return ("mark" if not any(map(str.isalnum, word.text)) else
            "sure" if word.probability >= LIKELY else
            "fair" if word.probability >= POSSIBLE else "doubtful")


def least_sure(said):
    """Return the `Word` of least probability in a sentence, None if it has no word."""
    return min(said.words, key=lambda word: word.probability, default=None)


def names_objects(said):
    """Return whether a sentence names an object that its confidence is about, see calibration/."""
    return figures_of(said.words).names


def looked(word):
    """Return where the decoder looked as two hexadecimal digits a cell, 255 the largest."""
    if word.looked is None:
        return ""
    weights = word.looked / word.looked.max().clamp(min=1e-9)
    return bytes((255 * weights).round().int().tolist()).hex()


TEMPLATES.filters["percentage"] = percentage
TEMPLATES.globals.update(pieces=pieces, level=level, least_sure=least_sure, looked=looked,
                         thumbnail=thumbnail, names_objects=names_objects)
CARD, SHEET, TRIES = (TEMPLATES.get_template(f"{name}.html")
                      for name in ("card", "sheet", "examples"))


def card(entry, token):
    """Return the HTML of an `Entry`, whose picture lies in the desk of a token."""
    return CARD.render(entry=entry, token=token)


def sheet(cards, total, token="", done=False, saved=False, asks=False):
    """Return the HTML of all cards so far, of `total` files whose desk has this token.

    done: whether they are all.  saved: whether the gallery and the JSON are there.  asks: whether
    it is for answers, since without files it says what will stand there.
    """
    return SHEET.render(cards=cards, total=total, token=token, done=done, saved=saved, asks=asks)


def tries(examples):
    """Return the HTML of a button for each `Example`."""
    return TRIES.render(examples=examples)


class Made:
    """The gallery and the JSON of a drop in the making, in a desk."""

    def __init__(self, desk, sampled):
        self.desk, self.plain = desk, []
        self.gallery = Gallery(desk / "captions.html", sampled=sampled)

    def add(self, entry):
        """Add an `Entry` to both."""
        self.plain.append(entry.plain())
        if entry.picture:
            captions = [one.sentence for one in entry.said] or entry.paragraphs
            guesses = [one.sentence for one in entry.said
                       if entry.calibrated and one.confidence < GUESS]
            self.gallery.add(self.desk / entry.picture, captions, name=entry.name, guesses=guesses)
        else:
            self.gallery.leave_out(entry.name, entry.error)

    def write(self, about, settings):
        """Write both files; see `Gallery.write`."""
        self.gallery.write(about, settings)
        write_json(self.desk / "captions.json", self.plain, indent=1)
