"""The planning page is arithmetic on measured rates, and says which numbers are which."""

import json
import re
import sys

import pytest

from experiments import plan
from system.files import BadInput

REPORT = {"data": "flickr8k", "encode_lite0_rate": 200.0, "encode_resnet50_rate": 50.0,
          "encode_share": 0.2, "encode_resnet50_share": 0.6, "load_rate": 100.0,
          "train_rate": 1000.0, "beam_rate": 400.0, "ddp_ratio": 0.5,
          "machine": {"threads": 2, "cpu": "x86_64", "instructions": "AVX2"}}


@pytest.fixture(scope="module")
def page():
    return plan.page(REPORT, "bench.json", "PAGE.md")


def cells(page, name, number=0):
    """The cells after `name` in the row of a table that begins with it, the first or a later."""
    return re.findall(rf"^\| {name} \| (.*) \|$", page, re.M)[number].split(" | ")


def test_disk_is_two_bytes_a_channel_and_cell(page):
    lite, resnet = cells(page, "efficientnet_lite0"), cells(page, "resnet50")
    assert lite[2:4] == ["0.32 GB", "15 GB"]            # 123,287 x 1280 x 2, and x 49
    assert resnet[2:4] == ["0.50 GB", "25 GB"]          # 123,287 x 2048 x 2, and x 49


def test_the_same_cores_read_and_encode_one_after_the_other(page):
    lite = cells(page, "efficientnet_lite0")
    # 1 / 200 + 1 / (2 x 100) seconds a picture, a hundred pictures a second; 8 times that
    assert lite[1] == "200 measured" and lite[4:] == ["21 min", "2.6 min"]
    # 1 / 50 + 1 / 200: forty a second
    assert cells(page, "resnet50")[1] == "50 measured" and cells(page, "resnet50")[4] == "51 min"


def test_an_encoder_that_was_not_measured_has_the_speed_of_its_kind(page):
    # 8.174 and 23.023 GFLOP; 0.7678 and 1.1978
    assert cells(page, "resnet152")[1] == f"{50 * 8.174 / 23.023:.0f} computed"
    assert cells(page, "efficientnet_lite1")[1] == f"{200 * 0.7678 / 1.1978:.0f} computed"


def test_the_slower_of_reading_and_gpu_holds(page):
    # on 30.693 GFLOP a T4 at 0.6 would encode 1,271 a second, and an H100 19,333
    assert cells(page, "vgg16", 1)[0] == "5.1 min cores"        # 4 x 100 a second
    assert cells(page, "vgg16", 1)[2] == "1.3 min cores"        # 16 x 100


def test_a_slow_gpu_holds_many_cores_up():
    rate, holds = plan.gpu_rate(REPORT, plan.Encoder.of("vgg16"), plan.PEAKS["T4"], 16)
    assert holds == "GPU" and rate == pytest.approx(0.6 * 65e12 / 30.693e9, rel=1e-3)


def test_training_is_slower_by_the_words_that_coco_has_more():
    # multiplications a caption of 12 ids: 12 4H E + 11 4H H + 11 H V, with H = E = 512, thrice;
    # twice for the image's own layer, which has 1280 inputs
    def cost(words):
        return 3 * (23 * 4 * 512 * 512 + 11 * 512 * words) + 2 * 512 * 1280

    times, known, _ = plan.heavier()
    assert times == pytest.approx(cost(10_000) / cost(known))


def test_efficiency_is_what_was_measured_and_rises_with_the_batch(page):
    # a batch takes 64 ms on two cores and twice that on one; two processes lose 64 more
    assert plan.efficiency(REPORT, 2, 64) == pytest.approx(0.5)
    assert plan.efficiency(REPORT, 4, 256) == pytest.approx(128 / (128 + 64 * 1.5))
    assert plan.efficiency(REPORT, 1, 64) == 1
    assert cells(page, "2")[:2] == ["0.50", "0.80"]


def test_a_process_captions_what_a_core_reads_encodes_and_describes(page):
    # 1 / 100 read, 1 / 100 encoded, 1 / 200 described: forty a second; a million in 25,000 s
    assert cells(page, "1", 1) == ["40", "6.9 h"] and cells(page, "8", 1) == ["320", "52 min"]


def test_the_page_names_what_is_measured_and_what_is_computed(page):
    assert "**measured**" in page and "**computed**" in page
    assert "No GPU was measured" in page and "{" not in page
    assert all(f"`{key}`" in page for key in plan.KEYS if key.endswith(("_rate", "ddp_ratio")))


def test_the_command_writes_the_page(tmp_path, monkeypatch, page):
    (tmp_path / "bench.json").write_text(json.dumps(REPORT))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["plan.py", "bench.json", "PAGE.md"])
    plan.main()
    assert (tmp_path / "PAGE.md").read_text(encoding="utf-8") == page


@pytest.mark.parametrize(("change", "said"), [
    ({"load_rate": None}, "has no load_rate"), ({"data": "scenes"}, "measured on scenes")])
def test_a_report_that_cannot_be_planned_with_is_refused(tmp_path, change, said):
    report = {key: value for key, value in {**REPORT, **change}.items() if value is not None}
    (tmp_path / "bench.json").write_text(json.dumps(report))
    with pytest.raises(BadInput, match=said):
        plan.read_measured(tmp_path / "bench.json")
