"""The modules: what scenes/programs.py does with sets, done with probabilities.

    (at, values of the inputs ...) -> value         `at` says of which pictures, and for which word

A map (b, L) says of each cell how likely it is among the objects that are meant; a truth (b, 1) how
likely it is true; a number (b, 11) and words (b, V) how likely each one is. Where all of them are 0
or 1, that is the executor's answer. None of the modules has weights: what is seen is in `Seen`.

Shape letters:  b questions that do the same step at the same time   others as in network.py
"""

from typing import NamedTuple

import torch
from torch.nn import functional

MOST = 10                   # the largest number that is counted: more are as many
TINY = 1e-12                # less is nothing


class Seen(NamedTuple):
    """What is seen of P pictures, as probabilities.

    there: (P, L), a cell is a thing.  values: (P, L, V), it has each word; those of an attribute
    sum to 1.  relations: (P, L, L, R), the first cell stands in each relation to the second.
    background: (P, A), each answer is the background.
    """

    there: torch.Tensor
    values: torch.Tensor
    relations: torch.Tensor
    background: torch.Tensor


class At(NamedTuple):
    """The questions of a step: rows (b,) of their pictures in `seen`, and the places (b,) of words.

    attributes: (attributes, V), which words are of which.
    """

    seen: Seen
    picture: torch.Tensor
    word: torch.Tensor
    attributes: torch.Tensor


def normal(objects):
    """Return maps that sum to 1, or are 0."""
    return objects / objects.sum(dim=1, keepdim=True).clamp(min=TINY)


def scene(at):
    return at.seen.there[at.picture]


def filter_by(at, objects):
    return objects * at.seen.values[at.picture, :, at.word]


def unique(at, objects):
    return normal(objects)


def relate(at, objects):
    """Return what stands in a relation to the object."""
    related = at.seen.relations[at.picture, :, :, at.word]                      # (b, L, L)
    return scene(at) * (related @ objects.unsqueeze(2)).squeeze(2)


def same(at, objects):
    """Return the others that share an attribute's word with the object."""
    values = at.seen.values[at.picture]
    shared = (values @ query(at, objects).unsqueeze(2)).squeeze(2)
    return scene(at) * shared * (1 - normal(objects))


def is_related(at, one, other):
    related = at.seen.relations[at.picture, :, :, at.word]
    return (one.unsqueeze(1) @ related @ other.unsqueeze(2)).squeeze(2)


def count(at, objects):
    """Return how likely each number is: cells are counted as throws that know nothing of another.
    """
    numbers = functional.pad(objects.new_ones(len(objects), 1), (0, MOST))
    for chance in objects.clamp(max=1).unsqueeze(2).unbind(1):                  # (b, 1) each
        more = functional.pad(numbers[:, :-1], (1, 0))
        last = functional.pad(numbers[:, -1:], (MOST, 0))       # one more than MOST is MOST
        numbers = (1 - chance) * numbers + chance * (more + last)
    return numbers


def exist(at, objects):
    return 1 - (1 - objects.clamp(max=1)).prod(dim=1, keepdim=True)


def query(at, objects):
    """Return how likely each word of an attribute is."""
    words = normal(objects).unsqueeze(1) @ at.seen.values[at.picture]           # (b, 1, V)
    return words.squeeze(1) * at.attributes[at.word]


def equal(at, one, other):
    return (one * other).sum(dim=1, keepdim=True)


def greater(at, one, other):
    below = other.cumsum(dim=1) - other                     # how likely the other number is less
    return (one * below).sum(dim=1, keepdim=True)


# By kind, see layouts.SIGNATURES.
MODULES = {
    "scene": scene, "filter": filter_by, "unique": unique, "relate": relate, "same": same,
    "union": lambda at, one, other: one + other - one * other,
    "intersect": lambda at, one, other: one * other,
    "is_related": is_related, "count": count, "exist": exist, "query": query, "query_fact": query,
    "query_background": lambda at, objects: at.seen.background[at.picture],
    "equal": equal, "equal_integer": equal, "greater_than": greater,
    "less_than": lambda at, one, other: greater(at, other, one),
    "and": lambda at, one, other: one * other,
    "or": lambda at, one, other: one + other - one * other}
