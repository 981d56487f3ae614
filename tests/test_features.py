"""A frozen encoder computes once; its features are kept exactly and never mistaken."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from coco.dataset import Picture, Split, read_split
from coco.pictures import open_picture
from encoders import features
from encoders.backbones import Backbone, transform_of
from encoders.features import cached_features, encode_split, load, may_flip, view_of
from encoders.transform import Transform
from model import EncoderCNN
from system.files import PARTIAL, BadInput

SMALL = Transform(32, (0.5,) * 3, (0.5,) * 3)


@pytest.fixture(scope="module")
def backbone():
    return Backbone("tiny", weights=None)


@pytest.fixture
def split(tiny_root):
    return read_split(tiny_root, "train")


@pytest.fixture
def calls(backbone):
    """How many images the backbone was given, a number for every call."""
    heard = []
    hook = backbone.register_forward_pre_hook(lambda _, images: heard.append(len(images[0])))
    yield heard
    hook.remove()


def picture(*sentences, id=7, file=None):
    return Picture(id, file, sentences)


@pytest.mark.parametrize("sentence", ["A dog to the LEFT of a cat.", "Turn right!", "On the right",
                                      "A right-hand glove.", "The leftmost of three."])
def test_a_picture_whose_sentences_know_left_from_right_is_never_flipped(sentence):
    sided = picture("Animals.", sentence, "A lawn.")
    assert not may_flip(sided)
    assert not any(view_of(replace(sided, id=id), (100, 80), view, seed)[1]
                   for id in range(10) for view in range(1, 20) for seed in range(2))


def test_other_pictures_are_flipped_in_about_half_of_their_views():
    plain = [picture("A bright day at the cleft.", id=id) for id in range(20)]
    flips = [view_of(one, (100, 80), view)[1] for one in plain for view in range(1, 21)]
    assert may_flip(plain[0]) and 0.4 < np.mean(flips) < 0.6


def test_the_mirrored_pixels_are_those_of_pictures_that_may_be(tmp_path):
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, 30:] = 255                                    # light comes from the right
    Image.fromarray(pixels).save(tmp_path / "x.png")

    def lit_from_the_right(sentence):
        seen = [load(picture(sentence, file=tmp_path / "x.png"), SMALL, view) for view in range(20)]
        return [bool(image[..., 20:].mean() > image[..., :12].mean()) for image in seen]

    assert all(lit_from_the_right("A lamp on the right."))
    assert set(lit_from_the_right("A lamp.")) == {True, False}
    assert lit_from_the_right("A lamp.")[0]


def test_view_0_is_the_picture_as_it_is(split):
    one = split.pictures[0]
    assert view_of(one, (100, 80), 0) == (None, False)
    for transform in (SMALL, replace(SMALL, fit="crop")):
        assert torch.equal(load(one, transform), transform(open_picture(one.file)))


def test_a_crop_keeps_85_percent_of_the_area_and_the_proportions_and_lies_inside():
    areas = []
    for view in range(1, 300):
        (left, top, right, bottom), _ = view_of(picture("A dog."), (400, 300), view)
        assert 0 <= left < right <= 400 and 0 <= top < bottom <= 300
        assert (right - left) / (bottom - top) == pytest.approx(4 / 3)
        areas.append((right - left) * (bottom - top) / (400 * 300))
    assert 0.85 <= min(areas) < 0.87 and 0.98 < max(areas) <= 1


@pytest.mark.parametrize("view", [1, 2, 3])
def test_an_augmented_view_keeps_proportions_where_fit_is_crop(tmp_path, view):
    down, across = np.mgrid[:100, :300]
    disc = (down - 50) ** 2 + (across - 150) ** 2 < 30 ** 2
    Image.fromarray((255 * disc).astype(np.uint8)).save(tmp_path / "disc.png")
    seen = load(picture("A disc.", file=tmp_path / "disc.png"), replace(SMALL, fit="crop"), view)[0]
    wide, high = (seen > 0).any(0).sum().item(), (seen > 0).any(1).sum().item()
    assert abs(wide - high) <= 2


def test_a_view_is_a_function_of_seed_picture_and_number():
    one = picture("A dog.")
    assert view_of(one, (100, 80), 1, 2) == view_of(one, (100, 80), 1, 2)
    others = ((one, 2, 2), (one, 1, 3), (replace(one, id=8), 1, 2))
    for other, view, seed in others:
        assert view_of(other, (100, 80), view, seed) != view_of(one, (100, 80), 1, 2)


@pytest.mark.parametrize("grid", [False, True])
def test_cached_features_are_the_backbone_s_own_in_half_precision(split, tmp_path, grid):
    backbone, transform = Backbone("resnet18", weights=None, grid=grid), replace(SMALL, size=64)
    array = cached_features(backbone, transform, split, views=3, cache=tmp_path)
    assert array.shape == ((3, 12, 4, 512) if grid else (3, 12, 512))
    assert array.dtype == np.float16 and isinstance(array, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 0
    for view in range(3):
        images = torch.stack([load(one, transform, view) for one in split.pictures])
        direct = backbone(images)
        kept = torch.from_numpy(np.array(array[view])).float()
        assert torch.cosine_similarity(kept, direct, dim=-1).min() > 0.999
        assert not np.array_equal(array[view], array[view - 1])
    assert np.array_equal(encode_split(backbone, transform, split), array[:1])


def test_a_second_call_does_not_ask_the_backbone(backbone, calls, split, tmp_path, monkeypatch):
    first = np.array(cached_features(backbone, SMALL, split, 2, tmp_path))
    assert calls == [1, 8, 8, 8]                        # the first one asks for the shape
    monkeypatch.setattr(Picture, "open", lambda self: pytest.fail("opened a picture"))
    assert np.array_equal(cached_features(backbone, SMALL, split, 2, tmp_path), first)
    assert len(calls) == 4


def test_what_features_depend_on_gives_another_file(backbone, tiny_root, tmp_path):
    split = read_split(tiny_root, "val")
    first, *rest = split.pictures
    sided = Split("x", (replace(first, sentences=("To the left.",)), *rest))
    other, grid = Backbone("tiny", None), Backbone("tiny", None, grid=True)     # weights as its own
    next(other.parameters()).data[0] += 1
    for variant in [(backbone, SMALL, split, 1), (backbone, SMALL, split, 2),
                    (backbone, replace(SMALL, fit="crop"), split, 1),
                    (backbone, replace(SMALL, mean=(0.4,) * 3), split, 1),
                    (backbone, replace(SMALL, size=48), split, 1),
                    (backbone, SMALL, split.first(3), 1),
                    (backbone, SMALL, Split("x", split.pictures[::-1]), 1),
                    (backbone, SMALL, sided, 2), (other, SMALL, split, 1), (grid, SMALL, split, 1)]:
        before = len(list(tmp_path.rglob("*.npy")))
        cached_features(*variant, cache=tmp_path)
        assert len(list(tmp_path.rglob("*.npy"))) == before + 1
    cached_features(backbone, SMALL, Split("another name", split.pictures), 1, tmp_path)
    cached_features(backbone, SMALL, sided, 1, tmp_path)    # what is never flipped needs no words
    assert len(list(tmp_path.rglob("*.npy"))) == before + 1


def test_a_picture_that_was_replaced_is_encoded_again(backbone, tmp_path):
    split = Split("x", (picture("A colour.", file=tmp_path / "x.bmp"),))
    seen = []
    for second, colour in enumerate(("red", "blue")):       # in files of the same size
        Image.new("RGB", (9, 9), colour).save(tmp_path / "x.bmp")
        os.utime(tmp_path / "x.bmp", (2 * second, 2 * second))      # the coarsest clock of a disk
        seen.append(np.array(cached_features(backbone, SMALL, split, cache=tmp_path)))
    assert not np.array_equal(*seen)


def test_pictures_that_were_swapped_are_not_taken_for_each_other(backbone, tmp_path):
    pictures = [picture("A colour.", file=tmp_path / f"{name}.bmp") for name in ("red", "blue")]
    for one in pictures:
        Image.new("RGB", (9, 9), one.file.stem).save(one.file)
        os.utime(one.file, (0, 0))
    split = Split("x", tuple(pictures))
    before = np.array(cached_features(backbone, SMALL, split, cache=tmp_path))
    for old, new in (("red", "x"), ("blue", "red"), ("x", "blue")):
        os.rename(tmp_path / f"{old}.bmp", tmp_path / f"{new}.bmp")
    after = cached_features(backbone, SMALL, split, cache=tmp_path)
    assert np.array_equal(before[:, ::-1], after) and not np.array_equal(before, after)


@pytest.mark.parametrize("damage", ["[]", "null", "-1", "99", "1.5", "", "{", '"two"'])
def test_a_damaged_count_of_rows_costs_nothing_but_time(backbone, split, tmp_path, twos, damage):
    cached_features(backbone, SMALL, split, 2, tmp_path / "whole")
    interrupt(backbone, split, tmp_path, 5)
    count, = (tmp_path / "features").glob("*.part.*.json")
    count.write_text(damage)
    cached_features(backbone, SMALL, split, 2, tmp_path)
    assert whole(tmp_path) == whole(tmp_path / "whole")


@pytest.mark.parametrize("pattern", ["*.npy", "*.part"])
@pytest.mark.parametrize("damage", [lambda old: old[:len(old) // 2], lambda old: b"",
                                    lambda old: bytes(len(old)), lambda old: old[::-1]])
def test_a_damaged_array_is_made_again(backbone, split, tmp_path, twos, pattern, damage):
    cached_features(backbone, SMALL, split, 2, tmp_path / "whole")
    if pattern == "*.npy":
        cached_features(backbone, SMALL, split, 2, tmp_path)
    else:
        interrupt(backbone, split, tmp_path, 5)
    file, = (tmp_path / "features").glob(pattern)
    file.write_bytes(damage(file.read_bytes()))
    cached_features(backbone, SMALL, split, 2, tmp_path)
    assert whole(tmp_path) == whole(tmp_path / "whole")


@pytest.fixture
def twos(monkeypatch):
    """Batches of two pictures, each saved at once: twelve of the split in two views."""
    monkeypatch.setattr(features, "BATCH_SIZE", 2)
    monkeypatch.setattr(features, "SAVE_EVERY", 1)


def interrupt(backbone, split, cache, call):
    """A pass that is interrupted at the backbone's call of that number; call 0 gives the shape."""
    calls = []

    def stop(*_):
        calls.append(1)
        if len(calls) == 1 + call:
            raise KeyboardInterrupt

    with backbone.register_forward_pre_hook(stop), pytest.raises(KeyboardInterrupt):
        cached_features(backbone, SMALL, split, 2, cache)


def whole(folder):
    """The bytes of the one array in a cache, where no part of it is left."""
    file, = (folder / "features").glob("*.npy")
    assert {path.suffix for path in file.parent.iterdir()} == {".json", ".lock", ".npy"}
    assert len(list(file.parent.glob("*.json"))) == 1
    return file.read_bytes()


@pytest.mark.parametrize("broken", [1, 5, 12])
def test_an_interrupted_pass_goes_on_and_repeats_no_batch(backbone, calls, split, tmp_path, twos,
                                                          broken):
    cached_features(backbone, SMALL, split, 2, tmp_path / "whole")
    interrupt(backbone, split, tmp_path, broken)
    assert not list((tmp_path / "features").glob("*.npy"))
    calls.clear()
    cached_features(backbone, SMALL, split, 2, tmp_path)
    assert calls == [1] + [2] * (12 - (broken - 1))
    assert whole(tmp_path) == whole(tmp_path / "whole")


def test_rows_that_no_count_vouches_for_are_written_again(backbone, calls, split, tmp_path, twos,
                                                          monkeypatch):
    cached_features(backbone, SMALL, split, 2, tmp_path / "whole")
    monkeypatch.setattr(features, "SAVE_EVERY", 3)
    interrupt(backbone, split, tmp_path, 9)                 # after eight batches, six of them saved
    part, = tmp_path.rglob("*.part")
    with open(part, "r+b") as file:                         # as a power cut may leave the others
        file.seek(128 + 12 * 64)                            # past the head and rows of 32 channels
        file.write(b"x" * 500)
    calls.clear()
    cached_features(backbone, SMALL, split, 2, tmp_path)
    assert calls == [1] + [2] * 6
    assert whole(tmp_path) == whole(tmp_path / "whole")


def test_a_count_whose_rows_are_gone_is_not_believed(backbone, split, tmp_path, twos):
    cached_features(backbone, SMALL, split, 2, tmp_path / "whole")
    interrupt(backbone, split, tmp_path, 6)
    part, = tmp_path.rglob("*.part")
    part.unlink()
    cached_features(backbone, SMALL, split, 2, tmp_path)
    assert whole(tmp_path) == whole(tmp_path / "whole")


def test_a_pass_killed_between_its_last_batch_and_the_renaming_is_finished(
        backbone, calls, split, tmp_path, monkeypatch):
    replace_file = features.os.replace

    def killed(source, target):
        if str(target).endswith(".npy"):
            raise KeyboardInterrupt
        replace_file(source, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(features.os, "replace", killed)
        cached_features(backbone, SMALL, split, cache=tmp_path)
    calls.clear()
    found = cached_features(backbone, SMALL, split, cache=tmp_path)
    assert calls == [1] and whole(tmp_path)
    assert np.array_equal(found, encode_split(backbone, SMALL, split))


def test_a_full_disk_is_an_error_after_which_the_same_command_goes_on(backbone, calls, split,
                                                                      tmp_path, twos, monkeypatch):
    def full(file):
        if len(calls) > 7:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(features.os, "fsync", full)
        cached_features(backbone, SMALL, split, 2, tmp_path)
    calls.clear()
    cached_features(backbone, SMALL, split, 2, tmp_path)
    assert 5 <= len(calls) < 12 and whole(tmp_path)


def test_of_two_passes_at_once_the_second_waits_and_takes_what_the_first_made(
        backbone, calls, split, tmp_path):
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: cached_features(backbone, SMALL, split, 2, tmp_path),
                              range(2))
    assert calls == [1, 8, 8, 8] and np.array_equal(one, other)
    assert np.array_equal(one[:1], encode_split(backbone, SMALL, split))


def test_half_a_manifest_that_a_kill_left_is_cleared_away(backbone, split, tmp_path):
    cached_features(backbone, SMALL, split, cache=tmp_path)
    (array,) = tmp_path.rglob("*.npy")
    before = sorted(array.parent.iterdir())
    array.unlink()
    for name in (f"{array.stem}.json", f"{array.name}.1.part.0.json"):
        array.with_name(PARTIAL.format(name, 4711)).write_text("{")
    cached_features(backbone, SMALL, split, cache=tmp_path)
    assert sorted(array.parent.iterdir()) == before


def test_pictures_keep_their_place(backbone, split, tmp_path):
    straight = cached_features(backbone, SMALL, split, 2, tmp_path)
    turned = cached_features(backbone, SMALL, Split("x", split.pictures[::-1]), 2, tmp_path)
    np.testing.assert_allclose(turned, straight[:, ::-1], rtol=5e-3, atol=1e-4)
    assert not np.allclose(straight[0, 0], straight[0, 1], rtol=5e-3, atol=1e-4)


def test_a_missing_picture_is_named_before_any_is_encoded(write_root, backbone, calls, tmp_path):
    split = read_split(write_root(tmp_path, {"val": 3}), "val")
    split.pictures[2].file.unlink()
    with pytest.raises(BadInput, match="000003.jpg is missing"):
        cached_features(backbone, SMALL, split, cache=tmp_path)
    assert not calls


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0"])
def test_what_is_frozen_does_not_move_in_training(name):
    """Neither weights nor batch-norm statistics, so that what was cached stays true."""
    encoder = EncoderCNN(8, backbone=name, weights=None)
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    before = {key: tensor.clone() for key, tensor in encoder.state_dict().items()}
    cached = encoder.backbone(images)
    assert not any(parameter.requires_grad for parameter in encoder.backbone.parameters())
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(3):
        encoder.train()
        encoder(5 * images + 1).square().mean().backward()
        optimizer.step()
    moved = [key for key, tensor in encoder.state_dict().items()
             if not torch.equal(tensor, before[key])]
    assert moved == ["embed.weight", "embed.bias"]
    assert torch.equal(encoder.backbone(images), cached)


def test_real_pictures_are_encoded_with_no_special_case(data_root, tmp_path):
    split = read_split(data_root / "coco-sample", "val").first(4)
    array = cached_features(Backbone(weights=None, name="efficientnet_lite0"),
                            transform_of("efficientnet_lite0"), split, 2, tmp_path)
    assert array.shape == (2, 4, 1280) and np.isfinite(array).all()
