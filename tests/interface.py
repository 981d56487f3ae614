"""What every decoder owes to decoders/search.py, whatever it is made of."""

import pytest
import torch

from model import State
from system.processor import trains_in_bfloat16
from vocabulary import END_ID, START_ID, UNK_ID

needs_bfloat16 = pytest.mark.skipif(
    not trains_in_bfloat16("cpu"), reason="this processor has no LSTM in bfloat16")


def check_decoder(kind):
    """Check a decoder by all that is below.

    kind: a class such as yours, or a function of embed_size, hidden_size and vocab_size.
    """
    pictures, words, cells, size, vocab = 3, 7, 9, 16, 20
    torch.manual_seed(0)
    model = kind(embed_size=size, hidden_size=size, vocab_size=vocab).eval()
    features = 2 * torch.randn(pictures, *([cells] if model.grid else []), size)
    captions = torch.randint(UNK_ID, vocab, (2 * pictures, words))
    captions[:, 0], captions[:, -1] = START_ID, END_ID
    check_that_steps_give_the_whole_sequence(model, features, captions[::2])
    check_that_hidden_and_score_give_the_scores(model, features, captions)
    check_that_rows_can_be_reordered(model, features, captions[::2])
    check_that_shared_rows_serve_all_captions(model, features, captions[::2])


def check_that_steps_give_the_whole_sequence(model, features, captions):
    """Driven word by word it gives the scores that it gives of all words at once."""
    scores, state = model(features, captions), model.begin(features)
    assert scores.shape[:2] == captions.shape and scores.isfinite().all()
    for t in range(1, captions.shape[1]):
        stepped, state = model.step(captions[:, t - 1], state)
        torch.testing.assert_close(stepped, scores[:, t], rtol=0, atol=1e-5)


def check_that_hidden_and_score_give_the_scores(model, features, captions):
    """Training takes them apart, and gives a picture's features once for all its captions."""
    each = len(captions) // len(features)
    expected = model(features.repeat_interleave(each, 0), captions)
    scores = model.score(model.hidden(features, captions))
    torch.testing.assert_close(scores[:, 1:], expected[:, 1:])


def check_that_rows_can_be_reordered(model, features, captions):
    """The rows of `own` come first, and one goes on as before wherever it is moved."""
    state, order = model.begin(features), torch.tensor([2, 0, 2, 1])
    for t in range(3):
        assert {len(tensor) for tensor in (*state.own, *state.shared)} == {len(features)}
        scores, after = model.step(captions[order, t], rows_of(state, order))
        expected, state = model.step(captions[:, t], state)
        torch.testing.assert_close(scores, expected[order])
        for one, other in zip(after.own, state.own, strict=True):
            torch.testing.assert_close(one, other[order])


def check_that_shared_rows_serve_all_captions(model, features, captions):
    """`shared` with a row a picture gives what a row a caption gives, and no step changes it."""
    state, rows = model.begin(features), torch.tensor([0, 0, 1, 1, 2, 2])
    copied, read = rows_of(state, rows), torch.tensor([0, 1, 2, 0, 1, 2])
    for t in range(3):                              # the captions of a picture read other words
        expected, after = model.step(captions[read, t], copied)
        scores, kept = model.step(captions[read, t], State(copied.own, state.shared))
        torch.testing.assert_close(scores, expected)
        assert all(one is other for one, other in zip(kept.shared, state.shared, strict=True))
        copied = after


def rows_of(state, rows):
    """The state with these rows of every tensor."""
    return State(*(tuple(tensor[rows] for tensor in part) for part in state))
