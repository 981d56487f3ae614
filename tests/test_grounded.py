"""Words that are looked up in pictures: the regression, by hand and by refits, and the counting."""

from types import SimpleNamespace

import numpy as np
import torch

from vqa.families import grounding
from vqa.families.grounded import HEADS, Grounded, Look, Seen
from vqa.families.parts import Sizes
from vqa.words import Answers, Part, encode, vocabulary_of

COLOURS = ("red", "green", "blue")


def part(features, texts, answers, picture, vocab, known):
    questions = SimpleNamespace(pairs=np.zeros((0, 2), int), picture=np.array(picture), texts=texts,
                                answers=[(answer,) * 10 for answer in answers])
    found = Part(questions, vocab, known, SimpleNamespace(longest=14, soft=True))
    found.features = features.numpy()
    return found


def world(pictures=40):
    """Pictures of two coloured regions behind the whole one; each is asked for both colours."""
    torch.manual_seed(0)
    looks, texts, answers, picture = torch.randn(3, 8), [], [], []
    features = torch.zeros(pictures, 3, 8 + 5)
    colours = torch.stack([torch.randperm(3)[:2] for _ in range(pictures)])
    features[:, 1:, :8] = looks[colours] + 0.1 * torch.randn(pictures, 2, 8)
    features[:, 0, :8], features[..., -1] = torch.randn(pictures, 8), 1
    for row, pair in enumerate(colours.tolist()):
        texts += [f"where is the {COLOURS[one]} thing" for one in pair] + ["is there a red one"]
        answers += ["here", "there", "yes" if 0 in pair else "no"]
        picture += [row] * 3
    vocab, known = vocabulary_of(texts, 1), Answers(["here", "there", "yes", "no"])
    return features, colours, vocab, known, part(features, texts, answers, picture, vocab, known)


def test_a_region_is_told_by_what_is_said_of_whole_pictures():
    features, colours, vocab, known, train = world()
    model = Grounded(Sizes(8, len(vocab), 4, 4, 8, 0.0, True, 1, True))
    grounding.ground(model, train, known)
    cells = torch.nn.functional.normalize(features[:, 1:, :8], dim=2) * 8**0.5
    alike = model.affinity(cells)
    places = [vocab(name) for name in COLOURS]
    assert torch.equal(alike[..., places].argmax(dim=2), colours)
    said = alike.flatten(0, 1)[:, places]
    torch.testing.assert_close(said.mean(dim=0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(said.std(dim=0, correction=0), torch.ones(3), atol=1e-3, rtol=0)
    assert (model.importance[places] > 0).all() and model.importance[1] < 0  # <end> is never said


def test_what_is_denied_is_not_said():
    _, colours, vocab, known, train = world()
    said = grounding.words_said(train, known, len(vocab))
    there = (colours == 0).any(dim=1)
    assert (said[there, vocab("one")] > 0).all() and (said[~there, vocab("one")] == 0).all()
    assert (said[:, len(vocab) + 3] == 0).all()             # the answer no
    torch.testing.assert_close(said[there, vocab("the")], torch.full((int(there.sum()),), 2 / 3))


def test_a_question_whose_answer_is_unknown_says_its_words_and_no_answer():
    features, _, vocab, _, _ = world(2)
    train = part(features, ["where is the red thing"] * 2, ["nowhere", "here"], [0, 1], vocab,
                 known := Answers(["here", "no"]))
    said = grounding.words_said(train, known, len(vocab))
    assert (said[:, vocab("red")] == 1).all() and said[:, len(vocab)].tolist() == [0, 1]


def test_the_error_without_a_picture_is_that_of_a_regression_without_it(monkeypatch):
    torch.manual_seed(0)
    pictures, said = torch.randn(12, 3).double(), torch.randn(12, 2).double()
    monkeypatch.setattr(grounding, "RIDGES", (0.5,))
    weights, told = grounding.regression(pictures, said)
    ridge = 0.5 * pictures.square().sum() / 3
    errors = []
    for one in range(12):
        left = torch.arange(12) != one
        gram = pictures[left].T @ pictures[left] + ridge * torch.eye(3).double()
        refit = torch.linalg.solve(gram, pictures[left].T @ said[left])
        errors.append((said[one] - pictures[one] @ refit).square())
    expected = 1 - torch.stack(errors).mean(dim=0) / said.square().mean(dim=0)
    torch.testing.assert_close(told, expected)
    whole = torch.linalg.solve(pictures.T @ pictures + ridge * torch.eye(3).double(),
                               pictures.T @ said)
    torch.testing.assert_close(weights, whole.T)


def test_the_ridge_that_errs_least_is_taken():
    torch.manual_seed(0)
    pictures = torch.randn(30, 20)
    weights = grounding.regression(pictures, torch.randn(30, 2))[0]         # there is nothing to
    plain = torch.linalg.lstsq(pictures, torch.randn(30, 2)).solution.T     # learn
    assert weights.abs().max() < plain.abs().max()


def test_a_word_that_is_never_said_is_told_by_nothing():
    weights, told = grounding.regression(torch.randn(9, 4), torch.zeros(9, 1))
    assert not weights.any() and not told.any()


def test_a_head_counts_the_things_that_have_all_its_words():
    member = torch.full((1, HEADS, 4), -50.0)
    member[0, 0, [0, 1, 2]] = 0.0               # of these the first is the whole picture
    seen = Seen(*[None] * 8, things=torch.tensor([[0.0, 1, 1, 1]]), spread=False)
    about, number, more, equal = Look(4, 2).count(member, seen)
    assert number.round().tolist() == [[2, 0, 0]]
    assert about.view(HEADS, -1).argmax(dim=1).tolist() == [2, 0, 0]
    assert more.round().tolist() == [[-1, -1, 0]] and equal.round().tolist() == [[0, 0, 1]]


def test_a_question_is_read_both_ways():
    torch.manual_seed(0)
    vocab = vocabulary_of(["is the red thing left of the blue one"], 1)
    model = Grounded(Sizes(8, len(vocab), 4, 4, 8, 0.0, True, 1, True)).eval()
    questions, lengths = encode(["the red thing", "the red one is left of the blue one"], vocab, 14)
    states = model.read(questions, lengths)
    alone = model.read(questions[:1, :3], lengths[:1])
    torch.testing.assert_close(states[:1, :3], alone)
    assert not states[0, 3:].any()
