"""Mark the words of a sentence that claim something true of a drawn picture, or something false.

    sentence, scene graph --claims.check--> claims, each with its phrase --marked--> pieces of text
"""

from scenes.claims import check
from scenes.lexicon import tokens

OWN = {"object": "noun", "count": "number"}     # the part of speech that makes a claim of a kind


def marked(sentence, graph):
    """Return the sentence in pieces: (text, whether its claims are true, or None if it has none).

    Words side by side are one piece if their claims are alike. A word is false if one claim is.
    """
    found, truth = tokens(sentence), {}
    for claim in check(sentence, graph).claims:
        for place in places(claim, found):
            truth[place] = truth.get(place, True) and claim.true
    pieces, done = [], 0
    for place, true in sorted(truth.items()):
        start, stop = found[place][3]
        before = sentence[done:start]
        if pieces and pieces[-1][1] == true and before.isspace():
            pieces[-1] = (pieces[-1][0] + sentence[done:stop], true)
        else:
            pieces += [(before, None), (sentence[start:stop], true)]
        done = stop
    return [piece for piece in (*pieces, (sentence[done:], None)) if piece[0]]


def places(claim, found):
    """Return which of the tokens `found` make a claim: its own word, else the noun, else all."""
    every = range(claim.said.at, claim.said.stop)
    for kind in (OWN.get(claim.kind, claim.kind), "noun"):
        if own := [place for place in every if found[place][0] == kind]:
            return own
    return every
