"""What a recipe may add to cross-entropy: shared pictures, smoothing, averages, rewards."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from captioning.checkpoint import load_captioner
from captioning.objectives import Loss
from captioning.self_critical import Rewards, SelfCritical
from coco.dataset import read_split
from data_loader import CaptionData, tokenized
from decoders.search import Search
from encoders.features import encode_split
from system.files import BadInput
from training.averaging import Average
from training.loop import Run, finish_epoch, step, train, validate
from training.settings import Settings
from vocabulary import END_ID, UNK_ID, Vocabulary


@pytest.fixture
def settings(tiny_root):
    return Settings(data=str(tiny_root), epochs=2, batch_size=20, embed_size=24, hidden_size=24,
                    vocab_threshold=1, warmup=2, views=2, val_pictures=6, dropout=0.0,
                    precision="float32")


@pytest.fixture(scope="module")
def data(tiny_root):
    split = read_split(tiny_root, "train")
    features = np.random.default_rng(0).random((2, 12, 5)).astype(np.float16)
    return CaptionData(split, Vocabulary.build(tokenized(split), 1), features)


@pytest.mark.parametrize("together", [2, 5, 7])
def test_captions_of_a_picture_stand_side_by_side_and_share_its_features(data, together):
    seen = np.zeros(len(data), int)
    for index in data.order(3 * together, 0, 0, together=together):
        pictures = data.picture[index].reshape(-1, together)
        assert (pictures == pictures[:, :1]).all() and len(np.unique(pictures[:, 0])) <= 3
        seen += np.bincount(index, minlength=len(data))
        features, captions, lengths = data.batch(index, together=together)
        assert len(features) == len(pictures) and len(captions) == len(lengths) == len(index)
    assert seen.sum() == 12 * together
    assert seen.max() <= -(-together // 5) and (together < 5) == (seen.min() == 0)


def test_processes_share_out_whole_pictures(data):
    index = data.order(30, 0, 0, together=5)[0]
    shares = [data.share(index, (rank, 4), 5) for rank in range(4)]
    assert sorted(np.concatenate([mine for mine, _ in shares])) == sorted(index)
    assert all(len(np.unique(data.picture[mine])) == len(mine) / 5 for mine, _ in shares)
    none, lengths = data.share(index[:5], (1, 2), 5)
    assert len(none) == 5 and (lengths == 1).all()          # a picture of which no word counts


@pytest.mark.parametrize("decoder", ["lstm_every", "adaptive", "transformer"])
def test_side_by_side_or_not_the_objective_is_the_same(settings, tmp_path, decoder):
    run = Run(replace(settings, decoder=decoder), tmp_path)
    run.captioner.decoder.eval()
    features, captions, lengths = run.train.batch(np.arange(20), together=5)
    shared = run.model(features, captions, lengths)
    alone = run.model(features.repeat_interleave(5, 0), captions, lengths)
    for one, other in zip(shared, alone, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)


def test_smoothing_spreads_its_share_over_all_words(settings, tmp_path):
    run = Run(replace(settings, label_smoothing=0.2), tmp_path)
    features, captions, lengths = run.train.batch(np.array([0, 2, 9]))
    objective, loss, words = run.model(features, captions, lengths)
    scores = run.captioner.decoder(run.captioner.encoder.embed(features), captions)
    places = [(row, t) for row, length in enumerate(lengths) for t in range(1, length)]
    plain, smooth = (sum(functional.cross_entropy(scores[place], captions[place],
                                                  label_smoothing=share) for place in places)
                     for share in (0.0, 0.2))
    assert words == len(places)
    torch.testing.assert_close(loss, plain)
    torch.testing.assert_close(objective, smooth)


def test_word_dropout_hides_words_that_are_read_and_none_that_are_asked_for():
    class Ear(torch.nn.Module):
        def hidden(self, features, captions):
            self.heard = captions
            return functional.one_hot(captions, 10).float()

        def score(self, hidden):
            return hidden

    ear, captions = Ear(), torch.full((50, 40), 7)
    objective, loss, words = Loss(torch.nn.Identity(), ear, word_dropout=0.25)(
        torch.zeros(50, 3), captions, torch.full((50,), 40))
    assert (ear.heard == UNK_ID).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert ((ear.heard == UNK_ID) | (ear.heard == 7)).all() and (captions == 7).all()


def test_soft_attention_is_charged_for_cells_it_never_looks_at(settings, tmp_path):
    run = Run(replace(settings, decoder="soft"), tmp_path)
    objective, loss, _ = run.model(*run.train.batch(np.arange(5)))
    assert objective > loss + 0.1
    plain = Run(replace(settings, decoder="adaptive"), tmp_path / "adaptive")
    objective, loss, _ = plain.model(*plain.train.batch(np.arange(5)))
    assert objective.item() == pytest.approx(loss.item())


def test_an_average_follows_and_gives_the_parameters_back():
    parameter = torch.nn.Parameter(torch.zeros(3))
    average, expected = Average([parameter], 0.9), 0.0
    for number in range(50):
        parameter.data.fill_(number)
        average.update(number)
        keep = min(0.9, (1 + number) / (10 + number))
        expected = keep * expected + (1 - keep) * number
    with average.in_use():
        torch.testing.assert_close(parameter.detach(), torch.full((3,), expected))
    assert (parameter == 49).all()
    with Average([parameter], 0.0).in_use():
        assert (parameter == 49).all()


def test_the_average_is_what_is_validated_saved_and_resumed(settings, tmp_path):
    settings = replace(settings, average=0.5, epochs=3)
    whole = train(settings, tmp_path / "whole")
    run = Run(settings, tmp_path / "broken")
    for batch in run.batches(0):
        step(run, batch)
    scores = validate(run)
    with run.average.in_use():
        run.average.values, kept = [], run.average.values           # validate as it is
        assert validate(run)["val_loss"] == scores["val_loss"]
        run.average.values = kept
    finish_epoch(run, scores)
    run.lock.release(force=True)
    assert train(settings, tmp_path / "broken") == whole


def test_a_run_begins_with_the_weights_of_another(settings, tmp_path):
    train(settings, tmp_path / "first")
    run = Run(replace(settings, start=str(tmp_path / "first"), seed=7, average=0.9),
              tmp_path / "second")
    best = Run(replace(settings, seed=7), tmp_path / "third")
    assert not torch.equal(run.captioner.decoder.words.weight, best.captioner.decoder.words.weight)
    history = [row["val_loss"] for row in Run(settings, tmp_path / "first").history()]
    assert min(abs(validate(run)["val_loss"] - loss) for loss in history) < 1e-3
    with pytest.raises(BadInput, match="another kind of captioner"):
        Run(replace(settings, start=str(tmp_path / "first"), hidden_size=32), tmp_path / "fourth")


def test_features_are_those_of_the_encoder_that_a_run_begins_with(settings, tmp_path):
    train(replace(settings, tune_from=7, encoder_rate=1e-2, epochs=1), tmp_path / "tuned")
    run = Run(replace(settings, start=str(tmp_path / "tuned"), views=1), tmp_path / "frozen")
    captioner = load_captioner(tmp_path / "tuned")
    of_tuned = encode_split(captioner.encoder.backbone, captioner.transform, run.train.split)
    assert np.array_equal(run.train.features, of_tuned)
    plain = Run(replace(settings, views=1), tmp_path / "plain")
    assert not np.array_equal(plain.train.features, of_tuned)


def critic(settings, folder, **changes):
    return Run(replace(settings, samples=4, one_per_picture=True, learning_rate=1e-2, **changes),
               folder)


def test_rewards_are_cider_with_the_frequencies_of_train_and_end_counts(data):
    vocab = Vocabulary.build(tokenized(data.split), 1)
    rewards = Rewards(data.split, vocab)
    whole = vocab.encode(data.split.pictures[3].sentences[0])
    broken = whole[:-3] + [END_ID]                          # its last word is missing
    found = rewards.of([whole, broken, whole], [3, 3, 4], 24)
    assert found[0] > found[1] and found[0] > found[2]
    assert rewards.of([whole], [3], len(whole)) < found[0]  # cut off there: the end is not its own


def test_the_objective_is_reinforce_with_the_mean_of_the_others(settings, tmp_path):
    run = critic(settings, tmp_path)
    features, pictures = next(run.batches(0))
    torch.manual_seed(3)
    objective, loss, words = run.model(features, pictures)
    decoder, model = run.captioner.decoder, run.model
    torch.manual_seed(3)
    embedded = run.captioner.encoder.embed(features)
    captions, places = model.draw(embedded.detach(), pictures)
    rewards = model.rewards.of(captions, places, 24)
    expected = 0
    for number, caption in enumerate(captions):
        mine = slice(number // 4 * 4, number // 4 * 4 + 4)
        others = (rewards[mine].sum() - rewards[number]) / 3
        given = torch.tensor([caption])
        logs = decoder(embedded[number // 4][None], given)[0].log_softmax(1)
        likely = sum(logs[t, caption[t]] for t in range(1, len(caption)))
        expected -= (rewards[number] - others) * likely
    torch.testing.assert_close(objective, expected, rtol=1e-4, atol=1e-4)
    assert words == sum(len(caption) - 1 for caption in captions)
    assert loss.item() == pytest.approx(-rewards.mean().item() * words.item(), rel=1e-5)


def test_samples_that_are_rewarded_become_likelier(settings, tmp_path):
    train(replace(settings, epochs=20, learning_rate=1e-2, patience=20), tmp_path / "words")
    run = critic(settings, tmp_path / "critic", start=str(tmp_path / "words"), epochs=30,
                 patience=30, batch_size=4)
    rewards = []
    for epoch in run.epochs():
        losses = [step(run, batch)[0].item() for batch in run.batches(epoch)]
        rewards.append(-sum(losses) / len(losses))
        run.tally()
        run.position.update(epoch=epoch + 1, batch=0)
    assert np.mean(rewards[-5:]) > 1.5 * np.mean(rewards[:5])
    run.lock.release(force=True)


def test_samples_are_drawn_without_dropout_and_the_gradient_has_it(settings, tmp_path, monkeypatch):
    run = critic(settings, tmp_path, dropout=0.5)
    features, pictures = next(run.batches(0))
    monkeypatch.setattr(run.model, "settings", lambda: Search("sample", captions=4, seed=7))
    embedded = run.captioner.encoder.embed(features).detach()
    objectives, drawn = [], []
    for seed in (1, 2):
        torch.manual_seed(seed)
        drawn.append(run.model.draw(embedded, pictures)[0])
        objectives.append(run.model(features, pictures)[0].item())
    assert run.captioner.decoder.training
    assert drawn[0] == drawn[1] and objectives[0] != objectives[1]


def test_self_critical_settings_must_fit(settings):
    for changes in ({"samples": 1, "one_per_picture": True}, {"samples": 5}):
        with pytest.raises(BadInput, match="samples must be"):
            replace(settings, **changes)


def test_how_samples_are_drawn_differs_from_step_to_step():
    model = SelfCritical(None, None, None, 5)
    torch.manual_seed(1)
    first = model.settings()
    torch.manual_seed(2)
    assert isinstance(first, Search) and first.seed != model.settings().seed
