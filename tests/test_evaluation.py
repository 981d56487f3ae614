"""A score is the official one, of captions the model wrote by itself, for a split that is named."""

import json
import math
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pycocoevalcap.meteor import meteor as program
from pycocotools.coco import COCO

from captioning import evaluation
from captioning.captioner import Captioner
from captioning.checkpoint import save_captioner
from captioning.evaluation import evaluate, left_out, score, table
from coco.dataset import Split, read_split
from coco.pictures import open_picture
from decoders.search import Search
from encoders.backbones import transform_of
from evaluate import main as evaluate_main
from scoring import meteor
from scoring.metrics import METRICS, Metric, add, compute
from system import tensor_file
from system.files import run_command
from vocabulary import Vocabulary, tokenize

CANDIDATES = ["a red ball on grass", "two dogs", "a dog runs on the beach", "a red ball"]
REFERENCES = [["a red ball lies on the grass", "there is a ball on green grass"],
              ["two dogs play", "a pair of dogs", "dogs in the snow"],
              ["a dog runs along the beach", "the dog is on a beach"],
              ["a blue box", "a box of blue paper on the grass"]]


@pytest.fixture(scope="module")
def split(tiny_root):
    return read_split(tiny_root, "val")


@pytest.fixture(scope="module")
def captioner(split):
    """Build an untrained captioner, sharp enough to describe each colour differently."""
    torch.manual_seed(3)
    architecture = {"encoder": {"backbone": "efficientnet_lite0", "grid": False},
                    "decoder": {"embed_size": 12, "hidden_size": 12, "num_layers": 1,
                                "name": "lstm_every", "dropout": 0.5}}
    vocab = Vocabulary.build(map(tokenize, split.sentences), threshold=1)
    made = Captioner.build(architecture, vocab, transform_of("efficientnet_lite0"))
    with torch.no_grad():
        for parameter in [*made.encoder.embed.parameters(), *made.decoder.parameters()]:
            parameter.mul_(4).copy_(parameter.half())       # as a checkpoint will keep it
    return made


@pytest.fixture
def no_java(monkeypatch):
    monkeypatch.setattr(meteor.shutil, "which", lambda name: None)


def test_bleu_1_clips_counts_and_is_of_the_corpus_with_a_brevity_penalty():
    scores, _ = score(["the cat the cat", "a dog"], [["the cat sat"], ["a dog runs fast"]])
    words, hits, nearest = 4 + 2, 2 + 2, 3 + 4
    assert scores["Bleu_1"] == pytest.approx(hits / words * math.exp(1 - nearest / words))


def test_rouge_l_is_the_f_measure_of_the_longest_common_subsequence():
    scores, _ = score(["a red ball here"], [["a ball", "no such thing"]])
    precision, recall, weight = 2 / 4, 2 / 2, 1.2 ** 2
    expected = (1 + weight) * precision * recall / (recall + weight * precision)
    assert scores["ROUGE_L"] == pytest.approx(expected)


def cider_d(candidates, references):
    """Return the CIDEr-D of each picture, from Vedantam et al. 2015 (arXiv:1411.5726)."""
    def n_grams(sentence, n):
        words = sentence.split()
        return Counter(tuple(words[k:k + n]) for k in range(len(words) - n + 1))

    def weighed(sentence, n):
        return {one: count * math.log(len(references) / max(1, frequency(one)))
                for one, count in n_grams(sentence, n).items()}

    def frequency(one):
        return sum(any(one in n_grams(text, len(one)) for text in texts) for texts in references)

    def norm(vector):
        return math.sqrt(sum(value**2 for value in vector.values()))

    def likeness(candidate, reference, n):
        c, r = weighed(candidate, n), weighed(reference, n)
        product = sum(min(value, r.get(one, 0)) * r.get(one, 0) for one, value in c.items())
        longer = len(candidate.split()) - len(reference.split())
        return math.exp(-longer**2 / 72) * (product / (norm(c) * norm(r)) if product else 0)

    return [10 * np.mean([likeness(candidate, one, n) for one in texts for n in (1, 2, 3, 4)])
            for candidate, texts in zip(candidates, references, strict=True)]


def test_cider_is_that_of_the_paper_and_each_pictures_stands_at_its_place():
    scores, each = score(CANDIDATES, REFERENCES)
    np.testing.assert_allclose(each, cider_d(CANDIDATES, REFERENCES))
    assert scores["CIDEr"] == pytest.approx(each.mean())
    assert each[3] < each[0]                                    # the ball where a box is


def test_case_and_punctuation_count_for_nothing(split):
    references = evaluation.tokenized_references(split)
    assert [len(sentences) for sentences in references] == [5] * 6
    assert references[0][0].split()[-1] == "picture"
    plain, _ = score(CANDIDATES, REFERENCES)
    dotted, _ = score([f"{sentence.capitalize()}." for sentence in CANDIDATES], REFERENCES)
    assert dotted == plain


@pytest.mark.parametrize("candidates", [["", *CANDIDATES[1:]], ["."] * 4])
def test_an_empty_sentence_scores_nothing_and_breaks_nothing(candidates):
    scores, each = score(candidates, REFERENCES)
    assert each[0] == 0
    assert all(math.isfinite(value) and value >= 0 for value in scores.values())


def test_one_sentence_for_every_picture_is_counted_as_one():
    assert score(["a red ball"] * 4, REFERENCES)[0]["distinct"] == 1
    assert score(CANDIDATES, REFERENCES)[0]["distinct"] == 4


def program_in(folder, monkeypatch):
    """Let METEOR's program lie in a folder."""
    monkeypatch.setattr(meteor, "find_spec", lambda name: SimpleNamespace(
        submodule_search_locations=[str(folder)]))


def test_meteor_is_scored_where_java_is_and_left_out_where_not(monkeypatch, tmp_path):
    program_in(tmp_path, monkeypatch)
    monkeypatch.setitem(METRICS, "METEOR", replace(METRICS["METEOR"], function=lambda *_: 0.25))
    for java, expected in (("/usr/bin/java", 0.25), (None, None)):
        monkeypatch.setattr(meteor.shutil, "which", lambda name, java=java: java)
        scores, _ = score(CANDIDATES, REFERENCES, slow=True)
        assert scores.get("METEOR") == expected
        assert left_out(scores) == ([] if java else ["METEOR was left out: it needs Java"])
        assert "METEOR" not in score(CANDIDATES, REFERENCES)[0]
    assert left_out({}) == [f"{metric.label} was left out: it was not asked for"
                            if metric.name != "METEOR" else "METEOR was left out: it needs Java"
                            for metric in METRICS.values()]


@pytest.fixture
def table_of_metrics(monkeypatch):
    """Give back the table of metrics as it was."""
    before = dict(METRICS)
    yield METRICS
    METRICS.clear()
    METRICS.update(before)


def test_a_metric_of_ones_own_is_scored_and_printed_on_its_scale(table_of_metrics):
    add(Metric("words", "mean length", lambda candidates, references: np.array(
        [len(words) for words in candidates]), scale=1))
    scores, each = score(CANDIDATES, REFERENCES)
    assert list(scores)[-2:] == ["words", "distinct"] and scores["words"] == 16 / 4
    assert np.array_equal(each, score(CANDIDATES, REFERENCES)[1])       # still CIDEr's
    assert table({"words": 4.0, "CIDEr": 0.5}).splitlines() == [
        "mean length     4.0", "    CIDEr-D    50.0"]


def test_a_metric_gets_the_inputs_it_names_and_is_left_out_where_one_is_missing(table_of_metrics):
    add(Metric("true", "true claims", lambda candidates, graphs: len(graphs) / len(candidates),
               inputs=("candidates", "graphs")))
    candidates, references = [["a", "dog"], ["a", "cat"]], [[["a", "dog"]], [["a", "dog"]]]
    given = {"candidates": candidates, "references": references}
    assert "true" not in compute(given)[0] and "ROUGE_L" not in compute(given)[0]
    assert METRICS["true"].missing(given) == "it needs graphs"
    scores, each = compute({**given, "graphs": [1]})
    assert scores["true"] == 0.5 and each.keys() == {"CIDEr"}


def test_the_four_bleu_are_counted_once(table_of_metrics):
    calls = []

    def four(candidates, references):
        calls.append(candidates)
        return [0.4, 0.3, 0.2, 0.1]

    for n in range(1, 5):
        add(replace(METRICS[f"Bleu_{n}"], function=four))
    scores, _ = score(CANDIDATES, REFERENCES)
    assert [scores[f"Bleu_{n}"] for n in range(1, 5)] == [0.4, 0.3, 0.2, 0.1] and len(calls) == 1


@pytest.mark.parametrize("before", [None, "-Xmx1g"])
def test_only_meteors_java_is_told_to_write_decimal_points(monkeypatch, before):
    heard = []

    class Meteor:
        def compute_score(self, truth, result):
            heard.append(os.environ["JAVA_TOOL_OPTIONS"])
            assert (truth, result) == ({0: ["a dog", "two"], 1: ["b"]}, {0: ["dog"], 1: ["c"]})
            return 0.5, []

    monkeypatch.setattr(program, "Meteor", Meteor)
    monkeypatch.delenv("JAVA_TOOL_OPTIONS", raising=False)
    if before:
        monkeypatch.setenv("JAVA_TOOL_OPTIONS", before)
    assert meteor.meteor(["dog", "c"], [["a dog", "two"], ["b"]]) == 0.5
    assert "-Duser.language=en" in heard[0] and (before or "") in heard[0]
    assert os.environ.get("JAVA_TOOL_OPTIONS") == before


def test_a_report_says_what_was_scored_how(captioner, split, no_java):
    report, results, each = evaluate(captioner, split, Search(beam=2, length_penalty=0.5))
    assert list(report)[:11] == ["split", "pictures", "references", "search", "tokenizer", "Bleu_1",
                                 "Bleu_2", "Bleu_3", "Bleu_4", "ROUGE_L", "CIDEr"]
    assert list(report)[-1] == "distinct"
    assert (report["split"], report["pictures"], report["references"]) == ("val", 6, 30)
    assert "beam 2, length penalty 0.5" in report["search"] and "PTB" in report["tokenizer"]
    assert report["distinct"] == len({result["caption"] for result in results}) > 1
    assert each.shape == (6,) and each.mean() == pytest.approx(report["CIDEr"])
    scores, _ = score([result["caption"] for result in results],
                      evaluation.tokenized_references(split))
    assert scores.items() <= report.items()


def test_a_root_without_a_captioned_test_split_says_what_was_scored_instead(captioner, tiny_root,
                                                                             no_java):
    report, _, _ = evaluate(captioner, read_split(tiny_root, "test").first(2))
    assert report["split"] == "val (no captioned test split)" and report["pictures"] == 2


def test_results_are_a_coco_result_file(captioner, split, tiny_root, tmp_path, no_java):
    _, results, _ = evaluate(captioner, split)
    (tmp_path / "results.json").write_text(json.dumps(results))
    truth = COCO(tiny_root / "annotations" / "captions_val.json")
    loaded = truth.loadRes(str(tmp_path / "results.json"))
    assert loaded.getImgIds() == truth.getImgIds()
    for result, picture in zip(results, split.pictures, strict=True):
        assert result["image_id"] == picture.id
        assert [[result["caption"]]] == captioner.describe([open_picture(picture.file)])


def test_captions_depend_on_the_picture_alone(captioner, split, no_java, monkeypatch):
    """Not on the references, the order, the size of a batch, or the mode the model was left in."""
    _, results, _ = evaluate(captioner, split)
    others = Split("others", tuple(replace(picture, sentences=("an empty box",))
                                   for picture in reversed(split.pictures)))
    monkeypatch.setattr(Captioner, "batch_size", 4)
    captioner.encoder.train()
    captioner.decoder.train()
    _, again, _ = evaluate(captioner, others)
    assert again == results[::-1]


def test_several_captions_of_a_picture_come_best_first(captioner):
    features = np.random.default_rng(0).random((3, 1280), dtype=np.float32)
    best = captioner.sentences(features, Search(beam=3))
    three = captioner.sentences(features, Search(beam=3, captions=3))
    assert [len(sentences) for sentences in three] == [3] * 3
    assert [sentences[:1] for sentences in three] == best


def test_a_table_shows_labels_and_scores_as_papers_print_them():
    shown = table({"split": "val", "pictures": 6, "Bleu_4": 0.1234, "CIDEr": 1.5, "distinct": 4})
    assert [line.split() for line in shown.splitlines()] == [
        ["split", "val"], ["pictures", "6"], ["BLEU-4", "12.3"], ["CIDEr-D", "150.0"],
        ["distinct", "4"]]


def command(*options):
    return subprocess.run([sys.executable, "evaluate.py", *map(str, options)], text=True,
                          capture_output=True, encoding="utf-8", cwd=Path(__file__).parents[1],
                          env={**os.environ, "PATH": ""})            # hence no Java


def test_the_command_scores_a_runs_folder_and_writes_both_files(captioner, split, tiny_root,
                                                                tmp_path, no_java):
    save_captioner(tmp_path / "best.safetensors", captioner)
    done = command(tmp_path, "--data", tiny_root, "--beam", 2, "--limit", 4, "--device", "cpu",
                   "--json", tmp_path / "report.json", "--results", tmp_path / "results.json")
    assert done.returncode == 0, done.stderr
    report, results, _ = evaluate(captioner, split.first(4), Search(beam=2))
    assert json.loads((tmp_path / "report.json").read_text()) == report
    assert json.loads((tmp_path / "results.json").read_text()) == results
    assert table(report) in done.stdout
    assert "METEOR was left out" in done.stderr and "SPICE was left out" in done.stderr


def test_names_of_any_length_stand_in_one_column(monkeypatch):
    monkeypatch.setitem(METRICS, "long", Metric("long", "a metric of a long name", len))
    first, last = table({"split": "val", "long": 0.25}).splitlines()
    assert last.endswith("a metric of a long name    25.0")
    assert first.index("val") == last.index("  25.0")


def test_the_command_answers_bad_input_with_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["evaluate.py", str(tmp_path), "--data", str(tmp_path)])
    with pytest.raises(SystemExit) as end:
        run_command(evaluate_main)
    shown, error = capsys.readouterr()
    assert end.value.code == 2 and shown == ""
    assert error.startswith("error: ") and error.count("\n") == 1
    assert "best.safetensors is not there" in error


def test_a_file_of_a_kind_that_nothing_evaluates_is_refused(tmp_path, monkeypatch, capsys):
    tensor_file.write(tmp_path / "best.safetensors", "training state", 1, {}, {})
    monkeypatch.setattr(sys, "argv", ["evaluate.py", str(tmp_path), "--data", str(tmp_path)])
    with pytest.raises(SystemExit) as end:
        run_command(evaluate_main)
    error = capsys.readouterr().err
    assert end.value.code == 2 and error.count("\n") == 1
    assert "is a training state, which nothing evaluates: give a captioner" in error


@pytest.mark.parametrize(("folder", "lacks"), [
    ("plain", None), ("with space", "a folder with a space or an accent"), ("é", "an accent")])
def test_meteor_is_left_out_of_a_folder_in_which_its_program_ends(tmp_path, monkeypatch, folder,
                                                                  lacks):
    program_in(tmp_path / folder, monkeypatch)
    monkeypatch.setattr(meteor.shutil, "which", lambda name: "java")
    found = meteor.lacks_java()
    assert lacks is found is None or lacks in found
