"""The search is checked against brute force on toy decoders whose scores hang on all words so far.

Shape letters:  B pictures   F numbers of a picture   H hidden   V vocabulary   N rows
"""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from decoders.search import Hypothesis, Search, search
from model import State
from vocabulary import END_ID, START_ID, UNK_ID

GREEDY, SAMPLE = Search(method="greedy"), Search(method="sample")
EVERY_METHOD = [GREEDY, Search(beam=4, captions=4), replace(SAMPLE, captions=4)]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)        # on numbers this small, two only wait for each other
    yield
    torch.set_num_threads(threads)


class Toy(nn.Module):
    """A recurrent decoder with random weights, in double precision."""

    def __init__(self, vocabulary=7, end=0.0, sharpness=6.0, dropout=0.0):
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        shapes = {"start": (3, 8), "words": (vocabulary, 8), "heard": (8, 8)}
        for name, shape in [*shapes.items(), ("out", (8, vocabulary))]:
            weights = torch.randn(shape, generator=generator, dtype=torch.double)
            setattr(self, name, nn.Parameter(weights))
        self.end, self.sharpness, self.dropout = end, sharpness, nn.Dropout(dropout)

    def begin(self, features):
        history = torch.zeros(len(features), 0, dtype=torch.long)
        return State(own=(torch.tanh(features @ self.start), history))

    def step(self, words, state):
        hidden, history = state.own
        hidden = torch.tanh(self.words[words] + hidden @ self.heard)              # (N, H)
        scores = self.sharpness * self.dropout(hidden) @ self.out / 8**0.5         # (N, V)
        scores[:, END_ID] += self.end
        return scores, State(own=(hidden, torch.cat([history, words[:, None]], dim=1)))


class Script(nn.Module):
    """Says what a function of the words so far says: probabilities by word, 0 elsewhere."""

    def __init__(self, probabilities, vocabulary=6):
        super().__init__()
        self.probabilities, self.vocabulary = probabilities, vocabulary

    def begin(self, features):
        return State(own=(torch.zeros(len(features), 0, dtype=torch.long),))

    def step(self, words, state):
        history = torch.cat([state.own[0], words[:, None]], dim=1)
        scores = torch.full((len(words), self.vocabulary), -math.inf)
        for row, said in enumerate(history.tolist()):
            for word, probability in self.probabilities(said).items():
                scores[row, word] = math.log(probability) if probability else -math.inf
        return scores, State(own=(history,))


def pictures(count):
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(1), dtype=torch.double)


def words_of(found):
    return [[one.words for one in picture] for picture in found]


def first_words(decoder, features, settings):
    return [picture[0].words for picture in search(decoder, features, settings)]


def log_probability(decoder, features, words):
    """What one caption of one picture costs, spoken alone and word by word."""
    state, total = decoder.begin(features), 0.0
    for word, following in itertools.pairwise(words):
        scores, state = decoder.step(torch.tensor([word]), state)
        total += scores.log_softmax(dim=1)[0, following].item()
    return total


def brute_force(decoder, features, settings, vocabulary, allowed=lambda words: True):
    """All captions there are, best first."""
    spoken = [word for word in range(vocabulary) if word not in (START_ID, END_ID)]
    lengths = range(settings.max_length - 1)
    middles = itertools.chain(*(itertools.product(spoken, repeat=length) for length in lengths))
    captions = [[START_ID, *middle, END_ID] for middle in middles if allowed(middle)
                and not any(one == other for one, other in itertools.pairwise(middle))]
    found = [Hypothesis(words, log_probability(decoder, features, words)) for words in captions]
    return sorted(found, key=lambda one: one.rank(settings.length_penalty), reverse=True)


def textbook_beam(decoder, features, settings):
    """One picture, one hypothesis after the other: (words, log-probability, rank), best first."""
    beam = [([START_ID], 0.0, 0.0)]
    for length in range(1, settings.max_length):
        candidates = [one for one in beam if one[0][-1] == END_ID]
        following = [END_ID, 3, 4, 5, 6] if length < settings.max_length - 1 else [END_ID]
        growing = [words for words, _, _ in beam if words[-1] != END_ID]
        for words in [[*words, word] for words in growing for word in following
                      if word != words[-1]]:
            total = log_probability(decoder, features, words)
            candidates.append((words, total, total / length**settings.length_penalty))
        beam = sorted(candidates, key=lambda one: one[2], reverse=True)[: settings.beam]
    return beam


def assert_same(found, expected):
    assert [one.words for one in found] == [one.words for one in expected]
    costs = [[one.log_probability for one in hypotheses] for hypotheses in (found, expected)]
    assert costs[0] == pytest.approx(costs[1], abs=1e-4)


@pytest.mark.parametrize("settings", EVERY_METHOD, ids=str)
def test_a_caption_runs_from_start_to_end_and_holds_neither_between(settings):
    for picture in search(Toy(), pictures(30), settings):
        assert len(picture) == settings.captions
        for words, _ in picture:
            assert words[0] == START_ID and words[-1] == END_ID
            assert not {START_ID, END_ID} & set(words[1:-1])


def test_greedy_takes_the_likeliest_word_at_every_step():
    decoder, features = Toy(), pictures(1)
    words, state = [START_ID], decoder.begin(features)
    while words[-1] != END_ID and len(words) < 20:
        scores, state = decoder.step(torch.tensor(words[-1:]), state)
        scores[:, [START_ID, UNK_ID]] = -math.inf
        words.append(scores.argmax().item() if len(words) < 19 else END_ID)
    assert first_words(decoder, features, GREEDY) == [words]


@pytest.mark.parametrize("penalty", [0, 0.7, 1])
def test_a_beam_of_one_is_greedy(penalty):
    decoder, features = Toy(), pictures(40)
    one = Search(beam=1, length_penalty=penalty)
    for beam, greedy in zip(
        search(decoder, features, one), search(decoder, features, GREEDY), strict=True
    ):
        assert_same(beam, greedy)


@pytest.mark.parametrize("penalty", [0, 0.7, 1])
def test_a_beam_wide_enough_finds_what_brute_force_finds_in_its_order(penalty):
    decoder, features = Toy(vocabulary=5), pictures(3)
    settings = Search(
        beam=5**4, captions=40, max_length=5, length_penalty=penalty, suppress_unk=False
    )
    for picture, found in enumerate(search(decoder, features, settings)):
        expected = brute_force(decoder, features[picture : picture + 1], settings, vocabulary=5)
        assert len(expected) == 1 + 3 + 3 * 2 + 3 * 2 * 2
        assert_same(found, expected)


def test_a_beam_wide_enough_finds_what_brute_force_finds_under_every_rule():
    decoder, features = Toy(vocabulary=5), pictures(1)
    settings = Search(beam=5**4, captions=40, max_length=6, no_repeat_ngram=2)

    def allowed(words):
        pairs = list(itertools.pairwise(words))
        return UNK_ID not in words and len(set(pairs)) == len(pairs)

    found = search(decoder, features, settings)[0]
    assert_same(found, brute_force(decoder, features, settings, 5, allowed))


@pytest.mark.parametrize("penalty", [0, 0.7, 1])
def test_a_narrow_beam_is_the_textbook_beam(penalty):
    decoder, features = Toy(sharpness=1.0), pictures(8)
    settings = Search(beam=3, captions=3, max_length=6, length_penalty=penalty)
    for picture, found in enumerate(search(decoder, features, settings)):
        expected = textbook_beam(decoder, features[picture : picture + 1], settings)
        assert_same(found, [Hypothesis(words, total) for words, total, _ in expected])
        assert [one.rank(penalty) for one in found] == pytest.approx([one[2] for one in expected])


def test_a_vocabulary_of_four_has_fewer_captions_than_beams():
    found = search(Toy(vocabulary=4), pictures(2), Search(beam=9, captions=9, max_length=4,
                                                             allow_repetition=True))
    expected = [[START_ID, *[3] * count, END_ID] for count in range(3)]
    assert [sorted(picture) for picture in words_of(found)] == [sorted(expected)] * 2


@pytest.mark.parametrize("settings", EVERY_METHOD, ids=str)
def test_the_log_probability_is_that_of_the_words_spoken_alone(settings):
    decoder, features = Toy(), pictures(6)
    for picture, found in enumerate(search(decoder, features, settings)):
        for words, cost in found:
            alone = log_probability(decoder, features[picture : picture + 1], words)
            assert cost == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize("settings", EVERY_METHOD, ids=str)
def test_the_state_of_a_row_has_heard_the_words_of_its_caption(settings):
    decoder, heard = Toy(), []
    decoder.register_module("spy", nn.Identity())
    step = decoder.step

    def listen(words, state):
        scores, state = step(words, state)
        heard.append(state.own[1].tolist())
        return scores, state

    decoder.step = listen
    found = search(decoder, pictures(5), settings)
    for words, _ in itertools.chain(*found):
        so_far = words[:-1]
        assert so_far in heard[len(so_far) - 1]
    for one_step in heard:
        assert all(history[0] == START_ID for history in one_step)


@pytest.mark.parametrize("settings", EVERY_METHOD[:2], ids=str)
def test_a_picture_gets_the_same_captions_alone_in_a_batch_and_in_any_order(settings):
    decoder, features = Toy(), pictures(25)
    together = words_of(search(decoder, features, settings))
    assert len({str(picture) for picture in together}) > 5
    alone = [words_of(search(decoder, one[None], settings))[0] for one in features]
    assert together == alone
    order = torch.randperm(25, generator=torch.Generator().manual_seed(2))
    shuffled = words_of(search(decoder, features[order], settings))
    assert shuffled == [together[index] for index in order]


@pytest.mark.parametrize("settings", [*EVERY_METHOD, Search(naming=((3,),))], ids=str)
def test_no_pictures_have_no_captions(settings):
    assert search(Toy(), pictures(0), settings) == []


def test_the_search_stops_once_every_caption_has_ended():
    decoder, steps = Toy(vocabulary=5), []
    step = decoder.step
    decoder.step = lambda words, state: steps.append(len(words)) or step(words, state)
    found = search(decoder, pictures(2), Search(beam=9, captions=9, no_repeat_ngram=1))
    assert [len(picture) for picture in found] == [5, 5]        # of 3 and 4: none, each, both ways
    assert steps == [18] * 3


def test_a_caption_that_ends_early_is_kept_while_others_grow_and_may_win():
    def probabilities(said):
        if len(said) == 1:
            return {END_ID: 0.30, 3: 0.36, 4: 0.34}
        return {END_ID: 0.6, 5: 0.4} if len(said) < 4 else {END_ID: 1.0}

    plain = Search(beam=3, captions=3, length_penalty=0)
    found = search(Script(probabilities), pictures(1), plain)[0]
    assert found[0].words == [START_ID, END_ID]
    assert [one.words for one in found[1:]] == [[START_ID, 3, END_ID], [START_ID, 4, END_ID]]
    assert math.exp(found[0].log_probability) == pytest.approx(0.30)
    longer = search(Script(probabilities), pictures(1), replace(plain, length_penalty=1.0))[0]
    assert len(longer[0].words) > 2


@pytest.mark.parametrize("settings", EVERY_METHOD, ids=str)
def test_lengths_count_ids_from_start_to_end(settings):
    wordy = search(Toy(end=-1e9), pictures(5), replace(settings, max_length=6))
    assert {len(words) for words, _ in itertools.chain(*wordy)} == {6}


@pytest.mark.parametrize("settings", [GREEDY, Search(), SAMPLE], ids=str)
def test_a_decoder_that_ends_at_once_gives_the_empty_caption(settings):
    assert first_words(Toy(end=1e3), pictures(3), settings) == [[START_ID, END_ID]] * 3


@pytest.mark.parametrize("settings", [GREEDY, Search(beam=5, captions=5), SAMPLE], ids=str)
def test_a_decoder_that_never_ends_or_gives_nothing_a_chance_still_returns(settings):
    never = Script(lambda said: {3: 0.5, 4: 0.3, 5: 0.2})
    for words, cost in itertools.chain(*search(never, pictures(2), settings)):
        assert len(words) == 20 and math.isfinite(cost)
    nothing = search(Script(lambda said: {}), pictures(2), settings)
    assert [len(picture) for picture in nothing] == [settings.captions] * 2


@pytest.mark.parametrize("settings", EVERY_METHOD, ids=str)
def test_unk_is_said_only_where_it_is_allowed(settings):
    decoder = Script(lambda said: {UNK_ID: 0.6, 3: 0.2, END_ID: 0.2})
    silent = search(decoder, pictures(4), settings)
    assert not any(UNK_ID in words for words, _ in itertools.chain(*silent))
    spoken = search(decoder, pictures(4), replace(settings, suppress_unk=False))
    assert any(UNK_ID in words for words, _ in itertools.chain(*spoken))


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("settings", EVERY_METHOD, ids=str)
def test_no_ngram_occurs_twice(settings, size):
    def most(decoder_settings):
        found = itertools.chain(*search(Toy(end=-4), pictures(8), replace(decoder_settings,
                                                                               allow_repetition=True)))
        ngrams = [list(zip(*(one.words[i:] for i in range(size)), strict=False)) for one in found]
        return max(len(caption) - len(set(caption)) for caption in ngrams)

    assert most(settings) > 0
    assert most(replace(settings, no_repeat_ngram=size)) == 0


@pytest.mark.parametrize("settings", EVERY_METHOD, ids=str)
def test_no_word_stands_twice_in_a_row(settings):
    def repetitions(allowed):
        found = search(Toy(end=-4), pictures(8), replace(settings, allow_repetition=allowed))
        return sum(one == other for picture in found for caption in picture
                   for one, other in itertools.pairwise(caption.words))

    assert repetitions(True) > 0 and repetitions(False) == 0


def test_end_is_said_early_where_the_rules_leave_no_other_word():
    settings = Search(method="greedy", no_repeat_ngram=1)
    found = first_words(Toy(vocabulary=5, end=-99), pictures(1), settings)[0]
    assert sorted(found[1:-1]) == [3, 4] and len(found) == 4


def test_samples_are_the_same_for_a_seed_whatever_the_global_generator():
    decoder, features, settings = Toy(), pictures(10), replace(SAMPLE, captions=3)
    torch.manual_seed(0)
    first = search(decoder, features, settings)
    state = torch.get_rng_state()
    torch.manual_seed(1)
    assert search(decoder, features, settings) == first
    torch.manual_seed(0)
    assert torch.equal(torch.get_rng_state(), state)
    assert search(decoder, features, replace(settings, seed=1)) != first


def test_samples_come_best_first():
    for found in search(Toy(), pictures(5), replace(SAMPLE, captions=9)):
        ranks = [one.rank(0.7) for one in found]
        assert ranks == sorted(ranks, reverse=True) and len(set(ranks)) > 1


def test_every_word_of_a_sample_has_its_own_chance():
    decoder = Script(lambda said: {3: 0.5, 4: 0.5})
    found = search(decoder, pictures(2), replace(SAMPLE, captions=200, max_length=4,
                                                  allow_repetition=True))
    pairs = [tuple(words[1:3]) for words, _ in itertools.chain(*found)]
    assert all(70 < pairs.count(pair) < 130 for pair in itertools.product((3, 4), repeat=2))


@pytest.mark.parametrize(
    "narrow", [{"temperature": 1e-4}, {"temperature": 1e-300}, {"top_k": 1}, {"top_p": 1e-4}],
    ids=str
)
def test_sampling_among_ever_fewer_words_becomes_greedy(narrow):
    decoder, features = Toy(), pictures(40)
    greedy = first_words(decoder, features, GREEDY)
    assert first_words(decoder, features, replace(SAMPLE, **narrow)) == greedy
    assert first_words(decoder, features, SAMPLE) != greedy


@pytest.mark.parametrize(
    "settings, weights",
    [
        (SAMPLE, [0, 0.1, 0, 0.2, 0.3, 0.3]),
        (replace(SAMPLE, temperature=0.5), [0, 0.01, 0, 0.04, 0.09, 0.09]),
        (replace(SAMPLE, top_k=3), [0, 0, 0, 0.2, 0.3, 0.3]),
        (replace(SAMPLE, top_p=0.5), [0, 0, 0, 0, 0.3, 0.3]),
        (replace(SAMPLE, top_k=3, top_p=0.9), [0, 0, 0, 0.2, 0.3, 0.3]),
        (replace(SAMPLE, suppress_unk=False), [0, 0.1, 0.1, 0.2, 0.3, 0.3]),
    ],
    ids=str,
)
def test_words_are_drawn_as_often_as_their_probability_says(settings, weights):
    once = {END_ID: 0.1, UNK_ID: 0.1, 3: 0.2, 4: 0.3, 5: 0.3}
    decoder = Script(lambda said: once if len(said) == 1 else {END_ID: 1.0})
    found = search(decoder, pictures(2), replace(settings, captions=1000))
    drawn = torch.tensor([words[1] for words, _ in itertools.chain(*found)])
    seen = torch.bincount(drawn, minlength=6)
    expected = torch.tensor(weights) / sum(weights) * 2000
    assert seen[expected == 0].sum() == 0
    chi_square = ((seen - expected) ** 2 / expected)[expected > 0].sum()
    assert chi_square < 18.5                # 4 degrees of freedom: once in a thousand


def test_the_decoder_searches_without_dropout_and_is_left_in_the_mode_it_was_in():
    decoder, features = Toy(dropout=0.5), pictures(20)
    decoder.frozen = nn.Linear(1, 1).eval()
    expected = first_words(Toy(), features, GREEDY)
    assert first_words(decoder, features, GREEDY) == expected
    assert decoder.training and decoder.dropout.training and not decoder.frozen.training
    decoder.eval()
    search(decoder, features)
    assert not decoder.training


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("settings", EVERY_METHOD, ids=str)
def test_a_decoder_that_has_diverged_is_named_and_left_in_its_mode(settings, value):
    decoder = Toy()
    with torch.no_grad():
        decoder.out[:, 5] = value
    with pytest.raises(ValueError, match="has its training diverged"):
        search(decoder, pictures(3), settings)
    assert decoder.training


def test_no_gradient_is_recorded_and_the_default_is_a_beam_of_three():
    decoder, features = Toy(), pictures(3)
    assert search(decoder, features) == search(decoder, features, Search(method="beam", beam=3))
    decoder.step = lambda words, state: pytest.fail() if torch.is_grad_enabled() else (
        torch.zeros(len(words), 7), state)
    search(decoder, features)


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        ({"method": "best"}, "method must be one of greedy, beam, sample"),
        ({"beam": 0}, "beam must be at least 1"),
        ({"captions": 4}, "captions must lie between 1 and 3 for beam"),
        ({"captions": 2, "method": "greedy"}, "captions must lie between 1 and 1 for greedy"),
        ({"captions": 0, "method": "sample"}, "captions must lie between 1"),
        ({"max_length": 2}, "max_length must be at least 3"),
        ({"no_repeat_ngram": -1}, "no_repeat_ngram and top_k must be 0"),
        ({"length_penalty": -1.0}, "length_penalty must be a number from 0 to 10"),
        ({"length_penalty": 29.0}, "length_penalty must be a number from 0 to 10"),
        ({"temperature": 0.0}, "temperature must be a number above 0"),
        ({"temperature": math.nan}, "temperature must be a number above 0"),
        ({"temperature": math.inf}, "temperature must be a number above 0"),
        ({"top_k": -1}, "no_repeat_ngram and top_k must be 0"),
        ({"top_p": 0.0}, "top_p must be above 0"),
        ({"top_p": 1.1}, "top_p must be above 0 and at most 1"),
    ],
    ids=str,
)
def test_nonsense_is_refused_with_a_sentence(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        Search(**wrong)


def test_the_strongest_length_penalty_ranks_the_longest_captions():
    settings = Search(beam=4, captions=4, length_penalty=10.0, max_length=100)
    decoder = Script(lambda said: {END_ID: 0.4, 3 + len(said) % 2: 0.6})
    found, = search(decoder, pictures(1), settings)
    assert [len(words) for words, _ in found] == [100, 99, 98, 97]


def test_settings_read_as_one_line_of_a_report():
    assert str(Search()) == "beam 3, length penalty 0.7, at most 20 ids"
    assert str(GREEDY) == "greedy, at most 20 ids"
    dials = replace(SAMPLE, top_k=5, top_p=0.9, no_repeat_ngram=3, suppress_unk=False)
    assert str(dials) == (
        "sample, temperature 1, top-k 5, top-p 0.9, seed 0, at most 20 ids, no 3-gram twice, "
        "<unk> allowed"
    )
