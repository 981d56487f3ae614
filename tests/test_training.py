"""The loss counts what it should, a run learns, and an interruption changes nothing."""

import json
import math
import sys
from dataclasses import MISSING, fields, replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from captioning.checkpoint import load_captioner
from captioning.objectives import caption_loss
from captioning.settings import CaptioningSettings
from decoders.search import Search, search
from system import processor
from system.commands import run_command
from system.files import BadInput
from tests.interface import needs_bfloat16
from tests.running import begin_run, train_run
from train import main as train_main
from training import loop as training
from training.loop import finish_epoch, rate_at, step, validate
from vocabulary import END_ID


@pytest.fixture
def settings(tiny_root, no_curves):
    return CaptioningSettings(
        data=str(tiny_root), encoder="tiny", epochs=3, batch_size=16, embed_size=24, hidden_size=24,
        vocab_threshold=1, warmup=2, views=2, val_pictures=6, dropout=0.3)


def one_by_one(run, *captions):
    """Return a batch of captions of train by number, each with its own copy of its picture."""
    return run.task.train.batch(run.task.train.rows(np.array(captions)[:, None]))


def batch(vocab=11, seed=0):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([6, 4, 3])
    captions = torch.randint(2, vocab, (3, 6), generator=generator)
    for row, length in zip(captions, lengths, strict=True):
        row[0], row[length - 1:] = 0, END_ID
    return torch.randn(3, 6, vocab, generator=generator), captions, lengths


def test_the_loss_is_a_loop_over_the_words_that_count():
    scores, captions, lengths = batch()
    by_loop = [-scores[i, t].log_softmax(0)[captions[i, t]]
               for i in range(3) for t in range(1, lengths[i])]
    loss, count = caption_loss(scores, captions, lengths)
    assert count == len(by_loop) == 10
    torch.testing.assert_close(loss, sum(by_loop))


def test_neither_start_nor_filling_changes_the_loss_but_the_first_end_does():
    scores, captions, lengths = batch()
    loss, _ = caption_loss(scores, captions, lengths)
    for place, counts in (((1, 0), False), ((1, 4), False), ((1, 3), True), ((1, 2), True)):
        other = scores.clone()
        other[place] = other[place].roll(1)
        changed = caption_loss(other, captions, lengths)[0]
        assert torch.equal(changed, loss) != counts


def test_more_filling_changes_nothing():
    scores, captions, lengths = batch()
    wider = functional.pad(scores, (0, 0, 0, 5), value=3.0)
    longer = functional.pad(captions, (0, 5), value=END_ID)
    torch.testing.assert_close(caption_loss(wider, longer, lengths)[0],
                               caption_loss(scores, captions, lengths)[0])


def test_the_learning_rate_rises_then_falls_to_nothing(settings):
    settings = replace(settings, warmup=4)
    rates = [rate_at(number, settings, 20) for number in range(21)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0] and rates[4] == 1.0
    assert rates[4:] == sorted(rates[4:], reverse=True) and rates[20] == pytest.approx(0)


def test_one_batch_learned_by_heart_comes_back_word_for_word(settings, tmp_path):
    run = begin_run(settings, tmp_path, dropout=0.0, one_per_picture=True, warmup=0,
                    learning_rate=5e-3, views=1)
    batch = one_by_one(run, 0, 5)                   # of a green and of a blue picture
    for _ in range(250):
        run.position.update(epoch=0, batch=0)
        loss, _ = step(run, batch)
    assert loss < 0.05
    found = search(run.task.captioner.decoder, run.task.captioner.encoder.embed(batch.images),
                   Search("greedy", max_length=12))
    for (caption,), target, length in zip(found, batch.captions, batch.lengths, strict=True):
        assert caption.words == target[:length].tolist()


def test_a_run_writes_how_its_captions_are_searched_for(settings, tmp_path):
    train_run(settings, tmp_path, epochs=1, no_repeat_ngram=2)
    assert load_captioner(tmp_path).search() == Search(no_repeat_ngram=2)


def test_a_run_learns_and_leaves_the_frozen_encoder_as_it_was(settings, tmp_path):
    run = begin_run(settings, tmp_path, epochs=15, learning_rate=1e-2, patience=15)
    before = {k: v.clone() for k, v in run.task.captioner.encoder.backbone.state_dict().items()}
    embed = run.task.captioner.encoder.embed.weight.clone()
    for epoch in run.epochs():
        for one in run.batches(epoch):
            step(run, one)
        finish_epoch(run, validate(run))
    after = run.task.captioner.encoder.backbone.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not torch.equal(embed, run.task.captioner.encoder.embed.weight)
    losses = [row["val_loss"] for row in run.history()]
    assert losses[-1] < 0.6 * losses[0]


def weights(folder):
    return load_file(folder / "state.safetensors")


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(settings, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train_run(settings, tmp_path / name, epochs=1, seed=seed)
    assert equal(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not equal(weights(tmp_path / "a"), weights(tmp_path / "c"))


def test_the_largest_seed_trains_and_a_larger_one_is_refused_before_anything_is_done(settings,
                                                                                     tmp_path):
    train_run(settings, tmp_path, epochs=1, seed=2**32 - 1)
    with pytest.raises(BadInput, match="seed must be at most 4294967295"):
        replace(settings, seed=2**32)


def test_a_folder_with_other_settings_is_refused_with_the_difference(settings, tmp_path):
    train_run(settings, tmp_path, epochs=1)
    with pytest.raises(BadInput, match="dropout was 0.3, is 0.1"):
        train_run(settings, tmp_path, epochs=1, dropout=0.1)


def test_it_stops_when_cider_has_not_risen_for_patience_epochs(settings, tmp_path, monkeypatch):
    scores = iter([0.2, 0.5, 0.4, 0.3, 0.1, 0.6, 0.7])
    fake = {"val_loss": 1.0, "perplexity": math.e, "distinct": 3, "sentence": ""}
    monkeypatch.setattr(training, "validate", lambda run: {**fake, "CIDEr": next(scores)})
    history = train_run(settings, tmp_path, epochs=20, patience=3)
    assert [row["CIDEr"] for row in history] == [0.2, 0.5, 0.4, 0.3, 0.1]


def test_a_loss_that_is_no_number_is_named(settings, tmp_path):
    run = begin_run(settings, tmp_path)
    batch = next(run.batches(0))
    with pytest.raises(BadInput, match="loss became nan at step 0"):
        step(run, batch._replace(images=batch.images * math.nan))


def test_a_tuned_encoder_trains_from_pictures(settings, tmp_path):
    run = begin_run(settings, tmp_path, tune_from=1, epochs=1, encoder_rate=1e-2)
    stages = run.task.captioner.encoder.backbone.stages
    first, last = stages[0][0].weight.clone(), stages[1][0].weight.clone()
    history = train_run(run.settings, tmp_path)
    tuned = load_file(tmp_path / "state.safetensors")
    assert torch.equal(tuned["weights.encoder.backbone.stages.0.0.weight"], first)
    assert not torch.equal(tuned["weights.encoder.backbone.stages.1.0.weight"], last)
    assert len(history) == 1


def test_a_step_follows_the_mean_over_words_clipped_to_its_norm(settings, tmp_path):
    settings = replace(settings, dropout=0.0, precision="float32")
    for clip in (1e9, 0.01):
        run = begin_run(settings, tmp_path / str(clip), clip=clip)
        heads = run.optimizer.param_groups[0]["params"]
        batch = one_by_one(run, 0, 2, 9)
        features, captions, lengths, _ = batch
        scores = run.task.captioner.decoder(run.task.captioner.encoder.embed(features), captions)
        losses = [functional.cross_entropy(scores[row, t], captions[row, t])
                  for row, length in enumerate(lengths) for t in range(1, length)]
        gradients = torch.autograd.grad(sum(losses) / len(losses), heads)
        shrunk = min(1, clip / torch.cat([one.flatten() for one in gradients]).norm())
        before = [parameter.clone() for parameter in heads]
        loss, words = step(run, batch)
        assert loss == pytest.approx(sum(losses).item() / len(losses)) and words == len(losses)
        for parameter, gradient, old in zip(heads, gradients, before, strict=True):
            torch.testing.assert_close(parameter.grad, shrunk * gradient, rtol=1e-4, atol=1e-7)
            assert not torch.equal(parameter, old)
        assert shrunk < 1 or clip == 1e9


def test_the_gradient_makes_up_for_the_mean_that_processes_take(settings, tmp_path, monkeypatch):
    gradients = []
    for processes in (1, 3):
        monkeypatch.setattr(training, "world_size", lambda processes=processes: processes)
        run = begin_run(settings, tmp_path / str(processes), dropout=0.0, clip=1e9,
                        precision="float32")
        step(run, one_by_one(run, 0, 2, 9))
        gradients.append(torch.cat([one.grad.flatten() for one in run.parameters()]))
    torch.testing.assert_close(gradients[1], 3 * gradients[0])


@needs_bfloat16
def test_a_step_in_bfloat16_has_the_loss_and_nearly_the_direction_of_float32(settings, tmp_path):
    found = []
    for precision in ("float32", "bfloat16"):
        run = begin_run(settings, tmp_path / precision, dropout=0.0, precision=precision)
        loss, _ = step(run, one_by_one(run, *range(12)))
        heads = run.optimizer.param_groups[0]["params"]
        found.append((loss.item(), torch.cat([one.grad.flatten() for one in heads])))
    (plain, gradient), (fast, other) = found
    assert fast == pytest.approx(plain, rel=5e-3)
    assert torch.cosine_similarity(gradient, other, dim=0) > 0.99


def test_the_seed_draws_the_first_weights(settings, tmp_path):
    first = [begin_run(settings, tmp_path / str(number), seed=seed).task.tensors()
             for number, seed in enumerate((0, 0, 1))]
    assert equal(first[0], first[1]) and not equal(first[0], first[2])


def test_validation_is_per_word_without_dropout_and_of_the_encoder_as_it_is(settings, tmp_path):
    run = begin_run(settings, tmp_path, tune_from=1, dropout=0.5)
    next(run.batches(0))                                        # leaves the networks training
    scores = validate(run)
    total = words = 0
    for features, captions, lengths, _ in run.task.val.batches(7):
        given = run.task.captioner.encoder.embed(features)
        loss, count = caption_loss(run.task.captioner.decoder(given, captions), captions, lengths)
        total, words = total + loss.item(), words + count.item()
    assert scores["val_loss"] == pytest.approx(total / words)
    assert scores["perplexity"] == pytest.approx(math.exp(total / words))
    with torch.no_grad():
        run.task.captioner.encoder.backbone.stages[1][0].weight.neg_()
    assert validate(run)["val_loss"] != pytest.approx(scores["val_loss"], abs=1e-6)


class NoReading(TorchDispatchMode):
    """Refuses to tell a tensor's value, for which a GPU would have to be waited for."""

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        assert not any(name in str(function) for name in ("local_scalar", "nonzero"))
        if "index" in str(function):            # by a mask, whose places must be found first
            given = [one for one in tree_leaves(arguments) if isinstance(one, torch.Tensor)]
            assert not any(one.dtype == torch.bool for one in given)
        return function(*arguments, **(options or {}))


@pytest.mark.parametrize("precision", [
    "float32", pytest.param("bfloat16", marks=needs_bfloat16)])
def test_a_step_asks_for_no_value_until_losses_are_read(settings, tmp_path, precision):
    run = begin_run(settings, tmp_path, precision=precision)
    run.losses.every = 3
    run.optimizer.step = lambda: None       # counts its steps in tensors that are never on a GPU
    batches = list(run.batches(0))
    with NoReading():
        for batch in batches[:2]:
            step(run, batch)
    assert run.position["count"] == 0
    step(run, batches[2])
    assert run.position["count"] > 0


@needs_bfloat16
def test_bfloat16_is_for_the_steps_alone(settings, tmp_path):
    losses = {}
    for precision in ("float32", "bfloat16"):
        run = begin_run(settings, tmp_path / precision, precision=precision)
        losses[precision] = step(run, next(run.batches(0)))[0].item()
        assert all(one.dtype != torch.bfloat16 for one in run.task.captioner.tensors().values())
    assert losses["float32"] != losses["bfloat16"] == pytest.approx(losses["float32"], rel=1e-2)


def test_bfloat16_where_no_lstm_has_it_is_refused(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(processor, "trains_in_bfloat16", lambda kind: False)
    with pytest.raises(BadInput, match="cannot train in bfloat16: give --precision float32"):
        begin_run(settings, tmp_path, precision="bfloat16")
    assert not any(tmp_path.iterdir())
    monkeypatch.setattr(processor, "precision_of", lambda device: torch.bfloat16)
    assert begin_run(settings, tmp_path, precision="auto").precision == "float32"


def test_the_command_trains_and_says_what_comes_next(write_root, tmp_path, monkeypatch, capsys):
    root = write_root(tmp_path / "data", {"train": 2, "val": 1})
    sizes = "--views 1 --epochs 1 --embed-size 8 --hidden-size 8 --vocab-threshold 1"
    monkeypatch.setattr(sys, "argv", ["train.py", "--data", str(root), "--run",
                                      str(tmp_path / "run"), *sizes.split()])
    with pytest.raises(SystemExit) as end:
        run_command(train_main)
    assert not end.value.code and "next: python evaluate.py" in capsys.readouterr().out
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["embed_size"] == 8


def test_the_command_answers_bad_input_with_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train.py", "--data", str(tmp_path / "nowhere"),
                                      "--run", str(tmp_path / "run")])
    with pytest.raises(SystemExit) as end:
        run_command(train_main)
    error = capsys.readouterr().err
    assert end.value.code == 2 and error.startswith("error: ") and error.count("\n") == 1
    assert "nowhere has no folder 'annotations'" in error


def test_help_names_every_setting_with_its_default(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train.py", "--help"])
    with pytest.raises(SystemExit):
        train_main()
    shown = " ".join(capsys.readouterr().out.split())
    for one in fields(CaptioningSettings):
        assert f"--{one.name.replace('_', '-')}" in shown
        assert one.default is MISSING or f"({one.default})" in shown
