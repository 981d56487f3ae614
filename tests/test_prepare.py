"""One command brings a dataset onto disk, whole, whatever the server does; the next one says so."""

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile

import pytest

import prepare
from coco import karpathy
from coco import official as coco_download
from coco.dataset import read_split
from evaluate import main as evaluate_main
from scoring import meteor
from system import download
from system.files import BadInput, read_json, run_command, write_json
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
    for name in ("annotations/captions_train2017.json", "train2017.zip.part.json"):
        (root / f"{name}.part-4711").write_text("[")
    for folder in (root.parent / f".{root.name}.partial-4711", root / ".train2017.partial-4711"):
        folder.mkdir()
        (folder / "1.jpg").touch()
    assert tree(get("--subset", "4")) == before
    assert [path.name for path in root.parent.iterdir()] == [root.name]


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
    (tmp_path / "train2017.zip").write_bytes(bytes(1000))
    assert room() == 35 + 2 * 1000 - 1000


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
    assert "val2017.zip holds no folder val2017" in coco_refused()[0]
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
    def split(coco=mini):
        root = tmp_path / "karpathy"
        prepare.main(["karpathy", str(split_file), "--coco", str(coco), "--root", str(root)])
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


def test_pictures_are_linked_or_else_copied(split, mini, tmp_path, monkeypatch, capsys):
    linked = read_split(split(), "val").pictures[0].file
    assert linked.samefile(mini / "val2017" / linked.name)
    assert "needs" not in capsys.readouterr().out
    shutil.rmtree(tmp_path / "karpathy")

    def link(*paths):
        raise OSError(1, "no hard links on this disk")

    monkeypatch.setattr(karpathy.os, "link", link)
    copied = read_split(split(), "val").pictures[0].file
    assert not copied.samefile(mini / "val2017" / copied.name)
    assert copied.read_bytes() == (mini / "val2017" / copied.name).read_bytes()
    assert "copies of the pictures: needs " in capsys.readouterr().out


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
        f"next: python train.py --data {root} --run runs/scenes\n")
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
    assert report["pictures"] == 2 and report["CIDEr"] >= 0


def test_from_cocos_own_pictures_to_a_score(data_root, monkeypatch, tmp_path):
    with Server(coco_files(data_root / "coco-sample")) as server:
        root = tmp_path / "coco"
        server.faults |= {path: [fault] for path, fault in zip(server.files, (
            "breaks off", "redirects", "stalls", 503, "says more") * 99, strict=False)}
        prepare.main(["coco", "--subset", "40", "--root", str(root), "--base-url", server.url])
    assert (len(pictures(root, "train")), len(pictures(root, "val"))) == (40, 8)
    assert train_and_score(root, monkeypatch)["references"] == 40
