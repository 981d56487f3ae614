"""Make a web page of pictures and their captions, in one file that needs no other.

    Gallery.add(file, sentences) ... Gallery.write(about) -> page.html     pictures inside

A picture's score, and so its place on the page, is known only when all are described. Until then
the entries wait in an unnamed file, and the page is written entry by entry, so memory stays flat.
The page loads nothing, and its content-security policy would not let it.
"""

import base64
import io
import json
import math
import tempfile
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from captioning.evaluation import score, tokens
from coco.dataset import read_captions
from coco.pictures import open_picture
from system.files import whole_file, writing

SIDE = 320                  # pixels of a picture's longer side
QUALITY = 70                # of its JPEG: about 12 KB

PAGE = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                   lstrip_blocks=True).from_string("""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>Captions</title>
<style>
:root { color-scheme: light dark; --ink: #1a1a1a; --quiet: #5c5c5c; --paper: #fff; --card: #f4f4f2;
        --line: #d9d9d5; --accent: #a8323f }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececec; --quiet: #a9a9a9; --paper: #161616; --card: #232323; --line: #3d3d3d;
          --accent: #f08c97 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 90rem; padding: 1rem; color: var(--ink);
       background: var(--paper); font: 1rem/1.4 system-ui, sans-serif }
h1 { margin: 0; font-size: 1.4rem }
p { margin: .3rem 0 }
ol, ul { margin: 0; padding: 0; list-style: none }
.quiet, summary { color: var(--quiet); font-size: .85rem; overflow-wrap: anywhere }
select { font: inherit; padding: .4rem; margin: .6rem 0 1rem }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
.pictures { display: grid; gap: 1rem;
            grid-template-columns: repeat(auto-fill, minmax(min(100%, var(--width)), 1fr)) }
.pictures > li { background: var(--card); border-radius: .5rem; overflow: hidden;
                 content-visibility: auto; contain-intrinsic-size: auto 22rem }
figure { margin: 0 }
img { display: block; width: 100%; height: 14rem; object-fit: contain; background: #8883 }
figcaption { padding: .6rem .8rem .8rem }
.equals { display: grid; gap: .5rem; margin: .2rem 0 .6rem;
          grid-template-columns: repeat(auto-fit, minmax(min(100%, 10rem), 1fr)) }
.equals .caption { padding: .4rem .6rem; border: 1px solid var(--line); border-radius: .35rem }
.score { padding: 0 .8rem; color: var(--accent); font-weight: 600; font-size: .85rem }
</style>
<h1>Captions</h1>
<p class="quiet">{{ about }}</p>
<label>Order <select>
{% for value, text in orders %}
<option value="{{ value }}">{{ text }}</option>
{% endfor %}
</select></label>
<ol class="pictures" style="--width: {{ '23rem' if sampled else '16rem' }}">
{% for number, cider, entry in entries %}
<li data-number="{{ number }}"\
{% if cider is not none %} data-score="{{ '%.4f' % cider }}"{% endif %}>
{% if cider is not none %}
<p class="score">CIDEr {{ '%.1f' % (100 * cider) }}</p>
{% endif %}
<figure>
<img alt="{{ entry.sentences[0] }}" src="data:image/jpeg;base64,{{ entry.jpeg }}">
<figcaption>
{% if sampled %}
<ul class="equals">
{% for sentence in entry.sentences %}
<li class="caption">{{ sentence }}</li>
{% endfor %}
</ul>
{% else %}
<p class="caption">{{ entry.sentences[0] }}</p>
{% for sentence in entry.sentences[1:] %}
<p class="quiet">{{ sentence }}</p>
{% endfor %}
{% endif %}
{% if entry.references %}
<details><summary>{{ entry.references | length }} references</summary>
{% for sentence in entry.references %}
<p class="quiet">{{ sentence }}</p>
{% endfor %}
</details>
{% endif %}
<p class="quiet">{{ entry.file }}</p>
</figcaption>
</figure>
</li>
{% endfor %}
</ol>
<script>
const list = document.querySelector(".pictures"), select = document.querySelector("select");
const text = (item) => item.querySelector(".caption").textContent;
const number = (item, otherwise) => +(item.dataset.score ?? otherwise);
const orders = {
  worst: (a, b) => number(a, Infinity) - number(b, Infinity) || orders.found(a, b),
  best: (a, b) => number(b, -1) - number(a, -1) || orders.found(a, b),
  found: (a, b) => a.dataset.number - b.dataset.number,
  caption: (a, b) => text(a).localeCompare(text(b)) || orders.found(a, b),
};
const sort = () => list.append(...[...list.children].sort(orders[select.value]));
select.addEventListener("change", sort);
if (select.selectedIndex) sort();  // a browser may remember the choice when it loads the page again
</script>
</html>
""")


class Gallery:
    """A page in the making: entries as they come, and at the end the file.

    references: a COCO captions file; pictures whose file name it holds are scored by their first
    caption.  sampled: whether the captions of a picture are equals, or the first is the best.
    """

    def __init__(self, path, references=None, sampled=False):
        self.path, self.sampled = Path(path), sampled
        self.places, self.candidates, self.truth = [], [], []
        captions = read_captions(references) if references else []
        self.references = {Path(name).name: sentences for _, name, sentences in captions}
        with writing(path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.entries = tempfile.TemporaryFile(dir=self.path.parent)     # noqa: SIM115

    def add(self, file, sentences):
        """Add a picture and its sentences, best first."""
        references = self.references.get(Path(file).name, ())
        entry = {"file": str(file), "sentences": sentences, "references": references,
                 "jpeg": thumbnail(file)}
        begin = self.entries.seek(0, io.SEEK_END)
        with writing(self.path):
            self.entries.write(json.dumps(entry).encode())
        self.places.append((begin, self.entries.tell() - begin))
        self.candidates.append(sentences[0])
        self.truth.append([tokens(sentence) for sentence in references])

    def scores(self):
        """Return the CIDEr of each picture that has references, by number, and their mean or None.
        """
        scored = [number for number, references in enumerate(self.truth) if references]
        if not scored:
            return {}, None
        scores, each = score([self.candidates[number] for number in scored],
                             [self.truth[number] for number in scored])
        return dict(zip(scored, each, strict=True)), scores["CIDEr"]

    def write(self, about):
        """Write the page, whole or not at all; about: what described the pictures, and how."""
        cider, mean = self.scores()
        about = f"{len(self.places)} pictures described by {about}"
        orders = [("found", "as found"), ("caption", "by caption")]
        if cider:
            about += f"; CIDEr {100 * mean:.1f} over the {len(cider)} with references"
            about += " by their likeliest captions" if self.sampled else ""
            orders = [("worst", "worst first"), ("best", "best first"), *orders]
        page = PAGE.stream(about=about, orders=orders, sampled=self.sampled,
                           entries=self.worst_first(cider))
        with whole_file(self.path) as beside:
            page.dump(str(beside), "utf-8", "replace")      # half an emoji becomes a question mark
        self.entries.close()

    def worst_first(self, cider):
        """Yield (number, CIDEr or None, entry) of every picture; those without a score come last.
        """
        for number in sorted(range(len(self.places)),
                             key=lambda number: cider.get(number, math.inf)):
            begin, length = self.places[number]
            self.entries.seek(begin)
            yield number, cider.get(number), json.loads(self.entries.read(length))


def thumbnail(file):
    """Return a picture as a small JPEG in base64."""
    picture, jpeg = open_picture(file), io.BytesIO()
    picture.thumbnail((SIDE, SIDE))
    picture.save(jpeg, "JPEG", quality=QUALITY)
    return base64.b64encode(jpeg.getvalue()).decode()
