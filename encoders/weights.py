"""Weights of a network: fetched once, and loaded from a file that may hold nothing but tensors.

    torchvision's address --fetch_weights--> .pth
    .pth or .safetensors --read_weights--> {name: tensor} --load_into--> network
"""

import hashlib
import pickle
import re
from pathlib import Path
from textwrap import shorten

import torch
from safetensors.torch import load_file

from system.download import fetch
from system.files import BadInput, content_hash, writing
from system.locks import lock

OTHERWISE = ("or give a local file as weights (--weights FILE), or use EncoderCNN(embed_size, "
             'backbone="efficientnet_lite0"), whose weights are installed already')


def fetch_weights(name, source, otherwise=OTHERWISE):
    """Return the path of the weights that torchvision publishes, fetched if they are not there.

    name: of the network.  source: its `WeightsEnum`, which has the address.  otherwise: what helps
    without network.  The file lies where torch.hub keeps it, but torch.hub would begin again after
    a break.  Raises `BadInput` if it
    cannot be fetched, or is not the file whose hash its name bears.
    """
    path = Path(torch.hub.get_dir(), "checkpoints", source.url.rpartition("/")[2])
    if path.exists():
        if fault := hash_fault(path):
            raise BadInput(f"{path} is damaged ({fault}): delete it, then give the same command "
                           "again, which fetches it anew")
        return path
    # in 2**20 bytes, as torchvision's pages say it
    print(f"{name}: {source.meta['_file_size']:.0f} MB are fetched once to {path}", flush=True)
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with lock(path.with_suffix(".lock")):   # processes may begin at the same time
                fetch(source.url, path, check=hash_fault)
    except BadInput as error:
        raise BadInput(f"{error}; {otherwise}") from None
    return path


def hash_fault(path):
    """Return what is wrong if a file's sha256 does not begin as its name says, otherwise None."""
    said, found = re.search(r"-([0-9a-f]{8,})\.", path.name), content_hash(path)
    if said and not found.startswith(said[1]):
        return f"its sha256 begins with {found[:len(said[1])]}, not {said[1]}"
    return None


def read_weights(path):
    """Return the tensors of a .safetensors or .pth file, unpickling nothing but tensors."""
    try:
        if Path(path).suffix == ".safetensors":
            return load_file(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(tensors, dict):
            raise TypeError(f"it holds a {type(tensors).__name__}")
        return tensors
    except FileNotFoundError:
        raise BadInput(f"the weights file {path} is not there: check the path") from None
    except pickle.UnpicklingError:
        raise BadInput(f"the weights file {path} holds more than tensors, and loading that could "
                       "run code: give a .pth or .safetensors file of tensors") from None
    except Exception as error:  # many kinds for one cause: this is not a file of tensors
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise BadInput(f"the weights file {path} cannot be read ({reason}): give a .pth or "
                       ".safetensors file of tensors") from None


def load_into(network, tensors, path):
    """Load a state dict into a network; raise `BadInput` if it belongs to another."""
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise BadInput(f"{path} holds another network's weights "
                       f"({shorten(str(error).splitlines()[-1].strip(), 120)}): choose the "
                       "backbone they belong to") from None


def weights_hash(network, about):
    """Return a hash of every weight and buffer of a network, and of the text `about` it."""
    digest = hashlib.sha256(about.encode())
    for tensor in network.state_dict().values():
        digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
