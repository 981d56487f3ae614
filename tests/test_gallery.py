"""One page that needs no other file, says nothing that was not said, and puts the worst first."""

import base64
import errno
import html
import io
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from captioning import gallery
from captioning.evaluation import score, tokenized_references
from captioning.gallery import Gallery
from captioning.matching import matches
from coco.dataset import read_split
from system.files import BadInput, write_json

SENTENCES = ["a red picture", "nothing but green here", "a square of red paint", "a blue picture",
             "all of it", "the picture is red"]


@pytest.fixture(scope="module")
def split(tiny_root):
    return read_split(tiny_root, "val")


@pytest.fixture
def page(split, tiny_root, tmp_path):
    """The text of a page of six pictures with references and one without."""
    Image.new("RGB", (40, 900), "white").save(tmp_path / "tall <b> & 'quoted'.png")
    made = Gallery(tmp_path / "pages" / "page.html",
                   tiny_root / "annotations" / "captions_val.json")
    made.add(tmp_path / "tall <b> & 'quoted'.png", ['<script>alert("x")</script>', "second best"])
    for picture, sentence in zip(split.pictures, SENTENCES, strict=True):
        made.add(picture.file, [sentence])
    made.write("tiny.safetensors, beam 3")
    return (tmp_path / "pages" / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("sampled", [True, False])
def test_a_guess_is_marked_and_nothing_else(split, tmp_path, sampled):
    made = Gallery(tmp_path / "page.html", sampled=sampled)
    made.add(split.pictures[0].file, ["a red ball.", "a cup."], guesses=["a cup."])
    made.add(split.pictures[1].file, ["a cup."])
    made.write("tiny")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("(a guess)") == 1
    assert "a cup. (a guess)" in " ".join(re.sub("<[^>]*>", "", page).split())


def text_of(path):
    """What a page says, without its tags and the pictures in it."""
    page = path.read_text(encoding="utf-8").partition("</style>")[2].partition("<script>")[0]
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", page)).split())


def test_it_ends_with_what_could_not_be_described_and_why_without_the_whole_path(split, tmp_path):
    read, lost = split.pictures[0].file, [tmp_path / "deep" / name for name in ("<b>.jpg", "c.jpg")]
    names = {read: "sea/a.jpg", lost[0]: "sea/<b>.jpg", lost[1]: "sea/c.jpg"}
    made = Gallery(tmp_path / "page.html", names=names)
    for file in lost:
        made.leave_out(file, f"picture {file} cannot be read (it is empty): replace it")
    made.add(read, ["a red ball."])
    made.write("tiny")
    said = text_of(tmp_path / "page.html")
    assert said.startswith("Captions 1 picture described by tiny 2 more could not be described")
    assert said.endswith("a red ball. sea/a.jpg Not described "
                         "picture sea/<b>.jpg cannot be read (it is empty): replace it "
                         "picture sea/c.jpg cannot be read (it is empty): replace it")
    assert str(tmp_path) not in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_page_of_all_pictures_has_no_list_of_others_and_folds_the_settings_away(split, tmp_path):
    for settings, folded in (("", []), ("beam 3", ["exact settings"])):
        made = Gallery(tmp_path / "page.html")
        made.add(split.pictures[0].file, ["a red ball."])
        made.write("tiny", settings)
        page = (tmp_path / "page.html").read_text(encoding="utf-8")
        assert "not be described" not in page and "Not described" not in page
        assert re.findall("<details><summary>([^<]*)", page) == folded and settings in page


class Outline(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def entries(self):
        return [attributes for attributes in self.all("li") if "data-number" in attributes]


def test_the_worst_comes_first_by_the_official_score_and_what_has_none_last(page, split):
    scores, each = score(SENTENCES, tokenized_references(split))
    items = Outline(page).entries()
    assert [item.get("data-score") for item in items] == [f"{one:.4f}" for one in sorted(each)] + [
        None]
    order = sorted(range(6), key=lambda number: each[number])
    assert [int(item["data-number"]) for item in items] == [number + 1 for number in order] + [0]
    assert re.findall(r'class="caption">([^<]*)<', page)[:6] == [SENTENCES[k] for k in order]
    assert f"CIDEr {100 * scores['CIDEr']:.1f} over the 6 with references" in page
    assert "7 pictures described by tiny.safetensors, beam 3" in page


def test_pictures_are_inside_small_and_described(page):
    images = Outline(page).all("img")
    assert len(images) == 7
    for image in images:
        kind, content = image["src"].split(",")
        assert kind == "data:image/jpeg;base64"
        with Image.open(io.BytesIO(base64.b64decode(content))) as opened:
            assert opened.format == "JPEG" and max(opened.size) <= gallery.SIDE
    assert {image["alt"] for image in images} == {*SENTENCES, '<script>alert("x")</script>'}


def test_the_page_asks_nothing_of_any_server(page):
    outline = Outline(page)
    policy = next(meta["content"] for meta in outline.all("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r"base64,[^\"]*", "", page))
    assert not any({"src", "href"} & set(attributes) for tag, attributes in outline.tags
                   if tag != "img")


def test_what_a_captioner_or_a_file_name_says_is_text_and_never_markup(page):
    assert len(Outline(page).all("script")) == 1 and "<b>" not in page
    assert "&lt;script&gt;alert(&#34;x&#34;)" in page
    assert "tall &lt;b&gt; &amp; &#39;quoted&#39;.png" in page and "second best" in page


def test_it_is_readable_on_a_phone_in_the_dark_and_by_keyboard(page):
    outline = Outline(page)
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in outline.all(
        "meta")
    assert outline.all("html") == [{"lang": "en"}] and len(outline.all("h1")) == 1
    assert "prefers-color-scheme: dark" in page and ":focus-visible" in page
    assert re.search(r"<label>Order <select>", page)
    assert [option["value"] for option in outline.all("option")] == ["worst", "best", "found",
                                                                     "caption"]
    assert len(outline.all("details")) == len(outline.all("summary")) == 6


def test_without_references_pictures_stand_as_they_were_found_and_have_no_score(split, tmp_path):
    made = Gallery(tmp_path / "page.html")
    for picture in split.pictures[::-1]:
        made.add(picture.file, ["a picture"])
    made.write("tiny")
    outline = Outline((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert [item["data-number"] for item in outline.entries()] == list("012345")
    assert not any("data-score" in item for item in outline.entries())
    assert [option["value"] for option in outline.all("option")] == ["found", "caption"]


PLACES = [                  # names in the captions file, pictures, whose references each gets
    (["cats/1.jpg", "dogs/1.jpg"], ["cats/1.jpg", "dogs/1.jpg", "birds/1.jpg"], [0, 1, None]),
    (["1.jpg", "dogs/1.jpg"], ["cats/1.jpg", "a/dogs/1.jpg"], [0, 1]),          # the longest
    (["1.jpg"], ["cats/1.jpg"], [0]),
    (["1.jpg"], ["cats/1.jpg", "dogs/1.jpg"], [None, None]),                    # whose is it?
    (["cats/1.jpg"], ["a/cats/1.jpg", "b/cats/1.jpg", "c/1.jpg"], [None, None, None]),
    (["cats/1.jpg"], ["dogs/1.jpg", "cats/1.jpg"], [None, 0]),
    (["a/cats/1.jpg"], ["b/cats/1.jpg", "c/1.jpg"], [0, None]),
    (["1.jpg", "1.jpg"], ["1.jpg"], [None]),
    (["1.jpg", "./1.jpg", "2.jpg"], ["1.jpg", "2.jpg"], [None, 2]),
    (["cats\\1.jpg", "dogs\\1.jpg"], ["dogs/1.jpg", "cats/1.jpg"], [1, 0]),    # Windows' slash
    (["Cats/1.JPG"], ["cats/1.jpg"], [0]),
    (["a.jpg", "A.jpg"], ["A.jpg", "a.jpg"], [1, 0]),
    (["a.jpg"], ["A.jpg", "a.jpg"], [None, 0]),                                 # the more alike
    (["caf\u00e9/1.jpg"], ["cafe\u0301/1.jpg"], [0]),                   # an accent
    (["caf\u00e9.jpg", "cafe\u0301.jpg"], ["cafe\u0301.jpg", "caf\u00e9.jpg"], [1, 0]),
    (["11.jpg", "s/1.jpg"], ["1.jpg", "cats/1.jpg"], [None, None]),     # not letters
    (["1.jpg"], ["cats/1.jpg", "cats/../cats/1.jpg"], [0, 0]),                  # one file twice
]


@pytest.mark.parametrize("names, files, expected", PLACES)
def test_references_are_of_the_picture_whose_path_ends_in_their_name(tmp_path, names, files,
                                                                      expected):
    files = [tmp_path / file for file in files]
    found, unclear = matches(files, names)
    assert [found.get(file) for file in files] == expected
    assert not set(unclear) & found.keys()
    again, _ = matches(files[::-1], names[::-1])        # whatever stands first
    assert {file: len(names) - 1 - number for file, number in again.items()} == found


def two_folders(tmp_path, names):
    """Two pictures of one name in two folders, with references of one sentence."""
    write_json(tmp_path / "r.json", {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
        "annotations": [{"image_id": number, "caption": f"Sentence {number}."}
                        for number in range(len(names))]})
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (9, 9)).save(tmp_path / name / "1.jpg")
    return Gallery(tmp_path / "page.html", tmp_path / "r.json")


def test_pictures_of_one_name_in_two_folders_get_their_own_references(tmp_path, capsys):
    made = two_folders(tmp_path, ["cats/1.jpg", "dogs/1.jpg"])
    for name in ("dogs", "cats"):
        made.add(tmp_path / name / "1.jpg", ["a picture"])
    made.write("tiny")
    assert made.truth == {0: ("Sentence 1.",), 1: ("Sentence 0.",)}
    assert not capsys.readouterr().err


def test_references_that_may_be_of_two_pictures_are_of_none_and_it_is_said(tmp_path, capsys):
    made = two_folders(tmp_path, ["1.jpg"])
    made.add(tmp_path / "cats" / "1.jpg", ["a picture"])
    made.leave_out(tmp_path / "dogs" / "1.jpg", "it is empty")      # it is there
    made.write("tiny")
    assert not made.truth and "CIDEr" not in (tmp_path / "page.html").read_text()
    assert "2 pictures, " in (said := capsys.readouterr().err) and "r.json" in said


def some_captions(split, tmp_path, **options):
    """The page of one picture that has three captions, as text and outline."""
    made = Gallery(tmp_path / "page.html", **options)
    made.add(split.pictures[0].file, ["a cat", "a < b", "a dog"])
    made.write("tiny")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    return page, Outline(page)


def test_sampled_captions_stand_side_by_side_as_equals(split, tmp_path):
    page, outline = some_captions(split, tmp_path, sampled=True)
    assert re.findall(r'<li class="caption">([^<]*)<', page) == ["a cat", "a &lt; b", "a dog"]
    assert [image["alt"] for image in outline.all("img")] == ["a cat"]


def test_sampled_captions_stand_below_the_likeliest_and_equal_ones_are_counted(split, tmp_path):
    made = Gallery(tmp_path / "page.html", sampled=True)
    made.add(split.pictures[0].file, ["a cat", "a dog", "a cat"], "a likely cat")
    made.write("tiny")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    found = re.findall(r'class="caption(?: likeliest)?">([^<]*)<', page)
    assert [one.strip() for one in found] == ["a likely cat", "a cat", "a dog"]
    assert page.count("×") == page.count("×2") == 1
    assert [image["alt"] for image in Outline(page).all("img")] == ["a likely cat"]
    assert made.candidates == ["a likely cat"]          # which references score


def test_of_the_captions_of_beams_the_first_is_prominent(split, tmp_path):
    page, outline = some_captions(split, tmp_path)
    assert re.findall(r'class="caption">([^<]*)<', page) == ["a cat"]
    assert '<p class="quiet">a &lt; b</p>\n<p class="quiet">a dog</p>' in page
    assert [image["alt"] for image in outline.all("img")] == ["a cat"]


def test_the_page_is_written_entry_by_entry(split, tmp_path, monkeypatch):
    """One entry's JPEG in memory at a time: the next is read after the last was written."""
    made, log = Gallery(tmp_path / "page.html"), []
    for picture in split.pictures[:3]:
        made.add(picture.file, ["a picture"])
    read = made.worst_first

    class Page(io.BytesIO):
        def writelines(self, pieces):
            log.extend("written" for piece in pieces if b";base64," in piece)

    def logged(cider):
        for one in read(cider):
            log.append("read")
            yield one

    monkeypatch.setattr(made, "worst_first", logged)
    monkeypatch.setattr("builtins.open", lambda *_: Page())
    with pytest.raises(BadInput):           # nothing was written where the page should be
        made.write("tiny")
    assert log == ["read", "written"] * 3


def test_references_are_found_by_file_name_wherever_the_picture_lies(split, tmp_path):
    write_json(tmp_path / "captions.json", {
        "images": [{"id": number, "file_name": f"train/{split.pictures[number].file.name}"}
                   for number in (0, 1)],
        "annotations": [{"image_id": 0, "caption": "A red picture."},
                        {"image_id": 1, "caption": "A blue one."}]})
    made = Gallery(tmp_path / "page.html", tmp_path / "captions.json")
    made.add(split.pictures[0].file, ["a red picture"])
    assert made.scores()[0] == {}               # CIDEr compares pictures
    made.add(split.pictures[1].file, ["a red picture"])
    assert made.scores()[0].keys() == {0, 1}


def test_entries_wait_on_disk_and_the_page_is_whole_or_absent(split, tmp_path, monkeypatch):
    made = Gallery(tmp_path / "page.html")
    made.add(split.pictures[0].file, ["a picture"])
    kept = [len(value) for value in vars(made).values() if isinstance(value, list | dict)]
    assert max(kept) == 1 and made.entries.tell() > 500
    assert not (tmp_path / "page.html").exists()
    monkeypatch.setattr(made, "worst_first", lambda _: (1 / 0 for _ in "x"))
    with pytest.raises(ZeroDivisionError):
        made.write("tiny")
    assert not (tmp_path / "page.html").exists()


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_described(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="page.html cannot be written .*choose a folder you may"):
        Gallery(tmp_path / "file" / "page.html")


@pytest.mark.parametrize("name, content", [
    ("photo.jpg", b"\xff\xd8"), ("photo.HTML", b"\xff\xd8"), ("empty.htm", b""),
    ("mine.html", b"<!doctype html>\n<html>")])
def test_no_page_is_written_over_what_is_no_gallery(split, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match="no name of a web page|is there and is not a gallery"):
        Gallery(tmp_path / name)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {name: content}


def test_a_gallery_is_replaced_by_the_next(split, tmp_path):
    before = some_captions(split, tmp_path)
    assert some_captions(split, tmp_path, sampled=True)[0] != before[0]


class FullDisk(io.BytesIO):
    def write(self, content):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_fills_up_is_named(split, tmp_path):
    made = Gallery(tmp_path / "page.html")
    made.entries.close()
    made.entries = FullDisk()
    with pytest.raises(BadInput, match="page.html cannot be written .No space left"):
        made.add(split.pictures[0].file, ["a picture"])
