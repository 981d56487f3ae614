"""Folders in COCO's layout: which split is which, and a picture that never stands on both sides."""

import gc
import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image, ImageOps

from coco import dataset as coco
from coco.dataset import find_split, read_split
from coco.pictures import open_picture
from system.files import BadInput, write_json


def ids(root, word):
    return [picture.id for picture in read_split(root, word).pictures]


def rewrite(root, split, change):
    """Change the content of an annotations file in place."""
    path = root / "annotations" / f"captions_{split}.json"
    content = json.loads(path.read_text())
    change(content)
    write_json(path, content)


@pytest.mark.parametrize("year", ["", "2014", "2017"])
def test_plain_words_find_the_splits_whatever_the_root_calls_them(write_root, tmp_path, year):
    write_root(tmp_path, {f"train{year}": 3, f"val{year}": 2})
    assert read_split(tmp_path, "train").name == f"train{year}"
    assert ids(tmp_path, "train") == ids(tmp_path, f"train{year}") == [1, 2, 3]
    assert ids(tmp_path, "val") == [4, 5]
    assert find_split(tmp_path, "test") is None


def test_a_plain_name_goes_before_a_year(write_root, tmp_path):
    write_root(tmp_path, {"val2014": 1, "val2017": 2, "val": 3})
    assert len(ids(tmp_path, "val")) == 3


@pytest.mark.parametrize("names, val, test", [
    (("train2017", "valid", "testing"), "valid", "testing"),
    (("training", "dev2017", "test"), "dev2017", "test"),
    (("train", "validation", "testing2014"), "validation", "testing2014")])
def test_other_words_for_a_split_are_understood(write_root, tmp_path, capsys, names, val, test):
    write_root(tmp_path, dict.fromkeys(names, 2))
    assert [read_split(tmp_path, word).name for word in ("train", "val", "test")] == [
        names[0], val, test]
    assert read_split(tmp_path, "val").pictures[0].file.exists()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("names, word, sentence", [
    (("train2017", "val", "valid"), "val", "has val and valid: val is used as val, and no other"),
    (("train", "train2017", "val"), "train", "has train and train2017: train is used as train"),
    (("train2017", "holdout"), "val", "has no split val, so 5% of train2017 are set aside: if "
     "holdout is for that, call it val or valid or validation or dev"),
    (("train2017", "val2014"), "val", "has train2017 and val2014, and COCO's two years share")])
def test_what_may_be_read_otherwise_than_meant_is_said_once(write_root, tmp_path, capsys, names,
                                                            word, sentence):
    write_root(tmp_path, dict.fromkeys(names, 2))
    for _ in range(2):
        read_split(tmp_path, "train")
        read_split(tmp_path, word)
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and sentence in error


def test_a_file_and_a_web_address_are_no_dataset(tmp_path):
    (tmp_path / "data.zip").touch()
    with pytest.raises(BadInput, match="data.zip is a file and has no folder 'annotations'"):
        read_split(tmp_path / "data.zip", "train")
    with pytest.raises(BadInput, match="http://a.org/data is a web address"):
        read_split("http://a.org/data", "train")


def test_a_picture_has_its_own_sentences_and_file_in_the_order_of_the_file(write_root, tmp_path):
    write_root(tmp_path, {"train": 4, "val": 1})
    rewrite(tmp_path, "train", lambda content: content["annotations"].reverse())
    split = read_split(tmp_path, "train")
    assert [picture.id for picture in split.pictures] == [1, 2, 3, 4]
    for picture, colour in zip(split.pictures, ("green", "blue", "red", "green"), strict=True):
        assert len(picture.sentences) == 5 and all(colour in s for s in picture.sentences)
        assert picture.file == tmp_path / "train" / f"{picture.id:06d}.jpg"
        assert picture.sentences[-1] == f"A {colour} picture."
    assert split.sentences[5:10] == list(split.pictures[1].sentences)
    assert split.first(2).pictures == split.pictures[:2] and split.first(None) == split


def test_a_picture_without_captions_is_left_out(write_root, tmp_path):
    write_root(tmp_path, {"val": 3})
    rewrite(tmp_path, "val", lambda content: content.update(annotations=[
        one for one in content["annotations"] if one["image_id"] != 2]))
    assert ids(tmp_path, "val") == [1, 3]


def test_without_captions_for_test_val_is_used_and_said_so(write_root, tmp_path):
    write_root(tmp_path, {"train2017": 3, "val2017": 2})
    test = read_split(tmp_path, "test")
    assert test.name == "val2017 (no captioned test split)"
    assert test.pictures == read_split(tmp_path, "val").pictures
    write_root(tmp_path / "whole", {"train": 3, "val": 2, "test": 4})
    assert read_split(tmp_path / "whole", "test").name == "test"
    assert ids(tmp_path / "whole", "test") == [6, 7, 8, 9]


def test_without_val_one_picture_in_20_is_lent_and_stands_on_one_side_only(write_root, tmp_path):
    write_root(tmp_path, {"train2014": 40}, side=8)
    train, val = ids(tmp_path, "train"), ids(tmp_path, "val")
    assert len(val) == 2 and sorted(train + val) == list(range(1, 41))
    assert ids(tmp_path, "train2014") == train and ids(tmp_path, "test") == val
    assert read_split(tmp_path, "val").name == "val, lent by train2014"
    assert "lent by train2014 (no captioned test" in read_split(tmp_path, "test").name


def test_which_pictures_are_lent_depends_on_their_ids_alone(write_root, tmp_path):
    def scramble(content):
        content["images"].reverse()
        for number, image in enumerate(content["images"]):
            image["file_name"] = f"{number}.jpg"

    write_root(tmp_path, {"train": 40}, side=8)
    rewrite(tmp_path, "train", scramble)
    # the same on every machine and in every version, or scores do not compare
    assert sorted(ids(tmp_path, "val")) == [6, 38]


def test_one_picture_at_least_is_lent_and_none_where_val_is(write_root, tmp_path):
    write_root(tmp_path / "few", {"train": 3})
    assert len(ids(tmp_path / "few", "val")) == 1 and len(ids(tmp_path / "few", "train")) == 2
    write_root(tmp_path / "both", {"train": 40, "val": 1}, side=8)
    assert len(ids(tmp_path / "both", "train")) == 40


def test_a_root_or_split_that_is_not_there_is_named_with_what_is(write_root, tmp_path):
    with pytest.raises(BadInput, match="nowhere has no folder 'annotations'.*prepare.py scenes"):
        read_split(tmp_path / "nowhere", "train")
    write_root(tmp_path, {"train2017": 3, "val2017": 2})
    with pytest.raises(BadInput, match="no split 'novel': it holds train2017, val2017"):
        read_split(tmp_path, "novel")


@pytest.mark.parametrize("content", [
    "", "[1]", "{", '{"images": [], "annotations": []}', '{"images": [{"id": 1}]}',
    '{"images": [], "annotations": [{"image_id": 1, "caption": "A dog."}]}',
    '{"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": [{"image_id": 1}]}'])
def test_what_is_no_captions_file_is_refused_in_one_sentence(tmp_path, content):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "captions_val.json").write_text(content)
    with pytest.raises(BadInput, match="captions_val.json.*prepare the data again") as refusal:
        read_split(tmp_path, "val")
    assert "\n" not in str(refusal.value)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(coco, "CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def test_annotations_are_checked_once_for_a_content_wherever_it_lies(write_root, tmp_path, cache,
                                                                     monkeypatch):
    write_root(tmp_path / "one", {"val": 3})
    first = read_split(tmp_path / "one", "val")
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    monkeypatch.setattr(coco, "read_captions", lambda path: pytest.fail("checked twice"))
    assert read_split(tmp_path / "one", "val") == first
    other = read_split(tmp_path / "other", "val")
    assert other.sentences == first.sentences
    assert other.pictures[0].file == tmp_path / "other" / "val" / first.pictures[0].file.name


def test_a_changed_file_is_read_anew_even_if_its_size_and_time_are_the_same(write_root, tmp_path,
                                                                            cache):
    write_root(tmp_path, {"val": 3})
    path = tmp_path / "annotations" / "captions_val.json"
    before, state = read_split(tmp_path, "val"), path.stat()
    path.write_bytes(path.read_bytes().replace(b"green", b"brown"))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert path.stat().st_mtime_ns == state.st_mtime_ns and path.stat().st_size == state.st_size
    now = read_split(tmp_path, "val")
    assert now.sentences == [one.replace("green", "brown") for one in before.sentences]
    assert now != before


def test_nothing_is_kept_of_a_file_that_changes_while_it_is_read(write_root, tmp_path, cache,
                                                                 monkeypatch):
    write_root(tmp_path, {"val": 3})
    path, read = tmp_path / "annotations" / "captions_val.json", coco.read_captions
    whole = path.read_bytes()

    def changed_before_it_is_read(path):
        path.write_bytes(whole.replace(b"green", b"brown"))
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(coco, "read_captions", changed_before_it_is_read)
        assert "A brown picture." in read_split(tmp_path, "val").sentences
    path.write_bytes(whole)
    assert "A green picture." in read_split(tmp_path, "val").sentences


def test_where_nothing_can_be_kept_annotations_are_read_all_the_same(write_root, tmp_path, cache):
    write_root(tmp_path, {"val": 3})
    cache.touch()                                           # a file where the folder should be
    assert read_split(tmp_path, "val") == read_split(tmp_path, "val")


@pytest.mark.parametrize("damage", [lambda kept: kept[:-1], lambda kept: b"", lambda kept: b"[]",
                                    lambda kept: b'{"a": 1}', lambda kept: b"[[1], [2], [[3]]]",
                                    lambda kept: kept.decode().encode("utf-16")])
def test_what_is_kept_of_annotations_is_made_again_if_damaged(write_root, tmp_path, cache, damage):
    write_root(tmp_path, {"val": 3})
    split = read_split(tmp_path, "val")
    kept, = (cache / "captions").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    assert read_split(tmp_path, "val") == split and kept.read_bytes() == whole


def test_python_collects_garbage_after_reading_as_before(write_root, tmp_path):
    write_root(tmp_path, {"val": 3})
    (tmp_path / "annotations" / "captions_bad.json").touch()
    for enabled in (True, False):
        (gc.enable if enabled else gc.disable)()
        try:
            read_split(tmp_path, "val")
            with pytest.raises(BadInput):
                read_split(tmp_path, "bad")
            assert gc.isenabled() == enabled
        finally:
            gc.enable()


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK"])
def test_every_kind_of_picture_becomes_rgb(tmp_path, mode):
    path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    Image.new("RGB", (8, 6), "white").convert(mode).save(path)
    picture = open_picture(path)
    assert picture.mode == "RGB" and picture.size == (8, 6)
    assert np.asarray(picture).min() == 255


def test_a_picture_taken_with_the_camera_on_its_side_is_upright(tmp_path):
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, 20:] = 255                                    # white is on the right,
    exif = Image.Exif()
    exif[0x0112] = 6                                        # and right is down
    Image.fromarray(pixels).save(tmp_path / "x.jpg", exif=exif)
    upright = np.asarray(open_picture(tmp_path / "x.jpg"))
    assert upright.shape == (40, 20, 3)
    assert upright[:15].max() < 50 and upright[25:].min() > 200


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_every_orientation_is_the_one_that_pillow_makes(tmp_path, suffix):
    path, noise = tmp_path / f"x.{suffix}", np.random.default_rng(0).integers(0, 255, (6, 9, 3))
    for number in range(10):                                # 0 and 9 mean nothing
        exif = Image.Exif()
        exif[0x0112] = number
        Image.fromarray(noise.astype(np.uint8)).save(path, exif=exif)
        with Image.open(path) as image:
            expected = np.asarray(ImageOps.exif_transpose(image))
        assert np.array_equal(open_picture(path), expected)


def test_a_picture_that_is_missing_or_broken_is_named_in_one_sentence(tmp_path):
    Image.new("RGB", (64, 64), "red").save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:500])
    (tmp_path / "page.jpg").write_bytes(b"<html>404</html>")
    (tmp_path / "empty.jpg").write_bytes(b"")
    for name in ("cut.jpg", "page.jpg", "empty.jpg", "absent.jpg"):
        with pytest.raises(BadInput, match=name) as refusal:
            open_picture(tmp_path / name)
        assert "\n" not in str(refusal.value)


def test_a_picture_without_the_right_to_read_it_is_named_once(tmp_path, monkeypatch):
    (tmp_path / "x.jpg").touch()

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(BadInput, match=r"x.jpg cannot be read \(Permission denied\): replace it"):
        open_picture(tmp_path / "x.jpg")


def test_a_picture_of_too_many_pixels_is_named(tmp_path, monkeypatch):
    Image.new("RGB", (64, 64)).save(tmp_path / "vast.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(BadInput, match="vast.png"):
        open_picture(tmp_path / "vast.png")


def test_coco_s_own_files_are_read_with_no_special_case(data_root):
    root = data_root / "coco-sample"
    train, val = read_split(root, "train"), read_split(root, "val")
    assert (train.name, val.name) == ("train2017", "val2017")
    assert len(train.pictures) == len(val.pictures) == 50
    assert all(len(picture.sentences) >= 5 for picture in train.pictures)
    assert open_picture(val.pictures[0].file).mode == "RGB"
