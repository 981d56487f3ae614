"""Our BLEU, ROUGE-L and CIDEr-D are coco-caption's, and a reward is a CIDEr-D."""

import json
import math
import random
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from captioning.evaluation import score, tokens
from scoring.metrics import cider_d
from scoring.scores import CiderD, Unavailable, likeness

WORDS = some.sampled_from(["a", "dog", "cat", "runs", "on", "1\xa01/2"])    # one has a hard space
REFERENCE = some.lists(WORDS, min_size=1, max_size=9).map(" ".join)
PICTURE = some.tuples(some.lists(WORDS, max_size=9).map(" ".join),
                      some.lists(REFERENCE, min_size=1, max_size=4))


def assert_official(candidates, references):
    """Compare every score with that of coco-caption's code on the same tokens."""
    ours, each = score(candidates, references)
    truth = dict(enumerate(references))
    result = {number: [tokens(sentence)] for number, sentence in enumerate(candidates)}
    cider, ciders = Cider().compute_score(truth, result)
    official = [*Bleu(4).compute_score(truth, result, verbose=0)[0],
                Rouge().compute_score(truth, result)[0], cider]
    names = ("Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "ROUGE_L", "CIDEr")
    if each is None:                    # left out, where it is 0 whatever the sentences are
        assert cider == 0 and "CIDEr" not in ours
        ours, each = {**ours, "CIDEr": 0}, ciders
    np.testing.assert_allclose([ours[name] for name in names], official, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(each, ciders, rtol=1e-9, atol=1e-12)


@settings(deadline=None, max_examples=300, derandomize=True)
@given(some.lists(PICTURE, min_size=1, max_size=5))
def test_scores_are_official_whatever_the_sentences(pictures):
    assert_official(*zip(*pictures, strict=True))


@pytest.mark.parametrize("candidate", [
    "", "a", "snow", "a dog runs on a beach", "a dog", "dog dog dog dog dog dog", "runs a on beach",
    "the dog " * 200, "a dog runs on a beach at 1 1/2", "1 1/2"])
def test_scores_are_official_of_odd_sentences(candidate):
    """In this corpus "a" is said of every picture, so it weighs nothing, but "a dog" does."""
    references = [["a dog runs on a beach", "the dog and a dog at 1\xa01/2"], ["a cat", "a"],
                  ["a man on a horse " * 20, ""]]
    assert_official([candidate, "a cat", "a man"], references)
    assert_official([candidate] * 3, references)


def test_scores_are_official_on_flickr8k(data_root):
    path = data_root / "flickr8k" / "annotations" / "captions_val.json"
    captions = defaultdict(list)
    for annotation in json.loads(path.read_text("utf-8"))["annotations"]:
        captions[annotation["image_id"]].append(annotation["caption"])
    references = [[tokens(caption) for caption in others] for _, *others in captions.values()]
    draw, candidates = random.Random(0), []
    for first, *_ in captions.values():             # begins as a person wrote it, ends as another
        cut = draw.randint(1, 8)
        other = draw.choice(candidates or [first]).split()
        candidates.append(" ".join(first.split()[:cut] + other[cut:]))
    assert len(candidates) == 1000
    assert_official(candidates, references)


TRAIN = [[("a", "dog", "<end>")], [("a", "cat", "<end>")]]


@pytest.mark.parametrize(("sample", "expected"), [
    # "a" and "<end>" are said of both pictures and weigh nothing, all else weighs log 2
    (("a", "dog", "<end>"), 1 + 1 + 1),
    (("a", "dog"), (1 + 1 / math.sqrt(2)) * math.exp(-1 / 72)),
    (("a", "dog", "dog", "<end>"), (1 / 2 + 2 / math.sqrt(2 * 3)) * math.exp(-1 / 72)),
    (("a", "cat", "<end>"), 0),
    (("dog", "on", "<end>"), 1 / math.sqrt(2)),
    ((), 0)])
def test_a_reward_can_be_counted_by_hand(sample, expected):
    assert CiderD(TRAIN).scores([sample], [0]) == pytest.approx([10 / 4 * expected])


def test_the_end_is_worth_a_reward():
    whole, broken_off, longer = CiderD(TRAIN).scores(
        [("a", "dog", "<end>"), ("a", "dog"), ("a", "dog", "a")], [0, 0, 0])
    assert whole > broken_off and whole > longer


CORPUS = [[[1, 2, 3], [1, 2, 2, 4]], [[1, 5, 6], [5, 6, 3]], [[7, 2, 3, 8]], [[1, 5, 3, 8], [7]]]
SAMPLES, PICTURES = [[1, 2, 3, 8], [1, 5, 3], [1, 2, 2, 3], [7, 2]], [2, 0, 2, 3]


def test_a_rewards_rarities_are_those_of_the_whole_training_set():
    rewards = CiderD(CORPUS).scores(SAMPLES, PICTURES)
    for sample, picture, reward in zip(SAMPLES, PICTURES, rewards, strict=True):
        candidates = [truths[0] for truths in CORPUS]
        candidates[picture] = sample
        assert CiderD(CORPUS).scores(candidates)[picture] == reward
    alone = CiderD(CORPUS[2:]).scores([SAMPLES[0]], [0])
    assert rewards.min() > 0 and alone != pytest.approx(rewards[:1])


def test_a_reward_depends_on_its_sample_alone():
    scorer = CiderD(CORPUS)
    rewards = scorer.scores(SAMPLES, PICTURES)
    assert np.array_equal(scorer.scores(SAMPLES[::-1], PICTURES[::-1]), rewards[::-1])
    assert [*scorer.scores(SAMPLES[:1], [2]), *scorer.scores(SAMPLES[1:], PICTURES[1:])] == [
        *rewards]
    assert scorer.scores([], []).shape == (0,)


def test_words_and_their_ids_are_scored_alike():
    def spelled(sentence):
        return tuple(f"word {number}" for number in sentence)

    words = CiderD([[spelled(sentence) for sentence in truths] for truths in CORPUS])
    assert np.array_equal(words.scores(map(spelled, SAMPLES), PICTURES),
                          CiderD(CORPUS).scores(SAMPLES, PICTURES))


def test_the_order_in_which_n_grams_are_stored_changes_no_score():
    """Python's sets of strings have another order in every process."""
    weights = {0: 0.1, 8: 0.2, 16: 0.3}                         # a small set keeps these in order
    turned = dict(reversed(weights.items()))
    assert sum(weights.values()) != sum(turned.values())
    found = [likeness([(one, 1)], [(dict.fromkeys(one, 1.0), 1)], 0) for one in (weights, turned)]
    assert found[0] == found[1]


def test_as_many_pictures_are_named_as_sentences_given():
    with pytest.raises(ValueError):
        CiderD(CORPUS).scores(SAMPLES, PICTURES[1:])


def test_references_without_a_word_or_of_one_picture_discern_nothing():
    assert CiderD(CORPUS).discerns
    for references in ([[[]], [[], []]], CORPUS[:1], CORPUS[:1] * 2):
        assert not CiderD(references).discerns
    with pytest.raises(Unavailable, match="compares pictures"):
        cider_d([[1], [2]], [[[]], [[]]])
