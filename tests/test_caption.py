"""A photograph in, a sentence out: whatever the path, whatever lies beside it, however many."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

import caption
from caption import describe_files, find_pictures
from captioning.checkpoint import Captioner, save_captioner
from captioning.evaluation import describe
from coco.pictures import open_picture
from decoders.search import Search
from encoders.backbones import transform_of
from system.files import BadInput
from vocabulary import Vocabulary

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def captioner():
    """An untrained captioner, sharp enough to say something else of every colour."""
    torch.manual_seed(3)
    architecture = {"encoder": {"backbone": "efficientnet_lite0", "grid": False},
                    "decoder": {"embed_size": 12, "hidden_size": 12, "num_layers": 1,
                                "name": "lstm_every", "dropout": 0.5}}
    vocab = Vocabulary(words=["a", "red", "green", "blue", "ball", "box", "on", "of"])
    made = Captioner.build(architecture, vocab, transform_of("efficientnet_lite0"))
    with torch.no_grad():
        for parameter in [*made.encoder.embed.parameters(), *made.decoder.parameters()]:
            parameter.mul_(4).copy_(parameter.half())       # as a checkpoint will keep it
    return made


@pytest.fixture(scope="module")
def checkpoint(captioner, tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors"
    save_captioner(path, captioner)
    return path


@pytest.fixture
def photos(tiny_root, tmp_path):
    """Six pictures, one of them in a folder of its own, and one that is none."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    names = ["a.jpg", "b.JPEG", "c [1].jpg", "d é.jpg", "e.png", "more/f.jpg"]
    for name, picture in zip(names, sorted((tiny_root / "val").iterdir()), strict=True):
        Image.open(picture).save(folder / name)
    (folder / "broken.jpg").write_bytes((folder / "a.jpg").read_bytes()[:300])
    (folder / "notes.txt").write_text("no picture")
    (folder / "._a.jpg").write_bytes(b"what macOS leaves behind")
    return folder


def names(files, folder):
    return [Path(file).relative_to(folder).as_posix() for file in files]


EVERY = ["a.jpg", "b.JPEG", "broken.jpg", "c [1].jpg", "d é.jpg", "e.png", "more/f.jpg"]


def test_a_folder_is_searched_to_the_bottom_for_pictures_only(photos):
    assert names(find_pictures([str(photos)]), photos) == EVERY


def test_files_folders_and_patterns_are_found_each_picture_once(photos):
    assert names(find_pictures([photos / "e.png", photos / "more", photos / "e.png"]), photos) == [
        "e.png", "more/f.jpg"]
    assert names(find_pictures([str(photos / "*.jpg")]), photos) == [
        "a.jpg", "broken.jpg", "c [1].jpg", "d é.jpg"]
    assert names(find_pictures([str(photos / "**" / "*.jpg")]), photos)[-1] == "more/f.jpg"
    assert names(find_pictures([str(photos / "c [1].jpg")]), photos) == ["c [1].jpg"]
    assert names(find_pictures([str(photos / "mo*")]), photos) == ["more/f.jpg"]


def test_a_folder_without_pictures_is_named(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(BadInput, match=r"holds no picture \(.jpg"):
        find_pictures([tmp_path])


def test_every_picture_gets_its_own_sentence_and_a_broken_one_its_reason(captioner, photos,
                                                                        monkeypatch):
    files = find_pictures([photos, photos / "absent.jpg"])
    whole = [file for file in files if file.name not in ("broken.jpg", "absent.jpg")]
    one_by_one = {file: describe(captioner, [open_picture(file)])[0] for file in whole}
    assert len(set(one_by_one.values())) > 1
    for at_once in (1, 2, 3, 4, 32):
        monkeypatch.setattr(caption, "AT_ONCE", at_once)
        found = list(describe_files(captioner, files))
        assert [one.file for one in found] == files
        assert {one.file: one.sentences[0] for one in found if not one.error} == one_by_one
    broken, absent = (one.error for one in found if one.error)
    assert "broken.jpg cannot be read" in broken and "absent.jpg is missing" in absent
    assert broken.endswith("replace it, or leave it out")


def test_several_sentences_come_best_first(captioner, photos):
    files = [photos / "a.jpg", photos / "e.png"]
    three = [one.sentences for one in describe_files(captioner, files, Search(captions=3))]
    assert [len(sentences) for sentences in three] == [3, 3]
    assert [one.sentences for one in describe_files(captioner, files)] == [s[:1] for s in three]


def test_pictures_are_read_as_they_are_needed(captioner, photos, monkeypatch):
    opened = []

    def counted(path, remedy):
        opened.append(path)
        return open_picture(path, remedy)

    monkeypatch.setattr(caption, "open_picture", counted)
    monkeypatch.setattr(caption, "AT_ONCE", 2)
    described = describe_files(captioner, [photos / "a.jpg"] * 100)
    for _ in range(3):
        next(described)
    described.close()
    assert len(opened) <= 6


def command(*options, launcher=(), cwd=ROOT, **environment):
    return subprocess.run(
        [sys.executable, *launcher, ROOT / "caption.py", *map(str, options)], text=True,
        capture_output=True, encoding="utf-8", cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1", **environment})


def test_the_command_writes_path_tab_sentence_and_goes_on_past_what_is_broken(
        captioner, checkpoint, photos):
    done = command(photos, "nowhere.jpg", "--checkpoint", checkpoint, "--device", "cpu")
    expected = list(describe_files(captioner, find_pictures([photos])))
    assert done.stdout.splitlines() == [f"{one.file}\t{one.sentences[0]}" for one in expected
                                        if not one.error]
    assert done.returncode == 1
    errors = [line.split("\r")[-1].strip() for line in done.stderr.split("\n") if "error:" in line]
    assert len(errors) == 2 and "broken.jpg" in errors[0] and "nowhere.jpg is missing" in errors[1]
    assert "picture/s" in done.stderr                       # the bar


def test_one_photo_from_another_folder_is_one_line_and_no_bar(checkpoint, photos):
    done = command("d é.jpg", "--checkpoint", checkpoint, "--captions", 2, "--json", cwd=photos)
    assert done.returncode == 0 and done.stderr == ""
    found = json.loads(done.stdout)
    assert found["file"] == "d é.jpg" and len(found["captions"]) == 2


def run_here(monkeypatch, *options):
    """Run the command in this process: its exit status."""
    monkeypatch.setattr(sys, "argv", ["caption.py", *map(str, options)])
    with pytest.raises(SystemExit) as end:
        caption.run_command(caption.main)
    return end.value.code


def test_processes_that_share_the_work_write_what_one_writes(checkpoint, photos, tmp_path,
                                                             monkeypatch, capsys):
    options = (photos, photos / "absent.jpg", "--checkpoint", checkpoint, "--device", "cpu")
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    shared = command(*options, "--gallery", tmp_path / "shared.html", launcher=launcher)
    assert run_here(monkeypatch, *options, "--gallery", tmp_path / "alone.html") == 1
    alone = capsys.readouterr().out
    assert shared.stdout == alone and len(alone.splitlines()) == 6
    assert shared.returncode == 1 and shared.stderr.count("absent.jpg is missing") == 1
    assert (tmp_path / "shared.html").read_bytes() == (tmp_path / "alone.html").read_bytes()


@pytest.mark.parametrize("options, answer", [
    (("--beam", 0), "--beam takes a whole number"),
    (("--captions", 4), "--captions one from 1 to --beam"),
    (("--references", "x.json"), "add --gallery"),
    (("--checkpoint", "absent.safetensors"), "absent.safetensors is not there"),
    (("--gallery", "a.jpg/page.html"), "cannot be written"),
    (("--gallery", "page.html", "--references", "absent.json"), "absent.json is not there")])
def test_the_command_answers_bad_input_with_one_sentence(checkpoint, photos, options, answer,
                                                         monkeypatch, capsys):
    monkeypatch.chdir(photos)
    assert run_here(monkeypatch, "a.jpg", "--checkpoint", checkpoint, *options) == 2
    shown, error = capsys.readouterr()
    assert shown == "" and not (photos / "page.html").exists()
    assert error.startswith("error: ") and error.count("\n") == 1 and answer in error


def test_a_name_with_a_line_break_stays_on_one_line():
    found = caption.Described(Path("a\nb\t\x1b[2J.jpg"), ["a dog"])
    assert caption.lines_of(found, as_json=False) == "a?b??[2J.jpg\ta dog"
    assert json.loads(caption.lines_of(found, as_json=True))["file"] == "a\nb\t\x1b[2J.jpg"


def test_a_photo_is_described_without_what_is_slow_to_import(checkpoint, photos):
    slow = "torchvision", "nltk", "scipy", "matplotlib", "sympy", "torch._dynamo", "pycocotools"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "caption.py", photos / "a.jpg", "--checkpoint",
         checkpoint, "--device", "cpu"], text=True, capture_output=True, cwd=ROOT)
    assert done.returncode == 0 and "a.jpg\t" in done.stdout
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "torch" in imported and not imported.intersection(slow)


def test_the_captioner_in_the_box_needs_no_network_and_nothing_beside_it(photos, tmp_path):
    if not caption.SHIPPED.exists():
        pytest.skip("no captioner in the box")
    house = tmp_path / "house"
    (house / "checkpoints").mkdir(parents=True)
    for module in ROOT.glob("*.py"):
        shutil.copy(module, house)
    shutil.copy(caption.SHIPPED, house / "checkpoints")
    done = subprocess.run([sys.executable, "caption.py", photos / "a.jpg"], cwd=house, text=True,
                          capture_output=True, encoding="utf-8",
                          env={**os.environ, "https_proxy": "http://127.0.0.1:9"})
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split("\t")[1].split()) > 2
