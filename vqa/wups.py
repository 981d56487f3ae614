"""Score answers by how near their meanings are: WUPS, Malinowski & Fritz 2014 (arXiv:1410.0210).

    truth "cat", prediction "dog" --wups, threshold 0.0--> .83        threshold 0.9 --> .083

The similarity of two words is Wu & Palmer's: with d the depth of a word below the root of a tree
of hypernyms, which counts 1, and of their lowest common hypernym, 2 d(common) / (d(a) + d(b)).
Below the threshold it counts a tenth. An answer may be a list, "cup, cat":

    min( product over a in answer of max over t in truth of mu(a, t),  the same with both swapped )

The tree here holds the drawn world and some common words; WordNet is taken where NLTK has it.
"""

from functools import lru_cache
from itertools import product
from math import prod

import numpy as np

KEPT = 1 << 16              # similarities, since answers are few

# a word that stands in two lines has two meanings
TREE = """
    entity: thing, quality, number, reply, place, time, event, action
    thing: living thing, artifact, natural thing, food, substance
    living thing: animal, plant, mushroom, person
    animal: mammal, bird, insect, fish, reptile
    mammal: cat, dog, horse, cow, sheep, elephant, giraffe, bear, zebra
    bird: chicken, duck, pigeon, owl
    insect: butterfly, bee, ant
    plant: tree, flower, grass
    person: man, woman, child, maker
    child: boy, girl
    maker: carpenter, smith, weaver, potter, tailor, painter, printer, farmer, jeweller, baker
    artifact: vehicle, building, toy, dish, furniture, clothing, tool, room, picture
    vehicle: car, bus, truck, train, bicycle, motorcycle, boat, airplane
    building: house, church, tower, museum, school, library
    room: attic, kitchen, cellar, garage, workshop
    toy: ball, balloon, kite, frisbee, doll
    dish: cup, bottle, bowl, plate, glass
    cup: mug
    furniture: table, chair, bed, bench, couch
    clothing: hat, shirt, shoe, coat
    tool: knife, fork, spoon, umbrella, phone, computer
    natural thing: star, moon, cloud, mountain
    star: sun
    food: fruit, bread, cake, pizza, sandwich
    fruit: apple, banana, orange
    substance: water, air, wood, glass, paper, metal, rubber, stone, clay, wax, cloth, snow, sand
    cloth: wool, leather, cotton
    quality: colour, size, shape, position, weather
    colour: red, orange, yellow, green, blue, white, black, purple, pink, brown, grey
    size: small, large
    small: tiny
    large: big
    shape: round, square, flat
    position: left, right, middle, above, below
    weather: snow, rain
    number: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
    reply: yes, no
    place: beach, meadow, room, forest, street, garden, harbour, sky, sea
    time: day, night, sunset, morning, evening
    event: birthday, wedding, picnic, parade, carnival, christmas, easter, halloween, harvest
    action: play, drink, drive, live, fly, grow, shine, sleep, eat
"""
LINES = [line.strip().split(": ") for line in TREE.strip().splitlines()]
PARENTS = {}
for parent, words in LINES:
    for word in words.split(", "):
        PARENTS.setdefault(word, []).append(parent)


def meanings(word):
    """Return every path from the root down to a word; none for a word that the tree lacks."""
    if word == LINES[0][0]:
        return [(word,)]
    return [(*path, word) for parent in PARENTS.get(word, ()) for path in meanings(parent)]


@lru_cache(KEPT)
def in_tree(one, other):
    """Return the similarity of two words by this module's tree, 0 if it lacks one of them."""
    found = [2 * sum(a == b for a, b in zip(*paths, strict=False)) / sum(map(len, paths))
             for paths in product(meanings(one.lower()), meanings(other.lower()))]
    return max(found, default=0)


def hypernyms():
    """Return (name, similarity of two words) of WordNet or, where NLTK has it not, of the tree."""
    from nltk.corpus import wordnet

    try:
        wordnet.ensure_loaded()
    except LookupError:
        return "tree", in_tree

    @lru_cache(KEPT)
    def in_wordnet(one, other):
        nouns = [wordnet.synsets(word.replace(" ", "_"), "n") for word in (one, other)]
        return max((a.wup_similarity(b) or 0 for a, b in product(*nouns)), default=0)
    return "WordNet", in_wordnet


def agreement(one, other, threshold, similarity):
    """Return mu, how far a word agrees with another, from 0 to 1."""
    if one == other or threshold == -1:         # -1: only the same word is right
        return float(one == other)
    value = similarity(one, other)
    return value if value >= threshold else 0.1 * value


def wups_of(predicted, truth, threshold=0.9, similarity=in_tree):
    """Return the score of one answer; answer and truth may be lists with commas."""
    answers, truths = ([word.strip() for word in text.split(",")] for text in (predicted, truth))
    return min(prod(max(agreement(a, t, threshold, similarity) for t in truths) for a in answers),
               prod(max(agreement(a, t, threshold, similarity) for a in answers) for t in truths))


def wups(predicted, truths, threshold=0.9, similarity=in_tree):
    """Return the scores (N,) of N answers. threshold: 0.9, 0.0, or -1 for plain accuracy."""
    return np.array([wups_of(answer, truth, threshold, similarity)
                     for answer, truth in zip(predicted, truths, strict=True)], np.float64)
