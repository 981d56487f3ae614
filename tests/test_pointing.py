"""Pointing is judged by the step that chose a word, the peak of its weights, and the boxes."""

import pytest
import torch

from captioning.captioner import Captioner
from captioning.pointing import (
    caption_with_weights,
    cell_centres,
    inside,
    mentions,
    named,
    read_boxes,
    report,
)
from coco.dataset import Picture, Split
from decoders.search import Search, search
from system.files import write_json
from vocabulary import END_ID, START_ID, Vocabulary

VOCAB = Vocabulary.build([["a", "cats", "mug", "tree"]], threshold=1)
CORNER = torch.tensor([[0.0, 0.0, 0.34, 0.34]])         # of a grid of 9 cells, the first


def caption(*words):
    return [START_ID, *map(VOCAB, words), END_ID]


def attending_to(*cells):
    """Weights (T, 9) that at each step lie on one cell."""
    return torch.eye(9)[list(cells)]


@pytest.mark.parametrize("word, name", [
    ("mug", "mug"), ("cups", "mug"), ("kitten", "cat"), ("butterflies", "butterfly"),
    ("red", None), ("things", None), ("animal", None), ("<unk>", None), ("zebra", None)])
def test_a_word_names_one_kind_of_thing_or_nothing(word, name):
    assert named(word) == name


def test_a_word_is_judged_by_the_step_that_chose_it():
    captions = torch.tensor([caption("a", "mug")])
    before, at, after = (torch.full((1, 4), 8).scatter(1, torch.tensor([[step]]), 0)
                         for step in (1, 2, 3))
    right = [mentions(captions, attending_to(*cells[0].tolist())[None], [{"mug": CORNER}],
                      VOCAB).hits.tolist() for cells in (before, at, after)]
    assert right == [[False], [True], [False]]


def test_the_box_of_another_thing_does_not_count():
    captions = torch.tensor([caption("mug", "tree")])
    boxes = [{"mug": CORNER, "tree": 1 - CORNER[:, [2, 3, 0, 1]]}]     # the last cell
    found = mentions(captions, attending_to(0, 0, 0, 0)[None], boxes, VOCAB)
    assert found.step.tolist() == [1, 2]
    assert found.hits.tolist() == [True, False]


def test_any_box_of_that_name_counts():
    corners = torch.cat([CORNER, 1 - CORNER[:, [2, 3, 0, 1]]])
    found = mentions(torch.tensor([caption("cats"), caption("cats")]),
                     torch.stack([attending_to(4, 8, 4), attending_to(4, 4, 4)]),
                     [{"cat": corners}] * 2, VOCAB)
    assert found.hits.tolist() == [True, False]
    assert found.picture.tolist() == [0, 1]


def test_a_thing_that_is_not_there_is_counted_and_not_judged():
    found = mentions(torch.tensor([caption("mug", "tree")]), attending_to(0, 0, 0, 0)[None],
                     [{"mug": CORNER}], VOCAB)
    assert (len(found.hits), found.absent) == (1, 1)


def test_no_word_about_a_thing_is_no_error():
    found = mentions(torch.tensor([caption("a", "a")]), attending_to(0, 0, 0, 0)[None],
                     [{"mug": CORNER}], VOCAB)
    assert len(found.hits) == 0
    assert report(found)["middle in the box"] == (0, 0, 0)


def test_the_report_compares_with_a_random_cell_and_with_the_middle():
    upper = torch.tensor([[0.0, 0.0, 1.0, 0.6]])        # the middles of six cells, touching those
    lower = torch.tensor([[0.0, 0.7, 1.0, 1.0]])        # of three, and touches just these
    found = mentions(torch.tensor([caption("mug", "tree")]), attending_to(0, 4, 4, 0)[None],
                     [{"mug": upper, "tree": lower}], VOCAB)
    rules = report(found)
    assert rules["middle in the box"] == pytest.approx((1 / 2, (6 + 3) / 18, 1 / 2))
    assert rules["cell touches the box"] == pytest.approx((1 / 2, (6 + 3) / 18, 1 / 2))


def test_a_cell_touches_a_box_that_holds_a_corner_of_it_and_not_its_middle():
    box = torch.tensor([[0.3, 0.3, 0.36, 0.36]])        # where four of nine cells meet
    found = mentions(torch.tensor([caption("mug", "mug")]), attending_to(0, 4, 8, 0)[None],
                     [{"mug": box}], VOCAB)
    assert not found.inside.any()
    assert found.touching[0].nonzero().flatten().tolist() == [0, 1, 3, 4]
    assert report(found)["cell touches the box"][0] == 1 / 2


def test_cells_are_numbered_row_by_row():
    left, top = torch.tensor([[0, 0, 0.3, 1.0]]), torch.tensor([[0, 0, 1.0, 0.3]])
    assert inside(cell_centres(9), left).nonzero().flatten().tolist() == [0, 3, 6]
    assert inside(cell_centres(9), top).nonzero().flatten().tolist() == [0, 1, 2]


def test_boxes_are_shares_of_their_own_picture_s_sides(tmp_path):
    things = [{"image_id": 7, "category_id": 1, "bbox": [10, 20, 30, 40]},
              {"image_id": 7, "category_id": 1, "bbox": [0, 0, 100, 200]},
              {"image_id": 9, "category_id": 2, "bbox": [5, 5, 5, 5]}]
    write_json(tmp_path / "annotations" / "instances_val.json", {
        "categories": [{"id": 1, "name": "mug"}, {"id": 2, "name": "tree"}],
        "images": [{"id": 9, "width": 10, "height": 10}, {"id": 7, "width": 100, "height": 200}],
        "annotations": things})
    split = Split("val", tuple(Picture(id, tmp_path / "x.jpg", ("x",)) for id in (7, 8, 9)))
    first, second, third = read_boxes(tmp_path, split)
    torch.testing.assert_close(first["mug"], torch.tensor([[0.1, 0.1, 0.4, 0.3], [0, 0, 1, 1]]))
    assert second == {} and list(third) == ["tree"]
    assert read_boxes(tmp_path, Split("test", split.pictures)) == []


@pytest.fixture
def build():
    def captioner(decoder):
        torch.manual_seed(0)
        return Captioner.build({
            "encoder": {"backbone": "efficientnet_lite0", "grid": decoder != "lstm_every"},
            "decoder": {"name": decoder, "embed_size": 8, "hidden_size": 8, "num_layers": 1,
                        "dropout": 0.5}}, VOCAB, None, None)
    return captioner


@pytest.mark.parametrize("decoder", ["soft", "hard", "adaptive", "updown", "transformer",
                                     "objects"])
def test_the_weights_are_those_the_captions_were_written_with(build, decoder):
    captioner, features = build(decoder), torch.randn(5, 9, 1280)
    captions, weights = caption_with_weights(captioner, features.numpy(), Search(max_length=6))
    assert weights.shape == (*captions.shape, 9)
    cells = captioner.encoder.embed(features)
    found = search(captioner.decoder, cells, Search(max_length=6))
    for row, hypotheses in enumerate(found):
        words = hypotheses[0].words
        assert captions[row].tolist() == words + [END_ID] * (captions.shape[1] - len(words))
        expected = captioner.decoder.attended(cells[[row]], torch.tensor([words]))[1]
        torch.testing.assert_close(weights[row, :len(words)], expected[0])


def test_a_decoder_without_attention_is_refused(build):
    with pytest.raises(ValueError, match="DecoderRNN has no attention"):
        caption_with_weights(build("lstm_every"), torch.randn(2, 1280).numpy())
