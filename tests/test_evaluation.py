"""A score is the official one, of captions the model wrote by itself, for a split that is named."""

import json
import math
import os
import shlex
import subprocess
import sys
import time
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
from system.commands import run_command
from vocabulary import Vocabulary, tokenize

CANDIDATES = ["a red ball on grass", "two dogs", "a dog runs on the beach", "a red ball"]
REFERENCES = [["a red ball lies on the grass", "there is a ball on green grass"],
              ["two dogs play", "a pair of dogs", "dogs in the snow"],
              ["a dog runs along the beach", "the dog is on a beach"],
              ["a blue box", "a box of blue paper on the grass"]]
OBJECTS = [{"sports ball"}, {"dog"}, {"dog"}, set()]


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
        scores, _ = score(CANDIDATES, REFERENCES, slow=True, objects=OBJECTS)
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
    candidates, references = [["a", "dog"], ["a", "cat"]], [[["a", "dog"]], [["a", "bird"]]]
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


COUNTS = " ".join(["1.0"] * 23)
ANSWERS = f"""
for line in sys.stdin:
    log.write(line)
    log.flush()
    if line.startswith("EVAL"):
        print("0.25\\n" * line.count("|||") + "0.5", flush=True)
    else:
        print({COUNTS!r}, flush=True)
"""


@pytest.fixture
def fake_java(tmp_path, monkeypatch):
    """Put a program of one's own, in Python, in Java's place; it writes what it hears to a log."""
    if os.name != "posix":
        pytest.skip("a script that is a program is made on POSIX only")
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    # that of the project may have a space in its path
    monkeypatch.setattr(meteor, "program_folder", lambda: tmp_path)

    def put(source, first=None):
        head = ("import sys, time\nsys.stdin.reconfigure(encoding='utf-8')\n"
                f"log = open({str(tmp_path / 'log')!r}, 'a', encoding='utf-8')\n")
        script = program.with_suffix(".py")
        script.write_text(head + source, encoding="utf-8")
        # by the shell, since a script's first line cannot name a Python with a space in its path
        words = shlex.join([sys.executable, "-S", str(script)])
        program.write_text(first or f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        return tmp_path / "log"

    return put


def test_meteors_program_is_asked_what_coco_caption_asks_it(fake_java):
    log = fake_java(ANSWERS)
    sentences = ["a  red ball", "b ||| c", "", "1\xa01/2 café 🐈"]
    assert meteor.meteor(sentences, REFERENCES) == 0.5
    ours = log.read_text("utf-8")
    log.unlink()
    official, each = program.Meteor().compute_score(
        dict(enumerate(REFERENCES)), {n: [one] for n, one in enumerate(sentences)})
    assert (official, each) == (0.5, [0.25] * 4)
    assert ours == log.read_text("utf-8") and ours.count("\n") == 5


def test_what_would_end_a_line_or_a_reference_is_not_sent(fake_java):
    log = fake_java(ANSWERS)
    meteor.meteor(["a\nb\rc"], [["x|||y", "\ud83d"]])
    assert log.read_text("utf-8").splitlines()[0] == "SCORE ||| xy ||| ? ||| a b c"


@pytest.mark.parametrize("before", [
    "print('OpenJDK warning: old flags', flush=True)\n",
    "print('Picked up JAVA_TOOL_OPTIONS: -Dx', file=sys.stderr, flush=True)\n",
    "print('[0.005s][info][gc] Using G1\\n' * 50, flush=True)\n",
    "if '-Xmx2G' in sys.argv:\n    sys.exit('Could not reserve enough space')\n"])
def test_warnings_and_too_little_memory_cost_no_score(fake_java, before):
    fake_java(before + ANSWERS)
    assert meteor.meteor(CANDIDATES, REFERENCES) == 0.5


@pytest.mark.parametrize(("source", "reason"), [
    ("sys.exit('Unable to locate a Java Runtime.\\nVisit a page.')",
     "ended (Unable to locate a Java Runtime. Visit a page.)"),
    ("sys.exit(0)", "its program ended"),
    ("print('nonsense', flush=True)\ntime.sleep(600)", "gave no answer for 0.3 s"),
    ("while True: sys.stdout.write('x' * 1000)", "gave no answer for 0.3 s"),
    ("import subprocess\nsubprocess.run(['sleep', '600'])", "gave no answer for 0.3 s"),
    ("print('Error: specify SCORE', flush=True)", "answered 'Error: specify SCORE'"),
    (f"input()\nprint({COUNTS!r}, flush=True)\nsys.exit('Killed')", "ended (Killed)"),
    (ANSWERS.replace('"0.5"', '"NaN"'), "answered nan, which is no score"),
    (None, "Java does not run (")])
def test_a_program_that_does_not_work_leaves_meteor_alone_out(fake_java, monkeypatch, tmp_path,
                                                              source, reason):
    if "no answer" in reason:
        monkeypatch.setattr(meteor, "PATIENCE", 0.3)
    monkeypatch.setattr(meteor, "lacks_java", lambda: None)
    fake_java(source or "", None if source else "\x7fELF")
    fast, _ = score(CANDIDATES, REFERENCES, objects=OBJECTS)
    scores, _ = score(CANDIDATES, REFERENCES, slow=True, objects=OBJECTS)
    assert scores == fast
    (line,) = left_out(scores)
    assert line.startswith("METEOR was left out: ") and reason in line and "\n" not in line


def test_ctrl_c_ends_meteors_program_at_once(fake_java, monkeypatch, tmp_path):
    fake_java("log.write(str(__import__('os').getpid()))\nlog.flush()\ntime.sleep(600)")
    get = meteor.queue.Queue.get

    def interrupted(self, timeout):
        while not ((tmp_path / "log").exists() and (tmp_path / "log").read_text()):
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(meteor.queue.Queue, "get", interrupted)
    with pytest.raises(KeyboardInterrupt):
        meteor.meteor(CANDIDATES, REFERENCES)
    monkeypatch.setattr(meteor.queue.Queue, "get", get)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "log").read_text()), 0)


@pytest.mark.parametrize(("option", "values"), [
    ("--beam", "0 -1"), ("--limit", "0 -3"), ("--max-length", "2 0 -1"),
    ("--length-penalty", "-1 29 nan inf -inf")])
def test_a_search_that_cannot_be_is_one_sentence(monkeypatch, capsys, option, values):
    for value in values.split():
        monkeypatch.setattr(sys, "argv", ["evaluate.py", "x", "--data", "d", f"{option}={value}"])
        with pytest.raises(SystemExit) as end:
            run_command(evaluate_main)
        error = capsys.readouterr().err
        assert end.value.code == 2 and option in error
        assert error.endswith(("or more\n", "from 0 to 10\n"))


@pytest.mark.parametrize("fails", [KeyboardInterrupt, meteor.Unavailable("its program ended")])
def test_all_else_is_printed_and_written_before_meteor(captioner, tiny_root, tmp_path, monkeypatch,
                                                       capsys, fails):
    save_captioner(tmp_path / "best.safetensors", captioner)
    kept = tmp_path / "kept"

    def program(*_):
        kept.write_text(capsys.readouterr().out + (tmp_path / "report.json").read_text()
                        + (tmp_path / "results.json").read_text())
        raise fails

    monkeypatch.setitem(METRICS, "METEOR", replace(METRICS["METEOR"], function=program,
                                                   lacks=None))
    monkeypatch.setattr(sys, "argv", [
        "evaluate.py", str(tmp_path), "--data", str(tiny_root), "--limit", "2", "--device", "cpu",
        "--json", str(tmp_path / "report.json"), "--results", str(tmp_path / "results.json")])
    with pytest.raises(SystemExit) as end:
        run_command(evaluate_main)
    for words in ("CIDEr-D", "BLEU-4", '"CIDEr"', '"image_id"'):
        assert words in kept.read_text()
    assert "METEOR" not in json.loads((tmp_path / "report.json").read_text())
    said = capsys.readouterr().err
    if fails is KeyboardInterrupt:
        assert end.value.code == 130 and "stopped" in said
    else:
        assert not end.value.code and "METEOR was left out: its program ended\n" in said


def test_meteor_comes_after_the_table_and_into_the_file(captioner, tiny_root, tmp_path, monkeypatch,
                                                        capsys):
    save_captioner(tmp_path / "best.safetensors", captioner)
    monkeypatch.setitem(METRICS, "METEOR", replace(METRICS["METEOR"], lacks=None,
                                                   function=lambda *_: 0.125))
    monkeypatch.setattr(sys, "argv", [
        "evaluate.py", str(tmp_path), "--data", str(tiny_root), "--limit", "2", "--device", "cpu",
        "--json", str(tmp_path / "report.json")])
    evaluate_main()
    shown, said = capsys.readouterr()
    assert shown.splitlines()[-1].split() == ["METEOR", "12.5"] and shown.count("METEOR") == 1
    assert len({line.rindex(".") for line in shown.splitlines()
                if line.split()[0] in ("BLEU-1", "CIDEr-D", "METEOR")}) == 1    # in one column
    written = json.loads((tmp_path / "report.json").read_text())
    assert written["METEOR"] == 0.125 and list(written)[-1] == "distinct"
    assert said.count(f"wrote {tmp_path / 'report.json'}") == 1
    assert "METEOR" not in said


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
    assert "4 pictures are few: others might give quite different scores" in done.stderr


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
    assert ("is a training state, which nothing evaluates: give a captioner, a detector, "
            "a question answerer, an action labeller or a narrator, or a run's folder") in error


@pytest.mark.parametrize("folder", ["plain", "with space", "é"])
def test_meteors_program_finds_a_path_that_it_understands(tmp_path, monkeypatch, folder):
    program_in(tmp_path / folder, monkeypatch)
    monkeypatch.setattr(meteor.shutil, "which", lambda name: "java")
    (tmp_path / folder / "meteor").mkdir(parents=True)
    (tmp_path / folder / "meteor" / "x.jar").write_bytes(b"program")
    with meteor.plain_folder() as plain:
        assert "%" not in plain.as_uri() and (plain / "x.jar").read_bytes() == b"program"
    assert (plain / "x.jar").exists() == (folder == "plain") and meteor.lacks_java() is None
    assert (tmp_path / folder / "meteor" / "x.jar").exists()


def test_meteor_is_left_out_where_no_path_is_understood(tmp_path, monkeypatch):
    program_in(tmp_path / "with space", monkeypatch)
    monkeypatch.setattr(meteor.shutil, "which", lambda name: "java")
    monkeypatch.setattr(meteor.tempfile, "gettempdir", lambda: str(tmp_path / "é"))
    assert "with a space or an accent: set TMPDIR" in meteor.lacks_java()
