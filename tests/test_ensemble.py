"""Several captioners choose every word by the mean of their probabilities."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from calibration.law import judge_of
from caption import main as caption_main
from captioning.captioner import Captioner
from captioning.checkpoint import load_captioner, save_captioner
from captioning.ensemble import Ensemble, Rows, Views, combine
from captioning.evaluation import evaluate
from coco.dataset import read_split
from coco.pictures import open_picture
from decoders.registry import wants_grid
from decoders.search import Search, search
from encoders.backbones import transform_of
from evaluate import main as evaluate_main
from scoring import meteor
from system.files import BadInput
from vocabulary import Vocabulary, tokenize

CALIBRATED = {"law": {"bias": 0.5, "naming": 0.3, "others": -0.2}, "data": "tiny", "split": "val",
              "fitted": 3, "measured": 3, "absent": 0.1, "error": 0.02, "auc": 0.8}
SIZES = {"embed_size": 16, "hidden_size": 16, "num_layers": 1, "dropout": 0.5}


@pytest.fixture(scope="module")
def split(tiny_root):
    return read_split(tiny_root, "val")


def captioner(split, decoder, seed, threshold=1):
    """An untrained captioner, sharp enough to prefer some words to others."""
    torch.manual_seed(seed)
    vocab = Vocabulary.build(map(tokenize, split.sentences), threshold)
    made = Captioner.build({"encoder": {"backbone": "efficientnet_lite0",
                                        "grid": wants_grid(decoder)},
                            "decoder": {"name": decoder, **SIZES}},
                           vocab, transform_of("efficientnet_lite0"))
    with torch.no_grad():
        for parameter in [*made.encoder.embed.parameters(), *made.decoder.parameters()]:
            parameter.mul_(3).copy_(parameter.half())       # as a checkpoint will keep it
    made.encoder.eval()
    made.decoder.eval()
    return made


@pytest.fixture(scope="module")
def members(split):
    """One that sees a vector, one that sees a grid, one whose state grows with the caption."""
    return [captioner(split, name, seed)
            for seed, name in enumerate(("lstm_every", "soft", "transformer"))]


def test_several_captioners_write_as_long_and_repeat_as_little_as_any_of_them(members):
    ruled = replace(members[0], about={"no_repeat_ngram": 2, "max_length": 30})
    search = Ensemble([ruled, *members[1:]]).search()
    assert (search.no_repeat_ngram, search.max_length) == (2, 30)
    assert Ensemble(members).search() == Search()


@pytest.fixture(scope="module")
def features(members, split):
    several = Ensemble(members)
    return several.embed(several.features(split)[0])


@pytest.fixture
def no_java(monkeypatch):
    monkeypatch.setattr(meteor.shutil, "which", lambda name: None)


def some_captions(members, pictures=6, length=5):
    generator = torch.Generator().manual_seed(0)
    captions = torch.randint(2, len(members[0].vocab), (pictures, length), generator=generator)
    captions[:, 0] = 0
    return captions


@torch.no_grad()
def test_a_words_probability_is_the_mean_of_the_members(members, features):
    captions = some_captions(members)
    scores = Ensemble(members).decoder(features, captions)
    expected = sum(one.decoder(part, captions).softmax(dim=2)
                   for one, part in zip(members, features.parts, strict=True)) / len(members)
    torch.testing.assert_close(scores.exp(), expected)


@torch.no_grad()
def test_the_whole_sequence_and_word_by_word_give_the_same_scores(members, features):
    decoder, captions = Ensemble(members).decoder, some_captions(members)
    whole, state = decoder(features, captions), decoder.begin(features)
    for place in range(1, captions.shape[1]):
        scores, state = decoder.step(captions[:, place - 1], state)
        torch.testing.assert_close(scores, whole[:, place], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("settings", [Search(method="greedy"), Search(beam=3, captions=3),
                                      Search(method="sample", captions=2)])
def test_a_captioner_with_its_double_says_what_it_says_by_itself(members, split, settings):
    """So every member's state follows its row when the search reorders them."""
    for one in members:
        double = Ensemble([one, one])
        assert double.sentences(double.features(split)[0], settings) == one.sentences(
            one.features(split)[0], settings)


def test_the_log_probability_of_a_caption_is_that_of_the_mean(members, features):
    decoder = Ensemble(members).decoder
    for number, found in enumerate(search(decoder, features, Search(beam=3))):
        words = torch.tensor([found[0].words])
        with torch.no_grad():
            scores = decoder(features[number:number + 1], words)
        logs = scores[0, 1:].log_softmax(dim=1).gather(1, words[0, 1:, None])
        assert found[0].log_probability == pytest.approx(logs.sum().item(), abs=1e-3)


def test_members_of_other_words_are_refused(members, split):
    other = captioner(split, "lstm_every", 0, threshold=7)
    assert len(other.vocab) < len(members[0].vocab)
    with pytest.raises(BadInput, match="different vocabularies"):
        Ensemble([members[0], other])


def test_rows_are_those_of_every_part():
    rows = Rows([torch.arange(6).view(3, 2), torch.arange(3)])
    picked = rows[torch.tensor([2, 0, 2])]
    assert len(rows) == 3 and len(picked) == 3
    assert [part.tolist() for part in picked.parts] == [[[4, 5], [0, 1], [4, 5]], [2, 0, 2]]


def test_a_report_says_how_many_captioned_and_of_one_is_the_usual(members, split, no_java,
                                                                  monkeypatch):
    monkeypatch.setattr(Ensemble, "batch_size", 4)          # two batches, the last one smaller
    one, results, each = evaluate(members[0], split)
    report, same, again = evaluate(combine([members[0]] * 2), split)
    assert report == {**one, "search": f"{one['search']}, ensemble of 2 captioners"}
    assert same == results and (each == again).all()


def test_one_captioner_is_combined_with_nothing(members):
    assert combine(members[:1]) is members[0]
    assert combine(members).members == members


def test_pictures_are_described_as_their_features_are(members, split):
    several, search = Ensemble(members), Search(beam=3, captions=2)
    found = several.describe([open_picture(picture.file) for picture in split.pictures], search)
    assert found == several.sentences(several.features(split)[0], search)
    assert [len(sentences) for sentences in found] == [2] * 6
    assert several.describe([]) == []


def test_the_command_takes_several_checkpoints_as_one_captioner(members, split, tiny_root, tmp_path,
                                                                no_java, monkeypatch):
    paths = [str(tmp_path / f"{number}.safetensors") for number in range(2)]
    for path, one in zip(paths, members, strict=False):
        save_captioner(path, one)
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *paths, "--data", str(tiny_root), "--device",
                                      "cpu", "--json", str(tmp_path / "report.json")])
    evaluate_main()
    report, _, _ = evaluate(Ensemble(members[:2]), split)
    assert json.loads((tmp_path / "report.json").read_text()) == report
    assert "ensemble of 2 captioners" in report["search"]


@pytest.mark.parametrize("own, sizes", [(224, [224, 256, 320]), (256, [256, 320, 384]),
                                        (260, [260, 320, 384])])
def test_three_views_are_the_picture_in_its_own_size_and_the_next_larger(members, own, sizes):
    one = replace(members[1], transform=replace(members[1].transform, size=own))
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (3, 7, 3), np.uint8))
    for number in (1, 2, 3):
        parts = Views(one, number).encode([picture]).parts
        assert len(parts) == number
        for size, part in zip(sizes, parts, strict=False):
            alone = replace(one, transform=replace(one.transform, size=size))
            assert np.array_equal(part, alone.encode([picture]))


def test_views_that_are_kept_are_those_of_pictures_at_hand(members, split):
    several = Views(members[1], 3)
    found = several.encode([open_picture(picture.file) for picture in split.pictures])
    for kept, part in zip(several.features(split)[0].parts, found.parts, strict=True):
        assert np.array_equal(kept, part)


def test_in_views_a_word_is_as_likely_as_it_is_on_average(members, split):
    one, search = members[1], Search(beam=3, captions=2)
    several = Views(one, 3)
    assert several.search_line(search).endswith("2 captions a picture, 3 sizes of each picture")
    assert several.search_words(search) == one.search_words(search) + "; each read in 3 sizes"
    features = several.features(split)[0]
    captions = some_captions(members)
    with torch.no_grad():
        scores = several.decoder(several.embed(features), captions).softmax(dim=2)
        each = [one.decoder(one.embed(part), captions).softmax(dim=2) for part in features.parts]
    assert torch.allclose(scores, sum(each) / 3, atol=1e-5)
    assert Views(one, 1).sentences(one_part(features), search) == one.sentences(
        features.parts[0], search)


def one_part(features):
    return Rows(features.parts[:1])


def test_the_commands_look_as_often_as_they_are_told(members, split, tiny_root, tmp_path, no_java,
                                                     monkeypatch, capsys):
    path, files = tmp_path / "one.safetensors", [str(picture.file) for picture in split.pictures]
    save_captioner(path, members[1], calibration=CALIBRATED)
    several = Views(load_captioner(path), 3)
    expected = several.hypotheses(several.features(split)[0])
    assert expected != members[1].hypotheses(members[1].features(split)[0])
    monkeypatch.setattr(sys, "argv", ["caption.py", *files, "--checkpoint", str(path), "--device",
                                      "cpu", "--views", "3", "--json"])
    assert caption_main() == 0
    judge, features = judge_of(several), several.features(split)[0]
    for row, line in enumerate(capsys.readouterr().out.splitlines()):
        said = json.loads(line)
        assert said["captions"] == [several.vocab.decode(expected[row][0].words)]
        assert said["confidence"] == pytest.approx(
            judge(features[row:row + 1], expected[row][:1]), abs=1e-3)
    monkeypatch.setattr(sys, "argv", ["evaluate.py", str(path), "--data", str(tiny_root), "--views",
                                      "3", "--device", "cpu", "--json", str(tmp_path / "r.json")])
    evaluate_main()
    assert "3 sizes of each picture" in json.loads((tmp_path / "r.json").read_text())["search"]
    sys.argv.insert(1, str(path))
    with pytest.raises(BadInput, match="--views is for one captioner"):
        evaluate_main()


def test_regions_are_seen_in_one_size_only(members):
    one = replace(members[1], architecture={"encoder": {"boxes": {}}})
    with pytest.raises(BadInput, match="leave --views out"):
        Views(one, 2)
