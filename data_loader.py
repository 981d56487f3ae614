"""COCO-format captions -> batches: cached features or images, captions, lengths.

    Split --CaptionData--> features (B, D), captions (B, T), lengths (B,)      the project's way
    get_loader(transform, mode) -> images (B, 3, 224, 224), captions (B, T)    the coursework's way

An epoch is a pass without replacement. Captions of like length share a batch, so there is almost
nothing to pad; what there is, is filled with `<end>` and masked by `lengths`. The order is a
function of seed and epoch alone, hence the same in every run, process and resumption.

Shape letters:  B captions   T tokens   D channels of the encoder
"""

import hashlib
import json
import os
import signal
from pathlib import Path

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
    """The words of every sentence of a split as `Tokens`: tokenised once and kept on disk."""
    sentences = split.sentences
    name = hashlib.sha256(json.dumps(sentences).encode()).hexdigest()[:20]
    path = Path(cache or CACHE) / "tokens" / f"{name}.safetensors"
    if not path.exists():
        tokens = Tokens.of(sentences)
        words = np.array(bytearray(" ".join(tokens.words), "utf-8", "surrogatepass"))
        arrays = {"words": words, "ids": tokens.ids, "lengths": tokens.lengths}
        tensor_file.write(path, "tokens", 1, {
            name: torch.from_numpy(array) for name, array in arrays.items()}, {})
    tensors, _ = tensor_file.read(path, "tokens", 1, "delete it, and it is made again")
    words, ids, lengths = (tensors[name].numpy() for name in ("words", "ids", "lengths"))
    return Tokens(bytes(words).decode("utf-8", "surrogatepass").split(), ids, lengths)


def as_captions(tokens, vocab):
    """Tokens -> captions (sentences, T) filled with `<end>`, and their lengths (sentences,)."""
    lengths = np.minimum(tokens.lengths + 2, LONGEST).astype(np.int64)
    captions = np.full((len(lengths), lengths.max()), END_ID, np.int64)
    captions[:, 0] = START_ID
    known = np.array([vocab(word) for word in tokens.words], np.int64)
    first = np.cumsum(tokens.lengths) - tokens.lengths      # where in `ids` a sentence begins
    rows = np.arange(len(lengths))
    for place in range(captions.shape[1] - 1):
        rows = rows[tokens.lengths[rows] > place]
        captions[rows, place + 1] = known[tokens.ids[first[rows] + place]]
    return torch.from_numpy(captions), torch.from_numpy(lengths)


class CaptionData:
    """A split as integers, ready to be cut into batches.

    features: the array of `cached_features`, or None to read pictures with `transform` each time.
    Row i of `captions` (one int64 tensor, filled with `<end>`) has `lengths[i]` ids and describes
    picture `picture[i]`.
    """

    def __init__(self, split, vocab, features=None, transform=None):
        self.split, self.features, self.transform = split, features, transform
        self.captions, self.lengths = as_captions(tokenized(split), vocab)
        self.picture = np.repeat(np.arange(len(split.pictures)),
                                 [len(picture.sentences) for picture in split.pictures])

    def __len__(self):
        return len(self.captions)

    def order(self, batch_size, seed, epoch, one_per_picture=False, together=0):
        """The captions of each batch of an epoch: a list of index arrays.

        together: so many captions of each picture stand side by side, so that what depends on the
        picture alone is computed once for them; a picture with more gives a part of them, one with
        fewer gives some twice. 0: each caption stands by itself, among others of its length.
        """
        random = np.random.default_rng([seed, epoch])
        order = random.permutation(len(self))
        if one_per_picture:
            order = order[np.sort(np.unique(self.picture[order], return_index=True)[1])]
        groups = self.side_by_side(order, together) if together else order[:, None]
        longest = self.lengths.numpy()[groups].max(axis=1)
        groups = groups[np.argsort(longest, kind="stable")]
        size = max(1, batch_size // groups.shape[1])
        batches = [groups[start:start + size].flatten() for start in range(0, len(groups), size)]
        return [batches[index] for index in random.permutation(len(batches))]

    def side_by_side(self, order, together):
        """(pictures, together): captions of each picture, in the order of `order`."""
        order = order[np.argsort(self.picture[order], kind="stable")]
        counts = np.bincount(self.picture[order])
        counts, begin = counts[counts > 0], np.cumsum(counts)[counts > 0] - counts[counts > 0]
        return order[begin[:, None] + np.arange(together) % counts[:, None]]

    def share(self, index, part, together=0):
        """One process's captions of the batch `index`, and their lengths; part: (rank, world)."""
        groups = index.reshape(-1, max(1, together))
        mine = groups[part[0]::part[1]].flatten()
        if len(mine):
            return mine, self.lengths[mine]
        # captions of which no word counts
        return groups[0], torch.ones(len(groups[0]), dtype=torch.long)

    def batch(self, index, seed=0, epoch=0, part=(0, 1), together=0):
        """The captions `index` with their features, one view drawn per picture and epoch."""
        index, lengths = self.share(index, part, together)
        captions = self.captions[index, :int(lengths.max())]
        pictures = self.picture[index[::max(1, together)]]
        views = np.random.default_rng([seed, epoch, 1]).integers(
            len(self.features), size=len(self.split.pictures))
        features = torch.from_numpy(self.features[views[pictures], pictures]).float()
        return features, captions, lengths

    def batches(self, batch_size, seed=0, epoch=0, start=0, one_per_picture=False, workers=0,
                part=(0, 1), together=0, numbers=False):
        """Yield (features or images, captions, lengths) of one epoch, from batch `start` on.

        part: (rank, world), where `world` processes share each batch out among them.  together: see
        `order`; there is then one picture for so many captions.  numbers: give those of the
        pictures (P,) in place of captions and lengths.
        """
        order = self.order(batch_size, seed, epoch, one_per_picture, together)[start:]
        if self.features is not None:
            found = (self.batch(index, seed, epoch, part, together) for index in order)
        else:
            pictures = PictureBatches(self, order, seed, epoch, part, together)
            found = DataLoader(pictures, batch_size=None, num_workers=workers,
                               worker_init_fn=work_through_interrupts)
        for index, batch in zip(order, found, strict=True):
            mine, _ = self.share(index, part, together)
            yield (batch[0], torch.from_numpy(self.picture[mine])) if numbers else batch


def work_through_interrupts(_):
    """A terminal sends Ctrl-C to the workers too: leave it to their parent to stop them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class PictureBatches(Dataset):
    """The batches of one epoch with pictures read and augmented: item i is batch i.

    The augmentation depends on seed, epoch and picture, never on which worker reads it.
    """

    def __init__(self, data, order, seed, epoch, part=(0, 1), together=0):
        self.data, self.order, self.seed, self.epoch = data, order, seed, epoch
        self.part, self.together = part, together

    def __len__(self):
        return len(self.order)

    def __getitem__(self, number):
        data = self.data
        index, lengths = data.share(self.order[number], self.part, self.together)
        images = [load(data.split.pictures[picture], data.transform, self.epoch + 1, self.seed)
                  for picture in data.picture[index[::max(1, self.together)]]]
        return torch.stack(images), data.captions[index, :int(lengths.max())], lengths


# The coursework's loader: the names, arguments and paths of its notebooks, kept as they are.

def get_loader(transform, mode="train", batch_size=1, vocab_threshold=None,
               vocab_file="./vocab.pkl", start_word=START_WORD, end_word=END_WORD,
               unk_word=UNK_WORD, vocab_from_file=True, num_workers=0, cocoapi_loc="/opt"):
    """A DataLoader over COCO 2014 under `<cocoapi_loc>/cocoapi`.

    mode "train" gives images (B, 3, S, S) and captions (B, T) of one length per batch; mode "test"
    gives the picture (1, height, width, 3) and its transform (1, 3, S, S), one at a time.
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
    """pycocotools' COCO over a captions file, which it would itself read unchecked.

    It gets no categories, since captions have none, and annotations with ids of our own, since of
    two with one id it would forget one.
    """
    images, annotations = read_annotations(annotations_file)
    captions_by_image(annotations_file, images, annotations)
    coco = COCO()
    coco.dataset = {"images": images, "annotations": [
        {**one, "id": number} for number, one in enumerate(annotations)
        if says_something(one["caption"])]}
    coco.createIndex()
    return coco


def refuse_strange(vocab, sentences_of_words, file):
    """Raise `BadInput` if a vocabulary was made from other captions: it knows few of the words."""
    words = [word for words in sentences_of_words for word in words]
    known = sum(word in vocab for word in words) / len(words)
    if known < 0.5:
        raise BadInput(f"{file} knows {known:.0%} of the words of these captions, so it was made "
                       "from others: vocab_from_file=False makes it again")


class CoCoDataset(Dataset):
    """COCO 2014 as the coursework reads it: one caption an item, or one picture in test mode."""

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
        """Indices of `batch_size` captions of one length, drawn as often as that length occurs."""
        length = np.random.choice(self.caption_lengths)
        candidates = np.flatnonzero(np.asarray(self.caption_lengths) == length)
        short = len(candidates) < self.batch_size
        return list(np.random.choice(candidates, self.batch_size, replace=short))
