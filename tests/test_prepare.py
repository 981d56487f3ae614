"""One command brings a dataset onto disk, whole, whatever the server does; the next one says so."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import pytest

import prepare
from coco import karpathy
from coco import official as coco_download
from coco.dataset import read_split
from evaluate import main as evaluate_main
from scoring import meteor
from system import download, files, kept
from system.commands import run_command
from system.files import PARTIAL, BadInput, read_json, write_json
from system.locks import lock
from tests.server import Server, coco_files, zipped
from train import main as train_main

TRAIN, VAL = 12, 6
ARCHIVE = "/annotations/annotations_trainval2017.zip"


@pytest.fixture(autouse=True)
def hasty(monkeypatch, tmp_path_factory):
    monkeypatch.setattr(download, "PAUSE", 0.001)
    monkeypatch.setattr(download, "TIMEOUT", 0.3)
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("locks")))
    monkeypatch.setattr(tempfile, "tempdir", None)      # to be looked up again


@pytest.fixture(scope="module")
def mini(write_root, tmp_path_factory):
    """A tiny COCO with instances."""
    root = write_root(tmp_path_factory.mktemp("mini"), {"train2017": TRAIN, "val2017": VAL})
    for split in ("train2017", "val2017"):
        images = read_json(root / "annotations" / f"captions_{split}.json", "")["images"]
        boxes = [{"id": image["id"], "image_id": image["id"], "category_id": 1,
                  "bbox": [0, 0, 9, 9], "segmentation": [[0, 0, 9, 0, 9, 9]]} for image in images]
        write_json(root / "annotations" / f"instances_{split}.json", {
            "images": images, "annotations": boxes, "categories": [{"id": 1, "name": "paint"}],
            "licenses": [{"id": 10 ** 6, "name": "none"}]})
    return root


@pytest.fixture
def server(mini):
    with Server(coco_files(mini)) as server:
        yield server


@pytest.fixture
def get(server, tmp_path):
    """Run `prepare.py coco` and return the folder it made."""
    def get(*options, root="coco"):
        root = tmp_path / root
        prepare.main(["coco", "--root", str(root), "--base-url", server.url, *options])
        return root

    return get


def tree(root):
    """{path: bytes} of all files in a folder."""
    return {path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob("*")) if path.is_file()}


def pictures(root, split):
    return {picture.file.name for picture in read_split(root, split).pictures}


def test_the_whole_of_coco_arrives_as_it_is_on_its_server(get, mini, capsys):
    root = get()
    arrived = tree(root)
    assert arrived.pop(ARCHIVE.split("/")[-1])
    assert {name for name in arrived} == set(tree(mini))
    assert all(arrived[name] == content for name, content in tree(mini).items()
               if name.endswith(".jpg"))
    assert read_split(root, "train").sentences == read_split(mini, "train").sentences
    said = capsys.readouterr().out
    assert "COCO 2017: needs " in said
    assert said.splitlines()[-1] == f"next: python train.py --data {root} --run runs/coco"


def test_a_subset_has_as_many_pictures_as_asked_for_and_annotations_cut_to_them(get, mini):
    root = get("--subset", "10")
    train, val = read_split(root, "train"), read_split(root, "val")
    assert (len(train.pictures), len(val.pictures)) == (10, 2)
    assert all(len(picture.sentences) == 5 for picture in train.pictures)
    assert all(picture.file.read_bytes() == (mini / "train2017" / picture.file.name).read_bytes()
               for picture in train.pictures)
    for split in (train, val):
        instances = read_json(root / "annotations" / f"instances_{split.name}.json", "")
        ids = [picture.id for picture in split.pictures]
        assert [image["id"] for image in instances["images"]] == ids
        assert [one["image_id"] for one in instances["annotations"]] == ids
        assert instances["categories"] == [{"id": 1, "name": "paint"}]
        assert instances["licenses"] == [{"id": 10 ** 6, "name": "none"}]


def test_a_subset_is_random_by_its_seed_and_grows_without_fetching_twice(get, server):
    few = pictures(get("--subset", "4"), "train")
    assert few == pictures(get("--subset", "4", root="again"), "train")
    assert few != pictures(get("--subset", "4", "--seed", "1", root="other"), "train")
    server.asked.clear()
    assert few < pictures(get("--subset", "9"), "train")
    assert server.count()[ARCHIVE] == 0 and max(server.count().values()) == 1
    assert len(server.asked) == 5


def test_one_picture_is_the_smallest_subset(get):
    root = get("--subset", "1")
    assert len(pictures(root, "train")) == len(pictures(root, "val")) == 1


def test_half_files_that_a_kill_left_are_cleared_away(get):
    before = tree(get("--subset", "4"))
    root = get("--subset", "4")
    for path in (root / "annotations" / "captions_train2017.json", root / "train2017.zip.json"):
        path.with_name(PARTIAL.format(path.name, 4711)).write_text("[")
    for path in (root, root / "train2017"):
        folder = path.with_name(PARTIAL.format(path.name, 4711))
        folder.mkdir()
        (folder / "1.jpg").touch()
    assert tree(get("--subset", "4")) == before
    assert [path.name for path in root.parent.iterdir()] == [root.name]


def test_what_a_user_has_in_the_folder_stays_and_an_archive_of_his_is_used(get, server, mini,
                                                                           tmp_path):
    root = tmp_path / "coco"
    theirs = {f"{root.name}/{name}": name.encode() for name in (
        "train2017.zip.part-00", "annotations_trainval2017.zip.part", "notes.part-1",
        ".coco.partial-2017/a.jpg")}
    theirs |= {".coco.partial-1/b.jpg": b"b", "coco_train2017.zip.part-00": b"00",
               "coco/val2017.zip": server.files.pop("/zips/val2017.zip")}
    for name, content in theirs.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    get()
    found = tree(tmp_path)
    assert found.items() >= theirs.items() and len(pictures(root, "val")) == VAL
    assert not [name for name in found if "image-captioning" in name]


@pytest.mark.parametrize("name", ["captions_val2017.json", "captions_train2017.json",
                                  "instances_val2017.json"])
@pytest.mark.parametrize("options", [(), ("--subset", "4")])
def test_annotations_that_are_not_cocos_are_not_replaced(get, coco_refused, tmp_path, options,
                                                         name):
    mine = tmp_path / "coco" / "annotations" / name
    write_json(mine, {"images": [], "annotations": [], "info": "mine"})
    before = mine.read_bytes()
    assert f"{name} is there and is not COCO's" in coco_refused(*options)[0]
    assert mine.read_bytes() == before and len(os.listdir(mine.parent)) == 1
    assert not list((tmp_path / "coco").glob("*/*.jpg"))


def test_a_whole_root_needs_no_network(get, server):
    before = tree(get())
    server.files.clear()
    assert tree(get()) == before


@pytest.mark.parametrize("fault", ["breaks off", "stalls", "redirects", "ignores ranges", 503])
@pytest.mark.parametrize("options", [(), ("--subset", "5")])
def test_a_bad_server_changes_nothing_in_what_arrives(options, fault, get, server):
    good = tree(get(*options, root="good"))
    server.faults |= {path: [fault] for path in server.files}
    assert tree(get(*options, root="bad")) == good


def test_a_few_pictures_that_the_server_lacks_are_left_out_and_listed(get, server, capsys):
    whole = pictures(get("--subset", "12", root="whole"), "train")
    name = max(whole)
    server.faults[f"/train2017/{name}"] = 404
    assert pictures(get("--subset", "12"), "train") == whole - {name}
    said = capsys.readouterr().out
    assert f"left out 1 pictures of train2017:\n  {server.url}/train2017/{name} is not" in said


@pytest.mark.parametrize("content", [None, b"<html>Please log in</html>"])
def test_a_server_that_lacks_many_pictures_is_no_source(content, get, server):
    whole = get("--subset", "12", root="whole")
    for name in sorted(pictures(whole, "train"))[:2]:
        server.files[f"/train2017/{name}"] = content
    with pytest.raises(BadInput, match=r"has not 2 of 12 pictures of train2017 .*: look at"):
        get("--subset", "12")
    assert not list((whole.with_name("coco") / "annotations").glob("captions_train*"))


def test_a_truncated_picture_whose_length_was_a_lie_is_not_kept(get, server):
    whole = get("--subset", "12", root="whole")
    name = max(pictures(whole, "train"))
    server.faults[f"/train2017/{name}"] = "says less"
    assert pictures(get("--subset", "12"), "train") == pictures(whole, "train") - {name}
    server.faults.clear()
    assert pictures(get("--subset", "12"), "train") == pictures(whole, "train")


def refused(capsys, server, *arguments):
    """The one line that `prepare.py` ends with, and how many files it fetched before."""
    server.asked.clear()
    with pytest.raises(SystemExit) as end:
        run_command(lambda: prepare.main([str(argument) for argument in arguments]))
    error = capsys.readouterr().err.split("\r")[-1]        # after the progress bars
    assert end.value.code == 2 and error.startswith("error: ") and error.count("\n") == 1
    return error, len(server.asked)


@pytest.fixture
def coco_refused(capsys, server, tmp_path):
    return lambda *options: refused(capsys, server, "coco", "--root", tmp_path / "coco",
                                    "--base-url", server.url, *options)


def test_the_years_are_not_mixed_and_a_root_never_shrinks(get, coco_refused):
    before = tree(get("--subset", "6"))
    assert "holds COCO 2017, whose pictures are partly the same" in (
        coco_refused("--year", "2014")[0])
    error, fetched = coco_refused("--subset", "5")
    assert "holds 6 training pictures, more than 5" in error and not fetched
    error, fetched = coco_refused()
    assert "val2017 lacks 5 of 6 pictures" in error and not fetched
    assert tree(get("--subset", "6")) == before


def test_too_small_a_disk_is_refused_before_anything_is_fetched(coco_refused, tmp_path,
                                                                monkeypatch):
    monkeypatch.setattr(coco_download, "size_of", lambda url: 10 ** 16)
    error, fetched = coco_refused()
    assert "COCO 2017 needs 65000000.0 GB" in error and "make room" in error
    assert not fetched and os.listdir(tmp_path) == []


def test_the_disk_needed_is_the_archives_and_what_comes_out_of_them_less_what_is_there(tmp_path,
                                                                                       monkeypatch):
    sizes = {"annotations": 10, "train2017.zip": 1000, "val2017.zip": 100}
    monkeypatch.setattr(coco_download, "size_of", lambda url: next(
        size for name, size in sizes.items() if name in url))

    def room(subset=None):
        archive = tmp_path / "annotations_trainval2017.zip"
        return coco_download.room_for(tmp_path, archive, 2017, subset, "http://x")

    assert room(10) == 35 + 12 * coco_download.PICTURE
    assert room() == 35 + 100 + 2 * 1000
    (tmp_path / "val2017").mkdir()
    assert room() == 35 + 2 * 1000
    (tmp_path / "train2017.image-captioning.zip").write_bytes(bytes(1000))
    assert room() == 35 + 2 * 1000 - 1000
    (tmp_path / "train2017.zip").write_bytes(bytes(900))
    assert room() == 35 + 900


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"),
                                   PermissionError(13, "Permission denied")])
def test_a_disk_that_refuses_is_one_sentence_and_the_same_command_goes_on(error, get, coco_refused,
                                                                          monkeypatch):
    def replace(*paths):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(download.os, "replace", replace)
        assert error.strerror in coco_refused("--subset", "4")[0]
    assert len(pictures(get("--subset", "4"), "train")) == 4


@pytest.mark.parametrize("content, reason", [
    (b"<html>", "no whole zip archive"), (zipped({}), "holds no annotations/captions_val2017.json"),
    (zipped({"annotations/captions_val2017.json": b'{"images": [{"id": 1, "file'}), "not COCO's"),
    (zipped({"annotations/captions_val2017.json": b'{"images": []}'}), "not COCO's"),
    (zipped({"annotations/captions_val2017.json": b"[]"}), "not COCO's"),
    (zipped({"annotations/captions_val2017.json": b"[" * 5000}), "not COCO's"),
    (zipped({"annotations/captions_val2017.json": json.dumps({"images": [{
        "id": 1, "file_name": "../x.jpg", "coco_url": "http://x/y"}]}).encode()}), "lead out"),
    (zipped({"annotations/captions_val2017.json": b'{"images": [{"id": 1, "file_name": 2}]}'}),
     "not COCO's")])
def test_annotations_that_are_none_are_one_sentence(content, reason, coco_refused, server,
                                                    tmp_path):
    server.files[ARCHIVE] = content
    assert reason in coco_refused("--subset", "4")[0]
    assert set(os.listdir(tmp_path)) <= {"coco"}


@pytest.mark.parametrize("damage", [
    lambda text: text[:-9], lambda text: text.replace('"image_id": ', '"image_id": {}, "x": '),
    lambda text: text.replace('"images"', '"pictures"'), lambda text: "[]"])
def test_instances_that_are_none_are_one_sentence(damage, coco_refused, server):
    with zipfile.ZipFile(io.BytesIO(server.files[ARCHIVE])) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = "annotations/instances_val2017.json"
    server.files[ARCHIVE] = zipped(members | {name: damage(members[name].decode())})
    assert "has in instances_val2017.json what is not COCO's" in coco_refused("--subset", "4")[0]


def test_an_archive_of_other_pictures_is_refused(coco_refused, server, tmp_path):
    server.files["/zips/val2017.zip"] = zipped({"test2017/1.jpg": b"x"})
    assert "val2017.image-captioning.zip holds no folder val2017" in coco_refused()[0]
    assert not (tmp_path / "coco" / "val2017").exists()


def test_coco_itself_must_send_the_archive_of_the_known_hash(get, server, monkeypatch):
    monkeypatch.setattr(coco_download, "HOST", server.url)
    with pytest.raises(BadInput, match="md5 is .*, not f4bbac642086de4f52a3fdda2de5fa2c"):
        get("--subset", "4")


def test_of_two_commands_on_one_folder_the_second_is_refused(server, coco_refused, get, tmp_path):
    server.faults[ARCHIVE] = ["stalls"]
    first = subprocess.Popen([sys.executable, "prepare.py", "coco", "--root", tmp_path / "coco",
                              "--base-url", server.url], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    try:
        while not server.asked:
            time.sleep(0.02)
        assert "another command is preparing" in coco_refused()[0]
    finally:
        first.kill()
        first.wait()
    assert len(pictures(get(), "train")) == TRAIN


@pytest.fixture
def split_file(mini, tmp_path):
    """Karpathy's split of the mini COCO: all of train2017 is train, val2017 the other three."""
    images = []
    for folder, splits in (("train2017", ["train"]), ("val2017", ["val", "test", "restval"])):
        for number, picture in enumerate(read_split(mini, folder[:-4]).pictures):
            images.append({
                "cocoid": picture.id, "filepath": folder, "filename": picture.file.name,
                "split": splits[number % len(splits)],
                "sentences": [{"raw": sentence, "sentid": 10 * picture.id + k}
                              for k, sentence in enumerate(picture.sentences)]})
    write_json(tmp_path / "dataset_coco.json", {"dataset": "coco", "images": images})
    return tmp_path / "dataset_coco.json"


@pytest.fixture
def split(split_file, mini, tmp_path):
    """Apply the split file and return the folder made."""
    def split(coco=mini, *options):
        root = tmp_path / "karpathy"
        prepare.main(["karpathy", str(split_file), "--coco", str(coco), "--root", str(root),
                      *options])
        return root

    return split


def test_karpathys_split_has_his_pictures_and_restval_joins_train(split, mini):
    root = split()
    named = {word: pictures(mini, word) for word in ("train", "val")}
    val = [picture.file.name for picture in read_split(mini, "val").pictures]
    assert pictures(root, "val") == set(val[0::3])
    assert pictures(root, "test") == set(val[1::3])
    assert pictures(root, "train") == named["train"] | set(val[2::3])
    made = sum((read_split(root, word).sentences for word in ("train", "val", "test")), [])
    assert sorted(made) == sorted(read_split(mini, "train").sentences
                                  + read_split(mini, "val").sentences)


def test_a_sentence_with_half_an_emoji_is_written_all_the_same(split, split_file):
    content = split_file.read_text(encoding="utf-8").replace("A red picture.", "Red \\ud83d.")
    split_file.write_text(content, encoding="utf-8")
    assert "Red ?." in read_split(split(), "train").sentences


def test_pictures_are_copied_unless_links_are_asked_for(split, mini, tmp_path, monkeypatch, capsys):
    copied = read_split(split(), "val").pictures[0].file
    assert not copied.samefile(mini / "val2017" / copied.name)
    assert copied.read_bytes() == (mini / "val2017" / copied.name).read_bytes()
    assert "copies of the pictures (--link makes none): needs " in capsys.readouterr().out
    shutil.rmtree(tmp_path / "karpathy")

    linked = read_split(split(mini, "--link"), "val").pictures[0].file
    assert linked.samefile(mini / "val2017" / linked.name)
    assert "needs" not in capsys.readouterr().out
    shutil.rmtree(tmp_path / "karpathy")

    def link(*paths):
        raise OSError(1, "no hard links on this disk")

    monkeypatch.setattr(karpathy.os, "link", link)
    copied = read_split(split(mini, "--link"), "val").pictures[0].file
    assert not copied.samefile(mini / "val2017" / copied.name)
    assert "copies of the pictures, which this disk cannot link: needs " in capsys.readouterr().out


def test_the_split_file_names_the_pictures_of_2014_and_finds_those_of_2017(split, split_file, mini,
                                                                            tmp_path):
    content = read_json(split_file, "")
    for image in content["images"]:
        target = tmp_path / "coco" / image["filepath"] / f"{image['cocoid']:012}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(mini / image["filepath"] / image["filename"], target)
        image["filepath"] = image["filepath"].replace("2017", "2014")
        image["filename"] = f"COCO_{image['filepath']}_{target.name}"
    write_json(split_file, content)
    assert len(read_split(split(tmp_path / "coco"), "train").pictures) == TRAIN + VAL // 3


def test_a_coco_folder_without_the_pictures_is_one_sentence(split, tmp_path):
    with pytest.raises(BadInput, match="has no picture of test and val and train: give --coco"):
        split(tmp_path)


def test_pictures_that_the_coco_folder_lacks_are_left_out(split, mini, tmp_path, capsys):
    few = tmp_path / "few"
    shutil.copytree(mini, few)
    gone = max((few / "train2017").iterdir())
    gone.unlink()
    assert pictures(split(few), "train") < pictures(mini, "train") | pictures(mini, "val")
    assert f"left out 1 pictures that {few} does not have: {gone.name}\n" in capsys.readouterr().out


@pytest.mark.parametrize("key, value", [
    ("split", "validation"), ("split", ["val"]), ("cocoid", "1"), ("filename", "../x.jpg"),
    ("filepath", None), ("sentences", [{"raw": 1, "sentid": 1}]), ("sentences", None)])
def test_a_split_file_that_is_none_is_one_sentence(key, value, split, split_file, server, capsys):
    content = read_json(split_file, "")
    content["images"][3][key] = value
    write_json(split_file, content)
    error, _ = refused(capsys, server, "karpathy", split_file, "--root", split_file.parent / "x")
    assert "is not Karpathy's split of COCO" in error and not (split_file.parent / "x").exists()


def test_karpathys_split_overwrites_no_other_dataset(split_file, mini, server, capsys):
    before = tree(mini)
    error, _ = refused(capsys, server, "karpathy", split_file, "--coco", mini, "--root", mini)
    assert "holds something else, captions_train2017.json" in error or "val2017" in error
    assert tree(mini) == before


def test_scenes_are_drawn_or_one_sentence_says_why_not(server, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare.scenes, "SIZES", dict.fromkeys(prepare.scenes.SIZES, 2))
    root = tmp_path / "scenes"
    prepare.main(["scenes", "--root", str(root)])
    assert capsys.readouterr().out.endswith(
        f"next: python train.py --data {root} --run runs/small --recipe small\n")
    error, _ = refused(capsys, server, "scenes", "--root", root, "--seed", "1")
    assert "holds something else" in error


def test_flickr8k_is_converted_and_a_check_says_what_is_wrong(mini, tmp_path, capsys):
    names = sorted(path.name for path in (mini / "train2017").iterdir())
    (tmp_path / "captions.txt").write_text("image,caption\n" + "".join(
        f"{name},A sentence .\n{name},Another sentence .\n" for name in names))
    root = tmp_path / "flickr8k"
    prepare.main(["flickr8k", str(mini / "train2017"), str(tmp_path / "captions.txt"),
                  "--val", "0.25", "--root", str(root)])
    assert len(pictures(root, "val")) == TRAIN / 4
    assert not prepare.main(["check", str(root)])
    assert capsys.readouterr().out.endswith(f"--data {root} --run runs/flickr8k\n")
    next((root / "train").iterdir()).unlink()
    assert prepare.main(["check", str(root)]) == 1
    assert "next" not in capsys.readouterr().out


def train_and_score(root, monkeypatch):
    """What `train.py` and `evaluate.py` do with a prepared root; the scores."""
    run, report = root.with_name("run"), root.with_name("report.json")
    small = ["--epochs=1", "--embed-size=32", "--hidden-size=32", "--views=1",
             "--vocab-threshold=1", "--device=cpu"]
    monkeypatch.setattr(meteor.shutil, "which", lambda name: None)      # no Java, it is slow
    for main, *arguments in (
            (train_main, "--data", root, "--run", run, *small),
            (evaluate_main, run, "--data", root, "--split", "val", "--json", report)):
        monkeypatch.setattr(sys, "argv", ["x.py", *map(str, arguments)])
        assert not main()
    return read_json(report, "")


def test_from_a_server_to_a_score(get, monkeypatch):
    report = train_and_score(get("--subset", "10"), monkeypatch)
    assert report["pictures"] == 2 and report["Bleu_1"] >= 0
    assert "CIDEr" not in report        # both pictures have the same captions


def test_from_cocos_own_pictures_to_a_score(data_root, monkeypatch, tmp_path):
    with Server(coco_files(data_root / "coco-sample")) as server:
        root = tmp_path / "coco"
        server.faults |= {path: [fault] for path, fault in zip(server.files, (
            "breaks off", "redirects", "stalls", 503, "says more") * 99, strict=False)}
        prepare.main(["coco", "--subset", "40", "--root", str(root), "--base-url", server.url])
    assert (len(pictures(root, "train")), len(pictures(root, "val"))) == (40, 8)
    assert train_and_score(root, monkeypatch)["references"] == 40


# Places -----------------------------------------------------------------------------------------

COMMANDS = {"scenes": [], "coco": ["--subset", "4"], "karpathy": ["split.json"],
            "flickr8k": ["photos", "captions.txt"], "folder": ["photos", "captions.txt"]}


@pytest.fixture
def desk(mini, tmp_path, monkeypatch):
    """The folder one stands in: photographs and what belongs to them, an empty folder, links."""
    desk = tmp_path / "desk"
    shutil.copytree(mini / "train2017", desk / "photos")
    (desk / "photos" / "panorama.part-1.jpg").write_text("mine")
    (desk / ".desk.partial-1").mkdir()
    names = sorted(path.name for path in (mini / "train2017").iterdir())
    (desk / "captions.txt").write_text("image,caption\n" + "".join(
        f"{name},A sentence.\n" for name in names))
    (desk / "captions.csv").write_text("file,caption\n")
    write_json(desk / "split.json", {"images": []})
    (desk / "empty").mkdir()
    monkeypatch.chdir(desk)
    monkeypatch.setattr(prepare.scenes, "SIZES", dict.fromkeys(prepare.scenes.SIZES, 1))
    return desk


@pytest.mark.parametrize("root, answer", [
    ("", "--root is empty"), ("captions.txt", "captions.txt is a file: give --root a folder"),
    ("captions.txt/root", "captions.txt is a file: give --root a folder")])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_root_that_can_be_no_folder_is_one_sentence(desk, server, capsys, command, root, answer):
    before = tree(desk)
    assert answer in refused(capsys, server, command, *COMMANDS[command], "--root", root)[0]
    assert tree(desk) == before


@pytest.mark.parametrize("root", [".", "..", "photos", "photos/"])
@pytest.mark.parametrize("command", ["scenes", "flickr8k", "folder"])
def test_a_folder_of_a_users_is_refused_as_it_is_and_never_to_be_removed(desk, server, capsys,
                                                                         command, root):
    before = tree(desk)
    error = refused(capsys, server, command, *COMMANDS[command], "--root", root)[0]
    assert "holds something else: give another folder" in error
    assert tree(desk) == before and (desk / ".desk.partial-1").is_dir()


@pytest.mark.parametrize("command", ["scenes", "folder"])
def test_the_empty_folder_one_stands_in_is_not_replaced(desk, server, capsys, monkeypatch, command):
    monkeypatch.chdir(desk / "empty")
    words = [f"../{word}" for word in COMMANDS[command]]
    for root in (".", desk / "empty", "../empty/"):
        assert "is the folder you are in" in refused(
            capsys, server, command, *words, "--root", root)[0]
    assert os.listdir(desk / "empty") == [] and os.path.samefile(".", desk / "empty")


def test_a_root_is_made_at_home_and_where_a_link_leads(desk, monkeypatch, capsys, server):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(desk))
    prepare.main(["folder", "photos", "captions.txt", "--root", "~/made/"])
    assert len(pictures(desk / "made", "val")) == 1 and not (desk / "~").exists()
    try:
        os.symlink("empty", desk / "linked")
        os.symlink("nowhere", desk / "dangling")
    except OSError:
        pytest.skip("no symbolic links may be made here")
    prepare.main(["folder", "photos", "captions.txt", "--root", "linked"])
    assert os.readlink("linked") == "empty" and len(pictures(desk / "empty", "val")) == 1
    for command, words in COMMANDS.items():
        capsys.readouterr()
        assert "dangling is a link to nothing" in refused(
            capsys, server, command, *words, "--root", "dangling")[0]


@pytest.mark.parametrize("command", ["flickr8k", "folder"])
def test_a_prepared_picture_is_a_copy_unless_a_link_was_asked_for(desk, capsys, command):
    name = next(iter(pictures_of(desk)))
    before = (desk / "photos" / name).read_bytes()
    for root, options in (("copied", []), ("linked", ["--link"])):
        prepare.main([command, *COMMANDS[command], "--root", root, *options])
        made, = (desk / root).glob(f"*/{name}")
        assert made.read_bytes() == before
        made.write_bytes(b"shrunk")
        said = capsys.readouterr().out
        assert ("copies of the pictures (--link makes none): needs 0.0 MB in copied" in said) == (
            root == "copied")
        now = (desk / "photos" / name).read_bytes()
        assert now == (before if root == "copied" else b"shrunk")


def pictures_of(desk):
    return sorted(path.name for path in (desk / "photos").glob("0*.jpg"))


def test_a_picture_of_the_longest_name_is_copied(desk):
    name = "p" * 250 + ".jpg"               # a disk allows 255
    try:
        (desk / "photos" / pictures_of(desk)[0]).rename(desk / "photos" / name)
    except OSError:
        pytest.skip("this disk allows no such name")
    with open(desk / "captions.txt", "a") as file:
        file.write(f"{name},A long one.\n")
    prepare.main(["folder", "photos", "captions.txt", "--root", "made"])
    assert list((desk / "made").glob(f"*/{name}"))


def test_another_users_lock_is_in_no_ones_way(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(prepare.os, "getuid", lambda: 4711, raising=False)
        theirs = prepare.locked(tmp_path)
    with theirs, prepare.locked(tmp_path) as mine:
        assert mine.lock_file != theirs.lock.lock_file


@pytest.mark.parametrize("command", COMMANDS)
def test_a_lock_that_cannot_be_had_is_one_sentence(desk, server, capsys, monkeypatch, command):
    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(prepare, "lock", denied)
    error = refused(capsys, server, command, *COMMANDS[command], "--root", "made")[0]
    assert "Permission denied" in error and "TMPDIR" in error and "make room" not in error
    assert not (desk / "made").exists()


# The cache --------------------------------------------------------------------------------------

@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache with a file of each kind and what a killed command left."""
    monkeypatch.setattr(kept, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(prepare, "CACHE", tmp_path / "cache")
    short, long = "0123456789abcdef0123", 4 * "0123456789abcdef"
    for name in (f"captions/{long}.json", f"tokens/{short}.safetensors", f"readable/{short}.json",
                 f"features/{short}.npy", f"features/{short}.json", f"features/{short}.lock",
                 f"features/{short}.npy.2.part", f"features/{short}.npy.2.part.1.json",
                 "features/" + PARTIAL.format(f"{short}.json", 7)):
        path = tmp_path / "cache" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1_000_000))
    return tmp_path / "cache"


def test_the_cache_says_how_large_it_is_and_is_emptied(cache, capsys):
    assert prepare.main(["cache"]) == 0
    said = capsys.readouterr().out
    assert "features       6 files    6.0 MB" in said and "9.0 MB in all" in said
    assert len(tree(cache)) == 9
    assert prepare.main(["cache", "--empty"]) == 0
    assert tree(cache) == {} and "next:" not in capsys.readouterr().out
    assert prepare.main(["cache", "--empty"]) == 0


def test_what_a_desktop_leaves_in_the_cache_stays_and_keeps_nobody_from_emptying_it(cache):
    left = [".DS_Store", "features/Thumbs.db", "tokens/desktop.ini"]
    for name in left:
        (cache / name).touch()
    assert prepare.main(["cache", "--empty"]) == 0
    assert [*tree(cache)] == left


def test_a_cache_is_emptied_though_its_files_go_meanwhile(cache, monkeypatch, capsys):
    """As another command renames what it has written, and Windows deletes the file of a lock."""
    gone = cache / "features" / PARTIAL.format(f"{20 * 'a'}.json", 8)
    monkeypatch.setattr(kept, "is_locked", Path.unlink)
    monkeypatch.setattr(Path, "glob", lambda folder, pattern, glob=Path.glob: [
        *glob(folder, pattern), *[gone] * (folder == gone.parent)])
    assert prepare.main(["cache"]) == prepare.main(["cache", "--empty"]) == 0
    assert tree(cache) == {} and "9.0 MB in all" in capsys.readouterr().out


def test_whatever_the_code_keeps_can_be_emptied():
    sources = [path.read_text("utf-8") for path in (*Path().glob("*.py"), *Path().glob("*/*.py"))]
    named = {kind for text in sources for kind in re.findall(r'CACHE\)? / "(\w+)"', text)}
    assert named - {"cache"} == {*kept.KINDS}


@pytest.mark.parametrize("name", ["thesis.txt", "features/model.npy", "photos/1.jpg",
                                  "captions/mine.json", "tokens/0123456789abcdef0123/x"])
def test_a_cache_that_holds_a_users_file_is_not_emptied(cache, server, capsys, name):
    (cache / name).parent.mkdir(parents=True, exist_ok=True)
    (cache / name).write_text("mine")
    before = tree(cache)
    error = refused(capsys, server, "cache", "--empty")[0]
    assert "holds more than what is kept there" in error and "CAPTION_CACHE" in error
    assert tree(cache) == before


def test_a_cache_that_is_being_written_is_not_emptied(cache, server, capsys):
    lock_file, = cache.rglob("*.lock")
    with lock(lock_file):
        assert "wait until it ends" in refused(capsys, server, "cache", "--empty")[0]
    assert len(tree(cache)) == 9


def test_a_cache_that_cannot_be_written_is_one_sentence_that_names_its_variable(monkeypatch,
                                                                               tmp_path):
    monkeypatch.setattr(files, "CACHE", tmp_path / "cache")
    (tmp_path / "cache").write_text("no folder")
    with pytest.raises(BadInput, match="CAPTION_CACHE to a folder you may write to"):
        write_json(tmp_path / "cache" / "tokens" / "x.json", [])
