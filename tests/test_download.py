"""A download ends whole and verified, or as a part from which the next one goes on."""

import errno
import hashlib
import os
import time
from pathlib import Path

import numpy as np
import pytest

from system import download
from system.commands import run_command
from system.download import CHUNK, NotThere, about, fetch, fetch_all, part_of, size_of
from system.files import BadInput, make_room
from tests.server import Server

CONTENT = np.random.default_rng(0).bytes(3 * CHUNK + 12345)
PATH = "/zips/a.zip"


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """No test waits for a pause or a stall as long as a person would."""
    monkeypatch.setattr(download, "PAUSE", 0.001)
    monkeypatch.setattr(download, "TIMEOUT", 0.3)


@pytest.fixture
def server():
    with Server({PATH: CONTENT}) as server:
        yield server


@pytest.fixture
def get(server, tmp_path):
    """Fetch the file and give its bytes and what is left beside it."""
    def get(**options):
        fetch(server.url + PATH, tmp_path / "a.zip", progress=False, **options)
        return (tmp_path / "a.zip").read_bytes(), sorted(os.listdir(tmp_path))

    return get


def starts(server):
    return [start for _, start, _, _ in server.asked]


def test_a_file_arrives_byte_for_byte_and_leaves_nothing_beside_it(get):
    assert get() == (CONTENT, ["a.zip"])


def test_a_file_that_is_there_is_not_asked_for(get, server):
    get()
    get()
    assert len(server.asked) == 1


@pytest.mark.parametrize("faults, requests", [
    (["breaks off"], 2), (["breaks off", "breaks off", "breaks off"], 4), (["stalls"], 2),
    (["redirects"], 2), ([503], 2), ([503, 429, "stalls", 500, "breaks off"], 6),
    (["breaks off", "ignores ranges"], 2), (["breaks off", "wrong piece"], 3),
    (["says more"], 3), (["no version"], 2)])
def test_a_file_arrives_whole_over_a_server_that_at_first(faults, requests, get, server):
    server.faults[PATH] = list(faults)
    assert get() == (CONTENT, ["a.zip"])
    assert len(server.asked) == requests


@pytest.mark.parametrize("fault", ["breaks off", "stalls"])
def test_after_a_break_only_what_is_missing_is_asked_for(fault, get, server):
    server.faults[PATH] = [fault]
    get()
    assert starts(server) == [0, len(CONTENT) // 2]
    assert sum(sent for *_, sent in server.asked) == len(CONTENT)


def test_a_server_that_always_breaks_off_is_given_up_only_when_no_byte_is_new(get, server):
    server.faults[PATH] = ["breaks off"] * 15           # a half, a quarter, ...: always something
    assert get()[0] == CONTENT


@pytest.mark.parametrize("fault", [503, "says more", "no version"])
def test_giving_up_is_one_sentence_after_which_the_same_command_can_succeed(fault, get, server,
                                                                            tmp_path):
    server.faults[PATH] = fault
    with pytest.raises(BadInput, match="in 5 tries .*the same command again") as error:
        get()
    assert not isinstance(error.value, NotThere) and "\n" not in str(error.value)
    assert not (tmp_path / "a.zip").exists()
    server.faults.clear()
    assert get() == (CONTENT, ["a.zip"])


def test_the_next_command_goes_on_where_the_last_one_gave_up(get, server, monkeypatch):
    monkeypatch.setattr(download, "TRIES", 1)
    server.faults[PATH] = ["breaks off"]
    with pytest.raises(BadInput):
        get()
    assert get() == (CONTENT, ["a.zip"])
    assert starts(server) == [0, len(CONTENT) // 2]


def test_a_part_of_an_older_version_is_not_continued(get, server, monkeypatch):
    monkeypatch.setattr(download, "TRIES", 1)
    server.faults[PATH] = ["breaks off"]
    with pytest.raises(BadInput):
        get()
    server.files[PATH] = newer = CONTENT[::-1]
    assert get()[0] == newer


def test_a_part_of_another_address_is_not_continued(get, server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TRIES", 1)
    server.files["/b.zip"], server.faults["/b.zip"] = CONTENT, ["breaks off"]
    with pytest.raises(BadInput):
        fetch(server.url + "/b.zip", tmp_path / "a.zip", progress=False)
    assert get()[0] == CONTENT
    assert starts(server) == [0, 0]


def test_a_file_that_became_shorter_unnoticed_is_begun_again(get, server):
    server.tag = '"always the same"'
    server.faults[PATH] = ["breaks off"] + [503] * 4
    with pytest.raises(BadInput):
        get()
    server.files[PATH] = short = CONTENT[:1000]
    assert get() == (short, ["a.zip"])
    assert [status for _, _, status, _ in server.asked][-2:] == [416, 200]


def test_a_part_that_only_lacks_its_new_name_is_not_asked_for_again(get, server, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(download, "verify", lambda *given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            get()
    assert get() == (CONTENT, ["a.zip"])
    assert len(server.asked) == 1


@pytest.mark.parametrize("owner, step, subject", [
    (os, "replace", part_of), (Path, "unlink", lambda path: about(part_of(path)))])
def test_a_kill_after_the_last_byte_loses_none(owner, step, subject, get, server, tmp_path,
                                               monkeypatch):
    real = getattr(owner, step)

    def killed(path, *given, **options):
        if Path(path) == subject(tmp_path / "a.zip"):
            raise KeyboardInterrupt
        return real(path, *given, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(owner, step, killed)
        get()
    assert get() == (CONTENT, ["a.zip"])
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_file_that_is_not_there_is_not_asked_for_twice(status, get, server):
    server.faults[PATH] = status
    with pytest.raises(NotThere, match=str(status)):
        get()
    assert len(server.asked) == 1


def test_a_file_whose_hash_is_another_is_refused_and_not_kept(get, tmp_path):
    with pytest.raises(NotThere, match="md5"):
        get(md5="0" * 32)
    assert os.listdir(tmp_path) == []
    assert get(md5=hashlib.md5(CONTENT).hexdigest())[0] == CONTENT


def test_a_length_that_lies_below_the_truth_is_found_by_the_hash(get, server, tmp_path):
    server.faults[PATH] = "says less"
    with pytest.raises(NotThere, match="md5"):
        get(md5=hashlib.md5(CONTENT).hexdigest())
    assert os.listdir(tmp_path) == []


def test_a_check_of_ones_own_can_refuse_a_file(get, tmp_path):
    with pytest.raises(NotThere, match="it is no zip"):
        get(check=lambda part: "it is no zip" if part.stat().st_size == len(CONTENT) else None)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://x/y", "images/x", "http://a b/"])
def test_only_web_addresses_are_opened(url, tmp_path):
    with pytest.raises(BadInput, match="http|no web address"):
        fetch(url, tmp_path / "x", progress=False)


def test_a_server_that_is_not_there_is_one_sentence(tmp_path):
    with Server({}) as server:
        url = server.url
    with pytest.raises(BadInput, match="look to the network"):
        fetch(url + "/x", tmp_path / "x", progress=False)


def test_a_busy_server_is_left_alone_twice_as_long_each_time():
    waited = []

    class Stop:
        def wait(self, pause):
            waited.append(pause)

    def busy():
        raise download.Broken("busy")

    with pytest.raises(BadInput):
        download.patiently(busy, "http://x", Stop())
    assert waited == [0.001, 0.002, 0.004, 0.008]


def test_many_files_come_at_once_and_those_that_are_not_there_are_listed(server, tmp_path):
    names = [f"{number}.jpg" for number in range(40)]
    server.files |= {f"/{name}": name.encode() for name in names}
    server.faults |= {"/3.jpg": 404, "/5.jpg": ["breaks off"], "/6.jpg": [503], "/9.jpg": 404}
    missing = fetch_all([(f"{server.url}/{name}", tmp_path / name) for name in names])
    assert [name in sentence for name, sentence in zip(["3.jpg", "9.jpg"], missing, strict=True)]
    assert sorted(os.listdir(tmp_path)) == sorted(set(names) - {"3.jpg", "9.jpg"})
    assert all((tmp_path / name).read_text() == name for name in os.listdir(tmp_path))


def test_one_file_that_keeps_breaking_off_stops_the_others_soon(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "CONNECTIONS", 2)
    monkeypatch.setattr(download, "PAUSE", 0.01)
    names = [f"/{number}.jpg" for number in range(300)]
    server.files |= {name: name.encode() for name in names}
    server.faults |= dict.fromkeys(names[:2], 503)
    with pytest.raises(BadInput, match="could not be fetched"):
        fetch_all([(server.url + name, tmp_path / name[1:]) for name in names])
    asked = len(server.asked)
    assert asked < 200
    time.sleep(0.1)
    assert len(server.asked) == asked


def test_nobody_waits_for_a_busy_server_once_another_file_has_failed(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "PAUSE", 5)
    server.faults[PATH] = 503
    with pytest.raises(BadInput, match="ftp://x"):
        fetch_all([(server.url + PATH, tmp_path / "a"), ("ftp://x", tmp_path / "b")])
    assert server.count()[PATH] <= 1


def test_the_size_of_a_file_is_told_without_fetching_it(server):
    assert size_of(server.url + PATH) == len(CONTENT)
    assert server.asked == []


def test_the_disk_needed_is_said_and_too_little_of_it_refused(tmp_path, capsys):
    make_room(tmp_path / "not" / "yet", 5_000_000, "the sample")
    assert capsys.readouterr().out.startswith("the sample: needs 5.0 MB in ")
    with pytest.raises(BadInput, match=r"needs 1000000000\.0 GB and .* free: make room"):
        make_room(tmp_path, 10 ** 18, "the sample")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_disk_that_refuses_is_one_sentence(number, capsys):
    def main():
        raise OSError(number, os.strerror(number), "data/x")

    with pytest.raises(SystemExit) as end:
        run_command(main)
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: data/x cannot be") and error.count("\n") == 1
