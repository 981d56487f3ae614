"""Models that answer questions: their parts against the papers' equations, written out in loops."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from decoders.base import grid_boxes
from vqa.families.knowledge import Table
from vqa.families.parts import Classifier, GatedTanh, QuestionReader, Sizes, cells_of, mean_cell
from vqa.families.tips import Tips
from vqa.settings import MODELS

SIZES = Sizes(channels=6, words=11, answers=5, embed_size=4, hidden_size=7, dropout=0.0,
              gated=True, streams=1, places=True,
              tokens=("scene", "filter_colour red", "filter_colour blue", "unique", "count"))
ATTEND = ["tips", "stacked", "grounded", "knowledge", "modules"]
TABLE = Table(({}, {}), *torch.eye(11)[3:7].unflatten(0, (2, 2)), torch.tensor([0, 4]))
FAMILIES = pytest.mark.parametrize("name", MODELS)


def built(name="tips", **changes):
    torch.manual_seed(0)
    model = MODELS[name](replace(SIZES, **changes)).eval()
    model.table = TABLE         # of which only one family knows
    return model


def asked(count=3):
    torch.manual_seed(1)
    return torch.randint(3, 11, (count, 5)), torch.tensor([5, 2, 4][:count])


def regions(count=3, there=2, most=4):
    """Features (count, most, 6 + 5) of which the first `there` rows are regions."""
    torch.manual_seed(2)
    rows = torch.zeros(count, most, 11)
    rows[:, :there] = torch.rand(count, there, 11)
    rows[:, :there, -1] = 1
    return rows


def f(function, inputs):
    """A gated tanh layer by hand: y = tanh(W x + b) * sigmoid(W' x + b')."""
    weight, bias = function[0].weight, function[0].bias
    half = len(weight) // 2
    return (torch.tanh(weight[:half] @ inputs + bias[:half])
            * torch.sigmoid(weight[half:] @ inputs + bias[half:]))


@FAMILIES
@pytest.mark.parametrize("features", [torch.rand(3, 6), torch.rand(3, 9, 6), regions()])
@pytest.mark.parametrize("dials", [{}, {"gated": False, "streams": 2, "places": False}])
def test_every_family_reads_a_picture_pooled_as_a_grid_and_as_regions(name, features, dials):
    found = built(name, **dials)(features, *asked())
    assert found.scores.shape == (3, 5) and found.scores.isfinite().all()
    if name in ATTEND:
        assert found.weights.shape == (3, features.shape[1] if features.dim() == 3 else 1)
        sums = found.weights.sum(dim=1)
        if name == "modules":           # a map may be empty
            assert (sums <= 1.0001).all()
        else:
            torch.testing.assert_close(sums, torch.ones(3))
    else:
        assert found.weights is None


def test_tips_and_tricks_is_its_equations():
    model, (questions, lengths) = built(), asked()
    features = torch.rand(3, 4, 6)
    found = model(features, questions, lengths)
    boxes = grid_boxes(4)
    for row in range(3):
        words = model.read.words(questions[row, :lengths[row]])
        q = model.read.network(words[None])[1][0, 0]
        cells = [torch.cat([one / one.norm() * 6**0.5, box, box[2:] - box[:2]])
                 for one, box in zip(features[row], boxes, strict=True)]
        matrix = torch.cat([model.of_cell.weight, model.of_question.weight], dim=1)
        joined = nn.Sequential(nn.Linear(*matrix.shape[::-1]))
        joined[0].weight.data, joined[0].bias.data = matrix, model.of_question.bias
        a = torch.stack([model.energy.weight[0] @ f(joined, torch.cat([v, q])) for v in cells])
        alpha = a.exp() / a.exp().sum()
        v = sum(weight * cell for weight, cell in zip(alpha, cells, strict=True))
        h = f(model.from_question, q) * f(model.from_picture, v)
        stream = model.classify.streams["text"]
        torch.testing.assert_close(found.weights[row], alpha)
        torch.testing.assert_close(found.scores[row],
                                   stream[2].weight @ f(stream[0], h) + model.classify.bias)


def test_a_glimpse_of_stacked_attention_is_its_equations():
    model, (questions, lengths) = built("stacked"), asked(1)
    features = torch.rand(1, 4, 6)
    found = model(features, questions, lengths)
    u = model.read(questions, lengths)[0]
    cells = [torch.tanh(model.picture[0](cell)) for cell in SIZES.cells(features)[0][0]]
    for glimpse in model.glimpses:
        h = [torch.tanh(glimpse.keys.weight @ v + glimpse.query(u)) for v in cells]
        p = torch.stack([glimpse.energy.weight[0] @ one for one in h]).softmax(dim=0)
        u = u + sum(weight * v for weight, v in zip(p, cells, strict=True))
    torch.testing.assert_close(found.weights[0], p)
    torch.testing.assert_close(found.scores[0], model.classify(u))


@FAMILIES
def test_filling_up_changes_no_answer(name):
    model, (questions, lengths) = built(name), asked()
    rows, more = regions(there=2, most=2), regions(there=2, most=6)
    longer = torch.cat([questions, torch.ones(3, 2, dtype=torch.long)], dim=1)
    found = model(more, longer, lengths)
    torch.testing.assert_close(found.scores, model(rows, questions, lengths).scores)
    if name in ATTEND:
        assert not found.weights[:, 2:].any()
    alone = model(rows[1:2], questions[1:2, :2], lengths[1:2]).scores
    torch.testing.assert_close(found.scores[1:2], alone)


@FAMILIES
def test_questions_side_by_side_are_answered_as_one_by_one(name):
    model, questions, lengths = built(name), torch.randint(3, 11, (6, 5)), torch.full((6,), 5)
    found = model(regions(), questions, lengths)
    apart = model(regions().repeat_interleave(2, 0), questions, lengths)
    torch.testing.assert_close(found.scores, apart.scores)
    if name in ATTEND:
        torch.testing.assert_close(found.weights, apart.weights)


def test_one_eye_shut_sees_nothing():
    questions, lengths = asked()
    one, other = torch.rand(2, 3, 9, 6)
    blind, deaf = built("question"), built("picture")
    assert torch.equal(blind(one, questions, lengths).scores,
                       blind(other, questions, lengths).scores)
    assert torch.equal(deaf(one, questions, lengths).scores,
                       deaf(one, questions.flip(0), lengths.flip(0)).scores)
    assert not torch.equal(deaf(one, questions, lengths).scores,
                           deaf(other, questions, lengths).scores)


@FAMILIES
@pytest.mark.parametrize("streams", [1, 2])
def test_every_weight_gets_a_gradient(name, streams):
    model, beside = built(name, streams=streams), None
    if name == "modules":
        beside = model.grammar.encode([("scene", "filter_colour red", "count")] * 3)
    found = model(torch.rand(3, 9, 6), *asked(), beside)
    (found.scores.square().sum() + (found.loss.sum() if beside is not None else 0)).backward()
    # which torchrun asks for
    assert all(one.grad is not None for one in model.parameters() if one.requires_grad)


def test_a_gated_tanh_is_a_tanh_times_a_gate():
    sums = torch.randn(2, 6)
    torch.testing.assert_close(GatedTanh()(sums), sums[:, :3].tanh() * sums[:, 3:].sigmoid())


def test_a_cell_s_place_is_its_box_with_width_and_height():
    cells, absent = cells_of(torch.rand(2, 4, 6), 6, places=True)
    assert cells[0, 3, 6:].tolist() == [0.5, 0.5, 1, 1, 0.5, 0.5] and not absent.any()
    torch.testing.assert_close(cells[..., :6].norm(dim=2), torch.full((2, 4), 6**0.5))
    rows = regions(there=3)
    cells, absent = cells_of(rows, 6, places=True)
    assert torch.equal(cells[..., 6:10], rows[..., 6:10]) and absent[:, 3].all()
    torch.testing.assert_close(mean_cell(cells, absent), cells[:, :3].mean(dim=1))


def test_rows_of_the_classifier_can_be_given_and_the_others_stay():
    classify = Classifier(replace(SIZES, streams=2))
    before = classify.streams["image"][-1].weight.detach().clone()
    rows = torch.zeros(5, 6)
    rows[2] = torch.arange(6.0)
    classify.begin("image", rows)
    after = classify.streams["image"][-1].weight
    assert torch.equal(after[2], rows[2]) and after.requires_grad
    assert torch.equal(after[[0, 1, 3, 4]], before[[0, 1, 3, 4]])


def test_a_question_is_the_state_after_its_last_word():
    read, (questions, lengths) = QuestionReader(SIZES, nn.LSTM).eval(), asked()
    expected = [read.network(read.words(row[:length]))[0][-1]
                for row, length in zip(questions, lengths, strict=True)]
    torch.testing.assert_close(read(questions, lengths), torch.stack(expected))


def test_an_unknown_word_says_nothing_before_it_is_trained():
    words = QuestionReader(SIZES).words.weight
    assert not words[:3].any() and words[3:].all()


def test_attention_moves_when_the_question_changes():
    model, (questions, lengths) = built(), asked()
    weights = Tips.forward(model, torch.rand(1, 9, 6).expand(3, -1, -1), questions, lengths).weights
    assert not torch.allclose(weights[0], weights[1], atol=1e-4)
