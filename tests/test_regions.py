"""Regions: rows of features with their boxes, alone and in a batch, and decoders that read them.

Shape letters:  P pictures   K regions   D channels   E embedding   H hidden   V vocabulary
"""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from captioning.captioner import Captioner
from captioning.card import commands
from captioning.checkpoint import load_captioner, save_captioner
from captioning.mirroring import Mirrored, MirroredSettings, SidesToo, mirrored
from captioning.objectives import CrossEntropy
from captioning.settings import CaptioningSettings
from captioning.task import Captioning
from coco.dataset import read_split
from coco.instances import boxes_of
from data_loader import Batch
from decoders.registry import NAMES, build_decoder, wants_grid
from decoders.search import Search
from detection.average_precision import average_precision
from detection.settings import DetectionSettings
from detection.task import Detection
from encoders.backbones import transform_of
from encoders.features import cached_features
from encoders.regions import (
    RegionBackbone,
    RegionEmbedding,
    from_others,
    load_detector,
    padded,
    pool,
    save_detector,
    truth,
)
from system.files import BadInput, write_json
from training.loop import train
from vocabulary import Vocabulary

E, H, V, K = 16, 16, 11, 4
HEAD = {"boxes": "detector", "names": ["ball", "mug"], "most": 3}
TRUTH = {"boxes": "truth", "names": [], "most": 2}
VOCAB = Vocabulary(words=["a", "ball", "mug", "red", "is", "left", "of", "the"])
GRIDS = pytest.mark.parametrize("name", [name for name in NAMES if wants_grid(name)])


def detector(seed=0, sure=0.0):
    """A detector whose head is random but sure of what it finds."""
    torch.manual_seed(seed)
    backbone = RegionBackbone("tiny", None, HEAD)
    backbone.head.score_thresh = sure
    return backbone


def write_boxes(root, sizes, box=(12, 6, 24, 30)):
    """Give every picture of `write_root` one thing, and every third a second one."""
    for split in sizes:
        content = json.loads((root / "annotations" / f"captions_{split}.json").read_text())
        annotations = [{"image_id": one["id"], "category_id": 1, "bbox": list(box)}
                       for one in content["images"]]
        annotations += [{"image_id": one["id"], "category_id": 2, "bbox": [0, 0, 12, 12]}
                        for one in content["images"][::3]]
        write_json(root / "annotations" / f"instances_{split}.json", {
            "images": content["images"], "annotations": annotations,
            "categories": [{"id": 1, "name": "mug"}, {"id": 2, "name": "ball"}]})
    return root


@pytest.fixture(scope="session")
def boxed_root(tmp_path_factory, write_root):
    sizes = {"train": 9, "val": 6}
    return write_boxes(write_root(tmp_path_factory.mktemp("boxed"), sizes), sizes)


def test_a_row_is_features_box_and_whether_it_is_there():
    backbone, images = RegionBackbone("tiny", None, TRUTH), torch.randn(2, 3, 32, 32)
    boxes = padded([torch.tensor([[0.25, 0.5, 0.75, 1.0]]), torch.zeros(0, 4)], 2)
    rows = backbone(images, boxes)
    assert rows.shape == (2, 3, 48 + 5) and backbone.channels == 48
    assert rows[:, 0, -5:].tolist() == [[0, 0, 1, 1, 1]] * 2             # the whole picture
    assert rows[0, 1, -5:].tolist() == [0.25, 0.5, 0.75, 1.0, 1]
    assert not rows[0, 2].any() and not rows[1, 1:].any()                # no region
    fine, coarse = backbone.maps(images)
    expected = torch.cat([fine[0, :, 4:, 2:6].mean((1, 2)), coarse[0, :, 2:, 1:3].mean((1, 2))])
    torch.testing.assert_close(rows[0, 1, :-5], expected, rtol=0.2, atol=0.2)


def test_pooling_takes_the_mean_within_the_box():
    maps = torch.arange(4.0).expand(1, 2, 4, 4).contiguous()             # a ramp to the right
    boxes = torch.tensor([[[0.0, 0.0, 1.0, 1.0], [0.25, 0.0, 0.75, 0.5], [0.5, 0.5, 1.0, 1.0]]])
    found = pool(maps, boxes)
    torch.testing.assert_close(found[0, :, 0], torch.tensor([1.5, 1.5, 2.5]), rtol=0, atol=0.1)
    assert torch.equal(found[..., 0], found[..., 1])


def test_a_picture_alone_has_the_regions_that_it_has_in_a_batch():
    backbone, images = detector(), torch.randn(5, 3, 32, 32)
    rows = backbone(images)
    assert rows[:, 1:, -1].any()
    for number in range(5):
        torch.testing.assert_close(backbone(images[[number]]), rows[[number]], rtol=0, atol=1e-5)


def test_a_detector_finds_no_object_twice_and_at_most_so_many():
    found = detector().head.find(detector().maps(torch.randn(3, 3, 32, 32)))
    for one in found:
        assert 0 < len(one["boxes"]) <= HEAD["most"]
        assert one["scores"].tolist() == sorted(one["scores"].tolist(), reverse=True)
        assert ((one["boxes"] >= 0) & (one["boxes"] <= 1)).all()
    none = detector(sure=1.0)
    assert none(torch.randn(2, 3, 32, 32))[:, 1:].eq(0).all()            # row 0 remains


def regions(there=(4, 2)):
    """Features of two pictures with so many regions that are there."""
    torch.manual_seed(1)
    cells, corners = torch.randn(2, K, E), torch.rand(2, K, 2) / 2
    mask = torch.tensor([[number < count for number in range(K)] for count in there])
    boxes = torch.cat([corners, corners + 0.1 + torch.rand(2, K, 2) / 3], dim=2)
    return torch.cat([cells, boxes, mask.unsqueeze(2)], dim=2)


@GRIDS
def test_rows_that_only_fill_up_change_nothing(name):
    torch.manual_seed(0)
    decoder = build_decoder(name, V, embed_size=E, hidden_size=H, num_layers=1, dropout=0.0).eval()
    features, captions = regions(), torch.randint(3, V, (2, 5))
    scores, (_, weights) = decoder(features, captions), decoder.attended(features, captions)
    assert weights[1, 1:, 2:].eq(0).all() and weights[0, 1:].gt(0).all()
    filled = features.clone()
    filled[1, 2:, :-1] = torch.randn(2, E + 4)                           # whatever stands there
    torch.testing.assert_close(decoder(filled, captions), scores)
    torch.testing.assert_close(decoder(features[[1], :2], captions[[1]]), scores[[1]])
    longer = torch.cat([features, torch.zeros(2, 3, E + 5)], dim=1)
    torch.testing.assert_close(decoder(longer, captions), scores)


@GRIDS
def test_a_step_over_regions_gives_what_forward_gives(name):
    torch.manual_seed(0)
    decoder = build_decoder(name, V, embed_size=E, hidden_size=H, num_layers=1, dropout=0.0).eval()
    features, captions = regions(), torch.randint(3, V, (2, 5))
    state, scores = decoder.begin(features), decoder(features, captions)
    for t in range(4):
        found, state = decoder.step(captions[:, t], state)
        torch.testing.assert_close(found, scores[:, t + 1])


@GRIDS
def test_the_order_of_regions_does_not_matter(name):
    torch.manual_seed(0)
    decoder = build_decoder(name, V, embed_size=E, hidden_size=H, num_layers=1, dropout=0.0).eval()
    features, captions = regions(there=(4, 4)), torch.randint(3, V, (2, 5))
    torch.testing.assert_close(decoder(features.flip(1), captions), decoder(features, captions))


def test_only_the_relation_transformer_reads_boxes_itself_and_all_read_them_embedded():
    features, captions = regions(there=(4, 4)), torch.randint(3, V, (2, 5))
    moved = features.clone()
    moved[..., -5:-1] = features[..., -5:-1].flip(1)
    for name in ("transformer", "objects"):
        torch.manual_seed(0)
        decoder = build_decoder(name, V, embed_size=E, hidden_size=H, num_layers=1, dropout=0.0)
        same = torch.allclose(decoder(features, captions), decoder(moved, captions), atol=1e-6)
        assert same == (name == "transformer")
    embed = RegionEmbedding(E, E)
    assert torch.equal(embed(features)[..., -5:], features[..., -5:])
    assert not torch.allclose(embed(features)[..., :E], embed(moved)[..., :E], atol=1e-3)


def test_a_box_lies_to_the_mean_middle_of_the_others():
    boxes = torch.zeros(2, 5, 5)
    boxes[:, 0] = torch.tensor([0, 0, 1, 1, 1])
    boxes[0, 1:4] = torch.tensor([[0.0, 0, 0.2, 0.2, 1], [0.4, 0, 0.6, 0.4, 1],
                                  [0.8, 0.2, 1, 0.4, 1]])
    boxes[1, 1] = torch.tensor([0.0, 0, 0.2, 0.2, 1])       # alone, so it lies to no other
    found = from_others(boxes)
    torch.testing.assert_close(found[0, 1:4], torch.tensor([
        [0.1 - 0.7, 0.1 - 0.25], [0.5 - 0.5, 0.2 - 0.2], [0.9 - 0.3, 0.3 - 0.15]]))
    assert not found[1].any() and not found[0, [0, 4]].any()


def test_the_true_boxes_of_a_dataset_are_those_of_its_file(boxed_root):
    split = read_split(boxed_root, "val")
    first, second = (boxes_of(picture) for picture in split.pictures[:2])
    assert first.names == ("mug", "ball") and second.names == ("mug",)
    torch.testing.assert_close(second.boxes, torch.tensor([[0.25, 0.125, 0.75, 0.75]]))
    source = truth(split)
    assert source == TRUTH
    backbone = RegionBackbone("tiny", None, source)
    rows = cached_features(backbone, transform_of("tiny"), split)
    assert rows.shape == (1, 6, 3, 48 + 5) and rows[0, :, :, -1].sum(1).tolist() == [3, 2, 2] * 2
    assert rows[0, 1, 1, -5:].tolist() == [0.25, 0.125, 0.75, 0.75, 1]


def test_other_boxes_are_other_features(tmp_path, write_root):
    sizes = {"val": 3}
    root = write_boxes(write_root(tmp_path / "root", sizes), sizes)
    backbone, split = RegionBackbone("tiny", None, TRUTH), read_split(root, "val")
    first = cached_features(backbone, transform_of("tiny"), split, cache=tmp_path / "cache")
    write_boxes(root, sizes, box=(0, 0, 48, 48))
    second = cached_features(backbone, transform_of("tiny"), split, cache=tmp_path / "cache")
    assert second[0, :, 1, -5:].tolist() == [[0, 0, 1, 1, 1]] * 3
    assert first[0, :, 1, -5:].tolist() != second[0, :, 1, -5:].tolist()


def test_a_dataset_without_boxes_is_refused(tiny_root):
    with pytest.raises(BadInput, match="no instances_train.json, .* those of a detector"):
        truth(read_split(tiny_root, "train"))


def test_a_detector_learns_is_saved_and_comes_back(boxed_root, tmp_path, no_curves):
    settings = DetectionSettings(str(boxed_root), encoder="tiny", epochs=20, batch_size=3, warmup=5,
                                 learning_rate=5e-3, patience=20)
    history = train(Detection(settings), tmp_path)
    assert history[-1]["train_loss"] < 0.6 * history[0]["train_loss"]
    # of ball and mug: whoever calls all of them ball has half of it at most
    assert max(row["AP50"] for row in history) > 0.6
    backbone = load_detector(tmp_path)
    assert backbone.source == {"boxes": "detector", "names": ["ball", "mug"], "most": 4}
    images = torch.randn(2, 3, 32, 32)
    save_detector(tmp_path / "again.safetensors", backbone)
    other = load_detector(tmp_path / "again.safetensors")
    assert torch.equal(backbone(images), other(images))
    assert backbone.fingerprint() == other.fingerprint()


def test_average_precision_is_one_for_the_truth_and_falls_with_what_is_wrong(boxed_root):
    things = [boxes_of(picture) for picture in read_split(boxed_root, "val").pictures]
    names = ["ball", "mug"]
    right = [{"boxes": one.boxes, "scores": torch.ones(len(one.names)),
              "labels": torch.tensor([names.index(name) for name in one.names])} for one in things]
    assert average_precision(right, things, names) == pytest.approx({"AP": 1, "AP50": 1})
    swapped = [{**one, "labels": 1 - one["labels"]} for one in right]
    assert average_precision(swapped, things, names)["AP50"] < 0.1
    shifted = [{**one, "boxes": one["boxes"] + 0.1} for one in right]
    found = average_precision(shifted, things, names)
    assert found["AP"] < 0.5
    none = [{"boxes": torch.zeros(0, 4), "scores": torch.zeros(0), "labels": torch.zeros(0)}]
    assert average_precision(none * 6, things, names) == {"AP": 0, "AP50": 0}


def captioner(source, name="objects"):
    torch.manual_seed(0)
    return Captioner.build({
        "encoder": {"backbone": "tiny", "grid": True, "boxes": source},
        "decoder": {"name": name, "embed_size": 8, "hidden_size": 8, "num_layers": 1,
                    "dropout": 0.1}}, VOCAB, transform_of("tiny"), None)


def test_a_captioner_carries_its_detector_and_describes_photographs(tmp_path):
    ours = captioner(HEAD)
    ours.encoder.backbone.load_state_dict(detector().state_dict())
    save_captioner(tmp_path / "one.safetensors", ours)
    found = load_captioner(tmp_path / "one.safetensors")
    assert found.architecture["encoder"]["boxes"] == HEAD
    picture = Image.effect_mandelbrot((40, 30), (-2, -1, 1, 1), 50)
    assert found.describe([picture], Search(max_length=6)) == ours.describe(
        [picture], Search(max_length=6))


def test_true_boxes_cannot_be_had_of_a_photograph():
    with pytest.raises(BadInput, match="a photograph has not"):
        captioner(TRUTH).describe([Image.new("RGB", (40, 30))])


@pytest.mark.parametrize("change", [
    {"most": 0}, {"most": 10**9}, {"names": [1]}, {"boxes": 3}, {"names": "ball"}, {"more": 1}])
def test_a_header_with_absurd_regions_is_refused(change, tmp_path):
    ours = captioner(HEAD)
    ours.architecture["encoder"]["boxes"] = {**HEAD, **change}
    save_captioner(tmp_path / "one.safetensors", ours)
    with pytest.raises(BadInput, match="is no captioner that this program can use"):
        load_captioner(tmp_path / "one.safetensors")


@pytest.mark.parametrize("source", ["truth", "detector"])
def test_a_captioner_of_regions_trains(source, boxed_root, tmp_path, no_curves):
    if source == "detector":
        save_detector(tmp_path / "detector.safetensors", detector())
    boxes = "truth" if source == "truth" else str(tmp_path / "detector.safetensors")
    settings = CaptioningSettings(str(boxed_root), encoder="tiny", decoder="updown", boxes=boxes,
                                  embed_size=8, hidden_size=8, views=1, epochs=1, vocab_threshold=1)
    train((Mirrored if source == "truth" else Captioning)(settings), tmp_path / "run")
    found = load_captioner(tmp_path / "run")
    assert found.architecture["encoder"]["boxes"]["boxes"] == source
    assert ("--recipe mirrored" in commands(tmp_path / "run")[0]) == (source == "truth")
    assert str(tmp_path) not in commands(tmp_path / "run")[0]
    if source == "detector":            # its CNN and head are those of the detector, to the bit
        given = load_detector(boxes).state_dict()
        kept = found.encoder.backbone.state_dict()
        assert all(torch.equal(given[key], kept[key]) for key in given)


def test_half_of_the_pictures_are_mirrored_with_their_words():
    vocab = Vocabulary(words=["left", "right", "ball"])
    left, right, ball = map(vocab, ("left", "right", "ball"))
    images = torch.rand(40, 3, 9)
    images[..., 6] = images[..., 4] + 0.1
    images[:, :2, -1], images[:, 2] = 1, 0                               # the last fills up
    captions = torch.tensor([[0, ball, left, 1], [0, right, ball, 1]]).repeat(40, 1)
    batch = Batch(images, captions, torch.full((80,), 4), torch.arange(40))
    found = mirrored(batch, vocab, [0, 1, 2])
    turned = (found.images != images).flatten(1).any(dim=1)
    assert 10 < turned.sum() < 30 and torch.equal(found.lengths, batch.lengths)
    assert torch.equal(found.images[~turned], images[~turned])
    there, were = found.images[turned, :2], images[turned, :2]
    torch.testing.assert_close(there[..., 4], 1 - were[..., 6])
    torch.testing.assert_close(there[..., 6], 1 - were[..., 4])
    others = [0, 1, 2, 3, 5, 7, 8]
    assert torch.equal(there[..., others], were[..., others]) and not found.images[:, 2].any()
    said = found.captions.view(40, 2, 4)
    assert torch.equal(said[~turned], captions.view(40, 2, 4)[~turned])
    assert (said[turned] == torch.tensor([[0, ball, right, 1], [0, left, ball, 1]])).all()
    assert torch.equal(mirrored(batch, vocab, [0, 1, 2]).images, found.images)
    assert not torch.equal(mirrored(batch, vocab, [0, 1, 3]).images, found.images)


def two_things(pictures=64):
    """Captions of pictures of a ball and a mug, whose features do not tell which is left."""
    vocab = Vocabulary(words=["a", "ball", "mug", "left", "right", "of", "is"])
    random = torch.Generator().manual_seed(0)
    rows = torch.zeros(pictures, 3, E + 5)
    rows[:, :, -5:] = torch.tensor([0.0, 0, 1, 1, 1])
    rows[:, 1, 0], rows[:, 2, 1] = 3, 3                     # what a ball and what a mug looks like
    first = torch.rand(pictures, generator=random) < 0.5    # the ball is left
    for row, place in ((1, first), (2, ~first)):
        rows[:, row, -5] = torch.where(place, 0.1, 0.6)
        rows[:, row, -3] = rows[:, row, -5] + 0.3
    said = [["left of a mug a ball is", "a ball is left of a mug"] if left
            else ["right of a mug a ball is", "a ball is right of a mug"] for left in first]
    captions = torch.tensor([vocab.encode(one) for both in said for one in both])
    data = SimpleNamespace(captions=captions, picture=np.arange(2 * pictures) // 2,
                           batch=lambda rows_, seed: Batch(
                               rows[rows_.pictures], captions[rows_.captions],
                               torch.full((len(rows_.captions),), captions.shape[1]),
                               torch.from_numpy(rows_.pictures)))
    return vocab, data, rows


def test_left_and_right_are_learned_where_they_are_determined():
    vocab, data, rows = two_things()
    torch.manual_seed(0)
    embed = RegionEmbedding(E, E)
    decoder = build_decoder("updown", len(vocab), embed_size=E, hidden_size=H, num_layers=1,
                            dropout=0.0)
    objective = SidesToo(embed, decoder, 0.0, data, vocab)
    assert objective.captions.tolist() == [*range(1, 128, 2)] and set(objective.places) == {4}
    batch = Batch(rows[:8], data.captions[:16], torch.full((16,), 8), torch.arange(8))
    objective.eval()
    plain = CrossEntropy(embed, decoder)(batch)
    torch.testing.assert_close(objective(batch), plain)
    objective.train()
    more = objective(batch)
    assert more[0] > plain[0] and torch.equal(more[1], plain[1]) and more[2] == plain[2]
    optimizer = torch.optim.Adam(objective.parameters(), 0.01)
    for _ in range(40):
        optimizer.zero_grad()
        objective.side_loss("cpu").backward()
        optimizer.step()
    scores = decoder(embed(rows), data.captions[1::2])[:, 4, objective.sides]
    right = scores.argmax(1) == (data.captions[1::2, 4] == objective.sides[1]).long()
    assert right.float().mean() > 0.95


def test_a_run_does_not_go_on_with_other_true_boxes(tmp_path, write_root, no_curves):
    sizes = {"train": 3, "val": 3}
    root = write_boxes(write_root(tmp_path / "root", sizes), sizes)
    settings = CaptioningSettings(str(root), encoder="tiny", decoder="updown", boxes="truth",
                                  embed_size=8, hidden_size=8, views=1, epochs=1, vocab_threshold=1)
    train(Captioning(settings), tmp_path / "run")
    write_boxes(root, sizes, box=(0, 0, 48, 48))
    with pytest.raises(BadInput, match="the boxes"):
        train(Captioning(settings), tmp_path / "run")


@pytest.mark.parametrize("changes, words", [
    ({"decoder": "lstm_every"}, "boxes need a decoder that attends"),
    ({"tune_from": 1}, "an encoder that does not train"),
    ({"views": 2}, "boxes of truth need views 1"),
    ({"fit": "crop"}, "fit squash")])
def test_settings_that_do_not_go_with_boxes_are_refused(changes, words):
    settings = CaptioningSettings("data", decoder="updown", boxes="truth", views=1)
    with pytest.raises(BadInput, match=words):
        replace(settings, **changes)


def test_mirroring_without_boxes_is_refused():
    with pytest.raises(BadInput, match="mirrored needs boxes: change that setting, --boxes"):
        MirroredSettings("data", decoder="updown")


def test_a_detector_of_another_encoder_is_refused(boxed_root, tmp_path):
    save_detector(tmp_path / "detector.safetensors", detector())
    settings = CaptioningSettings(str(boxed_root), encoder="efficientnet_lite0", decoder="updown",
                                  boxes=str(tmp_path / "detector.safetensors"), weights=None)
    with pytest.raises(BadInput, match="give --encoder tiny"):
        train(Captioning(settings), tmp_path / "run")


@pytest.mark.parametrize("change, said", [
    ({"boxes": "truth"}, "not those of a head"), ({"most": -1}, "number of boxes is absurd"),
    ({"most": 10 ** 12}, "number of boxes is absurd"), ({"names": []}, "names are absurd"),
    ({"names": ["x"] * 10 ** 6}, "names are absurd")])
def test_a_detector_with_an_absurd_head_is_refused_before_it_is_built(change, said, tmp_path,
                                                                      monkeypatch):
    path, made = tmp_path / "detector.safetensors", detector()
    made.source = {**HEAD, **change}
    save_detector(path, made)
    monkeypatch.setattr("encoders.regions.RegionBackbone", lambda *_: pytest.fail("built"))
    with pytest.raises(BadInput, match=f"{path} cannot be built .*{said}.*: give a run of"):
        load_detector(path)
