"""An archive is unpacked into its folder, all of it or nothing."""

import errno
import os
import zipfile

import numpy as np
import pytest

from system.archives import extract, fault, read
from system.files import BadInput

PICTURES = {f"train/{number}.jpg": np.random.default_rng(number).bytes(5000) for number in range(8)}
NOTES = {"annotations/captions.json": b"{}", "readme.txt": b"read me"}


def write(path, members, compression=zipfile.ZIP_DEFLATED):
    """A zip archive of {name: bytes}."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo("x")
            info.filename, info.compress_type = name, compression     # the constructor cleans names
            archive.writestr(info, content)
    return path


@pytest.fixture
def archive(tmp_path):
    return write(tmp_path / "a.zip", PICTURES | NOTES)


def tree(folder):
    """{path: bytes} of all files in a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*") if path.is_file()}


def test_a_folder_of_an_archive_comes_out_as_it_went_in(archive, tmp_path):
    extract(archive, tmp_path / "train")
    assert {f"train/{name}": content for name, content in tree(tmp_path / "train").items()} == (
        PICTURES)
    assert sorted(os.listdir(tmp_path)) == ["a.zip", "train"]


def test_one_member_can_be_read_and_a_missing_one_is_one_sentence(archive):
    assert read(archive, "readme.txt") == b"read me"
    with pytest.raises(BadInput, match=r"a\.zip holds no captions\.json: "):
        read(archive, "captions.json")
    with pytest.raises(BadInput, match="holds no folder val"):
        extract(archive, archive.with_name("val"))


@pytest.mark.parametrize("name", ["train/../../x", "train//etc/x", "train/../../../../tmp/x"])
def test_nothing_lands_outside_the_folder(name, tmp_path):
    (tmp_path / "deep").mkdir()
    path = write(tmp_path / "deep" / "a.zip", PICTURES | {name: b"bad"})
    extract(path, tmp_path / "deep" / "train")
    found = {file.relative_to(tmp_path).parts[:2] for file in tmp_path.rglob("*") if file.is_file()}
    assert found == {("deep", "a.zip"), ("deep", "train")}


@pytest.mark.parametrize("damage", [
    lambda content: content[:len(content) // 2], lambda content: b"",
    lambda content: b"<!DOCTYPE html><title>Not found</title>"])
def test_what_is_no_whole_archive_is_one_sentence(damage, archive, tmp_path):
    assert fault(archive) is None
    archive.write_bytes(damage(archive.read_bytes()))
    for act in (lambda: extract(archive, tmp_path / "train"), lambda: read(archive, "readme.txt")):
        with pytest.raises(BadInput, match="a.zip is damaged or no zip archive") as error:
            act()
        assert "\n" not in str(error.value)
    assert "no whole zip archive" in fault(archive)
    assert os.listdir(tmp_path) == ["a.zip"]


def flip_a_bit(path):
    """Damage the middle of one picture; return the bytes of before."""
    whole = write(path, PICTURES, zipfile.ZIP_STORED).read_bytes()
    content = bytearray(whole)
    content[content.index(PICTURES["train/5.jpg"]) + 2500] ^= 1
    path.write_bytes(content)
    return whole


def test_a_flipped_bit_in_a_picture_is_found_and_nothing_passes_for_whole(archive, tmp_path):
    whole = flip_a_bit(archive)
    with pytest.raises(BadInput, match="damaged .*5.jpg.*: move it away and give the same command"):
        extract(archive, tmp_path / "train")
    with pytest.raises(BadInput, match="damaged"):
        read(archive, "train/5.jpg")
    assert os.listdir(tmp_path) == ["a.zip"]
    archive.write_bytes(whole)
    extract(archive, tmp_path / "train")
    assert len(tree(tmp_path / "train")) == len(PICTURES)


def test_a_missing_archive_is_one_sentence(tmp_path):
    with pytest.raises(BadInput, match="is not there: give the path of a zip archive"):
        extract(tmp_path / "a.zip", tmp_path / "out")


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_there(archive, tmp_path, monkeypatch):
    def full(source, target, *size):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile.shutil, "copyfileobj", full)
    with pytest.raises(BadInput, match="train cannot be written .No space left"):
        extract(archive, tmp_path / "train")
    assert os.listdir(tmp_path) == ["a.zip"]
