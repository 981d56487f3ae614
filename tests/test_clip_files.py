"""mp4, avi, webm and mkv, written here by PyAV with their frames' numbers in the pixels."""

import os
import re
import struct
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from system.files import BadInput
from tests.numbered import number, picture
from video.clips import open_clip

av = pytest.importorskip("av", reason="needs av: pip install -r requirements-video.txt")

N = 40
MILLI = Fraction(1, 1000)
STAMPS = [400 + 40 * k + 7 * (k % 3) for k in range(N)]         # ms: a variable rate, not from 0
B_FRAMES = {"bf": "3", "g": "12"}
KINDS = {"mp4": ("libx264", B_FRAMES), "mkv": ("libx264", B_FRAMES),
         "webm": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "10"})}


def write(path, codec, options=None, stamps=STAMPS, unit=MILLI, **more):
    """A file of N numbered frames at `stamps` of `unit` seconds."""
    if codec not in av.codecs_available:
        pytest.skip(f"this av has no {codec}")
    with av.open(str(path), "w", **more) as file:
        stream = file.add_stream(codec, rate=25, options=options or {})
        one = picture(0)
        stream.width, stream.height, stream.pix_fmt = *one.size, "yuv420p"
        stream.codec_context.time_base = unit
        for k, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_image(picture(k))
            frame.pts, frame.time_base = stamp, unit
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module", params=KINDS)
def file(request, tmp_path_factory):
    codec, options = KINDS[request.param]
    return write(tmp_path_factory.mktemp("clip") / f"x.{request.param}", codec, options)


def numbers(frames):
    return [number(frame.picture) for frame in frames]


def refusal(path):
    with pytest.raises(BadInput) as error:
        list(open_clip(path).frames())
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    return str(error.value)


def test_every_frame_comes_once_in_order_with_its_time(file):
    clip = open_clip(file)
    found = list(clip.frames())
    assert numbers(found) == list(range(N))
    expected = (np.array(STAMPS) - STAMPS[0]) / 1000
    assert np.allclose([frame.time for frame in found], expected, atol=1e-3)
    assert expected[-1] < clip.duration < expected[-1] + 0.1


def test_frames_are_right_by_index_and_by_time_forward_and_backward(file):
    clip = open_clip(file)
    some = [0, 7, 13, 14, 38, 39]
    times = (np.array(STAMPS)[some] - STAMPS[0]) / 1000
    for order in (some, some[::-1]):
        assert numbers(clip.take(order)) == order
    assert numbers(clip.take(clip.at(times))) == some
    assert numbers(clip.take(clip.at(times[::-1] + 0.02))) == some[::-1]


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_frames_of_an_avi_whose_stamps_are_in_the_order_of_decoding_are_right(codec, tmp_path):
    path = write(tmp_path / "x.avi", codec, {"bf": "3"}, range(N), Fraction(1, 25))
    clip = open_clip(path)
    assert numbers(clip.frames()) == list(range(N))
    assert np.allclose(clip.times, np.arange(N) / 25) and clip.duration == pytest.approx(N / 25)


def test_without_stamps_frames_come_at_the_usual_rate(tmp_path):
    path = write(tmp_path / "x.h264", "libx264", {"bf": "2"}, range(N), Fraction(1, 25))
    clip = open_clip(path)
    assert numbers(clip.frames()) == list(range(N))
    assert np.allclose(clip.times, np.arange(N) * clip.times[1]) and clip.times[1] > 0


def test_a_name_s_end_does_not_say_what_a_clip_is(file, tmp_path):
    other = tmp_path / "x.gif"
    other.write_bytes(file.read_bytes())
    assert numbers(open_clip(other).take([3, 2])) == [3, 2]


@pytest.mark.parametrize("matrix, turn", [
    ((0, 1, -1, 0), "ROTATE_270"), ((-1, 0, 0, -1), "ROTATE_180"), ((0, -1, 1, 0), "ROTATE_90")])
def test_a_clip_that_was_filmed_on_its_side_is_upright(matrix, turn, tmp_path):
    path = write(tmp_path / "x.mp4", "mpeg4", stamps=STAMPS[:3])
    data = bytearray(path.read_bytes())
    a, b, c, d = (one << 16 for one in matrix)          # clockwise, as phones write it
    at = data.index(b"tkhd") + 4 + 40
    data[at:at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    lying = open_clip(path).picture(2)
    path.write_bytes(data)
    upright = open_clip(path).picture(2)
    assert upright == lying.transpose(Image.Transpose[turn])


@pytest.mark.parametrize("cover", [False, True])
def test_sound_without_a_video_is_refused_even_with_a_cover(cover, tmp_path):
    path = tmp_path / "x.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=44100)
        if cover:
            still = file.add_stream("mjpeg", rate=1)
            still.width, still.height, still.pix_fmt = *picture(1).size, "yuvj420p"
            still.disposition = av.stream.Disposition.attached_pic
            frame = av.VideoFrame.from_image(picture(1)).reformat(format="yuvj420p")
            file.mux([*still.encode(frame), *still.encode(None)])
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.int16), "s16", "mono")
        silence.sample_rate = 44100
        file.mux([*stream.encode(silence), *stream.encode(None)])
    assert "it holds sound and no picture" in refusal(path)


def test_a_video_of_one_frame_has_one(tmp_path):
    clip = open_clip(write(tmp_path / "x.mp4", "mpeg4", stamps=[400]))
    assert numbers(clip.frames()) == [0] and clip.times.tolist() == [0] and clip.duration > 0


def test_vast_frames_are_refused_before_they_fill_the_memory(tmp_path):
    path = write(tmp_path / "x.avi", "rawvideo", stamps=range(2), unit=Fraction(1, 25))
    size, data = struct.pack("<II", *picture(0).size), path.read_bytes()
    assert size in data
    path.write_bytes(data.replace(size, struct.pack("<II", 20_000, 10_000)))
    assert "20000 x 10000 pixels" in refusal(path)


@pytest.mark.parametrize("text", ["ffconcat version 1.0\nfile x.mp4\n", "hello " * 99,
                                  "#EXTM3U\n#EXTINF:1,\nx.ts\n"], ids=["list", "text", "m3u8"])
def test_text_is_not_drawn_and_a_list_of_files_not_followed(text, tmp_path):
    (tmp_path / "x.mp4").write_text(text)
    assert re.search("Invalid data|it is text", refusal(tmp_path / "x.mp4"))


def test_a_file_that_is_cut_is_refused_if_more_than_a_tenth_is_missing(file, tmp_path):
    data = file.read_bytes()
    for share in (0.02, 0.2, 0.4, 0.6, 0.8):
        (tmp_path / "x").write_bytes(data[:int(share * len(data))])
        refusal(tmp_path / "x")


@pytest.mark.parametrize("kind", ["avi", "mp4"])
def test_a_file_with_its_index_in_front_is_refused_if_its_frames_are_cut(kind, tmp_path):
    front = {"container_options": {"movflags": "faststart"}} if kind == "mp4" else {}
    path = write(tmp_path / f"x.{kind}", "libx264", B_FRAMES, range(N), Fraction(1, 25), **front)
    data = path.read_bytes()
    path.write_bytes(data[:int(0.7 * len(data))])
    refusal(path)


def test_damaged_bytes_give_frames_or_a_sentence(file, tmp_path):
    random, data = np.random.default_rng(0), file.read_bytes()
    for _ in range(6):
        broken = np.frombuffer(data, np.uint8).copy()
        broken[random.integers(0, len(data), 6)] ^= 255
        (tmp_path / "x").write_bytes(broken.tobytes())
        try:
            list(open_clip(tmp_path / "x").frames())
        except BadInput as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("place", range(5))
def test_real_clips_are_described_as_by_an_independent_decoder(place):
    folder = Path(os.environ.get("CAPTION_DATA", "../shared")) / "video" / "msvd-clips"
    if not folder.is_dir():
        pytest.skip(f"needs real clips: no {folder} (set CAPTION_DATA)")
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="needs another decoder: imageio-ffmpeg")
    path = sorted(folder.glob("*.avi"))[place]
    command = [ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-fps_mode", "passthrough",
               "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        for frame in open_clip(path).frames():
            pixels = frame.picture.tobytes()
            assert other.stdout.read(len(pixels)) == pixels, frame.index
        assert other.stdout.read() == b""
