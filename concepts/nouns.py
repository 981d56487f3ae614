"""Find which concept words sentences name, in singular or plural.

    sentences, words --named--> booleans (N, W)

Shape letters:  N sentences   W words
"""

import numpy as np

from scoring.objects import NAMING, matched, plural, tokens


def named(sentences, words):
    """Return which of `words` each sentence names, (N, W)."""
    forms = {form: place for place, word in enumerate(words) for form in (word, plural(word))}
    found = np.zeros((len(sentences), len(words)), bool)
    for row, sentence in zip(found, sentences, strict=True):
        row[[forms[word] for word in plain_words(sentence) if word in forms]] = True
    return found


def plain_words(sentence):
    """Yield the words of a sentence without those inside the name of another thing: "hot dog"."""
    said = [word for word, *_ in tokens(sentence)]
    other = {place for first, stop, label in matched(said, NAMING) for place in range(first, stop)
             if label and NAMING.get((said[place],), label) != label}
    yield from (word for place, word in enumerate(said) if place not in other)
