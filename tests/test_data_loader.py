"""An epoch is a pass: nothing lost, nothing doubled, little padded, the same order every time."""

import pickle

import numpy as np
import pytest
import torch

import vocabulary
from coco.dataset import Picture, Split, read_split
from data_loader import LONGEST, CaptionData, PictureBatches, tokenized
from encoders.features import load
from encoders.transform import Transform
from vocabulary import END_ID, START_ID, UNK_ID, Vocabulary, tokenize

VIEWS = 2
SMALL = Transform(32, (0.5,) * 3, (0.5,) * 3)


def made_up(sentences):
    """A split of given sentences, a list for every picture; there are no picture files."""
    return Split("made up", tuple(Picture(number, None, tuple(mine))
                                  for number, mine in enumerate(sentences)))


def data_of(split):
    """Captions with features (VIEWS, pictures, 2) that name their view and picture."""
    vocab = Vocabulary.build(map(tokenize, split.sentences), 1)
    named = np.stack(np.meshgrid(range(VIEWS), range(len(split.pictures)), indexing="ij"), axis=2)
    return CaptionData(split, vocab, named.astype(np.float16)), vocab


@pytest.fixture(scope="module")
def many():
    """300 pictures with two captions of 1 to 20 words each; a caption names its picture."""
    random = np.random.default_rng(0)
    return data_of(made_up([[f"w{number} " + "so " * random.integers(20) for _ in range(2)]
                            for number in range(300)]))


@pytest.fixture
def photos(tiny_root):
    """Six pictures read from their files, batch by batch."""
    split = read_split(tiny_root, "val")
    return CaptionData(split, Vocabulary(words=["picture"]), None, SMALL)


def epoch_of(data, *args, **kwargs):
    return [[tensor.tolist() for tensor in batch] for batch in data.batches(*args, **kwargs)]


def captions_of(order):
    """The numbers of the captions in each batch of an order."""
    return [rows.captions for rows in order]


def test_sentences_are_tokenised_once_and_kept(tmp_path, monkeypatch):
    split = made_up([["A man's hat.", ""], ["Naïve 🙂\r\n\x85 dogs\u2028run"]])
    words = [tokenize(sentence) for sentence in split.sentences]
    assert list(tokenized(split, tmp_path)) == words
    monkeypatch.setattr(vocabulary, "tokenize", lambda sentence: pytest.fail("tokenised twice"))
    assert list(tokenized(split, tmp_path)) == words


def test_kept_words_that_were_damaged_are_made_again(tmp_path):
    split = made_up([["A red dog.", "A dog."]])
    words = list(tokenized(split, tmp_path))
    file, = (tmp_path / "tokens").iterdir()
    whole = file.read_bytes()
    for damaged in (whole[:-1], whole[:-1] + b"\x01", b""):
        file.write_bytes(damaged)
        assert list(tokenized(split, tmp_path)) == words
        assert file.read_bytes() == whole


def test_a_line_break_in_a_sentence_is_no_sentence_more(tmp_path):
    one, two = made_up([["a dog\nruns"]]), made_up([["a dog", "runs"]])
    assert [len(tokenized(split, tmp_path)) for split in (one, two)] == [1, 2]


def test_a_vocabulary_from_train_knows_no_word_of_the_lent_pictures(write_root, tmp_path):
    write_root(tmp_path, {"train": 3})
    train, val = read_split(tmp_path, "train"), read_split(tmp_path, "val")
    vocab = Vocabulary.build(tokenized(train), 1)
    colour = val.pictures[0].sentences[0].split()[1]
    assert colour in ("red", "green", "blue") and colour not in vocab
    assert UNK_ID in CaptionData(val, vocab).captions


def test_every_caption_begins_with_start_ends_with_end_and_is_filled_with_end(many):
    data, vocab = many
    assert len(data) == 600 == len(data.captions) == len(data.lengths) == len(data.picture)
    for caption, length, sentence in zip(data.captions, data.lengths, data.split.sentences,
                                         strict=True):
        assert caption[:length].tolist() == vocab.encode(sentence)
        assert caption[0] == START_ID and caption[length - 1] == END_ID
        assert (caption[length:] == END_ID).all() and END_ID not in caption[:length - 1]
    assert data.picture.tolist() == np.repeat(range(300), 2).tolist()
    assert data.captions.dtype == data.lengths.dtype == torch.int64


def test_a_long_caption_is_cut_and_then_has_no_end():
    data, vocab = data_of(made_up([["word " * 10_000, "word"]]))
    assert data.captions.shape == (2, LONGEST) and data.lengths.tolist() == [LONGEST, 3]
    assert END_ID not in data.captions[0] and data.captions[0, -1] == vocab("word")


def test_captions_are_cut_where_encoding_them_one_by_one_would_cut():
    data, vocab = data_of(made_up([["word " * count] for count in range(LONGEST + 3)]))
    for caption, length, sentence in zip(data.captions, data.lengths, data.split.sentences,
                                         strict=True):
        assert caption[:length].tolist() == vocab.encode(sentence)[:LONGEST]


def test_captions_without_a_word_are_start_and_end():
    data, _ = data_of(made_up([["", " "]]))
    assert data.captions.tolist() == [[START_ID, END_ID]] * 2 and data.lengths.tolist() == [2, 2]


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_an_epoch_is_a_permutation_without_replacement(many, batch_size):
    batches = captions_of(many[0].order(batch_size, seed=0, epoch=0))
    assert sorted(np.concatenate(batches)) == list(range(600))
    sizes = sorted(len(batch) for batch in batches)
    assert sizes[1:] == [batch_size] * (len(sizes) - 1) or sizes == [600]


def test_one_caption_of_every_picture_is_drawn_anew_in_every_epoch(many):
    data = many[0]
    drawn = [np.concatenate(captions_of(data.order(32, 0, epoch, one_per_picture=True)))
             for epoch in range(8)]
    for order in drawn:
        assert sorted(data.picture[order]) == list(range(300))
    assert 0.3 < np.mean([order % 2 for order in drawn]) < 0.7
    assert len(np.unique(drawn)) > 590


def test_neighbours_do_not_always_meet_where_one_caption_is_drawn():
    data, _ = data_of(made_up([["a dog", "a cat"]] * 100))
    for epoch in range(3):
        for rows in data.order(10, 0, epoch, one_per_picture=True):
            assert np.ptp(rows.pictures) > 30


def test_captions_of_one_length_meet_others_in_every_epoch(many):
    def pairs(epoch):
        return {frozenset(pair) for batch in captions_of(many[0].order(8, 0, epoch))
                for pair in zip(batch, batch[1:], strict=False)}

    assert len(pairs(0) & pairs(1)) < 0.2 * len(pairs(0))


def test_the_order_is_a_function_of_seed_and_epoch_alone(many):
    data, again = many[0], data_of(many[0].split)[0]

    def order(data, seed, epoch):
        return [batch.tolist() for batch in captions_of(data.order(16, seed, epoch))]

    first = order(data, 0, 3)
    np.random.seed(5)
    torch.manual_seed(5)
    assert order(data, 0, 3) == order(again, 0, 3) == first
    assert all(order(data, *other) != first for other in ((0, 0), (0, 4), (1, 3), (3, 0)))


def test_captions_of_like_length_share_a_batch_so_that_little_is_padded(many):
    data = many[0]
    shapes = [batch.captions.shape for batch in data.batches(16)]
    assert sum(rows * width for rows, width in shapes) <= 1.05 * int(data.lengths.sum())
    widths = [width for _, width in shapes]
    assert widths != sorted(widths)                 # and batches do not come short ones first


def test_a_batch_is_as_wide_as_its_longest_caption_and_holds_each_one_whole(many):
    data, vocab = many
    for features, captions, lengths, _ in data.batches(32, seed=1, epoch=1):
        assert captions.shape == (len(lengths), lengths.max()) and features.shape[1:] == (2,)
        assert features.dtype == torch.float32
        for (_, picture), caption, length in zip(features, captions, lengths, strict=True):
            sentences = data.split.pictures[int(picture)].sentences
            assert vocab.decode(caption) in [sentence.strip() for sentence in sentences]
            assert caption[length - 1] == END_ID and END_ID not in caption[:length - 1]


def test_a_view_is_drawn_for_every_picture_and_epoch(many):
    def views(epoch):
        rows = torch.cat([batch.images for batch in many[0].batches(50, epoch=epoch)])
        by_picture = [set(rows[rows[:, 1] == picture, 0].tolist()) for picture in range(300)]
        assert all(len(found) == 1 for found in by_picture)
        return [found.pop() for found in by_picture]

    first, second = views(0), views(1)
    assert views(0) == first and first != second and 0.35 < np.mean(first) < 0.65


@pytest.mark.parametrize("start", [0, 1, 9, 19])
def test_an_epoch_goes_on_from_any_batch(many, start):
    whole = epoch_of(many[0], 32, seed=2, epoch=5)
    assert len(whole) == 19
    order = many[0].order(32, seed=2, epoch=5)[start:]
    assert [[one.tolist() for one in batch] for batch in many[0].read(order, 2, 5)] == whole[start:]


def test_an_epoch_over_pictures_goes_on_from_any_batch(photos):
    rest = photos.read(photos.order(8, epoch=1)[2:], epoch=1)
    assert [[one.tolist() for one in batch] for batch in rest] == epoch_of(photos, 8, epoch=1)[2:]


def test_picture_batches_are_equal_whatever_the_number_of_workers(photos):
    order = photos.order(8, seed=1, epoch=2)
    by_itself, by_workers = (list(photos.read(order, 1, 2, workers)) for workers in (0, 2))
    assert len(by_itself) == len(by_workers) == 4
    for one, other in zip(by_itself, by_workers, strict=True):
        assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))


def test_picture_batches_can_be_sent_to_a_spawned_worker(photos):
    batches = PictureBatches(photos, photos.order(8, 0, 0), 0, 0)
    sent = pickle.loads(pickle.dumps(batches))
    assert all(torch.equal(*pair) for pair in zip(sent[1], batches[1], strict=True))


def test_pictures_are_augmented_by_seed_epoch_and_picture(photos):
    seen = {}
    for seed, epoch in ((0, 0), (0, 1), (1, 0)):
        order = photos.order(8, seed, epoch)
        batches = photos.batches(8, seed, epoch)
        for rows, (images, captions, lengths, pictures) in zip(order, batches, strict=True):
            assert images.shape == (len(rows.captions), 3, 32, 32)
            assert len(lengths) == len(captions) and pictures.tolist() == rows.pictures.tolist()
            for row, image in zip(rows.pictures, images, strict=True):
                expected = load(photos.split.pictures[row], SMALL, epoch + 1, seed)
                assert torch.equal(image, expected)
                seen[seed, epoch, row] = image
    for row in range(6):
        assert not torch.equal(seen[0, 0, row], seen[0, 1, row])
        assert not torch.equal(seen[0, 0, row], seen[1, 0, row])
