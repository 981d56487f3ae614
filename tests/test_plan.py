"""The planning page is arithmetic on measured rates, and says which numbers are which."""

import functools
import json
import re
import sys
from pathlib import Path

import pytest

from experiments import plan
from experiments.bench import compare
from system.files import BadInput

REPORT = {"data": "flickr8k", "encode_lite0_rate": 200.0, "encode_resnet50_rate": 50.0,
          "load_rate": 100.0, "train_rate": 1000.0,
          "limits": {"float32_flops": 2e11, "memory_bytes": 1e10},
          "machine": {"threads": 2, "cpu": "Some Processor", "instructions": "AVX2"}}


@pytest.fixture(scope="module", autouse=True)
def counted_once():
    """Count the FLOPs of each encoder once for all pages: that takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan.Encoder, "of", functools.cache(plan.Encoder.of))
        yield


@pytest.fixture(scope="module")
def page():
    return plan.page(REPORT, "bench.json", "PAGE.md")


def cells(page, name):
    """Return the cells after `name` in the row of a table that begins with it."""
    return re.search(rf"^\| {name} \| (.*) \|$", page, re.M)[1].split(" | ")


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


def test_training_is_slower_by_the_words_that_coco_has_more():
    # multiplications a caption of 12 ids: 12 4H E + 11 4H H + 11 H V, with H = E = 512, thrice;
    # twice for the image's own layer, which has 1280 inputs
    def cost(words):
        return 3 * (23 * 4 * 512 * 512 + 11 * 512 * words) + 2 * 512 * 1280

    times, known = plan.heavier()
    assert times == pytest.approx(cost(10_000) / cost(known))


def test_hours_of_training_are_epochs_of_all_captions_at_the_slower_rate(page):
    epoch = 118_287 * 5 / (REPORT["train_rate"] / plan.heavier()[0])
    assert cells(page, "1") == [f"{epoch / 60:.0f} min"]
    assert cells(page, "8, the recipe's") == [f"{8 * epoch / 3600:.1f} h"]


def test_no_gpu_is_quicker_than_the_cores_that_read_for_it(page):
    assert "waits for 2 cores that take 10 min" in page             # 123,287 / (2 x 100) seconds


def test_a_gpu_is_estimated_by_its_data_sheet_and_called_an_estimate(page):
    views, faster = 2 * 118_287 + 5_000, 8.1e12 / 2e11
    assert "**Estimated**, not measured" in page
    assert cells(page, "241,574 views of pictures read, by 2 cores") == ["20 min"]  # 100 a core
    assert cells(page, "encoded, to 0.99 GB") == [f"{views / (50 * faster) / 60:.1f} min"]
    rate = REPORT["train_rate"] / plan.heavier()[0] * faster
    assert cells(page, "8 epochs") == [f"{8 * 118_287 * 5 / rate / 60:.1f} min"]


def test_the_page_names_the_processor_and_what_is_measured_and_what_is_computed(page):
    assert "**Measured**" in page and "**computed**" in page and "{" not in page
    assert "calls itself Some Processor" in page and "200 GFLOP/s in float32:" in page
    assert all(f"`{key}`" in page for key in plan.RATES)


def test_the_committed_page_is_that_of_the_committed_reports():
    here = Path(__file__).parents[1]
    own, *beside = [(plan.read_measured(here / file), file) for file in (
        "results/bench.json", "results/bench.amx.json", "results/bench.avx2.json")]
    written = (here / "docs/PLANNING.md").read_text(encoding="utf-8")
    assert plan.page(*own, "docs/PLANNING.md", beside) == written


def test_processors_stand_side_by_side_and_what_one_lacks_is_left_empty(page):
    machine = {**REPORT["machine"], "cpu": "Other", "openvino": "2026.4"}
    other = {**REPORT, "machine": machine, "train_rate": 3000.0, "encode_share": 0.5}
    both = plan.page(REPORT, "bench.json", "PAGE.md", [(other, "other.json")])
    head = "Some Processor, AVX2, 200 in float32 | Other, AVX2, 200 in float32 with OpenVINO"
    assert head in both
    assert cells(both, plan.RATES["train_rate"] + "(?= .* 3)") == ["1,000", "3,000"]
    assert cells(both, f"share of the limit: {compare.SHARES['encode_share']}") == ["", "0.50"]
    assert "PAGE.md --beside other.json" in both and "--beside" not in page


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
