"""What the page is made of, without gradio: entries, cards, its folder, the models it names."""

import json
import re
import subprocess
import sys
from html import unescape

import pytest
import torch
from PIL import Image

import tests.tiny  # noqa: F401  an encoder that settings may name
from captioning.captioner import Captioner
from captioning.checkpoint import save_captioner
from decoders.confidence import Weighed, Word
from encoders.backbones import transform_of
from encoders.concepts import WORDS
from page.cards import Made, card, percentage, sheet
from page.describing import Entry, describe, is_clip, pieces, readable
from page.examples import examples
from page.folder import Folder
from page.models import CAPTIONER, KEPT, Models, found_in, seer
from scenes.dataset import one_scene
from system.files import BadInput
from tests.serving import ROOT
from vocabulary import Vocabulary

WORDS_KNOWN = ["a", "red", "green", "ball", "box", "on", "."]


def build(decoder, grid):
    torch.manual_seed(1)
    architecture = {"encoder": {"backbone": "tiny", "grid": grid},
                    "decoder": {"embed_size": 8, "hidden_size": 8, "num_layers": 1,
                                "name": decoder, "dropout": 0.0}}
    made = Captioner.build(architecture, Vocabulary(words=WORDS_KNOWN), transform_of("tiny"))
    with torch.no_grad():
        for one in made.decoder.parameters():
            one.mul_(4)
    return made


@pytest.fixture
def folder():
    made = Folder()
    yield made
    made.remove()


@pytest.fixture
def run(tmp_path):
    """A checkpoint of a captioner that attends."""
    save_captioner(tmp_path / "soft.safetensors", build("soft", True))
    return tmp_path / "soft.safetensors"


@pytest.fixture
def photo(tmp_path):
    Image.effect_noise((90, 60), 80).save(tmp_path / "a <b>.png")
    return tmp_path / "a <b>.png"


def said(sentence, *words):
    return Weighed(sentence, 0.5, [Word(one, 0.3, [("x", 0.2)], None) for one in words])


@pytest.mark.parametrize("sentence, words", [
    ("a red ball.", ["a", "red", "ball", "."]),
    ("it isn't a ball", ["it", "is", "n't", "a", "ball"]),
    ('a "red" ball', ["a", "``", "red", "''", "ball"]), ("", [])])
def test_the_pieces_of_a_sentence_are_the_sentence(sentence, words):
    found = pieces(said(sentence, *words))
    assert [word.text for _, word, _ in found] == words
    if '"' not in sentence:
        assert "".join(before + word.text for before, word, _ in found) == sentence
    assert {holds for _, _, holds in found} <= {None}


def test_a_word_s_claim_is_true_or_false_of_its_scene():
    graph = one_scene(0, "test", 1)[1]
    right = next(one for one in graph["objects"])
    wrong = "purple" if right["colour"] != "purple" else "red"
    for colour, holds in ((right["colour"], True), (wrong, False)):
        words = ["a", colour, right["shape"], "."]
        found = pieces(said(f"a {colour} {right['shape']}.", *words), graph)
        assert [one for _, _, one in found] == [None, holds, True, None]


def test_a_picture_is_described_and_its_card_shows_where_each_word_looked(folder, run, photo):
    ready = Models([run]).get("soft", CAPTIONER)
    token, desk = folder.desk("one")
    search = ready.captioner.search(captions=2)
    entry = readable(describe, photo, ready, search, desk, 0)
    assert [one.sentence for one in entry.said] == ready.captioner.describe(
        [Image.open(photo)], search)[0]
    shown = card(entry, token)
    assert "a <b>" not in shown and "a &lt;b&gt;.png" in shown
    looked = re.findall(r'data-looked="([0-9a-f]*)"', shown)
    words = [word for one in entry.said for word in one.words]
    assert len(looked) == len(words) > 0
    for text, word in zip(looked, words, strict=True):
        weights = torch.tensor(list(bytes.fromhex(text))) / 255
        torch.testing.assert_close(weights, word.looked / word.looked.max(), atol=3e-3, rtol=0)
    told = re.search(r'class="sentence" role="group" aria-label="([^"]*)"', shown)[1]
    assert unescape(told) == entry.best
    assert folder.find(token, "0.jpg")


def test_a_decoder_without_attention_looks_nowhere(folder, photo, tmp_path):
    save_captioner(tmp_path / "lstm.safetensors", build("lstm_every", False))
    ready = Models([tmp_path / "lstm.safetensors"]).get("lstm", CAPTIONER)
    entry = readable(describe, photo, ready, ready.captioner.search(), folder.desk("x")[1], 0)
    assert entry.said and set(re.findall(r'data-looked="([^"]*)"', card(entry, "t"))) <= {""}


def test_bad_input_is_a_sentence_without_the_path_and_a_fault_is_none(photo):
    def refuse(file):
        raise BadInput(f"{file} is not good")

    assert readable(refuse, photo).error == "a <b>.png is not good"
    with pytest.raises(ZeroDivisionError):
        readable(lambda file: 1 / 0, photo)


def test_the_gallery_and_the_json_name_the_dropped_file_and_not_where_it_lies(folder, run, photo):
    ready = Models([run]).get("soft", CAPTIONER)
    token, desk = folder.desk("one")
    made = Made(desk, sampled=False)
    made.add(readable(describe, photo, ready, ready.captioner.search(), desk, 0))
    made.add(Entry("b.jpg", "b.jpg: it is empty"))
    made.write("soft", "beam 3")
    good, bad = json.loads(folder.find(token, "captions.json").read_text(encoding="utf-8"))
    assert good["file"] == "a <b>.png" and bad == {"file": "b.jpg", "error": "b.jpg: it is empty"}
    assert [[word["word"] for word in one] for one in good["words"]][0]
    page = folder.find(token, "captions.html").read_text(encoding="utf-8")
    assert "a &lt;b&gt;.png" in page and str(folder.root) not in page
    assert "<li>b.jpg: it is empty</li>" in page and ">beam 3<" in page


def test_a_clip_is_known_by_its_name_or_by_moving(tmp_path):
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "b.gif")
    (tmp_path / "c.jpg").write_bytes(b"none")
    found = {name: is_clip(tmp_path / name) for name in ("a.gif", "b.gif", "c.jpg", "d.MP4")}
    assert found == {"a.gif": True, "b.gif": False, "c.jpg": False, "d.MP4": True}


def test_a_desk_goes_with_the_next_one_and_with_its_page(folder):
    first, desk = folder.desk("one")
    (desk / "0.jpg").touch()
    (desk / "secret.txt").touch()
    (folder.uploads / "0.jpg").touch()
    assert folder.find(first, "0.jpg") and not folder.find(first, "secret.txt")
    assert not folder.find("../uploads", "0.jpg") and not folder.find(first, "../0.jpg")
    other, _ = folder.desk("two")
    second, _ = folder.desk("one")
    assert not desk.exists() and not folder.find(first, "0.jpg")
    folder.close("one")
    assert [path.name for path in folder.made.iterdir()] == [other] and second != other
    folder.remove()
    assert not folder.root.exists()


def test_models_have_names_of_their_own_and_the_last_few_stay_loaded(run, tmp_path):
    places = [run]
    for number in range(KEPT + 1):
        places.append(tmp_path / "runs" / f"{number}" / "soft")
        places[-1].mkdir(parents=True)
        (places[-1] / "best.safetensors").write_bytes(run.read_bytes())
    models = Models([*places, run])
    assert models.of(CAPTIONER) == ["soft", "0/soft", "1/soft", "2/soft", "3/soft"]
    kept = [models.get(name, CAPTIONER) for name in models.of(CAPTIONER)]
    assert models.get("3/soft", CAPTIONER) is kept[-1] and len(models.loaded) == KEPT
    assert models.get("soft", CAPTIONER) is not kept[0]
    assert len(found_in(tmp_path / "runs")) == KEPT + 1 and found_in(tmp_path / "none") == []
    for name, kind in (("soft", "narrator"), (str(run), CAPTIONER), (None, CAPTIONER)):
        with pytest.raises(BadInput, match="choose another"):
            models.get(name, kind)


def test_the_encoder_s_concepts_are_the_likeliest_words_best_first(tmp_path):
    assert seer("resnet50", None) is None
    see = seer("efficientnet_lite0", transform_of("efficientnet_lite0"))
    cat = next(one.file for one in examples(tmp_path) if one.label == "a cat")
    found = see(Image.open(cat).convert("RGB"))
    assert found[0][0] == "cat" and len(found) == 5 and {word for word, _ in found} <= {*WORDS}
    assert [value for _, value in found] == sorted((value for _, value in found), reverse=True)


def test_sheets_say_how_far_it_is_and_offer_what_is_saved():
    assert "2 of 3" in sheet(["x", "y"], 3, "t") and "download" not in sheet(["x"], 1, "t", True)
    assert sheet(["x"], 1, "t", done=True, saved=True).count("download") == 2
    assert [percentage(one).replace("\xa0", " ") for one in (1, 0.126, 0.004)] == [
        "100 %", "13 %", "< 1 %"]


def test_a_card_says_which_words_had_to_be_named():
    for words, told in (([], None), (["cat"], "sure enough of cat, it had to name it"),
                        (["cat", "cup"], "sure enough of cat, cup, it had to name one of them")):
        entry = Entry("a.jpg", said=[said("a cat", "a", "cat")], certain=words)
        shown = card(entry, "t")
        assert told in shown if told else "had to" not in shown
        assert entry.plain().get("had_to_name_one_of", []) == words


def test_app_says_that_it_opens_the_page_before_what_takes_seconds():
    program = ("import sys; sys.modules['torch'] = None; import app; app.NEEDED = 'json'; "
               "app.main()")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.stderr.startswith("opening the page") and "import of torch halted" in done.stderr


def test_without_gradio_it_says_how_to_install_it():
    program = ("import app; from system.commands import run_command; "
               "app.NEEDED = 'no_such_package'; run_command(app.main)")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.count("\n") == 1 and "pip install -r requirements-app.txt" in done.stderr
