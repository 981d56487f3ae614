"""The confidence of a caption keeps to a known law, survives a checkpoint, and marks guesses."""

import json
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import caption
from calibration import __main__ as command
from calibration import fitting
from calibration.figures import Figures, figures_of, right, weigh_each
from calibration.fitting import calibrated, fit, halves
from calibration.law import GUESS, KEY, Law, judge_of, law_of, probabilities
from captioning.checkpoint import load_captioner, note, save_captioner
from captioning.photos import Described
from coco.dataset import Picture, Split, read_split
from coco.pictures import open_picture
from decoders.confidence import Word, weigh
from page.cards import card
from page.describing import Entry, describe
from page.models import ready_captioner
from scoring.calibration import area_under_curve, calibration_error, risks
from scoring.scores import Unavailable
from system import tensor_file
from system.commands import run_command
from system.files import BadInput
from tests.untrained import untrained

LAW = Law(1.5, 2.0, -1.0)
NOTED = {"law": LAW._asdict(), "data": "d", "split": "val", "fitted": 3, "measured": 3,
         "absent": 0.1, "error": 0.02, "auc": 0.9}


@pytest.fixture(scope="module")
def captioner():
    """An untrained captioner whose words are objects, so that its captions name many."""
    made = untrained(["a", "dog", "cat", "man", "pizza", "red", "on", "of"])
    made.encoder.eval()
    made.decoder.eval()
    return made


@pytest.fixture
def checkpoint(captioner, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_captioner(path, captioner, recipe="x")
    return path


def words(*pairs):
    return [Word(text, probability, [], None) for text, probability in pairs]


# the measures

def brute_error(chances, outcomes, bins):
    """The calibration error pair by pair, of bins cut from a sorted list."""
    pairs, total = sorted(zip(chances, outcomes, strict=True)), 0.0
    sizes = [len(pairs) // bins + (number < len(pairs) % bins) for number in range(bins)]
    for size in sizes:
        part, pairs = pairs[:size], pairs[size:]
        total += size * abs(sum(one for one, _ in part) / size - sum(two for _, two in part) / size)
    return total / len(chances)


def test_the_measures_are_those_of_a_loop_over_pairs():
    random = np.random.default_rng(0)
    chances = random.random(103).round(1)                   # many ties
    outcomes = random.random(103) < chances
    distinct = chances + np.arange(103) * 1e-6
    assert calibration_error(distinct, outcomes) == pytest.approx(
        brute_error(distinct, outcomes, 10))
    pairs = [(a > b) + (a == b) / 2 for a in chances[outcomes] for b in chances[~outcomes]]
    assert area_under_curve(chances, outcomes) == pytest.approx(np.mean(pairs))
    order = sorted(range(103), key=lambda number: -distinct[number])
    assert risks(distinct, outcomes).tolist() == pytest.approx(
        [np.mean([not outcomes[one] for one in order[:k]]) for k in range(1, 104)])


def test_the_measures_by_hand():
    chances, outcomes = [0.9, 0.8, 0.4, 0.1], [True, False, True, False]
    assert area_under_curve(chances, outcomes) == 3 / 4
    assert calibration_error(chances, outcomes, bins=2) == pytest.approx((0.25 + 0.35) / 2)
    assert risks(chances, outcomes).tolist() == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert calibration_error([1, 1, 0, 0], [True, True, False, False]) == 0
    with pytest.raises(Unavailable, match="alike"):
        area_under_curve(chances, [True] * 4)


# the figures

def test_the_figures_are_of_the_words_that_name_objects():
    said = figures_of(words(("a", 0.1), ("man", 0.5), ("eats", 0.01), ("a", 0.3), ("hot", 0.8),
                            ("dog", 0.9), ("near", 0.2), ("dogs", 0.4), (".", 0.9)))
    assert said.others == 2 and said.names                  # hot dog and dog, and a person
    assert said.naming == pytest.approx(math.log(0.5 * 0.8 * 0.9 * 0.4))
    assert figures_of(words(("two", 0.1), ("women", 0.5)))[1:] == (0, True)
    assert figures_of(words(("blue", 0.1), ("sky", 0.5))) == Figures(0.0, 0, False)
    assert figures_of(words(("a", 0.5), ("statue", 0.5), ("of", 1), ("a", 1), ("dog", 0.1))
                      ) == Figures(0.0, 0, False)
    assert math.isfinite(figures_of(words(("a", 0.5), ("dog", 0.0))).naming)
    assert figures_of([]) == Figures(0.0, 0, False)


def test_a_caption_is_right_if_all_that_it_names_is_there():
    assert right(["a dog and a cat", "a dog", "the sky", "a man"],
                 [{"dog"}, {"dog", "cat"}, set(), {"dog"}]).tolist() == [False, True, True, False]


# the law

def drawn(law, count, seed=0):
    """Figures, and outcomes drawn by a law."""
    random = np.random.default_rng(seed)
    figures = [Figures(-random.exponential(), int(random.integers(4)), bool(random.random() < 0.9))
               for _ in range(count)]
    return figures, np.array([random.random() < law.probability(one) for one in figures])


def test_a_known_law_is_found_again_and_its_probabilities_are_calibrated():
    figures, outcomes = drawn(LAW, 20_000)
    found = fit(figures, outcomes)
    assert found == pytest.approx(LAW, abs=0.15)
    chances = [found.probability(one) for one in figures]
    assert calibration_error(chances, outcomes) < 0.01
    assert area_under_curve(chances, outcomes) > 0.75


def test_the_probability_is_the_sigmoid_and_one_where_nothing_is_named():
    assert LAW.probability(Figures(-1.0, 1, True)) == pytest.approx(1 / (1 + math.exp(1.5)))
    assert LAW.probability(Figures(0.0, 0, False)) == 1
    assert 0 <= LAW.probability(Figures(-1e5, 5, True)) < 1e-9      # without overflow


def test_figures_that_separate_the_outcomes_give_a_finite_law():
    figures = [Figures(-1.0 * number, 0, True) for number in range(40)]
    found = fit(figures, [number < 20 for number in range(40)])
    assert all(map(math.isfinite, found))
    assert found.probability(figures[0]) > 0.95 and found.probability(figures[-1]) < 0.05


# the checkpoint

def test_the_same_probabilities_come_from_a_saved_and_loaded_checkpoint(
        captioner, checkpoint, tiny_root):
    before = tensor_file.read(checkpoint, "captioner", 3, "")
    note(checkpoint, **{KEY: NOTED})
    after = tensor_file.read(checkpoint, "captioner", 3, "")
    assert before[0].keys() == after[0].keys()
    for name, tensor in before[0].items():
        assert tensor.dtype == after[0][name].dtype and torch.equal(tensor, after[0][name])
    assert after[1]["about"].pop(KEY) == NOTED and after[1] == before[1]

    loaded = load_captioner(checkpoint)
    assert law_of(loaded) == LAW and judge_of(captioner) is None
    pictures = [picture.open() for picture in read_split(tiny_root, "val").pictures]
    features = captioner.encode(pictures)
    every = captioner.hypotheses(features, captioner.search(captions=3))
    chances = []
    for row, found in enumerate(every):
        expected = probabilities(captioner, LAW, features[row:row + 1], found)
        chances += expected
        assert judge_of(loaded)(features[row:row + 1], found) == expected
        said = weigh(captioner.decoder, captioner.embed(features[row:row + 1]), found,
                     captioner.vocab)
        assert expected == [LAW.probability(figures_of(one.words)) for one in said]
    best = [LAW.probability(one) for one in weigh_each(captioner, features, every)]
    assert best == pytest.approx([
        probabilities(captioner, LAW, features[row:row + 1], found[:1])[0]
        for row, found in enumerate(every)])
    assert len(set(chances)) > 3 and min(chances) < 1


@pytest.mark.parametrize("damage", [{"law": {"bias": 1.0}}, {"law": None}, {"auc": "x"}])
def test_a_strange_calibration_is_refused_in_a_sentence(checkpoint, damage):
    note(checkpoint, **{KEY: {**NOTED, **damage}})
    with pytest.raises(BadInput, match="run python -m calibration"):
        law_of(load_captioner(checkpoint))


# the command

def naming(count):
    """A split whose captions a stub writes: every fourth names a dog that is not there."""
    return Split("val", tuple(Picture(number, Path(f"{number}.jpg"), ("a cat sits",))
                              for number in range(count)))


def test_the_law_is_fitted_on_one_half_and_measured_on_the_other(monkeypatch):
    split, random = naming(200), np.random.default_rng(1)
    wrong = [number % 4 == 0 for number in range(200)]
    figures = [Figures(-random.exponential(2.0 if bad else 0.2), 1, True) for bad in wrong]
    fits = halves(split)
    assert fits.sum() == 100 and (halves(Split("x", split.pictures[::-1])) == fits[::-1]).all()
    stub = SimpleNamespace(
        features=lambda split: [list(range(200))],
        hypotheses=lambda features: [[SimpleNamespace(words=row)] for row in features],
        vocab=SimpleNamespace(decode=lambda row: "a dog" if wrong[row] else "a cat"))
    monkeypatch.setattr(fitting, "weigh_each", lambda *_: figures)
    noted = calibrated(stub, split, "here")
    outcomes = ~np.array(wrong)
    law = fit([one for one, fitted in zip(figures, fits, strict=True) if fitted], outcomes[fits])
    assert noted["law"] == law._asdict() and (noted["data"], noted["split"]) == ("here", "val")
    held = [law.probability(one) for one, fitted in zip(figures, fits, strict=True) if not fitted]
    assert noted["auc"] == area_under_curve(held, outcomes[~fits]) > 0.7
    assert noted["error"] == calibration_error(held, outcomes[~fits])
    assert noted["absent"] == pytest.approx(1 - outcomes[~fits].mean())
    wrong[:] = [False] * 200
    with pytest.raises(BadInput, match="0 name an object that is absent and 100 only"):
        calibrated(stub, split, "here")


def run(monkeypatch, *options):
    """The command's exit status."""
    monkeypatch.setattr(sys, "argv", ["calibration", *map(str, options)])
    with pytest.raises(SystemExit) as end:
        run_command(command.main)
    return end.value.code or 0


def test_the_command_notes_the_law_or_leaves_the_checkpoint_as_it_was(
        checkpoint, tiny_root, monkeypatch, capsys):
    before = checkpoint.read_bytes()
    assert run(monkeypatch, checkpoint, "--data", tiny_root) == 2     # no photographs of objects
    assert "to calibrate it takes 10" in capsys.readouterr().err
    assert checkpoint.read_bytes() == before
    monkeypatch.setattr(command, "calibrated",
                        lambda captioner, split, data: {**NOTED, "data": data})
    assert run(monkeypatch, checkpoint, "--data", tiny_root) == 0
    assert "area under the curve 0.900" in capsys.readouterr().out
    assert load_captioner(checkpoint).about[KEY] == {**NOTED, "data": tiny_root.name}


# caption.py and the page

def photos_of(root):
    return sorted((root / "val").glob("*.jpg"))


def run_caption(monkeypatch, *options):
    monkeypatch.setattr(sys, "argv", ["caption.py", "--device", "cpu", *map(str, options)])
    with pytest.raises(SystemExit) as end:
        run_command(caption.main, shared=True)
    return end.value.code or 0


def test_guesses_are_marked_and_captions_stay_as_they_are(
        captioner, checkpoint, tiny_root, monkeypatch, capsys):
    files = photos_of(tiny_root)
    options = *files, "--checkpoint", checkpoint, "--captions", 2
    assert run_caption(monkeypatch, *options) == 0
    plain = capsys.readouterr().out
    assert run_caption(monkeypatch, *options, "--json") == 0
    assert "confidence" not in capsys.readouterr().out and "guess" not in plain
    note(checkpoint, **{KEY: {**NOTED, "law": Law(3.0, 0.5, 0.0)._asdict()}})
    assert run_caption(monkeypatch, *options, "--json") == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    sure = [chance for one in found for chance in one["confidence"]]
    assert len(sure) == 2 * len(files) and min(sure) < GUESS < max(sure)
    assert run_caption(monkeypatch, *options) == 0
    marked = capsys.readouterr().out
    assert [line + "\t(a guess)" * (chance < GUESS) for line, chance in zip(
        plain.splitlines(), sure, strict=True)] == marked.splitlines()
    judge, search = judge_of(load_captioner(checkpoint)), captioner.search(captions=2)
    alone = [captioner.encode([open_picture(file)]) for file in files]
    assert [chance for one in alone
            for chance in judge(one, captioner.hypotheses(one, search)[0])] == pytest.approx(
                sure, abs=2e-3)
    assert run_caption(monkeypatch, *options, "--json", "--naming", captioner.vocab.words[4]) == 0
    assert "confidence" not in capsys.readouterr().out      # what had to be said is no claim


def test_a_calibrated_captioner_imports_of_the_scores_only_the_words_for_objects(
        checkpoint, tiny_root):
    note(checkpoint, **{KEY: NOTED})
    code = ("import sys, caption; caption.main(); print(*sorted(one for one in sys.modules if "
            "one.startswith(('scoring.', 'scipy', 'nltk'))))")
    done = subprocess.run(
        [sys.executable, "-c", code, photos_of(tiny_root)[0], "--checkpoint", checkpoint,
         "--device", "cpu"], text=True, capture_output=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "scoring.object_words scoring.objects"


def test_what_is_printed_of_a_picture():
    found = Described(Path("x.jpg"), ["a dog", "a cat"], confidence=(GUESS - 1e-6, GUESS))
    assert caption.lines_of(found, False) == "x.jpg\ta dog\t(a guess)\nx.jpg\ta cat"
    assert json.loads(caption.lines_of(found, True)) == {
        "file": "x.jpg", "captions": ["a dog", "a cat"], "confidence": [0.8, 0.8]}
    assert "confidence" not in json.loads(caption.lines_of(Described(Path("x"), ["a"]), True))


def test_the_page_shows_the_calibrated_confidence_where_there_is_one(
        checkpoint, tiny_root, tmp_path):
    photo = photos_of(tiny_root)[0]
    monkey = pytest.MonkeyPatch()
    monkey.setattr("page.models.seer", lambda *_: None)
    with monkey.context():
        ready = ready_captioner(checkpoint, "cpu", None)
        note(checkpoint, **{KEY: NOTED})
        after = ready_captioner(checkpoint, "cpu", None)
    search = ready.captioner.search(captions=2)
    old, new = (describe(photo, one, search, tmp_path, 0) for one in (ready, after))
    assert [one.sentence for one in old.said] == [one.sentence for one in new.said]
    assert [one.confidence for one in new.said] == [
        LAW.probability(figures_of(one.words)) for one in old.said]
    assert new.plain()["confidence"] == [round(one.confidence, 4) for one in new.said]
    assert "sure of a word, on average" in card(old, "t")
    text = " ".join(card(new, "t").split())
    judged = sum(figures_of(one.words).names for one in new.said)
    assert text.count("sure that the objects it names are there") == judged
    assert text.count("it names none of the 80 kinds of object that it can judge") == 2 - judged
    assert not Entry("x").calibrated
