"""The Transformer is PyTorch's, and the geometry of its encoder that of two boxes worked by hand.

What all decoders promise is in test_attention.py.

Shape letters:  P pictures   B captions   T tokens   L grid cells   V vocabulary
                E embedding   H width of the model   N layers   M heads
"""

import math
from functools import partial

import pytest
import torch
from torch import nn

from decoders.base import grid_boxes
from decoders.transformer import (
    MultiHeadAttention,
    ObjectTransformer,
    Transformer,
    displacements,
    positions,
    sinusoids,
)
from tests.test_attention import decoder, grids_and_captions

P, T, L, V, E, H, M = 3, 7, 9, 11, 12, 16, 8
TWO_LAYERS = partial(Transformer, num_layers=2)


def copy_attention(ours, theirs):
    theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key_value.weight]))
    theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key_value.bias]))
    theirs.out_proj.load_state_dict(ours.join.state_dict())


def copy_rest(ours, theirs):
    theirs.linear1.load_state_dict(ours.feed_forward[0].state_dict())
    theirs.linear2.load_state_dict(ours.feed_forward[2].state_dict())
    for number, norm in enumerate(ours.norms, start=1):
        getattr(theirs, f"norm{number}").load_state_dict(norm.state_dict())


@torch.no_grad()
def as_pytorch(model):
    """The same network, made of PyTorch's own layers."""
    theirs = nn.Transformer(H, M, len(model.encoder), len(model.decoder), 4 * H, dropout=0.0,
                            batch_first=True, norm_first=True).eval()
    for ours, layer in zip(model.encoder, theirs.encoder.layers, strict=True):
        copy_attention(ours.self_attention, layer.self_attn)
        copy_rest(ours, layer)
    for ours, layer in zip(model.decoder, theirs.decoder.layers, strict=True):
        copy_attention(ours.self_attention, layer.self_attn)
        copy_attention(ours.cross_attention, layer.multihead_attn)
        copy_rest(ours, layer)
    theirs.encoder.norm.load_state_dict(model.encoder_norm.state_dict())
    theirs.decoder.norm.load_state_dict(model.decoder_norm.state_dict())
    return theirs


def wave(place, entry):
    """Section 3.5: one entry of a position's vector."""
    angle = place / 10_000 ** ((entry - entry % 2) / H)
    return math.cos(angle) if entry % 2 else math.sin(angle)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")      # of nn.Transformer with norm_first
def test_the_transformer_is_pytorchs():
    model, (features, captions) = decoder(TWO_LAYERS), grids_and_captions()
    waves = torch.tensor([[wave(place, entry) for entry in range(H)] for place in range(L)])
    cells = nn.functional.layer_norm(features, (E,), model.norm.weight, model.norm.bias)
    words = model.from_word(model.words.weight[captions[:, :-1]] * E**0.5)
    mask = nn.Transformer.generate_square_subsequent_mask(T - 1)
    expected = as_pytorch(model)(model.from_cell(cells) + waves, words + waves[: T - 1],
                                 tgt_mask=mask)
    hidden = model.hidden(features, captions)
    torch.testing.assert_close(hidden[:, 1:], expected, rtol=0, atol=1e-5)
    scores = model.to_word(expected) @ model.words.weight.T + model.bias
    torch.testing.assert_close(model(features, captions)[:, 1:], scores, rtol=0, atol=1e-5)


def test_weights_are_the_mean_of_the_last_layers_heads():
    model, (features, captions) = decoder(TWO_LAYERS), grids_and_captions(each=2)
    seen = []
    last = model.decoder[-1].cross_attention
    last.register_forward_hook(lambda _, given, out: seen.append(out[1]))
    weights = model.attended(features, captions)[1]
    heads = seen[0].unflatten(2, (2, T - 1))                            # (P, M, k, T - 1, L)
    for caption in range(2 * P):
        expected = heads[caption // 2, :, caption % 2].mean(dim=0)
        torch.testing.assert_close(weights[caption, 1:], expected)


def test_a_step_reads_one_word_and_keeps_what_it_made_of_the_others():
    model, (features, captions) = decoder(TWO_LAYERS), grids_and_captions()
    state, read = model.begin(features), []
    model.from_word.register_forward_hook(lambda _, given, out: read.append(out.shape[1]))
    model.from_cell.register_forward_hook(lambda _, given, out: pytest.fail("the picture again"))
    for t in range(3):
        before = state
        _, state = model.step(captions[:, t], state)
        (past,), (memory, _) = state
        assert past.shape == (P, 2, t + 1, 2 * H)
        assert torch.equal(past[:, :, :t], before.own[0]) and memory is before.shared[0]
    assert read == [1, 1, 1]


def test_the_order_of_words_and_of_cells_matters():
    model, (features, captions) = decoder(Transformer), grids_and_captions()
    captions = captions[:, :3].repeat_interleave(2, 0)                  # pairs: a b, b a
    captions[1::2, 1:] = captions[1::2, 1:].flip(1)
    said = torch.cat([captions, captions[:, :1]], dim=1)
    hidden = model.hidden(features, said)[:, -1]
    turned = model.hidden(features.flip(1), said)[:, -1]
    for one, other in ((hidden[::2], hidden[1::2]), (hidden, turned)):
        assert not torch.isclose(one, other, atol=1e-3).all(dim=1).any()


def test_dropout_acts_on_all_that_a_layer_adds():
    model, (features, captions) = decoder(TWO_LAYERS, dropout=0.5).train(), grids_and_captions()
    for layer in (*model.encoder, *model.decoder):
        added = []
        layer.drop.register_forward_hook(lambda _, given, out, to=added: to.append(out == 0))
        layer.feed_forward.register_forward_hook(lambda _, given, out, to=added: to.append(out))
        model(features, captions)
        *attended, fed, silenced = added                # the last is of what was fed forward
        assert len(attended) == len(layer.norms) - 1 and fed.shape == silenced.shape
        assert all(0.3 < part.float().mean() < 0.7 for part in (*attended, silenced))


def test_positions_go_on_where_the_words_before_stopped():
    inputs = torch.zeros(2, 5, H)
    torch.testing.assert_close(positions(3, inputs[:, 3:]), positions(0, inputs)[3:])


def test_displacements_are_those_of_two_boxes_by_hand():
    # of middles (0.2, 0.5), (0.6, 0.3), and sizes (0.1, 0.4), (0.2, 0.2)
    boxes = torch.tensor([[0.15, 0.3, 0.25, 0.7], [0.5, 0.2, 0.7, 0.4]])
    found = displacements(boxes)
    assert found.shape == (2, 2, 4)
    first = [0.4 / 0.1, 0.2 / 0.4, 0.2 / 0.1, 0.2 / 0.4]                # 2 seen from 1
    second = [0.4 / 0.2, 0.2 / 0.2, 0.1 / 0.2, 0.4 / 0.2]
    torch.testing.assert_close(found[0, 1], torch.tensor(first).log())
    torch.testing.assert_close(found[1, 0], torch.tensor(second).log())
    torch.testing.assert_close(found[0, 0], torch.tensor([1e-3, 1e-3, 1, 1]).log())
    mirrored = torch.tensor([1, 0, 1, 0]) + torch.tensor([-1, 1, -1, 1]) * boxes[:, [2, 1, 0, 3]]
    torch.testing.assert_close(displacements(mirrored), found)          # blind to left and right
    both = displacements(torch.stack([boxes, boxes.flip(0)]))
    torch.testing.assert_close(both, torch.stack([found, found.flip(0, 1)]))


def test_the_boxes_of_a_grid_run_row_by_row():
    expected = [[0.0, 0.0, 0.5, 0.5], [0.5, 0.0, 1.0, 0.5],
                [0.0, 0.5, 0.5, 1.0], [0.5, 0.5, 1.0, 1.0]]
    torch.testing.assert_close(grid_boxes(4), torch.tensor(expected))
    with pytest.raises(ValueError, match="square, and 8 cells are none"):
        grid_boxes(8)


def test_geometry_multiplies_what_the_regions_look_like():
    model, (features, _) = decoder(ObjectTransformer), grids_and_captions()
    corners = torch.rand(L, 2) / 2
    seen, boxes = [], torch.cat([corners, corners + 0.1 + torch.rand(L, 2) / 3], dim=1)
    attention = model.encoder[0].self_attention
    attention.register_forward_hook(lambda _, given, out: seen.append((given[0], out[1])))
    beside = torch.cat([boxes, torch.ones(L, 1)], dim=1).expand(len(features), L, 5)
    model.begin(torch.cat([features, beside], dim=2))
    inputs, weights = seen[0]
    apart, size = displacements(boxes), H // M
    keys, queries = attention.key_value(inputs)[..., :H], attention.query(inputs)
    for head in range(M):
        mine = slice(head * size, (head + 1) * size)
        for m in range(L):
            found = []
            for n in range(L):
                embedded = torch.cat([sinusoids(100 * apart[m, n, i], 16) for i in range(4)])
                geometric = model.geometry[0](embedded)[head].relu().clamp(min=1e-6)  # eq. 7
                fits = queries[0, m, mine] @ keys[0, n, mine] / size**0.5
                found.append(geometric * fits.exp())
            expected = torch.stack(found) / sum(found)                  # eq. 8
            torch.testing.assert_close(weights[0, head, m], expected, rtol=1e-3, atol=1e-5)


def test_geometry_that_says_nothing_leaves_the_transformer():
    plain, (features, captions) = decoder(Transformer), grids_and_captions()
    model = decoder(ObjectTransformer)
    missing = model.load_state_dict(plain.state_dict(), strict=False)
    assert set(missing.missing_keys) == {"geometry.0.weight", "geometry.0.bias"}
    assert not torch.allclose(model(features, captions), plain(features, captions), atol=1e-3)
    nn.init.zeros_(model.geometry[0].weight)
    nn.init.constant_(model.geometry[0].bias, 0.3)
    torch.testing.assert_close(model(features, captions), plain(features, captions))


@pytest.mark.parametrize("size, heads", [(512, 8), (64, 8), (20, 4), (9, 1)])
def test_heads_are_eight_or_as_many_as_divide_the_width(size, heads):
    module = MultiHeadAttention(size)
    assert module.heads == heads
    inputs = torch.randn(1, 3, size)
    assert module(inputs, module.key_value(inputs))[1].shape == (1, heads, 3, 3)
