"""Words become integers and come back; a vocabulary file is whole, and never code that runs."""

import json
import pickle
import re
from collections import Counter
from itertools import chain, product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.tokenize.destructive import MacIntyreContractions

import vocabulary
from system.files import BadInput
from vocabulary import (
    END_ID,
    PLAIN,
    START_ID,
    UNK_ID,
    Tokens,
    Vocabulary,
    join,
    tokenize,
    tokenizer,
)

SENTENCES = [["a", "red", "bus"], ["a", "red", "car"], ["a", "blue", "bus"]]
# what NLTK has rules for, and what lower() or a pattern may take for something else
CONTRACTIONS = ["".join(parts) for pattern in MacIntyreContractions.CONTRACTIONS2
                for parts in re.findall(r"\((\w+)\)\(\?#X\)\((\w+)\)", pattern)]
PIECES = [*CONTRACTIONS, *" ,.'`\"-:;@#$%&?!*()[]<>\n\x1f\x85\u2028«“’…—1²٣KİßA_", "gımme", "a",
          "b2", ", ", ". ", " .", ",,", "..", "--", "''", "``", "'s", "n't", "can", "not", "d'ye",
          "more'n", "'tis", "wan", "na", "🙂", "é"]


@pytest.fixture
def vocab():
    return Vocabulary.build(SENTENCES, threshold=1)


def test_special_words_come_first_whatever_the_captions_say():
    vocab = Vocabulary.build([["<end>", "<start>", "a", "<unk>"]], threshold=1)
    assert vocab.words == ["<start>", "<end>", "<unk>", "a"]
    assert [vocab(word) for word in vocab.words[:3]] == [START_ID, END_ID, UNK_ID] == [0, 1, 2]


def test_a_word_is_known_from_threshold_occurrences_on():
    assert Vocabulary.build(SENTENCES, threshold=2).words[3:] == ["a", "bus", "red"]
    assert Vocabulary.build(SENTENCES, threshold=3).words[3:] == ["a"]
    assert Vocabulary.build([["so", "so"]], threshold=2).words[3:] == ["so"]
    assert Vocabulary.build(SENTENCES, threshold=2)("car") == UNK_ID


def test_ids_do_not_depend_on_the_order_of_the_captions(vocab):
    shuffled = [words[::-1] for words in SENTENCES[::-1]]
    assert Vocabulary.build(shuffled, threshold=1).word2idx == vocab.word2idx


def test_what_is_encoded_comes_back_decoded(vocab):
    caption = vocab.encode("A blue bus")
    assert caption == [START_ID, vocab("a"), vocab("blue"), vocab("bus"), END_ID]
    assert vocab.encode(["a", "blue", "bus"]) == caption
    assert vocab.decode(caption) == "a blue bus"
    assert vocab.decode(vocab.encode("a green bus")) == "a <unk> bus"


def test_decoding_keeps_the_last_word_where_end_is_missing(vocab):
    caption = vocab.encode("a red bus")
    for ids in (caption[:-1], caption[1:-1], torch.tensor(caption[:-1]), np.array(caption[:-1])):
        assert vocab.decode(ids) == "a red bus"


def test_decoding_stops_at_the_first_end(vocab):
    assert vocab.decode([*vocab.encode("a red bus"), END_ID, vocab("car"), END_ID]) == "a red bus"
    assert vocab.decode([START_ID, END_ID]) == vocab.decode([]) == ""


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text())
def test_tokenising_is_nltk_s(sentence):
    assert tokenize(sentence) == tokenizer().tokenize(sentence.lower())


def test_every_short_plain_sentence_is_tokenised_as_nltk_does():
    short = ["".join(signs) for length in range(6) for signs in product("a1 ,.", repeat=length)]
    plain = [sentence for sentence in short if PLAIN.fullmatch(sentence)]
    assert len(plain) > 500 and len(CONTRACTIONS) > 5
    for sentence in [*plain, *CONTRACTIONS, *(f"we {word}, {word} ." for word in CONTRACTIONS)]:
        assert tokenize(sentence) == tokenizer().tokenize(sentence)


def test_real_captions_are_tokenised_as_nltk_does_and_nearly_all_quickly(data_root, monkeypatch):
    files = (data_root / "coco-captions" / "captions_val2017.json",
             data_root / "flickr8k" / "annotations" / "captions_train.json")
    sentences = [one["caption"] for file in files
                 for one in json.loads(file.read_text(encoding="utf-8"))["annotations"][::12]]
    expected = [tokenizer().tokenize(sentence.lower()) for sentence in sentences]
    slow = []
    monkeypatch.setattr(vocabulary, "tokenizer", lambda: slow.append(1) or tokenizer())
    assert list(map(tokenize, sentences)) == expected
    assert len(slow) < 0.05 * len(sentences)


def test_a_long_sentence_takes_time_in_proportion(monkeypatch):
    monkeypatch.setattr(vocabulary, "tokenizer", lambda: pytest.fail("was not plain"))
    assert tokenize(100_000 * "so, " + 100_000 * " ")[-2:] == ["so", ","]
    assert not PLAIN.fullmatch(100_000 * " " + "!") and not PLAIN.fullmatch(100_000 * ", " + "!")


def test_tokens_give_back_the_words_of_every_sentence_and_count_them():
    sentences = ["A dog, a red one.", "", "a dog's", " ", "Dogs -- dogs!"]
    words, tokens = [tokenize(sentence) for sentence in sentences], Tokens.of(sentences)
    assert list(tokens) == list(tokens) == words and len(tokens) == 5
    assert tokens.counts() == Counter(chain.from_iterable(words))
    assert Vocabulary.build(tokens, 2).words == Vocabulary.build(words, 2).words
    nothing = Tokens.of(["", ""])
    assert list(nothing) == [[], []] and nothing.counts() == {}


@pytest.mark.parametrize("sentence", ["the dog doesn't see it.", "a man's hat, a woman's coat.",
                                      "it is 50% off!", "they're here; i'm not.", 'a "stop" sign'])
def test_joining_undoes_tokenising(sentence):
    words = tokenize(sentence.upper())
    assert len(words) >= len(sentence.split())
    assert join(words).replace('" stop "', '"stop"') == sentence


def test_a_vocabulary_is_built_from_the_file_it_is_given_and_kept(tiny_root, tmp_path):
    file, train = tmp_path / "vocab.pkl", tiny_root / "annotations" / "captions_train.json"
    built = Vocabulary(1, file, annotations_file=train)
    assert {"red", "picture", "."} <= set(built.words) and len(built) == len(set(built.words))
    again = Vocabulary(99, file, annotations_file=tmp_path / "absent", vocab_from_file=True)
    assert again.word2idx == built.word2idx and again.idx2word == built.idx2word
    rarer = Vocabulary(13, file, annotations_file=train)
    assert len(rarer) < len(built)
    assert Vocabulary(None, file, vocab_from_file=True).words == rarer.words


def test_a_file_keeps_special_words_of_ones_own_and_every_alphabet(tmp_path):
    vocab = Vocabulary(None, start_word="BOS", end_word="EOS", unk_word="UNK",
                       words=["naïve", "🙂", "犬", '"'])
    vocab.save(tmp_path / "v.json")
    again = Vocabulary(None, tmp_path / "v.json", vocab_from_file=True)
    assert again.words == vocab.words and (again.start_word, again.end_word) == ("BOS", "EOS")


class Evil:
    """Writes a file where it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_vocabulary_is_refused_and_none_of_its_code_is_run(tmp_path, protocol):
    trace, file = tmp_path / "trace", tmp_path / "vocab.pkl"
    file.write_bytes(pickle.dumps(Evil(trace), protocol))
    with pytest.raises(BadInput, match="vocab.pkl.*never loaded.*vocab_from_file=False"):
        Vocabulary(None, file, vocab_from_file=True)
    assert not trace.exists()
    pickle.loads(file.read_bytes())         # and there was code to run
    assert trace.exists()


@pytest.mark.parametrize("content", [b"", b'{"words": ["a"', b'{"a": 1}', b'{"words": ["a", "b"]}',
                                     b'{"words": ["a", "b", "c", 4]}', b"{\xff}",
                                     b'{"words": ["<start>", "<end>", "<unk>", "a", "a"]}'])
def test_what_is_no_list_of_words_is_refused_in_one_sentence(tmp_path, content):
    (tmp_path / "v.json").write_bytes(content)
    with pytest.raises(BadInput, match="build it again") as refusal:
        Vocabulary(None, tmp_path / "v.json", vocab_from_file=True)
    assert "\n" not in str(refusal.value)


def test_captions_that_are_none_are_refused(tmp_path):
    (tmp_path / "instances.json").write_text('{"annotations": [{"image_id": 1}]}')
    with pytest.raises(BadInput, match="instances.json holds no captions"):
        Vocabulary(1, tmp_path / "v.json", annotations_file=tmp_path / "instances.json")
    with pytest.raises(BadInput, match="absent.json is not there"):
        Vocabulary(1, tmp_path / "v.json", annotations_file=tmp_path / "absent.json")
    assert not (tmp_path / "v.json").exists()


def test_a_vocabulary_file_is_written_whole_or_not_at_all(vocab, tmp_path, monkeypatch):
    file = tmp_path / "v.json"
    vocab.save(file)
    before, write_text = file.read_bytes(), Path.write_text

    def disk_full(self, text, **options):
        write_text(self, text[:len(text) // 2], **options)
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", disk_full)
    with pytest.raises(BadInput, match="No space"):
        Vocabulary.build([["other", "words"]], threshold=1).save(file)
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == [file]
