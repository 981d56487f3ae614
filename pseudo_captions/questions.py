"""Find the content words that questions about a picture name, or that answer them.

    Questions --named--> zeros and ones (P, W)

A question supposes that what it asks about is there: "what color is the bench?" has a bench. Words
that belong to asking, such as "color" or "kind", are known by being far more frequent in questions
than in captions.

Shape letters:  P pictures   W words
"""

from collections import Counter

import torch

from vocabulary import tokenize

ASKING = 1.4                # times more frequent than in captions: a word of asking
FEWEST = 5                  # pictures, from which on that is judged
NEGATIVE = "no", "0"


def named(questions, words):
    """Return which of `words` the questions about each picture of a `vqa.files.Questions` name."""
    found = [set() for _ in questions.pictures]
    for row, picture in enumerate(questions.picture.tolist()):
        found[picture] |= words_of(questions, row)
    rows = words.bags(found).dense(range(len(found)))
    often = rows.mean(0)
    frequency = torch.exp(-words.idf)           # fraction of pictures whose captions have the word
    asking = (often > ASKING * frequency) & (often * len(rows) >= FEWEST)
    return rows * ~asking


def words_of(questions, row):
    """Return the tokens of a question and of its answer that say what is there, a set."""
    tokens = tokenize(questions.texts[row])
    if not questions.answers:
        return set(tokens)
    answer, _ = Counter(questions.answers[row]).most_common(1)[0]
    if answer in NEGATIVE:                      # it may be the thing itself that is not there
        return set()
    return {*tokens, *tokenize(answer)}
