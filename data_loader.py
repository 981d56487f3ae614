"""COCO-format captions -> batches: cached features or images, captions, lengths.

    Split --CaptionData--> Batch: images, captions, lengths, pictures          the project's way
    get_loader(transform, mode) -> images (B, 3, 224, 224), captions (B, T)    the coursework's way

An epoch is a pass without replacement. Captions of like length stand in one batch, so there is
almost nothing to pad; what there is, is filled with `<end>` and masked by `lengths`. The order is a
function of only seed and epoch, hence the same in every run, process and resumption.

Shape letters:  P pictures   B captions   T tokens   L grid cells   D channels   S side in pixels
"""

import hashlib
import json
import os
import signal
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from pycocotools.coco import COCO
from torch.utils.data import BatchSampler, DataLoader, Dataset, SubsetRandomSampler

from coco.dataset import captions_by_image, read_annotations, says_something
from coco.pictures import open_picture
from encoders.features import load
from system import tensor_file
from system.cache import CACHE
from system.files import BadInput
from system.processor import to_device
from vocabulary import (
    END_ID,
    END_WORD,
    START_ID,
    START_WORD,
    UNK_WORD,
    Tokens,
    Vocabulary,
    tokenize,
)

LONGEST = 50                # ids; one caption of 10,000 words must not set the size of a batch


def tokenized(split, cache=None):
    """Return the words of every sentence of a split, tokenised once and then kept on disk."""
    sentences = split.sentences
    name = hashlib.sha256(json.dumps(sentences).encode()).hexdigest()[:20]
    path = Path(cache or CACHE) / "tokens" / f"{name}.safetensors"
    try:
        tensors, _ = tensor_file.read(path, "tokens", 1, "")
    except BadInput:                # not there, or damaged
        tokens = Tokens.of(sentences)
        words = np.array(bytearray(" ".join(tokens.words), "utf-8", "surrogatepass"))
        arrays = {"words": words, "ids": tokens.ids, "lengths": tokens.lengths}
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        tensor_file.write(path, "tokens", 1, tensors, {})
    words, ids, lengths = (tensors[name].numpy() for name in ("words", "ids", "lengths"))
    return Tokens(bytes(words).decode("utf-8", "surrogatepass").split(), ids, lengths)


def as_captions(tokens, vocab, longest=LONGEST):
    """Return captions (sentences, T), filled with `<end>`, and lengths (sentences,) of tokens."""
    lengths = np.minimum(tokens.lengths + 2, longest).astype(np.int64)
    captions = np.full((len(lengths), lengths.max()), END_ID, np.int64)
    captions[:, 0] = START_ID
    known = np.array([vocab(word) for word in tokens.words], np.int64)
    first = np.cumsum(tokens.lengths) - tokens.lengths      # where in `ids` a sentence begins
    rows = np.arange(len(lengths))
    for place in range(captions.shape[1] - 1):
        rows = rows[tokens.lengths[rows] > place]
        captions[rows, place + 1] = known[tokens.ids[first[rows] + place]]
    return torch.from_numpy(captions), torch.from_numpy(lengths)


class Batch(NamedTuple):
    """Captions with what the decoder reads of their pictures; B is a multiple of P.

    images: features (P, D) or (P, L, D), or pictures (P, 3, S, S).  captions: ids (B, T), those of
    a picture side by side.  lengths (B,) and pictures (P,), numbers of pictures in the split, stay
    on the CPU, where they are needed.
    """

    images: torch.Tensor
    captions: torch.Tensor
    lengths: torch.Tensor
    pictures: torch.Tensor

    def to(self, device):
        """Return the batch with images and captions on `device`."""
        return self._replace(images=to_device(self.images, device),
                             captions=to_device(self.captions, device))


class Rows(NamedTuple):
    """Which captions and pictures a process reads in one batch, as arrays of their numbers.

    counted: False for a process that has no part of the batch: it reads captions of which no word
    counts, since every process must take part in every step.
    """

    captions: np.ndarray        # (B,)
    pictures: np.ndarray        # (P,)
    counted: bool


class CaptionData:
    """A split as integers, ready to be cut into batches.

    features: the array of `cached_features`, or None to read pictures with `transform` each time.
    longest: ids at which a caption is cut.
    Row i of `captions` (one int64 tensor, filled with `<end>`) has `lengths[i]` ids and describes
    picture `picture[i]`.
    """

    def __init__(self, split, vocab, features=None, transform=None, longest=LONGEST):
        self.split, self.features, self.transform = split, features, transform
        self.captions, self.lengths = as_captions(tokenized(split), vocab, longest)
        self.picture = np.repeat(np.arange(len(split.pictures)),
                                 [len(picture.sentences) for picture in split.pictures])

    def __len__(self):
        return len(self.captions)

    def order(self, batch_size, seed=0, epoch=0, one_per_picture=False, captions_per_picture=0,
              part=(0, 1)):
        """Return the `Rows` of each batch of an epoch, for process `part` = (rank, world_size).

        captions_per_picture: captions of each picture that stand side by side, so that what depends
        only on the picture is computed once for them; a picture with fewer gives some twice. 0:
        each caption stands by itself, among others of its length.
        """
        random = np.random.default_rng([seed, epoch])
        order = random.permutation(len(self))
        if one_per_picture:
            order = order[np.sort(np.unique(self.picture[order], return_index=True)[1])]
        groups = (self.side_by_side(order, captions_per_picture) if captions_per_picture
                  else order[:, None])                                  # (pictures, captions each)
        longest = self.lengths.numpy()[groups].max(axis=1)
        groups = groups[np.argsort(longest, kind="stable")]
        size = max(1, batch_size // groups.shape[1])
        batches = [groups[start:start + size] for start in range(0, len(groups), size)]
        return [self.rows(batches[index], part) for index in random.permutation(len(batches))]

    def side_by_side(self, order, each):
        """Return `each` captions of every picture, (pictures, each), in the order of `order`."""
        order = order[np.argsort(self.picture[order], kind="stable")]
        counts = np.bincount(self.picture[order])
        counts, begin = counts[counts > 0], np.cumsum(counts)[counts > 0] - counts[counts > 0]
        return order[begin[:, None] + np.arange(each) % counts[:, None]]

    def rows(self, groups, part=(0, 1)):
        """Return one process's `Rows` of a batch of groups (pictures, captions each)."""
        rank, world_size = part
        mine = groups[rank::world_size]
        chosen = mine if len(mine) else groups[:1]
        return Rows(chosen.flatten(), self.picture[chosen[:, 0]], len(mine) > 0)

    def batch(self, rows, seed=0, epoch=0):
        """Return the `Batch` of `rows`, one view drawn per picture and epoch."""
        lengths = self.lengths[rows.captions]
        captions = self.captions[rows.captions, :int(lengths.max())]
        if not rows.counted:            # all is filling; yet a decoder has words to run on
            lengths = torch.ones_like(lengths)
        return Batch(self.images(rows.pictures, seed, epoch), captions, lengths,
                     torch.from_numpy(rows.pictures))

    def images(self, pictures, seed, epoch):
        """Return the cached features of pictures by number, or else the pictures themselves."""
        if self.features is None:
            return torch.stack([load(self.split.pictures[picture], self.transform, epoch + 1, seed)
                                for picture in pictures])
        # a view depends on seed, epoch and picture, never on which process reads it
        views = np.random.default_rng([seed, epoch, 1]).integers(
            len(self.features), size=len(self.split.pictures))
        return torch.from_numpy(self.features[views[pictures], pictures]).float()

    def read(self, order, seed=0, epoch=0, workers=0):
        """Yield the `Batch` of each `Rows` in `order`; pictures are read by `workers` processes."""
        if self.features is not None:
            yield from (self.batch(rows, seed, epoch) for rows in order)
        else:
            yield from DataLoader(PictureBatches(self, order, seed, epoch), batch_size=None,
                                  num_workers=workers, worker_init_fn=work_through_interrupts)

    def batches(self, batch_size, seed=0, epoch=0, **arguments):
        """Yield the batches of one epoch; `arguments` are those of `order`."""
        return self.read(self.order(batch_size, seed, epoch, **arguments), seed, epoch)


def work_through_interrupts(_):
    """Ignore Ctrl-C in a worker: a terminal sends it there too, and the parent stops workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class PictureBatches(Dataset):
    """The batches of one epoch with pictures read and augmented: item i is batch i."""

    def __init__(self, data, order, seed, epoch):
        self.data, self.order, self.seed, self.epoch = data, order, seed, epoch

    def __len__(self):
        return len(self.order)

    def __getitem__(self, number):
        return self.data.batch(self.order[number], self.seed, self.epoch)


# The coursework's loader: the names, arguments and paths of its notebooks, kept as they are.

def get_loader(transform, mode="train", batch_size=1, vocab_threshold=None,
               vocab_file="./vocab.pkl", start_word=START_WORD, end_word=END_WORD,
               unk_word=UNK_WORD, vocab_from_file=True, num_workers=0, cocoapi_loc="/opt"):
    """Return a DataLoader over COCO 2014 under `<cocoapi_loc>/cocoapi`.

    Its batches in mode "train" are images (B, 3, S, S) and captions (B, T) of one length; in mode
    "test" one picture (1, height, width, 3) and its transform (1, 3, S, S).
    Raises BadInput for a wrong mode or a missing vocabulary.
    """
    if mode not in ("train", "test"):
        raise BadInput(f"mode is 'train' or 'test', not {mode!r}")
    if mode == "test" and not (batch_size == 1 and vocab_from_file):
        raise BadInput("mode 'test' needs batch_size=1 and vocab_from_file=True")
    if vocab_from_file and not Path(vocab_file).exists():
        raise BadInput(f"vocab_file {vocab_file} is not there: vocab_from_file=False makes it")
    root, split = Path(cocoapi_loc) / "cocoapi", f"{mode}2014"
    kind = "captions" if mode == "train" else "image_info"
    dataset = CoCoDataset(transform, mode, batch_size, vocab_threshold, vocab_file, start_word,
                          end_word, unk_word, root / "annotations" / f"{kind}_{split}.json",
                          vocab_from_file, root / "images" / split)
    if mode == "test":
        return DataLoader(dataset, batch_size, shuffle=True, num_workers=num_workers)
    sampler = SubsetRandomSampler(dataset.get_train_indices())
    return DataLoader(dataset, num_workers=num_workers,
                      batch_sampler=BatchSampler(sampler, batch_size, drop_last=False))


def open_coco(annotations_file):
    """Return pycocotools' COCO over a captions file. Raises BadInput for a damaged file."""
    # COCO(file) would read it unchecked, and of two annotations with one id forget one
    images, annotations = read_annotations(annotations_file)
    captions_by_image(annotations_file, images, annotations)
    coco = COCO()
    coco.dataset = {"images": images, "annotations": [
        {**one, "id": number} for number, one in enumerate(annotations)
        if says_something(one["caption"])]}
    coco.createIndex()
    return coco


def refuse_strange(vocab, sentences_of_words, file):
    """Raise BadInput if a vocabulary knows less than half of the words of these captions."""
    words = [word for words in sentences_of_words for word in words]
    known = sum(word in vocab for word in words) / len(words)
    if known < 0.5:
        raise BadInput(f"{file} knows {known:.0%} of the words of these captions, so it was made "
                       "from others: vocab_from_file=False makes it again")


class CoCoDataset(Dataset):
    """The coursework's dataset over COCO 2014.

    An item in mode "train" is an image (3, S, S) and a caption (T,); in mode "test" a picture
    (height, width, 3) and its transform (3, S, S).
    """

    def __init__(self, transform, mode, batch_size, vocab_threshold, vocab_file, start_word,
                 end_word, unk_word, annotations_file, vocab_from_file, img_folder):
        self.transform, self.mode, self.batch_size = transform, mode, batch_size
        self.img_folder = img_folder
        if mode == "train":
            self.coco = open_coco(annotations_file)
            self.ids = list(self.coco.anns)
            self.words = [tokenize(self.coco.anns[id]["caption"]) for id in self.ids]
            self.caption_lengths = [len(words) for words in self.words]
        else:
            images, = read_annotations(annotations_file, ["images"])
            self.paths = [image["file_name"] for image in images]
        # COCO's test pictures have no captions, so their vocabulary only ever comes from a file
        self.vocab = Vocabulary(vocab_threshold, vocab_file, start_word, end_word, unk_word,
                                annotations_file, vocab_from_file)
        if mode == "train" and vocab_from_file:
            refuse_strange(self.vocab, self.words, vocab_file)

    def __len__(self):
        return len(self.ids if self.mode == "train" else self.paths)

    def __getitem__(self, index):
        if self.mode == "test":
            picture = open_picture(os.path.join(self.img_folder, self.paths[index]))
            return np.array(picture), self.transform(picture)
        image = self.coco.loadImgs(self.coco.anns[self.ids[index]]["image_id"])[0]
        picture = open_picture(os.path.join(self.img_folder, image["file_name"]))
        return self.transform(picture), torch.tensor(self.vocab.encode(self.words[index]))

    def get_train_indices(self):
        """Draw the indices of `batch_size` captions of one length."""
        # each caption as likely as any other: the length is that of a random one
        length = np.random.choice(self.caption_lengths)
        candidates = np.flatnonzero(np.asarray(self.caption_lengths) == length)
        # a length may be too rare to fill a batch with different captions
        short = len(candidates) < self.batch_size
        return list(np.random.choice(candidates, self.batch_size, replace=short))
