"""The bench counts what it says, lets reference and ours take turns, and refuses unequal results.

Its rows run here on tiny sizes: each holds its reference's results equal to ours before it returns.
"""

import json
import subprocess
from argparse import Namespace
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from captioning.captioner import Captioner
from captioning.settings import RECIPES
from coco.dataset import read_split
from data_loader import tokenized
from decoders.search import Search, search
from experiments.bench import __main__ as bench
from experiments.bench import decoders as bench_decoders
from experiments.bench import encode as bench_encode
from experiments.bench import machine as bench_machine
from experiments.bench import reference as bench_reference
from experiments.bench import rows as bench_rows
from experiments.bench import scale as bench_scale
from experiments.bench import tools as bench_tools
from experiments.bench import usual_captions
from experiments.bench.child import (
    Child,
    in_pairs,
    random_features,
    take_steps,
    training_run,
    write_stand_in,
)
from experiments.bench.decoders import UsefulFlops
from experiments.bench.tools import (
    SMALL,
    Figure,
    Setup,
    Unequal,
    Unmeasured,
    alternate,
    runs_java,
    training_flops,
)
from model import DecoderRNN
from vocabulary import END_ID, Vocabulary

TINY = replace(SMALL, rounds=2, encoded=(2, 3), usual_steps=1, steps=2, captioned=(2, 3), scored=6,
               judged=4, opened=50, opened_whole=50, pictures=4)


@pytest.fixture(scope="module")
def root(tmp_path_factory, write_root):
    return write_root(tmp_path_factory.mktemp("bench"), {"train": 12, "val": 4})


@pytest.fixture
def setup(root, tmp_path):
    return Setup(TINY, root, tmp_path, ("float32", 64))


@pytest.fixture
def small(monkeypatch):
    """The seed recipe, small."""
    monkeypatch.setitem(RECIPES, "seed", {"batch_size": 10, "embed_size": 16, "hidden_size": 24})


def by_hand(lengths, vocab, embed, hidden, channels, layers):
    """Useful multiplications of training, product after product."""
    total = 0
    for length in lengths:
        total += 2 * channels * embed                       # the image's layer: no input gradient
        for place in range(length):                         # the image, then all words but <end>
            for layer in range(layers):
                total += 3 * 4 * hidden * (hidden if layer else embed)
                total += 3 * 4 * hidden * hidden if place else 0
            total += 3 * hidden * vocab if place else 0     # not the score of <start>
    return total


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("inject", ["first", "every"])
def test_useful_flops_are_two_for_each_multiplication_that_a_word_needs(inject, layers):
    decoder = DecoderRNN(5, 7, 11, layers, inject=inject)
    expected = 2 * by_hand([3, 6], 11, 5, 7, 13, layers)
    assert training_flops(decoder, 13, torch.tensor([3, 6])) == expected


def test_pytorchs_count_is_that_by_hand_and_a_product_with_the_zero_state(root, tmp_path, small):
    run = training_run(write_stand_in(tmp_path / "data", read_split(root, "train").pictures),
                       tmp_path, threshold=1)
    expected = 2 * by_hand([3, 6], len(run.task.vocab), 16, 24, 1280, 1)
    zero_state = 2 * 2 * 2 * 4 * 24 * 24            # two captions; its value and its gradient
    assert UsefulFlops(run).of([3, 6], pictures=2) == expected + zero_state


@pytest.mark.parametrize("name", ["adaptive", "transformer"])
def test_captions_side_by_side_need_their_picture_once(root, tmp_path, small, name):
    run = training_run(write_stand_in(tmp_path / "data", read_split(root, "train").pictures),
                       tmp_path, threshold=1, decoder=name)
    flops = UsefulFlops(run)
    assert flops.of([7] * 5, pictures=1) == flops.count(5, 7)
    assert flops.of([7] * 5, pictures=5) == 5 * flops.count(1, 7) > 1.5 * flops.count(5, 7)


def test_grid_decoders_have_a_share_of_the_limit(setup, small):
    figures = bench_decoders.attend(setup)
    assert set(figures) == {"train_attention_share", "train_transformer_share"}
    assert all(figure.rounds == 2 and figure.low > 0 for figure in figures.values())


def test_the_slowest_decoder_is_told_beside_the_others(setup, monkeypatch):
    monkeypatch.setattr(bench_decoders, "decode_by", lambda setup, name: [len(name), 1 + len(name)])
    figure = bench_decoders.decode(setup)["decode_seconds"]
    assert (figure.value, figure.low, figure.high) == (11.5, 11, 12)            # a transformer
    assert "soft 4.5" in figure.sample and "objects 7.5" in figure.sample


def test_every_decoder_captions_for_the_bench(setup):
    once = replace(setup, sizes=replace(TINY, rounds=1))
    for name in bench_decoders.NAMES:
        assert min(bench_decoders.decode_by(once, name)) > 0


def test_what_fast_encoding_costs_in_cider_is_the_difference_of_two_scores(setup, monkeypatch):
    encoded = []

    def noted(network, images):
        encoded.append(next(network.parameters()).dtype)
        return np.zeros((len(images), 81, 1280))

    monkeypatch.setattr("encoders.encoding.precision_of", lambda _: torch.bfloat16)
    monkeypatch.setattr(bench_encode, "precision_of", lambda _: torch.bfloat16)
    monkeypatch.setattr(bench_encode, "encode_images", noted)
    monkeypatch.setattr(bench_encode, "score", lambda *_: (
        {"CIDEr": 0.5 if encoded[-1] == torch.bfloat16 else 0.75}, None))
    assert bench_encode.fidelity(setup)["encode_cider_change"].value == -0.25
    assert encoded == [torch.bfloat16, torch.float32]


def test_no_cost_of_fast_encoding_is_told_where_it_is_in_float32_as_well(setup, monkeypatch):
    monkeypatch.setattr(bench_encode, "precision_of", lambda _: torch.float32)
    with pytest.raises(Unmeasured, match="float32 only"):
        bench_encode.fidelity(setup)


def test_the_forward_count_of_a_convolution_is_pytorchs():
    network = torch.nn.Conv2d(3, 8, 3, padding=1, bias=False)
    assert bench_tools.picture_flops(network, 10) == 2 * 8 * 3 * 9 * 100


def test_legs_take_turns():
    called = []
    one, two = alternate(replace(TINY, rounds=3), lambda: called.append("one") or len(called),
                         lambda: called.append("two") or len(called))
    assert called == ["one", "two"] * 3 and one == (1, 3, 5) and two == (2, 4, 6)


def test_no_round_begins_once_patience_is_out_but_the_first():
    assert alternate(replace(TINY, patience=0), lambda: 7) == [(7,)]


def test_a_figure_is_the_median_of_its_rounds_and_their_extremes():
    figure = Figure.of([9.0, 1.0, 2.0, 100.0, 3.0], "x", "all")
    assert (figure.value, figure.low, figure.high, figure.rounds) == (3.0, 1.0, 100.0, 5)


def test_limits_are_what_was_done_over_the_fastest_time(monkeypatch):
    monkeypatch.setattr(bench_machine, "best_of", lambda function: function() is None or 0.5)
    assert bench_machine.product_rate("float32", 8) == 2 * 8**3 / 0.5
    assert bench_machine.copy_rate(1000) == 2 * 1000 / 0.5              # read and written


def test_the_fastest_call_is_found_after_one_that_warms_up():
    called = []
    assert bench_machine.best_of(lambda: called.append(0), trials=3) > 0 and len(called) == 4


def test_what_linux_tells_is_read_and_elsewhere_there_is_nothing(tmp_path, monkeypatch):
    (tmp_path / "told").write_text("model name\t: Some Processor @ 2 GHz\nRssAnon:\t  12 kB\n")
    tells = bench_machine.linux_tells
    assert tells(tmp_path / "told", "model name") == "Some Processor @ 2 GHz"
    assert tells(tmp_path / "told", "absent") is tells(tmp_path / "nowhere", "model name") is None
    monkeypatch.setattr(bench_machine, "linux_tells", lambda file, key: tells(
        tmp_path / "told", key))
    assert bench_machine.processor() == "Some Processor @ 2 GHz"
    assert bench_machine.memory("RssAnon") == 12 * 1024 and bench_machine.memory("VmHWM") is None
    monkeypatch.setattr(bench_machine, "linux_tells", lambda file, key: None)
    assert bench_machine.processor()                # the architecture, at least


def test_pairs_are_counted_as_if_their_captions_had_the_mean_length(root, tmp_path, small):
    split = read_split(root, "train")
    run = training_run(write_stand_in(tmp_path / "data", split.pictures), tmp_path)
    assert in_pairs(run, int(run.task.train.lengths.sum())) == pytest.approx(60)
    before = [one.clone() for one in run.task.captioner.decoder.parameters()]
    assert len(take_steps(run, 2)) == 20
    assert any(not torch.equal(*pair) for pair in zip(
        before, run.task.captioner.decoder.parameters(), strict=True))


def test_stand_in_features_are_what_cached_ones_are(tmp_path):
    features = random_features(tmp_path / "f.npy", 2, 3)
    assert features.shape == (2, 3, 1280) and features.dtype == np.float16
    assert not features.flags.writeable and len(np.unique(features.astype(float))) > 100


def test_encoding_is_compared_once_the_features_agree(setup, monkeypatch):
    monkeypatch.setattr(bench_encode, "BATCH_SIZE", 2)
    ratio, rate, share, warmup = bench_encode.encode_by(setup, "efficientnet_lite0", "pretrained")
    assert ratio.rounds == 2 and min(ratio.low, rate.low, share.value) > 0 and warmup.value >= 0
    monkeypatch.setattr(bench_encode, "cached_features", lambda backbone, transform, split, cache:
                        np.random.default_rng(0).random((1, len(split.pictures), 49, 1280)))
    with pytest.raises(Unequal, match="features of efficientnet_lite0"):
        bench_encode.encode_by(setup, "efficientnet_lite0", "pretrained")


@pytest.mark.skipif(bench_encode.importlib.util.find_spec("openvino") is None,
                    reason="openvino is not installed")
def test_compiled_stages_are_compared_with_plain_ones_once_their_features_agree(setup, monkeypatch):
    figures = bench_encode.compiling(setup)
    assert figures["encode_compiled_ratio"].rounds == 2
    assert min(figure.low for figure in figures.values()) > 0
    other = bench_encode.Backbone("efficientnet_lite0", weights=None, grid=True)
    monkeypatch.setattr(bench_encode, "compiled", lambda *_: bench_encode.fast(other))
    with pytest.raises(Unequal, match="compiled stages"):
        bench_encode.compiling(setup)


def test_what_one_core_reads_in_a_second_is_of_photographs_of_cocos_size(setup, monkeypatch):
    read, seen = bench_encode.read_picture, []

    def noted(picture, transform):
        seen.append((Image.open(picture.file).size, torch.get_num_threads()))
        return read(picture, transform)

    monkeypatch.setattr(bench_encode, "LOADED", 3)
    monkeypatch.setattr(bench_encode, "read_picture", noted)
    monkeypatch.setattr(bench_encode, "timed", lambda function: (function(), 0.5))
    rate = bench_encode.load(setup)["load_rate"]
    assert seen == 6 * [((640, 480), 1)] and rate.rounds == 2 and rate.value == 6


def test_training_is_compared_once_losses_agree(setup, small, monkeypatch):
    figures = bench_rows.train(setup)
    assert set(figures) == {"train_ratio", "train_cached_ratio", "train_rate", "train_lstm_share"}
    assert all(figure.rounds == 2 and figure.low > 0 for figure in figures.values())
    monkeypatch.setattr(bench_rows, "step", lambda run, batch: (torch.tensor(9.0), None))
    with pytest.raises(Unequal, match="loss per word"):
        bench_rows.train(replace(setup, folder=setup.folder / "again"))


def test_a_padded_caption_is_filled_with_end():
    one, two = torch.tensor([0, 5, 1]), torch.tensor([0, 5, 6, 1])
    _, captions, lengths = bench_reference.padded([(torch.ones(2), one), (torch.ones(2), two)])
    assert captions.tolist() == [[0, 5, 1, END_ID], [0, 5, 6, 1]] and lengths.tolist() == [3, 4]


def test_the_list_of_beams_finds_what_our_search_finds():
    torch.manual_seed(1)
    decoder, features = DecoderRNN(8, 8, 12).eval(), 3 * torch.randn(40, 8)
    decoder.scores.weight.data *= 6         # decided enough for captions of many lengths
    decoder.scores.bias.data[END_ID] += 1
    settings = Search(max_length=8)
    found = [usual_captions.beam_search(decoder, one[None], settings) for one in features]
    assert found == [mine[0].words for mine in search(decoder, features, settings)]
    assert len(set(map(len, found))) > 2


def test_the_usual_vocabulary_is_ours(root):
    split = read_split(root, "train")
    usual = bench_reference.UsualDataset(root / "annotations" / "captions_train.json",
                                         threshold=20)           # so often each colour is named
    assert usual.words == Vocabulary.build(tokenized(split), 20).words and "red" in usual.words


def test_captions_are_compared_once_they_agree(setup, monkeypatch):
    assert set(bench_rows.beam(setup)) == {"beam_ratio", "beam_rate", "naming_times"}
    found = Captioner.sentences
    monkeypatch.setattr(Captioner, "sentences", lambda captioner, features, search: found(
        captioner, features, Search(method="greedy", max_length=4)))
    with pytest.raises(Unequal, match="the captions"):
        bench_rows.beam(setup)


def test_scores_are_compared_once_they_agree(setup, monkeypatch):
    figures = bench_rows.score(setup)
    assert figures["score_seconds"].value > 0
    monkeypatch.setattr(bench_rows, "runs_java", lambda: False)
    assert set(bench_rows.score(setup)) == {"score_seconds"}


def test_unequal_scores_are_refused(setup, monkeypatch):
    official = dict.fromkeys(("Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "ROUGE_L", "CIDEr"), 0.123)
    monkeypatch.setattr(bench_rows, "runs_java", lambda: True)
    monkeypatch.setattr(usual_captions, "official_scores", lambda *all: official)
    with pytest.raises(Unequal, match="Bleu_1"):
        bench_rows.score(setup)


def test_captions_are_opened_alike(setup, monkeypatch):
    figures = bench_scale.opening(setup)
    assert {"open_ratio_cold", "open_ratio_warm"} <= set(figures)
    if bench_machine.memory("VmHWM"):
        assert 0.1 < figures["open_peak_gb"].value < 10
    monkeypatch.setattr(bench_reference.UsualDataset, "tokens", lambda self, one: ["same"] * 5)
    with pytest.raises(Unequal, match="vocabulary"):
        bench_scale.opening(setup)


def test_children_of_one_group_train_when_asked_and_the_main_one_answers(root, tmp_path):
    write_stand_in(tmp_path / "data", read_split(root, "train").pictures)
    with Child(["train", tmp_path / "data", tmp_path, 1, 5], 1, bench_scale.TORCHRUN) as child:
        assert child.answer() == {"ready": True}
        answers = [child.ask(), child.ask()]
    assert all(one["seconds"] > 0 and one["items"] > 0 for one in answers)
    assert all(one["memory"] is None or one["memory"] > 1e7 for one in answers)
    assert child.process.returncode == 0


def test_a_child_that_fails_says_why():
    fails = ("-c", "raise FileNotFoundError('nowhere')")       # and never comes to its work
    with Child([], threads=1, launcher=fails) as child:
        child.process.wait()
        with pytest.raises(Unmeasured, match="nowhere"):
            child.ask()


@pytest.mark.parametrize("error", [FileNotFoundError, subprocess.TimeoutExpired("java", 60), None])
def test_java_that_does_not_run_is_no_java(monkeypatch, error):
    def run(*_, **__):
        if error:
            raise error
        return subprocess.CompletedProcess("java", 1)

    monkeypatch.setattr(subprocess, "run", run)
    assert not runs_java()


def test_the_report_has_a_number_for_each_key_and_what_it_comes_from(setup, monkeypatch, capfd):
    monkeypatch.setattr(bench, "find_data", lambda: setup.data)
    monkeypatch.setattr(bench_tools, "SMALL", TINY)
    monkeypatch.setattr(bench_machine, "SIDES", (64,))
    monkeypatch.setattr(bench_machine, "COPIED", 1 << 20)
    file = setup.folder / "report.json"
    bench.run(Namespace(only=["score"], full=False, json=file), setup.folder)
    report = json.loads(file.read_text())
    assert report["score_seconds"] == report["details"]["score_seconds"]["value"] > 0
    assert report["details"]["score_seconds"].keys() == {"value", "low", "high", "unit", "sample",
                                                         "rounds"}
    assert report["machine"]["threads"] == 1 and report["limits"]["float32_flops"] > 0
    assert "score_seconds" in capfd.readouterr().out and "beam_ratio" not in report


def test_no_limit_is_measured_in_a_type_that_the_processor_computes_one_by_one(monkeypatch):
    asked = []
    monkeypatch.setattr(bench_machine, "COPIED", 1 << 20)
    monkeypatch.setattr(bench_machine, "product_rate",
                        lambda kind, side: asked.append(kind) or side)
    monkeypatch.setattr(bench_machine, "precision_of", lambda device: torch.float32)
    highest, fastest = bench_machine.limits()
    assert set(asked) == {"float32"} and fastest == ("float32", max(bench_machine.SIDES))
    assert highest["float32_flops"] == max(bench_machine.SIDES) and highest["memory_bytes"] > 0
    monkeypatch.setattr(bench_machine, "precision_of", lambda device: torch.bfloat16)
    assert {"float32_flops", "bfloat16_flops"} <= bench_machine.limits()[0].keys()


def test_what_cannot_be_measured_is_one_line_and_no_number(setup, monkeypatch, capfd):
    def beam(setup):
        """Beam."""
        raise Unmeasured("there is no beam here")

    monkeypatch.setattr(bench_rows, "beam", beam)
    report = {"details": {}, "seconds": {}}
    bench.measure(["beam"], setup, report)
    assert capfd.readouterr().err == "beam is not measured: there is no beam here\n"
    assert report == {"details": {}, "seconds": {}}


def test_where_no_memory_is_told_there_is_no_figure_of_it(setup, monkeypatch):
    answers = [[{"seconds": 2, "items": 10, "memory": None}]] * 3
    monkeypatch.setattr(bench_scale, "training_child", lambda *all: None)
    monkeypatch.setattr(bench_scale, "in_turn", lambda setup, children: answers)
    assert bench_scale.scaling(setup).keys() == {"scaling_time"}


def test_growth_and_gain_are_read_off_what_the_children_say(setup, monkeypatch):
    def child(seconds, items, memory):
        return [{"seconds": seconds, "items": items, "memory": memory}] * 2

    monkeypatch.setattr(bench_scale, "training_child", lambda *all: None)
    monkeypatch.setattr(bench_scale, "in_turn", lambda setup, children: [
        child(2, 10, 100), child(2, 10, 100), child(4, 16, 110)][-len(children):])
    figures = bench_scale.scaling(setup)
    assert figures["scaling_time"].value == pytest.approx(1.25)
    assert figures["scaling_memory"].value == pytest.approx(1.1)
    assert bench_scale.ddp(setup)["ddp_ratio"].value == 0.5


def test_what_was_measured_before_a_stop_is_written(setup, monkeypatch):
    def beam(setup):
        """Beam."""
        return {"beam_ratio": Figure.of([2.0], "x", "all")}

    def cold(setup):
        """Cold."""
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "find_data", lambda: setup.data)
    monkeypatch.setattr(bench_machine, "SIDES", (64,))
    monkeypatch.setattr(bench_machine, "COPIED", 1 << 20)
    monkeypatch.setattr(bench_rows, "beam", beam)
    monkeypatch.setattr(bench_scale, "cold", cold)
    file = setup.folder / "report.json"
    with pytest.raises(KeyboardInterrupt):
        bench.run(Namespace(only=["beam", "cold"], full=False, json=file), setup.folder)
    report = json.loads(file.read_text())
    assert report["beam_ratio"] == 2.0 and "cold_caption_s" not in report
