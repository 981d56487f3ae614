"""The fast dropout zeroes as often as PyTorch's, and a model that is given it stays the same model.
"""

import pytest
import torch
from torch import nn

from decoders.registry import NAMES, build_decoder, wants_grid
from training.dropout import FastDropout, use_fast_dropout


@pytest.mark.parametrize("kind", [nn.Dropout, FastDropout])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_zeroes_with_its_probability_and_keeps_the_mean(kind, p):
    drop, ones = kind(p), torch.ones(401, 499)                  # a number of no eights
    torch.manual_seed(0)
    first = drop(ones)
    zeroed = (first == 0).float()
    assert zeroed.mean().item() == pytest.approx(p, abs=0.01)
    assert first.mean().item() == pytest.approx(1, abs=0.05)
    for shifted in (zeroed.roll(1, 1), zeroed.roll(1, 0)):      # neighbours are independent
        assert (zeroed * shifted).mean().item() == pytest.approx(p**2, abs=0.01)
    torch.manual_seed(0)
    assert torch.equal(drop(ones), first) and not torch.equal(drop(ones), first)
    assert drop.eval()(ones) is ones


def test_fast_dropout_scales_what_it_keeps_by_the_rounded_probability():
    kept = FastDropout(0.3)(torch.ones(999)).unique()
    assert kept.tolist() == [0, pytest.approx(256 / (256 - 77))]
    assert FastDropout(0.999)(torch.ones(9999)).isfinite().all()
    ones = torch.ones(9)
    assert FastDropout(0.0)(ones) is ones


def test_fast_dropout_draws_the_bytes_of_64_bit_integers():
    """A byte for each number, eight of a draw: what a seed gives must not change."""
    values = torch.randn(3, 7)
    torch.manual_seed(5)
    found = FastDropout(0.5)(values)
    torch.manual_seed(5)
    drawn = torch.empty(3, dtype=torch.int64).random_(-2**63, None).view(torch.uint8)[:21]
    assert torch.equal(found, values * (drawn.view(3, 7) >= 128) * 2)


@pytest.mark.parametrize("name", NAMES)
def test_swapping_leaves_a_decoder_the_same_and_reaches_all_its_dropout(name):
    torch.manual_seed(0)
    decoder = build_decoder(name, 11, embed_size=8, hidden_size=8, num_layers=1, dropout=0.5)
    features = torch.randn(2, *([4] if wants_grid(name) else []), 8)
    captions = torch.randint(3, 11, (2, 5))
    parameters, expected = list(decoder.parameters()), decoder.eval()(features, captions)
    count = sum(type(one) is nn.Dropout for one in decoder.modules())
    use_fast_dropout(decoder)
    use_fast_dropout(decoder)                                   # twice is once
    assert [one.p for one in decoder.modules() if type(one) is FastDropout] == [0.5] * count
    assert count and not any(type(one) is nn.Dropout for one in decoder.modules())
    assert all(one is other for one, other in zip(decoder.parameters(), parameters, strict=True))
    assert torch.equal(decoder(features, captions), expected)
    assert not torch.equal(decoder.train()(features, captions), expected)


def test_a_swapped_part_stays_in_its_mode():
    model = nn.Sequential(nn.Dropout(0.5), nn.Sequential(nn.Dropout(0.5).eval()))
    use_fast_dropout(model)
    assert model[0].training and not model[1][0].training
