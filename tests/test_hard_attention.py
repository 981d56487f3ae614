"""Hard attention: what is drawn, that the gradient of the draws is right on average, and resuming.

A sequence of locations is one cell for each word. On a grid of 2 x 2 with captions of three words
there are 64 of them, few enough to add up the paper's objective, eq. 10, over all.

Shape letters:  P pictures   B captions   T tokens   L grid cells   V vocabulary   E embedding
"""

import itertools
import math

import pytest
import torch
from torch import nn

from captioning.checkpoint import load_captioner
from captioning.objectives import CrossEntropy
from captioning.settings import CaptioningSettings
from data_loader import Batch
from decoders import hard
from decoders.attention import SoftAttention
from decoders.hard import HardAttention
from decoders.search import Search, search
from tests.running import begin_run, train_run
from training.loop import finish_epoch, step, validate
from vocabulary import END_ID, START_ID, UNK_ID

L, T, V, E = 4, 4, 7, 6
CAPTION = torch.tensor([[START_ID, 4, 3, END_ID]])
SEQUENCES = torch.tensor(list(itertools.product(range(L), repeat=T - 1)))      # (64, T-1)


def decoder(**own):
    """A decoder in training whose weights are large enough that the locations matter."""
    torch.manual_seed(3)
    made = HardAttention(E, E, V, **own).train()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            parameter.mul_(3 if "attention" in name or "deep" in name else 1.5)
    return made


def picture(count):
    """One picture's cells, `count` times."""
    cells = torch.randn(1, L, E, generator=torch.Generator().manual_seed(5))
    return 2 * cells.expand(count, -1, -1)


def batch(count):
    return Batch(picture(count), CAPTION.expand(count, -1), torch.full((count,), T),
                 torch.arange(count))


def gradient(model, value):
    found = torch.autograd.grad(value, list(model.parameters()), retain_graph=True)
    return torch.cat([one.flatten() for one in found])


def terms(model, monkeypatch, expected):
    """log p(y | s, a), log p(s | a), H[s] of all sequences or, if `expected`, of expectations."""
    drawn = iter(nn.functional.one_hot(SEQUENCES, L).float().unbind(1))
    with monkeypatch.context() as patch:
        patch.setattr(hard, "EXPECTED", 1.0 if expected else 0.0)
        patch.setattr(hard, "draw", lambda chances: next(drawn).view_as(chances))
        captions = CAPTION.expand(len(SEQUENCES), -1)
        hidden, weights = model.attended(picture(len(SEQUENCES)), captions)
    log_probs = model.score(hidden[:, 1:]).log_softmax(dim=2)
    said = log_probs.gather(2, captions[:, 1:, None]).sum(dim=(1, 2))
    alpha = weights[:, 1:, :L]
    chosen = alpha.gather(2, SEQUENCES[:, :, None]).log().sum(dim=(1, 2))
    return said, chosen, -(alpha * alpha.log()).sum(dim=(1, 2))


def exact(model, monkeypatch):
    """The gradient of minus eq. 10, and of what half of the pictures have in its place."""
    said, chosen, entropy = terms(model, monkeypatch, expected=False)
    assert chosen.exp().sum().item() == pytest.approx(1, abs=1e-5)
    mean, _, mean_entropy = terms(model, monkeypatch, expected=True)
    # the paper adds the gradient of the entropy of the sequence that was drawn
    spread = (chosen.exp().detach() * entropy).sum() + mean_entropy[0]
    objective = (chosen.exp() * said).sum() + mean[0] + model.lambda_e * spread
    return -gradient(model, objective) / 2


def estimates(model, number=60, count=300):
    """Gradients of the objective per caption, (number, parameters), each the mean of `count`."""
    objective = CrossEntropy(nn.Identity(), model)
    torch.manual_seed(8)
    return torch.stack([gradient(model, objective(batch(count))[0] / count)
                        for _ in range(number)])


def errors(found, expected):
    """By how many standard errors the mean of `found` (N, parameters) is off, at each parameter."""
    deviation = found.std(dim=0) / math.sqrt(len(found))
    return (found.mean(dim=0) - expected)[deviation > 1e-7] / deviation[deviation > 1e-7]


def test_the_gradient_is_unbiased_against_all_sequences_of_locations(monkeypatch):
    model = decoder(lambda_r=1.0, lambda_e=0.3)
    expected = exact(model, monkeypatch)
    off = errors(estimates(model), expected)
    # by chance one of 150,000 numbers is off by 5; there are about 500
    assert len(off) > 400 and off.abs().max() < 5 and 0.5 < off.square().mean() < 1.5
    for model.lambda_r, model.lambda_e in ((0.0, 0.3), (1.0, 0.0)):     # the measure sees a bias
        assert errors(estimates(model, 15), expected).abs().max() > 8


def test_the_regularizer_and_the_baseline_are_those_of_the_paper():
    model = decoder(lambda_r=0.7, lambda_e=0.2)
    generator = torch.Generator().manual_seed(1)
    baseline = 0.0
    for _ in range(3):
        alpha = torch.rand(5, T, L, generator=generator).softmax(dim=2)
        places = torch.randint(L, (5, T), generator=generator)
        counts = torch.arange(T) < torch.tensor([4, 2, 3, 0, 1])[:, None]      # one is filling
        log_probs = -3 * torch.rand(5, T, generator=generator) * counts
        expected, rewards = 0.0, []
        for caption in range(5):
            words = range(int(counts[caption].sum()))
            reward = sum(log_probs[caption, t].item() for t in words)
            chosen = sum(math.log(alpha[caption, t, places[caption, t]]) for t in words)
            entropy = -sum(one * math.log(one) for t in words for one in alpha[caption, t].tolist())
            expected -= 0.7 * (reward - baseline) * chosen + 0.2 * entropy
            rewards += [reward] if words else []
        weights = torch.cat([alpha, nn.functional.one_hot(places, L)], dim=2)
        assert model.regularizer(weights, counts, log_probs).item() == pytest.approx(expected, 1e-5)
        baseline = 0.9 * baseline + 0.1 * sum(rewards) / len(rewards)
        assert model.baseline.item() == pytest.approx(baseline, 1e-5)


def test_the_baseline_is_of_all_processes(monkeypatch):
    model = decoder()
    monkeypatch.setattr(hard, "all_reduce", lambda sums: sums + torch.tensor([-14.0, 2.0]))
    model.move_baseline(torch.tensor([-3.0, 0.0, -7.0]), torch.tensor([True, False, True]))
    assert model.baseline.item() == pytest.approx(0.1 * -24 / 4)


def test_locations_are_drawn_as_often_as_their_weights_say():
    chances = torch.tensor([0.5, 0.3, 0.2, 0.0])
    torch.manual_seed(0)
    drawn = hard.draw(chances.expand(10_000, 2, L))
    assert set(drawn.unique().tolist()) == {0, 1} and (drawn.sum(dim=2) == 1).all()
    error = (chances * (1 - chances) / 20_000).sqrt()
    assert ((drawn.mean(dim=(0, 1)) - chances).abs() <= 4 * error).all()


def test_a_context_is_one_cell_or_for_half_of_the_pictures_the_mean():
    model = decoder()
    torch.manual_seed(2)
    cells, *others, expected = model.begin(picture(60)).shared
    alike = torch.randn(1, E).expand(120, -1)           # two captions a picture
    context, weights = model.attend(alike, cells, *others, expected)
    alpha, locations = weights.chunk(2, dim=1)
    soft = model.attention(alike, cells, *others)
    torch.testing.assert_close(alpha, soft[1])
    means = expected.flatten().repeat_interleave(2)     # a picture's captions alike
    assert 15 < expected.sum() < 45
    torch.testing.assert_close(context[means], soft[0][means])
    assert torch.equal(locations[means], alpha[means])
    chosen = locations[~means].argmax(dim=1)
    assert torch.equal(locations[~means], nn.functional.one_hot(chosen, L).float())
    torch.testing.assert_close(context[~means], cells[0, chosen])
    assert len(chosen.unique()) > 1


def test_in_use_nothing_is_drawn_and_it_is_soft_attention():
    model, soft = decoder().eval(), SoftAttention(E, E, V).eval()
    soft.load_state_dict({name: tensor for name, tensor in model.state_dict().items()
                          if name != "baseline"})
    features, captions = picture(2), CAPTION.expand(2, -1)
    for one, other in zip(model.attended(features, captions), soft.attended(features, captions),
                          strict=True):
        assert torch.equal(one, other)
    objective, loss, _ = CrossEntropy(nn.Identity(), model)(batch(2))
    assert objective == loss and model.baseline == 0


def test_one_batch_learned_by_heart_comes_back_word_for_word():
    torch.manual_seed(1)
    model, features = HardAttention(16, 16, 11).train(), 2 * torch.randn(3, 9, 16)
    captions = torch.randint(UNK_ID + 1, 11, (3, 7))
    captions[:, 0], captions[:, -1] = START_ID, END_ID
    objective = CrossEntropy(nn.Identity(), model)
    optimizer = torch.optim.AdamW(model.parameters(), 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        value, _, words = objective(Batch(features, captions, torch.full((3,), 7), torch.arange(3)))
        (value / words).backward()
        optimizer.step()
    for method in ("greedy", "beam"):
        found = search(model, features, Search(method, max_length=9, allow_repetition=True))
        assert [one[0].words for one in found] == captions.tolist()
    assert -1 < model.baseline < 0


@pytest.fixture
def settings(tiny_root, no_curves):
    return CaptioningSettings(
        data=str(tiny_root), encoder="tiny", decoder="hard", epochs=2, batch_size=20, embed_size=8,
        hidden_size=8, vocab_threshold=1, warmup=2, views=1, val_pictures=6, precision="float32")


def test_a_resumed_training_is_the_uninterrupted_one_and_keeps_the_baseline(settings, tmp_path):
    whole = train_run(settings, tmp_path / "whole")
    run = begin_run(settings, tmp_path / "broken")
    for batch in run.batches(0):
        step(run, batch)
    finish_epoch(run, validate(run))
    batches = run.batches(1)
    step(run, next(batches))
    run.save()
    run.lock.release(force=True)
    assert train_run(settings, tmp_path / "broken") == whole
    one, other = (load_captioner(tmp_path / name).tensors() for name in ("whole", "broken"))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    assert one["decoder.baseline"] < -1


def test_self_critical_training_goes_on_with_it(settings, tmp_path):
    run = begin_run(settings, tmp_path, samples=3, one_per_picture=True)
    before = run.task.captioner.decoder.attention.energy.weight.clone()
    for batch in run.batches(0):
        assert step(run, batch)[0].isfinite()
    assert not torch.equal(before, run.task.captioner.decoder.attention.energy.weight)
    run.lock.release(force=True)
