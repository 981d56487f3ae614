"""Read the frames of mp4, avi, webm and mkv with PyAV, where it is installed.

    file --demuxer, decoder--> frames in the order in which they are shown, with time stamps

Frames are decoded from the first on: to jump to a frame is what libraries do wrong, most of all
with B-frames and variable rates. What the decoder marks as damaged is refused, as is a file that
ends long before it says.
"""

import re
from functools import partial

from PIL import Image

from coco.pictures import first_bytes
from system.files import BadInput
from video.readers import Step

# no playlists, which name other files, and no text, which FFmpeg would draw
FORMATS = "mov,mp4,avi,matroska,webm,mpegts,mpeg,mpegvideo,flv,asf,ogg,m4v,h264,hevc"
USUAL = 1 / 25              # s: how long a frame lasts where nothing says it
TURNS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180,
         270: Image.Transpose.ROTATE_270}       # counterclockwise, as a frame's rotation
LEAST = 0.9                 # of the time that a file says it lasts


def container(path):
    """Yield a `Step` for each frame of the first video in a file."""
    head = first_bytes(path)
    if not head.strip():
        raise ValueError("it is empty")
    if head.lstrip()[:1] == b"<":
        raise ValueError("it is a web page")
    av = library(path)
    with open(path, "rb") as file, opened(file, av) as found:
        stream = video_of(found, av)
        usual = 1 / float(stream.average_rate) if stream.average_rate else USUAL
        end = None
        for index, frame in enumerate(found.decode(stream)):
            if frame.is_corrupt:
                raise ValueError(f"its frame {index} is damaged")
            length = frame.duration * float(stream.time_base) or usual
            if frame.time is not None:
                end = max(end or 0, frame.time + length)
            yield Step(frame.time, length, partial(upright, frame))
        said = lasting(found, stream)
        if end is not None and end < LEAST * said:      # of which some count from the first frame
            raise ValueError(f"it ends after {end:.1f} of {said:.1f} seconds")


def library(path):
    """Return the module av; raise `BadInput` where it is not installed."""
    try:
        import av
    except ImportError:
        raise BadInput(f"clip {path} is no folder of frames, GIF, APNG or WebP, and to read other "
                       "kinds needs the package av: python -m pip install -r "
                       "requirements-video.txt") from None
    return av


def opened(file, av):
    """Return the container in an open file."""
    # not by its path, as FFmpeg would take one like "concat:a" for a protocol
    try:
        return av.open(file, options={"format_whitelist": FORMATS}, metadata_errors="replace")
    except av.error.ArgumentError:
        raise ValueError("it is text, a list of files or of another format that is not read"
                         ) from None


def video_of(found, av):
    """Return the first stream of a file that moves and is not too large to be a video."""
    streams = [one for one in found.streams.video
               if not one.disposition & av.stream.Disposition.attached_pic]     # an album's cover
    if not streams:
        raise ValueError("it holds sound and no picture" if found.streams.audio else
                         "it holds no video")
    stream, most = streams[0], 2 * Image.MAX_IMAGE_PIXELS       # as Pillow refuses a picture
    if stream.width * stream.height > most:
        raise ValueError(f"its frames have {stream.width} x {stream.height} pixels, which would "
                         "fill the memory")
    return stream


def lasting(found, stream):
    """Return how many seconds a file says that its video lasts, 0 if it does not."""
    if found.format.name == "avi" and stream.average_rate:      # its duration is what is left
        return stream.frames / float(stream.average_rate)
    if stream.duration:
        return stream.duration * float(stream.time_base)
    clock = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", ""))
    hours, minutes, seconds = map(float, clock.groups()) if clock else (0, 0, 0)
    return 3600 * hours + 60 * minutes + seconds


def upright(frame):
    """Return the RGB picture of a frame, turned as the file asks for."""
    picture = frame.to_image()
    turn = TURNS.get(round(frame.rotation) % 360)
    return picture if turn is None else picture.transpose(turn)
