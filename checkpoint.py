"""One file that holds a whole captioner, and one from which training goes on.

    save_captioner -> best.safetensors    encoder, decoder, vocabulary, transform, scores: to use
    save_state     -> state.safetensors   weights, optimizer, position: to resume

Both are safetensors, tensors and a JSON header, so nothing is ever unpickled. In the first, kernels
and matrices are float16 and the encoder is included: it needs no other file and no network.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torchvision
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from backbones import Transform
from files import BadInput, whole_file
from model import DecoderRNN, EncoderCNN
from vocabulary import Vocabulary

FORMAT = "captioner 1"


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

    @classmethod
    def build(cls, architecture, vocab, transform, weights="pretrained", tune_from=None):
        """An untrained captioner: `architecture` has the arguments of both networks by name."""
        encoder = EncoderCNN(architecture["decoder"]["embed_size"], weights=weights,
                             tune_from=tune_from, **architecture["encoder"])
        decoder = DecoderRNN(vocab_size=len(vocab), **architecture["decoder"])
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

    def load_tensors(self, tensors):
        """The inverse of `tensors`."""
        for part in ("encoder", "decoder"):
            getattr(self, part).load_state_dict({
                name.removeprefix(f"{part}."): tensor.float() if tensor.is_floating_point()
                else tensor for name, tensor in tensors.items() if name.startswith(f"{part}.")})


def save_captioner(path, captioner, **about):
    """Write a self-contained checkpoint; `about` (recipe, data, scores) goes into its header."""
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    header = {"format": FORMAT, "architecture": captioner.architecture,
              "words": captioner.vocab.words, "transform": asdict(captioner.transform),
              "about": {**about, **versions}}
    tensors = {name: tensor.half() if tensor.dim() > 1 else tensor
               for name, tensor in captioner.tensors().items()}
    _write(path, tensors, header)


def load_captioner(path, device="cpu"):
    """Read a checkpoint, or the best one of a run's folder, ready to use on `device`."""
    path = Path(path)
    path = path / "best.safetensors" if path.is_dir() else path
    tensors, header = _read(path, "give a checkpoint or a run's folder made by training.py")
    if header.get("format") != FORMAT:
        raise BadInput(f"{path} is not a captioner of this version ({FORMAT}) but "
                       f"'{header.get('format', 'unknown')}': train it again")
    transform = Transform(**{key: tuple(value) if isinstance(value, list) else value
                             for key, value in header["transform"].items()})
    captioner = Captioner.build(header["architecture"], Vocabulary(words=header["words"][3:]),
                                transform, weights=None)
    captioner.load_tensors(tensors)
    captioner.about = header["about"]
    captioner.encoder.eval()
    captioner.decoder.eval()
    return captioner.to(device)


def save_state(path, captioner, optimizer, position):
    """Write everything a killed run needs to go on; `position` is a dict of plain values."""
    tensors = {f"weights.{name}": tensor for name, tensor in captioner.tensors().items()}
    for number, values in optimizer.state_dict()["state"].items():
        for key, value in values.items():
            tensors[f"optimizer.{number}.{key}"] = value
    _write(path, tensors, position)


def load_state(path, captioner, optimizer):
    """Put a saved state back into `captioner` and `optimizer` and return its position."""
    tensors, position = _read(path, "delete the run's folder and train again")
    weights, moments = {}, {}
    for name, tensor in tensors.items():
        kind, rest = name.split(".", 1)
        if kind == "weights":
            weights[rest] = tensor
        else:
            number, key = rest.split(".")
            moments.setdefault(int(number), {})[key] = tensor
    captioner.load_tensors(weights)
    optimizer.load_state_dict({"state": moments,
                               "param_groups": optimizer.state_dict()["param_groups"]})
    return position


def _write(path, tensors, header):
    # one entry, since safetensors writes several in no fixed order: equal runs are equal files
    with whole_file(path) as beside:
        try:
            save_file({name: tensor.detach().cpu().contiguous()
                       for name, tensor in tensors.items()}, beside, {"header": json.dumps(header)})
        except SafetensorError as error:        # its name for a full disk
            raise OSError(str(error)) from None


def _read(path, remedy):
    try:
        with safe_open(path, "pt") as file:
            names = file.keys()
            header = json.loads((file.metadata() or {}).get("header", "{}"))
            return {name: file.get_tensor(name) for name in names}, header
    except FileNotFoundError:
        raise BadInput(f"{path} is not there: {remedy}") from None
    except (SafetensorError, OSError) as error:
        raise BadInput(f"{path} cannot be read as safetensors ({error}): {remedy}") from None
