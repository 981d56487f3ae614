"""The fast encoder gives the plain one's features, in order, whatever the number of cores."""

import threading
import time

import pytest
import torch
from torch import nn

from encoders.backbones import Backbone
from encoders.encoding import BATCH_SIZE, encode, fast, in_order
from system.processor import precision_of, trains_in_bfloat16


@pytest.fixture
def threads():
    """Set how many cores torch may use; conftest's one comes back in the end."""
    yield torch.set_num_threads
    torch.set_num_threads(1)


def with_statistics(name, grid=True):
    """A network whose batch norms do something, as they do after training."""
    torch.manual_seed(0)
    backbone = Backbone(name, weights=None, grid=grid)
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return backbone


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "vgg16", "inception_v3",
                                  "efficientnet_b0", "efficientnet_lite0"])
def test_a_folded_network_gives_the_same_features(name):
    backbone = with_statistics(name)
    network, images = fast(backbone, torch.float32), torch.randn(2, 3, 96, 96)
    plain = backbone(images)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    assert torch.allclose(network(images), plain, rtol=1e-3, atol=1e-4 * plain.abs().max())


@pytest.mark.parametrize("name", ["resnet50", "efficientnet_lite0"])
def test_bfloat16_changes_the_pooled_feature_by_less_than_a_hundredth(name):
    backbone, images = with_statistics(name, grid=False), torch.randn(4, 3, 96, 96)
    found = torch.from_numpy(encode(fast(backbone, torch.bfloat16), images)).float()
    assert torch.cosine_similarity(found, backbone(images)).min() > 0.99


def test_the_backbone_itself_is_left_as_it_was():
    backbone = with_statistics("efficientnet_lite0")
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    fast(backbone, torch.bfloat16)
    after = backbone.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert after.keys() == before.keys()


def test_a_large_batch_is_encoded_like_its_parts():
    network = fast(with_statistics("resnet18"))
    images = torch.randn(2 * BATCH_SIZE + 3, 3, 64, 64)
    parts = [encode(network, some) for some in images.split(BATCH_SIZE)]
    assert (encode(network, images) == [row for part in parts for row in part]).all()


def test_a_processor_without_bfloat16_keeps_float32(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True}, raising=False)
    assert precision_of("cpu") == torch.float32
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    assert precision_of("cpu") == torch.bfloat16


def test_what_a_processor_does_not_do_is_found_out_by_trying(monkeypatch):
    def refuse(self, inputs):
        raise RuntimeError("could not create a primitive descriptor")

    state = torch.get_rng_state()
    trains_in_bfloat16.cache_clear()
    assert trains_in_bfloat16("cpu") in (True, False)
    assert torch.equal(torch.get_rng_state(), state)        # to ask moves nobody's random numbers
    monkeypatch.setattr(nn.LSTM, "forward", refuse)
    trains_in_bfloat16.cache_clear()
    assert not trains_in_bfloat16("cpu")
    trains_in_bfloat16.cache_clear()


@pytest.mark.parametrize("cores", [1, 3])
def test_work_done_at_once_comes_back_in_order(threads, cores):
    threads(cores)

    def work(number):
        time.sleep(0.01 * (number % 3))
        return number, torch.get_num_threads()

    assert list(in_order(work, range(20))) == [(number, 1) for number in range(20)]
    assert torch.get_num_threads() == cores


def test_work_runs_ahead_by_a_few_items_only(threads):
    threads(2)
    begun = []
    found = in_order(begun.append, range(1000))
    next(found)
    time.sleep(0.05)
    assert len(begun) < 10
    found.close()
    assert len(begun) < 10 and torch.get_num_threads() == 2


def test_what_goes_wrong_in_a_thread_is_raised_and_ends_the_others(threads):
    threads(2)
    before = threading.active_count()

    def work(number):
        if number == 3:
            raise ValueError("item 3")
        return number

    found = in_order(work, range(1000))
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="item 3"):
        next(found)
    assert threading.active_count() == before and torch.get_num_threads() == 2


@pytest.mark.parametrize("cores", [2, 4])
def test_features_do_not_depend_on_the_number_of_cores(threads, cores):
    network = fast(with_statistics("efficientnet_lite0"))
    batches = torch.randn(6, 4, 3, 64, 64)
    one = [encode(network, images) for images in batches]
    threads(cores)
    many = list(in_order(lambda images: encode(network, images), batches))
    assert all((first == second).all() for first, second in zip(one, many, strict=True))
