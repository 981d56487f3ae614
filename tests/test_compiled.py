"""Stages compiled by OpenVINO give the plain ones' features, and stand aside where they cannot."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from coco.dataset import read_split
from encoders import encoding as module
from encoders.backbones import Backbone
from encoders.concept_cells import ConceptBackbone
from encoders.concepts import WORDS
from encoders.detector import Maps
from encoders.encoding import BATCH_SIZE, WORTH, CompiledStages, compiled, encode, fast
from encoders.features import encode_split
from encoders.transform import Transform
from tests.test_encoding import with_statistics

# another thread than built the only model lets go of it, as where it collects garbage
ENDING = """
import signal, sys, threading
import torch
from encoders.backbones import Backbone
from encoders.encoding import BATCH_SIZE, CompiledStages, fast
plain = fast(Backbone("efficientnet_lite0", weights=None))
models = [CompiledStages(plain.stages[:2], (3, 32, 32))]
models[0](torch.zeros(BATCH_SIZE, 3, 32, 32))
thread = threading.Thread(target=models.clear)
thread.start()
thread.join()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("stopped", *(name for name in sys.modules if name.startswith("openvino_telemetry.")))
"""
needs_openvino = pytest.mark.skipif(module.importlib.util.find_spec("openvino") is None,
                                    reason="openvino is not installed")


@needs_openvino
@pytest.mark.parametrize("grid", [True, False])
@pytest.mark.parametrize(("name", "side"), [("efficientnet_lite0", 96), ("efficientnet_lite2", 77)])
def test_compiled_stages_give_the_same_features(name, side, grid):
    backbone = with_statistics(name, grid)
    network = compiled(fast(backbone, torch.float32), side, WORTH)
    assert isinstance(network.stages[0], CompiledStages)
    images = torch.randn(BATCH_SIZE + 3, 3, side, side)         # the second batch is not full
    found, plain = torch.from_numpy(encode(network, images)).float(), backbone(images)
    assert found.shape == plain.shape
    assert torch.allclose(found, plain, rtol=2e-3, atol=1e-3 * plain.abs().max())


@needs_openvino
@pytest.mark.parametrize("apart", [None, 6])
def test_the_cells_and_the_words_of_concepts_stay_the_same(apart):
    torch.manual_seed(0)
    backbone = ConceptBackbone("efficientnet_lite0", "pretrained", None, WORDS, apart)
    with torch.no_grad():
        backbone.stages[7][0].layers[0][0].weight.mul_(1.2)
    network = compiled(fast(backbone, torch.float32), 96, WORTH)
    assert isinstance(network.stages[0], CompiledStages)
    images = torch.randn(BATCH_SIZE + 3, 3, 96, 96)
    found, plain = torch.from_numpy(encode(network, images)).float(), backbone(images)
    assert found.shape == plain.shape
    for ours, theirs in ((found[:, :-1], plain[:, :-1]), (found[:, -1], plain[:, -1])):
        assert torch.allclose(ours, theirs, rtol=2e-3, atol=1e-3 * theirs.abs().max())


@needs_openvino
def test_threads_that_compute_at_once_do_not_mix_their_pictures():
    torch.set_num_threads(3)
    try:
        network = compiled(fast(with_statistics("efficientnet_lite0"), torch.float32), 64, WORTH)
    finally:
        torch.set_num_threads(1)
    images = [torch.randn(BATCH_SIZE, 3, 64, 64) for _ in range(6)]
    alone, together = [encode(network, some) for some in images], [None] * 6

    def work(number):
        for _ in range(5):
            together[number] = encode(network, images[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


@needs_openvino
def test_ctrl_c_after_a_pass_is_an_interrupt_and_nothing_is_told_to_anybody():
    done = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True,
                          timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "stopped"), done.stderr


@needs_openvino
def test_the_first_call_is_over_before_threads_may_call(monkeypatch):
    seen = []
    monkeypatch.setattr(CompiledStages, "forward", lambda _, maps: seen.append(tuple(maps.shape)))
    compiled(fast(Backbone("efficientnet_lite0", weights=None)), 32, WORTH)
    assert seen == [(BATCH_SIZE, 3, 32, 32)]


@needs_openvino
def test_many_pictures_of_a_dataset_are_encoded_by_compiled_stages(tiny_root, monkeypatch):
    split, built = read_split(tiny_root, "train"), []
    transform = Transform(64, (0.5,) * 3, (0.5,) * 3)

    class Counted(CompiledStages):
        def __init__(self, stages, shape):
            built.append(shape)
            super().__init__(stages, shape)

    monkeypatch.setattr(module, "CompiledStages", Counted)
    plain = encode_split(with_statistics("efficientnet_lite0"), transform, split)
    assert not built                                            # so few are not worth it
    monkeypatch.setattr(module, "WORTH", len(split.pictures))
    found = encode_split(with_statistics("efficientnet_lite0"), transform, split)
    assert built == [(3, 64, 64)] and found.shape == plain.shape
    rows = [torch.from_numpy(one[0]).float().flatten(1) for one in (plain, found)]
    assert torch.cosine_similarity(*rows).min() > 0.99


def test_other_networks_and_few_pictures_are_left_as_they_are(monkeypatch):
    lite = fast(Backbone("efficientnet_lite0", weights=None))
    assert compiled(lite, 64, WORTH - 1) is lite and len(lite.stages) > 1
    resnet = fast(Backbone("resnet18", weights=None))
    assert compiled(resnet, 64, WORTH) is resnet and len(resnet.stages) > 1
    maps = fast(Maps("efficientnet_lite0", weights=None))       # reads what lies between stages
    assert compiled(maps, 224, WORTH) is maps and len(maps.stages) > 1
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    assert compiled(lite, 64, WORTH) is lite and len(lite.stages) > 1
