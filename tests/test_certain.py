"""A captioner with its classifier says what that is certain of, and else what it said before."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from captioning.captioner import Captioner
from captioning.checkpoint import load_captioner, save_captioner
from captioning.ensemble import Rows, Views
from captioning.settings import settings_of
from concepts.certain import main, with_classifier
from decoders.search import Search
from encoders.backbones import transform_of
from encoders.concepts import WORDS, Classifier, concept_matrix, concepts
from system.files import BadInput
from tests.running import begin_run
from vocabulary import Vocabulary

WORD = "cat"


def captioner(decoder="adaptive", grid=True):
    """An untrained captioner whose encoder was tuned from stage 7 on."""
    torch.manual_seed(0)
    words = ["a", "red", "ball", "on", "cat", "cats", "cup"]
    made = Captioner.build({"encoder": {"backbone": "efficientnet_lite0", "grid": grid},
                            "decoder": {"name": decoder, "embed_size": 16, "hidden_size": 16,
                                        "num_layers": 1, "dropout": 0.5}},
                           Vocabulary(words=words), transform_of("efficientnet_lite0"))
    made.about = {"max_length": 12}
    with torch.no_grad():
        for parameter in [*made.encoder.embed.parameters(), *made.decoder.parameters()]:
            parameter.mul_(3).copy_(parameter.half())       # as a checkpoint will keep it
        for module in made.encoder.backbone.stages[7].modules():
            if isinstance(module, torch.nn.Conv2d) and module.groups == 1:
                module.weight.mul_(1.1).copy_(module.weight.half())
    made.encoder.eval()
    made.decoder.eval()
    return made


@pytest.fixture(scope="module")
def plain():
    return captioner()


@pytest.fixture(scope="module")
def certain(plain):
    return with_classifier(plain, 0.5)


@pytest.fixture(scope="module")
def pictures():
    return [Image.effect_noise((90, 60), 50 + 9 * number).convert("RGB") for number in range(3)]


def rows(certain, pictures, **probabilities):
    """Features of pictures, of which the first has words of these probabilities, the others none.
    """
    found = certain.encode(pictures)
    found[:, -1] = 0
    for word, probability in probabilities.items():
        found[0, -1, WORDS.index(word)] = probability
    return found


def test_cells_and_captions_without_certainty_stay_as_they_were(plain, certain, pictures):
    before, after = plain.encode(pictures), certain.encode(pictures)
    assert np.array_equal(before, after[:, :-1])
    for search in (Search(), Search(method="greedy"), Search(method="sample", captions=3)):
        assert plain.sentences(before, search) == certain.sentences(rows(certain, pictures), search)


def test_the_probabilities_are_the_published_classifiers_whatever_was_tuned(certain, pictures):
    assert certain.architecture["encoder"]["concepts"]["apart"] == 7
    images = torch.stack([certain.transform(one) for one in pictures])
    expected = concepts(Classifier("efficientnet_lite0")(images), concept_matrix())
    found = certain.encoder.backbone(images)[:, -1, :len(WORDS)]
    assert torch.allclose(found, expected, atol=1e-4) and expected.max() > 0.01


def test_a_word_is_said_from_the_probability_on_and_by_beams_alone(certain, pictures):
    for probability, named in ((0.5, True), (0.49, False)):
        features = rows(certain, pictures, **{WORD: probability})
        constraints = certain.constraints(features, Search())
        assert constraints == [[certain.forms(WORD)] if named else [], [], []]
        assert certain.certain_words(features, Search()) == [[WORD] if named else [], [], []]
        said = [one[0].split() for one in certain.sentences(features, Search())]
        without = [one[0].split() for one in certain.sentences(rows(certain, pictures), Search())]
        assert said[1:] == without[1:]
        assert bool({WORD, "cats"} & {one.strip(".") for one in said[0]}) or not named
    features = rows(certain, pictures, **{WORD: 1})
    for search in (Search(method="greedy"), Search(method="sample"), Search(beam=1),
                   Search(naming=((certain.vocab("cup"),),))):
        assert certain.constraints(features, search) is None
        assert certain.certain_words(features, search) is None
        assert "sure enough" not in certain.search_words(search)
    assert "sure enough to see" in certain.search_words(Search())
    assert "naming a concept of 0.5 or more" in certain.search_line(Search())
    assert "concept" not in certain.search_line(Search(method="greedy"))


def test_of_several_certain_words_one_is_enough_and_unknown_ones_are_none(certain, pictures):
    features = rows(certain, pictures, cat=0.9, cup=0.8, zebra=0.9)
    assert certain.constraints(features, Search())[0] == [
        tuple(form for word in WORDS if word in (WORD, "cup") for form in certain.forms(word))]
    assert certain.certain_words(features, Search())[0] == [
        word for word in WORDS if word in (WORD, "cup")]
    assert certain.constraints(rows(certain, pictures, zebra=0.9), Search())[0] == []


def test_in_views_what_is_certain_is_so_of_the_picture_as_it_is(certain, pictures):
    sure, unsure = rows(certain, pictures, **{WORD: 0.9}), rows(certain, pictures)
    several = Views(certain, 2)
    for parts in ((sure, unsure), (unsure, sure)):
        found = several.constraints(Rows(parts), Search())
        assert found == certain.constraints(parts[0], Search())
    assert "naming a concept of 0.5 or more, 2 sizes" in several.search_line(Search())


def test_what_a_search_finds_is_said_without_its_settings(plain):
    cat, cup = plain.naming(["cat", "cup"])
    for search, words in {
            Search(): "each by the likeliest sentence it found",
            Search(captions=2): "each by the 2 likeliest sentences it found",
            Search(naming=(cat, cup)):
                "each by the likeliest sentence it found; it had to name cat and cup",
            Search(beam=1): "each by a sentence that goes on with the likeliest word each time",
            Search("greedy"): "each by a sentence that goes on with the likeliest word each time",
            Search("sample"): "each by a sentence drawn at random",
            Search("sample", captions=4): "each by 4 sentences drawn at random"}.items():
        assert plain.search_words(search) == words


def test_the_command_adds_the_classifier_to_a_checkpoint(plain, certain, pictures, tmp_path,
                                                         monkeypatch, capsys):
    path = tmp_path / "best.safetensors"
    save_captioner(path, plain, **plain.about)

    def run(*options):
        monkeypatch.setattr(sys, "argv", ["certain.py", str(tmp_path), *options])
        main()

    with pytest.raises(BadInput, match="above 0 and at most 1"):
        run("--probability", "1.5")
    run("--probability", "0.7")
    loaded = load_captioner(path)
    assert loaded.certain == 0.7 and loaded.max_length == 12
    assert "names what its classifier gives 0.7" in capsys.readouterr().out
    assert np.array_equal(loaded.encode(pictures), certain.encode(pictures))
    with pytest.raises(BadInput, match="has no concepts yet"):
        run()
    assert load_captioner(path).certain == 0.7


def test_what_was_calibrated_is_no_longer_since_it_writes_other_captions(plain):
    calibrated = replace(plain, about={**plain.about, "calibration": {"law": {}}})
    assert with_classifier(calibrated, 0.5).about == {"max_length": 12, "certain": 0.5}
    assert "calibration" in calibrated.about


def test_a_captioner_of_one_vector_has_no_place_for_words():
    with pytest.raises(BadInput, match="looks at a grid"):
        with_classifier(captioner("lstm_every", grid=False), 0.5)


def test_a_run_that_goes_on_keeps_the_classifier(certain, tiny_root, tmp_path):
    save_captioner(tmp_path / "start.safetensors", certain, **certain.about)
    settings = settings_of("own", str(tiny_root), start=str(tmp_path / "start.safetensors"),
                           encoder="efficientnet_lite0", embed_size=16, hidden_size=16)
    run = begin_run(settings, tmp_path / "run")
    made = run.task.captioner
    assert made.certain == 0.5 and made.search().max_length == run.task.max_length
    assert torch.equal(made.encoder.embed.cell.weight, certain.encoder.embed.cell.weight)
    assert made.architecture["encoder"] == certain.architecture["encoder"]
