"""Frames of clips are encoded once, like pictures, and each row is that of its frame."""

import shutil

import numpy as np
import pytest
import torch

from encoders.backbones import Backbone, transform_of
from system.files import BadInput
from tests.numbered import LENGTHS, STARTS, picture, write_animation, write_folder
from video import readers
from video.clips import Clip, open_clip
from video.features import ClipFeatures, clip_features, encode_clips


@pytest.fixture(scope="module")
def encoder():
    return Backbone("tiny"), transform_of("tiny")


@pytest.fixture
def clips(tmp_path):
    made = [write_folder(tmp_path / "frames"), write_animation(tmp_path / "x.gif"),
            write_animation(tmp_path / "short.png", LENGTHS[:3])]
    return [open_clip(path) for path in made]


def rows_of(encoder, numbers):
    """What the network itself makes of numbered frames."""
    backbone, transform = encoder
    with torch.inference_mode():
        images = torch.stack([transform(picture(k)) for k in numbers])
        return backbone(images).numpy()


def test_each_row_is_that_of_the_frame_shown_at_its_time(encoder, clips, tmp_path):
    found = clip_features(*encoder, clips, rate=20, cache=tmp_path / "cache")
    assert len(found) == 3 and found.rows.dtype == np.float16
    assert found.offsets.tolist() == [0, 15, 30, 35]    # 0.71, 0.71 and 0.21 s
    for place, clip in enumerate(clips):
        rows, times = found.of(place)
        assert np.allclose(times, np.arange(len(rows)) / 20)
        shown = np.searchsorted(STARTS, times + 1e-6, side="right") - 1
        assert np.allclose(rows, rows_of(encoder, shown), atol=0.02)
        assert clip.at(times).tolist() == shown.tolist()
    uncached = encode_clips(*encoder, clips, rate=20)
    assert np.array_equal(uncached.rows, found.rows)
    assert np.array_equal(uncached.offsets, found.offsets)


def test_clips_of_a_batch_are_filled_with_zeros_where_the_mask_is_false():
    rows = np.arange(1, 11, dtype=np.float16).reshape(5, 2)
    features, mask = ClipFeatures(rows, np.array([0, 3, 5]), np.zeros(5)).batch([1, 0])
    assert features.shape == (2, 3, 2) and features.dtype == np.float16
    assert mask.tolist() == [[True, True, False], [True, True, True]]
    assert np.array_equal(features[mask], rows[[3, 4, 0, 1, 2]])
    assert not features[~mask].any()


def test_what_was_encoded_is_not_read_again_even_of_a_clip_that_moved(encoder, clips, tmp_path,
                                                                     monkeypatch):
    first = clip_features(*encoder, clips, number=4, cache=tmp_path / "cache")
    assert np.diff(first.offsets).tolist() == [4, 4, 4]
    other = clip_features(*encoder, clips, number=3, cache=tmp_path / "cache")
    assert len(other.rows) == 9
    for module, name in ((Clip, "picture"), (readers, "animation")):
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("read a clip again"))
    shutil.move(tmp_path / "x.gif", tmp_path / "y.gif")
    moved = [open_clip(tmp_path / name) for name in ("frames", "y.gif", "short.png")]
    again = clip_features(*encoder, moved, number=4, cache=tmp_path / "cache")
    assert np.array_equal(again.rows, first.rows) and np.array_equal(again.times, first.times)


def test_a_changed_clip_is_encoded_again(encoder, tmp_path):
    path = write_animation(tmp_path / "x.gif")
    first = clip_features(*encoder, [open_clip(path)], number=2, cache=tmp_path / "cache")
    write_animation(path, LENGTHS[:4])
    second = clip_features(*encoder, [open_clip(path)], number=2, cache=tmp_path / "cache")
    assert not np.array_equal(first.rows, second.rows)


def test_a_clip_that_cannot_be_read_is_named_and_nothing_is_kept_half(encoder, clips, tmp_path):
    data = (tmp_path / "x.gif").read_bytes()
    (tmp_path / "x.gif").write_bytes(data[:len(data) // 2])
    for encode in (lambda: clip_features(*encoder, clips, number=4, cache=tmp_path / "cache"),
                   lambda: encode_clips(*encoder, clips, number=4)):
        with pytest.raises(BadInput, match="x.gif cannot be read"):
            encode()
    assert not list((tmp_path / "cache").rglob("*.npy"))
    with pytest.raises(BadInput, match="there is no clip"):
        encode_clips(*encoder, [], number=4)
