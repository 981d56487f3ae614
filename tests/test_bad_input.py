"""What goes wrong out there: each ends in one sentence with its file and a remedy, or in a picture.

Tables first, a row for each case; then damage drawn at random. Nothing on disk may change but what
a command is there to write.
"""

import errno
import json
import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from captioning import task
from captioning.evaluation import score, tokenized_references
from coco.dataset import Picture, read_split
from coco.pictures import open_picture, upright
from data_loader import CaptionData, get_loader, open_coco, tokenized
from encoders.backbones import Backbone
from encoders.features import cached_features, load
from encoders.transform import Transform
from system import files, tensor_file
from system.commands import run_command
from system.files import BadInput, write_json
from train import main as train_main
from training.state import save_state
from vocabulary import Vocabulary

TINY = Transform(32, (0.5,) * 3, (0.5,) * 3)
SMALL = ["--embed-size", "8", "--hidden-size", "8", "--epochs", "1", "--views", "1",
         "--vocab-threshold", "1"]
IMAGE = {"id": 1, "file_name": "1.jpg"}
SAID = {"id": 1, "image_id": 1, "caption": "A dog."}


@pytest.fixture
def outcome(capsys):
    """Run something as a command: its exit status and what it wrote on stderr."""
    def run(main):
        with pytest.raises(SystemExit) as end:
            run_command(main)
        return end.value.code or 0, capsys.readouterr().err

    return run


def snapshot(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def assert_one_sentence(error, words):
    error = error.rpartition("\r")[2].lstrip()          # a progress bar wipes itself away
    assert error.startswith("error: ") and error.count("\n") == 1 and "Traceback" not in error
    for word in words:
        assert word in error


def content(images=(IMAGE, {"id": 2, "file_name": "2.jpg"}),
            annotations=(SAID, {**SAID, "image_id": 2}), **more):
    return {"images": images, "annotations": annotations, **more}


# Annotations ------------------------------------------------------------------------------------

WHOLE = json.dumps(content())
REFUSED = {
    "empty file": ("", "not JSON"),
    "truncated": (WHOLE[:-20], "not JSON"),
    "a web page": ("<html>404</html>", "not JSON"),
    "another encoding": (WHOLE.encode("utf-16"), "not JSON"),
    "a bottomless list": ("[" * 100_000, "not JSON"),
    "a number without end": ('{"images": ' + "9" * 5000 + "}", "not JSON"),
    "a list": ([content()], "no list 'images'"),
    "nothing": (None, "no list 'images'"),
    "no annotations": ({"images": [IMAGE]}, "no list 'annotations'"),
    "images by id": (content(images={"1": IMAGE}), "no list 'images'"),
    "an image that is a name": (content(images=[IMAGE, "2.jpg"]), "images[1]"),
    "an id in quotes": (content(images=[{**IMAGE, "id": "1"}]), "whole number from 0 on 'id'"),
    "an id of true": (content(images=[{**IMAGE, "id": True}]), "images[0]"),
    "an id with a fraction": (content(images=[{**IMAGE, "id": 1.0}]), "images[0]"),
    "an id below 0": (content(images=[{**IMAGE, "id": -1}]), "images[0]"),
    "no file name": (content(images=[{"id": 1}]), "no text 'file_name'"),
    "a file name of null": (content(images=[{"id": 1, "file_name": None}]), "'file_name'"),
    "a caption of null": (content(annotations=[{**SAID, "caption": None}]), "annotations[0]"),
    "a caption of words": (content(annotations=[{**SAID, "caption": ["a"]}]), "'caption'"),
    "instances": (content(annotations=[SAID, {"id": 1, "image_id": 1, "bbox": [0] * 4}]),
                  "annotations[1] has no text 'caption'"),
    "two images of one id": (content(images=[IMAGE, IMAGE]), "two images of id 1"),
    "a caption of no image": (content(annotations=[{**SAID, "image_id": 7}]), "names id 7"),
    "no images": (content([], []), "no captioned picture"),
    "empty captions alone": (content(annotations=[{**SAID, "caption": " \n\x07\u200b"}]),
                             "no captioned picture"),
    **{f"the file name {name!r}": (content(images=[{"id": 1, "file_name": name}]),
                                   "no file inside the dataset")
       for name in ("../1.jpg", "/etc/passwd", "a/../../1.jpg", "..\\1.jpg", "C:\\1.jpg", "C:1.jpg",
                    "\\\\server\\1.jpg", "..", ".", "", "a\0.jpg", "a\n.jpg")},
}


def put(root, value):
    path = root / "annotations" / "captions_val.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    value = value if isinstance(value, str | bytes) else json.dumps(value)
    path.write_bytes(value if isinstance(value, bytes) else value.encode())
    return path


@pytest.mark.parametrize("name", REFUSED)
def test_annotations_that_cannot_be_used_are_refused(tmp_path, outcome, name):
    value, word = REFUSED[name]
    path = put(tmp_path, value)
    before = snapshot(tmp_path)
    for read in (lambda: read_split(tmp_path, "val"), lambda: open_coco(path)):
        status, error = outcome(read)
        assert status == 2 and snapshot(tmp_path) == before
        assert_one_sentence(error, ["captions_val.json", word, "prepare the data again"])


LONG = "word " * 10_000
SURVIVE = {
    "a stray key categories": (content(categories=[{"id": 1, "name": "dog"}]), ["A dog."]),
    "a byte order mark": (b"\xef\xbb\xbf" + WHOLE.encode(), ["A dog."]),
    "captions of one id": (content(annotations=[SAID, {**SAID, "caption": "A cat."}]),
                           ["A dog.", "A cat."]),
    "captions without an id": (content(annotations=[{"image_id": 1, "caption": "A dog."}] * 2),
                               ["A dog.", "A dog."]),
    "an empty caption among others": (content(annotations=[{**SAID, "caption": ""}, SAID]),
                                      ["A dog."]),
    "unknown keys": (content(info=7, licenses=None, annotations=[{**SAID, "x": {}}]), ["A dog."]),
    **{f"the caption {caption[:12]!r}": (content(annotations=[{**SAID, "caption": caption}]),
                                         [caption.replace("\ud83d", "?")])
       for caption in (LONG, "Ein Hund läuft über die Straße.", "一只狗在跑", "كلب يجري", "🐕‍🦺 🙂",
                       "...", "a dog\nruns\r\nfar\u2028off", "a\x00dog\x1f\x85runs",
                       "half an emoji \ud83d")},
}


@pytest.mark.parametrize("name", SURVIVE)
def test_strange_annotations_are_read_and_nothing_is_lost(tmp_path, name):
    value, sentences = SURVIVE[name]
    path = put(tmp_path, value)
    split = read_split(tmp_path, "val")
    assert list(split.pictures[0].sentences) == sentences
    vocab = Vocabulary.build(tokenized(split, tmp_path), 1)
    vocab.save(tmp_path / "v.json")
    again = Vocabulary(None, tmp_path / "v.json", vocab_from_file=True)
    assert again.words == vocab.words
    data = CaptionData(split, again, np.zeros((1, 2, 4), np.float16))
    assert len(data) == len(split.sentences) and next(data.batches(8))[1].shape[1] <= 50
    references = reads_or_refuses(lambda: tokenized_references(split))
    assert bool(references) == any(sign.isalnum() for sign in sentences[0])
    if references:
        scores, _ = score(["A dog."] * len(references), references)
        assert np.isfinite(list(scores.values())).all()
    coco = open_coco(path)
    assert [one["caption"] for one in coco.imgToAnns[1]] == sentences
    assert set(Vocabulary(1, tmp_path / "w.json", annotations_file=path).words) == set(vocab.words)


# Roots ------------------------------------------------------------------------------------------

def nothing(root):
    pass


def a_file(root):
    root.write_text("x")


def an_empty_folder(root):
    root.mkdir()


def no_captions(root):
    (root / "annotations").mkdir(parents=True)


def one_picture(root):
    write_json(root / "annotations" / "captions_train.json", content([IMAGE], [SAID]))


@pytest.mark.parametrize("make, words", [
    (nothing, ["no folder 'annotations'", "--data"]), (a_file, ["no folder 'annotations'"]),
    (an_empty_folder, ["no folder 'annotations'"]), (no_captions, ["no split 'train'", "no annot"]),
    (one_picture, ["single captioned picture", "add more"])])
def test_a_root_that_holds_too_little_is_refused(tmp_path, outcome, monkeypatch, make, words):
    root = tmp_path / "root"
    make(root)
    before = snapshot(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", "--data", str(root), "--run",
                                      str(tmp_path / "run")])
    status, error = outcome(train_main)
    assert status == 2 and snapshot(tmp_path) == before
    assert_one_sentence(error, [str(root), *words])


# Pictures ---------------------------------------------------------------------------------------

def save(image, path, **options):
    image.save(path, **options)
    return path


def clear_palette(path):
    """Its colour 0, which is transparent, is black; the upper half has it."""
    image = Image.new("P", (40, 30), 1)
    image.putpalette([0, 0, 0, 200, 30, 30])
    image.paste(0, (0, 0, 40, 15))
    return save(image, path, transparency=0)


def rotated(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    return save(Image.new("RGB", (30, 40), (200, 30, 30)), path, exif=exif)


def animated(path):
    frames = [Image.new("RGB", (40, 30), colour) for colour in ((200, 30, 30), "blue", "green")]
    return save(frames[0], path, save_all=True, append_images=frames[1:])


def sixteen_bits(path):
    return save(Image.fromarray(np.full((30, 40), 200 * 257, np.uint16)), path)


def damaged_exif(path):
    return save(Image.new("RGB", (40, 30), (200, 30, 30)), path,
                exif=b"Exif\0\0II*\0\xff\xff\xff\xff")


def plain(mode, colour):
    return lambda path: save(Image.new(mode, (40, 30), colour), path)


RED, GREY, WHITE = (200, 30, 30), (200,) * 3, (255,) * 3
def with_tag(path, tag, old, new):
    """Change the value of a TIFF's tag, one short number."""
    data, head = path.read_bytes(), tag.to_bytes(2, "little") + b"\3\0\1\0\0\0"
    assert head + bytes([old]) in data
    path.write_bytes(data.replace(head + bytes([old]), head + bytes([new])))
    return path


def numbers(values, dtype):
    """A maker of a TIFF of which one row has these numbers, the first in the upper left corner."""
    def make(path):
        pixels = np.array([values] * 30).astype(dtype)
        if dtype == np.uint32:              # which Pillow reads but does not write
            return with_tag(save(Image.fromarray(pixels.view(np.int32)), path), 339, 2, 1)
        return save(Image.fromarray(pixels), path)

    return make


def other_exif(tag, kind, count=1, value=b"\1\0\0\0"):
    """A maker of a JPEG turned by EXIF, with another tag of this kind, count and value."""
    def make(path):
        entries = ((0x0112, 3, 1, b"\3\0\0\0"), (tag, kind, count, value))
        body = b"".join(struct.pack("<HHI4s", *entry) for entry in entries)
        picture = Image.new("RGB", (40, 30), RED)
        picture.paste(GREEN, (30, 20, 40, 30))
        return save(picture, path, quality=95,
                    exif=b"Exif\0\0II*\0\x08\0\0\0\2\0" + body + b"\0" * 4)

    return make


def chunks(*more, behind=False):
    """A maker of a PNG with these chunks, each (kind, body, whether its checksum is right)."""
    def make(path):
        data = save(Image.new("RGB", (40, 30), RED), path).read_bytes()
        place = len(data) - 12 if behind else 33
        made = b"".join(len(body).to_bytes(4, "big") + kind + body
                        + (zlib.crc32(kind + body) ^ (not sound)).to_bytes(4, "big")
                        for kind, body, sound in more)
        path.write_bytes(data[:place] + made + data[place:])
        return path

    return make


def segment(kind, body, maker=None):
    """A maker of a JPEG with this segment at its beginning."""
    def make(path):
        data = (maker or plain("RGB", RED))(path).read_bytes()
        size = (len(body) + 2).to_bytes(2, "big")
        path.write_bytes(data[:2] + b"\xff" + bytes([kind]) + size + body + data[2:])
        return path

    return make


def deep_colours(path):
    """A PNG of one pixel with 16 bits a colour."""
    head = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    body = zlib.compress(struct.pack(">B3H", 0, *(257 * value for value in RED)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part))
        for kind, part in ((b"IHDR", head), (b"IDAT", body), (b"IEND", b""))))
    return path


def xmp_number(path):
    """A TIFF whose tag for XMP is a number."""
    tags = ImageFileDirectory_v2()
    tags.tagtype[700], tags[700] = 3, 7
    return save(Image.new("RGB", (40, 30), RED), path, tiffinfo=tags)


def cut(maker, count):
    """What `maker` makes, without its last bytes; if the count is negative, with more bytes."""
    def make(path):
        data = maker(path).read_bytes()
        path.write_bytes(data[:-count] if count > 0 else data + b"\xff\0" * -count)
        return path

    return make


def of_mode(mode):
    return lambda path: save(Image.new("RGB", (40, 30), RED).convert(mode), path)


def two_pages(path):
    return save(Image.new("RGB", (40, 30), RED), path, save_all=True,
                append_images=[Image.new("RGB", (40, 30), "blue")])


def premultiplied(path):
    """A TIFF half transparent, whose colours are multiplied by that."""
    return with_tag(save(Image.new("RGBA", (40, 30), (73, 73, 73, 128)), path), 338, 2, 1)


GREEN = (30, 200, 30)
BOMB = zlib.compress(b"x" * 70_000_000)
PICTURES = [                # name, maker, size, colour in the upper left corner
    ("plain.jpg", plain("RGB", RED), (40, 30), RED),
    ("point.png", lambda path: save(Image.new("RGB", (1, 1), RED), path), (1, 1), RED),
    ("grey.jpg", plain("L", 200), (40, 30), GREY),
    ("ink.jpg", plain("CMYK", (0, 0, 0, 55)), (40, 30), GREY),
    ("clear.png", plain("RGBA", (0, 0, 0, 0)), (40, 30), WHITE),
    ("half.png", plain("RGBA", (145, 145, 145, 128)), (40, 30), GREY),
    ("clear-grey.png", plain("LA", (0, 0)), (40, 30), WHITE),
    ("palette.png", clear_palette, (40, 30), WHITE),
    ("palette.gif", clear_palette, (40, 30), WHITE),
    ("deep.png", sixteen_bits, (40, 30), GREY),
    ("deep.tif", sixteen_bits, (40, 30), GREY),
    ("line.png", plain("1", 1), (40, 30), WHITE),
    ("rotated.jpg", rotated, (40, 30), RED),
    ("damaged-exif.jpg", damaged_exif, (40, 30), RED),
    ("animated.gif", animated, (40, 30), RED),
    ("animated.webp", animated, (40, 30), RED),
    ("png-inside.jpg", lambda path: save(Image.new("RGB", (40, 30), RED), path, format="PNG"),
     (40, 30), RED),
    ("wide.jpg", lambda path: save(Image.new("RGB", (12_000, 3), RED), path), (12_000, 3), RED),
    ("vast.jpg", lambda path: save(Image.new("L", (12_000, 9_000), 200), path), (3000, 2250), GREY),
    ("to-1.tif", numbers([200 / 255, 0, 1, 1.02], np.float32), (4, 30), GREY),
    ("to-255.tif", numbers([200, 0, 255], np.float32), (3, 30), GREY),
    ("to-65535.tif", numbers([200 * 257, 0, 65535], np.float32), (3, 30), GREY),
    ("any-range.tif", numbers([-1000 + 200 * 9, -1000, -1000 + 255 * 9], np.float32), (3, 30),
     GREY),
    ("no-number.tif", numbers([np.nan, 0, 1, np.inf], np.float32), (4, 30), (0, 0, 0)),
    ("to-4095.tif", numbers([200 * 16, 0, 4095], np.float32), (3, 30), GREY),
    ("hounsfield.tif", numbers([-1000, 3000], np.int32), (2, 30), (0, 0, 0)),
    ("whole-255.tif", numbers([200, 0, 255], np.int32), (3, 30), GREY),
    ("whole-65535.tif", numbers([200 * 257, 0, 65535], np.int32), (3, 30), GREY),
    ("whole-vast.tif", numbers([200 * 2**22, 0, 255 * 2**22], np.int32), (3, 30), GREY),
    ("unsigned.tif", numbers([200 * 2**24, 0, 255 * 2**24], np.uint32), (3, 30), GREY),
    ("big-endian.tif", numbers([200 * 257], ">u2"), (1, 30), GREY),
    ("deep.ppm", numbers([200 * 257], np.uint16), (1, 30), GREY),
    ("dark.pgm", numbers([100], np.uint16), (1, 30), (0, 0, 0)),
    *[(f"{mode}.tif", of_mode(mode), (40, 30), RED) for mode in ("YCbCr", "LAB", "CMYK", "RGBA")],
    ("premultiplied.tif", premultiplied, (40, 30), GREY),
    ("two-pages.tif", two_pages, (40, 30), RED),
    ("two.mpo", two_pages, (40, 30), RED),
    ("plain.jp2", plain("RGB", RED), (40, 30), RED),
    ("copyright.jpg", other_exif(0x8298, 3), (40, 30), GREEN),
    ("resolution.jpg", other_exif(0x011A, 2), (40, 30), GREEN),
    ("unknown-type.jpg", other_exif(0x010F, 99), (40, 30), GREEN),
    ("outside.jpg", other_exif(0x8769, 4, 1, b"\xff" * 4), (40, 30), GREEN),
    ("endless.jpg", other_exif(0x010E, 2, 2**31, b"\xff\xff\xff\x7f"), (40, 30), GREEN),
    ("text.png", chunks((b"zTXt", b"a\0\0" + BOMB, True)), (40, 30), RED),
    ("late-text.png", chunks((b"iTXt", b"a\0\1\0\0\0" + BOMB, True), behind=True), (40, 30), RED),
    ("profile.png", chunks((b"iCCP", b"a\0\0" + BOMB, True), (b"gAMA", b"", True)), (40, 30), RED),
    ("checksum.png", chunks((b"tEXt", b"a\0b", False), (b"pHYs", b"", True)), (40, 30), RED),
    ("profile.jpg", segment(0xE2, b"ICC_PROFILE\0"), (40, 30), RED),
    ("adobe.jpg", segment(0xEE, b"Adobe"), (40, 30), RED),
    ("header.jpg", segment(0xE0, b"JFIF\0", other_exif(0x8298, 3)), (40, 30), GREEN),
    ("deep-colours.png", deep_colours, (1, 1), RED),
    ("xmp.tif", xmp_number, (40, 30), RED),
    ("unended.png", cut(plain("RGB", RED), 12), (40, 30), RED),
    ("unended.jpg", cut(plain("RGB", RED), 2), (40, 30), RED),
    ("half-ended.jpg", cut(plain("RGB", RED), 1), (40, 30), RED),
    ("unended.gif", cut(animated, 1), (40, 30), RED),
    ("garbage.jpg", cut(plain("RGB", RED), -500), (40, 30), RED),
    ("garbage.png", cut(plain("RGB", RED), -500), (40, 30), RED),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name, make, size, colour", PICTURES, ids=lambda value: value
                         if isinstance(value, str) else "")
def test_a_picture_of_any_kind_is_seen_as_a_person_sees_it(tmp_path, name, make, size, colour):
    file = make(tmp_path / name)
    picture = open_picture(file)
    assert picture.mode == "RGB" and picture.size == size
    assert np.abs(np.subtract(picture.getpixel((0, 0)), colour)).max() <= 3
    assert upright(picture) == picture
    for fit in ("squash", "crop"):
        for view in range(3):
            seen = load(Picture(1, file, ("A dog.",)), Transform(32, *[(0.5,) * 3] * 2, fit), view)
            assert seen.shape == (3, 32, 32) and seen.isfinite().all()


def truncated(path):
    noise = np.random.default_rng(0).integers(0, 255, (60, 60, 3), np.uint8)
    data = save(Image.fromarray(noise), path).read_bytes()
    path.write_bytes(data[:len(data) // 2])


def damaged_pixels(path):
    noise = np.random.default_rng(0).integers(0, 255, (60, 60, 3), np.uint8)
    data = bytearray(save(Image.fromarray(noise), path).read_bytes())
    data[data.index(b"IDAT") + 500] ^= 255
    path.write_bytes(data)


def a_bomb(path):
    """A PNG of a few bytes that says it is 60,000 pixels square."""
    data = bytearray(save(Image.new("1", (8, 8)), path).read_bytes())
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path.write_bytes(data)


BROKEN = {
    "absent.jpg": (lambda path: None, "is missing"),
    "empty.jpg": (lambda path: path.write_bytes(b""), "it is empty"),
    "page.jpg": (lambda path: path.write_text("\n<!DOCTYPE html><html>404"), "it is a web page"),
    "words.jpg": (lambda path: path.write_text("no picture"), "no format that Pillow knows"),
    "folder.jpg": (lambda path: path.mkdir(), "cannot be read"),
    "truncated.jpg": (truncated, "truncated"),
    "truncated.png": (truncated, "cannot be read"),
    "bomb.png": (a_bomb, "bomb"),
    "cut.jpg": (cut(lambda path: save(Image.effect_noise((60, 60), 99), path), 6), "truncated"),
    "damaged.png": (damaged_pixels, "cannot be read"),
    "no-number.tif": (numbers([np.nan], np.float32), "none of its pixels is a number"),
    "phone.heic": (lambda path: path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0"), "it is HEIC"),
    "lost.jpg": (lambda path: path.symlink_to("nowhere.jpg"), "a link to a file that is missing"),
    "loop.jpg": (lambda path: path.symlink_to(path.name), "cannot be read"),
    "pipe.jpg": (lambda path: os.mkfifo(path), "it is a pipe"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_picture_that_cannot_be_read_is_named(tmp_path, outcome, name):
    make, word = BROKEN[name]
    try:
        make(tmp_path / name)
    except (OSError, AttributeError):
        pytest.skip("links or pipes cannot be made here")
    status, error = outcome(lambda: open_picture(tmp_path / name))
    assert status == 2
    assert_one_sentence(error, [name, word])


def train(root, run, *more):
    return ["train.py", "--data", str(root), "--run", str(run), "--encoder", "resnet18",
            *SMALL, *more]


@pytest.fixture
def small_encoder(monkeypatch):
    """Training with an encoder of random weights and small pictures."""
    build = task.Captioner.build
    monkeypatch.setattr(task, "transform_of", lambda *_: TINY)
    monkeypatch.setattr(task.Captioner, "build", lambda architecture, vocab, transform, _,
                        tuned: build(architecture, vocab, transform, None, tuned))


@pytest.mark.parametrize("tuned", [[], ["--tune-from", "4"]], ids=["frozen", "tuned"])
def test_one_bad_picture_among_many_is_left_out_and_listed(write_root, tmp_path, monkeypatch,
                                                          outcome, small_encoder, tuned):
    root = write_root(tmp_path / "root", {"train": 9, "val": 3})
    (root / "train" / "000002.jpg").unlink()
    (root / "train" / "000005.jpg").write_bytes(b"")
    (root / "val" / "000011.jpg").write_text("<html>")
    before = snapshot(root)
    monkeypatch.setattr(sys, "argv", train(root, tmp_path / "run", *tuned))
    status, error = outcome(train_main)
    assert status == 0 and snapshot(root) == before
    assert "2 of 9 pictures of train cannot be read and are left out" in error
    for words in ("000002.jpg is missing", "000005.jpg cannot be read (it is empty)",
                  "1 of 3 pictures of val", "000011.jpg cannot be read (it is a web page)"):
        assert words in error
    assert (tmp_path / "run" / "best.safetensors").exists()


def test_a_split_of_bad_pictures_alone_is_refused(write_root, tmp_path, monkeypatch, outcome):
    root = write_root(tmp_path / "root", {"train": 3, "val": 2})
    for file in (root / "val").iterdir():
        file.write_bytes(b"")
    monkeypatch.setattr(sys, "argv", train(root, tmp_path / "run"))
    status, error = outcome(train_main)
    assert status == 2
    assert_one_sentence(error, ["2 of 2 pictures of val", "000004.jpg", "replace it"])


# Vocabularies, disks ----------------------------------------------------------------------------

def test_a_vocabulary_of_another_run_is_refused(write_root, tmp_path, outcome):
    root = write_root(tmp_path / "cocoapi", {"train2014": 3})
    Vocabulary(words=["quite", "other", "words"]).save(tmp_path / "v.json")
    status, error = outcome(lambda: get_loader(TINY, vocab_file=tmp_path / "v.json",
                                               cocoapi_loc=root.parent))
    assert status == 2
    assert_one_sentence(error, ["v.json", "knows 0% of the words", "vocab_from_file=False"])


def test_a_run_whose_captions_have_changed_is_not_gone_on_with(write_root, tmp_path, monkeypatch,
                                                               outcome, small_encoder):
    root = write_root(tmp_path / "root", {"train": 6, "val": 2})
    monkeypatch.setattr(sys, "argv", train(root, tmp_path / "run"))
    assert outcome(train_main)[0] == 0
    path = root / "annotations" / "captions_train.json"
    path.write_text(path.read_text().replace("picture", "zebra"))
    before = snapshot(tmp_path / "run")
    status, error = outcome(train_main)
    assert status == 2 and snapshot(tmp_path / "run") == before
    assert_one_sentence(error, ["(the captions of train changed)", "give another --run"])


def test_a_run_is_not_put_where_a_file_is(tiny_root, tmp_path, monkeypatch, outcome, small_encoder):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setattr(sys, "argv", train(tiny_root, tmp_path / "file" / "run"))
    status, error = outcome(train_main)
    assert status == 2 and (tmp_path / "file").read_text() == "mine"
    assert_one_sentence(error, [str(tmp_path / "file")])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO])
def test_what_the_disk_refuses_is_said_and_the_file_of_before_stays(tmp_path, monkeypatch, outcome,
                                                                    number):
    write_json(tmp_path / "x.json", "before")

    def refuse(self, *_, **__):
        raise OSError(number, errno.errorcode[number], str(self))

    monkeypatch.setattr(Path, "write_text", refuse)
    status, error = outcome(lambda: write_json(tmp_path / "x.json", "after"))
    assert status == 2 and snapshot(tmp_path) == {tmp_path / "x.json": b'"before"'}
    assert_one_sentence(error, ["x.json", "make room, or choose a folder you may write to"])


def test_a_checkpoint_for_which_the_disk_has_no_room_is_refused(tmp_path, monkeypatch, outcome):
    def refuse(*_):
        raise tensor_file.SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(tensor_file, "save_file", refuse)

    class Nothing:
        tensors = staticmethod(dict)
        state_dict = staticmethod(lambda: {"state": {}})

    file = tmp_path / "s.safetensors"
    status, error = outcome(lambda: save_state(file, Nothing, Nothing, {}))
    assert status == 2 and not list(tmp_path.iterdir())
    assert_one_sentence(error, ["s.safetensors", "No space left", "make room"])


def test_features_that_do_not_fit_on_the_disk_are_not_begun(tiny_root, tmp_path, monkeypatch,
                                                            outcome):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: files.shutil._ntuple_diskusage(
        10**9, 10**9, 1000))
    split = read_split(tiny_root, "val")
    status, error = outcome(lambda: cached_features(Backbone("resnet18", None), TINY, split,
                                                    cache=tmp_path))
    assert status == 2 and not list(tmp_path.rglob("*.part"))
    assert_one_sentence(error, ["encoding val", "make room"])


# Damage drawn at random -------------------------------------------------------------------------

EVERY = settings(max_examples=1000, derandomize=True, deadline=None, database=None,
                 suppress_health_check=list(HealthCheck))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner,
                                                                max_size=3), max_leaves=4)
damages = st.lists(st.tuples(st.floats(0, 1), st.integers(-1, 255)), min_size=1, max_size=6)


def places(value, path=()):
    """The path of every value inside a JSON value."""
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    value = value.copy()
    value[path[0]] = replaced(value[path[0]], path[1:], new)
    return value


def struck(data, damages):
    """Bytes with some replaced; a byte of -1 cuts off what comes after it."""
    data = bytearray(data)
    for place, byte in damages:
        index = int(place * (len(data) - 1)) if data else 0
        if byte < 0:
            del data[index:]
        elif data:
            data[index] = byte
    return bytes(data)


def reads_or_refuses(read):
    try:
        return read()
    except BadInput as refusal:
        assert "\n" not in str(refusal)


@EVERY
@given(st.data())
def test_damaged_annotations_are_read_or_refused(tmp_path_factory, data):
    root = tmp_path_factory.getbasetemp() / "annotations damaged"
    whole = {"images": [{"id": 1, "file_name": "1.jpg"}, {"id": 2, "file_name": "2.jpg"}],
             "annotations": [{"id": 3, "image_id": 1, "caption": "A dog."},
                             {"id": 4, "image_id": 2, "caption": "A 🐈."}], "info": {}}
    if data.draw(st.booleans()):
        value = replaced(whole, data.draw(st.sampled_from(list(places(whole)))), data.draw(values))
        path = put(root, value)
    else:
        path = put(root, struck(json.dumps(whole, ensure_ascii=False).encode(), data.draw(damages)))
    split = reads_or_refuses(lambda: read_split(root, "val"))
    reads_or_refuses(lambda: open_coco(path))
    if split:
        words = tokenized(split, root)
        CaptionData(split, Vocabulary.build(words, 1), np.zeros((1, 2, 4), np.float16))


@pytest.fixture(scope="module")
def jpegs(tmp_path_factory):
    """The bytes of two small photographs, one of them progressive and on its side."""
    exif, folder = Image.Exif(), tmp_path_factory.mktemp("jpegs")
    exif[0x0112], exif[0x010E] = 8, "a photograph"
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 24, 3), np.uint8))
    return [save(noise, folder / "a.jpg").read_bytes(),
            save(noise, folder / "b.jpg", exif=exif, progressive=True).read_bytes()]


@pytest.mark.filterwarnings("ignore")
@EVERY
@given(st.integers(0, 1), damages, st.booleans())
def test_a_damaged_photograph_is_opened_or_refused(tmp_path_factory, jpegs, which, damages, head):
    file = tmp_path_factory.getbasetemp() / "damaged.jpg"
    end = 300 if head else len(jpegs[which])            # the head is where the rules are
    file.write_bytes(struck(jpegs[which][:end], damages) + jpegs[which][end:])
    picture = reads_or_refuses(lambda: open_picture(file))
    assert picture is None or picture.mode == "RGB"


@pytest.mark.parametrize("name", ["photo.JPG", "photo", "PHOTO.jpg", "photo.png"])
def test_a_picture_whose_ending_is_written_wrong_is_named(tmp_path, name):
    (tmp_path / "photo.jpg").write_bytes(b"")
    if not (tmp_path / name).exists():          # a disk may not tell small letters from capitals
        with pytest.raises(BadInput, match="is missing, though photo.(jpg|JPG) is there: replace"):
            open_picture(tmp_path / name, "replace it")
