"""Captioners whose regions come from outside of their checkpoint: a published detector, or files.

Shape letters:  B pictures   K regions   D features   S side in pixels
"""

import base64
import hashlib
import io
import sys
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torchvision.models import detection
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign

import evaluate
from captioning.captioner import Captioner
from captioning.checkpoint import load_captioner, refuse_needless, save_captioner
from captioning.settings import CaptioningSettings
from captioning.task import Captioning
from coco.dataset import read_split
from encoders import rcnn
from encoders.backbones import transform_of
from encoders.boxes import Absent, kind_of
from encoders.encoding import encode, fast
from encoders.rcnn import DETECTORS, RCNN, SIDE
from encoders.weights import load_into, read_weights
from system import download, tensor_file
from system.files import BadInput
from tests.server import Server
from training.loop import train
from training.status import status
from vocabulary import Vocabulary

D, MOST, S = 12, 4, 32
VOCAB = Vocabulary(words=["a", "ball", "mug", "red", "is", "left", "of", "the"])
FILE = {"boxes": "file", "most": 3, "channels": 8}


class Maps(nn.Module):
    """One map of stride 4, with a batch norm that a `fast` copy folds."""

    out_channels = 8

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 7, 4, 3), nn.BatchNorm2d(8)

    def forward(self, images):
        return {"0": self.norm(self.conv(images)).relu()}


def tiny_network(*_, seed=0, **__):
    """A Faster R-CNN of torchvision's parts, its weights always those of the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = FasterRCNN(
            Maps(), min_size=S, max_size=S, rpn_post_nms_top_n_test=20,
            rpn_anchor_generator=AnchorGenerator(((8, 16),), ((0.5, 1.0),)),
            box_roi_pool=MultiScaleRoIAlign(["0"], 3, 2), box_head=TwoMLPHead(8 * 9, D),
            box_predictor=FastRCNNPredictor(D, 3))
        nn.init.uniform_(network.backbone.norm.running_var, 0.5, 1.5)
        nn.init.normal_(network.rpn.head.bbox_pred.weight, std=0.3)
        return network


def tiny_detector(weights):
    network = tiny_network()
    if weights not in (None, "pretrained"):
        load_into(network, read_weights(weights), weights)
    return network


DETECTORS["tiny_rcnn"] = tiny_detector


def images(count=3):
    return torch.randn(count, 3, S, S, generator=torch.Generator().manual_seed(1))


def settings(root, **changes):
    return CaptioningSettings(str(root), **{
        "encoder": "tiny", "decoder": "updown", "embed_size": 8, "hidden_size": 8, "views": 1,
        "epochs": 1, "vocab_threshold": 1, **changes})


def test_a_published_detectors_rows_are_its_own_boxes_and_box_features():
    backbone = RCNN("tiny_rcnn", None, MOST)
    rows, network = backbone(images()), backbone.network
    assert rows.shape == (3, 1 + MOST, D + 5) and backbone.channels == D
    assert rows[:, 0, -5:].tolist() == [[0, 0, 1, 1, 1]] * 3
    assert rows[..., -1].sum(1).ge(3).all()                 # it finds some in each
    absent = rows[..., -1] == 0
    assert not rows[absent].any()
    mean, std = (torch.tensor(one)[:, None, None] for one in
                 (network.transform.image_mean, network.transform.image_std))
    with torch.no_grad():
        expected = network([one * std + mean for one in images()])     # torchvision's whole path
        maps = network.backbone(images())
        for number, found in enumerate(expected):
            best = found["boxes"][:1]
            torch.testing.assert_close(S * rows[number, 1, -5:-1], best[0], rtol=0, atol=1e-3)
            pooled = network.roi_heads.box_roi_pool({"0": maps["0"][[number]]}, [best], [(S, S)])
            torch.testing.assert_close(rows[number, 1, :-5], network.roi_heads.box_head(pooled)[0],
                                       rtol=1e-4, atol=1e-4)


def test_a_published_detector_gives_the_same_alone_in_a_batch_and_fast():
    backbone = RCNN("tiny_rcnn", None, MOST)
    rows = backbone(images())
    for number in range(3):
        torch.testing.assert_close(backbone(images()[[number]])[0], rows[number], rtol=0,
                                   atol=1e-4)
    found = encode(fast(backbone), images())
    np.testing.assert_allclose(found, rows.numpy(), rtol=0, atol=2e-2)
    assert not backbone.train().training and not backbone.network.training
    assert not any(one.requires_grad for one in backbone.parameters())


def test_of_a_published_detector_no_object_is_found_twice():
    rows = RCNN("tiny_rcnn", None, 20)(images(1))[0]
    boxes = rows[rows[:, -1] == 1][1:, -5:-1]
    overlaps = torchvision.ops.box_iou(boxes, boxes).fill_diagonal_(0)
    assert len(boxes) > 1 and overlaps.max() <= rcnn.OVERLAP


def test_a_detectors_transform_is_its_own_but_for_the_size():
    own = RCNN("tiny_rcnn", None).transform("squash")
    assert own.size == S and own.mean == (0.485, 0.456, 0.406)
    DETECTORS["tiny_rcnn"] = lambda weights: tiny_network()
    try:
        large = RCNN("tiny_rcnn", None)
        large.network.transform.min_size = (800,)
        assert large.transform("crop").size == SIDE and large.transform("crop").fit == "crop"
    finally:
        DETECTORS["tiny_rcnn"] = tiny_detector


def test_a_captioner_of_a_published_detector_holds_its_hash_and_not_its_weights(
        tiny_root, tmp_path, no_curves):
    train(Captioning(settings(tiny_root, boxes="tiny_rcnn")), tmp_path)
    tensors, header = tensor_file.read(tmp_path / "best.safetensors", "captioner", 3, "")
    assert not [name for name in tensors if "backbone" in name]
    found = load_captioner(tmp_path)
    backbone = found.encoder.backbone
    assert header["architecture"]["encoder"] == {
        "backbone": "tiny_rcnn", "grid": True, "boxes": backbone.source}
    assert backbone.source["boxes"] == "torchvision" and found.transform.size == S
    picture = Image.effect_mandelbrot((40, 30), (-2, -1, 1, 1), 50)
    save_captioner(tmp_path / "again.safetensors", found)
    again = load_captioner(tmp_path / "again.safetensors")
    assert again.describe([picture]) == found.describe([picture])
    found.load_tensors(found.tensors())             # as a resumed run does
    assert "--boxes" not in status(tmp_path, Captioning, settings(tiny_root, boxes="tiny_rcnn"))


def test_a_captioner_is_never_given_other_weights_of_its_detector(tmp_path):
    other, file = tiny_network(seed=1), tmp_path / "other.safetensors"
    save_file(other.state_dict(), file)
    backbone = RCNN("tiny_rcnn", file)
    ours = captioner(backbone.source, backbone.name)
    save_captioner(tmp_path / "one.safetensors", ours)
    with pytest.raises(BadInput, match="other weights than those that are published: give the"):
        load_captioner(tmp_path / "one.safetensors")
    found = load_captioner(tmp_path / "one.safetensors", boxes=file)
    assert found.encoder.backbone.fingerprint() == backbone.fingerprint()
    asked = settings("data", boxes="tiny_rcnn", weights=str(file))
    assert asked.beside() == str(file)
    refuse_needless(file, [found])


def captioner(source, name="tiny"):
    torch.manual_seed(0)
    return Captioner.build({
        "encoder": {"backbone": name, "grid": True, "boxes": source},
        "decoder": {"name": "updown", "embed_size": 8, "hidden_size": 8, "num_layers": 1,
                    "dropout": 0.1}}, VOCAB, transform_of("tiny"), None)


@pytest.fixture
def publisher(tmp_path, monkeypatch):
    """A server with the weights of a detector whose network is tiny here."""
    name = "fasterrcnn_resnet50_fpn_v2"
    monkeypatch.setattr(download, "PAUSE", 0.001)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(detection, name, tiny_network)
    buffer = io.BytesIO()
    torch.save(tiny_network(seed=2).state_dict(), buffer)
    file = f"/{name}-{hashlib.sha256(buffer.getvalue()).hexdigest()[:8]}.pth"
    with Server({file: buffer.getvalue()}) as server:
        source = torchvision.models.get_model_weights(name).COCO_V1
        monkeypatch.setattr(source.value, "url", server.url + file)
        yield server


def test_published_weights_are_fetched_once_when_a_captioner_is_loaded(publisher, tmp_path, capsys):
    backbone = RCNN("fasterrcnn_resnet50_fpn_v2")
    assert "167 MB are fetched once" in capsys.readouterr().out
    expected = tiny_network(seed=2).state_dict()
    assert all(torch.equal(one, expected[name])
               for name, one in backbone.network.state_dict().items())
    save_captioner(tmp_path / "one.safetensors", captioner(backbone.source, backbone.name))
    assert load_captioner(tmp_path / "one.safetensors").encoder.backbone.most == 36
    assert len(publisher.asked) == 1


def test_without_network_one_sentence_says_what_a_captioner_needs(publisher, tmp_path, monkeypatch):
    def unreachable(*_, **__):
        raise URLError("Name or service not known")

    source = {"boxes": "torchvision", "most": 36, "channels": D, "weights": "0" * 16}
    save_captioner(tmp_path / "one.safetensors", captioner(source, "fasterrcnn_resnet50_fpn_v2"))
    monkeypatch.setattr(download, "urlopen", unreachable)
    with pytest.raises(BadInput) as refusal:
        load_captioner(tmp_path / "one.safetensors")
    said = str(refusal.value)
    assert said.startswith("this captioner needs the detector fasterrcnn_resnet50_fpn_v2, which")
    assert "(Name or service not known)" in said and "--boxes FILE" in said and "\n" not in said


def test_a_detector_that_nobody_knows_is_refused(tmp_path):
    source = {"boxes": "torchvision", "most": 36, "channels": D, "weights": "0" * 16}
    save_captioner(tmp_path / "one.safetensors", captioner(source, "mine"))
    with pytest.raises(BadInput, match=r"a detector that is unknown \('mine'\): if it is your own"):
        load_captioner(tmp_path / "one.safetensors")


def test_batch_norms_are_those_that_published_weights_were_trained_with(monkeypatch):
    def norms(network):
        return [one.eps for one in network.modules()
                if isinstance(one, nn.BatchNorm2d | FrozenBatchNorm2d)]

    for name in ("normal_", "kaiming_normal_", "kaiming_uniform_", "uniform_"):
        monkeypatch.setattr(nn.init, name, lambda tensor, *_, **__: tensor)    # which takes long
    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", lambda *_, **__: {})
    monkeypatch.setattr(nn.Module, "load_state_dict", lambda *_, **__: None)
    for name in ("fasterrcnn_resnet50_fpn", "fasterrcnn_mobilenet_v3_large_320_fpn"):
        weights = torchvision.models.get_model_weights(name).COCO_V1
        expected = norms(getattr(detection, name)(weights=weights))
        assert norms(DETECTORS[name](None)) == expected and expected


@pytest.mark.parametrize("name", ["fcos_resnet50_fpn", "ssd300_vgg16", "runs/nowhere"])
def test_what_is_no_source_of_boxes_is_refused_with_those_that_are(name, tiny_root, tmp_path):
    with pytest.raises(BadInput, match=f"{name} is neither .* fasterrcnn_resnet50_fpn_v2,"):
        train(Captioning(settings(tiny_root, boxes=name)), tmp_path / "run")
    assert not (tmp_path / "run" / "settings.json").exists()


def write_features(root, path, splits=("train", "val"), width=8):
    """A TSV file of bottom-up features, two or three regions of every picture of a dataset."""
    lines = []
    for picture in (one for split in splits for one in read_split(root, split).pictures):
        random, count = np.random.default_rng(picture.id), 2 + picture.id % 2
        corners = random.uniform(0, 24, (count, 2))
        arrays = np.hstack([corners, corners + 20]), random.uniform(0, 3, (count, width))
        lines.append("\t".join([str(picture.id), "48", "48", str(count), *(
            base64.b64encode(one.astype("<f4").tobytes()).decode() for one in arrays)]) + "\n")
    path.write_text("".join(lines))
    return path


def test_a_captioner_of_files_has_no_cnn_and_reads_features_where_it_is_told(
        tiny_root, tmp_path, no_curves, monkeypatch, capsys):
    path, run = write_features(tiny_root, tmp_path / "there.tsv"), tmp_path / "run"
    monkeypatch.setattr("encoders.features.load", None)         # no picture is opened for them
    asked = settings(tiny_root, boxes=str(path))
    task = Captioning(asked)
    train(task, run)
    tensors, header = tensor_file.read(run / "best.safetensors", "captioner", 3, "")
    assert not [name for name in tensors if "backbone" in name]
    assert header["architecture"]["encoder"] == {
        "backbone": "bottom_up", "grid": True, "boxes": FILE}
    assert f"--boxes {path}" in status(run, Captioning, asked)

    val, moved = read_split(tiny_root, "val"), path.rename(tmp_path / "moved.tsv")
    without = load_captioner(run)
    assert isinstance(without.encoder.backbone, Absent)
    picture = Image.new("RGB", (40, 30))
    for use in (lambda: without.features(val), lambda: without.describe([picture])):
        with pytest.raises(BadInput, match="a photograph has not .* --boxes of evaluate.py"):
            use()
    found = load_captioner(run, boxes=moved)
    rows = found.features(val)[0]
    assert rows.shape == (6, 4, 8 + 5)
    np.testing.assert_array_equal(rows, task.captioner.features(val)[0])
    with pytest.raises(BadInput, match="a photograph has not"):
        found.describe([picture])
    with pytest.raises(BadInput, match="features of 5 numbers, and this captioner reads 8"):
        load_captioner(run, boxes=write_features(tiny_root, tmp_path / "other.tsv", width=5))

    monkeypatch.setattr(sys, "argv", ["evaluate.py", str(run), "--data", str(tiny_root), "--boxes",
                                      str(moved)])
    report, _, _ = evaluate.evaluate_captioners(evaluate.arguments())
    assert report["pictures"] == 6
    (tmp_path / "moved.tsv").rename(path)
    assert train(Captioning(asked), run)            # finished; its content is as it was
    write_features(tiny_root, path, width=9)
    with pytest.raises(BadInput, match="the boxes changed"):
        train(Captioning(asked), run)


def test_features_of_files_are_of_one_view_and_of_every_picture(tiny_root, tmp_path):
    path = write_features(tiny_root, tmp_path / "a.tsv", ["train"])
    with pytest.raises(BadInput, match="of no other view: give --views 1"):
        train(Captioning(settings(tiny_root, boxes=str(path), views=2)), tmp_path / "run")
    with pytest.raises(BadInput, match=r"a.tsv has no features of picture \d+"):
        train(Captioning(settings(tiny_root, boxes=str(path))), tmp_path / "run")


def test_boxes_are_refused_where_a_checkpoint_has_all(tmp_path):
    with pytest.raises(BadInput, match="this one has all in its checkpoint: leave it out"):
        refuse_needless("a.tsv", [captioner({"boxes": "truth", "names": [], "most": 2})])


def test_what_an_option_names_is_told_by_what_is_there(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "settings.json").touch()
    (tmp_path / "a.safetensors").touch()
    (tmp_path / "folder").mkdir()
    names = ["run", "a.safetensors", "folder"]
    assert [kind_of(one) for one in ("truth", *(str(tmp_path / name) for name in names),
                                     "tiny_rcnn")] == [
        "truth", "detector", "detector", "file", "torchvision"]


@pytest.mark.parametrize("change", [
    {"channels": 0}, {"channels": 10**9}, {"channels": "8"}, {"most": 0}, {"names": []},
    {"weights": "0"}, {"boxes": "torchvision"}, {"boxes": "nowhere"}, {"path": "/etc/passwd"}])
def test_a_header_with_an_absurd_source_is_refused(change, tmp_path):
    ours = captioner(FILE)
    save_captioner(tmp_path / "whole.safetensors", ours)
    load_captioner(tmp_path / "whole.safetensors")
    ours.architecture["encoder"]["boxes"] = {**FILE, **change}
    save_captioner(tmp_path / "one.safetensors", ours)
    with pytest.raises(BadInput, match="is no captioner that this program can use"):
        load_captioner(tmp_path / "one.safetensors")
