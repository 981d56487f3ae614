"""What a recipe may add to cross-entropy: shared pictures, smoothing, averages, rewards."""

import re
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from captioning.checkpoint import load_captioner
from captioning.self_critical import Rewards, SelfCritical
from captioning.settings import CaptioningSettings, settings_of
from coco.dataset import Picture, Split, read_split
from data_loader import CaptionData, tokenized
from decoders.search import Search
from encoders.features import encode_split
from model import DecoderRNN
from system.files import BadInput
from tests.running import begin_run, train_run
from train import TASKS
from training.averaging import Average
from training.loop import finish_epoch, step, validate
from vocabulary import END_ID, Vocabulary


@pytest.fixture
def settings(tiny_root, no_curves):
    return CaptioningSettings(
        data=str(tiny_root), encoder="tiny", epochs=2, batch_size=20, embed_size=24, hidden_size=24,
        vocab_threshold=1, warmup=2, views=2, val_pictures=6, dropout=0.0, precision="float32")


@pytest.fixture(scope="module")
def data(tiny_root):
    split = read_split(tiny_root, "train")
    features = np.random.default_rng(0).random((2, 12, 5)).astype(np.float16)
    return CaptionData(split, Vocabulary.build(tokenized(split), 1), features)


@pytest.mark.parametrize("each", [2, 5, 7])
def test_captions_of_a_picture_stand_side_by_side_and_have_its_features_once(data, each):
    seen = np.zeros(len(data), int)
    for rows in data.order(3 * each, captions_per_picture=each):
        pictures = data.picture[rows.captions].reshape(-1, each)
        assert (pictures == rows.pictures[:, None]).all() and len(np.unique(pictures)) <= 3
        seen += np.bincount(rows.captions, minlength=len(data))
        batch = data.batch(rows)
        assert len(batch.images) == len(batch.pictures) == len(pictures)
        assert len(batch.captions) == len(batch.lengths) == len(rows.captions)
    assert seen.sum() == 12 * each
    assert seen.max() <= -(-each // 5) and (each < 5) == (seen.min() == 0)


def test_processes_divide_a_batch_by_whole_pictures(data):
    whole = data.order(30, captions_per_picture=5)[0]
    parts = [data.order(30, captions_per_picture=5, part=(rank, 4))[0] for rank in range(4)]
    assert sorted(np.concatenate([rows.captions for rows in parts])) == sorted(whole.captions)
    assert all((data.picture[rows.captions] == rows.pictures.repeat(5)).all() for rows in parts)
    idle = data.batch(data.rows(whole.captions[:5].reshape(1, 5), (1, 2)))
    assert len(idle.captions) == 5 and (idle.lengths == 1).all()    # of which no word counts
    assert idle.captions.shape[1] > 1


@pytest.mark.parametrize("decoder", ["lstm_every", "soft", "hard", "updown"])
def test_a_process_without_captions_adds_nothing_to_the_gradient(settings, tmp_path, decoder):
    run = begin_run(settings, tmp_path, decoder=decoder)
    objective, loss, words = run.model(run.task.train.batch(
        run.task.train.rows(np.arange(5).reshape(1, 5), (1, 2))))
    objective.backward()
    assert loss == words == 0 and run.parameters()[0].grad.abs().sum() == 0
    assert all(one.grad is None or not one.grad.any() for one in run.parameters())


@pytest.mark.parametrize("decoder", ["lstm_every", "adaptive", "transformer"])
def test_side_by_side_or_not_the_objective_is_the_same(settings, tmp_path, decoder):
    run = begin_run(settings, tmp_path, decoder=decoder)
    run.task.captioner.decoder.eval()
    batch = run.task.train.batch(run.task.train.rows(np.arange(20).reshape(-1, 5)))
    repeated = batch._replace(images=batch.images.repeat_interleave(5, 0))
    for one, other in zip(run.model(batch), run.model(repeated), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)


def test_smoothing_spreads_its_share_over_all_words(settings, tmp_path):
    run = begin_run(settings, tmp_path, label_smoothing=0.2)
    batch = run.task.train.batch(run.task.train.rows(np.array([[0], [2], [9]])))
    objective, loss, words = run.model(batch)
    captioner = run.task.captioner
    scores = captioner.decoder(captioner.encoder.embed(batch.images), batch.captions)
    places = [(row, t) for row, length in enumerate(batch.lengths) for t in range(1, length)]
    plain, smooth = (sum(functional.cross_entropy(scores[place], batch.captions[place],
                                                  label_smoothing=share) for place in places)
                     for share in (0.0, 0.2))
    assert words == len(places)
    torch.testing.assert_close(loss, plain)
    torch.testing.assert_close(objective, smooth)


def test_soft_attention_is_charged_for_cells_it_never_looks_at(settings, tmp_path):
    run = begin_run(settings, tmp_path, decoder="soft")
    first = run.task.train.rows(np.arange(5)[:, None])
    objective, loss, _ = run.model(run.task.train.batch(first))
    assert objective > loss + 0.1
    plain = begin_run(settings, tmp_path / "adaptive", decoder="adaptive")
    objective, loss, _ = plain.model(plain.task.train.batch(first))
    assert objective.item() == pytest.approx(loss.item())


def test_an_average_follows_and_gives_the_parameters_back():
    parameter = torch.nn.Parameter(torch.zeros(3))
    average, expected = Average([parameter], 0.9), 0.0
    for number in range(50):
        parameter.data.fill_(number)
        average.update(number)
        keep = min(0.9, (1 + number) / (10 + number))
        expected = keep * expected + (1 - keep) * number
    with average.applied():
        torch.testing.assert_close(parameter.detach(), torch.full((3,), expected))
    assert (parameter == 49).all()
    with Average([parameter], 0.0).applied():
        assert (parameter == 49).all()


def test_the_average_is_what_is_validated_saved_and_resumed(settings, tmp_path):
    settings = replace(settings, average=0.5, epochs=3)
    whole = train_run(settings, tmp_path / "whole")
    run = begin_run(settings, tmp_path / "broken")
    for batch in run.batches(0):
        step(run, batch)
    scores = validate(run)
    with run.average.applied():
        parameters, run.average.parameters = run.average.parameters, []     # validate as it is
        run.average.values, kept = [], run.average.values
        assert validate(run)["val_loss"] == scores["val_loss"]
        run.average.values, run.average.parameters = kept, parameters
    finish_epoch(run, scores)
    run.lock.release(force=True)
    assert train_run(settings, tmp_path / "broken") == whole


def test_a_run_begins_with_the_weights_of_another(settings, tmp_path):
    train_run(settings, tmp_path / "first")
    run = begin_run(settings, tmp_path / "second", start=str(tmp_path / "first"), seed=7,
                    average=0.9)
    first, fresh = (one.task.captioner.decoder.words.weight
                    for one in (run, begin_run(settings, tmp_path / "third", seed=7)))
    assert not torch.equal(first, fresh)
    history = [row["val_loss"] for row in begin_run(settings, tmp_path / "first").history()]
    assert min(abs(validate(run)["val_loss"] - loss) for loss in history) < 1e-3
    with pytest.raises(BadInput, match="another kind of captioner"):
        begin_run(settings, tmp_path / "fourth", start=str(tmp_path / "first"), hidden_size=32)


def test_a_run_that_goes_on_says_what_it_had_and_whether_it_lost_it(settings, tmp_path, capsys):
    first = train_run(settings, tmp_path / "first")
    assert "before training" not in capsys.readouterr().err
    best = max(row["CIDEr"] for row in first)
    worse = replace(settings, start=str(tmp_path / "first"), epochs=1)
    train_run(worse, tmp_path / "spoiled", learning_rate=1.0, average=0)
    said = capsys.readouterr().err
    before = float(re.search(r"before training: CIDEr ([0-9.]+) on val", said)[1])
    assert before == pytest.approx(best, abs=0.05) and before > 0.1
    assert (f"no epoch comes up to {tmp_path / 'first'}, which has a CIDEr of {before:.3f} on val"
            in said and "6 pictures, which are few" in said)
    train_run(worse, tmp_path / "spoiled", learning_rate=1.0, average=0)
    assert "before training" not in capsys.readouterr().err         # it is finished
    train_run(worse, tmp_path / "kept", learning_rate=1e-9, average=0)
    said = capsys.readouterr().err
    assert f"before training: CIDEr {before:.3f}" in said and "no epoch" not in said


def test_features_are_those_of_the_encoder_that_a_run_begins_with(settings, tmp_path):
    train_run(settings, tmp_path / "tuned", tune_from=1, encoder_rate=1e-2, epochs=1)
    run = begin_run(settings, tmp_path / "frozen", start=str(tmp_path / "tuned"), views=1)
    captioner = load_captioner(tmp_path / "tuned")
    of_tuned = encode_split(captioner.encoder.backbone, captioner.transform, run.task.train.split)
    assert np.array_equal(run.task.train.features, of_tuned)
    plain = begin_run(settings, tmp_path / "plain", views=1)
    assert not np.array_equal(plain.task.train.features, of_tuned)


def critic(settings, folder, **changes):
    return begin_run(settings, folder, samples=4, one_per_picture=True, learning_rate=1e-2,
                     **changes)


def test_rewards_are_cider_with_the_frequencies_of_train_and_end_counts(data):
    vocab = Vocabulary.build(tokenized(data.split), 1)
    rewards = Rewards(data.split, vocab)
    whole = vocab.encode(data.split.pictures[3].sentences[0])
    broken = whole[:-3] + [END_ID]                          # its last word is missing
    found = rewards.of([whole, broken, whole], [3, 3, 4], 24)
    assert found[0] > found[1] and found[0] > found[2]
    assert rewards.of([whole], [3], len(whole)) < found[0]  # cut off there: the end is not its own


def test_a_named_object_that_no_caption_knows_of_costs_some_of_the_reward():
    split = Split("train", (Picture(1, None, ("A dog runs.", "A puppy plays with a ball.")),
                            Picture(2, None, ("A cat sits.", "A cat on a couch."))))
    vocab = Vocabulary.build(tokenized(split), 1)
    said = [vocab.encode(one) for one in ("A dog runs.", "A dog and a cat.", "A cat sits.")]
    plain, costly = (Rewards(split, vocab, cost).of(said, [0, 0, 0], 24) for cost in (0, 0.5))
    torch.testing.assert_close(plain - costly, torch.tensor([0, 0.5, 0.5]))


def test_the_objective_is_reinforce_with_the_mean_of_the_others(settings, tmp_path):
    run = critic(settings, tmp_path)
    batch = next(run.batches(0))
    torch.manual_seed(3)
    objective, loss, words = run.model(batch)
    decoder, model = run.task.captioner.decoder, run.model
    torch.manual_seed(3)
    embedded = run.task.captioner.encoder.embed(batch.images)
    captions, places = model.draw(embedded.detach(), batch.pictures)
    rewards = model.rewards.of(captions, places, model.max_length)
    # an end at which a sample was cut off was not drawn
    ends = [min(len(caption), model.max_length - 1) for caption in captions]
    expected = 0
    for number, caption in enumerate(captions):
        mine = slice(number // 4 * 4, number // 4 * 4 + 4)
        others = (rewards[mine].sum() - rewards[number]) / 3
        given = torch.tensor([caption])
        logs = decoder(embedded[number // 4][None], given)[0].log_softmax(1)
        likely = sum(logs[t, caption[t]] for t in range(1, ends[number]))
        expected -= (rewards[number] - others) * likely
    torch.testing.assert_close(objective, expected, rtol=1e-4, atol=1e-4)
    assert words == sum(ends) - len(ends)
    assert loss.item() == pytest.approx(-rewards.mean().item() * words.item(), rel=1e-5)


def test_samples_that_are_rewarded_become_likelier(settings, tmp_path):
    train_run(settings, tmp_path / "words", epochs=12, learning_rate=1e-2, patience=12)
    run = critic(settings, tmp_path / "critic", start=str(tmp_path / "words"), epochs=30,
                 patience=30, batch_size=4)
    rewards = []
    for epoch in run.epochs():
        losses = [step(run, batch)[0].item() for batch in run.batches(epoch)]
        rewards.append(-sum(losses) / len(losses))
        run.losses.read()
        run.position.update(epoch=epoch + 1, batch=0)
    assert np.mean(rewards[-5:]) > 1.5 * np.mean(rewards[:5])
    run.lock.release(force=True)


def test_samples_are_drawn_without_dropout_and_the_gradient_has_it(settings, tmp_path, monkeypatch):
    run = critic(settings, tmp_path, dropout=0.5)
    batch = next(run.batches(0))
    monkeypatch.setattr(run.model, "sampling", lambda: Search("sample", captions=4, seed=7))
    embedded = run.task.captioner.encoder.embed(batch.images).detach()
    objectives, drawn = [], []
    for seed in (1, 2):
        torch.manual_seed(seed)
        drawn.append(run.model.draw(embedded, batch.pictures)[0])
        objectives.append(run.model(batch)[0].item())
    assert run.task.captioner.decoder.training
    assert drawn[0] == drawn[1] and objectives[0] != objectives[1]


def test_the_recipe_resnet_is_show_and_tell(settings, tmp_path):
    resnet = settings_of("resnet", settings.data, encoder="tiny", embed_size=8, hidden_size=8)
    run = begin_run(resnet, tmp_path)
    encoder, decoder = run.task.captioner.encoder, run.task.captioner.decoder
    assert settings_of("resnet", "d").encoder == "resnet50" and type(decoder) is DecoderRNN
    assert run.task.train.features.shape == (2, 12, 32)         # pooled, of two views
    assert [name for name, one in encoder.named_parameters() if one.requires_grad] == [
        "embed.weight", "embed.bias"]
    before = decoder.eval().begin(torch.zeros(1, 8))
    scores = [decoder.step(torch.tensor([2]), before._replace(own=(*before.own[:2], image)))[0]
              for image in (before.own[2], torch.randn(1, 8))]
    assert torch.equal(*scores)                                 # the image is read once, first


def test_self_critical_settings_must_fit(settings):
    for changes in ({"samples": 1, "one_per_picture": True}, {"samples": 5}):
        with pytest.raises(BadInput, match="samples must be"):
            replace(settings, **changes)


def test_how_samples_are_drawn_differs_from_step_to_step():
    model = SelfCritical(None, None, None, 5)
    torch.manual_seed(1)
    first = model.sampling()
    torch.manual_seed(2)
    assert isinstance(first, Search) and first.seed != model.sampling().seed


@pytest.mark.parametrize("kind", dict.fromkeys(kind for _, kind, _ in TASKS.values()))
def test_a_refused_setting_is_named_by_its_option(kind, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(kind, "rules", lambda self: {})       # some need what has no default
        settings = kind(data="here")
    names = {one.name for one in fields(kind)}
    for rule in settings.rules():
        assert names & set(re.findall(r"\w+", rule)), rule
