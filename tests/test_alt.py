"""Every figure of a notebook has a text for readers who cannot see it."""

from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course.kernels import NAMES
from course.notebooks import PICTURES, tidy

HERE = Path(__file__).parent.parent
SHORTEST = 20           # characters; less says that there is a figure, not what it shows
TEXT = 'Two curves: "train" falls below "val" after epoch 3.'
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


class Images(HTMLParser):
    """The alt texts of a page's images."""

    def __init__(self, html):
        super().__init__()
        self.alts = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.alts.append(dict(attributes).get("alt"))


def picture(kind):
    """Return an output that shows a picture of a kind."""
    return new_output("display_data", {kind: DOT, "text/plain": "<Figure>"})


def notebook(*outputs, **metadata):
    """Return a notebook of one code cell with these outputs, as a run leaves them."""
    cell = new_code_cell("draw()", outputs=list(outputs), metadata=metadata, execution_count=1)
    return new_notebook(cells=[new_markdown_cell("# Toy"), cell])


def alts(page):
    """Return the alt texts of a notebook's pictures, empty where there is none."""
    return [output.metadata.get(kind, {}).get("alt", "") for cell in page.cells
            if cell.cell_type == "code" for output in cell.outputs
            for kind in PICTURES if kind in output.get("data", {})]


def alts_in_tables(page):
    """Return the alt texts of the images in a notebook's HTML outputs, None where there is none."""
    return [text for cell in page.cells if cell.cell_type == "code" for output in cell.outputs
            for text in Images(output.get("data", {}).get("text/html", "")).alts]


@pytest.mark.parametrize("kind", PICTURES)
def test_a_cell_s_alt_text_goes_to_each_of_its_pictures(kind):
    page = notebook(picture(kind), new_output("stream", text="loss"), picture(kind), alt=TEXT)
    tidy(page)
    assert alts(page) == [TEXT, TEXT]
    assert not page.cells[1].outputs[1].get("metadata")
    nbformat.validate(page)


@pytest.mark.parametrize("kind", PICTURES)
def test_a_page_made_of_a_notebook_has_the_alt_text(kind):
    exporter = pytest.importorskip("nbconvert").HTMLExporter(template_name="classic")
    page = notebook(picture(kind), alt=TEXT)
    tidy(page)
    del page.cells[1].metadata["alt"]       # what the page says comes from the output
    html, _ = exporter.from_notebook_node(page)
    assert Images(html).alts == [TEXT]


def test_a_cell_without_alt_text_is_left_as_it_is():
    page = notebook(picture("image/png"))
    tidy(page)
    assert alts(page) == [""]
    assert page.cells[1].outputs[0].metadata == {}


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_of_a_notebook_has_an_alt_text(name):
    page = nbformat.read(HERE / f"{name}.ipynb", as_version=4)
    assert [text for text in alts(page) if len(text) < SHORTEST] == []
    assert all(alts_in_tables(page))
