"""One file that holds a whole captioner, and one from which training goes on.

    save_captioner -> best.safetensors    encoder, decoder, vocabulary, transform, scores: to use
    save_state     -> state.safetensors   weights, optimizer, position: to resume

In the first, kernels and matrices are float16 and the encoder is included: it needs no other file
and no network. It may come from a stranger, so `load_captioner` builds nothing before the header
is known to be sound, and fills nothing before every tensor is known to be the one expected.
"""

import subprocess
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from torch.overrides import TorchFunctionMode

from decoders import registry as decoders
from decoders.registry import build_decoder
from encoders.backbones import NAMES
from encoders.transform import Transform
from model import EncoderCNN
from system import tensor_file
from system.files import BadInput
from vocabulary import END_WORD, START_WORD, UNK_WORD, Vocabulary

FORMAT = 3                  # of both files; raised when an older program could not read them
LARGEST = 1 << 16           # embed_size and hidden_size
NUMBER = (int, float)
YOURS = "; if it is your own, import its module first"
FIELDS = {                  # of a captioner's header, and the types that each may have
    "about": (dict,), "words": (list,),
    "architecture": {
        "encoder": {"backbone": (str,), "grid": (bool,)},
        "decoder": {"name": (str,), "embed_size": (int,), "hidden_size": (int,),
                    "num_layers": (int,), "dropout": NUMBER}},
    "transform": {"size": (int,), "mean": [NUMBER] * 3, "std": [NUMBER] * 3, "fit": (str,)},
}


@dataclass
class Captioner:
    """Everything that turns pictures into sentences.

    architecture: arguments of the encoder and the decoder.  about: recipe, data, scores, versions.
    """

    encoder: torch.nn.Module
    decoder: torch.nn.Module
    vocab: Vocabulary
    transform: Transform
    architecture: dict
    about: dict

    def __post_init__(self):
        if len(self.vocab) != self.decoder.words.num_embeddings:
            raise BadInput(f"the vocabulary has {len(self.vocab)} words and the decoder "
                           f"{self.decoder.words.num_embeddings}: they belong to different runs")

    @classmethod
    def build(cls, architecture, vocab, transform, weights="pretrained", tune_from=None):
        """An untrained captioner: `architecture` has the arguments of both networks by name."""
        encoder = EncoderCNN(architecture["decoder"]["embed_size"], weights=weights,
                             tune_from=tune_from, **architecture["encoder"])
        decoder = build_decoder(vocab_size=len(vocab), **architecture["decoder"])
        return cls(encoder, decoder, vocab, transform, architecture, {})

    def to(self, device):
        """Move both networks."""
        self.encoder.to(device)
        self.decoder.to(device)
        return self

    def tensors(self):
        """Both networks' weights by name."""
        return {f"{part}.{name}": tensor for part in ("encoder", "decoder")
                for name, tensor in getattr(self, part).state_dict().items()}

    def load_tensors(self, tensors, assign=False):
        """The inverse of `tensors`; `assign` makes them the weights instead of copying them."""
        for part in ("encoder", "decoder"):
            getattr(self, part).load_state_dict({
                name.removeprefix(f"{part}."): tensor for name, tensor in tensors.items()
                if name.startswith(f"{part}.")}, assign=assign)


def save_captioner(path, captioner, **about):
    """Write a self-contained checkpoint; `about` (recipe, data, scores) goes into its header."""
    header = {"architecture": captioner.architecture, "words": captioner.vocab.words,
              "transform": asdict(captioner.transform), "about": {**origin(), **about}}
    tensors = stored(captioner)
    if name := infinite(tensors):
        raise BadInput(f"{path} was not written, {name} has numbers that float16 cannot hold: "
                       "lower the learning rate and train again")
    tensor_file.write(path, "captioner", FORMAT, tensors, header)


def load_captioner(path, device="cpu"):
    """Read a checkpoint, or the best one of a run's folder, ready to use on `device`.

    Raises `BadInput` for whatever `save_captioner` did not write.
    """
    path = Path(path)
    path = path / "best.safetensors" if path.is_dir() else path
    remedy = "give a checkpoint or a run's folder made by train.py"
    tensors, header = tensor_file.read(path, "captioner", FORMAT, remedy)
    try:
        captioner = outline(header)
        refuse_strange(tensors, stored(captioner))
    except BadInput as error:
        raise BadInput(f"{path} is no captioner that this program can use, {error}: {remedy}"
                       ) from None
    captioner.load_tensors({name: tensor.float() if tensor.is_floating_point() else tensor
                            for name, tensor in tensors.items()}, assign=True)
    captioner.encoder.eval()
    captioner.decoder.eval()
    try:
        return captioner.to(device)
    except (RuntimeError, AssertionError) as error:     # torch's two names for what is not there
        raise BadInput(f"device '{device}' cannot be used ({str(error).splitlines()[0]}): give "
                       "cpu") from None


def outline(header):
    """The captioner that a header describes, its tensors without memory; `BadInput` if unsound."""
    refuse_unsound(header)
    transform = {key: tuple(value) if isinstance(value, list) else value
                 for key, value in header["transform"].items()}
    with torch.device("meta"), Undrawn():
        captioner = Captioner.build(header["architecture"], Vocabulary(words=header["words"][3:]),
                                    Transform(**transform), weights=None)
    captioner.about = header["about"]
    return captioner


class Undrawn(TorchFunctionMode):
    """Where nobody draws first weights: for tensors without memory that imports a compiler."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in (torch.nn.init.normal_, torch.Tensor.normal_):
            return args[0] if args else kwargs["tensor"]
        return function(*args, **(kwargs or {}))


def refuse_unsound(header):
    """Raise `BadInput` unless every field has its type and a sane value."""
    if not fits(header, FIELDS):
        raise BadInput("its header has other fields or types")
    words, transform = header["words"], header["transform"]
    encoder, decoder = header["architecture"]["encoder"], header["architecture"]["decoder"]
    rules = {
        f"its backbone is unknown ({encoder['backbone']!r:.40}{YOURS})":
            encoder["backbone"] in NAMES,
        f"its decoder is unknown ({decoder['name']!r:.40}{YOURS})":
            decoder["name"] in decoders.NAMES,
        "its decoder and its encoder disagree on whether there is a grid":
            encoder["grid"] == (decoder["name"] in decoders.GRIDS),
        "its sizes are absurd": all(1 <= decoder[key] <= LARGEST
                                    for key in ("embed_size", "hidden_size")),
        "its number of layers is absurd": 1 <= decoder["num_layers"] <= 64,
        "its dropout is no share": 0 <= decoder["dropout"] < 1,
        "its vocabulary is no list of different words": all(isinstance(w, str) for w in words)
            and len(set(words)) == len(words),
        "its special words are not the first three": words[:3] == [START_WORD, END_WORD, UNK_WORD],
        "its pictures have an absurd size": 32 <= transform["size"] <= 1024,
        "its pictures are neither squashed nor cropped": transform["fit"] in ("squash", "crop"),
        "its normalisation is absurd": all(0 <= value <= 1 for value in transform["mean"])
            and all(0.001 <= value <= 1 for value in transform["std"]),
    }
    for rule, kept in rules.items():
        if not kept:
            raise BadInput(rule)


def fits(value, fields):
    """Whether a JSON value has exactly these fields and, in them, these types."""
    if isinstance(fields, dict):
        return isinstance(value, dict) and value.keys() == fields.keys() and all(
            fits(value[key], kind) for key, kind in fields.items())
    if isinstance(fields, list):
        return isinstance(value, list) and len(value) == len(fields) and all(
            map(fits, value, fields))
    return type(value) in fields        # not isinstance: to Python, True is an int


def refuse_strange(tensors, expected):
    """Raise `BadInput` unless names, shapes and types are the expected and all numbers finite."""
    strange = sorted(tensors.keys() ^ expected.keys())
    if strange:
        raise BadInput(f"its tensor {strange[0]!r:.80} is "
                       f"{'unknown' if strange[0] in tensors else 'missing'}")
    for name, tensor in tensors.items():
        if (tensor.shape, tensor.dtype) != (expected[name].shape, expected[name].dtype):
            raise BadInput(f"its tensor {name} is {tensor.dtype} {tuple(tensor.shape)} instead of "
                           f"{expected[name].dtype} {tuple(expected[name].shape)}")
    if name := infinite(tensors):
        raise BadInput(f"its tensor {name} has numbers that are not finite")


def stored(captioner):
    """The tensors of a checkpoint: kernels and matrices in half precision."""
    return {name: tensor.half() if tensor.dim() > 1 else tensor
            for name, tensor in captioner.tensors().items()}


def infinite(tensors):
    """The name of a tensor that has NaN or infinity in it, or None."""
    return next((name for name, tensor in tensors.items() if not tensor.isfinite().all()), None)


def origin():
    """What wrote a checkpoint: versions of the libraries and the commit of this program."""
    found = {"torch": torch.__version__, "torchvision": version("torchvision")}
    try:
        git = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True,
                             text=True, cwd=Path(__file__).parent)
    except OSError:
        return found
    return {**found, "commit": git.stdout.strip()} if git.returncode == 0 else found


def save_state(path, captioner, optimizer, position, average=()):
    """Write everything a killed run needs to go on.

    position: a dict of plain values.  average: tensors, of the averaged weights.
    """
    tensors = {f"weights.{name}": tensor for name, tensor in captioner.tensors().items()}
    tensors |= {f"average.{number}": tensor for number, tensor in enumerate(average)}
    for number, values in optimizer.state_dict()["state"].items():
        for key, value in values.items():
            tensors[f"optimizer.{number}.{key}"] = value
    tensor_file.write(path, "training state", FORMAT, tensors, {"position": position})


def load_state(path, captioner, optimizer, average=()):
    """Put a saved state back where it came from and return its position."""
    tensors, header = tensor_file.read(path, "training state", FORMAT,
                                       "delete the run's folder and train again")
    weights, moments = {}, {}
    for name, tensor in tensors.items():
        kind, rest = name.split(".", 1)
        if kind == "weights":
            weights[rest] = tensor
        elif kind == "average":
            average[int(rest)].copy_(tensor)
        else:
            number, key = rest.split(".")
            moments.setdefault(int(number), {})[key] = tensor
    captioner.load_tensors(weights)
    optimizer.load_state_dict({"state": moments,
                               "param_groups": optimizer.state_dict()["param_groups"]})
    return header["position"]
