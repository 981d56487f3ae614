"""CHAIR: how often sentences name objects that are not in the picture.

    sentences, objects of each picture --chair--> CHAIRi, CHAIRs        both 0 to 1, best 0
    sentence, objects of the picture --absent--> its Mentions of what is not there

Rohrbach et al. 2018 (arXiv:1809.02156): CHAIRi is the fraction of the named objects that are not in
the picture, CHAIRs the fraction of the sentences that name one. The objects of a picture are those
of its instances file, united with those that its references name. An object is counted once in a
sentence. Words are those of scoring/object_words.py and not the paper's, so figures compare with
each other, and with published ones only roughly.
"""

from typing import NamedTuple

from scoring.objects import categories, mentions
from scoring.scores import Unavailable


class Chair(NamedTuple):
    """The two figures, fractions of named objects and of sentences."""

    objects: float              # CHAIRi
    sentences: float            # CHAIRs


def absent(sentence, objects):
    """Return the `Mention`s of what is not among the objects of the picture, in their order."""
    return [one for one in mentions(sentence) if not objects & set(categories(one.label))]


def chair(sentences, objects):
    """Return the `Chair` of a corpus.

    sentences: one for each picture, as text.  objects: the set of categories in each picture.
    Raises `Unavailable` where no sentence names an object.
    """
    named = wrong = bad = 0
    for sentence, present in zip(sentences, objects, strict=True):
        missing = {one.label for one in absent(sentence, present)}
        named += len({one.label for one in mentions(sentence)})
        wrong, bad = wrong + len(missing), bad + bool(missing)
    if not named:
        raise Unavailable("no sentence names an object of COCO's 80 categories")
    return Chair(wrong / named, bad / len(sentences))
