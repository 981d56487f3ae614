"""Paragraphs are scored by overlap, by what they repeat, and by how their words differ."""

import pytest
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from scoring.paragraphs import letters, paragraph_scores, plain_words, repetition
from system.files import BadInput
from video.activitynet import read_activitynet, read_paragraphs, read_youcook2

SAID = {"a": ["A red ball jumps.", "Then it hides."], "b": ["A cube, a cube and a cube."]}
TOLD = {"a": ["A red ball jumps. It hides then.", "The ball jumps."],
        "b": ["A cube meets a cube."], "c": ["Nothing here."]}


def slow_repetition(sentences, n):
    """Of all n-grams of a paragraph, the share that was said before."""
    said, again = [], 0
    for words in sentences:
        for place in range(len(words) - n + 1):
            again += words[place:place + n] in said
            said.append(words[place:place + n])
    return again / len(said) if said else 0


PARAGRAPHS = [[["a", "b", "a", "b", "a"], ["a", "b", "a", "b"]], [["a", "b"], ["a", "b"]], [[]], [],
              [["x"] * 9]]


def test_repetition_is_that_of_a_slow_reference():
    for one in PARAGRAPHS:
        assert repetition([one]) == pytest.approx([slow_repetition(one, n) for n in (1, 2, 3, 4)])
    whole = [sum(slow_repetition(one, n) for one in PARAGRAPHS) / 5 for n in (1, 2, 3, 4)]
    assert repetition(PARAGRAPHS) == pytest.approx(whole)


def test_repetition_by_hand():
    # 9 words, 2 different; 7 pairs, 2 different; 5 triples, 2; 3 quadruples, 2
    assert repetition(PARAGRAPHS[:1]) == pytest.approx([7 / 9, 5 / 7, 3 / 5, 1 / 3])
    # none reaches from one sentence into the next
    assert repetition(PARAGRAPHS[1:2]) == pytest.approx([1 / 2, 1 / 2, 0, 0])


def test_words_are_those_of_the_published_programs():
    assert letters("The dog's 2 balls.  It CAN'T") == ["the", "dog", "s", "balls", "it", "can", "t"]
    assert plain_words("  A dog, a cat. ") == ["A", "dog", "a", "cat"]
    assert plain_words("a dog's ball!") == ["a", "dog's", "ball!"] and plain_words(" ") == []


def test_overlap_is_that_of_coco_caption_on_words_of_letters():
    found = paragraph_scores(SAID, TOLD)
    result = {0: ["a red ball jumps then it hides"], 1: ["a cube a cube and a cube"], 2: [""]}
    truth = {0: ["a red ball jumps it hides then", "the ball jumps"], 1: ["a cube meets a cube"],
             2: ["nothing here"]}
    bleu, _ = Bleu(4).compute_score(truth, result, verbose=0)
    assert [found[f"Bleu_{n}"] for n in (1, 2, 3, 4)] == pytest.approx(bleu)
    assert found["ROUGE_L"] == pytest.approx(Rouge().compute_score(truth, result)[0])
    assert found["CIDEr"] == pytest.approx(Cider().compute_score(truth, result)[0])


def test_a_video_without_a_paragraph_is_told_and_repeats_nothing():
    found = paragraph_scores({**SAID, "c": ["", " "], "x": ["Of no video that is scored."]}, TOLD)
    assert found["missing"] == 1
    # of "A cube a cube and a cube" 7 words, 4 different; 6 pairs, 5
    assert [found[f"R@{n}"] for n in (1, 2, 3, 4)] == pytest.approx([3 / 7 / 2, 1 / 6 / 2, 0, 0])
    assert [found["Div_1"], found["Div_2"]] == pytest.approx([(1 + 4 / 7) / 2, (5 / 7 + 5 / 7) / 2])
    with pytest.raises(BadInput, match="none of the 3 videos has a paragraph"):
        paragraph_scores({"x": ["A ball."]}, TOLD)


def test_peoples_repetition_is_reproduced(shared_video):
    """R@4 of people: 0.76 and 0.80 % (the halves of ActivityNet's val_1), 1.27 % (YouCook2 val)."""
    folder = shared_video / "activitynet-captions"
    videos = {one.name: words(one) for one in read_activitynet(folder / "val_1.json")}
    for half, r1, r4 in (("val_1", 27.7, 0.76), ("test_1", 28.0, 0.80)):
        names = read_paragraphs(folder / f"anet_entities_{half}_para.json")
        found = repetition([videos[name] for name in names])
        assert [100 * found[0], 100 * found[3]] == pytest.approx([r1, r4], abs=0.05)
        assert 100 * found[3] == pytest.approx(r4, abs=0.005)
    cook = read_youcook2(shared_video / "youcook2" / "yc2_annotations_trainval.json", "validation")
    found = repetition(list(map(words, cook)))
    assert [100 * found[0], 100 * found[3]] == pytest.approx([39.99, 1.27], abs=0.006)


def words(video):
    """The sentences of a video as lists of words."""
    return [plain_words(segment.sentence) for segment in video.spans]
