"""Questions and answers as integers, by what train alone has, and batches of them.

    texts --vocabulary_of--> Vocabulary;  --encode--> questions (N, T), lengths (N,)
    ten answers each --Answers.build--> Answers;  --targets--> Targets, which gives (B, A)
    Questions --Part--> order of batches, Batch

Answers are told apart by the metric's own normalisation, so annotators who write "T-shirt" and
"t-shirt" agree. The best known re-implementation of Tips and Tricks loses such votes.

Shape letters:  N questions of a split   B of a batch   T words   A answers
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from system.files import BadInput
from system.processor import to_device
from vocabulary import END_ID, Vocabulary, tokenize
from vqa.normalize import official, trimmed

# The accuracy of an answer that m of ten annotators gave, m of 0 to 3, and then 1: see accuracy.py.
SCORES = 0.0, 0.3, 0.6, 0.9, 1.0


def question_words(text):
    """Return the words of a question, lower case, without its marks."""
    return [word for word in tokenize(text.rstrip("? ")) if any(map(str.isalnum, word))]


def vocabulary_of(texts, threshold):
    """Return the words that occur `threshold` times in questions; `BadInput` if there are none."""
    vocab = Vocabulary.build(map(question_words, texts), threshold)
    if len(vocab) == len(Vocabulary(words=[])):
        raise BadInput(f"no word occurs {threshold} times in the questions of train: give a lower "
                       "--vocab-threshold, such as 1, or more questions")
    return vocab


def encode(texts, vocab, longest):
    """Return questions (N, T), ids filled with `<end>` and cut at `longest`, and lengths (N,).

    A question without a word is one `<end>`.
    """
    rows = [list(map(vocab, question_words(text)[:longest])) or [END_ID] for text in texts]
    lengths = np.array([len(row) for row in rows], np.int64)
    questions = np.full((len(rows), lengths.max()), END_ID, np.int64)
    for number, row in enumerate(rows):
        questions[number, :len(row)] = row
    return torch.from_numpy(questions), torch.from_numpy(lengths)


@dataclass(frozen=True)
class Targets:
    """The scores of the answers of N questions, those that are not 0.

    begin: (N + 1,), where the entries of a question begin in `ids` and `scores`.
    """

    begin: np.ndarray
    ids: np.ndarray
    scores: np.ndarray

    def rows(self):
        """Return of each entry the question it belongs to."""
        return np.repeat(np.arange(len(self.begin) - 1), np.diff(self.begin))

    def best(self, row):
        """Return the answer of highest score of a question, the first of equals, None without any.
        """
        part = slice(self.begin[row], self.begin[row + 1])
        return min(zip(-self.scores[part], self.ids[part], strict=True), default=(0, None))[1]

    def dense(self, rows, answers):
        """Return the scores (B, answers) of the questions in `rows`."""
        found = torch.zeros(len(rows), answers)
        for place, row in enumerate(rows):
            part = slice(self.begin[row], self.begin[row + 1])
            found[place, self.ids[part]] = torch.from_numpy(self.scores[part])
        return found


class Answers:
    """The answers that a model can give.

    spelled: each as most annotators write it, which is how it is given: where all ten agree, the
    published metric compares what was written, and not its normal form.
    """

    def __init__(self, spelled):
        self.spelled = list(spelled)
        self.places = {official(text): place for place, text in enumerate(self.spelled)}

    def __len__(self):
        return len(self.spelled)

    @classmethod
    def build(cls, answers, threshold):
        """Return the answers that are the most frequent one of `threshold` questions or more.

        answers: ten strings a question.  The most frequent come first, ties alphabetically.
        Raises `BadInput` if there is none.
        """
        counts, spellings = Counter(), {}
        for ten in answers:
            counts[most_frequent(ten)] += 1
            for text in ten:
                spellings.setdefault(official(text), Counter())[trimmed(text)] += 1
        kept = [form for form, count in counts.items() if form and count >= threshold]
        if not kept:
            raise BadInput(f"no answer is that of {threshold} questions of train, so there is "
                           "nothing to learn: give a lower --answer-threshold, such as 1")
        kept.sort(key=lambda form: (-counts[form], form))
        return cls(min(spellings[form], key=lambda text: (-spellings[form][text], text))
                   for form in kept)

    def targets(self, answers, soft):
        """Return the `Targets` of ten answers each: the accuracy of each answer or, if not `soft`,
        1 for the most frequent one."""
        begin, ids, scores = [0], [], []
        for ten in answers:
            given = Counter(map(official, ten)) if soft else {most_frequent(ten): len(SCORES)}
            for form, count in given.items():
                if form in self.places:
                    ids.append(self.places[form])
                    scores.append(SCORES[min(count, len(SCORES) - 1)])
            begin.append(len(ids))
        return Targets(*(np.array(column, kind) for column, kind in (
            (begin, np.int64), (ids, np.int64), (scores, np.float32))))


def most_frequent(ten):
    """Return the normal form of the most frequent of some answers, the first of equals."""
    return Counter(map(official, ten)).most_common(1)[0][0]


class Batch(NamedTuple):
    """Questions (B, T) with lengths (B,) and targets (B, A), and features of P pictures.

    Picture p owns the questions p * k to p * k + k - 1, k = B / P, so that what depends on the
    picture only is computed once for all of them.  counted: (B,), 0 for a question that only fills
    up.  beside: what a family reads beside the words, (B, ...), or None.
    """

    features: torch.Tensor
    questions: torch.Tensor
    lengths: torch.Tensor
    targets: torch.Tensor
    counted: torch.Tensor
    beside: torch.Tensor | None = None

    def to(self, device):
        """Return the batch on `device`."""
        return Batch(*(tensor if tensor is None else to_device(tensor, device) for tensor in self))


class Part:
    """The questions of a split as integers: questions (N, T), lengths (N,), targets, features.

    beside: what a family reads beside the words, (N, ...), or None.
    """

    def __init__(self, questions, vocab, answers, settings, beside=None):
        self.pairs, self.picture = questions.pairs, questions.picture
        self.questions, self.lengths = encode(questions.texts, vocab, settings.longest)
        self.targets = answers.targets(questions.answers, settings.soft)
        self.answers, self.features, self.beside = len(answers), None, beside

    def __len__(self):
        return len(self.lengths)

    def order(self, batch_size, seed, number, together=False, each=1):
        """Return the rows (P, k) of each batch of a pass, for `batch`.

        together: complementary pairs stay in one batch.  each: k, questions of a picture that
        stand side by side; it excludes `together`.
        """
        random = np.random.default_rng([seed, number])
        if each > 1:
            groups = random.permutation(self.side_by_side(random, each))
            return np.split(groups, np.arange(max(1, batch_size // each), len(groups),
                                              max(1, batch_size // each)))
        place = random.permutation(len(self))
        if together:
            place[self.pairs[:, 1]] = place[self.pairs[:, 0]]
        order = np.argsort(place, kind="stable")
        starts = np.arange(batch_size, len(order), batch_size)
        starts -= place[order[starts - 1]] == place[order[starts]]     # where a pair would be cut
        return np.split(order[:, None], starts)

    def side_by_side(self, random, each):
        """Return rows (groups, each) of questions about one picture.

        Where a picture has too few, ~row of one that is there already fills up.
        """
        order = random.permutation(len(self))
        order = order[np.argsort(self.picture[order], kind="stable")]
        counts = np.bincount(self.picture)
        ends = np.cumsum(counts)[self.picture[order]]          # where the same picture's end
        place = np.arange(len(order)) - ends + counts[self.picture[order]]
        starts = np.flatnonzero(place % each == 0)
        index = starts[:, None] + np.arange(each)
        return np.where(index < ends[starts][:, None],
                        order[np.minimum(index, len(order) - 1)], ~order[starts][:, None])

    def batch(self, rows, counted=True):
        """Return the `Batch` of rows (P, k)."""
        there, rows = rows.flatten() >= 0, np.where(rows < 0, ~rows, rows)
        pictures, rows = self.picture[rows[:, 0]], rows.flatten()
        return Batch(torch.from_numpy(self.features[pictures]).float(), self.questions[rows],
                     self.lengths[rows], self.targets.dense(rows, self.answers),
                     torch.from_numpy(there & counted).float(),
                     None if self.beside is None else self.beside[rows])


def counted(train, questions):
    """Return the predictions {name: a string for each question} that need no training."""
    answers = Answers.build(train.answers, 1)
    first = [answers.places.get(most_frequent(ten)) for ten in train.answers]
    keys = {"most frequent": lambda one: [None] * len(one.texts),
            "per question type": lambda one: one.question_types,
            "question lookup": lambda one: [" ".join(question_words(text)) for text in one.texts]}
    found, likeliest = {}, [0] * len(questions.texts)       # place 0 is the most frequent answer
    for name, key in keys.items():
        counts = defaultdict(Counter)
        for group, place in zip(key(train), first, strict=True):
            if place is not None:           # an article is no answer
                counts[group][place] += 1
        # of what train has not, what the coarser one says
        likeliest = [min(counts[group], key=lambda place: (-counts[group][place], place))
                     if group in counts else coarser
                     for group, coarser in zip(key(questions), likeliest, strict=True)]
        found[name] = [answers.spelled[place] for place in likeliest]
    return found
