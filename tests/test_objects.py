"""The experiment about objects: what is shuffled, which samples count, and its table."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from captioning.settings import CaptioningSettings
from experiments import harness, objects, prompts
from scenes.dataset import draw
from system.files import BadInput, read_json, write_json
from vocabulary import Vocabulary


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    root = tmp_path_factory.mktemp("drawn") / "scenes"
    draw(root, {"train": 8, "val": 2, "test": 3, "novel": 2}, progress=False)
    return root


def small(name, data, seed):
    """A training of a moment."""
    return CaptioningSettings(data=str(data), decoder=name, encoder="tiny", epochs=1, seed=seed,
                              vocab_threshold=1, embed_size=16, hidden_size=16, views=1)


def climb(monkeypatch, folder, *options):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["objects.py", *map(str, options)])
    objects.main()


def test_rows_are_trained_and_judged_once(drawn, tmp_path, monkeypatch, capsys, no_curves):
    monkeypatch.setattr(objects, "decoder_settings", small)
    monkeypatch.setattr(objects, "RECIPES", {"detector": {
        "encoder": "tiny", "epochs": 1, "batch_size": 4}})
    names = ["updown-grid", "updown-detected", "objects-blind"]
    climb(monkeypatch, tmp_path, "--data", drawn, "--only", *names)
    results = tmp_path / "results/objects"
    found = {name: read_json(results / f"{name}.json", "") for name in [*names, "detector"]}
    assert found["detector"]["test"].keys() == {"AP", "AP50", "boxes"}
    assert "shuffled" not in found["updown-grid"]["test"]
    for name in names[1:]:
        assert found[name]["novel"]["shuffled"].keys() == {"CIDEr", "distinct", "claims",
                                                           "relations", "prompted"}
        assert found[name]["settings"]["boxes"] == "runs/objects/detector"
    for module in (harness, objects):
        monkeypatch.setattr(module, "train", None)          # so it would fail
    climb(monkeypatch, tmp_path, "--data", drawn, "--only", *names)
    capsys.readouterr()
    climb(monkeypatch, tmp_path, "--table")
    printed = capsys.readouterr().out
    assert [line.split(" | ")[0] for line in printed.splitlines()[2:8]] == [
        f"| {name}" for name in names for _ in objects.SPLITS]
    assert "The detector's average precision: test" in printed


def test_shuffling_deals_out_the_boxes_of_the_regions_that_are_there():
    features = np.random.default_rng(0).random((6, 5, 9)).astype("float16")
    features[..., -1] = [1, 1, 1, 1, 0]
    mixed = objects.shuffled(features)
    assert (mixed[:, [0, 4]] == features[:, [0, 4]]).all()              # the whole, the filling
    assert (mixed[..., :4] == features[..., :4]).all() and (mixed != features).any()
    for one, other in zip(features[:, 1:4, 4:8], mixed[:, 1:4, 4:8], strict=True):
        assert sorted(one.tolist()) == sorted(other.tolist())


@pytest.mark.parametrize("sentence, states", [
    ("a red ball is left of a tree", True), ("a mug on the right", True),
    ("a star hangs over a house", True), ("two red balls and a tree in a meadow", False),
    ("a ball flurb a tree", False)])
def test_which_sentences_state_a_relation(sentence, states):
    assert objects.states_relation(sentence) is states


def test_the_likeliest_sample_that_states_a_relation_is_judged(monkeypatch):
    graph = {"background": "meadow", "relations": [
        {"subject": 0, "relation": "left of", "object": 1},
        {"subject": 1, "relation": "right of", "object": 0}],
        "objects": [{"shape": shape, "colour": "red", "size": "small", "column": column,
                     "row": "ground"} for shape, column in (("ball", "left"), ("tree", "right"))]}
    said = [["a red ball", "a ball right of a tree", "a ball left of a tree"],
            ["a ball left of a tree"], ["a tree", "a red ball"]]

    class Captioner:
        def sentences(self, features, search):
            return said

    assert objects.relations(Captioner(), None, [graph] * 3) == (1, 2)


def test_a_caption_goes_on_from_its_beginning():
    thing = {"colour": "red", "shape": "ball"}, {"colour": "blue", "shape": "ball"}
    lies = [{"subject": 0, "relation": "left of", "object": 1},
            {"subject": 1, "relation": "right of", "object": 0},
            {"subject": 1, "relation": "next to", "object": 0}]
    graph = {"objects": list(thing), "relations": lies}
    assert prompts.prompts(graph) == ["a blue ball to the", "a red ball to the"]
    twice = {"objects": [*thing, thing[1]], "relations": lies}
    assert prompts.prompts(twice) == [] == prompts.prompts({**graph, "relations": lies[2:]})
    vocab = Vocabulary(words=["a", "red", "ball", "to", "the", "left", "of"])
    told = vocab.encode("left of the ball")[1:]

    class Decoder:
        """Says `told` after the words it is given, which it keeps."""

        def begin(self, features):
            return []

        def step(self, words, read):
            read = [*read, int(words)]
            scores = torch.zeros(1, len(vocab))
            scores[0, told[min(max(0, len(read) - 6), len(told) - 1)]] = 1
            return scores, read

    captioner = SimpleNamespace(vocab=vocab, decoder=Decoder(), max_length=20)
    assert (prompts.continued(captioner, None, "a red ball to the")
            == "a red ball to the left of the ball")


def test_the_table_is_that_of_the_files(tmp_path):
    with pytest.raises(BadInput, match="no result"):
        objects.table(tmp_path)
    claims = {kind: [0, 0] for kind in objects.KINDS} | {"object": [90, 120]}
    one = {"CIDEr": 2.346, "claims": claims, "relations": [60, 80], "prompted": [9, 10],
           "pointing": {"right": 0.5}}
    write_json(tmp_path / "objects-oracle.json", {
        "test": {**one, "shuffled": {"relations": [30, 60], "prompted": [5, 10]}}, "novel": one})
    _, _, test, novel = objects.table(tmp_path).splitlines()
    assert test == ("| objects-oracle | test | 235 | 75.0 | none | none | none | none | none | "
                    "75.0 of 80 | 90.0 of 10 | 50.0 | 50.0 of 60 | 50.0 of 10 |")
    assert novel.endswith("| 90.0 of 10 | 50.0 | none | none |")


def test_the_page_quotes_the_table_of_the_committed_results():
    here = Path(__file__).parents[1]
    page = (here / "docs/EXPERIMENTS.md").read_text(encoding="utf-8")
    assert objects.table(here / "results/objects") in page
