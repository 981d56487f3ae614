"""Words, splits, batches and cached features: nothing lost, nothing doubled, nothing stale."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import write_root

import features
from backbones import Backbone, Transform, transform_of
from coco import Picture, Split, open_picture, read_split
from data_loader import LONGEST, CaptionData
from features import cached_features, load, may_flip, view_of
from files import BadInput, write_json
from vocabulary import END_ID, START_ID, UNK_ID, Vocabulary, join, tokenize

WORDS = [["a", "red", "bus"], ["a", "red", "car"], ["a", "blue", "bus"]]


def test_the_rare_become_unk_and_the_common_come_first():
    vocab = Vocabulary.build(WORDS, threshold=2)
    assert vocab.words == ["<start>", "<end>", "<unk>", "a", "bus", "red"]
    assert vocab.encode("A red zeppelin") == [START_ID, 3, 5, UNK_ID, END_ID]


def test_decoding_keeps_the_last_word_whether_or_not_end_follows():
    vocab = Vocabulary.build(WORDS, threshold=1)
    ids = vocab.encode("a red bus")
    assert vocab.decode(ids) == vocab.decode(ids[:-1]) == vocab.decode(ids[1:-1]) == "a red bus"
    assert vocab.decode([*ids, 3, 4]) == "a red bus"


@pytest.mark.parametrize("sentence", ["the dog doesn't see it.", "a man's hat, a woman's coat.",
                                      "it is 50% off!", "they're here; i'm not."])
def test_joining_undoes_tokenising(sentence):
    assert join(tokenize(sentence)) == sentence


def test_a_vocabulary_file_is_words_and_nothing_that_runs(tmp_path):
    vocab = Vocabulary.build([["naïve", "🙂", "a"]], threshold=1)
    vocab.save(tmp_path / "v.json")
    assert Vocabulary(None, tmp_path / "v.json", vocab_from_file=True).words == vocab.words
    for name, content in (("p", pickle.dumps([1])), ("t", b'{"words": ["a"'), ("n", b'{"a": 1}')):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadInput, match="build it again"):
            Vocabulary(None, tmp_path / name, vocab_from_file=True)


def test_plain_names_find_coco_s_splits(tmp_path):
    write_root(tmp_path, {"train2017": 3, "val2017": 2})
    assert read_split(tmp_path, "train").name == "train2017"
    assert read_split(tmp_path, "val2017").name == "val2017"
    test = read_split(tmp_path, "test")
    assert test.name == "val2017 (no captioned test split)"
    assert test.pictures == read_split(tmp_path, "val").pictures
    with pytest.raises(BadInput, match="no split 'novel': it holds train2017, val2017"):
        read_split(tmp_path, "novel")


def test_without_val_one_in_twenty_is_lent_by_id_and_stands_on_one_side_only(tmp_path):
    write_root(tmp_path, {"train": 40})
    train, val = read_split(tmp_path, "train"), read_split(tmp_path, "val")
    ids = {picture.id for picture in train.pictures}, {picture.id for picture in val.pictures}
    assert len(ids[1]) == 2 and not ids[0] & ids[1] and len(ids[0] | ids[1]) == 40
    path = tmp_path / "annotations" / "captions_train.json"
    content = json.loads(path.read_text())
    content["images"].reverse()
    write_json(path, content)
    assert {picture.id for picture in read_split(tmp_path, "val").pictures} == ids[1]


@pytest.fixture
def data(tiny_root):
    split = read_split(tiny_root, "train")
    vocab = Vocabulary.build([tokenize(sentence) for sentence in split.sentences], 1)
    array = np.arange(2 * 12 * 4, dtype=np.float16).reshape(2, 12, 4)
    return CaptionData(split, vocab, array)


def test_an_epoch_is_a_pass_without_replacement(data):
    order = np.concatenate(data.order(7, seed=0, epoch=0))
    assert sorted(order) == list(range(60))
    one = np.concatenate(data.order(7, seed=0, epoch=0, one_per_picture=True))
    assert sorted(data.picture[one]) == list(range(12))


def test_the_order_is_a_function_of_seed_and_epoch(data):
    def order(seed, epoch):
        return np.concatenate(data.order(8, seed, epoch)).tolist()

    assert order(0, 3) == order(0, 3)
    assert len({tuple(order(*pair)) for pair in ((0, 0), (0, 1), (1, 0))}) == 3


def test_a_batch_holds_its_captions_whole_and_their_own_features(data):
    words = [tokenize(sentence) for sentence in data.split.sentences]
    vocab, seen = Vocabulary.build(words, 1), 0
    for images, captions, lengths in data.batches(8, epoch=1):
        assert captions.shape[1] == lengths.max()
        for image, caption, length in zip(images, captions, lengths, strict=True):
            assert caption[0] == START_ID and caption[length - 1] == END_ID
            assert (caption[length - 1:] == END_ID).all()
            assert END_ID not in caption[:length - 1]
            picture = data.split.pictures[int(image[0]) % 48 // 4]
            sentence = vocab.decode(caption)
            assert sentence in [s.lower() for s in picture.sentences]
            seen += 1
    assert seen == 60


def test_captions_of_like_length_share_a_batch(data):
    padded = sum(captions.numel() for _, captions, _ in data.batches(8))
    assert padded <= 1.1 * int(data.lengths.sum())


def test_an_epoch_goes_on_from_any_batch(data):
    whole = [captions.tolist() for _, captions, _ in data.batches(8, seed=2, epoch=5)]
    rest = [captions.tolist() for _, captions, _ in data.batches(8, seed=2, epoch=5, start=3)]
    assert rest == whole[3:]


def test_a_caption_of_ten_thousand_words_does_not_set_the_size_of_a_batch(tiny_root):
    picture = read_split(tiny_root, "train").pictures[0]
    split = Split("x", (replace(picture, sentences=("word " * 10_000,)),))
    assert CaptionData(split, Vocabulary(words=["word"])).captions.shape == (1, LONGEST)


@pytest.mark.parametrize("workers", [0, 2])
def test_pictures_are_augmented_by_seed_epoch_and_picture_not_by_worker(tiny_root, workers):
    split = read_split(tiny_root, "val")
    vocab = Vocabulary(words=["picture"])
    data = CaptionData(split, vocab, None, Transform(32, (0.5,) * 3, (0.5,) * 3))
    images, _, lengths = next(data.batches(4, seed=1, epoch=2, workers=workers))
    index = data.order(4, 1, 2)[0]
    assert images.shape == (4, 3, 32, 32) and len(lengths) == 4
    expected = load(split.pictures[data.picture[index[0]]], data.transform, view=3, seed=1)
    assert torch.equal(images[0], expected)


def test_no_view_makes_a_sentence_false():
    plain = Picture(7, "7.jpg", ("A dog runs.",))
    sided = Picture(7, "7.jpg", ("A dog to the Left of a cat.", "Animals."))
    assert may_flip(plain) and not may_flip(sided)
    assert view_of(plain, (100, 80), 0) == (None, False)
    flips = [view_of(plain, (100, 80), view)[1] for view in range(1, 40)]
    assert 5 < sum(flips) < 35
    for view in range(1, 40):
        (left, top, right, bottom), flip = view_of(sided, (100, 80), view)
        assert not flip and 0 <= left < right <= 100 and 0 <= top < bottom <= 80
        assert (right - left) * (bottom - top) >= 0.85 * 100 * 80 - 1e-6


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    return Backbone("efficientnet_lite0", weights=None).eval()


TRANSFORM = Transform(64, (0.5,) * 3, (0.5,) * 3)


def test_cached_features_are_the_backbone_s_and_it_is_asked_once(tiny_root, backbone, tmp_path,
                                                                 monkeypatch):
    split = read_split(tiny_root, "train")
    array = cached_features(backbone, TRANSFORM, split, views=2, cache=tmp_path)
    assert array.shape == (2, 12, 1280) and array.dtype == np.float16
    for view in (0, 1):
        images = torch.stack([load(picture, TRANSFORM, view) for picture in split.pictures])
        expected = backbone(images).numpy()
        np.testing.assert_allclose(array[view], expected, rtol=2e-3, atol=1e-4)
    monkeypatch.setattr(features, "compute", lambda *args: pytest.fail("encoded twice"))
    assert np.array_equal(cached_features(backbone, TRANSFORM, split, 2, tmp_path), array)


def test_what_features_depend_on_gives_another_file(tiny_root, backbone, tmp_path):
    split = read_split(tiny_root, "val")
    torch.manual_seed(1)
    variants = [(backbone, TRANSFORM, split, 1), (backbone, TRANSFORM, split, 2),
                (backbone, replace(TRANSFORM, fit="crop"), split, 1),
                (backbone, TRANSFORM, split.first(3), 1),
                (Backbone("efficientnet_lite0", None).eval(), TRANSFORM, split, 1)]
    for variant in variants:
        cached_features(*variant, cache=tmp_path)
    assert len(list((tmp_path / "features").glob("*.npy"))) == len(variants)


def test_an_interrupted_pass_goes_on_and_ends_byte_for_byte_the_same(tiny_root, backbone, tmp_path,
                                                                     monkeypatch):
    split = read_split(tiny_root, "train")
    monkeypatch.setattr(features, "CHUNK", 2)
    encode, calls = features.encode, []

    def broken(*args):
        calls.append(1)
        if len(calls) == 4:                         # the first call only asks for the shape
            raise KeyboardInterrupt
        return encode(*args)

    monkeypatch.setattr(features, "encode", broken)
    with pytest.raises(KeyboardInterrupt):
        cached_features(backbone, TRANSFORM, split, 1, tmp_path / "a")
    cached_features(backbone, TRANSFORM, split, 1, tmp_path / "a")
    assert len(calls) == 4 + 1 + 4                  # two chunks of six were not repeated
    cached_features(backbone, TRANSFORM, split, 1, tmp_path / "b")
    a, b = (next((tmp_path / name / "features").glob("*.npy")).read_bytes() for name in "ab")
    assert a == b


def test_a_picture_that_is_missing_or_broken_is_named(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"<html>404</html>")
    for name in ("x.jpg", "absent.jpg"):
        with pytest.raises(BadInput, match=name):
            open_picture(tmp_path / name)


def test_real_coco_pictures_are_read_with_no_special_case(data_root, backbone, tmp_path):
    split = read_split(data_root / "coco-sample", "val").first(4)
    transform = transform_of("efficientnet_lite0")
    assert cached_features(backbone, transform, split, 2, tmp_path).shape == (2, 4, 1280)
