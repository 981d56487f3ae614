"""Every frame of a clip is the one that was asked for, whatever the clip is."""

import sys
import weakref
import zlib

import numpy as np
import pytest
from PIL import Image

from system.files import BadInput, write_json
from tests.numbered import LENGTHS, STARTS, number, picture, write_animation, write_folder
from video import readers
from video.clips import in_order, open_clip

N = len(LENGTHS)
MAKERS = {"png": lambda at: write_folder(at / "png"),
          "jpg": lambda at: write_folder(at / "jpg", "jpg"),
          "gif": lambda at: write_animation(at / "x.gif"),
          "apng": lambda at: write_animation(at / "x.png"),
          "webp": lambda at: write_animation(at / "x.webp", lossless=True)}


@pytest.fixture(params=MAKERS)
def clip(request, tmp_path):
    return open_clip(MAKERS[request.param](tmp_path))


def refusal(path, **options):
    """The sentence in which a clip is refused, when it is opened or read."""
    with pytest.raises(BadInput) as error:
        list(open_clip(path, **options).frames())
    sentence = str(error.value)
    assert str(path) in sentence and "\n" not in sentence and len(sentence) < 400
    return sentence.replace(str(path), "CLIP")


def test_every_frame_comes_once_in_order_with_its_time(clip):
    found = list(clip.frames())
    assert [number(frame.picture) for frame in found] == list(range(N))
    assert [frame.index for frame in found] == list(range(N)) and len(clip) == N
    assert np.allclose([frame.time for frame in found], STARTS[:-1], atol=1e-9)
    assert clip.duration == pytest.approx(STARTS[-1])
    assert {frame.picture.mode for frame in found} == {"RGB"}


@pytest.mark.parametrize("order", [[0, 3, 4, 9], [9, 4, 3, 0], [5, 5, 2, 8, 8, 1],
                                   np.arange(N)[::-1]], ids=str)
def test_frames_are_right_by_index_in_any_order(clip, order):
    assert [number(frame.picture) for frame in clip.take(order)] == list(order)


def test_frames_are_right_by_time_forward_and_backward(clip):
    shown = [(start, k) for k, start in enumerate(STARTS[:-1])]
    shown += [((start + end) / 2, k)
              for k, (start, end) in enumerate(zip(STARTS[:-1], STARTS[1:], strict=True))]
    for pairs in (sorted(shown), sorted(shown, reverse=True)):
        times, wanted = zip(*pairs, strict=True)
        assert [number(one.picture) for one in clip.take(clip.at(times))] == list(wanted)


def test_before_the_beginning_is_the_first_frame_and_after_the_end_the_last(clip):
    assert clip.at([-1, 0, STARTS[-1], 1e9]).tolist() == [0, 0, N - 1, N - 1]


def test_a_time_that_was_rounded_up_to_a_millisecond_finds_its_frame(tmp_path):
    rounded = [round(k / 30, 3) for k in range(N)]
    clip = open_clip(write_folder(tmp_path / "x", times=rounded, duration=1))
    assert clip.at(np.arange(N) / 30).tolist() == list(range(N))


def test_samples_are_the_middles_of_equal_parts_or_a_grid_before_the_end(clip):
    duration = STARTS[-1]                           # 0.71 s
    assert np.allclose(clip.sample(2), [duration / 4, 3 * duration / 4])
    assert np.allclose(clip.sample(rate=10), np.arange(8) / 10)
    assert clip.sample(rate=0.1).tolist() == [0]
    for wrong in ({}, {"number": 2, "rate": 1}, {"number": 0}, {"rate": -1}):
        with pytest.raises(ValueError, match="either a number"):
            clip.sample(**wrong)
    with pytest.raises(IndexError, match=f"no frame {N} but {N}"):
        clip.frame(N)


def test_no_frame_is_kept_and_none_is_read_before_it_is_asked_for(tmp_path, monkeypatch):
    opened = []
    for clip in (open_clip(write_animation(tmp_path / "x.gif")),
                 open_clip(write_folder(tmp_path / "x"))):
        frames, alive = clip.frames(), []
        for frame in frames:
            alive.append(weakref.ref(frame.picture))
            del frame
            assert sum(one() is not None for one in alive) == 0
    clip = open_clip(tmp_path / "x")
    monkeypatch.setattr(readers, "open_picture", lambda file, remedy: opened.append(file.name))
    next(clip.frames())
    clip.picture(7)
    assert opened == ["000000.png", "000007.png"]


def test_frames_that_paint_over_only_a_part_are_shown_whole(tmp_path):
    base = Image.new("RGBA", (20, 10), "red")
    patch = Image.new("RGBA", (20, 10))
    patch.paste("blue", (0, 0, 5, 10))
    for name in ("over.gif", "over.png"):           # what is clear shows the frame before
        base.save(tmp_path / name, save_all=True, append_images=[patch], duration=50, disposal=0,
                  **({"blend": 1} if name.endswith("png") else {}))
        last = list(open_clip(tmp_path / name).frames())[-1].picture
        assert last.getpixel((2, 5)) == (0, 0, 255) and last.getpixel((15, 5))[0] > 250
    base.save(tmp_path / "clear.png", save_all=True, append_images=[patch], duration=50,
              disposal=1, blend=0)                  # and here nothing, so white
    last = list(open_clip(tmp_path / "clear.png").frames())[-1].picture
    assert last.getpixel((2, 5)) == (0, 0, 255) and last.getpixel((15, 5)) == (255, 255, 255)


def test_the_picture_for_programs_that_show_no_animation_is_no_frame(tmp_path):
    picture(63).save(tmp_path / "x.png", save_all=True, default_image=True, duration=[20, 30],
                     append_images=[picture(1), picture(2)])
    clip = open_clip(tmp_path / "x.png")
    assert [number(frame.picture) for frame in clip.frames()] == [1, 2]
    assert clip.times.tolist() == [0, 0.02] and clip.duration == 0.05


def test_a_frame_that_lasts_no_time_lasts_as_long_as_in_a_browser(tmp_path):
    clip = open_clip(write_animation(tmp_path / "x.gif", [0, 0, 0]))
    assert np.allclose(clip.times, [0, 0.1, 0.2]) and clip.duration == pytest.approx(0.3)


def test_a_name_s_end_does_not_say_what_a_clip_is(tmp_path):
    write_animation(tmp_path / "x.gif").rename(tmp_path / "x.mp4")
    clip = open_clip(tmp_path / "x.mp4")
    assert [number(frame.picture) for frame in clip.frames()] == list(range(N))


def test_a_folder_s_frames_are_in_the_order_of_their_numbers(tmp_path):
    for k in (0, 2, 10, 11):                        # every one that is there at its own time
        picture(k).save(tmp_path / f"clip7_frame{k}.png")
    (tmp_path / "notes.txt").write_text("no frame")
    clip = open_clip(tmp_path, rate=4)
    assert [number(frame.picture) for frame in clip.frames()] == [0, 2, 10, 11]
    assert clip.times.tolist() == [0, 0.5, 2.5, 2.75] and clip.duration == 3
    write_json(tmp_path / "frames.json", {"times": [1, 2, 3, 4], "duration": 9})
    clip = open_clip(tmp_path)                      # such times are as they are written
    assert clip.times.tolist() == [1, 2, 3, 4] and clip.duration == 9


def test_a_folder_whose_frames_and_times_do_not_fit_is_refused(tmp_path):
    assert "has no frames.json" in refusal(write_folder(tmp_path / "a", times=()))
    assert "9 times of 10 frames" in refusal(write_folder(tmp_path / "b", times=STARTS[:9]))
    falling = [*STARTS[:8], 0.1, 0.2]
    assert "do not grow" in refusal(write_folder(tmp_path / "c", times=falling))
    assert "do not grow" in refusal(write_folder(tmp_path / "d", duration=0.1))
    write_json(tmp_path / "d" / "frames.json", {"times": ["0"], "duration": 1})
    assert "times[0]" in refusal(tmp_path / "d")
    (tmp_path / "e").mkdir()
    assert "without frames" in refusal(tmp_path / "e")
    picture(1).save(tmp_path / "a" / "cover.png")
    assert "no number in its name" in refusal(tmp_path / "a", rate=1)
    (tmp_path / "a" / "cover.png").rename(tmp_path / "a" / "1.png")
    assert "two frames of number 1, 000001.png and 1.png" in refusal(tmp_path / "a", rate=1)
    (tmp_path / "c" / "000003.png").write_bytes(b"")
    write_json(tmp_path / "c" / "frames.json", {"times": list(range(N)), "duration": N})
    assert "000003.png cannot be read (it is empty)" in refusal(tmp_path / "c")


def vast(kind, path):
    """An animation that says it has more than 10^9 pixels."""
    data = bytearray(write_animation(path).read_bytes())
    if kind == "gif":
        data[6:10] = b"\xff\xff\xff\xff"
    else:
        data[16:24] = (100_000).to_bytes(4, "big") * 2
        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path.write_bytes(data)


@pytest.mark.parametrize("name, write, expected", [
    ("x.mp4", lambda path: path.write_bytes(b""), "it is empty"),
    ("x.gif", lambda path: path.write_bytes(b""), "it is empty"),
    ("x.mp4", lambda path: path.write_text("<!DOCTYPE html><p>not found"), "it is a web page"),
    ("x.gif", lambda path: picture(1).save(path), "single picture"),
    ("x.png", lambda path: picture(1).save(path), "single picture"),
    ("x.webp", lambda path: picture(1).save(path), "single picture"),
    ("x.jpg", lambda path: picture(1).save(path), "single picture"),
    ("x.gif", lambda path: vast("gif", path), "decompression bomb"),
    ("x.png", lambda path: vast("png", path), "decompression bomb"),
    ("x.gif", lambda path: path.write_bytes(b"GIF89a\1"), "in no format"),
    ("x.gif", lambda path: None, "is missing")])
def test_what_is_no_clip_is_refused_in_a_sentence(name, write, expected, tmp_path):
    write(tmp_path / name)
    assert expected in refusal(tmp_path / name)


def test_a_web_address_is_refused_as_one():
    with pytest.raises(BadInput, match="https://a.org/x.mp4 is a web address"):
        open_clip("https://a.org/x.mp4")


def test_without_av_a_video_is_refused_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)    # Python then finds no such module
    (tmp_path / "x.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    assert refusal(tmp_path / "x.mp4") == (
        "clip CLIP is no folder of frames, GIF, APNG or WebP, and to read other kinds needs the "
        "package av: python -m pip install -r requirements-video.txt")


@pytest.mark.parametrize("kind", ["gif", "png", "webp"])
def test_an_animation_that_is_cut_or_damaged_gives_right_frames_or_a_sentence(kind, tmp_path):
    path = write_animation(tmp_path / f"x.{kind}", **({"lossless": True} if kind == "webp" else {}))
    data = path.read_bytes()
    refused = 0
    for cut in np.linspace(8, len(data) - 8, 12).astype(int):
        path.write_bytes(data[:cut])
        try:
            found = list(open_clip(path).frames())
        except BadInput:
            refused += 1
        else:                                       # a GIF does not say how many frames it has
            assert [number(frame.picture) for frame in found] == list(range(len(found)))
    assert refused >= 10
    random = np.random.default_rng(0)
    for _ in range(20):
        broken = np.frombuffer(data, np.uint8).copy()
        broken[random.integers(0, len(data), 5)] ^= 255
        path.write_bytes(broken.tobytes())
        try:
            list(open_clip(path).frames())
        except BadInput as error:
            assert "\n" not in str(error)


def test_stamps_are_put_in_the_order_of_showing_from_0_on():
    assert in_order([0.5, 0.6, 0.7], 1).tolist() == pytest.approx([0, 0.1, 0.2])
    # as AVI has them, whose B-frames stand behind what they are shown before
    assert in_order([1, 4, 3, 5, 2], 1).tolist() == [0, 1, 2, 3, 4]


def test_stamps_that_are_missing_are_filled_in():
    assert in_order([None] * 4, 0.25).tolist() == [0, 0.25, 0.5, 0.75]
    assert in_order([None, 3, None, 5, None], 0.5).tolist() == [0, 0.5, 1.5, 2.5, 3]
    assert in_order([None, None, 7], 2).tolist() == [0, 2, 4]
    assert in_order([7], 2).tolist() == [0]
