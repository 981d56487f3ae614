"""Distinct-n counts different n-grams, of all sentences together, per word."""

import pytest

from scoring.diversity import distinct_n

BALLS = [["a", "red", "ball"], ["a", "blue", "ball"], ["a", "red", "ball"]]


@pytest.mark.parametrize("sentences, n, expected", [
    (BALLS, 1, 4 / 9),              # a, red, ball, blue
    (BALLS, 2, 4 / 9),              # a red, red ball, a blue, blue ball
    (BALLS, 3, 2 / 9),
    (BALLS, 4, 0),                  # no sentence has four words
    ([["a", "a", "a", "a"]], 2, 1 / 4),
    ([["a"], ["b"]], 2, 0),         # no n-gram reaches from one sentence into the next
    ([[]], 1, 0), ([], 2, 0)])
def test_distinct_n_by_hand(sentences, n, expected):
    assert distinct_n(sentences, n) == pytest.approx(expected)


def test_a_sentence_said_twice_makes_it_smaller():
    assert distinct_n(BALLS, 2) < distinct_n(BALLS[:2], 2)
