"""The beam that is drawn is the beam that searches, and the figure shows the whole of it."""

import itertools

import matplotlib.pyplot as plt
import pytest
import torch

from decoders.attention import UpDown
from decoders.search import Search, search
from decoders.transformer import Transformer
from figures.beam_tree import draw_beam, grow
from model import DecoderRNN
from vocabulary import END_ID, START_ID, UNK_ID, Vocabulary

WORDS = 12
RULES = [Search(captions=3), Search(beam=1), Search(beam=5, captions=5, length_penalty=0.0),
         Search(captions=3, allow_repetition=True, suppress_unk=False),
         Search(captions=3, max_length=4),
         Search(beam=4, captions=4, no_repeat_ngram=2, max_length=12)]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def lstm(inject="first"):
    """A small decoder with random weights, sharp enough to prefer some words."""
    torch.manual_seed(3)
    decoder = DecoderRNN(8, 16, WORDS, inject=inject)
    decoder.scores.weight.data *= 12
    decoder.scores.bias.data[END_ID] += 4       # captions of many lengths
    return decoder.eval()


def pictures(count, *shape):
    return torch.randn(count, *shape, 8, generator=torch.Generator().manual_seed(1))


def vocabulary():
    return Vocabulary.build([[f"word{number}" for number in range(WORDS - 3)]], 1)


def assert_grows_as_it_searches(decoder, features, settings):
    for one, found in zip(features, search(decoder, features, settings), strict=True):
        grown = [node.hypothesis() for node in grow(decoder, one[None], settings)[-1].kept]
        assert [one.words for one in grown] == [one.words for one in found]
        assert [one.log_probability for one in grown] == pytest.approx(
            [one.log_probability for one in found], rel=1e-4)


@pytest.mark.parametrize("settings", RULES, ids=str)
@pytest.mark.parametrize("inject", ["first", "every"])
def test_the_tree_ends_in_the_captions_that_the_search_finds(settings, inject):
    assert_grows_as_it_searches(lstm(inject), pictures(4), settings)


@pytest.mark.parametrize("decoder", [UpDown, Transformer])
def test_a_decoder_that_looks_at_a_grid_grows_the_same_way(decoder):
    torch.manual_seed(5)
    model = decoder(8, 16, WORDS, dropout=0.3).eval()
    model.to_word.weight.data *= 12
    model.bias.data[END_ID] += 4
    assert_grows_as_it_searches(model, pictures(3, 9), Search(captions=3))


def test_every_node_extends_one_that_was_kept_a_step_before():
    columns = grow(lstm(), pictures(1))
    for before, column in itertools.pairwise(columns):
        assert {node.parent for node in column.kept + column.dropped} <= set(before.kept)


def test_no_dropped_beginning_ranks_above_a_kept_one():
    settings = Search()
    for kept, dropped in grow(lstm(), pictures(1), settings, dropped=4)[1:]:
        ranks = [node.hypothesis().rank(settings.length_penalty) for node in kept + dropped]
        assert ranks == sorted(ranks, reverse=True)
        assert len(kept) == 3 and len(dropped) <= 4


def test_a_caption_that_has_ended_waits_and_costs_no_more():
    waiting = [node for one in pictures(4) for column in grow(lstm(), one[None])
               for node in column.kept if node.waits()]
    assert waiting
    assert all(node.total == node.parent.total for node in waiting)
    assert all(node.hypothesis() == node.parent.hypothesis() for node in waiting)


def test_no_word_is_followed_by_itself_and_none_is_unknown():
    nodes = [node for column in grow(lstm(), pictures(1), dropped=9)[1:]
             for node in column.kept + column.dropped]
    assert not [node for node in nodes if node.word in (START_ID, UNK_ID)]
    assert all(node.waits() for node in nodes if node.word == node.parent.word)


def test_growing_leaves_the_decoder_in_training_as_it_was():
    decoder = DecoderRNN(8, 16, WORDS, dropout=0.5).train()
    grow(decoder, pictures(1))
    assert decoder.training and decoder.drop.training


def test_the_figure_names_every_word_that_was_kept_and_the_caption_that_won():
    vocab, columns = vocabulary(), grow(lstm(), pictures(1))
    texts = [text.get_text() for text in draw_beam(columns, vocab).axes[0].texts]
    framed = [text.split("\n")[0] for text in texts]
    for node in (node for column in columns for node in column.kept if not node.waits()):
        assert vocab.idx2word[node.word] in framed
    winner = vocab.decode(columns[-1].kept[0].hypothesis().words)
    assert [text for text in texts if text.startswith("▶")][0].endswith(winner)


def test_the_winner_is_told_by_the_weight_of_its_line_and_not_by_colour_alone():
    columns = grow(lstm(), pictures(1))
    lines = draw_beam(columns, vocabulary()).axes[0].lines
    winning = {line.get_linewidth() for line in lines if line.get_zorder() == 2}
    others = {line.get_linewidth() for line in lines if line.get_zorder() == 1}
    assert len(winning) > 0 and min(winning) > 0.8 + 1.4
    assert columns[-1].kept[0].word == END_ID
    assert {line.get_linestyle() for line in lines if line.get_color() == "#8c8c8c"} == {"--"}
    assert others
