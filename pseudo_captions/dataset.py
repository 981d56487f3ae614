"""Make one dataset of pictures with captions and of pictures that have only questions.

    pictures with captions, pictures with questions, sentences --lend--> a root in COCO's layout

What questions, and the encoder's classifier, name in a picture finds sentences that name the same.
A word detector learns from the captions and from these sentences. What it sees in pictures that it
was not trained on, and what the questions name, finds the sentences that become captions.

Shape letters:  P pictures   D channels   W words   N sentences
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import torch

from coco.dataset import Picture, Split, kept_captions, read_split, split_names
from coco.karpathy import place
from coco.readable import readable
from coco.sources import write
from encoders.backbones import Backbone, transform_of
from encoders.concepts import WORDS, cached_concepts
from encoders.features import cached_features
from pseudo_captions.detector import cross_fitted
from pseudo_captions.matching import consensus, expected, nearest
from pseudo_captions.questions import named
from pseudo_captions.words import choose, fractions, tokens_of
from system.cache import cache_name
from system.contents import content_hashes
from system.files import BadInput, holds, whole_folder
from system.roots import sweep_root
from vqa.files import find_split, read_files

SHORTEST, LONGEST = 7, 17   # tokens of a sentence that may become a caption
LEAST = 0.1                 # probability from which on the classifier names a word
SEEN = 0.7                  # how much such a word counts beside one that a question names
ASKED = 0.5                 # fraction of captions that a word named by a question has at least


def lend(root, captioned, asked, texts, without=(), count=5, encoder="efficientnet_lite2", seed=0,
         linked=False):
    """Make `root`: val is that of `captioned`, train its train and the pictures of `asked`.

    captioned: a dataset in COCO's layout.  asked: one with VQA v2's questions.  texts: COCO
    captions files, whose sentences are lent.  without: datasets whose pictures, by their ids, are
    left out, since they measure.  count: sentences for a picture.  linked: hard links, not copies.
    Returns its path; at once if root already holds it. Raises `BadInput` for what cannot be read.
    """
    root = Path(root)
    train, val = (read_split(captioned, split) for split in ("train", "val"))
    others = [Picture(number, Path(other, split, name), ()) for other in without
              for split in split_names(other) for number, name, _ in kept_captions(
                  Path(other, "annotations", f"captions_{split}.json"))]
    questions = questions_of(asked, {one.id for one in others}, [*others, *val.pictures])
    described = Split("texts", tuple(
        Picture(number, None, tuple(sentences)) for file in texts
        for number, _, sentences in kept_captions(file)))
    info = {"description": "captions, and sentences lent to pictures with questions",
            "made_from": cache_name([
                content_hashes([*map(str, texts), *(one.file for part in (train, val, questions)
                                                    for one in part.pictures)]),
                [one.sentences for one in (*train.pictures, *val.pictures)], questions.texts,
                questions.answers, count, encoder, seed])}
    if holds(root, "annotations/captions_*.json", info):
        print(f"{root} already holds this")
        return root
    own, held = renamed(train.pictures, "captioned"), renamed(val.pictures, "")
    asked = renamed(questions.pictures, "asked", len(own))
    lent = sentences_for(questions, train, described, encoder, count, seed)
    asked = tuple(replace(one, sentences=tuple(said))
                  for one, said in zip(asked, lent, strict=True))
    splits = {"train": own + asked, "val": held}
    sources = {"train": (*train.pictures, *questions.pictures), "val": val.pictures}
    sweep_root(root)
    with whole_folder(root) as beside:
        place([(source.file.resolve(), beside / split / one.file) for split, mine in splits.items()
               for source, one in zip(sources[split], mine, strict=True)], root, linked)
        write(beside, info, splits, Path("."))
    print(f"{root}: {len(train.pictures)} pictures with captions, {len(questions.pictures)} with "
          f"{count} sentences lent to each, {len(val.pictures)} val")
    return root


def questions_of(root, ids, others):
    """Return the questions of the root's split train about pictures that can be used.

    Those that cannot be read, that have one of these ids, and that are one of `others` byte for
    byte are left out.
    """
    name = find_split(root, "train")
    if name is None:
        raise BadInput(f"{root} has no questions of a split train: give another --asked")
    questions = read_files(Path(root), name)
    known = set(content_hashes([one.file for one in others]))
    usable = readable(Split("questions", questions.pictures)).pictures
    usable = {one.id for one, content in zip(
        usable, content_hashes([one.file for one in usable]), strict=True)
        if one.id not in ids and content not in known}
    rows = [row for row, picture in enumerate(questions.picture.tolist())
            if questions.pictures[picture].id in usable]
    if not rows:
        raise BadInput(f"no picture of {root} is left: give other --without, or none")
    return questions.only(rows)


def renamed(pictures, folder, first=0):
    """Return pictures with new ids, and files in a folder below that of their split.

    Raises `BadInput` for two files of one name, which may lie in different folders now.
    """
    names = Counter(one.file.name for one in pictures)
    for one in pictures:
        if names[one.file.name] > 1:
            raise BadInput(f"{one.file} is one of {names[one.file.name]} pictures of this name, "
                           "and they come into one folder: give them different names")
    return tuple(replace(one, id=first + number, file=Path(folder, one.file.name))
                 for number, one in enumerate(pictures, 1))


def sentences_for(questions, train, described, encoder, count, seed):
    """Return `count` sentences of `described` for each picture that has questions, lists."""
    captions, others = tokens_of(train), tokens_of(described)
    words = choose(captions + others)
    texts, source, tokens = [], [], []
    for number, (picture, several) in enumerate(zip(described.pictures, others, strict=True)):
        for sentence, one in zip(picture.sentences, several, strict=True):
            if SHORTEST <= len(one) <= LONGEST:
                texts.append(sentence)
                source.append(number)
                tokens.append(one)
    bags = words.bags(tokens)
    asked = Split("pictures with questions", questions.pictures)
    known = named(questions, words)
    first = known + SEEN * seen(asked, words, encoder)
    features = [pooled(encoder, split) for split in (train, asked)]
    guess = expected(*nearest(first, bags, words), bags)
    found = cross_fitted((features[0], fractions(captions, words)), (features[1], guess), seed)
    cosines, numbers = nearest(torch.maximum(found, ASKED * known), bags, words)
    return [[texts[number] for number in row]
            for row in consensus(cosines, numbers, bags, words, source, count)]


def seen(split, words, encoder):
    """Return the probability (P, W) that the encoder's classifier gives words, 0 below LEAST."""
    probabilities = cached_concepts(split, encoder)
    places = {word: place for place, word in enumerate(words.words)}
    found = torch.zeros(len(split.pictures), len(places))
    for column, word in zip(probabilities.T, WORDS, strict=True):
        if word in places:
            found[:, places[word]] = column * (column >= LEAST)
    return found


def pooled(encoder, split):
    """Return the encoder's pooled features (P, D) of a split, in float32."""
    return torch.tensor(cached_features(Backbone(encoder), transform_of(encoder), split)[0]).float()
