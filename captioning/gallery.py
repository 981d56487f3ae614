"""A web page of pictures and what a captioner says of them, in one file that needs no other.

    add(picture, sentences, references) ... write() -> page.html       pictures inside, worst first

The scores of pictures with references, and so their order, are known only when all are described.
Until then the entries wait in an unnamed file, so that memory stays flat. The page asks nothing of
any server, and its policy forbids it to.
"""

import base64
import io
import math
import tempfile
from html import escape
from pathlib import Path

from captioning.evaluation import score, tokens
from coco.dataset import read_captions
from coco.pictures import open_picture
from system.files import whole_file, writing

SIDE = 320                  # pixels of a picture's longer side
QUALITY = 70                # of its JPEG: about 12 KB

STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --quiet: #5c5c5c; --paper: #fff; --card: #f4f4f2;
        --accent: #a8323f }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececec; --quiet: #a9a9a9; --paper: #161616; --card: #232323; --accent: #f08c97 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 90rem; padding: 1rem; color: var(--ink);
       background: var(--paper); font: 1rem/1.4 system-ui, sans-serif }
h1 { margin: 0; font-size: 1.4rem }
p { margin: .3rem 0 }
.quiet, summary { color: var(--quiet); font-size: .85rem; overflow-wrap: anywhere }
select { font: inherit; padding: .4rem; margin: .6rem 0 1rem }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
ol { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 16rem), 1fr));
     gap: 1rem; margin: 0; padding: 0; list-style: none }
li { background: var(--card); border-radius: .5rem; overflow: hidden;
     content-visibility: auto; contain-intrinsic-size: auto 22rem }
figure { margin: 0 }
img { display: block; width: 100%; height: 14rem; object-fit: contain; background: #8883 }
figcaption { padding: .6rem .8rem .8rem }
.score { padding: 0 .8rem; color: var(--accent); font-weight: 600; font-size: .85rem }
"""

SCRIPT = """
const list = document.querySelector("ol"), select = document.querySelector("select");
const text = (item, name) => item.querySelector(name).textContent;
const number = (item, otherwise) => +(item.dataset.score ?? otherwise);
const orders = {
  worst: (a, b) => number(a, Infinity) - number(b, Infinity) || orders.found(a, b),
  best: (a, b) => number(b, -1) - number(a, -1) || orders.found(a, b),
  found: (a, b) => a.dataset.number - b.dataset.number,
  caption: (a, b) => text(a, ".caption").localeCompare(text(b, ".caption")) || orders.found(a, b),
};
const sort = () => list.append(...[...list.children].sort(orders[select.value]));
select.addEventListener("change", sort);
if (select.selectedIndex) sort();  // a browser may remember the choice when it loads the page again
"""


class Gallery:
    """Entries as they come, and at the end the page.

    references: a COCO captions file; pictures whose file name it holds are scored.
    """

    def __init__(self, path, references=None):
        self.path = Path(path)
        self.places, self.candidates, self.truth = [], [], []
        captions = read_captions(references) if references else []
        self.references = {Path(name).name: sentences for _, name, sentences in captions}
        with writing(path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.entries = tempfile.TemporaryFile(dir=self.path.parent)     # noqa: SIM115

    def add(self, file, sentences):
        """Keep a picture and its sentences, best first."""
        references = self.references.get(Path(file).name, ())
        begin = self.entries.seek(0, io.SEEK_END)
        with writing(self.path):
            self.entries.write(entry(file, sentences, references).encode("utf-8", "replace"))
        self.places.append((begin, self.entries.tell() - begin))
        self.candidates.append(sentences[0])
        self.truth.append([tokens(sentence) for sentence in references])

    def scores(self):
        """The CIDEr of each picture that has references, by its number, and their mean or None."""
        scored = [number for number, references in enumerate(self.truth) if references]
        if not scored:
            return {}, None
        scores, each = score([self.candidates[number] for number in scored],
                             [self.truth[number] for number in scored])
        return dict(zip(scored, each, strict=True)), scores["CIDEr"]

    def write(self, about):
        """Write the page, whole or not at all; `about` says what described the pictures, how."""
        cider, mean = self.scores()
        about = f"{len(self.places)} pictures described by {about}"
        if cider:
            about += f"; CIDEr {100 * mean:.1f} over the {len(cider)} with references"
        order = sorted(range(len(self.places)), key=lambda number: cider.get(number, math.inf))
        with whole_file(self.path) as beside, open(beside, "wb") as page:
            page.write(head(about, bool(cider)))
            for number in order:
                begin, length = self.places[number]
                self.entries.seek(begin)
                page.write(opening(number, cider.get(number)) + self.entries.read(length))
            page.write(f"</ol>\n<script>{SCRIPT}</script>\n</html>\n".encode())
        self.entries.close()


def head(about, scored):
    """The page up to its first entry."""
    orders = {"worst": "worst first", "best": "best first"} if scored else {}
    orders |= {"found": "as found", "caption": "by caption"}
    options = "".join(f'<option value="{name}">{shown}</option>' for name, shown in orders.items())
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>Captions</title>
<style>{STYLE}</style>
<h1>Captions</h1>
<p class="quiet">{escape(about)}</p>
<label>Order <select>{options}</select></label>
<ol>
""".encode("utf-8", "replace")


def opening(number, cider):
    """What begins an entry: its place and its score, for eyes and for sorting."""
    if cider is None:
        return f'<li data-number="{number}">'.encode()
    return (f'<li data-number="{number}" data-score="{cider:.4f}">'
            f'<p class="score">CIDEr {100 * cider:.1f}</p>').encode()


def entry(file, sentences, references):
    """A picture with its sentences and, folded away, its references."""
    first, *others = (escape(sentence) for sentence in sentences)
    more = "".join(f'<p class="quiet">{other}</p>' for other in others)
    if references:
        listed = "".join(f'<p class="quiet">{escape(one)}</p>' for one in references)
        more += f"<details><summary>{len(references)} references</summary>{listed}</details>"
    return (f'<figure><img alt="{first}" src="data:image/jpeg;base64,{thumbnail(file)}">'
            f'<figcaption><p class="caption">{first}</p>{more}'
            f'<p class="quiet">{escape(str(file))}</p></figcaption></figure></li>\n')


def thumbnail(file):
    """A picture as a small JPEG in base64."""
    picture, jpeg = open_picture(file), io.BytesIO()
    picture.thumbnail((SIDE, SIDE))
    picture.save(jpeg, "JPEG", quality=QUALITY)
    return base64.b64encode(jpeg.getvalue()).decode()
