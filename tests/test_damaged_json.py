"""Every JSON file that is read may be cut short, of another kind or of another version.

Each is one sentence or, in the cache, made again. Of every kind of file a sound one is written and
then damaged: by what is no JSON, by values of another type on top, and by every field that lacks or
has a value of another type.
"""

import json
from dataclasses import asdict
from types import SimpleNamespace

import pytest

from captioning import card
from captioning.pointing import read_boxes
from captioning.settings import CaptioningSettings
from coco.dataset import Picture, Split
from coco.karpathy import read_images
from coco.official import refuse_other
from experiments import plan, truth
from experiments.harness import Experiment
from experiments.ladder import RUNGS
from experiments.ladder_table import table
from images import minutes
from scenes.dataset import read_graphs
from system import tensor_file
from system.download import receive
from system.files import BadInput, holds
from system.shapes import misfit
from train import status_of
from training.folders import read_history, read_spent, refuse_other_settings
from vocabulary import Vocabulary, captions_in

WRONG = ("", "{", "[]", "null", "5", "NaN", "true", '"text"', "[" * 100_000, '[[{"a": 1}]]',
         "\0\x80", "<html>", '{"a": NaN}', "{}")
VALUES = (None, [], {}, "text", -1.5, True, float("nan"), [[None]], {"a": {"b": []}}, 10**400)
SPLIT = Split("val", (Picture(1, "1.jpg", ("A dog.",)),))
STATUS = {"epoch": 1, "batch": 2, "best": 0.5, "best_epoch": 1, "loss": 3.0, "count": 2,
          "steps_per_epoch": 4, "seconds_per_epoch": 2.5, "finished": False, "key": "CIDEr",
          "seconds": 9.0, "at_epoch": {"1": 8.5}}
SETTINGS = {"task": "captioning", **asdict(CaptioningSettings("data"))}
ROW = {"epoch": 1, "train_loss": 2.0, "val_loss": 1.0, "CIDEr": 0.5}
RESULT = {"rung": "constant", "seed": 0, "data": "d", "split": "val", "pictures": 2, "CIDEr": 0.5}
BENCH = {"data": "flickr8k", **dict.fromkeys(plan.RATES, 50.0), "limits": {"float32_flops": 2e11},
         "machine": {"threads": 2, "cpu": "x", "instructions": "AVX2"}}
JUDGED = {"CIDEr": 0.5, "each": [0.5], "claims": {kind: [1, 2] for kind in truth.KINDS}}
REPORT = {"split": "val", "pictures": 1, "references": 5, "distinct": 1, "search": "s",
          "tokenizer": "t", "CIDEr": 0.5}
GRAPH = {"background": "plain", "held_out": "A dog.", "relations": [
    {"subject": 0, "relation": "above", "object": 0}], "objects": [
    {"shape": "dog", "colour": "red", "size": "small", "column": "left", "row": "air"}]}
BOXES = {"categories": [{"id": 1, "name": "dog"}], "images": [{"id": 1, "width": 9, "height": 9}],
         "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 1, 2, 3.5]}]}
ENTRY = {"filepath": "val2014", "filename": "1.jpg", "cocoid": 1, "split": "val",
         "sentences": [{"raw": "A dog.", "sentid": 1}]}
TASK = SimpleNamespace(name="captioning", settings=CaptioningSettings("data"), places=(),
                       content={})


def status(folder):
    for name, content in (("settings", SETTINGS), ("status", STATUS)):
        if not (folder / f"{name}.json").exists():
            (folder / f"{name}.json").write_text(json.dumps(content))
    return status_of(folder)


def drawn(folder):
    minutes.TIMED = folder
    minutes.save = lambda *_: None
    minutes.minutes()


def compared(folder):
    (folder / "neighbour-0.json").write_text(json.dumps({**RESULT, "rung": "neighbour"}))
    for name in ("constant", "neighbour"):
        if not (folder / f"{name}-0.cider.json").exists():
            (folder / f"{name}-0.cider.json").write_text("[0.25, 0.5]")
    return table(RUNGS, folder)


# name of the file, a sound content, what reads it from its folder
FILES = {
    "settings": ("settings.json", SETTINGS, status),
    "settings on a resume": ("settings.json", SETTINGS,
                             lambda at: refuse_other_settings(at, TASK, True)),
    "status": ("status.json", STATUS, status),
    "status on a resume": ("status.json", STATUS, read_spent),
    "history": ("history.jsonl", ROW, lambda at: read_history(at, ["CIDEr"])),
    "vocabulary": ("v.json", {"format": "vocabulary", "words": ["<start>", "<end>", "<unk>", "a"]},
                   lambda at: Vocabulary(None, at / "v.json", vocab_from_file=True)),
    "captions": ("c.json", {"annotations": [{"caption": "A dog."}]},
                 lambda at: captions_in(at / "c.json")),
    "coco": ("annotations/captions_train2017.json",
             {"images": [{"id": 1, "file_name": "1.jpg"}]},
             lambda at: refuse_other(at, 2017, 7)),
    "what root holds": ("annotations/captions_val.json", {"info": {"made": 1}},
                        lambda at: holds(at, "annotations/*.json", {"made": 1})),
    "karpathy": ("k.json", {"images": [ENTRY]}, lambda at: read_images(at / "k.json")),
    "instances": ("annotations/instances_val.json", BOXES, lambda at: read_boxes(at, SPLIT)),
    "scene graphs": ("annotations/scene_graphs_val.json", {"1": GRAPH},
                     lambda at: read_graphs(at, SPLIT)),
    "download": ("x.part.json", {"url": "no://x", "version": '"1"', "length": 5},
                 lambda at: receive("no://x", at / "x.part", None)),
    "bench": ("b.json", BENCH, lambda at: plan.page(plan.read_measured(at / "b.json"), "b", "P")),
    "truth": ("lstm_every.json", {"test": JUDGED, "novel": JUDGED}, truth.table),
    "truth with a grid": ("soft.json", {split: {**JUDGED, "pointing": {"a": {"right": 0.5}}}
                                        for split in truth.SPLITS}, truth.table),
    "ladder": ("constant-0.json", RESULT, compared),
    "ladder, each picture": ("constant-0.cider.json", [0.25, 0.5],
                             lambda at: ((at / "constant-0.json").write_text(json.dumps(RESULT)),
                                         compared(at))),
    "curve": (f"{RUNGS[2].name}.json", {"minutes": 2.5, "curve": [[1.5, 0.25]]}, drawn),
    "result": ("one.json", {"settings": {"data": "d"}},
               lambda at: Experiment("d", at, at).done("one")),
    "report": ("r.json", REPORT, lambda at: card.read_json(at / "r.json", "make it", card.REPORT)),
}


def damaged(content):
    """Yield copies of a JSON value, each with one part, at any depth, gone or of another type."""
    parts = content.items() if isinstance(content, dict) else enumerate(
        content if isinstance(content, list) else ())
    for key, part in list(parts):
        for value in (*VALUES, *damaged(part)):
            copy = dict(content) if isinstance(content, dict) else list(content)
            copy[key] = value
            yield copy
        copy = dict(content) if isinstance(content, dict) else list(content)
        del copy[key]
        yield copy


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    """What follows the reading, and is not of these tests, takes no time."""
    monkeypatch.setattr(plan, "encoder_rows", lambda report: [])
    monkeypatch.setattr(plan, "heavier", lambda: (1.0, 5))
    for name in ("TIMED", "save"):
        monkeypatch.setattr(minutes, name, getattr(minutes, name))
    monkeypatch.setattr(minutes.plt, "subplots", lambda *_, **__: (None, SimpleNamespace(
        **dict.fromkeys(("plot", "annotate", "axhline", "text", "set"), lambda *_, **__: None),
        spines=Spines())))


class Spines:
    def __getitem__(self, names):
        return SimpleNamespace(set_visible=lambda _: None)


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_one_sentence(tmp_path, name):
    file, content, read = FILES[name]
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)

    def reads(text):
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "replace"))
        try:
            read(tmp_path)
        except BadInput as error:
            assert ": " in str(error) and "\n" not in str(error)
            return False
        return True

    sound = json.dumps(content)
    assert name == "download" or reads(sound)
    for text in (*WRONG, sound[:-2], sound.encode("utf-16"), b"\xff\xfe\0" * 9):
        reads(text)                             # one sentence, or of no concern
    assert not reads(sound[:-2]) and not reads("null") and not reads("[[]]")
    assert not reads(sound.encode("utf-16"))
    for value in damaged(content):
        reads(json.dumps(value))


def test_what_has_a_shape_and_what_has_not():
    shape = {"a": int, "b": float | None, "c": [{"d": str}], "e": {str: bool}, "f": (int, float)}
    sound = {"a": 1, "b": 2, "c": [{"d": "x", "more": 1}], "e": {"y": True}, "f": [1, 2.5]}
    assert misfit(sound, shape) is None and misfit({**sound, "b": None}, shape) is None
    for key, value, place in (("a", True, "it.a"), ("a", 1.0, "it.a"), ("b", float("inf"), "it.b"),
                              ("b", 10**400, "it.b"), ("c", [{"d": "x"}, {}], "it.c[1].d"),
                              ("e", {"y": 1}, "it.e.y"), ("f", [1], "it.f"), ("f", None, "it.f")):
        assert misfit({**sound, key: value}, shape) == place


def test_a_header_of_another_kind_is_one_sentence(tmp_path):
    for kind in (5, None, [], {}, True):
        tensor_file.write(tmp_path / "x", kind, 1, {}, {})
        with pytest.raises(BadInput, match="no file of this program's: give another"):
            tensor_file.kind_of(tmp_path / "x", "give another")


def test_a_cut_history_is_named_with_its_line(tmp_path):
    line = json.dumps(ROW)
    (tmp_path / "history.jsonl").write_text(f"{line}\n{line[:-9]}")
    with pytest.raises(BadInput, match="line 2 of .*history.jsonl is not JSON"):
        read_history(tmp_path)


def test_karpathys_pictures_of_one_name_in_two_folders_are_not_taken_for_each_other(tmp_path):
    for change in ({"cocoid": 2, "filepath": "train2014"}, {"filename": "2.jpg"}):
        (tmp_path / "k.json").write_text(json.dumps({"images": [ENTRY, {**ENTRY, **change}]}))
        with pytest.raises(BadInput, match="or there are two"):
            read_images(tmp_path / "k.json")
