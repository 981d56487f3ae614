"""Few pictures, few words, long sentences: a training gives way where the data are small or odd."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from captioning import task as captioning
from captioning.captioner import Captioner
from captioning.checkpoint import load_captioner, save_captioner
from captioning.evaluation import left_out, score
from captioning.settings import CaptioningSettings, settings_of
from captioning.task import Captioning, take_over
from captioning.words import length_of, longest_read, vocabulary_of, warn_of_words
from system.files import BadInput
from tests.running import begin_run, train_run
from training.loop import rate_at
from vocabulary import Tokens, Vocabulary


@pytest.fixture
def settings(tiny_root):
    """Settings of a run that takes a moment."""
    return CaptioningSettings(str(tiny_root), encoder="tiny", epochs=1, batch_size=16, views=1,
                              embed_size=16, hidden_size=16, vocab_threshold=1, dropout=0.0)


def rewritten(root, copy, change):
    """Copy a dataset with `change(images, annotations)` of each split; return the copy's root."""
    for path in (root / "annotations").glob("captions_*.json"):
        content = json.loads(path.read_text())
        content["images"], content["annotations"] = change(
            content["images"], content["annotations"])
        target = copy / "annotations" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(content))
    for folder in ("train", "val"):
        (copy / folder).symlink_to((root / folder).absolute(), target_is_directory=True)
    return copy


def said(root, copy, sentence):
    """Return a copy of a dataset in which every caption is `sentence(number)`."""
    return rewritten(root, copy, lambda images, annotations: (images, [
        {**one, "caption": sentence(number)} for number, one in enumerate(annotations)]))


# Steps

def test_an_epoch_of_few_captions_is_several_passes_in_another_order_each(
        settings, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(captioning, "LEAST_STEPS", 10)
    run = begin_run(settings, tmp_path)                     # 60 captions, 4 batches a pass
    assert (run.task.passes, run.steps_per_epoch) == (3, 12)
    assert "3 passes" in capsys.readouterr().err
    batches = [batch.captions.tolist() for batch in run.task.batches(0, 0)]
    assert len(batches) == 12 and batches[:4] != batches[4:8]
    for start in (3, 4, 5, 11, 12):
        assert [one.captions.tolist() for one in run.task.batches(0, start)] == batches[start:]
    following = [batch.captions.tolist() for batch in run.task.batches(1, 0)]
    assert following[:4] not in (batches[:4], batches[4:8], batches[8:])


def test_where_data_are_enough_an_epoch_is_one_pass(settings, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(captioning, "LEAST_STEPS", 4)
    run = begin_run(settings, tmp_path)
    assert (run.task.passes, run.steps_per_epoch) == (1, 4)
    assert "passes" not in capsys.readouterr().err


def test_a_captioner_that_goes_on_makes_a_third_of_the_steps(settings, tmp_path, monkeypatch):
    train_run(settings, tmp_path / "first", epochs=1)
    monkeypatch.setattr(captioning, "LEAST_STEPS", 30)
    for start, passes in ((None, 8), (str(tmp_path / "first"), 3)):
        run = begin_run(replace(settings, start=start), tmp_path / f"{passes}")
        assert run.task.passes == passes


@pytest.mark.parametrize("steps, warmup", [(2820, 200), (234, 200), (221, 200), (220, 27), (40, 5)])
def test_warm_up_gives_way_where_it_would_take_the_whole_run(settings, steps, warmup):
    settings = replace(settings, warmup=200)
    rates = [rate_at(number, settings, steps) for number in range(steps)]
    assert int(np.argmax(np.isclose(rates, 1))) == warmup - 1
    assert rates[-1] < 0.05 or steps < 250


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_run_of_a_few_steps_has_rates(settings, steps):
    assert all(0 <= rate_at(number, settings, steps) <= 1 for number in range(steps + 1))


# CIDEr where it says nothing

def test_a_val_of_one_picture_is_chosen_by_its_loss(settings, tiny_root, tmp_path, capsys):
    def single(images, annotations):
        if len(images) > 6:
            return images, annotations
        return images[:1], [one for one in annotations if one["image_id"] == images[0]["id"]]

    root = rewritten(tiny_root, tmp_path / "single", single)
    history = train_run(settings, tmp_path / "run", data=str(root), epochs=2)
    assert all("CIDEr" not in row for row in history)
    assert "the loss on val chooses" in capsys.readouterr().err
    best = load_captioner(tmp_path / "run").about["val"]
    assert best["val_loss"] == min(row["val_loss"] for row in history)
    assert json.loads((tmp_path / "run" / "status.json").read_text())["key"] == "val_loss"


def test_pictures_of_the_same_sentences_are_chosen_by_the_loss(settings, tiny_root, tmp_path):
    root = said(tiny_root, tmp_path / "same", lambda _: "A photograph.")
    task = Captioning(replace(settings, data=str(root)))
    task.read()
    task.prepare("cpu")
    assert (task.key, task.better) == ("val_loss", min)
    assert "CIDEr" not in task.shown and "CIDEr" not in task.curves
    assert (Captioning.key, Captioning.better) == ("CIDEr", max)


@pytest.mark.parametrize("references", [[["a dog runs"]], [["a dog"], ["a dog"]]])
def test_no_cider_is_shown_where_it_is_zero_by_definition(references):
    scores, each = score([picture[0] for picture in references], references)
    assert "CIDEr" not in scores and each is None and scores["Bleu_1"] > 0.99
    assert any("CIDEr-D was left out: it compares pictures" in line for line in left_out(scores))
    scores, _ = score(["a dog", "a cat"], [["a dog"], ["a cat"]])
    assert scores["CIDEr"] > 0 and not any("CIDEr" in line for line in left_out(scores))


# Words

@pytest.mark.parametrize("sentence, threshold, remedy", [
    ("一只狗在跑{}", 2, "separate their words by spaces"),
    ("แมวดำ{}", 2, "separate their words by spaces"),
    ("one{0} two{0} three{0}", 2, "a lower --vocab-threshold")])
def test_captions_without_a_word_to_learn_are_refused(settings, tiny_root, tmp_path, sentence,
                                                      threshold, remedy):
    root = said(tiny_root, tmp_path / "data", sentence.format)
    with pytest.raises(BadInput, match=remedy):
        begin_run(settings, tmp_path / "run", data=str(root), vocab_threshold=threshold)


@pytest.mark.parametrize("train, val, split", [
    (["a dog"] * 9 + ["one two three four five"], ["a dog"], "train"),
    (["a dog", "a cat"] * 5, ["a horse", "a big horse"], "val")])
def test_many_unknown_words_are_said_with_the_remedy(capsys, train, val, split):
    train, val = Tokens.of(train), Tokens.of(val)
    warn_of_words(vocabulary_of(train, 2), train, val)
    found = capsys.readouterr().err.splitlines()
    assert len(found) == 1 and f"of the words of {split} are <unk>" in found[0]
    assert "--vocab-threshold" in found[0]


def test_few_unknown_words_are_not_said(capsys):
    train = Tokens.of(["a dog runs"] * 9 + ["a rare dog runs"])
    warn_of_words(vocabulary_of(train, 2), train, train)
    assert capsys.readouterr().err == ""


# Length

def test_captions_are_as_long_as_those_of_train(capsys):
    long = Tokens.of([" ".join(["word"] * 44)] * 20)
    assert length_of(long) == 46 and "at most 44 words" in capsys.readouterr().err
    assert length_of(Tokens.of(["a dog runs"] * 20 + ["word " * 44])) == 20     # one in a thousand
    assert capsys.readouterr().err == ""
    assert length_of(long, 12) == 12 and "at most 10 words" in capsys.readouterr().err
    assert longest_read(12) == 50 and longest_read(90) == 90


def test_captions_that_are_cut_in_training_are_said(capsys):
    assert length_of(Tokens.of(["a dog runs"] * 40 + ["word " * 60])) == 20
    assert "1 captions of train have more than 48 words" in capsys.readouterr().err
    assert length_of(Tokens.of(["word " * 60] * 5)) == 62
    assert "are cut" not in capsys.readouterr().err


def test_the_length_is_in_the_checkpoint_and_used(settings, tiny_root, tmp_path):
    root = said(tiny_root, tmp_path / "data", lambda number: "red " * 30 + "end")
    train_run(settings, tmp_path / "run", data=str(root), epochs=3, learning_rate=0.02)
    captioner = load_captioner(tmp_path / "run")
    assert captioner.max_length == 33 == captioner.search(beam=2).max_length
    words = [len(sentence.split()) for sentence, *_ in captioner.sentences(
        np.zeros((2, 32), np.float16), captioner.search(allow_repetition=True))]
    assert max(words) > 18
    again = tmp_path / "again.safetensors"
    save_captioner(again, captioner, **captioner.about)
    assert load_captioner(again).max_length == 33


@pytest.mark.parametrize("length", [2, -1, 10**9, 3.5, "20", None, True])
def test_an_absurd_length_in_a_checkpoint_is_refused(settings, tmp_path, length):
    run = begin_run(settings, tmp_path / "run")
    save_captioner(tmp_path / "x.safetensors", run.task.captioner, max_length=length)
    with pytest.raises(BadInput, match="absurd length"):
        load_captioner(tmp_path / "x.safetensors")


# Starting from another

@pytest.mark.parametrize("recipe", ["tuned", "critical"])
def test_recipes_that_go_on_from_a_run_need_one(recipe, monkeypatch, capsys):
    with pytest.raises(BadInput, match="start must name a run"):
        settings_of(recipe, "data")
    assert settings_of(recipe, "data", start="runs/attention").start == "runs/attention"


def built(words, seed=0):
    """Return an untrained captioner of these words."""
    torch.manual_seed(seed)
    decoder = {"name": "lstm_every", "embed_size": 8, "hidden_size": 8, "num_layers": 1,
               "dropout": 0.0}
    return Captioner.build({"encoder": {"backbone": "tiny", "grid": False}, "decoder": decoder},
                           Vocabulary(words=words), None)


def test_a_start_gives_its_words_and_all_its_weights():
    old, new = built(["a", "dog"]), built(["a", "dog", "zebra"], seed=1)
    before = {name: tensor.clone() for name, tensor in new.tensors().items()}
    take_over(new, old)
    for name, given in old.tensors().items():
        now = new.tensors()[name]
        assert torch.equal(now[:len(given)] if given.dim() else now, given)
        if now.shape != given.shape:                # the row of the zebra
            assert torch.equal(now[len(given):], before[name][len(given):])
    train = Tokens.of(["a zebra", "a cat"])
    assert vocabulary_of(train, 1, old).words[3:] == ["a", "dog", "cat", "zebra"]


def test_a_start_of_another_language_is_said(capsys):
    train = Tokens.of(["ein hund rennt", "a dog"])
    warn_of_words(vocabulary_of(train, 1), train, train, built(["a", "dog"]))
    assert "--start None" in capsys.readouterr().err
    train = Tokens.of(["a dog", "a dog", "a zebra"])
    warn_of_words(vocabulary_of(train, 1), train, train, built(["a", "dog"]))
    assert capsys.readouterr().err == ""
