"""Make of the words that a sentence names what a classifier would see in its picture.

    sentences of train, what the classifier sees in their pictures --Errors--> pairs
    words of a sentence --Errors.draw--> {word: certainty}

A sentence without a picture is given the errors of a pair of train that names one of its words:
what the classifier sees and that sentence does not name stays, with its certainty; a word that
both name stays; any other that it sees rightly becomes another word of the sentence. So as many
words are missing, as many are wrong and as sure as in pictures, and a dog is mistaken for what dogs
are mistaken for. Sentences whose words train never names have the errors of any pair of which the
classifier sees a word rightly; of such words that is optimistic.

Shape letters:  N sentences   P pictures   W words
"""

import numpy as np


class Errors:
    """The pairs of a training set, each a sentence and the classifier's list of its picture.

    said (N, W): which words each sentence names.  picture (N,): its picture.  seen (P, W): the
    words' certainties.  most, least: words of a list at most, and the smallest certainty.
    """

    def __init__(self, said, picture, seen, most, least):
        self.lists = [[(word, float(row[word])) for word in np.argsort(-row, kind="stable")[:most]
                       if row[word] >= least] for row in np.asarray(seen)]
        self.picture, self.said = picture, [frozenset(np.flatnonzero(row)) for row in said]
        self.naming = [np.flatnonzero(column) for column in said.T]
        right = [any(word in names for word, _ in self.lists[number])
                 for names, number in zip(self.said, picture, strict=True)]
        self.right, self.silent = np.flatnonzero(right), np.flatnonzero(~said.any(axis=1))

    def draw(self, names, random):
        """Return {word: certainty} for a sentence that names the words `names`, by number."""
        known = [word for word in names if len(self.naming[word])]
        pool = (self.naming[random.choice(known)] if known else
                self.right if len(names) else self.silent)
        if not len(pool):
            return {}
        pair = random.choice(pool)
        theirs, listed = self.said[pair], self.lists[self.picture[pair]]
        names = set(names)
        free = list(random.permutation(sorted(names - {word for word, _ in listed})))
        found = {}
        for word, certain in listed:
            if word in theirs and word not in names:
                if not free:
                    continue
                word = free.pop()
            found[int(word)] = certain
        return found
