"""The page as a stranger uses it: what is dropped stays here, and what is wrong is a sentence."""

import html
import io
import json
import re
import subprocess
import sys
import time
import zipfile
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from urllib.error import HTTPError
from urllib.parse import quote

import pytest
import torch
from PIL import Image

from captioning.checkpoint import SHIPPED
from page.examples import examples
from system import tensor_file
from tests.serving import ROOT, Page, Visitor
from video.paragraphs.checkpoint import FORMAT, KIND

pytest.importorskip("gradio", reason="needs gradio: pip install -r requirements-app.txt")
if not SHIPPED.exists():
    pytest.skip(f"needs {SHIPPED.name}", allow_module_level=True)
BOMB = 20_000, 10_000       # pixels, 200 millions


@pytest.fixture(scope="module")
def page():
    with Page([SHIPPED]) as made:
        yield made


@pytest.fixture
def visitor(page):
    return Visitor(page.url)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Photographs that are no one's in particular."""
    return [one.file for one in examples(tmp_path_factory.mktemp("photos")) if not one.graph]


def dropped(visitor, *files):
    return [visitor.upload(file.name, file.read_bytes()) for file in files]


def sentences(found):
    """The sentences that a sheet shows, those of each card in a list."""
    said = re.compile(r'class="sentence" role="group" aria-label="([^"]*)"')
    return [[html.unescape(one) for one in said.findall(card)]
            for card in found.split("<article")[1:]]


def errors(found):
    return [html.unescape(one) for one in re.findall(r'class="error">([^<]*)<', found)]


def by_command(folder, *arguments):
    """What caption.py says of the pictures in a folder, those of each in a list."""
    done = subprocess.run([sys.executable, ROOT / "caption.py", ".", "--json", "--checkpoint",
                           SHIPPED, *arguments], cwd=folder, capture_output=True, text=True,
                          check=True)
    return {Path(one["file"]).name: one["captions"] for one in map(json.loads,
                                                                   done.stdout.splitlines())}


@pytest.mark.parametrize("controls, arguments", [
    ({}, []), ({"at3": "greedy"}, ["--beam", "1"]), ({"at4": 3}, ["--captions", "3"]),
    ({"at3": "sampling", "at4": 4, "at6": 0.8, "at7": 0.9, "at8": 50, "at11": 7},
     ["--sample", "4", "--temperature", "0.8", "--top-p", "0.9", "--top-k", "50", "--seed", "7"]),
    ({"at9": 8, "at10": 2}, ["--max-length", "8", "--no-repeat", "2"])])
def test_a_caption_on_the_page_is_caption_py_s(visitor, photos, controls, arguments):
    found = sentences(visitor.describe(dropped(visitor, *photos), **controls))
    expected = by_command(photos[0].parent, *arguments)
    assert found == [expected[photo.name] for photo in photos]


def test_the_first_caption_comes_within_three_seconds(page, visitor, photos):
    files = dropped(visitor, photos[0])
    before = time.monotonic()
    assert sentences(visitor.describe(files))[0]
    assert time.monotonic() - before < 3


def wrong_files():
    """Ten files that are no pictures, each with a word that its sentence must have."""
    zipped, heic = io.BytesIO(), b"\0\0\0\x18ftypheic" + bytes(100)
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a.jpg", b"x")
    bomb = io.BytesIO()
    Image.new("1", BOMB).save(bomb, "PNG")
    whole = io.BytesIO()
    Image.effect_noise((200, 200), 90).save(whole, "JPEG")
    return {"nothing.jpg": (b"", "empty"), "page.png": (b"<!doctype html><p>x", "web page"),
            "vast.png": (bomb.getvalue(), "limit"), "IMG_1.HEIC": (heic, "HEIC"),
            "photos.zip": (zipped.getvalue(), "no format"),
            "../../up.jpg": (b"no picture", "no format"),
            "cut.jpg": (whole.getvalue()[:4000], "truncated"),
            "text.txt": ("é".encode(), "no format"),
            "film.mp4": (b"\0\0\0\x18ftypmp42" + bytes(100), "is a clip"),
            "<b>x</b>.jpg": (b"\n" * 300, "empty")}


def test_wrong_files_are_sentences_and_nothing_is_written_elsewhere(page, visitor, photos):
    wrong = wrong_files()
    before = page.files()
    files = [visitor.upload(name, content) for name, (content, _) in wrong.items()]
    files += [visitor.upload(name, b"x") for name in (".DS_Store", "Thumbs.db")]    # not shown
    found = visitor.describe([*files, *dropped(visitor, photos[0])])
    said = errors(found)
    assert len(said) == len(wrong) == 10 and sentences(found)[-1]
    for sentence, (name, (_, word)) in zip(said, wrong.items(), strict=True):
        assert word in sentence and str(page.folder) not in sentence, (name, sentence)
    assert "<b>x" not in found
    own = re.compile(r"tmp/captions-page-\w+/")
    assert [file for file in page.files() - before if not own.match(file)] == []


def test_a_teller_of_clips_that_cannot_be_loaded_leaves_photographs_alone(photos, tmp_path):
    old, clip = tmp_path / "old.safetensors", tmp_path / "clip.gif"
    tensor_file.write(old, KIND, FORMAT, {"x": torch.zeros(1)}, {})
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "green")]
    frames[0].save(clip, save_all=True, append_images=frames[1:], duration=500)
    with Page([SHIPPED, old]) as page:
        visitor = Visitor(page.url)
        found = visitor.describe(dropped(visitor, photos[0], clip))
    assert [len(said) for said in sentences(found)] == [1, 0]
    assert len(errors(found)) == 1 and "old" in errors(found)[0]


@pytest.mark.parametrize("path", ["/etc/passwd", str(ROOT / "app.py"), str(SHIPPED), "../x",
                                  "http://127.0.0.1:9/a.jpg"])
def test_only_what_was_dropped_can_be_read(visitor, path):
    with pytest.raises(HTTPError) as refused:
        visitor.get(f"/gradio_api/file={quote(path)}")
    assert refused.value.code in (403, 404)
    with pytest.raises(RuntimeError):
        visitor.describe([{"path": path, "meta": {"_type": "gradio.FileData"}}])


@pytest.mark.parametrize("path", ["/made/x/0.jpg", "/made/../app.py", "/made/%2e%2e/captions.json"])
def test_only_what_was_made_is_served(visitor, path):
    with pytest.raises(HTTPError) as refused:
        visitor.get(path)
    assert refused.value.code == 404


def test_before_anything_is_dropped_it_says_what_to_drop_and_there_is_nothing_to_press(visitor):
    config = json.loads(visitor.get("/config"))
    said = config["i18n_translations"]["en"]
    assert said == {"upload_text.drop_file": "Drop photographs here"}
    again = [one for one in config["components"] if one["props"].get("value") == "Describe again"]
    assert [one["props"]["interactive"] for one in again] == [False]


def test_a_question_about_nothing_is_answered_by_what_to_do():
    from page.folder import Folder
    from page.layout import Page as Does

    found = Does.answered(SimpleNamespace(folder=Folder()), "x", None, "any", "how many dogs?")
    assert errors(found) == ["there is nothing to ask about: drop photographs first"]
    assert "0 files" in found


def test_the_page_has_no_address_but_its_own(page, visitor):
    text = visitor.get("/") + visitor.get("/theme.css")
    found = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", text))
    assert {one for one in found if not page.url.startswith(one)} <= {"http://www.w3.org"}


def test_it_answers_to_no_other_name_and_forbids_the_browser_to_go_elsewhere(visitor):
    with pytest.raises(HTTPError) as refused:
        visitor.get("/", Host="elsewhere.example")
    assert refused.value.code == 400
    from page.server import POLICY

    assert "http" not in POLICY.replace("https://", "http") and "'self'" in POLICY


def test_what_is_made_can_be_saved_and_goes_with_the_next_drop(page, visitor, photos):
    found = visitor.describe(dropped(visitor, *photos[:2]))
    gallery, plain = re.findall(r'href="(/made/[^"]+)" download', found)
    saved = json.loads(visitor.get(plain))
    assert [one["file"] for one in saved] == [photo.name for photo in photos[:2]]
    assert [one["captions"] for one in saved] == sentences(found)
    assert all(0 < one["confidence"][0] <= 1 and one["concepts"] for one in saved)
    assert photos[0].name in visitor.get(gallery) and str(page.folder) not in visitor.get(gallery)
    visitor.describe(dropped(visitor, photos[0]))
    with pytest.raises(HTTPError):
        visitor.get(plain)


@pytest.mark.parametrize("change", [{"at4": 10**9}, {"at6": -1}, {"at3": "telepathy"},
                                    {"at1": "/etc/passwd"}])
def test_controls_that_no_page_would_send_are_refused(visitor, photos, change):
    try:
        found = visitor.describe(dropped(visitor, photos[0]), **change)
    except RuntimeError:            # gradio's own
        return
    assert errors(found) and not any(sentences(found))


def test_a_slow_picture_does_not_keep_another_visitor_waiting(page, photos):
    slow, quick = Visitor(page.url), Visitor(page.url)
    vast = io.BytesIO()
    Image.new("RGB", (11_000, 10_000)).save(vast, "PNG", compress_level=1)
    file, ended = slow.upload("vast.png", vast.getvalue()), []
    waits = Thread(target=lambda: (slow.describe([file] * 3), ended.append(time.monotonic())))
    waits.start()
    time.sleep(0.3)
    assert sentences(quick.describe(dropped(quick, photos[0])))[0]
    before = time.monotonic()
    waits.join(120)
    assert ended and ended[0] >= before


WATCH = """import sys
def note(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo"):
        where = arguments[:1] if event == "socket.getaddrinfo" else arguments[1]
        with open({path!r}, "a") as file:
            print(event, repr(where), file=file)
sys.addaudithook(note)
"""


def test_from_start_to_end_it_reaches_for_this_machine_only_and_ctrl_c_ends_it_at_once(
        photos, tmp_path):
    log = tmp_path / "sockets"
    (tmp_path / "sitecustomize.py").write_text(WATCH.format(path=str(log)))
    proxies = {"HTTPS_PROXY": "http://127.0.0.1:9", "PYTHONPATH": str(tmp_path)}
    with Page([SHIPPED], **proxies) as page:
        visitor = Visitor(page.url)
        assert sentences(visitor.describe(dropped(visitor, *photos)))[0]
        late = Thread(target=lambda: suppress_all(visitor.describe, dropped(visitor, *photos) * 20))
        late.start()
        time.sleep(1)
        assert page.files()
        assert page.interrupt() < 1
        late.join()
        assert page.files() == set() and page.process.returncode == 130
        assert "Traceback" not in page.said()
    found = log.read_text().splitlines()
    assert any(line.startswith("socket.bind") for line in found)
    here = "127.0.0.1", "socket.bind ('', 0)"         # the latter in search of a free port
    assert [line for line in found if not any(one in line for one in here)] == []


def suppress_all(function, *arguments):
    """Call a function whose failure is expected: its server is stopped."""
    with suppress(Exception):
        function(*arguments)
