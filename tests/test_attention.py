"""Every decoder that looks is one model however it is driven, and the one of its paper's equations.

Shape letters:  P pictures   B captions   k = B / P   T tokens   L grid cells   V vocabulary
                E embedding   H hidden
"""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from captioning.objectives import CrossEntropy
from data_loader import Batch
from decoders.adaptive import AdaptiveAttention
from decoders.attention import SoftAttention, UpDown, penalty
from decoders.hard import HardAttention
from decoders.search import Search, search
from decoders.transformer import ObjectTransformer, Transformer
from system.processor import trains_in_bfloat16
from tests.interface import (
    check_that_rows_can_be_reordered,
    check_that_shared_rows_serve_all_captions,
    check_that_steps_give_the_whole_sequence,
)
from vocabulary import END_ID, START_ID, UNK_ID

P, T, L, V, E, H = 3, 7, 9, 11, 12, 16
KINDS = {"soft": SoftAttention, "hard": HardAttention, "adaptive": AdaptiveAttention,
         "up-down": UpDown, "transformer": Transformer, "object": ObjectTransformer}
DEEP = {f"{name}, 2 layers": partial(KINDS[name], num_layers=2)
        for name in ("adaptive", "transformer", "object")}
EVERY_KIND = pytest.mark.parametrize("kind", [*KINDS.values(), *DEEP.values()],
                                     ids=[*KINDS, *DEEP])


def decoder(kind, dropout=0.0):
    """A decoder with random weights, large enough that words and pictures make a difference."""
    torch.manual_seed(4)
    made = kind(E, H, V, dropout=dropout).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(1.2).add_(0.1 * torch.randn_like(parameter))
    return made


def grids_and_captions(each=1):
    generator = torch.Generator().manual_seed(7)
    captions = torch.randint(UNK_ID, V, (P * each, T), generator=generator)
    captions[:, 0], captions[:, -1] = START_ID, END_ID
    return 2 * torch.randn(P, L, E, generator=generator), captions


@EVERY_KIND
def test_word_by_word_gives_the_scores_of_the_whole_sequence_at_once(kind):
    model, (features, captions) = decoder(kind), grids_and_captions()
    assert model(features, captions).shape == (P, T, V)
    check_that_steps_give_the_whole_sequence(model, features, captions)


@EVERY_KIND
def test_hidden_and_score_are_the_two_halves_of_the_scores(kind):
    model, (features, captions) = decoder(kind), grids_and_captions()
    hidden, weights = model.attended(features, captions)
    assert hidden.shape == (P, T, H) and weights.shape == (P, T, L)
    assert torch.equal(model.hidden(features, captions), hidden)
    expected = model(features, captions)
    torch.testing.assert_close(model.score(hidden), expected)
    torch.testing.assert_close(model.score(hidden[1, 2]), expected[1, 2])


@EVERY_KIND
def test_a_state_is_batch_first_and_can_be_reordered(kind):
    check_that_rows_can_be_reordered(decoder(kind), *grids_and_captions())


@EVERY_KIND
def test_what_belongs_to_a_picture_serves_all_its_rows(kind):
    check_that_shared_rows_serve_all_captions(decoder(kind), *grids_and_captions())


@EVERY_KIND
def test_the_captions_of_a_picture_can_share_its_features(kind):
    model, (features, captions) = decoder(kind), grids_and_captions(each=2)
    together = model.attended(features, captions)
    apart = model.attended(features.repeat_interleave(2, 0), captions)
    for one, other in zip(together, apart, strict=True):
        torch.testing.assert_close(one, other)


@EVERY_KIND
def test_a_batch_gives_what_single_pictures_give(kind):
    model, (features, captions) = decoder(kind), grids_and_captions()
    for row, scores in enumerate(model(features, captions)):
        alone = model(features[row : row + 1], captions[row : row + 1])
        torch.testing.assert_close(alone[0], scores)


@EVERY_KIND
def test_no_word_sees_the_future(kind):
    model, (features, captions) = decoder(kind), grids_and_captions()
    outputs = model.attended(features, captions)
    for t in range(T):
        changed = captions.clone()
        changed[:, t] = UNK_ID + (captions[:, t] - UNK_ID + 1) % (V - UNK_ID)
        others = model.attended(features, changed)
        for other, output in zip(others, outputs, strict=True):
            torch.testing.assert_close(other[:, : t + 1], output[:, : t + 1], rtol=0, atol=1e-6)
        hidden = others[0][:, t + 1 :], outputs[0][:, t + 1 :]
        assert not torch.isclose(*hidden).all(dim=2).any()


@EVERY_KIND
def test_every_word_sees_its_own_picture_and_passes_gradient_to_all_cells(kind):
    model, (features, captions) = decoder(kind), grids_and_captions()
    features.requires_grad_()
    for hidden in model.hidden(features, captions)[:, 1:].unbind(1):
        (gradient,) = torch.autograd.grad(hidden[0].sum(), features, retain_graph=True)
        assert (gradient[0].abs().sum(dim=1) > 0).all()
        assert gradient[1:].abs().sum() == 0


@EVERY_KIND
def test_the_weights_of_every_word_but_the_first_share_out_the_picture(kind):
    model, (features, captions) = decoder(kind), grids_and_captions()
    weights = model.attended(features, captions)[1]
    total = weights[:, 1:].sum(dim=2)
    assert weights[:, 0].eq(0).all() and weights[:, 1:].gt(0).all()
    if isinstance(model, AdaptiveAttention):
        assert total.gt(0).all() and total.lt(1).all()      # the sentinel has the rest
    else:
        torch.testing.assert_close(total, torch.ones(P, T - 1))


@EVERY_KIND
def test_gradient_reaches_every_parameter(kind):
    model, (features, captions) = decoder(kind), grids_and_captions()
    scores = model(features, captions)[:, 1:]
    functional.cross_entropy(scores.flatten(0, 1), captions[:, 1:].flatten()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


@EVERY_KIND
def test_an_encoder_can_be_neither_too_loud_nor_too_faint(kind):
    model, (features, captions) = decoder(kind), grids_and_captions()
    scores = model(features, captions)
    for loudness in (0.5, 100):
        other = model(loudness * features + 5, captions)
        torch.testing.assert_close(other, scores, rtol=0, atol=1e-3)


@EVERY_KIND
def test_words_come_in_as_loud_as_cells_and_scores_start_small(kind):
    torch.manual_seed(0)
    model = kind(64, 64, 500).eval()
    features, captions = torch.randn(4, L, 64), torch.randint(UNK_ID, 500, (4, 20))
    loudness = model.cells(features)[0].std().item()
    assert model.read(captions).std().item() == pytest.approx(loudness, rel=0.1)
    assert 0.05 < model(features, captions)[:, 1:].std() < 1.5


@EVERY_KIND
def test_dropout_acts_in_training_only(kind):
    model, (features, captions) = decoder(kind, dropout=0.5), grids_and_captions()
    assert torch.equal(model(features, captions), model(features, captions))
    torch.testing.assert_close(model(features, captions), decoder(kind)(features, captions))
    silenced = []
    model.train().drop.register_forward_hook(lambda _, given, out: silenced.append(out == 0))
    assert not torch.equal(model(features, captions), model(features, captions))
    assert [part.shape for part in silenced[:2]] == [(P, T - 1, E), (P, T, H)]  # words, outputs


@EVERY_KIND
def test_one_batch_learned_by_heart_comes_back_word_for_word(kind):
    torch.manual_seed(1)
    model, (features, captions) = kind(E, H, V).train(), grids_and_captions()
    captions[:, 1:-1] = captions[:, 1:-1].clamp(min=UNK_ID + 1)
    optimizer = torch.optim.AdamW(model.parameters(), 0.02)
    for _ in range(60):
        scores = model.score(model.hidden(features, captions)[:, 1:])
        loss = functional.cross_entropy(scores.flatten(0, 1), captions[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for method in ("greedy", "beam"):
        found = search(model, features, Search(method, max_length=T + 2, allow_repetition=True))
        assert [picture[0].words for picture in found] == captions.tolist()


@EVERY_KIND
def test_beam_search_gives_the_probabilities_of_the_captions_it_finds(kind):
    model, (features, _) = decoder(kind), grids_and_captions()
    found = search(model, features, Search(beam=4, captions=4, max_length=6))
    for picture, hypotheses in enumerate(found):
        assert len(hypotheses) == 4
        for words, log_probability in hypotheses:
            scores = model(features[picture : picture + 1], torch.tensor([words]))
            chosen = scores[0].log_softmax(dim=1)[range(1, len(words)), words[1:]]
            assert chosen.sum().item() == pytest.approx(log_probability, abs=1e-4)


@EVERY_KIND
def test_a_beam_goes_on_with_its_own_picture_when_another_has_ended(kind):
    model, settings = decoder(kind), Search(captions=3)
    with torch.no_grad():
        model.words.weight.mul_(2)              # sharper, so that pictures differ
        model.bias[END_ID] += 1
    features = 2 * torch.randn(8, L, E, generator=torch.Generator().manual_seed(2))
    found = [[one.words for one in picture] for picture in search(model, features, settings)]
    for feature, captions in zip(features, found, strict=True):
        assert [one.words for one in search(model, feature[None], settings)[0]] == captions
    assert len({max(map(len, captions)) for captions in found}) > 1


@EVERY_KIND
def test_half_precision_trains_and_searches(kind):
    has_lstm = any(isinstance(part, nn.LSTM) for part in decoder(kind).modules())
    if has_lstm and not trains_in_bfloat16("cpu"):
        pytest.skip("this processor has no LSTM in bfloat16")
    model, (features, captions) = decoder(kind).train(), grids_and_captions(each=2)
    torch.manual_seed(6)                        # hard attention draws the same locations
    expected = model(features, captions)
    torch.manual_seed(6)
    with torch.autocast("cpu", torch.bfloat16):
        scores = model(features, captions)
        scores.float().square().mean().backward()
        assert len(search(model, features)) == P
    assert (scores - expected).abs().mean() < 0.1 * expected.abs().mean()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@EVERY_KIND
def test_a_pooled_picture_is_refused(kind):
    model, (features, captions) = decoder(kind), grids_and_captions()
    for use in (model.begin, lambda pooled: model(pooled, captions)):
        with pytest.raises(ValueError, match=r"looks at a grid.*\(3, 12\).*grid=True"):
            use(features.mean(dim=1))


@EVERY_KIND
def test_captions_that_pictures_cannot_share_are_refused(kind):
    model, (features, captions) = decoder(kind), grids_and_captions(each=2)
    with pytest.raises(ValueError, match="5 captions cannot be shared evenly by 3 pictures"):
        model(features, captions[:5])


@pytest.mark.parametrize("kind", [SoftAttention, UpDown])
def test_a_paper_without_layers_refuses_them(kind):
    with pytest.raises(ValueError, match="1 layer.*not 2"):
        kind(E, H, V, num_layers=2)


def test_forget_gates_start_open():
    soft, updown = SoftAttention(E, H, V), UpDown(E, H, V)
    adaptive = AdaptiveAttention(E, H, V, num_layers=2)
    for bias in (soft.from_word.bias, updown.from_picture.bias, updown.language.bias,
                 adaptive.lstm.bias_ih_l0, adaptive.lstm.bias_ih_l1):
        assert bias[H : 2 * H].eq(1).all() and bias[:H].abs().max() < 1


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


class Plain:
    """A decoder's weights as numpy arrays in double precision, for equations written out."""

    def __init__(self, model):
        self.weights = {name: parameter.detach().double().numpy()
                        for name, parameter in model.named_parameters()}

    def linear(self, name, x):
        return self.weights[f"{name}.weight"] @ x + self.weights.get(f"{name}.bias", 0)

    def word(self, word):
        return self.weights["words.weight"][word] * E**0.5

    def cells(self, features):
        features = features.double().numpy()
        centred = [cell - cell.mean() for cell in features]
        return [cell / np.sqrt((cell**2).mean() + 1e-5) * self.weights["norm.weight"]
                + self.weights["norm.bias"] for cell in centred]

    def attend(self, hidden, cells):
        """Additive attention, cell by cell: context, weights."""
        energies = [self.linear("attention.energy", np.tanh(
            self.linear("attention.keys", cell) + self.linear("attention.query", hidden))).item()
            for cell in cells]
        alpha = softmax(np.array(energies))
        return sum(share * cell for share, cell in zip(alpha, cells, strict=True)), alpha

    def score(self, hidden):
        return self.weights["words.weight"] @ self.linear("to_word", hidden) + self.weights["bias"]


def assert_is(plain_decoder, kind):
    """Scores and weights of `kind` are those of a generator of both, picture by picture."""
    model, (features, captions) = decoder(kind), grids_and_captions()
    scores, weights = model(features, captions), model.attended(features, captions)[1]
    for picture in range(P):
        expected = plain_decoder(Plain(model), features[picture], captions[picture].tolist())
        for t, (score, alpha) in enumerate(expected, start=1):
            np.testing.assert_allclose(scores[picture, t].detach(), score, rtol=0, atol=1e-5)
            np.testing.assert_allclose(weights[picture, t].detach(), alpha, rtol=0, atol=1e-5)
    assert t == T - 1


def show_attend_and_tell(plain, features, caption):
    cells = plain.cells(features)
    start = np.tanh(plain.linear("initial", sum(cells) / L))
    hidden, memory = start[:H], start[H:]
    for word in caption[:-1]:
        z, alpha = plain.attend(hidden, cells)                           # eq. 4 to 6, 13
        z = sigmoid(plain.linear("beta", hidden)) * z
        i, f, o, g = np.split(plain.linear("from_word", plain.word(word)) + plain.linear(
            "from_past", np.concatenate([hidden, z])), 4)              # eq. 1
        memory = sigmoid(f) * memory + sigmoid(i) * np.tanh(g)         # eq. 2
        hidden = sigmoid(o) * np.tanh(memory)                          # eq. 3
        deep = plain.linear("deep", np.concatenate([plain.word(word), z]))
        yield plain.score(hidden + deep), alpha                        # eq. 7


def test_soft_attention_is_that_of_the_equations():
    assert_is(show_attend_and_tell, SoftAttention)


def up_down(plain, features, caption):
    cells, hidden1, hidden2 = plain.cells(features), np.zeros(H), np.zeros(H)
    memory1, memory2 = np.zeros(H), np.zeros(H)
    for word in caption[:-1]:
        i, f, o, g = np.split(
            plain.linear("from_past", np.concatenate([hidden2, hidden1]))
            + plain.linear("from_picture", sum(cells) / L)
            + plain.linear("from_word", plain.word(word)), 4)          # eq. 1, 2
        memory1 = sigmoid(f) * memory1 + sigmoid(i) * np.tanh(g)
        hidden1 = sigmoid(o) * np.tanh(memory1)
        v, alpha = plain.attend(hidden1, cells)                          # eq. 3 to 5
        i, f, o, g = np.split(plain.linear("language", np.concatenate([v, hidden1, hidden2])), 4)
        memory2 = sigmoid(f) * memory2 + sigmoid(i) * np.tanh(g)       # eq. 1, 6
        hidden2 = sigmoid(o) * np.tanh(memory2)
        yield plain.score(hidden2), alpha                              # eq. 7


def test_up_down_is_that_of_the_equations():
    assert_is(up_down, UpDown)


def adaptive(plain, features, caption):
    cells, hidden, memory, heads = plain.cells(features), np.zeros(H), np.zeros(H), 8
    of_cells = [plain.linear("of_cells", cell) for cell in cells]
    for word in caption[:-1]:
        x, before = np.concatenate([plain.word(word), sum(cells) / L]), hidden
        i, f, g, o = np.split(
            plain.weights["lstm.weight_ih_l0"] @ x + plain.weights["lstm.bias_ih_l0"]
            + plain.weights["lstm.weight_hh_l0"] @ hidden + plain.weights["lstm.bias_hh_l0"], 4)
        memory = sigmoid(f) * memory + sigmoid(i) * np.tanh(g)         # eq. 4
        hidden = sigmoid(o) * np.tanh(memory)
        s = sigmoid(plain.linear("gate", np.concatenate([x, before]))) * hidden    # eq. 9, 10
        places = [*of_cells, plain.linear("of_sentinel", s)]           # keys, then values
        query, size, context, alpha = plain.linear("query", hidden), H // heads, [], []
        for head in range(heads):
            mine = slice(head * size, (head + 1) * size)
            alpha.append(softmax(np.array(                             # eq. 12
                [query[mine] @ place[:H][mine] / size**0.5 for place in places])))
            context.append(sum(share * place[H:][mine]                 # eq. 8, 11
                               for share, place in zip(alpha[-1], places, strict=True)))
        found = plain.linear("join", np.concatenate(context))
        yield plain.score(found + hidden), sum(alpha)[:-1] / heads     # eq. 13


def test_adaptive_attention_is_that_of_the_equations():
    assert_is(adaptive, AdaptiveAttention)


def test_the_penalty_is_that_of_the_equation():
    torch.manual_seed(0)
    weights, lengths = torch.rand(P, T, L).softmax(dim=2), [3, 7, 5]
    counts = torch.arange(T) < torch.tensor(lengths)[:, None]
    expected = 0.0
    for caption, length in enumerate(lengths):
        for cell in range(L):
            looked = sum(weights[caption, t, cell].item() for t in range(length))
            expected += (1 - looked)**2 / P
    assert penalty(weights, counts).item() == pytest.approx(expected, rel=1e-5)


def test_the_penalty_is_nothing_where_every_cell_is_attended_to_once():
    once = torch.eye(L).repeat(P, 1, 1)
    everything = torch.ones(P, L, dtype=torch.bool)
    assert penalty(once, everything) == 0
    assert penalty(once, ~everything) == L
    one_cell = functional.one_hot(torch.zeros(P, L, dtype=torch.long), L)
    assert penalty(one_cell, everything) == (L - 1)**2 + (L - 1)


def test_the_regularizer_is_the_penalty_summed_over_the_captions_and_part_of_the_objective():
    model, (features, captions) = decoder(SoftAttention), grids_and_captions(each=2)
    lengths = torch.tensor([7, 4, 7, 6, 3, 7])
    weights = model.attended(features, captions)[1][:, 1:]
    counts = torch.arange(1, T) < lengths[:, None]
    expected = sum(penalty(one[None], these[None])
                   for one, these in zip(weights, counts, strict=True))
    torch.testing.assert_close(model.regularizer(weights, counts, None), expected)
    objective, loss, _ = CrossEntropy(nn.Identity(), model)(
        Batch(features, captions, lengths, torch.arange(P)))
    torch.testing.assert_close(objective - loss, expected, rtol=1e-4, atol=0)


@EVERY_KIND
def test_no_other_decoder_adds_to_the_loss(kind):
    model, (features, captions) = decoder(kind), grids_and_captions()
    if model.regularizer is None:
        objective, loss, _ = CrossEntropy(nn.Identity(), model)(
            Batch(features, captions, torch.full((P,), T), torch.arange(P)))
        assert objective == loss
    else:
        assert kind in (SoftAttention, HardAttention)
