"""The bench's rows on regions, questions, clips and samples run on tiny sizes, once both agree."""

import io
import sys
from dataclasses import replace

import pytest
import torch

from captioning.captioner import Captioner
from decoders.search import Search, search
from experiments.bench import answers as bench_answers
from experiments.bench import clips as bench_clips
from experiments.bench import encode as bench_encode
from experiments.bench import growth as bench_growth
from experiments.bench import reference as bench_reference
from experiments.bench import rows as bench_rows
from experiments.bench import usual_captions
from experiments.bench.child import Child
from experiments.bench.tools import SMALL, Setup, Unequal
from model import DecoderRNN
from vocabulary import END_ID
from vqa.checkpoint import Answerer

TINY = replace(SMALL, rounds=2, steps=2, pooled=9, sampled=(1, 2), asked_about=24,
               answered=5, clips=(2, 3), told=(1, 2), growing=(7, 2))


@pytest.fixture(scope="module")
def root(tmp_path_factory, write_root):
    return write_root(tmp_path_factory.mktemp("bench"), {"train": 12, "val": 4})


@pytest.fixture
def setup(root, tmp_path):
    return Setup(TINY, root, tmp_path, ("float32", 64))


def measured(figures, *names):
    """Whether these figures are there, each of two rounds and above 0."""
    return set(figures) == set(names) and all(
        figure.rounds == 2 and figure.low > 0 for figure in figures.values())


def test_samples_one_by_one_are_ours_by_the_same_chances():
    torch.manual_seed(1)
    decoder, features = DecoderRNN(8, 8, 12).eval(), 3 * torch.randn(40, 8)
    decoder.scores.bias.data[END_ID] += 1
    settings = Search(method="sample", max_length=8)
    chances = torch.rand(40, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = [usual_captions.sample(decoder, one[None], settings, mine)
                 for one, mine in zip(features, chances, strict=True)]
        others = [usual_captions.sample(decoder, one[None], settings) for one in features]
    assert found == [mine[0].words for mine in search(decoder, features, settings)] != others
    assert {2, 8} < set(map(len, found)) and {2, 8} < set(map(len, others))


def test_samples_are_compared_once_they_agree(setup, monkeypatch):
    monkeypatch.setattr(bench_rows, "SAMPLES", 2)
    assert measured(bench_rows.sample(setup), "sample_ratio", "sample_rate")
    found = Captioner.hypotheses
    monkeypatch.setattr(Captioner, "hypotheses", lambda captioner, features, search: found(
        captioner, features, replace(search, seed=1)))
    with pytest.raises(Unequal, match="the sampled captions"):
        bench_rows.sample(setup)


def test_regions_are_compared_once_they_agree(setup, monkeypatch):
    assert measured(bench_encode.regions(setup), "regions_ratio", "regions_rate")
    pooled = bench_reference.pooled
    monkeypatch.setattr(bench_reference, "pooled", lambda maps, boxes: pooled(maps, boxes.roll(1)))
    with pytest.raises(Unequal, match="the features of regions"):
        bench_encode.regions(setup)


def test_an_answerer_is_compared_once_losses_and_scores_agree(setup, monkeypatch):
    run = bench_answers.begun(setup)
    monkeypatch.setattr(bench_answers, "begun", lambda setup: run)
    assert measured(bench_answers.vqa(setup), "vqa_train_ratio", "vqa_train_rate",
                    "vqa_answer_ratio", "vqa_answer_rate")
    one_by_one, plain_step = bench_answers.one_by_one, bench_answers.plain_step
    monkeypatch.setattr(bench_answers, "one_by_one", lambda answerer, features, picture, texts:
                        one_by_one(answerer, features, picture, texts[::-1]))
    with pytest.raises(Unequal, match="the scores of answers"):
        bench_answers.asked(setup, run.task)
    monkeypatch.setattr(bench_answers, "plain_step", lambda *given: 1.001 * plain_step(*given))
    with pytest.raises(Unequal, match="the loss a question"):
        bench_answers.trained(setup, run)


def test_clips_are_compared_once_their_features_agree(setup, monkeypatch):
    assert measured(bench_clips.clips(setup), "clips_ratio", "clips_rate")
    encode_frames = bench_clips.encode_frames
    monkeypatch.setattr(bench_clips, "write_clips", lambda root, count: [
        setup.folder / "clips" / str(number) for number in range(count)])
    monkeypatch.setattr(bench_clips, "encode_frames", lambda network, transform, folder: (
        encode_frames(network, transform, folder)[::-1]))
    with pytest.raises(Unequal, match="the features of clips"):
        bench_clips.clips(setup)
    monkeypatch.setattr(bench_clips, "encode_frames", lambda network, transform, folder: (
        encode_frames(network, transform, folder)[1:]))
    with pytest.raises(Unequal, match="the frames of clips"):
        bench_clips.clips(setup)


def test_paragraphs_are_compared_once_they_agree(setup, monkeypatch):
    assert measured(bench_clips.told(setup), "told_ratio", "told_rate", "labels_rate")
    usual_paragraph = bench_clips.usual_paragraph
    monkeypatch.setattr(bench_clips, "usual_paragraph", lambda narrator, clip: usual_paragraph(
        narrator, (clip[0][::-1], clip[1])))
    with pytest.raises(Unequal, match="the paragraphs"):
        bench_clips.told(setup)


def test_a_narrator_of_the_bench_writes_all_that_it_may():
    narrator, _ = bench_clips.untrained()
    features = bench_clips.random_clips(narrator.backbone, narrator.transform, 2)
    told = narrator.paragraphs(features, [5.0, 5.0])
    assert {len(paragraph) for paragraph in told} == {bench_clips.SENTENCES}
    assert max(len(one.split()) for one in told[0]) == bench_clips.LONGEST - 2


def test_a_child_encodes_clips_when_asked(tmp_path):
    bench_clips.write_clips(tmp_path / "clips", 2)
    with Child(["clips", tmp_path / "clips", 3], 1, module=bench_growth.MODULE) as child:
        assert child.answer() == {"ready": True}
        said = child.ask()
    assert said["items"] == 6 and said["seconds"] > 0 and child.process.returncode == 0
    assert said["memory"] is None or said["memory"] > 1e7


def test_questions_are_answered_when_asked(tmp_path, monkeypatch):
    said, predicted = [], []
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    monkeypatch.setattr(bench_growth, "tell", lambda **answer: said.append(answer))
    monkeypatch.setattr(Answerer, "predicted", lambda answerer, features, picture, texts:
                        predicted.append((len(features), picture.tolist(), len(texts))))
    bench_growth.serve_answers(tmp_path / "f.npy", "12")
    assert predicted == 2 * [(2, [0] * 10 + [1] * 2, 12)]           # the first one warms up
    assert said[0] == {"ready": True} and said[1]["items"] == 12 and len(said) == 2


@pytest.mark.parametrize("row, arguments, items", [
    ("scaling_questions", [("answers", 7), ("answers", 21), ("answers", 70)], (7, 21, 70)),
    ("scaling_clips", [("clips", 1), ("clips", 3), ("clips", 10)], (2, 6, 20))])
def test_growth_is_read_off_what_the_children_say(setup, monkeypatch, row, arguments, items):
    asked = []
    monkeypatch.setattr(bench_growth, "Child", lambda given, *_, **__: asked.append(
        (given[0], given[-1])))
    monkeypatch.setattr(bench_growth, "in_turn", lambda setup, children: [
        [{"seconds": count * seconds, "items": count, "memory": memory}] * 2
        for count, seconds, memory in zip(items, (2, 2, 3), (100, 100, 120), strict=True)])
    figures = getattr(bench_growth, row)(setup)
    assert asked == arguments
    assert {key: figure.value for key, figure in figures.items()} == {
        f"{row}_time": 1.5, f"{row}_memory": 1.2}
