"""Picture files from anywhere -> upright RGB pictures.

    file --Pillow--> any mode, any orientation --open_picture--> RGB, or `BadInput` in one sentence
"""

import warnings
from textwrap import shorten

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from system.files import BadInput

LARGE = 2048                # pixels; a side that a JPEG larger both ways is still opened with

# up to 179 million pixels Pillow only warns, and a photograph may have 108; beyond it refuses
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def open_picture(path, remedy="replace it, or take it out of the captions file"):
    """Return the picture at `path`, the first of an animation, as upright RGB; or `BadInput`."""
    try:
        with Image.open(path) as image:
            # a JPEG of more than twice LARGE both ways is decoded at a half, a quarter or an
            # eighth of its size, which takes less memory and time
            image.draft(None, (LARGE, LARGE))
            return to_rgb(ImageOps.exif_transpose(image))
    except FileNotFoundError:
        raise BadInput(f"picture {path} is missing: {remedy}") from None
    except Exception as error:  # many kinds for one cause: the file is damaged, or no picture
        raise BadInput(f"picture {path} cannot be read ({fault(path, error)}): {remedy}") from None


def to_rgb(image):
    """Return a picture of any mode as RGB, 16 bits a pixel scaled to 8."""
    if image.mode.startswith("I"):              # 16 bits a pixel, which convert() would clip
        grey = np.asarray(image).clip(0, 65535) / 257
        image = Image.fromarray(grey.round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def fault(path, error):
    """Return why a picture could not be read, in a few words."""
    if isinstance(error, UnidentifiedImageError):
        with open(path, "rb") as file:
            head = file.read(64).lstrip()
        return ("it is empty" if not head else "it is a web page" if head[:1] == b"<"
                else "it is in no format that Pillow knows")
    return shorten(str(error), 120) or type(error).__name__
