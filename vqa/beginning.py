"""How the first weights of a model are improved: word vectors, and rows of answers.

    a file of GloVe --read_glove--> vectors of words, and of answers by their words
    features of train --> of each answer the mean feature of the pictures for which it was given

Tips and Tricks takes the latter from pictures that a search engine finds for the answer; here they
are those of train, so nothing is downloaded.
"""

import math

import torch
from torch.nn import functional

from system.files import BadInput, refuse_web_address
from vqa import words
from vqa.families.parts import cells_of, mean_cell

CHUNK = 4096                # entries, or pictures, at once


def begin(answerer, settings, train):
    """Put what is known of words and answers in place of a model's first, random weights.

    train: the `Part` of the training questions, with features.
    """
    model, spelled = answerer.model, answerer.answers.spelled
    model.begin(answerer.answers, train)
    by_text = [words.question_words(text) for text in spelled]
    if settings.glove:
        asked = set(answerer.vocab.words).union(*by_text)
        found = read_glove(settings.glove, asked, settings.embed_size)
        if hasattr(model, "read"):
            put_words(model.read.words, answerer.vocab, found)
        if settings.streams == 2:
            model.classify.begin("text", torch.stack([
                mean_of([found[word] for word in one if word in found], settings.embed_size)
                for one in by_text]))
    if settings.streams == 2 and settings.answer_pictures:
        model.classify.begin("image", picture_rows(answerer, train))


@torch.no_grad()
def put_words(embedding, vocab, found):
    """Put the vectors that are known in place of the rows of an embedding."""
    for word, vector in found.items():
        if word in vocab:
            embedding.weight[vocab(word)] = vector


def mean_of(vectors, size):
    """Return the mean (size,) of a list of vectors, zeros of an empty one."""
    return torch.stack(vectors).mean(dim=0) if vectors else torch.zeros(size)


@torch.no_grad()
def picture_rows(answerer, train):
    """Return for each answer the mean feature (A, D) of its pictures, each as heavy as its score.

    What is in all pictures alike tells no answer from another, so the mean of all is taken off; a
    row has length 1.
    """
    channels = answerer.backbone.channels
    pictures = torch.cat([
        functional.normalize(mean_cell(*cells_of(torch.tensor(
            train.features[start:start + CHUNK], dtype=torch.float), channels)), dim=1)
        for start in range(0, len(train.features), CHUNK)])             # (P, D)
    pictures -= pictures.mean(dim=0)
    sums = torch.zeros(train.answers, channels)
    asked, targets = train.picture[train.targets.rows()], train.targets
    for start in range(0, len(asked), CHUNK):
        part = slice(start, start + CHUNK)
        weighed = pictures[asked[part]] * torch.from_numpy(targets.scores[part]).unsqueeze(1)
        sums.index_add_(0, torch.from_numpy(targets.ids[part]), weighed)
    return functional.normalize(sums, dim=1)


def read_glove(path, words, size):
    """Return the vectors (size,) that a text file of GloVe has of some words, by word.

    A line is a word and its numbers, with spaces between; a word may have spaces, too, as ". . ."
    in the vectors of the Common Crawl, but not the first. Raises `BadInput` for any other file.
    """
    refuse_web_address(path)
    wanted, found = set(words), {}
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                count = line.rstrip().count(" ")
                if count < size or (number == 1 and count > size):
                    raise BadInput(f"line {number} of {path} has {count} numbers in place of "
                                   f"{size}: give the file of GloVe of this --embed-size")
                word, *values = line.rstrip().rsplit(" ", size)
                if word in wanted:
                    found[word] = torch.tensor([float(value) for value in values])
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): give a text file of GloVe, or "
                       "leave --glove out") from None
    except ValueError as error:         # of which UnicodeDecodeError is one
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path} is no text file of GloVe ({error}): give another, or leave --glove "
                       "out") from None
    if not found or not all(math.isfinite(one.sum()) for one in found.values()):
        raise BadInput(f"{path} has no vector, or an infinite one, of the words that are asked "
                       "about: give the GloVe of their language, or leave --glove out")
    return found
