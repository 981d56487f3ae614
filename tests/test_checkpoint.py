"""A checkpoint is the whole captioner, and nothing else passes for one."""

import json
import math
import pickle
import re
import struct
from copy import deepcopy

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from captioning import checkpoint
from captioning.captioner import Captioner
from captioning.checkpoint import FORMAT, load_captioner, save_captioner
from coco.pictures import open_picture
from encoders import backbones
from encoders.backbones import transform_of
from system import tensor_file
from system.files import BadInput
from training.state import load_state, save_state
from vocabulary import Vocabulary

WORDS = ["a", "red", "ball", "it's", "naïve", "🙂"]


def captioner(seed=0, **decoder):
    torch.manual_seed(seed)
    architecture = {"encoder": {"backbone": "efficientnet_lite0", "grid": False},
                    "decoder": {"embed_size": 12, "hidden_size": 12, "num_layers": 2,
                                "name": "lstm_every", "dropout": 0.5, **decoder}}
    made = Captioner.build(architecture, Vocabulary(words=WORDS),
                           transform_of("efficientnet_lite0", "crop"), None)
    with torch.no_grad():
        made.decoder.scores.weight.mul_(8)
    return made


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A whole checkpoint: its path, tensors and header."""
    path = tmp_path_factory.mktemp("whole") / "whole.safetensors"
    save_captioner(path, captioner(), data="tiny", val={"CIDEr": 0.5})
    return path, *tensor_file.read(path, "captioner", FORMAT, "")


@pytest.fixture
def forged(whole, tmp_path):
    """Writes a checkpoint with a valid digest whose tensors or header were changed by a function.
    """
    def write(change):
        tensors, header = dict(whole[1]), deepcopy(whole[2])
        change(tensors, header)
        tensor_file.write(tmp_path / "forged.safetensors", "captioner", FORMAT, tensors, header)
        return tmp_path / "forged.safetensors"

    return write


def refusal(path, load=load_captioner):
    """The one sentence with which a file is refused."""
    with pytest.raises(BadInput) as refused:
        load(path)
    assert str(path) in str(refused.value) and str(refused.value).isprintable()
    return str(refused.value)


def test_a_loaded_captioner_says_the_same_and_needs_no_other_file(tmp_path, monkeypatch):
    made = captioner()
    with torch.no_grad():                   # a checkpoint holds matrices in half precision
        for parameter in [*made.encoder.embed.parameters(), *made.decoder.parameters()]:
            parameter.copy_(parameter.half() if parameter.dim() > 1 else parameter)
    save_captioner(tmp_path / "best.safetensors", made, data="tiny")
    monkeypatch.setattr(backbones, "lite_file", lambda name: pytest.fail("read other weights"))
    loaded = load_captioner(tmp_path)
    (tmp_path / "best.safetensors").write_bytes(b"")        # nor that one, once it is loaded
    assert loaded.vocab.words == made.vocab.words and loaded.transform == made.transform
    assert loaded.about["data"] == "tiny" and loaded.about["torch"]
    assert not loaded.encoder.training and not loaded.decoder.training
    for name, tensor in made.tensors().items():
        assert torch.equal(loaded.tensors()[name], tensor), name
        assert loaded.tensors()[name].dtype == tensor.dtype
    assert [p.requires_grad for p in loaded.encoder.parameters()] == [
        p.requires_grad for p in made.encoder.parameters()]
    pictures = [Image.effect_noise((90, 60), 50 + k) for k in range(3)]
    assert loaded.describe(pictures) == made.describe(pictures)


@pytest.mark.parametrize("kind", ["turned.jpg", "clear.png", "deep.png"])
def test_a_picture_that_is_open_is_seen_as_its_file_is(tmp_path, kind):
    path, exif = tmp_path / kind, Image.Exif()
    exif[0x0112] = 6                                            # as phones write, held upright
    noise = Image.effect_noise((90, 60), 50)
    noise.paste(255, (0, 0, 90, 20))
    {"turned.jpg": lambda: noise.save(path, exif=exif),
     "clear.png": lambda: Image.merge("LA", [noise, noise.rotate(180)]).save(path),
     "deep.png": lambda: Image.fromarray(np.asarray(noise).astype(np.uint16) * 200).save(path)
     }[kind]()
    made = captioner()
    expected = made.encode([open_picture(path)])
    with Image.open(path) as image:
        assert np.array_equal(made.encode([image]), expected)


def test_loading_draws_no_random_number(whole):
    torch.manual_seed(7)
    load_captioner(whole[0])
    drawn = torch.rand(3)
    torch.manual_seed(7)
    assert torch.equal(torch.rand(3), drawn)


def test_equal_captioners_are_equal_files(whole, tmp_path):
    save_captioner(tmp_path / "again", captioner(), data="tiny", val={"CIDEr": 0.5})
    assert (tmp_path / "again").read_bytes() == whole[0].read_bytes()
    with safe_open(whole[0], "pt") as file:
        assert list(file.metadata()) == ["header"]


def test_the_encoder_s_fingerprint_survives_so_that_cached_features_are_found(whole):
    loaded = load_captioner(whole[0])
    assert loaded.encoder.backbone.fingerprint() == captioner().encoder.backbone.fingerprint()


def test_a_checkpoint_packed_again_keeps_what_it_was_made_with(forged, tmp_path):
    loaded = load_captioner(forged(lambda tensors, header: header["about"].update(torch="2.6.1")))
    save_captioner(tmp_path / "again", loaded, **loaded.about)
    assert load_captioner(tmp_path / "again").about == loaded.about
    assert loaded.about["torch"] == "2.6.1" and loaded.about["val"] == {"CIDEr": 0.5}


def test_a_vocabulary_of_another_run_cannot_be_joined_to_a_decoder():
    made = captioner()
    with pytest.raises(BadInput, match="vocabulary has 4 words and the decoder 9"):
        Captioner(made.encoder, made.decoder, Vocabulary(words=["a"]), made.transform,
                  made.architecture, {})


def test_weights_that_float16_cannot_hold_are_not_written(tmp_path):
    made = captioner()
    made.decoder.scores.weight.data[0, 0] = 1e6
    with pytest.raises(BadInput, match="decoder.scores.weight has numbers that float16"):
        save_captioner(tmp_path / "x.safetensors", made)
    assert not list(tmp_path.iterdir())


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code was run')",))


def test_a_pickle_is_called_one_and_none_of_its_code_is_run(tmp_path):
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "x.pkl").write_bytes(pickle.dumps(Evil(), protocol))
        assert "is a pickle, which can run code and is never loaded" in refusal(tmp_path / "x.pkl")
    torch.save({"weights": Evil()}, tmp_path / "x.safetensors")
    assert "is a pickle" in refusal(tmp_path / "x.safetensors")


@pytest.mark.parametrize("first", [0x80, 0x50])
def test_a_checkpoint_that_begins_like_a_pickle_is_none(first, tmp_path):
    """Its first byte is the length of its header."""
    path, tensors = tmp_path / "x.safetensors", {"x": torch.ones(1)}
    for filling in range(256):
        tensor_file.write(path, "test", 1, tensors, {"filling": "-" * filling})
        if path.read_bytes()[0] == first:
            break
    assert path.read_bytes()[0] == first
    assert tensor_file.read(path, "test", 1, "")[0] == tensors


def test_what_is_no_checkpoint_is_refused_in_one_sentence(whole, tmp_path):
    content = whole[0].read_bytes()
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "page.html").write_bytes(b"<html>404 not found</html>")
    (tmp_path / "nested").write_bytes(struct.pack("<Q", 200_000) + b'{"a":' * 40_000 + b"1}")
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "deep.safetensors", {"header": "[" * 200_000})
    save_file({"x": torch.zeros(1)}, tmp_path / "list.safetensors", {"header": "[1]"})
    for name in ("empty", "page.html", "nested", "other.safetensors", "deep.safetensors",
                 "list.safetensors", "absent"):
        refusal(tmp_path / name)
    for cut in (4, 8, 100, len(content) // 2, len(content) - 1):
        (tmp_path / "cut.safetensors").write_bytes(content[:cut])
        refusal(tmp_path / "cut.safetensors")
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadInput, match="best.safetensors is not there"):
        load_captioner(tmp_path / "folder")


@pytest.mark.parametrize("length", [2**64 - 1, 2**63, 10**12, tensor_file.LONGEST_HEADER + 1])
def test_a_header_of_absurd_length_is_never_read(length, tmp_path, monkeypatch):
    file = tmp_path / "x.safetensors"
    with open(file, "wb") as out:
        out.write(struct.pack("<Q", length) + b"{")
        out.truncate(tensor_file.LONGEST_HEADER + 100)          # sparse: there, but on no disk
    monkeypatch.setattr(tensor_file, "safe_open", lambda *_: pytest.fail("was opened"))
    assert "cut short, or no safetensors file" in refusal(file)


def test_a_file_of_another_version_or_kind_says_so(whole, tmp_path):
    _, tensors, header = whole
    file = tmp_path / "x.safetensors"
    for version, answer in ((FORMAT + 1, "update the program"), (FORMAT - 1, "made by train.py"),
                            ("2", "made by train.py"), (None, "made by train.py")):
        tensor_file.write(file, "captioner", version, tensors, header)
        assert f"has version {version!r} of the format" in refusal(file)
        assert refusal(file).endswith(answer)
    tensor_file.write(file, "training state", FORMAT, tensors, header)
    assert "is no captioner of this program's" in refusal(file)


def test_a_hundred_random_damages_are_all_found(whole, tmp_path):
    content = np.frombuffer(whole[0].read_bytes(), np.uint8)
    length = 8 + struct.unpack("<Q", content[:8].tobytes())[0]
    random, file = np.random.default_rng(0), tmp_path / "damaged.safetensors"
    for number in range(100):           # half of them in the header, which is the smaller part
        place = random.integers(length if number % 2 else len(content))
        damaged = content.copy()
        damaged[place] ^= 1 << random.integers(8)
        file.write_bytes(damaged.tobytes())
        refusal(file)


@pytest.mark.parametrize("edit", [(b'\\"CIDEr\\": 0.5', b'\\"CIDEr\\": 0.9'),
                                  (b'\\"red\\"', b'\\"bed\\"'), (b'\\"crop\\"', b'\\"grab\\"')])
def test_an_edited_header_is_found(whole, tmp_path, edit):
    content = whole[0].read_bytes()
    assert content.count(edit[0]) == 1
    (tmp_path / "x.safetensors").write_bytes(content.replace(*edit))
    assert "damaged or was edited" in refusal(tmp_path / "x.safetensors")


def test_tensors_that_changed_places_are_found(whole, tmp_path):
    tensors = load_file(whole[0])
    with safe_open(whole[0], "pt") as file:
        metadata = file.metadata()
    one, other = "decoder.lstm.bias_ih_l0", "decoder.lstm.bias_hh_l0"
    tensors[one], tensors[other] = tensors[other], tensors[one]
    save_file(tensors, tmp_path / "x.safetensors", metadata)
    assert "damaged or was edited" in refusal(tmp_path / "x.safetensors")


def put(*path, value):
    """A change of one field of a header."""
    def change(tensors, header):
        for key in path[:-1]:
            header = header[key]
        header[path[-1]] = value
    return change


@pytest.mark.parametrize("change, answer", [
    (put("architecture", "encoder", "backbone", value="../evil"), "backbone is unknown"),
    (put("architecture", "encoder", "backbone", value=["resnet18"]), "fields or types"),
    (put("architecture", "encoder", "backbone", value="efficientnet_lite1"), "tensor"),
    (put("architecture", "encoder", "grid", value=True), "whether there is a grid"),
    (put("architecture", "encoder", "weights", value="evil.pth"), "fields or types"),
    (put("architecture", "decoder", "embed_size", value=10**12), "sizes are absurd"),
    (put("architecture", "decoder", "hidden_size", value=60_000), "instead of"),
    (put("architecture", "decoder", "hidden_size", value=-1), "sizes are absurd"),
    (put("architecture", "decoder", "hidden_size", value=12.0), "fields or types"),
    (put("architecture", "decoder", "hidden_size", value=True), "fields or types"),
    (put("architecture", "decoder", "num_layers", value=10**6), "layers is absurd"),
    (put("architecture", "decoder", "num_layers", value=3), "is missing"),
    (put("architecture", "decoder", "num_layers", value=1), "is unknown"),
    (put("architecture", "decoder", "name", value="oracle"), "decoder is unknown"),
    (put("architecture", "decoder", "dropout", value=math.nan), "dropout is no probability"),
    (put("architecture", "decoder", value=None), "fields or types"),
    (put("transform", "size", value=10**9), "absurd size"),
    (put("transform", "mean", value=[0.5, 0.5]), "fields or types"),
    (put("transform", "mean", value=[0.5, 0.5, math.inf]), "normalisation is absurd"),
    (put("transform", "std", value=[0, 1, 1]), "normalisation is absurd"),
    (put("transform", "fit", value="stretch"), "neither squashed nor cropped"),
    (put("words", value=["<start>", "<end>", "<unk>", "a"]), "instead of"),
    (put("words", 3, value="red"), "different words"),
    (put("words", 3, value=7), "different words"),
    (put("words", 0, value="<begin>"), "special words"),
    (put("words", value={}), "fields or types"),
    (put("about", value="a model"), "fields or types"),
    (put("about", "certain", value=1.5), "certainty is no probability"),
    (put("about", "certain", value="0.5"), "certainty is no probability"),
    (put("about", "no_repeat_ngram", value=-1), "repetitions are absurd"),
    (put("about", "no_repeat_ngram", value="2"), "repetitions are absurd"),
    (put("more", value=1), "fields or types"),
])
def test_an_unsound_header_is_refused_though_its_digest_is_right(forged, change, answer):
    assert answer in refusal(forged(change))


def without(tensors, header):
    del tensors["decoder.scores.bias"]


def with_another(tensors, header):
    tensors["decoder.\n\x1b[2J"] = torch.zeros(1)


def in_double(tensors, header):
    tensors["decoder.scores.bias"] = tensors["decoder.scores.bias"].double()


def of_integers(tensors, header):
    tensors["decoder.scores.weight"] = tensors["decoder.scores.weight"].short()


def turned(tensors, header):
    tensors["decoder.scores.weight"] = tensors["decoder.scores.weight"].T


def with_nan(tensors, header):
    tensors["decoder.norm.weight"] = tensors["decoder.norm.weight"] * math.nan


def with_infinity(tensors, header):
    weight = tensors["encoder.embed.weight"].clone()
    weight[3, 5] = math.inf
    tensors["encoder.embed.weight"] = weight


@pytest.mark.parametrize("change, answer", [
    (without, "scores.bias' is missing"), (with_another, "is unknown"),
    (in_double, "scores.bias is torch.float64 (9,) instead of torch.float32 (9,)"),
    (of_integers, "is torch.int16 (9, 12) instead of torch.float16"),
    (turned, "(12, 9) instead of"), (with_nan, "norm.weight has numbers that are not finite"),
    (with_infinity, "embed.weight has numbers that are not finite")])
def test_tensors_that_are_not_the_expected_are_refused(forged, change, answer):
    assert answer in refusal(forged(change))


def test_an_absurd_header_costs_no_memory(forged, monkeypatch):
    """Networks are built without memory and compared before anything is filled."""
    def built(*arguments, **options):
        made = build(*arguments, **options)
        assert all(tensor.is_meta for tensor in made.tensors().values())
        return made

    build = Captioner.build
    monkeypatch.setattr(Captioner, "build", built)
    change = put("architecture", "decoder", "hidden_size", value=checkpoint.LARGEST)    # 64 GB
    assert "instead of" in refusal(forged(change))


def test_a_device_that_is_not_there_is_named(whole):
    for device in ("cuda:99", "abacus"):
        with pytest.raises(BadInput, match=f"device '{device}' cannot be used"):
            load_captioner(whole[0], device)


def trained_a_step(made):
    optimizer = torch.optim.AdamW(made.decoder.parameters())
    made.decoder(torch.ones(2, 12), torch.zeros(2, 4, dtype=torch.long)).sum().backward()
    optimizer.step()
    return optimizer


def test_a_state_comes_back_bit_for_bit_and_a_damaged_one_is_refused(tmp_path):
    made, file = captioner(dropout=0.0), tmp_path / "state.safetensors"
    optimizer, position = trained_a_step(made), {"epoch": 3, "best": 0.25}
    save_state(file, made, optimizer, position)
    other = captioner(seed=1)
    again = torch.optim.AdamW(other.decoder.parameters())
    assert load_state(file, other, again) == position
    for name, tensor in made.tensors().items():
        assert torch.equal(other.tensors()[name], tensor), name
    for number, moments in optimizer.state_dict()["state"].items():
        for key, value in moments.items():
            assert torch.equal(again.state_dict()["state"][number][key], value)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert re.search("damaged.*give another --run", refusal(
        file, lambda path: load_state(path, other, again)))


def test_a_header_comes_back_as_json_gives_it(tmp_path):
    header = {"1": [1.5, None, True], "naïve": {"deep": "\ud800\n"}}
    tensors = {"scalar": torch.tensor(3), "empty": torch.zeros(0, 4), "flags": torch.tensor([True])}
    tensor_file.write(tmp_path / "x", "test", 1, tensors, header)
    read, found = tensor_file.read(tmp_path / "x", "test", 1, "")
    assert found == json.loads(json.dumps(header))
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("edit", [(b'"x":', b'"y":'), (b'"I16"', b'"F16"'), (b"[2,3]", b"[3,2]")])
def test_a_tensor_of_another_name_type_or_shape_is_found(tmp_path, edit):
    path = tmp_path / "x.safetensors"
    tensor_file.write(path, "test", 1, {"x": torch.ones(2, 3, dtype=torch.int16)}, {})
    content = path.read_bytes()
    assert content.count(edit[0]) == 1
    path.write_bytes(content.replace(*edit))
    with pytest.raises(BadInput, match="damaged or was edited"):
        tensor_file.read(path, "test", 1, "")


def test_a_run_of_which_no_epoch_is_finished_is_said_to_be_one(tmp_path):
    (tmp_path / "settings.json").write_text("{}")
    with pytest.raises(BadInput, match="is a run of which no epoch is finished yet: go on with it"):
        load_captioner(tmp_path)
