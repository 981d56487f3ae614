"""A checkup finds every fault it names, and only those."""

import shutil

import pytest
from PIL import Image

from coco import readable as readable_module
from coco.checkup import check
from coco.dataset import read_split
from coco.readable import NAMED, readable
from system.files import BadInput, read_json, write_json


@pytest.fixture
def root(write_root, tmp_path):
    return write_root(tmp_path / "root", {"train": 6, "val": 3, "test": 3})


def rewrite(root, split, change):
    path = root / "annotations" / f"captions_{split}.json"
    content = read_json(path, "")
    change(content)
    write_json(path, content)


def test_a_whole_dataset_is_good_and_counted(root, capsys):
    report = check(root)
    assert (report["verdict"], report["found"]) == ("good", {})
    assert report["splits"]["train"] == {"pictures": 6, "captions": 30, "words each": 5,
                                         "longest": 9, "distinct words": 19}
    assert list(report["splits"]) == ["test", "train", "val"]
    shown = capsys.readouterr().out
    assert "root is good" in shown and "FAULT" not in shown and "30" in shown


def remove(root):
    (root / "train" / "000002.jpg").unlink()


def spoil(root):
    (root / "val" / "000007.jpg").write_text("<html>")


def copy_across(root):
    shutil.copy(root / "train" / "000001.jpg", root / "val" / "000007.jpg")


def copy_within(root):
    shutil.copy(root / "train" / "000001.jpg", root / "train" / "000002.jpg")


def same_id(root):
    def change(content):
        content["images"][0]["id"] = 1
        for one in content["annotations"][:5]:
            one["image_id"] = 1

    rewrite(root, "test", change)


def change_captions(change):
    """A fault in train's annotations, which `change` is given."""
    return lambda root: rewrite(root, "train", lambda content: change(content["annotations"]))


FAULTS = {
    "pictures missing": (remove, "000002.jpg is missing"),
    "pictures that cannot be read": (spoil, "it is a web page"),
    "pictures on both sides": (copy_across, "equal bytes"),
    "pictures on both sides ": (same_id, "both have id 1"),
    "captions of no picture": (change_captions(lambda a: a[3].update(image_id=99)),
                               "train: annotations[3] of image 99"),
    "pictures that share an id": (lambda root: rewrite(
        root, "train", lambda content: content["images"].append(
            {"id": 1, "file_name": "000002.jpg"})), "train: 1 2 times"),
    "pictures that share a file": (lambda root: rewrite(
        root, "train", lambda content: content["images"][0].update(file_name="000002.jpg")),
        "'000002.jpg' 2 times"),
    "annotations that cannot be used": (change_captions(lambda a: a[0].update(caption=5)),
                                        "annotations[0] has no text 'caption'"),
}
REMARKS = {
    "empty captions": (change_captions(lambda a: a[2].update(caption=" \n")), "annotations[2]"),
    "captions given twice to one picture": (change_captions(
        lambda a: a[1].update(caption=a[0]["caption"])), "image 1"),
    "captions that share an id": (change_captions(lambda a: a[1].update(id=a[0]["id"])), "2 times"),
    "pictures without captions": (change_captions(lambda a: a.__delitem__(slice(0, 5))), "image 1"),
    "equal pictures within a split": (copy_within, "000002.jpg"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_found_named_and_makes_the_verdict_bad(root, capsys, kind):
    make, words = FAULTS[kind]
    make(root)
    report = check(root)
    assert report["verdict"] == "bad" and words in report["found"][kind.strip()][0]
    shown = capsys.readouterr().out
    assert f"FAULT: {kind.strip()}" in shown and words in shown and "root is bad" in shown


@pytest.mark.parametrize("kind", REMARKS)
def test_a_remark_is_named_and_leaves_the_verdict_good(root, capsys, kind):
    make, words = REMARKS[kind]
    make(root)
    report = check(root)
    assert report["verdict"] == "good" and list(report["found"]) == [kind]
    assert words in report["found"][kind][0] and f"remark: {kind}: 1" in capsys.readouterr().out


def test_only_the_first_cases_are_shown_and_all_are_reported(root, capsys):
    for file in (root / "train").iterdir():
        file.write_bytes(b"")
    assert len(check(root)["found"]["pictures that cannot be read"]) == 6
    shown = capsys.readouterr().out
    assert shown.count("it is empty") == NAMED and "and 1 more" in shown


def test_years_of_one_split_may_share_pictures(write_root, tmp_path):
    """COCO's val2014 lies for the most part in its train2017: only one year's splits are used."""
    write_root(tmp_path, {"train2017": 3, "val2017": 2})
    for kind, folder in (("annotations", "captions_{}.json"), ("", "{}")):
        source = tmp_path / kind / folder.format("val2017")
        target = tmp_path / kind / folder.format("train2014")
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    assert check(tmp_path)["verdict"] == "good"


def test_names_that_are_not_understood_are_remarked_where_a_split_is_lacking(write_root, tmp_path):
    write_root(tmp_path, {"train": 3, "holdout": 2})
    report = check(tmp_path)
    assert report["verdict"] == "good"
    case, = report["found"]["splits whose names are not understood"]
    assert case.startswith("holdout; understood are train, training, val, valid,")
    write_root(tmp_path / "whole", {"train": 3, "valid": 2, "test": 2, "novel": 2})
    assert check(tmp_path / "whole")["found"].keys() <= {"equal pictures within a split"}


def test_what_is_no_dataset_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no folder 'annotations'"):
        check(tmp_path / "nowhere")
    (tmp_path / "annotations").mkdir()
    with pytest.raises(BadInput, match="holds no annotations/captions"):
        check(tmp_path)


def test_bad_pictures_are_left_out_named_and_the_others_keep_their_order(root, tmp_path, capsys):
    remove(root)
    spoil(root)
    split = read_split(root, "train")
    assert readable(read_split(root, "test"), tmp_path).name == "test"
    left = readable(split, tmp_path)
    assert left.pictures == split.pictures[:1] + split.pictures[2:]
    assert left.name == "train (1 unreadable left out)"
    shown = capsys.readouterr().err
    assert "1 of 6 pictures of train" in shown and "000002.jpg is missing" in shown
    assert readable(read_split(root, "val"), tmp_path).pictures == read_split(
        root, "val").pictures[1:]


def test_many_bad_pictures_are_all_written_down_and_the_first_shown(root, tmp_path, capsys,
                                                                    monkeypatch):
    monkeypatch.setattr(readable_module, "NAMED", 2)
    for number in range(1, 6):
        (root / "train" / f"{number:06d}.jpg").write_bytes(b"")
    readable(read_split(root, "train"), tmp_path)
    assert capsys.readouterr().err.count("it is empty") == 2
    kept, = (tmp_path / "readable").iterdir()
    assert len(read_json(kept, "")["bad"]) == 5


def test_pictures_are_opened_once_until_one_changes(root, tmp_path, monkeypatch):
    opened, open_picture = [], readable_module.open_picture
    monkeypatch.setattr(readable_module, "open_picture", lambda file: (opened.append(file),
                                                              open_picture(file)))
    split = read_split(root, "train")
    for _ in range(2):
        assert readable(split, tmp_path) == split
    assert len(opened) == 6
    remove(root)
    assert len(readable(split, tmp_path).pictures) == 5
    Image.new("RGB", (9, 9)).save(root / "train" / "000002.jpg")       # and mended
    assert readable(split, tmp_path) == split


def test_another_pillow_opens_the_pictures_again(root, tmp_path, monkeypatch):
    spoil(root)
    split = read_split(root, "val")
    assert readable(split, tmp_path).pictures == split.pictures[1:]
    monkeypatch.setattr(readable_module, "open_picture", lambda file: None)     # knows the format
    monkeypatch.setattr(readable_module.PIL, "__version__", "999.0")
    assert readable(split, tmp_path) == split


def test_real_data_is_good(data_root):
    assert check(data_root / "coco-sample")["verdict"] == "good"
