"""A checkpoint is the whole captioner, and nothing else passes for one."""

import pickle

import pytest
import torch
from safetensors.torch import save_file

import backbones
from backbones import transform_of
from checkpoint import Captioner, load_captioner, save_captioner
from evaluation import describe
from files import BadInput
from vocabulary import Vocabulary


def captioner(seed=0):
    torch.manual_seed(seed)
    architecture = {"encoder": {"backbone": "efficientnet_lite0", "grid": False},
                    "decoder": {"embed_size": 12, "hidden_size": 12, "num_layers": 2,
                                "inject": "every", "dropout": 0.5}}
    vocab = Vocabulary(words=["a", "red", "ball", "it's", "naïve", "🙂"])
    made = Captioner.build(architecture, vocab, transform_of("efficientnet_lite0", "crop"), None)
    with torch.no_grad():
        made.decoder.scores.weight.mul_(8)
    return made


def test_a_loaded_captioner_says_the_same_and_needs_no_other_file(tmp_path, monkeypatch):
    made = captioner()
    with torch.no_grad():                   # a checkpoint holds matrices in half precision
        for parameter in [*made.encoder.embed.parameters(), *made.decoder.parameters()]:
            parameter.copy_(parameter.half() if parameter.dim() > 1 else parameter)
    save_captioner(tmp_path / "best.safetensors", made, data="tiny")
    monkeypatch.setattr(backbones, "lite_file", lambda name: pytest.fail("read other weights"))
    loaded = load_captioner(tmp_path)
    assert loaded.vocab.words == made.vocab.words and loaded.transform == made.transform
    assert loaded.about["data"] == "tiny"
    assert not loaded.encoder.training and not loaded.decoder.training
    for name, tensor in made.tensors().items():
        assert torch.equal(loaded.tensors()[name], tensor), name
    pictures = [backbones.Image.effect_noise((90, 60), 50 + k) for k in range(3)]
    assert describe(loaded, pictures) == describe(made, pictures)


def test_the_encoder_s_fingerprint_survives_so_that_cached_features_are_found(tmp_path):
    made = captioner()
    save_captioner(tmp_path / "best.safetensors", made)
    loaded = load_captioner(tmp_path)
    assert loaded.encoder.backbone.fingerprint() == made.encoder.backbone.fingerprint()


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code was run')",))


def test_what_is_no_checkpoint_is_refused_in_one_sentence(tmp_path):
    save_captioner(tmp_path / "whole.safetensors", captioner())
    whole = (tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[:len(whole) // 2])
    (tmp_path / "pickle.pkl").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "empty").write_bytes(b"")
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    for name in ("cut.safetensors", "pickle.pkl", "empty", "other.safetensors", "absent"):
        with pytest.raises(BadInput) as refusal:
            load_captioner(tmp_path / name)
        assert name in str(refusal.value) and "\n" not in str(refusal.value)
