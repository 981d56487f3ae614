"""Frames are labelled: the ladder's models, and the task that trains, saves and judges them."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

import evaluate
import train as train_command
from system import tensor_file
from system.files import BadInput, read_json
from tests.moving import CLASSES, HZ, picture, write_clips, write_multithumos
from training import loop
from training import run as runs
from video.actions.card import pack
from video.actions.checkpoint import FORMAT, KIND, load_labeller
from video.actions.evaluation import KEYS
from video.actions.files import read_actions
from video.actions.models import MODELS, MultiLSTM, Sizes, windows
from video.actions.settings import ActionSettings
from video.actions.task import Actions, Batch, Objective

pytestmark = pytest.mark.usefixtures("no_curves")
N = 4
SIZES = Sizes(channels=6, cells=5, classes=3, cell_size=2, hidden_size=7, window=N, dropout=0.1)
# how many frames to come a model hears of
AHEAD = {"single": 0, "smoothed": N // 2, "lstm": 0, "window": 0, "attention": 0,
         "multilstm": N - 1}
EVERY = pytest.mark.parametrize("name", MODELS)


def built(model):
    torch.manual_seed(0)
    model = MODELS[model](SIZES).eval()
    for name, parameter in model.named_parameters():
        if name in ("trust", "recent"):         # not in order, as they begin
            torch.nn.init.normal_(parameter)
    return model


def clips(*lengths):
    """Features and mask of clips, and behind the shorter what no model may read."""
    features = torch.randn(len(lengths), max(lengths), 5, 6, generator=torch.Generator(
        ).manual_seed(1))
    return features, torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


# The models.

@EVERY
def test_a_clip_alone_is_labelled_as_in_a_batch(name):
    model, (features, mask) = built(name), clips(9, 5, 1, 3)
    together = model(features, mask)
    assert together.shape == (4, 9, 3) and together.isfinite().all()
    for row, length in enumerate(mask.sum(1)):
        alone = model(features[row:row + 1, :length], mask[row:row + 1, :length])
        torch.testing.assert_close(alone[0], together[row, :length])


@EVERY
def test_no_model_hears_of_more_frames_to_come_than_it_says(name):
    model, (features, mask) = built(name), clips(12)
    changed = features.clone()
    changed[:, 8:] = features[:, :4]
    same = (model(features, mask) - model(changed, mask)).abs().amax((0, 2)) == 0
    assert same.tolist() == [True] * (8 - AHEAD[name]) + [False] * (4 + AHEAD[name])


def test_only_models_without_a_memory_forget_the_first_frame():
    features, mask = clips(12)
    changed = features.clone()
    changed[:, 0] = features[:, 1]
    for name in MODELS:
        model = built(name)
        last = (model(features, mask) - model(changed, mask))[:, -1].abs().max()
        assert (last > 0) == (name not in ("single", "smoothed"))


def test_a_frame_knows_in_which_cell_a_thing_is():
    model, (features, mask) = built("single"), clips(6)
    assert not torch.allclose(model(features, mask), model(features.flip(2), mask))


def test_windows_hold_the_last_frames_and_fewer_where_a_clip_begins():
    frames = torch.randn(2, 6, 7)
    last, there = windows(frames, N)
    assert last.shape == (2, 6, N, 7)
    for at in range(6):
        kept = [at - back for back in range(N - 1, -1, -1)]
        assert there[at].tolist() == [place >= 0 for place in kept]
        for slot, place in enumerate(kept):
            expected = frames[:, place] if place >= 0 else torch.zeros(2, 7)
            assert torch.equal(last[:, at, slot], expected)


def test_smoothing_is_the_mean_of_the_frames_around_that_there_are():
    model, (features, mask) = built("smoothed"), clips(7, 3)
    single = MODELS["single"](SIZES).eval()
    single.load_state_dict(model.state_dict())
    plain, found = single(features, mask), model(features, mask)
    for row, length in enumerate(mask.sum(1).tolist()):
        for at in range(length):
            around = plain[row, max(0, at - N // 2):min(length, at + N // 2 + 1)]
            torch.testing.assert_close(found[row, at], around.mean(0))


def test_a_window_is_read_as_its_mean():
    model, frames = built("window"), torch.randn(1, 6, 7)
    means = torch.stack([frames[:, max(0, at - N + 1):at + 1].mean(1) for at in range(6)], 1)
    torch.testing.assert_close(model.hidden(frames), model.lstm(means)[0])


def test_attention_is_the_equations_frame_by_frame():
    model, frames = built("attention"), torch.randn(1, 6, 7)
    hidden, weights = model.attended(frames)
    torch.testing.assert_close(weights.sum(2), torch.ones(1, 6))
    state = memory = torch.zeros(1, 7)
    for at in range(6):
        places = range(max(0, at - N + 1), at + 1)
        worth = torch.stack([
            model.worth(torch.tanh(model.of_state(state) + model.of_frame(frames[:, place])))[0, 0]
            + model.recent[N - 1 - (at - place)] for place in places])
        alpha = worth.softmax(0)
        assert (weights[0, at, :N - len(places)] == 0).all()
        torch.testing.assert_close(weights[0, at, N - len(places):], alpha)
        read = sum(one * frames[:, place] for one, place in zip(alpha, places, strict=True))
        state, memory = model.lstm(read, (state, memory))
        torch.testing.assert_close(hidden[:, at], state)


def test_what_several_steps_say_of_a_frame_is_combined_as_by_a_slow_loop():
    model = built("multilstm")
    _, mask = clips(8, 2)
    said = torch.randn(2, 8, N, 3)
    found = model.combine(said, mask)
    for row, length in enumerate(mask.sum(1).tolist()):
        for at in range(length):
            steps = range(at, min(length, at + N))
            trust = torch.stack([model.trust[step - at] for step in steps]).exp()
            votes = torch.stack([said[row, step, step - at] for step in steps])
            expected = (trust[:, None] * votes).sum(0) / trust.sum()
            torch.testing.assert_close(found[row, at], expected)
    assert isinstance(model, MultiLSTM) and found.isfinite().all()


def test_the_loss_is_that_of_every_label_of_the_frames_in_the_clips():
    scores, targets, mask = torch.randn(2, 4, 3), torch.rand(2, 4, 3).round(), clips(4, 2)[1]

    class Model(torch.nn.Module):
        def forward(self, *_):
            return scores

    loss, shown, count = Objective(Model())(Batch(scores, targets, mask))
    expected = sum(functional.binary_cross_entropy_with_logits(
        scores[row, at, label], targets[row, at, label])
        for row, length in enumerate((4, 2)) for at in range(length) for label in range(3))
    torch.testing.assert_close(loss, expected)
    assert count == 6 and shown == loss


# Roots.

@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("clips"), {"train": 24, "val": 8, "test": 6})


def test_a_root_is_read_with_labels_for_every_frame(root):
    split = read_actions(root, "train")
    assert (split.name, len(split.clips), split.classes) == ("train", 24, CLASSES)
    labels = split.labels(HZ)
    assert [len(one) for one in labels] == [len(clip) for clip in split.clips]
    # the first goes right from the first frame on: labelled strictly between start and end
    assert labels[0][:, 1].tolist() == [False, True, True, False, False, False]
    assert len(split.labels(2 * HZ)[0]) == 2 * len(labels[0])
    assert len(read_actions(root, "train").first(3).clips) == 3


def test_a_json_file_stands_for_the_lists_and_clips_it_does_not_name_have_no_label(
        tmp_path, capsys):
    root = write_clips(tmp_path, {"train": 3})
    videos = read_actions(root, "train").videos
    (root / "multithumos" / "class_list.txt").unlink()
    (root / "multithumos").rename(root / "elsewhere")
    write_multithumos(root / "multithumos.json", [replace(one, duration=9.0) for one in videos[1:]])
    split = read_actions(root / ".." / root.name, "train")
    assert not split.videos[0].spans and split.labels(HZ)[1].any()
    assert len(split.classes) == 65         # MultiTHUMOS's own


def test_a_clip_that_is_a_folder_keeps_what_follows_a_point_in_its_name(tmp_path):
    root = write_clips(tmp_path, {"train": 2})
    (root / "train" / "video_0001").rename(root / "train" / "video.0001")
    for file in (root / "multithumos" / "annotations").iterdir():
        file.write_text(file.read_text().replace("video_0001", "video.0001"))
    assert all(video.spans for word in ("train", "val")
               for video in read_actions(root, word).videos)


def test_a_root_without_val_lends_clips_of_train(tmp_path):
    root = write_clips(tmp_path, {"training": 12})
    train, val = (read_actions(root, word) for word in ("train", "val"))
    assert (len(train.clips), len(val.clips)) == (11, 1) and "lent by training" in val.name
    assert not {one.name for one in train.videos} & {one.name for one in val.videos}


@pytest.mark.parametrize("harm, match", [
    (lambda root: (root / "multithumos").rename(root / "other"),
     "has neither multithumos/class_list.txt nor multithumos.json"),
    (lambda root: (root / "train").rename(root / "films"),
     "has no folder of clips of the split 'train', but films, multithumos"),
    (lambda root: [one.rename(one.with_name(f"clip{one.name}"))
                   for one in (root / "train").iterdir()],
     "says nothing about any of the . clips in .*train"),
    (lambda root: (root / "multithumos" / "annotations" / "Left.txt").write_text("video_0001 1"),
     "line 1 is 'video_0001 1' in place of a video, a start and an end"),
    (lambda root: (root / "train" / "video_0002" / "001.png").unlink(),
     "has 6 times of 5 frames|has 7 times of 6 frames"),
    (lambda root: (root / "train" / "notes.txt").write_text("Buy bread."), "notes.txt")])
def test_a_root_that_is_none_is_refused_in_a_sentence(tmp_path, harm, match):
    root = write_clips(tmp_path, {"train": 3})
    harm(root)
    with pytest.raises(BadInput, match=match) as refusal:
        Actions(ActionSettings(str(root), encoder="tiny")).read()
        loop.train(Actions(ActionSettings(str(root), encoder="tiny")), tmp_path / "run")
    assert "\n" not in str(refusal.value)


# The task.

@pytest.fixture(scope="module")
def settings(root):
    return ActionSettings(str(root), encoder="tiny", epochs=30, batch_size=6, learning_rate=0.02,
                          warmup=10, patience=30, hidden_size=24, cell_size=8, window=3,
                          dropout=0.0, model="lstm", precision="float32")


@pytest.fixture(scope="module")
def run(settings, tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "save_curves", lambda *_: None)
        loop.train(Actions(settings), folder)
    return folder


def command(monkeypatch, main, *words):
    monkeypatch.setattr(sys, "argv", ["x.py", *map(str, words)])
    return main()


def test_an_lstm_learns_what_a_single_frame_cannot_tell(settings, run, tmp_path):
    with_memory = load_labeller(run)
    loop.train(Actions(replace(settings, model="single")), tmp_path / "single")
    split = read_actions(settings.data, "test")
    for labeller, sees in ((with_memory, True), (load_labeller(tmp_path / "single"), False)):
        scores = torch.cat(labeller.scores(labeller.features(split.clips))).numpy()
        labels = np.concatenate(split.labels(HZ))
        goes = labels[:, 0] | labels[:, 1]
        right = ((scores[:, 1] > scores[:, 0]) == labels[:, 1])[goes].mean()
        assert right > 0.95 if sees else right < 0.8
        assert ((scores[:, 2] > 0) == labels[:, 2]).all()       # brightness each frame shows


def test_a_killed_run_ends_bit_for_bit_as_one_that_was_not(settings, tmp_path, monkeypatch):
    class Kill(BaseException):
        pass

    settings = replace(settings, epochs=2, average=0.5, model="multilstm", dropout=0.1)
    whole = loop.train(Actions(settings), tmp_path / "whole")
    monkeypatch.setattr(runs, "SAVE_EVERY", -1)             # the state is saved before every step
    taken, step = [], loop.step

    def killed(one, batch):
        taken.append(batch)
        if len(taken) == 6:
            raise Kill
        return step(one, batch)

    monkeypatch.setattr(loop, "step", killed)
    with pytest.raises(Kill):
        loop.train(Actions(settings), tmp_path / "killed")
    assert loop.train(Actions(settings), tmp_path / "killed") == whole
    for name in ("state.safetensors", "best.safetensors"):
        ours, theirs = (load_file(tmp_path / run / name) for run in ("killed", "whole"))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_clips_are_cut_into_pieces_and_every_frame_counts_once(settings, tmp_path):
    task = loop.Run(Actions(replace(settings, longest=4)), tmp_path / "run").task
    batches = list(task.batches(0, 0))
    assert len(batches) == task.steps_per_epoch
    assert max(one.features.shape[1] for one in batches) == 4
    assert sum(one.mask.sum() for one in batches) == sum(map(len, task.labels))
    for clip, labels in enumerate(task.labels):
        places = [place for place, piece in enumerate(task.pieces) if piece[0] == clip]
        batch = task.batch(places)
        assert np.array_equal(batch.targets[batch.mask].numpy().astype(bool), labels)
        assert torch.equal(batch.features[batch.mask],
                           torch.from_numpy(task.rows.of(clip)[0].astype(np.float32)))
    assert torch.equal(list(task.batches(0, 2))[0].targets, batches[2].targets)
    assert task.batch([0], counted=False).mask.sum() == 0


def test_labels_that_changed_are_refused(settings, tmp_path):
    root = write_clips(tmp_path / "root", {"train": 6, "val": 2})
    settings = replace(settings, data=str(root))
    loop.Run(Actions(settings), tmp_path / "run").save()
    path = root / "multithumos" / "annotations" / "Left.txt"
    path.write_text(path.read_text() + "video_0001 0.3 0.9\n")
    with pytest.raises(BadInput, match="the labels of train changed"):
        loop.Run(Actions(settings), tmp_path / "run")


def test_a_grid_too_coarse_for_any_label_is_refused(settings, tmp_path):
    root = write_clips(tmp_path / "root", {"train": 2, "val": 1})
    (root / "multithumos" / "annotations" / "Bright.txt").write_text("")
    with pytest.raises(BadInput, match="no frame of train has a label at 0.5 Hz"):
        loop.Run(Actions(replace(settings, data=str(root), hz=0.5)), tmp_path / "run")


# The checkpoint and the commands.

def test_a_checkpoint_labels_a_clip_by_its_path(run, root, settings):
    labeller = load_labeller(run)
    split = read_actions(root, "test")
    found = labeller.label(split.clips[0].path)
    assert found.times.tolist() == [at / HZ for at in range(len(split.clips[0]))]
    assert found.classes == CLASSES and found.probabilities.shape == (len(found.times), 3)
    expected = labeller.scores(labeller.features(split.clips))[0].sigmoid().numpy()
    assert np.allclose(found.probabilities, expected, atol=1e-3)
    half = {name: tensor.half().float() for name, tensor in labeller.model.state_dict().items()}
    assert all(torch.equal(tensor, half[name]) for name, tensor in
               labeller.model.state_dict().items() if tensor.dim() > 1)
    assert labeller.about["settings"]["hz"] == HZ


def test_commands_train_resume_and_evaluate(root, tmp_path, monkeypatch, capsys):
    words = ["--recipe", "actions", "--data", root, "--run", tmp_path / "run", "--encoder", "tiny",
             "--epochs", 2, "--hidden-size", 8, "--cell-size", 2, "--window", 2]
    assert command(monkeypatch, train_command.main, *words) == 0
    assert command(monkeypatch, train_command.main, *words) == 0
    assert "was finished already: best mAP" in capsys.readouterr().out
    written = tmp_path / "report.json"
    for _ in range(2):          # a report is written over one that is there
        command(monkeypatch, evaluate.main, tmp_path / "run", "--data", root, "--split", "test",
                "--json", written)
    report = read_json(written, "")
    assert report.keys() == {*KEYS}
    assert (report["split"], report["clips"], report["grid_hz"]) == ("test", 6, HZ)
    assert report["by_class"].keys() == set(CLASSES)
    assert report["prevalence"] < report["oracle_without_timing"] < 1
    assert "oracle_without_timing" in capsys.readouterr().out
    with pytest.raises(BadInput, match="writes no captions"):
        command(monkeypatch, evaluate.main, tmp_path / "run", "--data", root, "--results",
                tmp_path / "r.json")
    with pytest.raises(BadInput, match="model must be one of single"):
        command(monkeypatch, train_command.main, *words, "--model", "gru")


@pytest.mark.parametrize("part, key, value, match", [
    ("model", "name", "gru", "model is unknown"), ("model", "window", 0, "sizes are absurd"),
    ("encoder", "backbone", "x", "backbone is unknown"),
    ("model", "hidden_size", 25, "instead of")])
def test_a_strange_checkpoint_is_refused(run, tmp_path, part, key, value, match):
    tensors, header = tensor_file.read(run / "best.safetensors", KIND, FORMAT, "")
    header["architecture"][part][key] = value
    tensor_file.write(tmp_path / "x.safetensors", KIND, FORMAT, tensors, header)
    with pytest.raises(BadInput, match=match):
        load_labeller(tmp_path / "x.safetensors")


def test_a_run_is_packed_with_a_card(run, root, tmp_path, monkeypatch):
    written = tmp_path / "report.json"
    command(monkeypatch, evaluate.main, run, "--data", root, "--split", "test", "--json", written)
    path = pack(run, tmp_path / "labeller.safetensors", written, "Drawn; do as you like.")
    text = path.read_text(encoding="utf-8")
    assert "| Left | " in text and "Drawn; do as you like." in text and "python train.py" in text
    report = json.loads(written.read_text())
    assert f"{100 * report['mAP']:.1f}" in text
    assert load_labeller(tmp_path / "labeller.safetensors").about["report"] == report
    assert pack(run, tmp_path / "labeller.safetensors", written, "Again.") == path


def test_a_gif_is_labelled_too(run, tmp_path):
    first, *rest = (picture(place, True) for place in range(4))
    first.save(tmp_path / "a.gif", save_all=True, append_images=rest, duration=250)
    found = load_labeller(run).label(tmp_path / "a.gif")
    assert found.probabilities[:, 2].min() > 0.5
