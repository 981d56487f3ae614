"""What several rooms need: whole folders, one writer at a time, cache names, drawn orders."""

import errno
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from coco.dataset import in_drawn_order
from system import contents, files
from system.cache import cache_name
from system.commands import run_command
from system.contents import content_hashes
from system.files import (
    PARTIAL,
    BadInput,
    content_hash,
    holds,
    read_json,
    refuse_web_address,
    whole_folder,
    write_json,
)
from system.locks import is_locked, lock, sweep
from system.roots import output_folder

INFO = {"description": "numbers", "seed": 1}


@pytest.mark.parametrize("before", [None, []])
def test_a_folder_appears_when_it_is_whole(tmp_path, before):
    if before is not None:
        (tmp_path / "made").mkdir()
    with whole_folder(tmp_path / "made") as beside:
        (beside / "x").write_text("x")
        assert not (tmp_path / "made" / "x").exists()
    assert os.listdir(tmp_path) == ["made"] and os.listdir(tmp_path / "made") == ["x"]


def test_a_folder_that_is_not_finished_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "made") as beside:
        (beside / "x").write_text("x")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_a_folder_replaces_nothing_that_has_content(tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "thesis.txt").write_text("mine")
    with pytest.raises(BadInput, match="made cannot be written"), whole_folder(tmp_path / "made"):
        pass
    assert (tmp_path / "made" / "thesis.txt").read_text() == "mine"
    assert os.listdir(tmp_path) == ["made"]


def test_a_folder_for_which_the_disk_has_no_room_is_one_sentence(tmp_path):
    with pytest.raises(BadInput, match="No space left .*: make room"), (
            whole_folder(tmp_path / "made")):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("address", ["http://a.org/b c", Path("https://a.org/b"), "S3://bucket/b",
                                     "ftp://a.org"])
def test_a_web_address_is_refused_whatever_was_made_of_it(tmp_path, monkeypatch, address):
    monkeypatch.chdir(tmp_path)
    for use in (refuse_web_address, lambda path: read_json(path, "x"),
                lambda path: write_json(path, {}), lambda path: whole_folder(path).__enter__()):
        with pytest.raises(BadInput, match=r"^\w+://\w.* is a web address.*: download it first"):
            use(address)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("path", ["http", "data/http:/x", "C:\\x", "httpx://x", "12:30.jpg"])
def test_a_path_that_is_no_web_address_is_not_refused(path):
    refuse_web_address(path)


def test_an_error_is_one_line_whatever_name_it_has(capsys):
    def main():
        raise BadInput("a\nb\x1b[2J\u202f is missing")

    with pytest.raises(SystemExit):
        run_command(main)
    assert capsys.readouterr().err == "error: a?b?[2J\u202f is missing\n"


@pytest.mark.parametrize("number", [errno.EILSEQ, errno.EINVAL])
def test_a_name_that_the_system_does_not_take_is_one_sentence(capsys, number):
    def main(*name):
        raise OSError(number, "Illegal byte sequence", *name)

    with pytest.raises(SystemExit) as end:
        run_command(lambda: main("photo\udcff*.jpg"))
    assert end.value.code == 2 and "is no name for a file here" in capsys.readouterr().err
    with pytest.raises(OSError):            # of no file, so not its name's fault
        run_command(main)


@pytest.mark.parametrize("work", [
    lambda: torch.empty(10**14), lambda: torch.empty(10**12, 10**12), lambda: bytes(10**15),
    lambda: nn.Embedding(10**12, 8)])
def test_more_than_the_memory_is_one_sentence(capsys, work):
    with pytest.raises(SystemExit) as end:
        run_command(work)
    error = capsys.readouterr().err
    assert end.value.code == 2 and error.startswith("error: this needs more memory than there is")


def test_a_root_that_is_free_or_made_is_known_and_any_other_refused(tmp_path):
    root, files = tmp_path / "root", "notes_*.json"
    assert not holds(root, files, INFO)
    root.mkdir()
    assert not holds(root, files, INFO)
    for name in (".DS_Store", "Thumbs.db"):
        (root / name).touch()
    assert not holds(root, files, INFO)
    with whole_folder(root) as beside:
        (beside / "new").touch()
    assert [path.name for path in root.iterdir()] == ["new"]
    (root / "picture.jpg").touch()
    assert not holds(root, files, INFO, partly=True)
    with pytest.raises(BadInput, match="root holds something else: give another folder"):
        holds(root, files, INFO)
    write_json(root / "notes_1.json", {"info": INFO})
    assert holds(root, files, INFO) and holds(root, files, INFO, partly=True)
    for content in ({"info": {**INFO, "seed": 2}}, {}, [INFO]):
        write_json(root / "notes_2.json", content)
        for partly in (False, True):
            with pytest.raises(BadInput, match="something else, notes_2.json: "):
                holds(root, files, INFO, partly)


def test_a_file_in_the_place_of_a_root_is_something_else(tmp_path):
    (tmp_path / "root").write_text("mine")
    with pytest.raises(BadInput, match="root holds something else"):
        holds(tmp_path / "root", "*.json", INFO)


HOLDER = ("import sys; from pathlib import Path; from system.locks import lock\n"
          "with lock(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()")


def test_a_lock_is_held_by_one_process_and_goes_with_it(tmp_path):
    path = tmp_path / "lock"
    assert not is_locked(path)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held" + os.linesep.encode()
        assert is_locked(path)
        with pytest.raises(BadInput, match="wait for the other"):
            lock(path, "wait for the other", patience=0)
    finally:
        holder.kill()
        holder.communicate()
    with lock(path, "wait for the other", patience=60):
        assert is_locked(path)
    assert not is_locked(path)


def test_a_file_that_another_program_reads_is_replaced_when_it_is_closed(tmp_path, monkeypatch):
    """As on Windows, where a run's files are read by --status, a notebook or a virus scanner."""
    path, tries = tmp_path / "status.json", []

    def busy(source, target, replace=os.replace):
        tries.append(target)
        if len(tries) < 3:
            raise PermissionError(13, "Access is denied", str(source))
        replace(source, target)

    monkeypatch.setattr(files, "PAUSES", (0, 0, 0))
    monkeypatch.setattr(os, "replace", busy)
    write_json(path, "new")
    assert len(tries) == 3 and os.listdir(tmp_path) == ["status.json"]
    tries.clear()
    monkeypatch.setattr(files, "PAUSES", (0,))
    with pytest.raises(BadInput, match="Access is denied"):
        write_json(path, "newer")
    assert path.read_text() == '"new"' and os.listdir(tmp_path) == ["status.json"]


def test_a_drive_that_is_not_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda path: False)         # as Z: on Windows
    with pytest.raises(BadInput, match="runs is on a drive that is not there: give another"):
        output_folder("runs", "--run")


def test_a_sweep_takes_what_a_kill_left_and_nothing_else(tmp_path):
    kept = ["a", "a.part", "a.part-1", "a.zip.part-00", ".a.partial-1", PARTIAL.format("b", 1),
            PARTIAL.format("a", "x"), PARTIAL.format("a", 1)[1:], PARTIAL.format("a", 1) + "~"]
    for name in (PARTIAL.format("a", 1), PARTIAL.format("a", 4711), *kept):
        (tmp_path / name).touch()
    (tmp_path / PARTIAL.format("a", 7) / "deep").mkdir(parents=True)
    sweep(tmp_path, lambda name: name == "a")
    assert sorted(os.listdir(tmp_path)) == sorted(kept)
    sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(set(kept) - {PARTIAL.format("b", 1)})
    sweep(tmp_path / "absent")


def test_what_a_killed_writer_left_is_what_is_swept(tmp_path):
    code = ("import os, sys; from system.files import whole_file, whole_folder\n"
            "with whole_file(sys.argv[1] + '/x') as file, whole_folder(sys.argv[1] + '/y') as y:\n"
            "    file.touch(); (y / 'z').touch(); os._exit(9)")
    assert subprocess.run([sys.executable, "-c", code, tmp_path]).returncode == 9
    assert len(os.listdir(tmp_path)) == 2
    sweep(tmp_path)
    assert os.listdir(tmp_path) == []


def test_equal_values_have_one_cache_name_and_others_another():
    values = [["a.jpg", [1, 2]], None, 0.5, {"size": 3}]
    assert cache_name(values) == cache_name([["a.jpg", [1, 2]], None, 0.5, {"size": 3}])
    assert cache_name([1]) == "080a9ed428559ef60266"        # the same in every version
    assert len({cache_name(one) for one in ([1], ["1"], [[1]], [1.0], {"1": 1})}) == 5


def old(path, content):
    """A file that was written long ago, as far as the disk's clock says."""
    path.write_bytes(content)
    os.utime(path, (0, 2))
    return path


def test_files_are_known_by_their_bytes_whatever_their_size_and_time(tmp_path):
    one, other = old(tmp_path / "1.bmp", b"one"), old(tmp_path / "2.bmp", b"two")
    absent = [tmp_path / "x", tmp_path / "a\0b", tmp_path]
    first, second, *none = content_hashes([one, other, *absent], tmp_path)
    assert first != second and none == [None] * 3
    os.rename(one, tmp_path / "x")
    os.rename(other, one)
    os.rename(tmp_path / "x", other)
    assert content_hashes([one, other], tmp_path) == [second, first]
    shutil.copy(other, tmp_path / "copy")
    old(other, b"six")                                      # of the same size, in its place
    assert content_hashes([other, tmp_path / "copy"], tmp_path)[1] == first
    assert content_hashes([other], tmp_path)[0] not in (first, second)
    other.unlink()
    assert content_hashes([other, one], tmp_path) == [None, second]


@pytest.mark.parametrize("damage", ["", "[]", '{"1.bmp": 5}', '{"1.bmp": "5"}', '{"1.bm', "\0\xff"])
def test_a_file_is_read_once_until_it_changes_or_the_table_is_damaged(tmp_path, monkeypatch,
                                                                       damage):
    read = []
    monkeypatch.setattr(contents, "content_hash", lambda path: (read.append(path),
                                                             content_hash(path))[1])
    monkeypatch.setattr(contents, "UNSETTLED", -1)      # as if the files were written long ago
    file = old(tmp_path / "1.bmp", b"one")
    expected = content_hash(file)
    for _ in range(2):
        assert content_hashes([file, file], tmp_path) == [expected] * 2 and len(read) == 1
    table, = (tmp_path / "contents").iterdir()
    table.write_text(damage)
    for _ in range(2):
        assert content_hashes([file], tmp_path) == [expected] and len(read) == 2


def test_a_file_written_this_moment_is_read_again(tmp_path):
    for content in (b"one", b"two"):                        # a coarse clock shows no difference
        (tmp_path / "x").write_bytes(content)
        os.utime(tmp_path / "x", (0, 0))
        assert content_hashes([tmp_path / "x"], tmp_path) == [content_hash(tmp_path / "x")]
    assert not (tmp_path / "contents").exists()


def test_a_drawn_order_depends_on_seed_and_key_alone():
    def ordered(items, seed=0):
        return in_drawn_order(items, seed, lambda item: item)

    assert ordered(range(8)) == [6, 4, 2, 1, 7, 5, 0, 3]    # the same in every version
    mixed = list(range(50))
    random.Random(0).shuffle(mixed)
    assert ordered(mixed) == ordered(range(50)) != ordered(range(50), seed=1)
    assert [item for item in ordered(range(50)) if item < 8] == ordered(range(8))
