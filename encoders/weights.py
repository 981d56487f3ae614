"""Weights of a network from a local file, of which nothing but tensors is ever loaded.

    .pth or .safetensors --read_weights--> {name: tensor} --load_into--> network
"""

import pickle
from pathlib import Path
from textwrap import shorten

import torch
from safetensors.torch import load_file

from system.files import BadInput


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
