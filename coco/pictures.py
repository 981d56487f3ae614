"""Picture files from anywhere -> upright RGB pictures.

    file --Pillow--> any mode, any orientation --open_picture--> RGB, or `BadInput` in one sentence

What a picture only carries beside its pixels (EXIF, text, profiles, checksums of those) may be
broken: it is shown all the same. Damaged pixels are refused.
"""

import io
import os
import stat
import warnings
import zlib
from pathlib import Path
from textwrap import shorten

import numpy as np
from PIL import Image, UnidentifiedImageError

from system.files import BadInput, refuse_web_address

ENDINGS = ".jpg", ".jpeg", ".png"            # of names that may be meant
LARGE = 2048                # pixels; a side that a JPEG larger both ways is still opened with
WHITES = 1, 255, 1023, 4095, 16383, 65535   # in floating-point and 32-bit pixels: 1 and 8-16 bits
PNG = b"\x89PNG\r\n\x1a\n"
JPEG, SCAN, END = b"\xff\xd8\xff", b"\xda", b"\xff\xd9"
HEIC = b"ftyphei", b"ftyphev", b"ftypmif", b"ftypmsf"
NEEDED = b"IHDR", b"PLTE", b"IDAT", b"IEND"     # the chunks without which a PNG is no picture
USED = b"tRNS", b"eXIf"                         # and others that change how it looks
ORIENTATION = 0x0112        # EXIF's tag, 1 to 8
UPRIGHT = dict(enumerate((
    Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90), 2))

# up to 179 million pixels Pillow only warns, and a photograph may have 108; beyond it refuses
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def open_picture(path, remedy="replace it, or take it out of the captions file"):
    """Return the picture at `path`, the first of an animation, as upright RGB; or `BadInput`."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):     # to open a pipe would wait for its writer
            raise ValueError("it is a folder" if os.path.isdir(path)
                             else "it is a pipe, a socket or a device, and no file")
        try:
            return decode(path)
        except Exception:
            picture = decode_mended(path)
            if picture is None:
                raise
            return picture
    except FileNotFoundError:
        refuse_web_address(path)
        what = "is a link to a file that is missing" if os.path.islink(path) else "is missing"
        meant = namesake(Path(path))
        what += f", though {meant} is there" if meant else ""
        raise BadInput(f"picture {path} {what}: {remedy}") from None
    except Exception as error:  # many kinds for one cause: the file is damaged, or no picture
        raise BadInput(f"picture {path} cannot be read ({fault(path, error)}): {remedy}") from None


def namesake(path):
    """Return the name of a picture beside a missing one that may be meant, or None."""
    # tried one by one, since to list a folder of all of COCO takes long
    names = (stem + ending for stem in (path.name, path.stem, path.stem.lower())
             for one in ENDINGS for ending in (one, one.upper()))
    return next((name for name in names if path.with_name(name).exists()), None)


def decode(file):
    """Return the picture in a file, or in the file at a path, as upright RGB."""
    with Image.open(file) as image:
        # a JPEG of more than twice LARGE both ways is decoded at a half, a quarter or an
        # eighth of its size, which takes less memory and time
        image.draft(None, (LARGE, LARGE))
        if not isinstance(image.info.get("xmp"), bytes):    # of a TIFF, which Pillow searches
            image.info.pop("xmp", None)
        image.load()                    # a PNG may have its EXIF behind its pixels
        return upright(image)


def upright(image):
    """Return an open picture of any mode as a person sees it, RGB without EXIF; again, the same."""
    turn = turn_of(image)
    image = to_rgb(image)               # a copy, whatever the mode
    image = image if turn is None else image.transpose(turn)
    image.info = {}                     # else it would be turned once more
    return image


def turn_of(image):
    """Return the `Image.Transpose` that EXIF asks for; None for none, and where it is broken."""
    try:
        # not ImageOps.exif_transpose: it writes all tags anew, and fails if any is of a wrong type
        return UPRIGHT.get(image.getexif().get(ORIENTATION))
    except Exception:                   # Pillow has many kinds for broken EXIF
        return None


def decode_mended(path):
    """Return the picture of a PNG or JPEG in which all but the pixels is broken; otherwise None."""
    data = Path(path).read_bytes() if first_bytes(path).startswith((PNG, JPEG)) else b""
    if data.startswith(PNG):
        return decode(io.BytesIO(bare_png(data)))
    if data:
        # the mark of its end may be missing: the pixels are whole if they are the same whatever
        # bits follow
        begin = bare_jpeg(data).removesuffix(END[:1])
        one, other = (decode(io.BytesIO(begin + bits * 64 + END)) for bits in (b"\x55", b"\xaa"))
        return one if one.tobytes() == other.tobytes() else None
    return None


def bare_png(data):
    """Return the bytes of a PNG without text, profiles and other chunks that may be broken."""
    kept, begin = [PNG], len(PNG)
    while begin + 12 <= len(data):          # length, kind, body, checksum
        kind = data[begin + 4:begin + 8]
        end = begin + 12 + int.from_bytes(data[begin:begin + 4], "big")
        sound = zlib.crc32(data[begin + 4:end - 4]) == int.from_bytes(data[end - 4:end], "big")
        if kind in NEEDED or sound and kind in USED:
            kept.append(data[begin:end])
        begin = end
    return b"".join(kept)


def bare_jpeg(data):
    """Return the bytes of a JPEG without profiles, comments and other segments of applications."""
    kept, begin = [data[:2]], 2
    while data[begin + 1:begin + 2] not in (b"", SCAN):
        end = begin + 2 + int.from_bytes(data[begin + 2:begin + 4], "big")
        # but EXIF, 225, and Adobe's, 238, which says what the colours are
        if (kind := data[begin + 1]) < 224 or kind == 225 or kind == 238 and end - begin >= 14:
            kept.append(data[begin:end])
        begin = end
    return b"".join(kept) + data[begin:]


def to_rgb(image):
    """Return a picture of any mode as RGB, what is transparent in white."""
    if image.mode == "F" or image.mode.startswith("I"):     # convert() would clip at 255
        image = to_8_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def to_8_bits(image):
    """Return a grey picture of 16 or 32 bits or of floating-point numbers with 8 bits a pixel.

    Of 16 bits, white is 65535. Other numbers do not say what white is: it is the first of WHITES
    that no pixel exceeds by more than a tenth. Where there is none, or a pixel is less than 0 by
    more than a tenth of it, the darkest pixel becomes black and the brightest white. NaN is black.
    """
    pixels, low, high = np.asarray(image), 0, 65535
    if image.format == "TIFF" and image.mode == "I" and image.tag_v2.get(339, (1,))[0] == 1:
        pixels = pixels.view(np.uint32)         # its SampleFormat, which Pillow takes as signed
    if not image.mode.startswith("I;16") and image.format not in ("PNG", "PPM"):
        finite = pixels[np.isfinite(pixels)]
        if not finite.size:
            raise ValueError("none of its pixels is a number")
        low, high = float(finite.min()), float(finite.max())
        white = next((white for white in WHITES if high <= 1.1 * white), 0)
        if white and low >= -0.1 * white:
            low, high = 0, white
    clear = pixels == image.info.get("transparency")        # a PNG's number for what is no colour
    pixels = np.nan_to_num(pixels.astype(float), nan=low, posinf=high, neginf=low)
    grey = (pixels.clip(low, high) - low) * (255 / ((high - low) or 1))
    grey[clear] = 255
    return Image.fromarray(grey.round().astype(np.uint8))


def fault(path, error):
    """Return why a picture could not be read, in a few words."""
    if isinstance(error, UnidentifiedImageError):
        head = first_bytes(path)
        return ("it is empty" if not head.strip() else
                "it is a web page" if head.lstrip()[:1] == b"<" else
                "it is HEIC, which Pillow cannot open, so save a copy as JPEG"
                if head[4:11] in HEIC else "it is in no format that Pillow knows")
    return shorten(getattr(error, "strerror", None) or str(error), 120) or type(error).__name__


def first_bytes(path):
    """Return the beginning of a file, by which its format is known."""
    with open(path, "rb") as file:
        return file.read(64)
