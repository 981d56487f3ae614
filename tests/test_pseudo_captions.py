import json

import numpy as np
import pytest
import torch
from torch.nn import functional

import prepare
from pseudo_captions import dataset
from pseudo_captions.detector import cross_fitted, train_detector
from pseudo_captions.matching import consensus, expected, nearest, weights_of
from pseudo_captions.questions import named
from pseudo_captions.words import choose, fractions
from system.files import BadInput, write_json
from tests.asking import write_questions
from vqa.files import Questions

CAPTIONS = [[["a", "dog", "runs"], ["the", "dog", "sits"]], [["a", "cat", "sits"]],
            [["dog", "and", "cat"], ["x2", "cat"]], [["snow"]]]


def words_of_captions():
    return choose(CAPTIONS, rare=2)


def test_words_are_content_words_of_enough_pictures_with_their_rarity():
    words = words_of_captions()
    assert words.words == ("cat", "dog", "sits")    # runs and snow are rare, a and the say nothing
    assert words.idf.tolist() == pytest.approx([np.log(2)] * 3)
    assert words.prior.tolist() == pytest.approx([2 / 4, 1.5 / 4, 1.5 / 4])
    assert fractions(CAPTIONS, words).tolist() == [[0, 1, 0.5], [1, 0, 1], [1, 0.5, 0], [0, 0, 0]]


def test_sums_of_bags_are_those_of_a_product_of_matrices():
    words = words_of_captions()
    bags = words.bags([["dog", "dog", "cat"], [], ["sits"], ["horse"]])
    dense = bags.dense(range(4))
    assert dense.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1], [0, 0, 0]]
    table = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(bags.sums(table), dense @ table)


def questions_about(*texts, answers=None):
    """One question about each of as many pictures."""
    return Questions(None, "train", tuple(range(len(texts))), np.arange(len(texts)),
                     np.arange(len(texts), dtype=np.int32), list(texts),
                     answers=[(one,) * 10 for one in answers or []])


def test_questions_name_what_is_there_unless_the_answer_denies_it():
    words = choose([[["a", "bench"]], [["the", "dog"]], [["red"]]] * 2, rare=1)
    questions = questions_about("Is there a dog?", "Is there a dog?", "What is on the bench?",
                                "How many dogs?", answers=["yes", "no", "red dog", "0"])
    bench, dog, red = (words.words.index(word) for word in ("bench", "dog", "red"))
    found = named(questions, words)
    assert found.sum(1).tolist() == [1, 0, 3, 0] and found[0, dog] and found[2, [bench, red]].all()
    assert named(questions_about("A dog?", "A bench?"), words).sum() == 2       # without answers


def test_words_of_asking_name_nothing():
    words = choose([[["color"]]] + [[["dog"]]] * 9, rare=1)
    questions = questions_about(*["What color is the dog?"] * 6)
    assert named(questions, words)[:, words.words.index("color")].sum() == 0
    assert named(questions, words)[:, words.words.index("dog")].sum() == 6


def test_the_nearest_sentences_are_those_of_the_largest_cosine():
    words = choose([[[word] for word in ("ant", "bee", "cow", "doe")]] + [[["ant"]]] * 3,
                   rare=1)
    generator = torch.Generator().manual_seed(0)
    texts = [[word for word in words.words if torch.rand((), generator=generator) < 0.5]
             for _ in range(40)]
    bags, asked = words.bags(texts), torch.rand(70, 4, generator=generator)     # two batches
    weight = weights_of(words)
    wanted = functional.normalize((asked - words.prior).clamp(min=0) * weight, dim=1) @ (
        functional.normalize(bags.dense(range(40)) * weight, dim=1).T)
    cosines, numbers = nearest(asked, bags, words, count=6)
    torch.testing.assert_close(cosines, wanted.topk(6).values)
    torch.testing.assert_close(wanted.gather(1, numbers), cosines)
    one = expected(cosines, numbers, bags)
    assert one.shape == (70, 4) and ((one >= 0) & (one <= 1 + 1e-6)).all()


def test_the_sentence_that_others_resemble_comes_first_and_none_of_one_picture_twice():
    words = choose([[["ant"], ["bee"], ["cow"]]] * 2 + [[["x"]]] * 2, rare=1)
    bags = words.bags([["ant"], ["bee", "cow"], ["bee", "cow"], ["bee"]])
    cosines, numbers = torch.full((1, 4), 0.5), torch.arange(4)[None]
    assert consensus(cosines, numbers, bags, words, [0, 1, 2, 3], 2) == [[1, 2]]
    assert consensus(cosines, numbers, bags, words, [0, 1, 1, 1], 9) == [[1, 0]]


def test_a_detector_learns_which_features_mean_which_words():
    features = torch.randn(600, 8, generator=torch.Generator().manual_seed(0))
    present = (features[:, :3] > 0).float()
    detector = train_detector(features[:500], present[:500], epochs=30)
    found = detector.fractions(features[500:]) > 0.5
    assert (found == present[500:].bool()).float().mean() > 0.85


def test_cross_fitting_never_asks_a_detector_about_what_it_was_trained_on(monkeypatch):
    trained = []

    class Remembers:
        def __init__(self, features):
            self.known = set(features[:, 0].tolist())

        def fractions(self, features):
            assert not self.known & set(features[:, 0].tolist())
            return features * 2

    monkeypatch.setattr("pseudo_captions.detector.train_detector", lambda features, *_, **__: (
        trained.append(len(features)), Remembers(features))[1])
    known = torch.arange(100, 105.)[:, None], torch.zeros(5, 1)
    asked = torch.arange(10.)[:, None], torch.zeros(10, 1)
    torch.testing.assert_close(cross_fitted(known, asked, folds=3), asked[0] * 2)
    assert trained == [5 + 6, 5 + 7, 5 + 7]


@pytest.fixture
def sources(tmp_path, write_root, monkeypatch):
    """Options of a command that lends sentences about buses to coloured pictures."""
    write_root(tmp_path / "captioned", {"train": 9, "val": 3})
    write_questions(tmp_path / "asked", {"train": 24})      # 10 to 12 are pictures of val
    sentences = [f"a {colour} bus drives along the {place} street" for place in ("old", "long")
                 for colour in ("red", "green", "blue")] * 12
    write_json(tmp_path / "texts.json", {
        "images": [{"id": number, "file_name": "x.jpg"} for number in range(72)],
        "annotations": [{"id": number, "image_id": number, "caption": text}
                        for number, text in enumerate(sentences)]})
    monkeypatch.setattr(dataset.lend, "__defaults__", ((), 5, "efficientnet_lite0", 0, False))
    return ["lent", "--root", str(tmp_path / "lent"), "--captioned", str(tmp_path / "captioned"),
            "--asked", str(tmp_path / "asked"), "--texts", str(tmp_path / "texts.json")]


def test_a_picture_of_a_colour_is_lent_sentences_of_this_colour(sources, tmp_path, capsys):
    assert prepare.main([*sources, "--sentences", "2"]) == 0
    assert "9 pictures with captions, 21 with 2 sentences lent to each" in capsys.readouterr().out
    found = json.loads((tmp_path / "lent/annotations/captions_train.json").read_text())
    files = {one["id"]: one["file_name"] for one in found["images"]}
    assert len(files) == 30 and all((tmp_path / "lent/train" / one).exists()
                                    for one in files.values())
    answers = json.loads((tmp_path / "asked/v2_mscoco_train_annotations.json").read_text())
    colour = {one["image_id"]: one["multiple_choice_answer"] for one in answers["annotations"]
              if one["multiple_choice_answer"] in ("red", "green", "blue")}
    lent = [(files[one["image_id"]], one["caption"]) for one in found["annotations"]
            if files[one["image_id"]].startswith("asked")]
    assert len(lent) == 42
    assert all(colour[int(name[-10:-4])] in text.split() for name, text in lent)
    prepare.main([*sources, "--sentences", "2"])
    assert "already holds this" in capsys.readouterr().out


def test_two_pictures_of_one_name_are_refused_before_anything_is_made(sources, tmp_path):
    annotations = tmp_path / "captioned/annotations/captions_train.json"
    content = json.loads(annotations.read_text())
    other = content["images"][0]["file_name"]
    (tmp_path / "captioned/train/more").mkdir()
    (tmp_path / "captioned/train/000002.jpg").rename(tmp_path / f"captioned/train/more/{other}")
    content["images"][1]["file_name"] = f"more/{other}"
    annotations.write_text(json.dumps(content))
    with pytest.raises(BadInput, match="one of 2 pictures of this name"):
        prepare.main(sources)
    assert not (tmp_path / "lent").exists()


def test_pictures_that_measure_are_left_out(sources, tmp_path):
    prepare.main([*sources, "--without", str(tmp_path / "captioned")])      # ids 1 to 12
    found = json.loads((tmp_path / "lent/annotations/captions_train.json").read_text())
    asked = [one["file_name"] for one in found["images"] if one["file_name"].startswith("asked")]
    assert asked == [f"asked/{number:06d}.jpg" for number in range(13, 25)]
    with pytest.raises(BadInput, match="is left"):
        prepare.main([*sources[:1], "--root", str(tmp_path / "none"), *sources[3:],
                      "--without", str(tmp_path / "asked")])
    assert not (tmp_path / "none").exists()
