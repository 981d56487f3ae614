"""The beam that is drawn is the beam that is searched."""

import matplotlib.pyplot as plt
import pytest
import torch

from beam_tree import draw_beam, grow
from model import DecoderRNN
from search import Search, search
from vocabulary import END_ID, START_ID, Vocabulary


def decoder(seed):
    """An untrained decoder that is more sure of itself than chance, with a liking for END."""
    torch.manual_seed(seed)
    made = DecoderRNN(8, 12, 11).eval()
    with torch.no_grad():
        made.scores.weight.mul_(6)
        made.scores.bias[END_ID] += 1
    return made


@pytest.mark.parametrize("settings", [
    Search(beam=1), Search(beam=3), Search(beam=4, length_penalty=0, max_length=9),
    Search(beam=3, stutter=True, min_length=5, no_repeat=2)], ids=str)
def test_the_tree_ends_with_the_captions_of_the_search(settings):
    for seed in range(6):
        made, features = decoder(seed), torch.randn(1, 8)
        columns = grow(made, features, settings)
        found = search(made, features, settings)[0][0]
        best = columns[-1].kept[0].hypothesis()
        assert best.words == found.words
        assert best.log_probability == pytest.approx(found.log_probability, abs=1e-4)


def test_columns_hold_the_beam_and_what_it_dropped_best_first():
    columns = grow(decoder(1), torch.randn(1, 8), Search(beam=3))
    assert [node.word for node in columns[0].kept] == [START_ID]
    for above, column in zip(columns, columns[1:], strict=False):
        assert 1 <= len(column.kept) <= 3 and len(column.dropped) <= 2
        assert all(node.parent in above.kept for node in column.kept + column.dropped)
        ranks = [node.hypothesis().rank(0.7) for node in column.kept + column.dropped]
        assert ranks == sorted(ranks, reverse=True)


def test_the_winner_s_words_are_drawn_heavily_and_dropped_ones_in_italics():
    vocab = Vocabulary(words="abcdefgh")
    columns = grow(decoder(2), torch.randn(1, 8), Search(beam=3))
    figure = draw_beam(columns, vocab)
    texts = figure.axes[0].texts
    heavy = [text.get_text().split("\n")[0] for text in texts if text.get_weight() == "bold"]
    words = [vocab.idx2word[id] for id in columns[-1].kept[0].hypothesis().words]
    assert heavy[:len(words)] == words
    slanted = [text for text in texts if text.get_style() == "italic"]
    assert len(slanted) == sum(len(column.dropped) for column in columns) + 1      # and the label
    plt.close(figure)
