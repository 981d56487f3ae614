"""An archive from anywhere writes into its folder, all of it or nothing."""

import os
import stat
import zipfile

import numpy as np
import pytest

from system import archives
from system.archives import extract, fault, read
from system.files import BadInput

PICTURES = {f"train/{number}.jpg": np.random.default_rng(number).bytes(5000) for number in range(8)}
NOTES = {"annotations/captions.json": b"{}", "readme.txt": b"read me"}


def write(path, members, compression=zipfile.ZIP_DEFLATED, **attributes):
    """A zip archive of {name: bytes}; `attributes` are set on every member."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo("x")
            info.filename, info.compress_type = name, compression     # the constructor cleans names
            for key, value in attributes.items():
                setattr(info, key, value)
            archive.writestr(info, content)
    return path


@pytest.fixture
def archive(tmp_path):
    return write(tmp_path / "a.zip", PICTURES | NOTES)


def tree(folder):
    """{path: bytes} of all files in a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*") if path.is_file()}


def test_an_archive_comes_out_as_it_went_in(archive, tmp_path):
    assert tree(extract(archive, tmp_path / "out")) == PICTURES | NOTES


def test_one_folder_of_an_archive_can_be_taken_without_its_name(archive, tmp_path):
    out = extract(archive, tmp_path / "train", inside="train")
    assert {f"train/{name}": content for name, content in tree(out).items()} == PICTURES


def test_what_is_there_is_left_alone(archive, tmp_path):
    (tmp_path / "out").mkdir()
    assert tree(extract(archive, tmp_path / "out")) == {}


def test_one_member_can_be_read_and_a_missing_one_is_one_sentence(archive):
    assert read(archive, "readme.txt") == b"read me"
    with pytest.raises(BadInput, match=r"a\.zip holds no captions\.json: "):
        read(archive, "captions.json")
    with pytest.raises(BadInput, match="holds no file in a folder 'val'"):
        extract(archive, archive.with_name("out"), inside="val")


OUTSIDE = ["../x", "train/../../x", "/etc/x", "//server/share/x", "\\x", "..\\x",
           "train\\..\\..\\x", "C:\\x", "C:x", "train/x.jpg:stream"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_that_leads_out_of_the_folder_refuses_the_whole_archive(name, tmp_path):
    path = write(tmp_path / "a.zip", PICTURES | {name: b"bad"})
    refused(path, "would write outside its folder, to")


def refused(path, reason):
    """The archive is refused in one sentence, and nothing but the archive is on the disk."""
    with pytest.raises(BadInput, match=reason) as error:
        extract(path, path.parent / "deep" / "out")
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(BadInput, match=reason):
        read(path, next(iter(PICTURES)))
    assert reason in fault(path)
    assert os.listdir(path.parent) == [path.name]


def test_a_link_refuses_the_whole_archive(tmp_path):
    path = write(tmp_path / "a.zip", {"train/x": b"/etc"}, external_attr=(stat.S_IFLNK | 511) << 16)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("train/x/y", b"bad")
    refused(path, "holds a link, 'train/x'")


def test_a_bomb_is_refused_before_it_swells(tmp_path):
    refused(write(tmp_path / "a.zip", PICTURES | {"zeros": bytes(30_000_000)}), "like a bomb")


def test_text_that_shrinks_well_is_no_bomb(tmp_path):
    text = b'{"image_id": 391895, "id": 770337, "caption": "a man with a red helmet"}, ' * 10_000
    path = write(tmp_path / "a.zip", PICTURES | {"captions.json": text})
    assert read(path, "captions.json") == text


def test_a_bomb_that_understates_its_size_is_cut_off_and_refused(tmp_path):
    path = write(tmp_path / "a.zip", PICTURES | {"zeros": bytes(2_000_000)})
    path.write_bytes(path.read_bytes().replace((2_000_000).to_bytes(4, "little"),
                                               (1000).to_bytes(4, "little")))
    with pytest.raises(BadInput, match="damaged"):
        extract(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "out.part" / "zeros.part").stat().st_size <= 1000


def test_a_locked_member_is_refused(tmp_path):
    path = write(tmp_path / "a.zip", PICTURES)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    refused(path, "needs a password")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names, reason", [
    (["a.jpg", "A.JPG"], "holds two files"), (["a", "a/b.jpg"], "has 'a' as a file")])
def test_names_that_cannot_stand_side_by_side_on_every_disk_are_refused(names, reason, tmp_path):
    refused(write(tmp_path / "a.zip", PICTURES | dict.fromkeys(names, b"x")), reason)


@pytest.mark.parametrize("damage", [
    lambda content: content[:len(content) // 2], lambda content: b"",
    lambda content: b"<!DOCTYPE html><title>Not found</title>"])
def test_what_is_no_whole_archive_is_one_sentence(damage, archive, tmp_path):
    archive.write_bytes(damage(archive.read_bytes()))
    refused(archive, "zip archive")


def test_a_flipped_bit_in_a_picture_is_found_and_nothing_passes_for_whole(archive, tmp_path):
    whole = write(archive, PICTURES, zipfile.ZIP_STORED).read_bytes()
    content = bytearray(whole)
    content[content.index(PICTURES["train/5.jpg"]) + 2500] ^= 1
    archive.write_bytes(content)
    with pytest.raises(BadInput, match="damaged .*5.jpg.*: delete it and give the same command"):
        extract(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    archive.write_bytes(whole)
    assert tree(extract(archive, tmp_path / "out")) == PICTURES


def test_a_missing_archive_is_one_sentence(tmp_path):
    with pytest.raises(BadInput, match="is not there: give the path of a zip archive"):
        extract(tmp_path / "a.zip", tmp_path / "out")


def test_a_killed_extraction_goes_on_with_the_first_file_that_is_not_whole(archive, tmp_path,
                                                                           monkeypatch):
    part = tmp_path / "out.part" / "train"
    part.mkdir(parents=True)
    (part / "0.jpg").write_bytes(PICTURES["train/0.jpg"])
    (part / "1.jpg.part").write_bytes(PICTURES["train/1.jpg"][:1234])
    written, copy = [], archives.shutil.copyfileobj
    monkeypatch.setattr(archives.shutil, "copyfileobj", lambda source, target, size: (
        written.append(source.name), copy(source, target, size)))
    assert tree(extract(archive, tmp_path / "out")) == PICTURES | NOTES
    assert sorted(written) == sorted({*PICTURES, *NOTES} - {"train/0.jpg"})
    assert not (tmp_path / "out.part").exists()
