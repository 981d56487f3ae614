"""The decoder is one model however it is driven: a word at a time, all at once, or by equations.

Shape letters:  B images   T tokens   V vocabulary   E embedding   H hidden   N layers
"""

import itertools

import pytest
import torch
from torch import nn

from decoders.search import Search, search
from model import DecoderRNN, EncoderCNN
from tests.interface import check_that_rows_can_be_reordered
from vocabulary import END_ID, START_ID, UNK_ID

B, T, V, E, H = 3, 7, 11, 6, 8
EVERY_KIND = pytest.mark.parametrize("inject", ["first", "every"])
EVERY_DEPTH = pytest.mark.parametrize("layers", [1, 2])


def decoder(layers=1, inject="first", dropout=0.0, end=0.0, seed=4):
    """A decoder with random weights, sharp enough that words differ; `end` biases END."""
    torch.manual_seed(seed)
    made = DecoderRNN(E, H, V, layers, dropout, inject).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(3)
        made.scores.bias[END_ID] += end
    return made


def images_and_captions():
    generator = torch.Generator().manual_seed(7)
    captions = torch.randint(UNK_ID, V, (B, T), generator=generator)
    captions[:, 0], captions[:, -1] = START_ID, END_ID
    return 2 * torch.randn(B, E, generator=generator), captions


@EVERY_KIND
@EVERY_DEPTH
def test_word_by_word_gives_the_scores_of_the_whole_sequence_at_once(layers, inject):
    model, (features, captions) = decoder(layers, inject), images_and_captions()
    scores, state = model(features, captions), model.begin(features)
    assert scores.shape == (B, T, V)
    for t in range(1, T):
        stepped, state = model.step(captions[:, t - 1], state)
        torch.testing.assert_close(stepped, scores[:, t])


@EVERY_KIND
@EVERY_DEPTH
def test_a_loop_over_the_lstms_inputs_equals_the_entire_sequence(layers, inject):
    model, (features, captions) = decoder(layers, inject), images_and_captions()
    inputs = model.inputs(model.norm(features).unsqueeze(1), model.words(captions[:, :-1]))
    state, hidden = None, []
    for t in range(T):
        output, state = model.lstm(inputs[:, t : t + 1], state)
        hidden.append(output)
    torch.testing.assert_close(model.scores(torch.cat(hidden, dim=1)), model(features, captions))


@EVERY_KIND
def test_the_lstm_is_that_of_the_equations(inject):
    model, (features, captions) = decoder(inject=inject), images_and_captions()
    lstm, hidden, cell = model.lstm, torch.zeros(B, H), torch.zeros(B, H)
    spread = features.var(dim=1, correction=0, keepdim=True).add(1e-5).sqrt()
    image = (features - features.mean(dim=1, keepdim=True)) / spread
    image = image * model.norm.weight + model.norm.bias
    for t, scores in enumerate(model(features, captions).unbind(1)):
        x = image if t == 0 else model.words.weight[captions[:, t - 1]]
        x = x + image if inject == "every" and t > 0 else x
        gates = (x @ lstm.weight_ih_l0.T + lstm.bias_ih_l0
                 + hidden @ lstm.weight_hh_l0.T + lstm.bias_hh_l0)
        i, f, g, o = gates.chunk(4, dim=1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * cell.tanh()
        expected = hidden @ model.scores.weight.T + model.scores.bias
        torch.testing.assert_close(scores, expected)


@EVERY_KIND
@EVERY_DEPTH
def test_no_word_sees_the_future(layers, inject):
    model, (features, captions) = decoder(layers, inject), images_and_captions()
    scores = model(features, captions)
    for t in range(T):
        changed = captions.clone()
        changed[:, t] = UNK_ID + (captions[:, t] - UNK_ID + 1) % (V - UNK_ID)
        other = model(features, changed)
        assert torch.equal(other[:, : t + 1], scores[:, : t + 1])
        assert not torch.isclose(other[:, t + 1 :], scores[:, t + 1 :]).all(dim=2).any()


@EVERY_KIND
def test_every_output_sees_the_image_and_passes_gradient_to_it(inject):
    model, (features, captions) = decoder(inject=inject), images_and_captions()
    features.requires_grad_()
    for scores in model(features, captions).unbind(1):
        (gradient,) = torch.autograd.grad(scores[0].sum(), features, retain_graph=True)
        assert gradient[0].abs().sum() > 0
        assert gradient[1:].abs().sum() == 0                    # and no other image


def test_the_image_is_read_once_or_at_every_step():
    features, captions = images_and_captions()
    read = {}
    for inject in ("first", "every"):
        model = decoder(inject=inject)
        model.lstm.register_forward_pre_hook(lambda _, given, key=inject: read.update({key: given}))
        model(features, captions)
        words = model.words(captions[:, :-1])
        inputs, image = read[inject][0], model.norm(features)
        assert torch.equal(inputs[:, 0], image)
        again = image.unsqueeze(1) if inject == "every" else 0
        assert torch.equal(inputs[:, 1:], words + again)


@EVERY_KIND
@EVERY_DEPTH
def test_a_batch_gives_what_single_images_give(layers, inject):
    model, (features, captions) = decoder(layers, inject), images_and_captions()
    together = model(features, captions)
    for row in range(B):
        alone = model(features[row : row + 1], captions[row : row + 1])
        torch.testing.assert_close(alone[0], together[row])


@EVERY_KIND
@pytest.mark.parametrize("count", [1, 2])
def test_captions_that_images_cannot_share_are_refused(inject, count):
    model, (features, captions) = decoder(inject=inject), images_and_captions()
    with pytest.raises(ValueError, match=f"{count} captions cannot be shared evenly by 3 pictures"):
        model(features, captions[:count])


@EVERY_KIND
@EVERY_DEPTH
def test_a_state_is_batch_first_and_can_be_reordered(layers, inject):
    check_that_rows_can_be_reordered(decoder(layers, inject), *images_and_captions())


@EVERY_KIND
@EVERY_DEPTH
def test_sample_is_greedy_search(layers, inject):
    features, written = 3 * torch.randn(16, E, generator=torch.Generator().manual_seed(1)), set()
    for seed, (end, max_len) in enumerate(itertools.product((-99, 0, 4), (3, 5, 12, 20))):
        model = decoder(layers, inject, end=end, seed=seed)
        found = search(model, features, Search("greedy", max_length=max_len, allow_repetition=True))
        for feature, (caption,) in zip(features, found, strict=True):
            assert model.sample(feature.view(1, 1, E), max_len=max_len) == caption.words
            written.add(tuple(caption.words))
    assert len(written) >= 20                                       # it looks at the image
    assert len({len(words) for words in written}) >= 4
    assert any(one == other > UNK_ID for words in written
               for one, other in itertools.pairwise(words))         # a word may repeat


@pytest.mark.parametrize("end, max_len", [(-99, 5), (-99, 20), (0, 20), (99, 20)])
def test_a_sampled_caption_runs_from_start_to_end_within_max_len(end, max_len):
    caption = decoder(end=end).sample(images_and_captions()[0][:1].unsqueeze(1), max_len=max_len)
    assert all(type(word) is int for word in caption)
    assert caption[0] == START_ID and caption.index(END_ID) == len(caption) - 1
    assert len(caption) == {-99: max_len, 99: 2}.get(end, len(caption)) <= max_len


def test_an_image_has_one_caption_whatever_the_mode_and_the_state_of_chance():
    model, feature = decoder(2, dropout=0.5, end=-99), images_and_captions()[0][:1].unsqueeze(1)
    caption = model.sample(feature)
    for seed in range(5):
        torch.manual_seed(seed)
        model.train()
        assert model.sample(feature) == caption
        assert model.training and model.drop.training


@EVERY_DEPTH
def test_sample_starts_from_the_states_it_is_given(layers):
    model, feature = decoder(layers, end=-99), images_and_captions()[0][:1].unsqueeze(1)
    generator, found = torch.Generator().manual_seed(1), set()
    for loudness in (0, 2, 4, 6, 8):
        states = loudness * torch.randn(2, layers, 1, H, generator=generator)
        expected, state = [START_ID], model.lstm(model.norm(feature), tuple(states))[1]
        for _ in range(6):
            output, state = model.lstm(model.words(torch.tensor([expected[-1:]])), state)
            scores = model.scores(output)[0, 0]
            scores[[START_ID, UNK_ID]] = -torch.inf             # what a reader is never shown
            expected.append(int(scores.argmax()))
        assert model.sample(feature, tuple(states))[:7] == expected
        if loudness == 0:
            assert model.sample(feature)[:7] == expected        # zeros are the default
        found.add(tuple(expected))
    assert len(found) > 1


@EVERY_KIND
def test_dropout_silences_words_and_outputs_in_training_only(inject):
    model, (features, captions) = decoder(inject=inject, dropout=0.5), images_and_captions()
    assert torch.equal(model(features, captions), model(features, captions))
    silenced = []
    model.train().drop.register_forward_hook(lambda _, given, out: silenced.append(out == 0))
    assert not torch.equal(model(features, captions), model(features, captions))
    T = captions.shape[1]       # the image, told but once, is spared
    assert [part.shape[1:] for part in silenced[:2]] == [(T - 1, E), (T, H)]
    assert all(0.2 < part.float().mean() < 0.8 for part in silenced)


def test_an_image_is_as_loud_as_a_word_and_is_remembered_from_the_start():
    torch.manual_seed(0)
    model = DecoderRNN(64, H, 99, num_layers=2)
    faint = 1e-2 * torch.randn(5, 64)
    loudness = model.norm(faint).std(dim=1)
    torch.testing.assert_close(loudness, model.words.weight.std().expand(5), rtol=0.1, atol=0)
    for bias in (model.lstm.bias_ih_l0, model.lstm.bias_ih_l1):
        assert bias[H : 2 * H].eq(1).all() and bias[:H].abs().max() < 1     # gates i, f, g, o


def test_an_unknown_way_to_inject_is_refused():
    with pytest.raises(ValueError, match="'first' or 'every', not 'last'"):
        decoder(inject="last")


def test_the_encoder_ends_in_a_trained_linear_layer_over_what_is_cached():
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    for grid, shape in ((False, (2, 5)), (True, (2, 4, 5))):
        encoder = EncoderCNN(5, backbone="efficientnet_lite0", weights=None, grid=grid)
        features = encoder(images)
        assert features.shape == shape
        assert torch.equal(features, encoder.embed(encoder.backbone(images)))
        trained = [name for name, p in encoder.named_parameters() if p.requires_grad]
        assert isinstance(encoder.embed, nn.Linear) and trained == ["embed.weight", "embed.bias"]
