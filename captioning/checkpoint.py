"""Write a captioner into one file and read it back.

    captioner --save_captioner--> best.safetensors --load_captioner--> captioner

In the file kernels and matrices are float16 and the encoder is included, so loading needs
no other file and no network; only a captioner of regions may, see encoders/boxes.py.
The file may come from a stranger. Hence `load_captioner` builds
nothing before it has checked the header, and loads nothing before it has checked every tensor.
"""

from dataclasses import asdict
from pathlib import Path

from captioning.captioner import Captioner
from decoders import registry as decoders
from encoders import transform as transforms
from encoders.backbones import NAMES
from encoders.transform import Transform
from system import tensor_file
from system.files import BadInput
from system.processor import refuse_device
from vocabulary import END_WORD, START_WORD, UNK_WORD, Vocabulary

SHIPPED = Path(__file__).parents[1] / "checkpoints" / "captioner.safetensors"
REMEDY = "give a checkpoint or a run's folder made by train.py"
FORMAT = 3                  # raised when an older program could not read the file
LONGEST = 1000              # ids of a caption; every step of a search takes time
LARGEST = 1 << 16           # of the whole numbers that a decoder is built with
NUMBER = (int, float)
DECODER = {"name": (str,), "embed_size": (int,), "hidden_size": (int,), "num_layers": (int,),
           "dropout": NUMBER}       # of every decoder; it may have arguments of its own besides
YOURS = "; if it is your own, import its module first"
# of every encoder; that of regions has `boxes`, that of a grid and words has `concepts`
ENCODER = {"backbone": (str,), "grid": (bool,)}
CONCEPTS = {"words": (list,), "most": (int,), "least": NUMBER, "apart": (int, type(None))}
BOXES = {"boxes": (str,), "most": (int,)}
SOURCES = {                 # of boxes, see encoders/boxes.py
    "detector": BOXES | {"names": (list,)}, "truth": BOXES | {"names": (list,)},
    "torchvision": BOXES | {"channels": (int,), "weights": (str,)},
    "file": BOXES | {"channels": (int,)},
}
MOST = 1000                 # regions of a picture
MOST_WORDS = 512            # of the classifier: a row has at least as many channels
FIELDS = {                  # of a captioner's header, and the types that each may have
    "about": (dict,), "words": (list,),
    "architecture": {"encoder": (dict,), "decoder": (dict,)},
    "transform": {"size": (int,), "mean": [NUMBER] * 3, "std": [NUMBER] * 3, "fit": (str,)},
}


def save_captioner(path, captioner, **about):
    """Write a self-contained checkpoint; `about` (recipe, data, scores) goes into its header."""
    header = {"architecture": captioner.architecture, "words": captioner.vocab.words,
              "transform": asdict(captioner.transform)}
    tensor_file.save(path, "captioner", FORMAT, captioner, header, about)


def load_captioner(path, device="cpu", boxes=None):
    """Read a checkpoint, or the best one of a run's folder, ready to use on `device`.

    boxes: what the captioner needs beside it, see `boxes.complete`; otherwise not looked at.
    Raises `BadInput` for a file that `save_captioner` did not write, and for a device
    that cannot be used.
    """
    refuse_device(device)
    captioner = tensor_file.load(path, "captioner", FORMAT, REMEDY, build_empty)
    if not captioner.encoder.backbone.carried:
        from encoders.boxes import complete  # imports torchvision
        captioner.encoder.backbone = complete(captioner.encoder.backbone, boxes)
    captioner.encoder.eval()
    captioner.decoder.eval()
    return captioner.to(device)


def note(path, **about):
    """Add to the `about` of a checkpoint, whole or not at all; its tensors stay, bit for bit."""
    tensors, header = tensor_file.read(path, "captioner", FORMAT, REMEDY)
    header["about"] = {**header["about"], **about}
    tensor_file.write(path, "captioner", FORMAT, tensors, header)


def refuse_needless(boxes, captioners):
    """Raise `BadInput` if something is given as `boxes` of which no captioner has need."""
    if boxes and all(one.encoder.backbone.carried for one in captioners):
        raise BadInput("--boxes is for captioners that read bottom-up features or need a published "
                       "detector, and this one has all in its checkpoint: leave it out")


def build_empty(header):
    """Build the captioner of a header, its tensors without memory; `BadInput` if it is unsound."""
    refuse_unsound(header)
    vocab = Vocabulary(words=header["words"][3:])
    with tensor_file.no_memory():       # the decoder's own constructor may refuse its arguments
        captioner = Captioner.build(header["architecture"], vocab,
                                    Transform.from_header(header["transform"]), weights=None)
    captioner.about = header["about"]
    return captioner


def refuse_unsound(header):
    """Raise `BadInput` unless every field has its type and a sane value."""
    if not fits(header, FIELDS):
        raise BadInput("its header has other fields or types")
    words = header["words"]
    encoder, decoder = header["architecture"]["encoder"], header["architecture"]["decoder"]
    boxes = encoder.get("boxes")
    concepts = encoder.get("concepts")
    more = {"boxes": source_shape(boxes)} if "boxes" in encoder else {}
    more |= {"concepts": CONCEPTS} if "concepts" in encoder else {}
    if not (fits({key: decoder[key] for key in decoder.keys() & DECODER.keys()}, DECODER)
            and fits(encoder, ENCODER | more)):
        raise BadInput("its header has other fields or types")
    known = decoder["name"] in decoders.NAMES
    tensor_file.refuse_broken({
        f"its backbone is unknown ({encoder['backbone']!r:.40}{YOURS})":
            encoder["backbone"] in NAMES or "channels" in (boxes or {}),
        f"its decoder is unknown ({decoder['name']!r:.40}{YOURS})":
            known,
        "its decoder and its encoder disagree on whether there is a grid":
            encoder["grid"] == (known and decoders.wants_grid(decoder["name"])),
        "its regions are absurd": not boxes or encoder["grid"] and all(
            isinstance(name, str) for name in boxes.get("names", []))
            and 1 <= boxes["most"] <= MOST and 1 <= boxes.get("channels", 1) <= LARGEST,
        "its concepts are absurd": not concepts or encoder["grid"] and boxes is None
            and all(isinstance(word, str) for word in concepts["words"])
            and 0 <= concepts["most"] <= len(concepts["words"]) <= MOST_WORDS
            and 0 < concepts["least"] < 1 and 0 <= (concepts["apart"] or 0) <= MOST,
        "its sizes are absurd": all(1 <= decoder[key] <= LARGEST
                                    for key in ("embed_size", "hidden_size")),
        "its number of layers is absurd": 1 <= decoder["num_layers"] <= 64,
        "its dropout is no probability": 0 <= decoder["dropout"] < 1,
        "its decoder's own arguments are absurd": all(
            abs(value) <= LARGEST for value in decoder.values() if isinstance(value, NUMBER)),
        "its vocabulary is no list of different words": all(isinstance(w, str) for w in words)
            and len(set(words)) == len(words),
        "its special words are not the first three": words[:3] == [START_WORD, END_WORD, UNK_WORD],
        "its captions have an absurd length":
            header["about"].get("max_length", 3) in range(3, LONGEST + 1),
        "its certainty is no probability": type(header["about"].get("certain", 0.5)) is float
            and 0 < header["about"].get("certain", 0.5) <= 1,
        "its repetitions are absurd":
            header["about"].get("no_repeat_ngram", 0) in range(LONGEST + 1),
        **transforms.rules(header["transform"]),
    })


def source_shape(boxes):
    """Return the fields that the source of boxes in a header must have, by its kind."""
    kind = boxes.get("boxes") if isinstance(boxes, dict) else None
    return SOURCES.get(str(kind), ())           # no value has none of some types


def fits(value, fields):
    """Return whether a JSON value has exactly these fields and, in them, these types."""
    if isinstance(fields, dict):
        return isinstance(value, dict) and value.keys() == fields.keys() and all(
            fits(value[key], kind) for key, kind in fields.items())
    if isinstance(fields, list):
        return isinstance(value, list) and len(value) == len(fields) and all(
            map(fits, value, fields))
    return type(value) in fields        # not isinstance: to Python, True is an int
