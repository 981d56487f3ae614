"""A head is what a backbone leaves out of a classifier; its costs are the publisher's."""


import pytest
import skimage.data
import torch
import torchvision
from PIL import Image
from torch import nn

from encoders import backbones
from encoders.backbones import NAMES, Backbone, transform_of
from encoders.classifiers import AVERAGED, HEADS, class_names, cost_of, cost_table, head_of
from system.files import BadInput

OPTIONS = {"inception_v3": {"init_weights": False}}


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0", "inception_v3"])
def test_a_head_gives_the_classifier_s_scores_of_its_last_maps(name, monkeypatch, tmp_path):
    torch.manual_seed(0)
    network = getattr(torchvision.models, name)(weights=None, **OPTIONS.get(name, {})).eval()
    torch.save(network.state_dict(), tmp_path / "published.pth")
    monkeypatch.setattr(backbones, "fetch_weights", lambda *_: tmp_path / "published.pth")
    network.avgpool.register_forward_pre_hook(lambda _, given: seen.extend(given))
    seen = []
    with torch.no_grad():
        scores = network(torch.randn(1, 3, 96, 96))
        assert scores.shape == (1, 1000)
        torch.testing.assert_close(head_of(name)(seen[0]), scores)


def test_the_head_of_the_installed_weights_names_an_espresso():
    picture = transform_of("efficientnet_lite0")(Image.fromarray(skimage.data.coffee()))
    with torch.no_grad():
        scores = head_of("efficientnet_lite0")(Backbone("efficientnet_lite0").stages(picture[None]))
    assert class_names()[scores.argmax()] == "espresso" and scores.softmax(dim=1).max() > 0.8


@pytest.mark.parametrize("name", ["resnet18", "vgg16", "efficientnet_lite0"])
def test_the_costs_name_the_layers_of_the_head(name):
    with torch.device("meta"):
        head = head_of(name, weights=None)
    linear, cost = [layer for layer in head if isinstance(layer, nn.Linear)], cost_of(name)
    assert cost.widths == (*(layer.in_features for layer in linear), linear[-1].out_features)
    assert cost.removed == sum(parameter.numel() for parameter in head.parameters())
    assert (len(linear) == 1) == (name in AVERAGED)


@pytest.mark.parametrize("name, auxiliary", [
    ("resnet50", 0), ("vgg16", 0), ("inception_v3", 3_326_696), ("efficientnet_b0", 0)])
def test_the_costs_are_those_that_torchvision_publishes(name, auxiliary):
    cost, published = cost_of(name), torchvision.models.get_model_weights(name).IMAGENET1K_V1.meta
    assert cost.parameters + cost.removed + auxiliary == published["num_params"]
    products = sum(before * after for before, after in zip(cost.widths, cost.widths[1:],
                                                           strict=False))
    # there a multiplication and an addition are one
    assert (cost.flops / 2 + products) / 1e9 == pytest.approx(published["_ops"], abs=6e-4)


def test_the_table_has_a_row_for_each_network():
    head, _, first, second = cost_table(["resnet18", "efficientnet_lite0"]).splitlines()
    assert head.count("|") == first.count("|") == 8
    assert first == "| resnet18 | 224 x 224 | 512 x 7 x 7 | 11.2 M | 3.6 | 512 → 1000 | 0.5 M |"
    assert second.startswith("| efficientnet_lite0 | 224 x 224 | 1280 x 7 x 7 | 3.4 M ")


def test_networks_that_others_add_have_no_head():
    assert HEADS.keys() <= NAMES
    with pytest.raises(BadInput, match="no classifier of 'mine': choose one of resnet18, "):
        head_of("mine")
