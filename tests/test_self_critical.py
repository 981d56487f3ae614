"""The objective of self-critical training against the reward that it is to raise."""

import itertools

import pytest
import torch
from torch import nn

from captioning.self_critical import SelfCritical
from data_loader import Batch
from model import DecoderRNN

REWARDS = {(0, 1): 0.1, (0, 2, 1): 1.0, (0, 3, 1): 3.0}     # all captions of at most three ids


class Given:
    """Rewards by a table."""

    def of(self, captions, pictures, longest):
        return torch.tensor([REWARDS[tuple(one)] for one in captions])


@pytest.fixture
def model():
    torch.manual_seed(0)
    return SelfCritical(nn.Linear(3, 6), DecoderRNN(6, 6, 4), Given(), 2, max_length=3
                        ).double().eval()


def batch(lengths):
    images = torch.randn(1, 3, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    return Batch(images, None, torch.tensor(lengths), torch.tensor([0]))


def drawn(model, monkeypatch, *captions):
    monkeypatch.setattr(model, "draw", lambda *_: (list(map(list, captions)), [0, 0]))
    return model


def test_its_gradient_is_that_of_the_mean_reward_over_all_samples_cut_off_ones_too(
        model, monkeypatch):
    given, weights = batch([5]), list(model.parameters())
    state = model.decoder.begin(model.encoder(given.images))
    scores, _ = model.decoder.step(torch.tensor([0]), state)
    likely = scores[0, 1:].softmax(dim=0)                   # <start> is never drawn
    mean = sum(chance * reward for chance, reward in zip(likely, REWARDS.values(), strict=True))
    expected = torch.autograd.grad(-mean, weights, retain_graph=True)
    found = [torch.zeros_like(weight) for weight in weights]
    for one, other in itertools.product(range(3), repeat=2):
        captions = [list(REWARDS)[place] for place in (one, other)]
        objective, *_ = drawn(model, monkeypatch, *captions)(given)
        gradients = torch.autograd.grad(objective / 2, weights)
        for total, gradient in zip(found, gradients, strict=True):
            total += likely[one].item() * likely[other].item() * gradient
    for total, gradient in zip(found, expected, strict=True):
        torch.testing.assert_close(total, gradient, rtol=1e-6, atol=1e-9)


def test_a_cut_off_end_is_no_word_that_was_drawn(model, monkeypatch):
    _, _, words = drawn(model, monkeypatch, (0, 3, 1), (0, 1))(batch([5]))
    assert words == 2


def test_a_process_without_a_part_of_the_batch_adds_nothing(model, monkeypatch):
    objective, loss, words = drawn(model, monkeypatch, (0, 3, 1), (0, 1))(batch([1]))
    objective.backward()
    assert objective == loss == words == 0
    assert all(not weight.grad.any() for weight in model.parameters())
