"""The checks of exercises refuse wrong answers, each in a sentence about what is wrong with it."""

from types import SimpleNamespace

import pytest
import torch
from torchvision.models import resnet18

from tests.test_small_data import run

WRONG_MAPS = {
    "returns no tensor": "None",
    "are \\(4, 2, 3\\)": "weight @ maps.flatten(1) + bias.unsqueeze(1)",
    "give just the first map": "(weight @ maps.mT.flatten(1) + bias.unsqueeze(1)).view(-1, 2, 3)",
    "weigh each map and add": "(weight[:, :1] @ maps[:1].flatten(1)).view(-1, *maps.shape[1:])",
    "whole shift to every cell": "(weight @ maps.flatten(1)).view(-1, *maps.shape[1:])"}
F = "block.bn2(block.conv2(block.bn1(block.conv1(x)).relu()))"
SHORTCUT = "(x if block.downsample is None else block.downsample(x))"
WRONG_BLOCKS = {
    "returns no tensor": "None",
    "changed its input": f"({F} + x.relu_()).relu()",
    "the sum is missing": f"{F}.relu()",
    "the last step is a ReLU": f"{F} + {SHORTCUT}",
    "no ReLU before the sum": f"({F}.relu() + {SHORTCUT}).relu()",
    "in turn": f"({F.replace('bn2', 'bn1')} + {SHORTCUT}).relu()",
    "use downsample": f"({F} + x).relu()",
    "add downsample": f"({F} + (x if block.downsample is None else 0)).relu()"}


@pytest.fixture(scope="module")
def classified():
    """What the notebook has of a photograph by its exercises, of random numbers."""
    torch.manual_seed(0)
    maps, weight, bias = torch.randn(1, 8, 3, 3), torch.randn(5, 8), torch.randn(5)
    return {"torch": torch, "maps": [maps], "weight": weight, "bias": bias, "names": "abcde",
            "class_scores": weight @ maps[0].mean(dim=(1, 2)) + bias}


@pytest.fixture(scope="module")
def blocks():
    """Torchvision as the check sees it, with one network instead of a new one each time."""
    network = resnet18(weights=None)
    models = SimpleNamespace(resnet18=lambda weights: network)
    return {"torch": torch, "torchvision": SimpleNamespace(models=models)}


def test_the_checks_accept_their_solutions(classified, blocks):
    names = run("1_Preliminaries", "def heat_maps(", **classified)
    run("1_Preliminaries", "# check 1.6", **names)
    names = run("1_Preliminaries", "def residual(", **blocks)
    run("1_Preliminaries", "# check 1.7", **names)


@pytest.mark.parametrize("said", WRONG_MAPS)
def test_a_wrong_heat_map_is_refused(said, classified):
    answer = eval(f"lambda maps, weight, bias: {WRONG_MAPS[said]}")
    with pytest.raises(AssertionError, match=said):
        run("1_Preliminaries", "# check 1.6", heat_maps=answer, **classified)


@pytest.mark.parametrize("said", WRONG_BLOCKS)
def test_a_wrong_residual_block_is_refused(said, blocks):
    torch.manual_seed(0)
    answer = eval(f"lambda block, x: {WRONG_BLOCKS[said]}")
    with pytest.raises(AssertionError, match=said):
        run("1_Preliminaries", "# check 1.7", residual=answer, **blocks)
