"""What every decoder owes to search.py, whatever it is made of."""

import torch


def check_that_rows_can_be_reordered(model, features, captions):
    """Its state is batch first, and a row of it goes on by itself wherever it is moved."""
    state, order = model.begin(features), torch.tensor([2, 0, 2, 1])
    for t in range(3):
        assert {len(tensor) for tensor in state} == {len(features)}
        chosen = tuple(tensor[order] for tensor in state)
        scores, after = model.step(captions[order, t], chosen)
        expected, state = model.step(captions[:, t], state)
        torch.testing.assert_close(scores, expected[order])
        for one, other in zip(after, state, strict=True):
            torch.testing.assert_close(one, other[order])


def check_that_a_pictures_rows_share_what_is_its_own(model, features, captions):
    """`shared` tensors given once a picture are as good as one for each of its rows."""
    state, rows = model.begin(features), torch.tensor([0, 0, 1, 1, 2, 2])
    copied = tuple(tensor[rows] for tensor in state)
    own, said = len(state) - model.shared, torch.tensor([0, 1, 2, 0, 1, 2])
    for t in range(3):                                      # in each row of a picture other words
        lent = (*copied[:own], *state[own:])
        expected, after = model.step(captions[said, t], copied)
        scores, _ = model.step(captions[said, t], lent)
        torch.testing.assert_close(scores, expected)
        copied = after
