"""VQA's accuracy is that of the published program, fault by fault, and WUPS that by hand."""

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import nltk
import numpy as np
import pytest

from scenes.lexicon import COLOURS
from scenes.words import NOUNS, PLACES, SIDES, SIZES
from system.files import BadInput
from vqa import normalize
from vqa.accuracy import RULES, accuracies, accuracy, harmonic_mean
from vqa.evaluation import report
from vqa.files import Questions
from vqa.normalize import fixed, in_words, official, without_marks
from vqa.wups import PARENTS, hypernyms, in_tree, wups, wups_of

MADE_UP = Path(__file__).parent / "data" / "vqa_probes.json"


def scores(predicted, answers, **more):
    """The accuracy of one prediction by each set of rules; answers: ten, or {answer: how often}."""
    if isinstance(answers, dict):
        answers = [answer for answer, times in answers.items() for _ in range(times)]
    assert len(answers) == 10
    return tuple(accuracy(predicted, answers, rules, **more) for rules in RULES)


def test_official_scores_are_the_published_programs_on_made_up_answers():
    probes = json.loads(MADE_UP.read_text(encoding="utf-8"))
    answers = [[one for one, times in held.items() for _ in range(times)] for _, held, _ in probes]
    found = accuracies([predicted for predicted, *_ in probes], answers)
    assert found.tolist() == [score for *_, score in probes]


def test_official_scores_are_the_published_programs_on_real_answers(shared_vqa):
    probes = json.loads((shared_vqa / "official_probes.json").read_text(encoding="utf-8"))["probes"]
    predicted, answers, expected = ([one[key] for one in probes]
                                    for key in ("prediction", "answers", "accuracy"))
    assert len(probes) == 2222
    assert accuracies(predicted, answers).tolist() == expected
    assert accuracies(predicted, answers).tolist() == expected          # a second call too


@pytest.mark.parametrize("rules", RULES)
def test_agreement_with_none_to_ten_annotators(rules):
    found = accuracies(["red"] * 11, [["red"] * count + ["blue"] * (10 - count)
                                      for count in range(11)], rules)
    assert found.tolist() == [0, .3, .6, .9] + [1] * 7 and found.dtype == np.float64


def test_fault_1_nothing_is_done_where_the_ten_are_equal():
    assert scores("Black.", {"black": 10}) == (0, 1, 1)
    assert scores("black", {"Black.": 10}) == (0, 0, 1)
    assert scores("Black.", {"black": 9, "grey": 1}) == (1, 1, 1)


def test_fault_2_none_is_a_number():
    assert official("none") == "0" and fixed("none") == "none"
    assert scores("none", {"0": 9, "1": 1}) == (1, 1, 0)
    assert scores("none", {"none": 9, "0": 1}) == (1, .3, 1)    # the answers stay as they are


def test_fault_3_only_32_periods_are_removed():
    dots = "." * 33 + "a b"
    assert without_marks(dots) == ".a b" and fixed(dots) == "b"
    assert scores(dots, {"b": 9, "c": 1}) == (0, 0, 1)


def test_fault_4_a_period_before_a_digit_stays():
    assert [official(text) for text in ("v.2", "2.", "3.5", ".5")] == ["v.2", "2", "3.5", ".5"]
    assert [fixed(text) for text in ("v.2", "2.", "3.5", ".5")] == ["v2", "2", "3.5", ".5"]
    assert scores("v.2", {"v2": 9, "v": 1}) == (0, 0, 1)


def test_fault_5_a_comma_between_digits_joins_what_marks_divide():
    assert official("1,000-2,000") == "10002000" and fixed("1,000-2,000") == "1000 2000"
    assert official("1,000") == fixed("1,000") == "1000"
    assert scores("1,000-2,000", {"1000 2000": 9, "1": 1}) == (0, 0, 1)


@pytest.mark.parametrize("rules", RULES)
def test_fault_6_no_table_grows(rules):
    tables = [dict(table) for table in (normalize.NUMBERS, normalize.OFFICIAL, normalize.FIXED)]
    assert accuracy("giraffes eat leaves", ["giraffe"] * 9 + ["a word"], rules) == 0
    assert tables == [normalize.NUMBERS, normalize.OFFICIAL, normalize.FIXED]


def test_fault_7_contractions_with_a_capital_are_not_found_and_one_is_reversed():
    words = ["Im", "Ive", "Id've", "somebody'd", "dont"]
    assert [official(word) for word in words] == ["im", "ive", "id've", "somebodyd", "don't"]
    assert [fixed(word) for word in words] == ["i'm", "i've", "i'd've", "somebody'd", "don't"]
    assert scores("Im", {"i'm": 9, "me": 1}) == (0, 0, 1)
    assert scores("somebody'd", {"somebodyd": 9, "a": 1}) == (1, 1, 1)


def test_fault_8_nothing_is_left_of_articles_and_marks():
    assert [official(word) for word in ("a", "The", "?", "a dog")] == ["", "", "", "dog"]
    assert [fixed(word) for word in ("a", "The", "?", "a dog")] == ["a", "the", "?", "dog"]
    assert scores("the", {"a": 9, "b": 1}) == (1, 0, 0)


def test_fault_9_equal_annotations_without_an_id_are_taken_for_one():
    red = {"red": 4, "blue": 6}
    assert scores("red", red) == (1, 1, 1)
    # each of the four has no other that agrees, and the six have four
    assert scores("red", red, annotators=["yes"] * 10) == (.6, .6, 1)
    sure = ["yes", "yes", "maybe", "no"] + ["yes"] * 6
    assert scores("red", red, annotators=sure)[0] == pytest.approx((2 * 2 / 3 + 1 + 1 + 6) / 10)


@pytest.mark.parametrize("rules, again", [("official", 0), ("official-2017", 1), ("fixed", 1)])
def test_fault_10_no_answer_is_changed_though_the_program_would(rules, again):
    answers = [["Black."] + ["black"] * 9]
    assert [accuracies(["BLACK"], answers, rules)[0] for _ in range(2)] == [1, 1]
    assert answers == [["Black."] + ["black"] * 9]
    # the program begins its second evaluation with the answers that the first has left
    assert accuracies(["BLACK"], [["black"] * 10], rules)[0] == again


def test_fault_11_marks_go_before_words_are_looked_up_whatever_the_description_says():
    assert official("two, dont!") == fixed("two, dont!") == "2 don't"
    assert scores("two, three", {"2 3": 9, "2": 1}) == (1, 1, 1)
    assert scores("2 3", {"two, three": 9, "2": 1}) == (1, 0, 1)    # then, answers kept their words


def test_fault_12_marks_that_are_not_in_its_list_stay():
    texts = ["$5", "50%", "'red'", "men's", "10:30 am", "t-shirt", "U.S.A.", "black & white"]
    assert list(map(official, texts)) == ["$5", "50%", "'red'", "men's", "10:30 am", "t shirt",
                                          "usa", "black & white"]
    assert list(map(fixed, texts)) == ["5", "50", "red", "men's", "10:30 am", "t shirt", "usa",
                                       "black white"]
    assert scores("$5", {"5": 9, "4": 1}) == (0, 0, 1)


def test_a_form_by_the_fixed_rules_is_its_own_form():
    rng = np.random.default_rng(0)
    parts = [*".,'`:-?$%\"15abv_ ", "none", "dont", "im", "The", "an ", "two", "twas", "'ow",
             "yall", "d've", "É", "😀", " "]
    for size in rng.integers(1, 8, 3000):
        form = fixed("".join(rng.choice(parts, size)))
        assert fixed(form) == form


def test_every_contraction_is_found_without_any_one_of_its_apostrophes():
    table = json.dumps(sorted(normalize.OFFICIAL.items())).encode()     # the program's has 118 too
    assert hashlib.sha256(table).hexdigest().startswith("ab882eb73e1449a3")
    assert in_words("couldnt've couldn'tve TWAS yall'd've") == (
        "couldn't've couldn't've 'twas y'all'd've")


def test_unknown_rules_are_refused():
    with pytest.raises(BadInput, match="no rules 'mine': give one of official, official-2017, fix"):
        accuracies(["a"], [["a"] * 10], "mine")


@pytest.fixture
def questions():
    """Four questions: two that differ in the picture, and two others."""
    answers = [("red",) * 10, ("blue",) * 10, ("yes",) * 8 + ("no",) * 2, ("2",) * 10]
    return Questions(Path("root"), "val2014", (None,) * 4, np.array([7, 8, 9, 10]), np.arange(4),
                     ["What colour?", "What colour?", "Is it?", "How many?"],
                     ["what", "what", "is it", "how many"], ["other", "other", "yes/no", "number"],
                     answers, np.array([[0, 1]]))


def test_a_report_has_means_over_types_and_pairs(questions):
    found = report(questions, ["red", "red", "no", "2"])
    assert {key: found[key] for key in ("split", "questions", "rules")} == {
        "split": "val2014", "questions": 4, "rules": "official"}
    assert found["accuracy"] == pytest.approx((1 + 0 + .6 + 1) / 4)
    assert found["by_answer_type"] == {"number": 1, "other": .5, "yes/no": .6}
    assert found["by_question_type"] == {"how many": 1, "is it": .6, "what": .5}
    assert found["arithmetic"] == pytest.approx(.7)
    assert found["harmonic"] == pytest.approx(3 / (1 + 1 / .6 + 2))
    assert found["pair_accuracy"] == 0
    assert report(questions, ["red", "blue", "no", "2"])["pair_accuracy"] == 1
    assert found["wups"]["-1"] == pytest.approx(2 / 4) and json.dumps(found)


def test_a_type_that_is_all_wrong_makes_the_harmonic_mean_nought(questions):
    assert report(questions, ["red", "red", "no", "3"])["harmonic"] == 0
    assert harmonic_mean([.5, .25]) == pytest.approx(1 / 3)


def test_without_annotations_there_is_no_report(questions):
    questions = Questions(Path("root"), "test2015", (), questions.ids, questions.picture, [])
    with pytest.raises(BadInput, match="root has no annotations of test2015, so answers to its"):
        report(questions, ["a"] * 4)


def test_without_pairs_there_is_no_pair_accuracy(questions):
    assert report(questions.only([0, 2]), ["red", "no"])["pair_accuracy"] is None


def test_similarity_is_wu_and_palmers_on_the_tree():
    # entity 1, thing 2, living thing 3, animal 4, mammal 5, cat 6; insect 5, butterfly 6
    assert in_tree("cat", "dog") == 10 / 12 and in_tree("cat", "butterfly") == 8 / 12
    assert in_tree("Cat", "mammal") == 10 / 11 and in_tree("cat", "cat") == 1
    # entity 1, quality 2, colour 3, red 4; thing 2, food 3, fruit 4, orange 5: two meanings
    assert in_tree("orange", "red") == 6 / 8 and in_tree("orange", "apple") == 8 / 10
    assert in_tree("cat", "gnu") == 0 == in_tree("gnu", "gnus")


def test_wups_by_hand_at_three_thresholds():
    assert wups_of("dog", "cat", 0.0) == 10 / 12
    assert wups_of("dog", "cat", 0.9) == pytest.approx(1 / 12)
    assert wups_of("mammal", "cat", 0.9) == 10 / 11
    assert wups_of("mammal", "cat", -1) == 0 and wups_of("gnu", "gnu", -1) == 1
    assert wups_of("gnu", "gnu") == 1 and wups_of("gnu", "cat", 0.0) == 0


def test_wups_of_lists_is_the_least_of_both_products():
    assert wups_of("cup, cat", "cat,cup") == 1
    # of the answer: 1; of the truth: 1 x 10/12
    assert wups_of("cat", "cat, dog", 0.0) == wups_of("cat, dog", "cat", 0.0) == 10 / 12
    assert wups_of("cat", "cat, dog", -1) == 0
    assert wups(["cat", "dog"], ["cat", "cat"], 0.0).tolist() == [1, 10 / 12]


def test_the_tree_holds_the_drawn_world():
    for words in (NOUNS, PLACES, SIDES, SIZES, COLOURS):
        assert words.keys() <= PARENTS.keys()


def test_wordnet_is_taken_where_nltk_has_it(monkeypatch):
    class Noun:
        def __init__(self, height):
            self.height = height

        def wup_similarity(self, other):
            return None if other.height == 3 else 1 / self.height / other.height

    def load():
        pass

    fake = SimpleNamespace(ensure_loaded=load, synsets=lambda word, pos: {
        "teddy_bear": [Noun(2), Noun(4)], "toy": [Noun(1), Noun(3)]}.get(word, []))
    monkeypatch.setattr(nltk.corpus, "wordnet", fake)
    name, similarity = hypernyms()
    assert (name, similarity("teddy bear", "toy"), similarity("toy", "?")) == ("WordNet", 1 / 2, 0)

    def missing():
        raise LookupError

    fake.ensure_loaded = missing
    assert hypernyms() == ("tree", in_tree)
