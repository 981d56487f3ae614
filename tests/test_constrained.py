"""Constrained beam search is checked against all captions there are, and against plain search.

Shape letters:  B pictures   V vocabulary
"""

from dataclasses import replace
from itertools import combinations

import pytest
import torch

from captioning.captioner import Captioner
from decoders.constrained import choose, follow
from decoders.registry import NAMES, build_decoder, wants_grid
from decoders.search import Search, search
from scoring.objects import plural
from system.files import BadInput
from tests.test_search import Toy, brute_force, one_thread, pictures, words_of  # noqa: F401
from vocabulary import END_ID, START_ID, UNK_ID, Vocabulary

WORDS = range(3, 7)         # of the toy's seven ids
WIDE = Search(beam=500, max_length=7, captions=1)
SETS = {"one": ((3,),), "of two": ((3, 5),), "two": ((3,), (4, 6)), "shared": ((3, 4), (4, 5)),
        "three": ((3,), (4,), (6,))}
RULES = {"usual": {}, "words twice": {"allow_repetition": True}, "no penalty": {
    "length_penalty": 0.0}, "no bigram twice": {"no_repeat_ngram": 2}, "unk": {
    "suppress_unk": False}}


def count_met(words, constraints):
    return sum(not set(words).isdisjoint(one) for one in constraints)


def best_of_all(decoder, picture, settings, constraints):
    """The best of the captions that meet most constraints, among all there are."""
    found = brute_force(decoder, picture, settings, 7, allowed=lambda said: UNK_ID not in said)
    most = max(count_met(one.words, constraints) for one in found)
    return next(one for one in found if count_met(one.words, constraints) == most)


def random_decoder(name, seed, size=16, words=12):
    """A decoder of random weights with features of five pictures for it."""
    torch.manual_seed(seed)
    decoder = build_decoder(name, words, embed_size=size, hidden_size=size, num_layers=1,
                            dropout=0.1)
    for parameter in decoder.parameters():
        parameter.data *= 2
    return decoder, torch.randn(5, *([4] if wants_grid(name) else []), size)


@pytest.mark.parametrize("constraints", SETS.values(), ids=SETS)
@pytest.mark.parametrize("end", [0.0, 4.0])
def test_a_wide_beam_finds_the_best_of_all_captions_that_meet_the_constraints(constraints, end):
    decoder, features = Toy(end=end), pictures(3)
    settings = replace(WIDE, max_length=6)
    found = search(decoder, features, settings, [constraints] * 3)
    for row, (best,) in enumerate(found):
        expected = best_of_all(decoder, features[row:row + 1], settings, constraints)
        assert best.words == expected.words and count_met(best.words, constraints) == len(
            constraints)
        assert best.log_probability == pytest.approx(expected.log_probability, abs=1e-4)


@pytest.mark.parametrize("length", [3, 4])
def test_where_no_caption_is_long_enough_the_best_of_those_that_meet_most_is_found(length):
    decoder, features, constraints = Toy(end=2.0), pictures(4), SETS["three"]
    settings = replace(WIDE, max_length=length)
    for row, (best,) in enumerate(search(decoder, features, settings, [constraints] * 4)):
        expected = best_of_all(decoder, features[row:row + 1], settings, constraints)
        assert best.words == expected.words and count_met(best.words, constraints) == length - 2


@pytest.mark.parametrize("impossible", [(), (UNK_ID,), (START_ID, END_ID)])
def test_a_constraint_that_no_caption_can_meet_leaves_the_others(impossible):
    decoder, features = Toy(end=1.0), pictures(3)
    found = search(decoder, features, Search(), [[impossible, (4,)], [(4,), impossible], []])
    assert found[:2] == search(decoder, features, Search(), [[(4,)]] * 3)[:2]
    assert found[2] == search(decoder, features)[2]


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_every_constraint_is_met_under_every_rule(rules):
    settings = Search(beam=2, captions=2, max_length=9, **rules)
    features = pictures(10)
    constraints = [both for both in combinations([(3,), (4,), (5, 6), (6,), ()], 2) if () not in
                   both] + [((3,), (4,), (5,)), (), ((5,),), ((3, 4, 5, 6),)]
    for end in (-2.0, 0.0, 6.0):
        found = search(Toy(end=end), features, settings, constraints)
        for hypotheses, wanted in zip(found, constraints, strict=True):
            assert hypotheses and all(count_met(one.words, wanted) == len(wanted)
                                      and len(one.words) <= 9 for one in hypotheses)
            for words in (one.words for one in hypotheses):
                pairs = list(zip(words, words[1:], strict=False))
                assert settings.allow_repetition or all(one != other for one, other in pairs)
                assert not settings.no_repeat_ngram or len(set(pairs)) == len(pairs)
                assert UNK_ID not in words or not settings.suppress_unk


@pytest.mark.parametrize("name", NAMES)
def test_pictures_of_different_constraints_are_captioned_as_each_alone(name):
    decoder, features = random_decoder(name, 3)
    constraints = [[(5,)], [], [(4,), (7, 8)], [(9,), (3,), (11,)], [(6, 5)]]
    settings = Search(max_length=8, captions=2)
    found = search(decoder, features, settings, constraints)
    for row, hypotheses in enumerate(found):
        alone, = search(decoder, features[row:row + 1], settings, constraints[row:row + 1])
        assert words_of([hypotheses]) == words_of([alone])
        assert [one.log_probability for one in hypotheses] == pytest.approx(
            [one.log_probability for one in alone], abs=1e-4)
        assert count_met(hypotheses[0].words, constraints[row]) == len(constraints[row])


@pytest.mark.parametrize("name", NAMES)
def test_without_constraints_it_is_beam_search_bit_for_bit(name):
    for seed in range(3):
        decoder, features = random_decoder(name, seed)
        for settings in (Search(captions=3), Search(beam=20, captions=20, max_length=6)):
            found = search(decoder, features, settings, [()] * 5)
            assert found == search(decoder, features, settings)


def test_what_a_caption_says_anyway_changes_nothing():
    decoder, features = Toy(), pictures(6)
    settings = Search(beam=500, max_length=5)
    plain = search(decoder, features, settings)
    said = [[tuple(best.words[1:2])] for best, *_ in plain]
    assert words_of(search(decoder, features, settings, said)) == words_of(plain)


def test_log_probabilities_are_those_of_the_whole_caption():
    decoder, features = random_decoder("transformer", 1)
    found = search(decoder, features, Search(), [[(5,), (6,)]] * 5)
    decoder.eval()
    for row, (best,) in enumerate(found):
        scores = decoder(features[row:row + 1], torch.tensor([best.words]))[0, 1:]
        costs = scores.log_softmax(1)[range(len(best.words) - 1), best.words[1:]]
        assert best.log_probability == pytest.approx(costs.sum().item(), abs=1e-3)


def test_the_setting_is_for_all_pictures():
    decoder, features = Toy(), pictures(3)
    naming = ((3,), (4, 5))
    assert search(decoder, features, Search(naming=naming)) == search(
        decoder, features, Search(), [naming] * 3)
    assert str(Search(naming=naming)).endswith("naming 2 words")


def test_only_states_that_can_hold_a_hypothesis_are_stepped():
    decoder, rows = Toy(), []
    step = decoder.step
    decoder.step = lambda words, state: rows.append(len(words)) or step(words, state)
    search(decoder, pictures(2), Search(beam=2, max_length=6), [[(3,), (4,)], [(5,)]])
    assert rows[:3] == [4, 2 * (3 + 2), 2 * (4 + 2)]        # both words may be said from the third
    assert len(rows) == 5                                   # in one search


def test_a_word_that_meets_a_constraint_leads_elsewhere_and_end_nowhere_too_soon():
    allowed = torch.zeros(4, 7)             # two groups of two beams, of states 0 and 1
    gains, words, targets = follow(
        allowed, torch.tensor([False, True, False, False]), torch.tensor([0, 1]),
        torch.tensor([[3], [3]]), torch.tensor([[1], [1]]), torch.tensor([False, True]))
    ways = [{(word, target) for gain, word, target in zip(*row, strict=True) if gain == 0}
            for row in zip(gains.tolist(), words.tolist(), targets.tolist(), strict=True)]
    assert (3, 1) in ways[0] and not ways[0] & {(3, 0), (END_ID, 0)}
    assert ways[1] == {(END_ID, 0)}


def test_captions_that_have_ended_wait_while_other_states_grow():
    beams = torch.tensor([[[[START_ID, 4, END_ID, END_ID]], [[START_ID, 3, END_ID, END_ID]]]])
    ways = torch.tensor([[-1.0, -9.0]]), torch.tensor([[5, 3]]), torch.tensor([[0, 1]])
    found, sums, _ = choose(beams, torch.tensor([[[-2.0], [-3.0]]]), torch.tensor([[True, False]]),
                            ways, 2, Search(beam=1))
    assert found[0, :, 0].tolist() == [[START_ID, 4, 5, END_ID], [START_ID, 3, END_ID, END_ID]]
    assert sums.flatten().tolist() == [-3.0, -3.0]


def test_broken_scores_are_reported():
    decoder = Toy()
    decoder.out.data[:] = torch.nan
    with pytest.raises(ValueError, match="diverged"):
        search(decoder, pictures(2), Search(), [[(3,)], []])


@pytest.mark.parametrize("settings", [{"method": "greedy"}, {"method": "sample"}])
def test_only_a_beam_can_be_constrained(settings):
    with pytest.raises(ValueError, match="naming is for beam"):
        Search(**settings, naming=((3,),))
    with pytest.raises(ValueError, match="naming is for beam"):
        search(Toy(), pictures(1), Search(**settings), [[(3,)]])
    with pytest.raises(ValueError, match="at most"):
        search(Toy(), pictures(1), Search(), [[(3,)] * 5])
    other = Search(**settings)
    assert search(Toy(), pictures(3), other, [[]] * 3) == search(Toy(), pictures(3), other)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_each_picture_has_its_constraints(count):
    with pytest.raises(ValueError, match=f"{count} constraints are not one for each of 2 pictures"):
        search(Toy(), pictures(2), Search(), [[(3,)]] * count)


def test_a_captioner_names_words_in_singular_or_plural():
    words = ["dog", "dogs", "cup", "bus", "buses", "men", "man"]
    captioner = Captioner.__new__(Captioner)
    captioner.vocab = Vocabulary(None, words=words)
    ids = [tuple(sorted(map(captioner.vocab, each))) for each in (
        ["dog", "dogs"], ["cup"], ["bus", "buses"], ["man", "men"])]
    found = captioner.naming([" Dog", "cup", "bus", "man"])
    assert [tuple(sorted(one)) for one in found] == ids and plural("man") == "men"
    for refused in ("cat", "<unk>", "", "dog cup"):
        with pytest.raises(BadInput, match="does not know"):
            captioner.naming([refused])
