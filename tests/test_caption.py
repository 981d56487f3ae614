"""A photograph in, a sentence out: whatever the path, whatever lies beside it, however many."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import caption
from captioning import photos as photo_files
from captioning.checkpoint import save_captioner
from captioning.photos import Described, describe_files, find_pictures, short_names
from coco.pictures import open_picture
from decoders.search import Search
from system.files import BadInput
from tests.untrained import untrained

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def captioner():
    """An untrained captioner, sharp enough to say something else of every colour."""
    return untrained(["a", "red", "green", "blue", "ball", "box", "on", "of"])


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


def test_a_folder_gives_all_that_pillow_opens_and_names_what_it_cannot(photos, capsys):
    Image.open(photos / "a.jpg").save(photos / "g.jfif", format="JPEG")
    Image.open(photos / "a.jpg").save(photos / "h.JP2")
    for name in ("i.HEIC", "j.nef", "k.heic"):
        (photos / name).write_bytes(b"a photograph of another kind")
    assert names(find_pictures([photos]), photos) == sorted([*EVERY, "g.jfif", "h.JP2"])
    error = capsys.readouterr().err
    assert "left out 3 photographs in" in error and "cannot open here (.heic, .nef): save" in error
    assert names(find_pictures([photos / "i.HEIC"]), photos) == ["i.HEIC"]
    (photos.parent / "raw").mkdir()
    (photos / "j.nef").rename(photos.parent / "raw" / "j.nef")
    with pytest.raises(BadInput, match="no picture but 1 photograph in .*raw that"):
        find_pictures([photos.parent / "raw"])


def test_what_is_hidden_in_a_folder_is_left_out(photos):
    for hidden in (".ipynb_checkpoints", ".thumbnails/large", "__MACOSX/photos", "more/@eaDir"):
        (photos / hidden).mkdir(parents=True)
        shutil.copy(photos / "a.jpg", photos / hidden)
    (photos / "folder.jpg").mkdir()
    shutil.copy(photos / "a.jpg", photos / "folder.jpg" / "z.jpg")
    assert names(find_pictures([photos]), photos) == sorted([*EVERY, "folder.jpg/z.jpg"])
    assert names(find_pictures([photos / "**" / "a.jpg", photos / "more" / "*"]), photos) == [
        "a.jpg", "more/f.jpg"]
    assert names(find_pictures([photos / "__MACOSX" / "*"]), photos) == ["__MACOSX/photos/a.jpg"]
    assert names(find_pictures([photos / ".thumbnails"]), photos) == [".thumbnails/large/a.jpg"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes have names here")
def test_what_is_no_file_is_reported_and_not_waited_for(captioner, photos):
    os.mkfifo(photos / "pipe.jpg")
    (photos / "lost.png").symlink_to("nowhere.png")
    (photos / "loop.gif").symlink_to("loop.gif")
    files = [file for file in find_pictures([photos]) if len(file.stem) == 4]
    assert names(files, photos) == ["loop.gif", "lost.png", "pipe.jpg"]
    loop, lost, pipe = (one.error for one in describe_files(captioner, files))
    assert "loop.gif cannot be read (Too many" in loop and "it is a pipe" in pipe
    assert "lost.png is a link to a file that is missing" in lost


def test_every_picture_gets_its_own_sentence_and_a_broken_one_its_reason(captioner, photos,
                                                                        monkeypatch):
    files = find_pictures([photos, photos / "absent.jpg"])
    whole = [file for file in files if file.name not in ("broken.jpg", "absent.jpg")]
    one_by_one = {file: captioner.describe([open_picture(file)])[0][0] for file in whole}
    assert len(set(one_by_one.values())) > 1
    for size in (1, 2, 3, 4, 32):
        monkeypatch.setattr(photo_files, "BATCH_SIZE", size)
        found = list(describe_files(captioner, files))
        assert [one.file for one in found] == files
        assert {one.file: one.sentences[0] for one in found if not one.error} == one_by_one
    broken, absent = (one.error for one in found if one.error)
    assert "broken.jpg cannot be read" in broken and "absent.jpg is missing" in absent
    assert broken.endswith("check its path, replace it, or leave it out")


NAMES = [                   # places, files that they give, and what these are called
    (["trip"], ["trip/a.jpg", "trip/sea/a.jpg"], ["a.jpg", "sea/a.jpg"]),
    (["trip", "trip/sea"], ["trip/sea/a.jpg"], ["a.jpg"]),                      # the nearest
    (["."], ["a.jpg", "trip/b.jpg"], ["a.jpg", "trip/b.jpg"]),
    (["trip/sea/*"], ["trip/sea/a.jpg", "trip/sea/b.jpg"], ["a.jpg", "b.jpg"]),
    (["trip/sea/a.jpg", "trip/a.jpg", "b.jpg"], ["trip/sea/a.jpg", "trip/a.jpg", "b.jpg"],
     ["sea/a.jpg", "trip/a.jpg", "b.jpg"]),
    (["trip/sea", "trip/lake"], ["trip/sea/x/a.jpg", "trip/lake/x/a.jpg"],
     ["sea/x/a.jpg", "lake/x/a.jpg"]),
    (["x/a.jpg", "a.jpg"], ["x/a.jpg", "a.jpg"], ["x/a.jpg", "a.jpg"])]


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("places, files, expected", NAMES)
def test_pictures_are_called_as_people_know_them_and_no_two_alike(tmp_path, monkeypatch, places,
                                                                  files, expected, absolute):
    for folder in ("trip/sea/x", "trip/lake/x"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    if absolute:
        if "a.jpg" in files and "x/a.jpg" in files:
            pytest.skip("the folder has a name, which tells them apart")
        places, files = ([str(tmp_path / one) for one in some] for some in (places, files))
    files = [Path(one) for one in files]
    assert [Path(name).as_posix() for name in short_names(files, places).values()] == expected


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

    monkeypatch.setattr(photo_files, "open_picture", counted)
    monkeypatch.setattr(photo_files, "BATCH_SIZE", 2)
    described = describe_files(captioner, [photos / "a.jpg", photos / "e.png"] * 50)
    for _ in range(3):
        next(described)
    described.close()
    assert len(opened) <= 6


DRAWN = Search("sample", captions=3, temperature=2.0, seed=5)


def test_what_is_sampled_of_a_picture_depends_on_it_and_the_seed_only(captioner, photos,
                                                                     monkeypatch):
    files = find_pictures([photos])
    every = {one.file: one.sentences for one in describe_files(captioner, files, DRAWN)}
    monkeypatch.setattr(photo_files, "BATCH_SIZE", 2)
    for file in files[::-1]:
        assert [one.sentences for one in describe_files(captioner, [file], DRAWN)] == [every[file]]
    other = [one.sentences for one in describe_files(captioner, files, replace(DRAWN, seed=6))]
    assert other != list(every.values())


def test_pictures_are_sampled_with_random_numbers_of_their_own(captioner, photos):
    """Copies of a picture get other sentences: what differs between pictures is not only them."""
    for number in range(4):
        shutil.copy(photos / "a.jpg", photos / f"copy {number}.jpg")
    found = describe_files(captioner, sorted(photos.glob("copy*")), DRAWN)
    assert len({tuple(one.sentences) for one in found}) > 1


def test_pictures_of_one_name_in_two_folders_are_sampled_apart(captioner, photos):
    for number in range(4):
        (photos / str(number)).mkdir()
        shutil.copy(photos / "a.jpg", photos / str(number) / "1.jpg")
    found = describe_files(captioner, sorted(photos.glob("*/1.jpg")), DRAWN)
    assert len({tuple(one.sentences) for one in found}) > 1


def options(*given):
    """The options of a command line that describes one photo."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["caption.py", "a.jpg", *map(str, given)])
        return caption.arguments()


def test_options_become_the_search_they_name():
    assert caption.search_of(options()) == Search()
    assert caption.search_of(options("--beam", 5, "--captions", 2, "--no-repeat", 3)) == Search(
        beam=5, captions=2, no_repeat_ngram=3)
    assert caption.search_of(options("--sample", 4)) == Search("sample", captions=4)
    assert caption.search_of(options(
        "--sample", 4, "--temperature", 0.7, "--top-k", 9, "--top-p", 0.9, "--no-repeat", 2,
        "--seed", 7)) == Search("sample", captions=4, temperature=0.7, top_k=9, top_p=0.9,
                                no_repeat_ngram=2, seed=7)


@pytest.mark.parametrize("given, said", [
    (["--naming", "cup,,table"], "--naming takes 1 to 4 words"),
    (["--naming", "a,b,c,d,e"], "--naming takes 1 to 4 words"),
    (["--naming", "cup", "--sample", 2], "--naming is for beams")])
def test_words_to_name_that_cannot_be_had_are_refused(given, said):
    with pytest.raises(caption.BadInput, match=said):
        caption.search_of(options(*given))


def run_here(monkeypatch, *options):
    """Run the command in this process: its exit status."""
    monkeypatch.setattr(sys, "argv", ["caption.py", *map(str, options)])
    with pytest.raises(SystemExit) as end:
        caption.run_command(caption.main)
    return end.value.code


def test_the_command_writes_path_tab_sentence_and_goes_on_past_what_is_broken(
        captioner, checkpoint, photos, monkeypatch, capfd):
    expected = list(describe_files(captioner, find_pictures([photos])))
    assert run_here(monkeypatch, photos, "nowhere.jpg", "--checkpoint", checkpoint, "--device",
                    "cpu") == 1
    shown, said = capfd.readouterr()
    assert shown.splitlines() == [f"{one.file}\t{one.sentences[0]}" for one in expected
                                  if not one.error]
    errors = [line.split("\r")[-1].strip() for line in said.split("\n") if "error:" in line]
    assert len(errors) == 2 and "broken.jpg" in errors[0] and "nowhere.jpg is missing" in errors[1]
    assert "picture/s" in said                              # the bar


def test_a_captioner_repeats_no_more_than_it_was_trained_to(captioner, photos, tmp_path,
                                                            monkeypatch, capsys):
    path = tmp_path / "no-pair-twice.safetensors"
    save_captioner(path, captioner, no_repeat_ngram=2)
    said = {}
    for more in ((), ("--no-repeat", 0)):
        assert run_here(monkeypatch, photos, "--checkpoint", path, "--device", "cpu", *more) == 1
        said[more] = [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()]
    for search, found in zip((Search(no_repeat_ngram=2), Search()), said.values(), strict=True):
        assert found == [one.sentences[0] for one in describe_files(
            captioner, find_pictures([photos]), search) if not one.error]
    assert said[()] != said["--no-repeat", 0]


def test_one_photo_from_another_folder_is_one_line_and_no_bar(checkpoint, photos, monkeypatch,
                                                              capfd):
    monkeypatch.chdir(photos)
    assert run_here(monkeypatch, "d é.jpg", "--checkpoint", checkpoint, "--captions", 2,
                    "--json") == 0
    shown, error = capfd.readouterr()
    assert error == "" and shown.count("\n") == 1
    found = json.loads(shown)
    assert found["file"] == "d é.jpg" and len(found["captions"]) == 2


def test_a_mistyped_folder_leaves_the_page_of_before(checkpoint, photos, tmp_path, monkeypatch,
                                                     capsys):
    page = tmp_path / "page.html"
    options = ("--checkpoint", checkpoint, "--device", "cpu", "--gallery", page)
    assert run_here(monkeypatch, photos / "d é.jpg", *options) == 0
    assert f"wrote {page}" in capsys.readouterr().err
    before = page.read_bytes()
    assert run_here(monkeypatch, tmp_path / "photoz", tmp_path / "x.jpg", *options) == 2
    error = capsys.readouterr().err
    assert "photoz is missing: check its path" in error and "was not written" in error
    assert page.read_bytes() == before and [*tmp_path.glob("*.html")] == [page]


def test_a_gallery_calls_pictures_by_their_names_and_ends_with_those_it_could_not_read(
        checkpoint, photos, tmp_path, monkeypatch, capsys):
    page = tmp_path / "new" / "page.html"
    assert run_here(monkeypatch, photos, "--checkpoint", checkpoint, "--device", "cpu",
                    "--gallery", page) == 1
    assert f"wrote {page}" in capsys.readouterr().err
    text = page.read_text(encoding="utf-8")
    shown = re.findall(r'<p class="quiet">([^<]*)</p>\n</figcaption>', text)
    assert [Path(one).as_posix() for one in shown] == [
        name for name in EVERY if name != "broken.jpg"]
    assert re.findall("<li>([^<]*)</li>", text)[0].startswith("picture broken.jpg cannot be read")
    assert str(photos) not in text
    assert "each by the likeliest sentence it found<" in text and "beam 3, length penalty" in text


def test_two_processes_write_what_one_writes(checkpoint, photos, tmp_path, monkeypatch,
                                         capsys):
    options = (photos, photos / "absent.jpg", "--checkpoint", checkpoint, "--device", "cpu",
               "--sample", 2)
    two = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
         ROOT / "caption.py", *map(str, options), "--gallery", tmp_path / "two.html"], text=True,
        capture_output=True, encoding="utf-8", cwd=ROOT, env={**os.environ, "PYTHONUTF8": "1"})
    assert run_here(monkeypatch, *options, "--gallery", tmp_path / "one.html") == 1
    one = capsys.readouterr().out
    assert two.stdout == one and len(one.splitlines()) == 12
    assert two.returncode == 1 and two.stderr.count("absent.jpg is missing") == 1
    assert (tmp_path / "two.html").read_bytes() == (tmp_path / "one.html").read_bytes()


def test_sampled_captions_are_written_side_by_side_and_shown_as_equals(
        captioner, checkpoint, photos, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(photos)           # what is drawn depends on the path
    base = ("a.jpg", "--checkpoint", checkpoint, "--device", "cpu", "--sample", 4)
    assert run_here(monkeypatch, *base, "--gallery", tmp_path / "page.html") == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [path for path, _ in lines] == ["a.jpg"] * 4
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    shown = [one.strip() for one in re.findall(r'class="caption">([^<]*)', page)]   # some are empty
    assert shown == list(dict.fromkeys(sentence for _, sentence in lines)) and "sample, " in page
    likeliest, = describe_files(captioner, [Path("a.jpg")])
    assert f'class="caption likeliest">{likeliest.sentences[0]}<' in page
    assert run_here(monkeypatch, *base, "--json") == 0
    assert json.loads(capsys.readouterr().out)["captions"] == [sentence for _, sentence in lines]


@pytest.mark.parametrize("options, answer", [
    (("--beam", 0), "--beam takes a whole number of 1 or more, not 0"),
    (("--captions", 4), "--captions 4 is more than there are beams, 3: add --beam 4, or give"),
    (("--beam", 4, "--captions", 5), "beams, 4: add --beam 5, or give a smaller --captions"),
    (("--captions", 0), "--captions takes a whole number of 1"),
    (("--sample", 0), "--sample takes a whole number of 1"),
    (("--sample", 2, "--beam", 3), "--beam is for beams: leave it or --sample out"),
    (("--sample", 2, "--captions", 2), "--captions is for beams"),
    (("--temperature", 0.5), "--temperature is for sampling: add --sample N"),
    (("--top-k", 5), "--top-k is for sampling"), (("--top-p", 0.9), "--top-p is for sampling"),
    (("--seed", 1), "--seed is for sampling"),
    (("--sample", 2, "--temperature", 0), "--temperature takes a number above 0, not 0.0"),
    (("--sample", 2, "--temperature", "nan"), "--temperature takes a number above 0"),
    (("--sample", 2, "--temperature", "inf"), "--temperature takes a number above 0"),
    (("--sample", 2, "--top-k", 0), "--top-k takes a whole number of 1"),
    (("--sample", 2, "--top-p", 1.5), "--top-p takes a number above 0 and at most 1, not 1.5"),
    (("--sample", 2, "--top-p", 0), "--top-p takes a number above 0"),
    (("--sample", 2, "--seed", -1), "--seed takes a whole number from 0"),
    (("--no-repeat", -1), "--no-repeat takes a whole number of 0"),
    (("--references", "x.json"), "add --gallery"),
    (("--checkpoint", "absent.safetensors"), "absent.safetensors is not there"),
    (("--checkpoint", "https://a.org/c.safetensors"), "https://a.org/c.safetensors is a web"),
    (("--gallery", "http://a.org/page.html"), "http://a.org/page.html is a web address"),
    (("--gallery", "a.jpg/page.html"), "cannot be written"),
    (("--gallery", "a.jpg"), "a.jpg is no name of a web page"),
    (("--gallery", "."), ". is no name of a web page"),
    (("--gallery", "page.html", "--references", "absent.json"), "absent.json is not there")])
def test_the_command_answers_bad_input_with_one_sentence(checkpoint, photos, options, answer,
                                                         monkeypatch, capsys):
    monkeypatch.chdir(photos)
    assert run_here(monkeypatch, "a.jpg", "--checkpoint", checkpoint, *options) == 2
    shown, error = capsys.readouterr()
    assert shown == "" and not (photos / "page.html").exists()
    assert error.startswith("error: ") and error.count("\n") == 1 and answer in error


def test_a_name_with_a_line_break_stays_on_one_line():
    found = Described(Path("a\nb\t\x1b[2J.jpg"), ["a dog"])
    assert caption.lines_of(found, as_json=False) == "a?b??[2J.jpg\ta dog"
    assert json.loads(caption.lines_of(found, as_json=True))["file"] == "a\nb\t\x1b[2J.jpg"


@pytest.mark.parametrize("name", ["3.04\u202fPM.png", "a\xa0b\u3000c.jpg", "soft\xadhyphen.jpg",
                                  "\u200fright.jpg", "\U0001f468\u200d\U0001f467.jpg",
                                  "\ue000.jpg"])
def test_a_name_with_other_signs_is_written_as_it_is(name):
    assert caption.lines_of(Described(Path(name), ["a dog"]), as_json=False) == f"{name}\ta dog"


def test_an_error_stays_on_one_line(capsys):
    assert caption.report([Described(Path("x"), [], "a\nb\x1b[2J is missing")], 1, False, None) == 1
    assert capsys.readouterr().err == "error: a?b?[2J is missing\n"


def test_a_photo_is_described_without_importing_what_it_does_not_need(checkpoint, photos):
    """Neither what is slow, nor what scores, checks a dataset, makes a page or combines captioners.
    """
    packages = {"torchvision", "nltk", "scipy", "matplotlib", "sympy", "pycocotools", "jinja2",
                "pycocoevalcap", "scoring", "training", "figures"}
    modules = {"torch._dynamo", "coco.checkup", "coco.readable", "captioning.gallery",
               "captioning.ensemble",
               "captioning.evaluation"}
    code = ("import json, sys; sys.argv[0] = 'caption.py'; import caption; caption.main()\n"
            "print(json.dumps(list(sys.modules)))")
    done = subprocess.run(
        [sys.executable, "-c", code, photos / "a.jpg", "--checkpoint", checkpoint, "--device",
         "cpu"], text=True, capture_output=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    said, imported = done.stdout.splitlines()
    assert "a.jpg\t" in said
    imported = set(json.loads(imported))
    assert {"torch", "captioning.photos"} <= imported
    assert not imported & modules and not {name.split(".")[0] for name in imported} & packages


def test_the_captioner_in_the_box_needs_no_network_and_nothing_beside_it(photos, tmp_path):
    if not caption.SHIPPED.exists():
        pytest.skip("no captioner in the box")
    house = tmp_path / "house"
    shutil.copytree(ROOT, house, ignore=lambda folder, names: [
        name for name in names if Path(folder, name).is_file() and Path(name).suffix != ".py"
        or name.startswith(".") or name in ("cache", "data", "runs", "student", "__pycache__")])
    (house / "checkpoints").mkdir(exist_ok=True)
    shutil.copy(caption.SHIPPED, house / "checkpoints")
    done = subprocess.run([sys.executable, "caption.py", photos / "a.jpg"], cwd=house, text=True,
                          capture_output=True, encoding="utf-8",
                          env={**os.environ, "https_proxy": "http://127.0.0.1:9"})
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split("\t")[1].split()) > 2
