"""Turn words into integers and integers into words.

    sentence --tokenize--> words --Vocabulary.encode--> caption --Vocabulary.decode--> sentence

A *sentence* is a string; a *caption* is a list of ids that begins with `<start>` and ends with
`<end>`. Ids 0, 1 and 2 are `<start>`, `<end>` and `<unk>`; words rarer than the threshold in the
training captions become `<unk>`. There is no padding word: batches are filled with `<end>` and
masked by their lengths.
"""

import codecs
import re
from array import array
from collections import Counter
from functools import cache
from itertools import chain, takewhile
from pathlib import Path

import numpy as np

from system.commands import ensure_home
from system.files import BadInput, read_json, writable, write_json
from system.outputs import begins, keys_in, output_file

START_ID, END_ID, UNK_ID = 0, 1, 2
START_WORD, END_WORD, UNK_WORD = "<start>", "<end>", "<unk>"

# of all that NLTK has rules for, only a comma before a space and one full stop at the end
PLAIN = re.compile(r"[a-z0-9 ]*+(?:, [a-z0-9 ]*+)*+\.?+ *+")
CONTRACTIONS = {"cannot", "gimme", "gonna", "gotta", "lemme", "wanna"}      # two words to NLTK


def tokenize(sentence):
    """Split a sentence into lower-case words and punctuation, as NLTK's tokenizer does."""
    text = str(sentence).lower()
    # nearly all captions are plain words, a few commas and a full stop: those need no tokenizer
    if PLAIN.fullmatch(text):
        words = text.replace(",", " ,").replace(".", " .").split()
        if CONTRACTIONS.isdisjoint(words):
            return words
    return tokenizer().tokenize(text)


@cache
def tokenizer():
    """Return NLTK's tokenizer."""
    # imported when first needed, since decoding captions needs none and the import takes a second
    ensure_home()                       # in which nltk looks for data that we do not use
    from nltk.tokenize import NLTKWordTokenizer

    return NLTKWordTokenizer()  # word_tokenize would first ask for a download, punkt_tab


def join(words):
    """Join words to a sentence: the inverse of `tokenize` up to case and rare punctuation."""
    sentence = " ".join('"' if word in ("``", "''") else word for word in words)
    return re.sub(r" (?=(?:[.,;:!?%)]|n't|'\w+)(?: |$))", "", sentence)


class Tokens:
    """The words of many sentences as integers; an iteration gives each sentence's list of words.

    words: the different ones.  ids: the place in `words` of every word of every sentence, int32.
    lengths: the number of words in each sentence.
    """

    def __init__(self, words, ids, lengths):
        self.words, self.ids, self.lengths = words, ids, lengths

    @classmethod
    def of(cls, sentences):
        """Tokenise sentences and return their `Tokens`."""
        places, ids, lengths = {}, array("i"), array("i")   # lists of COCO's 590,000 take gigabytes
        for sentence in sentences:
            words = tokenize(sentence)
            ids.extend([places.setdefault(word, len(places)) for word in words])
            lengths.append(len(words))
        return cls(list(places), np.array(ids, np.int32), np.array(lengths, np.int32))

    def __len__(self):
        return len(self.lengths)

    def __iter__(self):
        start = 0
        for end in np.cumsum(self.lengths):
            yield [self.words[place] for place in self.ids[start:end].tolist()]
            start = end

    def counts(self):
        """Return {word: number of its occurrences}."""
        return dict(zip(self.words, np.bincount(self.ids).tolist(), strict=True))


class Vocabulary:
    """The words of a model; `vocab(word)` is the word's id, `len(vocab)` their number.

    Built from the captions of a COCO annotations file and saved, or read back:

        Vocabulary(5, "vocab.json", annotations_file="captions_train2017.json")
        Vocabulary(None, "vocab.json", vocab_from_file=True)
        Vocabulary.build(lists_of_words, threshold=5)

    The file is JSON whatever its name; a pickled one is refused, since unpickling runs code.
    """

    def __init__(self, vocab_threshold=None, vocab_file="./vocab.pkl", start_word=START_WORD,
                 end_word=END_WORD, unk_word=UNK_WORD,
                 annotations_file="../cocoapi/annotations/captions_train2014.json",
                 vocab_from_file=False, *, words=None):
        self.vocab_threshold, self.vocab_file = vocab_threshold, vocab_file
        special = [start_word, end_word, unk_word]
        if words is None and vocab_from_file and Path(vocab_file).exists():
            self._store(read_words(vocab_file))
        elif words is None:
            output_file(vocab_file, "a vocabulary", lambda path: (      # or an old, pickled one
                "words" in keys_in(path) or begins(path, b"\x80")))
            captions = captions_in(annotations_file)
            self._store(special + frequent(map(tokenize, captions), vocab_threshold or 1, special))
            self.save(vocab_file)
        else:
            self._store(special + list(words))

    def _store(self, words):
        """Number the words, the three special ones first; raise `BadInput` for a repeated one."""
        self.start_word, self.end_word, self.unk_word = words[:3]
        self.idx2word = dict(enumerate(words))
        self.word2idx = {word: index for index, word in self.idx2word.items()}
        if len(self.word2idx) != len(words):
            raise BadInput("a vocabulary names a word twice: build it again from the captions")

    @classmethod
    def build(cls, sentences_of_words, threshold):
        """Count words over tokenised sentences and keep those seen `threshold` times or more.

        sentences_of_words: `Tokens`, or any lists of words.
        """
        special = [START_WORD, END_WORD, UNK_WORD]
        return cls(threshold, words=frequent(sentences_of_words, threshold, special))

    @property
    def words(self):
        """All words in the order of their ids, the three special ones first."""
        return list(self.idx2word.values())

    def __call__(self, word):
        """Return the id of a word, `<unk>`'s if the vocabulary does not have it."""
        return self.word2idx.get(word, UNK_ID)

    def __len__(self):
        return len(self.idx2word)

    def __contains__(self, word):
        return word in self.word2idx

    def encode(self, words):
        """Return words, or a sentence, as a caption: ids from `<start>` to `<end>`."""
        words = tokenize(words) if isinstance(words, str) else words
        return [START_ID, *map(self, words), END_ID]

    def decode(self, caption):
        """Return a caption as a sentence: its words up to the first `<end>`, without `<start>`."""
        ids = takewhile(lambda index: index != END_ID, map(int, caption))
        return join(self.idx2word[index] for index in ids if index != START_ID)

    def save(self, path):
        """Write the words to `path` as JSON, whole or not at all."""
        write_json(path, {"format": "vocabulary", "words": self.words}, indent=0)


def frequent(sentences_of_words, threshold, special=()):
    """Return the words seen `threshold` times or more, most frequent first, ties alphabetically."""
    counts = (sentences_of_words.counts() if isinstance(sentences_of_words, Tokens)
              else Counter(chain.from_iterable(sentences_of_words)))
    kept = [word for word, count in counts.items() if count >= threshold and word not in special]
    return sorted(kept, key=lambda word: (-counts[word], word))


def captions_in(annotations_file):
    """Return the sentences of a COCO captions file."""
    content = read_json(annotations_file, "give the path of a COCO captions_*.json file")
    try:
        return [writable(annotation["caption"]) for annotation in content["annotations"]]
    except (KeyError, TypeError, AttributeError):
        raise BadInput(f"{annotations_file} holds no captions: give a COCO captions_*.json file, "
                       "not instances or image_info") from None


def read_words(path):
    """Return the words of a saved vocabulary; raise `BadInput` for any other file."""
    rebuild = "build it again with vocab_from_file=False, which writes it as JSON"
    if not Path(path).is_file():
        raise BadInput(f"{path} is not there: {rebuild}")
    with open(path, "rb") as file:
        if file.read(4).removeprefix(codecs.BOM_UTF8)[:1] != b"{":
            raise BadInput(f"{path} is not a JSON vocabulary (a pickled one is never loaded, since "
                           f"that would run code): {rebuild}")
    words = read_json(path, rebuild).get("words")
    if not isinstance(words, list) or len(words) < 3 or not all(isinstance(w, str) for w in words):
        raise BadInput(f"{path} holds no list of words: {rebuild}")
    return words
