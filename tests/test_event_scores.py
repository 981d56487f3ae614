"""Sentences that say when are scored by words and time, in order, and a missing video counts 0."""

from itertools import combinations

import numpy as np
import pytest

from scoring.events import (
    OVERLAPS,
    best_sum,
    dense_scores,
    detection,
    ordered_f1,
    overlap,
    rouge_likeness,
)
from scoring.scores import CiderD, bleu, rouge_l


def event(start, end, sentence):
    return start, end, sentence.split()


TRUTH = {"a": [[event(0, 4, "a red ball jumps"), event(4, 10, "it hides behind a cube")]],
         "b": [[event(0, 5, "a cube moves left"), event(5, 9, "a cone enters")],
               [event(0, 6, "the cube goes left")]]}
SAID = {"a": [event(0, 4, "a red ball jumps"), event(5, 10, "it hides")],
        "b": [event(0, 5, "the cube moves left")]}


def test_overlap_by_hand():
    assert overlap((0, 4), (2, 6)) == pytest.approx(2 / 6) and overlap((0, 4), (1, 3)) == 1 / 2
    assert overlap((0, 4), (4, 6)) == overlap((3, 3), (3, 3)) == overlap((5, 2), (0, 9)) == 0
    assert overlap((0, 4), (0, 4)) == 1


def slow_dense(said, truth, least, function):
    """The mean over videos of a score of all pairs that overlap, each with one reference."""
    found = []
    for video, annotators in truth.items():
        pairs = []
        for one in said.get(video, []):
            fitting = [other for several in annotators for other in several
                       if overlap(one, other) >= least]
            pairs += [(one[2], [other[2]]) for other in fitting] or [(one[2], [["zzz"]])]
        found.append(function(*map(list, zip(*pairs, strict=True))) if pairs else 0)
    return np.mean(found)


def test_dense_scores_are_those_of_a_slow_reference():
    found = dense_scores(SAID, TRUTH)
    for name, function in {"ROUGE_L": rouge_l, "Bleu_1": lambda *pairs: bleu(*pairs)[0],
                           "Bleu_4": lambda *pairs: bleu(*pairs)[3]}.items():
        slow = np.mean([slow_dense(SAID, TRUTH, least, function) for least in OVERLAPS])
        assert found[name] == pytest.approx(slow), name


def test_dense_scores_by_hand():
    """At 0.9 the second of a, of overlap 5/6, is paired no more, nor b with its 5/6."""
    for least, a, b in ((0.8, 2, 2), (0.9, 1, 1)):
        found = dense_scores(SAID, TRUTH, (least,))
        assert found["Precision"] == pytest.approx((a / 2 + 1) / 2)
        assert found["Recall"] == pytest.approx((a / 2 + (1 if b == 2 else 1 / 2)) / 2)
    exact = {name: several[0] for name, several in TRUTH.items()}
    found = dense_scores(exact, {name: [one] for name, one in exact.items()})
    for name in ("Bleu_1", "Bleu_2", "Bleu_3", "ROUGE_L", "Precision", "Recall"):
        assert found[name] == pytest.approx(1), name


def test_a_rare_word_is_rare_in_the_corpus_and_as_published_in_the_video():
    words = [[one for several in TRUTH[video] for *_, one in several] for video in TRUTH]
    alone = {"a": SAID["a"][:1]}
    found = dense_scores(alone, TRUTH, (0.5,))["CIDEr"]
    # one candidate equal to its reference: the orders of n-grams that weigh anything count 10 / 4
    assert found == pytest.approx(10 / 2) and CiderD(words).discerns
    # a video of one pair has no rare word, so the published program gives it 0
    assert dense_scores(alone, TRUTH, (0.5,), published=True)["CIDEr"] == 0


def test_the_published_program_counts_a_little_less_overlap():
    said, truth = {"v": [event(0, 1, "a b")]}, {"v": [[event(0, 2, "a b")]], "w": [[event(
        0, 1, "c")]]}
    assert dense_scores(said, truth, (0.5,))["ROUGE_L"] == pytest.approx(1 / 2)
    assert dense_scores(said, truth, (0.5,), published=True)["ROUGE_L"] == 0
    assert detection(said["v"], truth["v"], 0.5) == {"Precision": 1, "Recall": 1}
    assert detection(said["v"], truth["v"], 0.5, published=True) == {"Precision": 0, "Recall": 0}


def test_a_video_without_a_candidate_counts_nothing():
    both, one = dense_scores(SAID, TRUTH), dense_scores({"a": SAID["a"]}, TRUTH)
    none, empty = dense_scores({}, TRUTH), dense_scores({"a": [], "b": []}, TRUTH)
    assert all(one[name] < both[name] for name in both) and none == empty
    assert set(none) == set(both) and max(none.values()) == 0
    assert dense_scores({**SAID, "x": SAID["a"]}, TRUTH) == both      # of no video that is scored
    assert ordered_f1({}, TRUTH) == {"Precision": 0, "Recall": 0, "F1": 0}


def slow_best_sum(gains):
    """Try all matchings of equally many rows and columns in order."""
    rows, columns = len(gains), len(gains[0])
    return max(sum(gains[i][j] for i, j in zip(some, others, strict=True))
               for size in range(min(rows, columns) + 1)
               for some in combinations(range(rows), size)
               for others in combinations(range(columns), size))


@pytest.mark.parametrize("seed", range(12))
def test_the_matching_is_the_best_of_all_in_order(seed):
    random = np.random.default_rng(seed)
    gains = random.integers(0, 5, random.integers(1, 6, 2)).tolist()
    assert best_sum(gains) == slow_best_sum(gains)
    assert best_sum([]) == best_sum([[], []]) == 0


def alike(sentence, other):
    return rouge_likeness(sentence.split(), other.split())


def test_ordered_f1_by_hand():
    found = ordered_f1({"a": SAID["a"][::-1]}, {"a": TRUTH["a"]})     # as they come does not matter
    total = 1 + 5 / 6 * alike("it hides", "it hides behind a cube")
    assert found == pytest.approx({name: total / 2 for name in ("Precision", "Recall", "F1")})
    found = ordered_f1(SAID, {"a": TRUTH["a"], "b": TRUTH["b"][:1]})
    more = total + alike("the cube moves left", "a cube moves left")
    assert found == pytest.approx({"Precision": more / 3, "Recall": more / 4, "F1": 2 * more / 7})


def test_events_told_in_the_wrong_order_are_matched_once():
    truth = {"v": [[event(0, 6, "a ball jumps"), event(4, 10, "a cube hides")]]}
    right = {"v": truth["v"][0]}
    wrong = {"v": [event(0, 6, "a cube hides"), event(4, 10, "a ball jumps")]}
    same = lambda mine, other: float(mine == other)  # noqa: E731
    assert ordered_f1(right, truth, same)["F1"] == 1
    # one of two crossing pairs, each of overlap 2/10
    assert ordered_f1(wrong, truth, same)["F1"] == pytest.approx(2 * 0.2 / 4)


def test_what_is_said_again_and_again_gains_nothing():
    many = {name: several * 50 for name, several in SAID.items()}
    assert ordered_f1(many, TRUTH)["F1"] < ordered_f1(SAID, TRUTH)["F1"] / 5
    assert dense_scores(many, TRUTH)["ROUGE_L"] == pytest.approx(dense_scores(SAID, TRUTH)[
        "ROUGE_L"])


def test_the_annotator_counts_who_agrees_best():
    one, other = [event(0, 5, "a b c")], [event(0, 5, "d e f")]
    assert ordered_f1({"v": one}, {"v": [other, one]})["F1"] == pytest.approx(1)
    assert ordered_f1({"v": one}, {"v": [other]})["F1"] == 0
