"""What the benchmark compares with: encoding and training, written as captioning tutorials do.

    encode          eager float32, batches of 32, pictures read by the process that computes
    pooled          features of regions, one picture after another
    UsualDataset    annotation file -> vocabulary and lengths, each caption tokenised for both
    usual_steps     iterator rebuilt at each step, picture decoded and encoded for each caption
    CachedDataset   features from an array; plain_steps: shuffled batches, padded to the longest

No step is slower here than in the code it stands for, and every result must equal ours.

Shape letters:  B captions   T tokens   V vocabulary   E embedding   H hidden   D channels
"""

import copy
import json
from collections import Counter
from itertools import islice

import numpy as np
import torch
from nltk.tokenize import word_tokenize
from PIL import Image
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import BatchSampler, DataLoader, Dataset, SubsetRandomSampler
from torchvision import transforms
from torchvision.ops import roi_align
from torchvision.transforms import InterpolationMode

from encoders.regions import POINTS
from vocabulary import END_ID, END_WORD, START_ID, START_WORD, UNK_ID, UNK_WORD

BATCH_SIZE = 32             # pictures in a pass through the encoder


def usual_transform(transform):
    """Build of torchvision's parts what does the same as `transform`."""
    return transforms.Compose([
        transforms.Resize((transform.size, transform.size), InterpolationMode.BICUBIC),
        transforms.ToTensor(), transforms.Normalize(transform.mean, transform.std)])


class PictureDataset(Dataset):
    """Picture files as a network's input."""

    def __init__(self, files, transform):
        self.files, self.transform = files, transform

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        return self.transform(Image.open(self.files[index]).convert("RGB"))


@torch.no_grad()
def encode(network, transform, files, path):
    """Write the grid features of picture files to `path`, (pictures, L, D) float16."""
    loader = DataLoader(PictureDataset(files, transform), BATCH_SIZE)
    maps = [network(images).flatten(2).transpose(1, 2).half() for images in loader]
    np.save(path, torch.cat(maps).numpy())


def pooled(maps, boxes):
    """Pool the features (P, K, D) of boxes (P, K, 4), fractions, from maps (P, C, s, s)."""
    rows = []
    for picture, mine in enumerate(boxes):
        parts = [roi_align(one[picture:picture + 1].contiguous(), [mine * one.shape[2]],
                           output_size=1, sampling_ratio=POINTS, aligned=True) for one in maps]
        rows.append(torch.cat(parts, dim=1).flatten(1))
    return torch.stack(rows)


class UsualDataset(Dataset):
    """A COCO captions file as the coursework's loader opens it: every caption tokenised twice."""

    def __init__(self, annotations_file, folder=None, transform=None, threshold=5):
        with open(annotations_file, encoding="utf-8") as file:
            content = json.load(file)
        self.annotations, self.folder, self.transform = content["annotations"], folder, transform
        self.file_names = {image["id"]: image["file_name"] for image in content["images"]}
        counts = Counter()
        for annotation in self.annotations:
            counts.update(self.tokens(annotation))
        kept = [word for word, count in counts.items() if count >= threshold]
        kept.sort(key=lambda word: (-counts[word], word))
        self.words = [START_WORD, END_WORD, UNK_WORD, *kept]
        self.ids = {word: index for index, word in enumerate(self.words)}
        self.lengths = [len(self.tokens(annotation)) for annotation in self.annotations]

    @staticmethod
    def tokens(annotation):
        """Return the words of an annotation."""
        return word_tokenize(annotation["caption"].lower(), preserve_line=True)

    def caption(self, index):
        """Return the ids of a caption, `<start>` and `<end>` included."""
        words = self.tokens(self.annotations[index])
        return torch.tensor([START_ID, *(self.ids.get(w, UNK_ID) for w in words), END_ID])

    def __len__(self):
        return len(self.annotations)

    def __getitem__(self, index):
        name = self.file_names[self.annotations[index]["image_id"]]
        return self.transform(Image.open(self.folder / name).convert("RGB")), self.caption(index)

    def draw(self, batch_size):
        """Draw indices of captions of one length, each length as often as it occurs."""
        length = np.random.choice(self.lengths)
        candidates = np.where([one == length for one in self.lengths])[0]
        return list(np.random.choice(candidates, size=batch_size))


def plain_network(backbone):
    """Copy the backbone's stages, in PyTorch's own memory layout."""
    return nn.Sequential(*copy.deepcopy(backbone.stages)).to(
        memory_format=torch.contiguous_format).eval()


class PlainModel(nn.Module):
    """The seed model with a frozen encoder's features (B, D) as input, in float32.

    Its parameters have the names of ours, whose values it can load.
    """

    def __init__(self, channels, embed, hidden, vocab, dropout, inject):
        super().__init__()
        self.inject = inject
        self.embed = nn.Linear(channels, embed)
        self.norm = nn.LayerNorm(embed)
        self.words = nn.Embedding(vocab, embed)
        self.drop = nn.Dropout(dropout)
        self.lstm = nn.LSTM(embed, hidden, batch_first=True)
        self.scores = nn.Linear(hidden, vocab)

    def forward(self, features, captions):
        """Score every word under teacher forcing: features (B, D), captions (B, T) -> (B, T, V)."""
        image = self.norm(self.embed(features)).unsqueeze(1)                   # (B, 1, E)
        words = self.drop(self.words(captions[:, :-1]))                        # (B, T-1, E)
        if self.inject == "every":
            words = words + image
        hidden, _ = self.lstm(torch.cat([image, words], dim=1))                # (B, T, H)
        return self.scores(self.drop(hidden))

    @classmethod
    def like(cls, captioner):
        """Build one with the sizes and the weights of our captioner."""
        sizes = captioner.architecture["decoder"]
        model = cls(captioner.encoder.backbone.channels, sizes["embed_size"],
                    sizes["hidden_size"], len(captioner.vocab), sizes["dropout"],
                    captioner.decoder.inject)
        embed = {f"embed.{name}": one for name, one in captioner.encoder.embed.state_dict().items()}
        model.load_state_dict({**captioner.decoder.state_dict(), **embed})
        return model


def plain_step(model, optimizer, features, captions, lengths, clip=5.0):
    """Take one optimizer step in float32 and return the loss per word."""
    place = torch.arange(captions.shape[1])
    counts = (place > 0) & (place < lengths[:, None])
    scores = model(features, captions)
    loss = nn.functional.cross_entropy(scores.flatten(0, 1),
                                       captions.masked_fill(~counts, -100).flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return loss.item()


def usual_steps(dataset, batch_size, network, model, optimizer, steps):
    """Run the coursework's loop and return how many ids it has trained on."""
    ids = 0
    for _ in range(steps):
        # the loop's own cost: an iterator a step, and no picture or feature is used twice
        sampler = SubsetRandomSampler(dataset.draw(batch_size))
        loader = DataLoader(dataset, batch_sampler=BatchSampler(sampler, batch_size, False))
        images, captions = next(iter(loader))
        with torch.no_grad():
            features = network(images).mean((2, 3))
        lengths = torch.full((len(captions),), captions.shape[1])
        plain_step(model, optimizer, features, captions, lengths)
        ids += captions.numel()
    return ids


class CachedDataset(Dataset):
    """The captions of a `UsualDataset` as ids, and features from an array (pictures, D)."""

    def __init__(self, features, usual):
        rows = {id: row for row, id in enumerate(usual.file_names)}
        self.features = features
        self.pictures = [rows[annotation["image_id"]] for annotation in usual.annotations]
        self.captions = [usual.caption(index) for index in range(len(usual))]

    def __len__(self):
        return len(self.captions)

    def __getitem__(self, index):
        features = torch.from_numpy(self.features[self.pictures[index]].astype(np.float32))
        return features, self.captions[index]


def padded(items):
    """Collate items of `CachedDataset`, captions filled with `<end>` to the longest."""
    features, captions = zip(*items, strict=True)
    lengths = torch.tensor([len(caption) for caption in captions])
    return (torch.stack(features),
            pad_sequence(captions, batch_first=True, padding_value=END_ID), lengths)


def plain_steps(dataset, batch_size, model, optimizer, steps):
    """Run the plain loop over shuffled batches and return how many ids it has trained on."""
    ids = 0
    loader = DataLoader(dataset, batch_size, shuffle=True, collate_fn=padded)
    for features, captions, lengths in islice(loader, steps):
        plain_step(model, optimizer, features, captions, lengths)
        ids += int(lengths.sum())
    return ids
