"""Questions and answers as integers, and the first rows of words and answers."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from system.files import BadInput
from vocabulary import END_ID, UNK_ID, Vocabulary
from vqa.accuracy import accuracy
from vqa.beginning import begin, picture_rows, put_words, read_glove
from vqa.families.parts import Sizes
from vqa.settings import MODELS, VQASettings
from vqa.words import Answers, Part, Targets, encode, question_words, vocabulary_of

SHIRT = ("T-shirt",) * 3 + ("t-shirt",) * 5 + ("shirt", "coat")
ALL = [SHIRT, ("two",) * 2 + ("2",) * 8, ("red",) * 5 + ("blue",) * 5, ("coat",) * 10]


def test_a_question_s_words_have_no_marks():
    assert question_words('What\'s the "dog" doing, here?  ') == ["what", "'s", "the", "dog",
                                                                "doing", "here"]
    assert question_words("?") == []


def test_questions_are_cut_filled_up_and_never_empty():
    vocab = vocabulary_of(["is it red?", "is it", "is?"], 2)
    questions, lengths = encode(["Is it red?", "it is is", "?"], vocab, 2)
    assert lengths.tolist() == [2, 2, 1] and questions[2].tolist() == [END_ID, END_ID]
    assert questions[:2].tolist() == [[vocab("is"), vocab("it")], [vocab("it"), vocab("is")]]
    assert vocab("red") == UNK_ID
    with pytest.raises(BadInput, match="no word occurs 9 times"):
        vocabulary_of(["is it?"], 9)


def test_an_answer_is_one_however_it_is_written_and_given_as_most_write_it():
    answers = Answers.build(ALL, 1)
    assert answers.spelled == ["2", "coat", "red", "t-shirt"]       # alphabetically, all being once
    targets = answers.targets(ALL, soft=True).dense(range(4), 4)
    assert targets[0, 3] == 1           # eight votes; without the normal form five and three
    assert targets[1].tolist() == [1, 0, 0, 0]
    with pytest.raises(BadInput, match="no answer is that of 2 questions"):
        Answers.build(ALL, 2)


def test_a_soft_target_is_the_accuracy_that_the_answer_would_get():
    many = [*ALL, ("coat",) * 2 + ("red",) * 3 + ("2",) + ("a",) * 4]
    answers = Answers.build(many, 1)
    targets = answers.targets(many, soft=True).dense(range(5), len(answers))
    expected = [[accuracy(answer, ten) for answer in answers.spelled] for ten in many]
    torch.testing.assert_close(targets, torch.tensor(expected))
    hard = answers.targets(many, soft=False).dense(range(5), len(answers))
    assert hard.sum(dim=1).tolist() == [1, 1, 1, 1, 0]      # the last is an article, and no answer


def part_of(count, pairs=(), answers=3):
    part = Part.__new__(Part)
    part.lengths, part.pairs = np.ones(count), np.array(pairs, np.int64).reshape(-1, 2)
    part.answers = answers
    return part


def test_a_pass_has_every_question_once_and_no_pair_is_cut():
    pairs = np.random.default_rng(0).permutation(40).reshape(-1, 2)
    part = part_of(103, pairs)
    for number in range(3):
        batches = [rows[:, 0] for rows in part.order(10, 0, number, together=True)]
        assert sorted(np.concatenate(batches)) == list(range(103)) and len(batches) == 11
        assert all(9 <= len(batch) <= 11 for batch in batches[:-1])
        where = {row: place for place, batch in enumerate(batches) for row in batch}
        assert all(where[one] == where[other] for one, other in pairs)
    apart = [rows[:, 0] for rows in part.order(10, 0, 0)]
    where = {row: place for place, batch in enumerate(apart) for row in batch}
    assert any(where[one] != where[other] for one, other in pairs)
    assert not np.array_equal(apart[0], part.order(10, 0, 1)[0][:, 0])
    assert len(part_of(5).order(10, 0, 0, together=True)) == 1


def test_questions_about_a_picture_stand_side_by_side_and_fillers_do_not_count():
    part = part_of(23)
    part.picture = np.random.default_rng(1).permutation(np.arange(23) % 5)      # 4 or 5 each
    part.features, part.questions = np.arange(5.0)[:, None], torch.arange(23)
    part.beside = None
    part.lengths = torch.ones(23)
    part.targets = Targets(np.zeros(24, int), np.zeros(0, int), np.zeros(0, np.float32))
    batches = part.order(8, 0, 0, each=4)
    assert [rows.shape for rows in batches] == [(2, 4)] * 4     # of three pictures a second group
    seen = []
    for rows in batches:
        batch = part.batch(rows)
        assert (part.picture[batch.questions].reshape(-1, 4) == batch.features.numpy()).all()
        seen += batch.questions[batch.counted > 0].tolist()
    assert sorted(seen) == list(range(23)) and not part.batch(batches[0], False).counted.any()


def glove(folder, *lines):
    path = folder / "glove.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_glove_gives_the_rows_of_the_words_it_has(tmp_path):
    path = glove(tmp_path, "dog 1 2 3", "cat 4 5 6", "the 0 0 1")
    found = read_glove(path, {"dog", "the", "zebra"}, 3)
    assert found.keys() == {"dog", "the"} and found["dog"].tolist() == [1, 2, 3]
    embedding, vocab = torch.nn.Embedding(5, 3), Vocabulary(words=["dog", "owl"])
    before = embedding.weight.detach().clone()
    put_words(embedding, vocab, found)
    assert embedding.weight[3].tolist() == [1, 2, 3]
    assert torch.equal(embedding.weight[[0, 1, 2, 4]], before[[0, 1, 2, 4]])


def test_a_word_of_glove_may_have_spaces_but_not_the_first(tmp_path):
    found = read_glove(glove(tmp_path, "cat 1 2 3", ". . . 4 5 6", "dog 7 8 9"), {"dog", "."}, 3)
    assert {word: vector.tolist() for word, vector in found.items()} == {"dog": [7, 8, 9]}
    with pytest.raises(BadInput, match="line 1 of .* has 4 numbers in place of 3"):
        read_glove(glove(tmp_path, "cat 1 2 3 4", "dog 1 2 3 4"), {"dog"}, 3)


@pytest.mark.parametrize("line, said", [
    ("dog 1 2", "line 2 of .* has 2 numbers in place of 3"), ("dog 1 2 x", "no text file of GloVe"),
    ("owl 1 2 3", "no vector"), ("dog 1 2 inf", "infinite")])
def test_another_file_than_glove_s_is_refused(tmp_path, line, said):
    with pytest.raises(BadInput, match=said):
        read_glove(glove(tmp_path, "cat 1 2 3", line), {"dog"}, 3)
    with pytest.raises(BadInput, match="cannot be read"):
        read_glove(tmp_path / "missing", {"dog"}, 3)


def asker(channels=4):
    """What `begin` is given: an answerer of two streams, and questions with targets."""
    torch.manual_seed(0)
    answers = Answers(["dog", "two dogs", "owl"])
    vocab = Vocabulary(words=["is", "dog"])
    model = MODELS["tips"](Sizes(channels, len(vocab), 3, 3, 5, 0.0, True, 2, False))
    answerer = SimpleNamespace(model=model, answers=answers, vocab=vocab,
                               backbone=SimpleNamespace(channels=channels))
    part = part_of(3)
    part.features = np.random.default_rng(0).random((2, 9, channels)).astype(np.float16)
    part.picture = np.array([0, 1, 1])
    part.targets = Targets(np.array([0, 2, 3, 3]), np.array([0, 1, 1]),
                           np.array([1, 0.3, 0.9], np.float32))
    return answerer, part


def test_an_answer_begins_as_the_mean_picture_it_is_given_for():
    answerer, part = asker()
    units = [torch.tensor(one / np.linalg.norm(one, axis=1, keepdims=True)).mean(0)
             for one in part.features.astype(np.float32)]
    units = [one / one.norm() for one in units]
    one, other = (unit - sum(units) / 2 for unit in units)
    expected = torch.stack([one, 0.3 * one + 0.9 * other])
    found = picture_rows(answerer, part)
    torch.testing.assert_close(found[:2], expected / expected.norm(dim=1, keepdim=True))
    assert not found[2].any()           # nobody said so, so its row stays as it was drawn


def test_an_answer_begins_as_the_mean_of_its_words(tmp_path):
    answerer, part = asker()
    path = glove(tmp_path, "dog 1 2 3", "two 3 4 5", "is 7 7 7")
    settings = VQASettings("x", glove=str(path), streams=2, embed_size=3)
    before = answerer.model.classify.streams["text"][-1].weight.detach().clone()
    begin(answerer, settings, part)
    text = answerer.model.classify.streams["text"][-1].weight
    assert text[0].tolist() == [1, 2, 3] and text[1].tolist() == [3, 4, 5]     # dogs is unknown
    assert torch.equal(text[2], before[2])
    assert answerer.model.read.words.weight[3:].tolist() == [[7, 7, 7], [1, 2, 3]]
