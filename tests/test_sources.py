"""Flickr8k and one's own pictures become COCO's layout, whole or not at all."""

import csv
import os
import shutil
import sys
import unicodedata

import numpy as np
import pytest
from PIL import Image

import evaluate
import prepare
import train
from coco import sources
from coco.dataset import read_split
from coco.sources import LISTS, divide, flickr8k, folder
from coco.tables import read_rows
from system.files import BadInput, read_json

COLOURS = {"red": (210, 40, 40), "green": (40, 170, 60), "blue": (40, 70, 200)}


@pytest.fixture
def photos(tmp_path):
    """A folder of 20 pictures, each of its own noise, 0.jpg to 19.jpg."""
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for number in range(20):
        noise = np.random.default_rng(number).integers(-20, 20, (40, 50, 3))
        rgb = list(COLOURS.values())[number % 3]
        Image.fromarray(np.clip(noise + rgb, 0, 255).astype("uint8")).save(
            tmp_path / "photos" / f"{number}.jpg")
    return tmp_path / "photos"


@pytest.fixture
def captions(tmp_path):
    """A CSV with two sentences for each picture."""
    with open(tmp_path / "captions.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "caption"])
        for number in range(20):
            colour = list(COLOURS)[number % 3]
            rows.writerow([f"{number}.jpg", f"A {colour} picture, all of it."])
            rows.writerow([f"{number}.jpg", f'Some call it "{colour}".'])
    return tmp_path / "captions.csv"


def contents(root):
    """{file name: sentences} of all splits, and {file name: split}."""
    sentences, sides = {}, {}
    for split in ("train", "val", "test"):
        for picture in read_split(root, split).pictures:
            name = picture.file.relative_to(root / split).as_posix()
            assert picture.file.is_file() and name not in sides
            sentences[name], sides[name] = list(picture.sentences), split
    return sentences, sides


def written(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def test_a_folder_and_a_table_become_coco_s_layout(photos, captions, tmp_path, capsys):
    root = folder(tmp_path / "root", photos, captions)
    sentences, sides = contents(root)
    assert sentences["4.jpg"] == ["A green picture, all of it.", 'Some call it "green".']
    assert len(sentences) == 20 and list(sides.values()).count("val") == 2
    assert list(sides.values()).count("test") == 2
    assert all((root / side / name).read_bytes() == (photos / name).read_bytes()
               for name, side in sides.items())
    ids = [one["id"] for split in ("train", "val", "test") for one in read_json(
        root / "annotations" / f"captions_{split}.json", "")["annotations"]]
    assert len(set(ids)) == 40
    assert "16 train, 2 val, 2 test" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["captions.csv", "photos", "root"]


TABLES = {
    "semicolons": "File name;Caption\n1.jpg;A dog, a cat\n2.jpg;Naïve 🙂\n",
    "tabs": "IMAGE\tdescription\n1.jpg\tA dog, a cat\n2.jpg\tNaïve 🙂\n",
    "a byte order mark and Windows' lines": '\ufefffile_name,text\r\n1.jpg,"A dog, a cat"\r\n'
                                            "2.jpg,Naïve 🙂\r\n",
    "columns to spare": 'id,caption,photo\n1,"A dog, a cat",1.jpg\n2,Naïve 🙂,2.jpg\n',
    "a caption in each column": 'file,caption_1,caption_2\n1.jpg,"A dog, a cat",\n2.jpg,,Naïve 🙂',
    "JSON lines": '{"file": "1.jpg", "caption": "A dog, a cat"}\n\n'
                  '{"file_name": "2.jpg", "captions": ["Naïve 🙂"]}\n',
    "Windows' folders": '\n'.join(["file,caption", '.\\1.jpg,"A dog, a cat"', "2.jpg,Naïve 🙂"]),
    "empty rows": 'file,caption\n\n1.jpg,"A dog, a cat"\n3.jpg,  \n,A ghost.\n2.jpg,Naïve 🙂\n\n',
}


def sources_of(folder, text, encoding="utf-8", bare=False, pictures=None):
    """What a table of this text says: {file name: sentences}, and {file name: split} or None."""
    table = written(folder / "table", text, encoding)
    return sources.gather(table, read_rows(table, bare), pictures)


@pytest.mark.parametrize("kind", TABLES)
def test_tables_of_many_kinds_are_understood(photos, tmp_path, kind):
    assert sources_of(tmp_path, TABLES[kind])[0] == {
        "1.jpg": ["A dog, a cat"], "2.jpg": ["Naïve 🙂"]}


def test_rows_with_nothing_in_them_are_counted(tmp_path, capsys):
    sources_of(tmp_path, TABLES["empty rows"])
    assert "left out 2 lines without a file or a caption: line 4, line 5" in capsys.readouterr().err


BROKEN = {
    "no header": ("1.jpg,A dog\n2.jpg,A cat\n", "call one 'file' and one 'caption'"),
    "empty": ("", "call one 'file' and one 'caption'"),
    "a header alone": ("file,caption\n", "names no picture with a caption"),
    "an open quotation mark": ('file,caption\n1.jpg,"A dog\n2.jpg,A cat\n', "broken in line 3"),
    "an endless field": ('file,caption\n1.jpg,' + "x" * 200_000, "broken in line"),
    "a name outside": ("file,caption\n../1.jpg,A dog\n", "line 2 the picture '../1.jpg'"),
    "a whole path": ("file,caption\n/home/me/1.jpg,A dog\n", "write names as they are within it"),
    "a number for a caption": ('{"file": "1.jpg", "caption": 5}', "line 1 no JSON object"),
    "a line that is none": ('{"file": "1.jpg", "caption": "x"}\n[1]', "line 2 no JSON object"),
    "a cut line": ('{"file": "1.jpg", "caption": "x"}\n{"file', "line 2 no JSON object"),
    "another key": ('{"file": "1.jpg", "title": "x"}', "with texts 'file' and 'caption'"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_table_that_cannot_be_used_is_refused(photos, tmp_path, kind):
    text, words = BROKEN[kind]
    table = written(tmp_path / "table", text)
    with pytest.raises(BadInput) as refusal:
        folder(tmp_path / "root", photos, table)
    assert str(table) in str(refusal.value) and words in str(refusal.value)
    assert "\n" not in str(refusal.value) and not (tmp_path / "root").exists()


@pytest.mark.parametrize("text, encoding", [("file,caption\n1.jpg,Hündchen", "cp1252"),
                                            ("file,caption\n1.jpg,Hund", "utf-16-le"),
                                            ("file,caption\n1.jpg,Hund", "utf-32")])
def test_another_encoding_is_refused(photos, tmp_path, text, encoding):
    table = written(tmp_path / "table", text, encoding)
    with pytest.raises(BadInput, match="is not text in UTF-8.*Excel"):
        folder(tmp_path / "root", photos, table)


def test_files_that_are_not_there_are_named(photos, captions, tmp_path):
    with pytest.raises(BadInput, match="absent.csv cannot be read"):
        folder(tmp_path / "root", photos, tmp_path / "absent.csv")
    with pytest.raises(BadInput, match="nowhere is no folder"):
        folder(tmp_path / "root", tmp_path / "nowhere", captions)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="20 of 20 pictures of .*captions.csv.*0.jpg is missing"):
        folder(tmp_path / "root", tmp_path / "empty", captions)


def test_bad_pictures_are_left_out_and_listed(photos, captions, tmp_path, capsys):
    (photos / "3.jpg").unlink()
    (photos / "4.jpg").write_text("<html>")
    (photos / "5.jpg").rename(photos / "more" / "5.jpg")
    captions.write_text(captions.read_text().replace("5.jpg", "more/5.jpg", 1)
                        .replace("\n5.jpg", "\nmore/5.jpg").replace("1more/5", "15"))
    sentences, _ = contents(folder(tmp_path / "root", photos, captions))
    assert set(sentences) >= {"more/5.jpg"} and "3.jpg" not in sentences
    assert len(sentences) == 18
    said = capsys.readouterr().err
    assert "2 of 20 pictures" in said and "3.jpg is missing" in said and "4.jpg cannot" in said


def test_the_splits_depend_on_the_seed_and_the_pictures_alone(photos, captions, tmp_path):
    sides = contents(folder(tmp_path / "one", photos, captions))[1]
    lines = captions.read_text().splitlines()
    captions.write_text("\n".join(lines[:1] + lines[:0:-1]))
    assert contents(folder(tmp_path / "two", photos, captions))[1] == sides
    assert contents(folder(tmp_path / "three", photos, captions, seed=1))[1] != sides
    shares = list(contents(folder(tmp_path / "four", photos, captions, 0.2, 0.3))[1].values())
    assert (shares.count("val"), shares.count("test")) == (4, 6)


def test_copies_of_a_picture_stay_on_one_side(photos, captions, tmp_path):
    for number in range(10, 20):
        shutil.copy(photos / f"{number - 10}.jpg", photos / f"{number}.jpg")
    _, sides = contents(folder(tmp_path / "root", photos, captions, 0.3, 0.3))
    assert len(sides) == 20
    assert all(sides[f"{number}.jpg"] == sides[f"{number + 10}.jpg"] for number in range(10))


@pytest.mark.parametrize("val, test", [(0, 0.1), (0.5, 0.5), (-0.1, 0.1), (0.1, 1), (1.5, 0)])
def test_shares_that_leave_nothing_are_refused(photos, captions, tmp_path, val, test):
    with pytest.raises(BadInput, match="leave nothing to train on"):
        folder(tmp_path / "root", photos, captions, val, test)


def test_too_few_pictures_are_refused_and_a_root_may_do_without_test(photos, captions, tmp_path):
    with pytest.raises(BadInput, match="too few different .* and test, 2: add more"):
        divide(read_split_of(photos, captions, tmp_path)[:2], 0.1, 0.1, 0)
    root = folder(tmp_path / "without", photos, captions, test=0)
    assert read_split(root, "test").name == "val (no captioned test split)"


def read_split_of(photos, captions, tmp_path):
    return read_split(folder(tmp_path / "some", photos, captions), "train").pictures


def test_the_same_again_is_done_at_once_and_anything_else_is_refused(photos, captions, tmp_path,
                                                                     monkeypatch, capsys):
    root = folder(tmp_path / "root", photos, captions)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    with monkeypatch.context() as patch:
        patch.setattr(sources, "write", lambda *_: pytest.fail("written again"))
        assert folder(root, photos, captions) == root
    assert "already holds this" in capsys.readouterr().out
    for other in ({"seed": 1}, {"val": 0.2}):
        with pytest.raises(BadInput, match="root holds something else"):
            folder(root, photos, captions, **other)
    captions.write_text(captions.read_text() + "1.jpg,Another.\n")
    with pytest.raises(BadInput, match="root holds something else"):
        folder(root, photos, captions)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match="mine holds something else"):
        folder(tmp_path / "mine", photos, captions)
    assert os.listdir(tmp_path / "mine") == ["thesis.txt"]


def test_an_interrupted_conversion_leaves_no_root_and_the_next_one_is_whole(photos, captions,
                                                                            tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(sources, "write_json", killed)
        folder(tmp_path / "root", photos, captions)
    assert not (tmp_path / "root").exists()
    root = folder(tmp_path / "root", photos, captions)
    assert len(contents(root)[0]) == 20
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]


NAMES = ("shot at 3.04.05\u202fPM.jpg", "a\xa0b\u3000c.jpg", "soft\xadhyphen.jpg",
         "\U0001f468\u200d\U0001f469\u200d\U0001f467.jpg", "\u200fright\u200e.jpg", "\ue000.jpg",
         "12;30.jpg")


def put_names(photos, captions, names):
    """Rename pictures 0 to n as the names say, in the folder only; return the table's text."""
    table = captions.read_text(encoding="utf-8")
    for number, name in enumerate(names):
        (photos / f"{number}.jpg").rename(photos / name)
        table = table.replace(f"\n{number}.jpg,", f"\n{unicodedata.normalize('NFC', name)},")
    captions.write_text(table, encoding="utf-8")


def test_names_with_signs_that_print_nothing_are_taken(photos, captions, tmp_path):
    put_names(photos, captions, NAMES)
    sentences, _ = contents(folder(tmp_path / "root", photos, captions))
    assert len(sentences) == 20 and set(sentences) >= set(NAMES)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_names_that_only_posix_has_are_taken(photos, captions, tmp_path):
    names = ("12:30?.jpg", "a\\b.jpg")
    put_names(photos, captions, names)
    assert set(contents(folder(tmp_path / "root", photos, captions))[0]) >= set(names)


def test_accents_are_found_composed_or_not(photos, captions, tmp_path):
    names = [unicodedata.normalize("NFD", name) for name in ("Café.jpg", "more/é/ü.jpg")]
    (photos / "more" / unicodedata.normalize("NFD", "é")).mkdir()
    put_names(photos, captions, names)
    assert len(contents(folder(tmp_path / "root", photos, captions))[0]) == 20


def with_splits(captions, sides):
    """Give a table a column `split`: the sides by picture number, train for all others."""
    lines = captions.read_text().splitlines()
    captions.write_text("\n".join([lines[0] + ",split"] + [
        f"{line},{sides.get(int(line.partition('.')[0]), 'train')}" for line in lines[1:]]))


def test_a_column_of_splits_is_followed(photos, captions, tmp_path, capsys):
    with_splits(captions, {0: "Valid", 1: "dev", 2: "test"})
    shutil.copy(photos / "0.jpg", photos / "3.jpg")
    _, sides = contents(folder(tmp_path / "root", photos, captions, 0.5))
    assert [sides.get(f"{n}.jpg") for n in range(5)] == ["val", "val", "test", None, "train"]
    said = capsys.readouterr()
    assert "--val and --test are not used" in said.err and len(sides) == 19
    assert folder(tmp_path / "root", photos, captions) == tmp_path / "root"     # the same
    assert "left out of train what is in another split as well, byte for byte: 1" in said.out


def test_a_column_of_splits_may_lack_val_but_not_train(photos, captions, tmp_path):
    whole = captions.read_text()
    with_splits(captions, {})
    root = folder(tmp_path / "root", photos, captions)
    assert read_split(root, "val").name == "val, lent by train"
    captions.write_text(whole)
    with_splits(captions, dict.fromkeys(range(20), "val"))
    with pytest.raises(BadInput, match="name no picture of .*photos for one of train"):
        folder(tmp_path / "other", photos, captions)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes have names here")
def test_what_is_no_file_is_left_out_and_listed(photos, captions, tmp_path, capsys):
    for number in range(4):
        (photos / f"{number}.jpg").unlink()
    os.mkfifo(photos / "0.jpg")
    (photos / "1.jpg").mkdir()
    (photos / "2.jpg").symlink_to("nowhere.jpg")
    (photos / "3.jpg").symlink_to("3.jpg")
    assert len(contents(folder(tmp_path / "root", photos, captions))[0]) == 16
    error = capsys.readouterr().err
    for words in ("4 of 20 pictures", "it is a pipe", "it is a folder", "2.jpg is a link to a file "
                  "that is missing", "3.jpg cannot be read (Too many levels"):
        assert words in error


def test_web_addresses_are_named(photos, captions, tmp_path):
    with pytest.raises(BadInput, match="https://a.org/photos is a web address.*download it"):
        folder(tmp_path / "root", "https://a.org/photos", captions)
    captions.write_text("file,caption\nhttp://a.org/1.jpg,A dog.\n")
    with pytest.raises(BadInput, match="http.*a.org/1.jpg is a web address"):
        folder(tmp_path / "root", photos, captions)


# Flickr8k ---------------------------------------------------------------------------------------

KAGGLE = ('image,caption\n1.jpg,A dog .\n1.jpg,"A dog , a cat ."\n'
          '1.jpg,"""Stop"" , says a sign ."\n2.jpg,A cat , unquoted .\n')
TOKENS = ("1.jpg#0\tA dog .\r\n1.jpg#1\tA dog , a cat .\r\n1.jpg#2\t\"Stop\" , says a sign .\r\n"
          "2.jpg#0\tA cat , unquoted .\r\n")


@pytest.mark.parametrize("text", [KAGGLE, TOKENS, "\ufeff" + KAGGLE])
def test_both_forms_of_flickr8k_s_captions_say_the_same(tmp_path, text):
    assert sources_of(tmp_path, text, bare=True)[0] == {
        "1.jpg": ["A dog .", "A dog , a cat .", '"Stop" , says a sign .'],
        "2.jpg": ["A cat , unquoted ."]}


def test_a_line_of_another_kind_is_refused(tmp_path):
    with pytest.raises(BadInput, match="in line 5 neither 'image.jpg,caption'"):
        sources_of(tmp_path, TOKENS + "a dog runs\n", bare=True)


@pytest.fixture
def tokens(tmp_path):
    """Captions of the 20 pictures, and of one that Flickr8k names but does not have."""
    return written(tmp_path / "Flickr8k.token.txt", "".join(
        f"{name}#{k}\tSentence {k} .\n" for name in [f"{n}.jpg" for n in range(20)] + ["x.jpg.1"]
        for k in range(5)))


def write_lists(folder, **names):
    folder.mkdir(exist_ok=True)
    for split, mine in names.items():
        (folder / LISTS[split]).write_text("\n".join(f"{n}.jpg" for n in mine) + "\n")
    return folder


def test_the_official_lists_are_followed(photos, tokens, tmp_path, capsys):
    lists = write_lists(tmp_path / "lists", train=range(12), val=range(12, 15), test=range(15, 19))
    _, sides = contents(flickr8k(tmp_path / "root", tokens, photos, lists))
    assert [sides.get(f"{n}.jpg") for n in range(20)] == (
        ["train"] * 12 + ["val"] * 3 + ["test"] * 4 + [None])
    said = capsys.readouterr()
    assert "left out 1 pictures that are in no list" in said.out
    assert "x.jpg.1 is missing" in said.err


def test_without_lists_the_seed_divides(photos, tokens, tmp_path):
    sides = list(contents(flickr8k(tmp_path / "root", tokens, photos))[1].values())
    assert [sides.count(split) for split in ("train", "val", "test")] == [16, 2, 2]


def test_lists_that_cannot_be_used_are_refused(photos, tokens, tmp_path):
    both = write_lists(tmp_path / "both", train=[1, 2], val=[2], test=[3])
    with pytest.raises(BadInput, match="devImages.txt names 2.jpg, which is in the list of train"):
        flickr8k(tmp_path / "root", tokens, photos, both)
    foreign = write_lists(tmp_path / "foreign", train=[1, 2], val=[77], test=[3])
    with pytest.raises(BadInput, match="name no picture of .*photos"):
        flickr8k(tmp_path / "root", tokens, photos, foreign)
    part = write_lists(tmp_path / "part", train=[1, 2])
    with pytest.raises(BadInput, match="Flickr_8k.devImages.txt cannot be read"):
        flickr8k(tmp_path / "root", tokens, photos, part)
    assert not (tmp_path / "root").exists()


# Three commands ---------------------------------------------------------------------------------

def test_from_a_folder_of_photographs_to_a_scored_model_in_three_commands(photos, captions,
                                                                          tmp_path, monkeypatch):
    def command(module, *words):
        monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, words)])
        assert not module.main()

    monkeypatch.setenv("PATH", "")              # no Java: METEOR alone would take ten seconds
    root, run, report = tmp_path / "root", tmp_path / "run", tmp_path / "report.json"
    command(prepare, "folder", photos, captions, "--root", root)
    command(train, "--data", root, "--run", run, "--epochs", 1, "--embed-size", 16,
            "--hidden-size", 16, "--vocab-threshold", 1, "--views", 1)
    command(evaluate, run, "--data", root, "--split", "test", "--json", report)
    scores = read_json(report, "")
    assert (scores["split"], scores["pictures"], scores["references"]) == ("test", 2, 4)
    assert 0 <= scores["Bleu_1"] <= 1 and (run / "best.safetensors").stat().st_size > 1e6


def test_pictures_without_a_sentence_are_counted_and_named(photos, captions, tmp_path, capsys):
    for name in ("more/x.PNG", ".hidden/x.jpg", "notes.txt"):
        (photos / name).parent.mkdir(exist_ok=True)
        shutil.copy(photos / "0.jpg", photos / name)
    folder(photos / "root", photos, captions)           # the copies there are no pictures more
    assert "has no sentence of 1 pictures" in (said := capsys.readouterr().err)
    assert "left out: more/x.PNG\n" in said
