"""Decoders by name: what they read, and the arguments of their own that a checkpoint keeps."""

from functools import partial

import pytest
import torch
from torch import nn

from captioning.checkpoint import FORMAT, Captioner, load_captioner, save_captioner
from captioning.settings import CaptioningSettings
from captioning.task import architecture
from decoders.base import Decoder, after_start
from decoders.registry import DECODERS, NAMES, build_decoder, own_arguments, wants_grid
from decoders.search import search
from encoders.backbones import transform_of
from model import State, captions_per_picture
from system import tensor_file
from system.files import BadInput
from tests.interface import check_decoder
from vocabulary import Vocabulary

SIZES = {"embed_size": 12, "hidden_size": 12, "num_layers": 1, "dropout": 0.0}
VOCAB = Vocabulary(words=["a", "red", "ball", "blue", "dog"])


class Toy(Decoder):
    """Mixes the picture into every word, as much as an argument of its own says."""

    def __init__(self, embed_size, hidden_size, vocab_size, num_layers=1, dropout=0.0, loud=1.0,
                 depth=1, cell="tanh", skip=False, activation=nn.Tanh):
        super().__init__(embed_size, hidden_size, vocab_size, dropout)
        if cell not in ("tanh", "relu"):
            raise ValueError(f"cell is tanh or relu,\nnot {cell}")
        self.loud, self.skip = loud, skip
        self.rnn = nn.RNN(embed_size, hidden_size, depth, cell, batch_first=True)
        self.activation = activation()

    def begin(self, features):
        past = features.new_zeros(len(features), self.rnn.num_layers, self.rnn.hidden_size)
        return State(own=(past, self.loud * self.norm(features)))

    def hidden(self, features, captions):
        image = self.loud * self.norm(features)
        image = image.repeat_interleave(captions_per_picture(features, captions), 0)
        words = self.read(captions[:, :-1]) + image.unsqueeze(1)
        return after_start(self.activation(self.rnn(words)[0] + (words if self.skip else 0)))

    def step(self, words, state):
        past, image = state.own
        words = (self.read(words) + image).unsqueeze(1)
        found, past = self.rnn(words, past.transpose(0, 1).contiguous())
        hidden = self.activation(found[:, 0] + (words[:, 0] if self.skip else 0))
        return self.score(hidden), State(own=(past.transpose(0, 1), image))


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setitem(DECODERS, "toy", Toy)
    monkeypatch.setitem(DECODERS, "loud", partial(Toy, loud=9.0))


def captioner(name="toy", **own):
    torch.manual_seed(3)
    made = Captioner.build(
        {"encoder": {"backbone": "efficientnet_lite0", "grid": wants_grid(name)},
         "decoder": {"name": name, **SIZES, **own}},
        VOCAB, transform_of("efficientnet_lite0"), None)
    with torch.no_grad():
        for parameter in made.decoder.parameters():     # as a checkpoint will keep it
            parameter.mul_(3).copy_(parameter.half())
    return made


def test_the_toy_is_a_decoder():
    check_decoder(Toy)
    check_decoder(partial(Toy, depth=2, cell="relu", skip=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_decoder_reads_a_grid_if_its_class_says_so(name):
    features, captions = torch.randn(2, 9, 12), torch.zeros(2, 4, dtype=torch.long)
    made = build_decoder(name, len(VOCAB), **SIZES)
    assert wants_grid(name) == made.grid == (not name.startswith("lstm"))
    made(features if made.grid else features[:, 0], captions)


def test_a_name_that_is_added_later_is_known():
    assert "toy" in NAMES and not wants_grid("toy") and not wants_grid("loud")


def test_own_arguments_are_the_plain_ones_with_the_defaults_of_that_name():
    own = {"loud": 1.0, "depth": 1, "cell": "tanh", "skip": False}
    assert own_arguments("toy") == own
    assert own_arguments("loud") == {**own, "loud": 9.0}
    assert own_arguments("adaptive") == {}
    assert own_arguments("lstm_every") == {"inject": "every"}


def test_a_run_hands_a_decoders_own_arguments_to_the_checkpoint():
    found = architecture(CaptioningSettings("data", decoder="loud", **SIZES))
    assert found["decoder"] == {"name": "loud", **SIZES, "loud": 9.0, "depth": 1, "cell": "tanh",
                                "skip": False}
    assert build_decoder(vocab_size=8, **found["decoder"]).loud == 9


@torch.no_grad()
def test_a_checkpoint_keeps_a_decoders_own_arguments(tmp_path, monkeypatch):
    own = {"loud": 2.5, "depth": 2, "cell": "relu", "skip": True}
    made, features = captioner(**own), torch.randn(20, 12)
    save_captioner(tmp_path / "toy.safetensors", made)
    loaded = load_captioner(tmp_path / "toy.safetensors")
    assert loaded.architecture == made.architecture and loaded.decoder.loud == 2.5
    found = search(loaded.decoder, features)
    assert found == search(made.decoder, features)
    loaded.decoder.loud = 1.0                           # so the argument makes a difference
    assert search(loaded.decoder, features) != found


def test_a_checkpoint_without_them_has_the_defaults(tmp_path):
    save_captioner(tmp_path / "toy.safetensors", captioner())
    assert load_captioner(tmp_path / "toy.safetensors").decoder.loud == 1


@pytest.mark.parametrize("own, sentence", [
    ({"width": 3}, "decoder toy takes no argument 'width' with the value 3; those of its own are: "
                   "loud=1.0, depth=1, cell='tanh', skip=False"),
    ({"depth": "2"}, "takes no argument 'depth' with the value '2'"),
    ({"depth": True}, "takes no argument 'depth' with the value True"),
    ({"cell": ["tanh"]}, "takes no argument 'cell'"),
    ({"activation": "Tanh"}, "takes no argument 'activation'"),
    ({"self": 1}, "takes no argument 'self'"),
    ({"cell": "gru"}, "cell is tanh or relu, not gru"),
    ({"depth": 0}, "num_layers must be greater than zero"),
    ({"loud": 1e9}, "own arguments are absurd"),
    ({"loud": float("nan")}, "own arguments are absurd"),
])
def test_arguments_that_the_constructor_does_not_take_are_one_sentence(tmp_path, own, sentence):
    path = tmp_path / "toy.safetensors"
    save_captioner(path, captioner())
    tensors, header = tensor_file.read(path, "captioner", FORMAT, "")
    header["architecture"]["decoder"] |= own
    tensor_file.write(path, "captioner", FORMAT, tensors, header)
    with pytest.raises(BadInput) as refused:
        load_captioner(path)
    assert sentence in str(refused.value) and str(refused.value).isprintable()


def test_a_decoder_whose_paper_has_no_layers_refuses_a_file_that_gives_some(tmp_path):
    path = tmp_path / "soft.safetensors"
    save_captioner(path, captioner("soft"))
    tensors, header = tensor_file.read(path, "captioner", FORMAT, "")
    header["architecture"]["decoder"]["num_layers"] = 2
    tensor_file.write(path, "captioner", FORMAT, tensors, header)
    with pytest.raises(BadInput, match="cannot be built .SoftAttention has 1 layer, not 2"):
        load_captioner(path)


def test_an_unknown_argument_is_refused_where_a_decoder_is_built():
    with pytest.raises(ValueError, match="adaptive takes no argument 'loud'.*of its own are: none"):
        build_decoder("adaptive", 8, **SIZES, loud=2.0)
