"""Strangers' photographs are captioned whole, and what no reference knows is counted."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from coco.dataset import Split, read_split
from decoders.search import Search
from experiments.strangers import captions as strangers
from scoring.meteor import Unavailable
from scoring.metrics import METRICS
from system.commands import run_command
from system.files import BadInput, read_json, write_json

SAID = {"val": ["A dog on a beach", "A man with a hot dog"], "train": ["Two puppies", "A cat"]}


def stub(sentences, data="elsewhere/flickr8k"):
    """A captioner that says the same sentences of whatever it is shown."""
    return SimpleNamespace(
        about={"settings": {"data": data}}, search=Search, search_line=str,
        features=lambda split: [split.pictures],
        sentences=lambda pictures, search: [[sentences[k % len(sentences)]]
                                            for k in range(len(pictures))])


@pytest.fixture
def root(write_root, tmp_path):
    """Two splits of two pictures, each with two references."""
    root = write_root(tmp_path / "strange", {"train": 2, "val": 2})
    for split, (first, second) in SAID.items():
        path = root / "annotations" / f"captions_{split}.json"
        images = read_json(path, "")["images"]
        ids = [one["id"] for one in images]
        write_json(path, {"images": images, "annotations": [
            {"image_id": id, "caption": text} for id, texts in zip(
                ids, ((first, first + " again"), (second, "A table")), strict=True)
            for text in texts]})
    return root


@pytest.fixture(autouse=True)
def no_java(monkeypatch):
    def fails(*_):
        raise Unavailable("no Java here")
    monkeypatch.setitem(METRICS, "METEOR", replace(METRICS["METEOR"], function=fails))


def test_every_split_of_strangers_is_captioned_and_of_ones_own_val_alone(root):
    whole = strangers.pictures_of(root, stub(["x"]))
    assert whole.name == "train and val" and len(whole.pictures) == 4
    own = strangers.pictures_of(root, stub(["x"], "over/there/strange"))
    assert own == read_split(root, "val")
    assert strangers.pictures_of(root, stub(["x"], "over/there/else"), "strange") == own


def test_a_dog_that_no_reference_knows_is_counted(root):
    val = read_split(root, "val")
    assert strangers.common(["a puppy", "a dog"], val) == (1, 0.5)      # a hot dog is no dog
    assert strangers.common(["a cat", "a hot dog"], val) == (0, 0)


def test_people_are_held_against_the_others_alone(root):
    # dog, dog; person, hot dog and table: the second picture's references know different things
    assert strangers.people(read_split(root, "val")) == {"CHAIRi": 3 / 5, "CHAIRs": 2 / 4}
    alone = Split("one", tuple(replace(one, sentences=one.sentences[:1])
                               for one in read_split(root, "val").pictures[:1]))
    with pytest.raises(Unavailable):        # nobody to be held against
        strangers.people(Split("two", alone.pictures))


def main(monkeypatch, folder, *options):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["strangers.py", *map(str, options)])
    strangers.main()


def test_a_result_is_made_once_and_the_table_is_that_of_the_files(root, tmp_path, monkeypatch,
                                                                  capsys):
    monkeypatch.setattr(strangers, "load_captioner", lambda *_: stub(["a dog", "a cat"]))
    main(monkeypatch, tmp_path, "--data", root, "--checkpoint", "some.safetensors")
    file = tmp_path / "results" / "strangers" / "some.strange.json"
    found = read_json(file, "")
    # train: dog of puppies, cat of a cat; val: dog of a dog, cat of a man with a hot dog
    assert (found["CHAIRi"], found["CHAIRs"], found["absent"]) == (1 / 4, 1 / 4, [["cat", 1]])
    assert (found["dog"], found["unknown_dog"], found["pictures"]) == (1 / 2, 0, 4)
    monkeypatch.setattr(strangers, "load_captioner", None)             # so it would fail
    main(monkeypatch, tmp_path, "--data", root, "--checkpoint", "some.safetensors")
    capsys.readouterr()
    main(monkeypatch, tmp_path, "--table")
    people, row = capsys.readouterr().out.splitlines()[2:]
    assert people.startswith("| strange | train and val | 4 | people |  |  |  | ")
    assert row.startswith("| strange | train and val | 4 | some | ")
    assert row.endswith("|  | 25.0 | 25.0 | 50.0 | 0.0 | cat 1 |")


def test_gains_of_one_captioner_over_another_are_of_the_same_pictures(root, tmp_path, monkeypatch,
                                                                      capsys):
    said = {"some": ["a dog", "a man"], "worse": ["a cat", "a man"]}
    monkeypatch.setattr(strangers, "load_captioner", lambda path, _: stub(said[path.stem]))
    for name in said:
        main(monkeypatch, tmp_path, "--data", root, "--checkpoint", f"{name}.safetensors")
    heading, _, row = capsys.readouterr().out.splitlines()[-3:]
    assert heading == "| data | captioner | over | CIDEr-D | CHAIRs |"
    # the first picture of both splits has a dog and no cat
    data, captioner, over, cider, chairs = (cell.strip() for cell in row.strip("|").split("|"))
    assert (data, captioner, over) == ("strange", "some", "worse")
    assert cider.startswith("+") and chairs == "-50.0 [-100.0, +0.0]"
    each = tmp_path / "results" / "strangers" / "some.strange.each.json"
    assert read_json(each, "")["CHAIRs"] == [0, 1, 0, 0]      # a man, of a cat
    each.unlink()
    with pytest.raises(BadInput, match="some.strange.each.json"):
        main(monkeypatch, tmp_path, "--table")


def test_several_sizes_are_judged_beside_one_and_named(root, tmp_path, monkeypatch):
    monkeypatch.setattr(strangers, "load_captioner", lambda *_: stub(["a cat"]))
    monkeypatch.setattr(strangers, "Views", lambda captioner, number: stub(["a dog"] * number))
    for views in (1, 3):
        main(monkeypatch, tmp_path, "--data", root, "--checkpoint", "some.safetensors", "--views",
             views)
    one, three = (read_json(tmp_path / "results" / "strangers" / f"{name}.strange.json", "")
                  for name in ("some", "some-3-sizes"))
    assert (one["dog"], three["dog"], three["checkpoint"]) == (0, 1, "some-3-sizes")


@pytest.mark.parametrize("options, words", [
    ((), "give --data"), (("--table",), "holds no result"), (("--name", "../x"), "no plain name")])
def test_what_cannot_be_done_is_one_sentence(tmp_path, monkeypatch, capsys, options, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["strangers.py", *options])
    with pytest.raises(SystemExit):
        run_command(strangers.main)
    assert words in capsys.readouterr().err


def test_a_damaged_result_is_named(tmp_path):
    write_json(tmp_path / "a.b.json", {"data": "b"})
    with pytest.raises(BadInput, match="a.b.json"):
        strangers.table(tmp_path)
