"""How sure a decoder was of each word: the numbers are the search's own, whatever the decoder."""

import math

import pytest
import torch

from decoders.confidence import ENDS, weigh
from decoders.registry import NAMES, build_decoder, wants_grid
from decoders.rules import log_probabilities
from decoders.search import Search, search
from vocabulary import END_ID, START_ID, UNK_ID, Vocabulary

VOCAB = Vocabulary(words=["a", "red", "green", "ball", "box", ",", "n't"])
SEARCH = Search(captions=3, max_length=8)


@pytest.fixture(params=sorted(NAMES - {"objects"}))
def decoder(request):
    torch.manual_seed(5)
    made = build_decoder(request.param, len(VOCAB), embed_size=16, hidden_size=16, num_layers=1,
                         dropout=0.5)
    with torch.no_grad():
        for one in made.parameters():
            one.mul_(3)
    return made.double().eval()     # in float32 weights so large round differently by processor


@pytest.fixture
def features(decoder):
    torch.manual_seed(6)
    shape = (1, 9, 16) if decoder.grid else (1, 16)
    return torch.randn(shape, dtype=torch.double)


def by_hand(decoder, features, words):
    """The log-probabilities (T - 1, V) at each word of a caption, step after step."""
    state, found = decoder.begin(features), []
    for word in words[:-1]:
        scores, state = decoder.step(torch.tensor([word]), state)
        found.append(log_probabilities(scores)[0])
    return torch.stack(found).detach()


def test_the_numbers_are_those_of_the_search_step_by_step(decoder, features):
    found, = search(decoder, features, SEARCH)
    for one, said in zip(found, weigh(decoder, features, found, VOCAB), strict=True):
        expected = by_hand(decoder, features, one.words)
        words = one.words[1:one.words.index(END_ID)]
        assert said.sentence == VOCAB.decode(one.words)
        assert [word.text for word in said.words] == [VOCAB.idx2word[word] for word in words]
        for place, (word, known) in enumerate(zip(said.words, words, strict=True)):
            assert word.probability == pytest.approx(expected[place, known].exp().item(), abs=1e-5)
        total = sum(expected[place, word] for place, word in enumerate(one.words[1:])).item()
        assert said.confidence == pytest.approx(math.exp(total / (len(one.words) - 1)), rel=1e-4)


def test_the_rivals_are_the_likeliest_others_that_a_search_could_have_said(decoder, features):
    found, = search(decoder, features, SEARCH)
    for one, said in zip(found, weigh(decoder, features, found, VOCAB, rivals=3), strict=True):
        expected = by_hand(decoder, features, one.words)
        for place, word in enumerate(said.words):
            barred = {START_ID, UNK_ID, *one.words[place:place + 2]}
            others = [(chance, id) for id, chance in enumerate(expected[place].exp().tolist())
                      if id not in barred]
            best = [ENDS if id == END_ID else VOCAB.idx2word[id]
                    for _, id in sorted(others, reverse=True)[:3]]
            assert [other for other, _ in word.rivals] == best
            assert [value for _, value in word.rivals] == pytest.approx(
                sorted((chance for chance, _ in others), reverse=True)[:3], abs=1e-5)


def test_where_it_looked_is_what_chose_the_word_and_only_the_grid_s_cells(decoder, features):
    found, = search(decoder, features, SEARCH)
    whole = weigh(decoder, features, found, VOCAB)
    part = weigh(decoder, features, found, VOCAB, of_cells=lambda weights: weights[..., :-2])
    for one, said, cut in zip(found, whole, part, strict=True):
        for place, (word, less) in enumerate(zip(said.words, cut.words, strict=True), 1):
            if not decoder.grid:
                assert word.looked is None
                continue
            expected = decoder.attended(features, torch.tensor([one.words]))[1][0, place]
            torch.testing.assert_close(word.looked, expected.detach(), rtol=1e-4, atol=1e-6)
            assert torch.equal(less.looked, word.looked[:-2])


def test_a_decoder_in_training_is_weighed_without_dropout(decoder, features):
    found, = search(decoder, features, SEARCH)
    expected = weigh(decoder, features, found, VOCAB)
    assert weigh(decoder.train(), features, found, VOCAB)[0].confidence == expected[0].confidence


def test_one_picture_s_sentence_without_a_word_is_weighed_too():
    decoder = build_decoder("lstm_every", len(VOCAB), embed_size=8, hidden_size=8)
    with torch.no_grad():
        decoder.scores.bias[END_ID] = 50
    found, = search(decoder, torch.zeros(1, 8), Search(captions=1))
    said, = weigh(decoder, torch.zeros(1, 8), found, VOCAB)
    assert (said.sentence, said.words) == ("", []) and said.confidence == pytest.approx(1)
    assert not wants_grid("lstm_every")
