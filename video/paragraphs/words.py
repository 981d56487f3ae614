"""Paragraphs as integers, and batches of them with the features of their clips.

    sentence --words_of--> words without the last stop --Vocabulary--> ids --sentence_of--> sentence
    Told, ClipFeatures --Part--> order of batches, Batch

A sentence stands as a caption does, from `<start>` to `<end>`; in training a paragraph has one row
for every sentence. Mirrored, a clip's grid is reversed from left to right, and left and right are
exchanged in its sentences, which stay true.

Shape letters:  P clips   B paragraphs   S sentences   W words   T frames   L grid cells
                D channels
"""

from typing import NamedTuple

import numpy as np
import torch

from system.files import BadInput
from system.processor import to_device
from video.paragraphs.sight import MOMENT, mirrored, when
from vocabulary import END_ID, START_ID, Vocabulary, tokenize

SIDES = ("left", "right")   # words that are exchanged in a mirrored clip


def words_of(sentence):
    """Return the words of a sentence, lower case, without its last stop."""
    words = tokenize(sentence)
    return words[:-1] if words and words[-1] == "." else words


def sentence_of(text):
    """Return words that the vocabulary has joined as a sentence is written."""
    return text[:1].upper() + text[1:] + "."


def vocabulary_of(told, threshold):
    """Return the words that occur `threshold` times in paragraphs; `BadInput` if there are none."""
    vocab = Vocabulary.build((words_of(one.sentence) for several in told.paragraphs
                              for segments in several for one in segments), threshold)
    if len(vocab) == len(Vocabulary(words=[])):
        raise BadInput(f"no word occurs {threshold} times in the paragraphs of train: give a lower "
                       "--vocab-threshold, such as 1, or more clips")
    return vocab


class Batch(NamedTuple):
    """Clips and paragraphs about them; clip p owns the paragraphs p * k to p * k + k - 1, k = B/P.

    features (P, T, L, D) or (P, T, D), of which frames (P, T) are there.  sentences (B, S, W): ids,
    filled with `<end>`.  lengths (B, S): words and `<end>` of a sentence, 0 where there is none; S
    is one more than the most sentences.  moments (B, S, T, 4): see `sight.when`.  inside (B, S, T):
    whether a frame lies in the span of a sentence, and starts (P, T): whether a sentence of any
    paragraph starts at it; both are known in training only.
    """

    features: torch.Tensor
    frames: torch.Tensor
    sentences: torch.Tensor
    lengths: torch.Tensor
    moments: torch.Tensor
    inside: torch.Tensor
    starts: torch.Tensor

    def to(self, device):
        """Return the batch on a device."""
        return Batch(*(to_device(one, device) for one in self))


class Part:
    """The clips and paragraphs of a split, as ids, with the features of the clips.

    longest: ids of a sentence at most, `<start>` and `<end>` counted; most: sentences of a
    paragraph. What is beyond is cut off.  segments: a sentence looks at its own span; else all look
    at the whole clip.
    """

    def __init__(self, told, vocab, features, durations, settings):
        self.features, self.durations = features, durations
        self.segments = settings.segments
        # a side that was not learned would exchange all unknown words
        self.swap = {vocab(one): vocab(other) for one, other in (SIDES, SIDES[::-1])
                     if one in vocab}
        paragraphs = [[part[:settings.most] for part in several] for several in told.paragraphs]
        self.ids = [[[vocab.encode(words_of(one.sentence)[:settings.longest - 2]) for one in part]
                     for part in several] for several in paragraphs]
        self.spans = [[[(one.start, one.end) for one in part] for part in several]
                      for several in paragraphs]
        self.begun = [self.beginnings(clip) for clip in range(len(paragraphs))]

    def __len__(self):
        return len(self.ids)

    def batch(self, clips, rng=None, each=1, mirror=False, counted=True):
        """Return a `Batch` of clips with `each` of their paragraphs, drawn by `rng`.

        rng: None takes the first ones.  mirror: half of the clips are mirrored.  counted: False
        gives lengths of 0, of a batch that is to change nothing.
        """
        features, frames = self.features.batch(clips)
        features = torch.from_numpy(features).float()
        flipped = rng.random(len(clips)) < 0.5 if mirror else np.zeros(len(clips), bool)
        if mirror:
            features[flipped] = mirrored(features[flipped])
        rows = [(clip, place, flip) for clip, flip in zip(clips, flipped, strict=True)
                for place in drawn(len(self.ids[clip]), each, rng)]
        return Batch(features, torch.from_numpy(frames), *self.written(rows, counted),
                     *self.moments(rows, frames.shape[1]),
                     self.starts(clips, frames.shape[1]))

    def written(self, rows, counted):
        """Return sentences (B, S, W) and lengths (B, S) of (clip, paragraph, mirrored) rows."""
        paragraphs = [self.ids[clip][place] for clip, place, _ in rows]
        most = max(map(len, paragraphs)) + 1
        widest = max(len(ids) for sentences in paragraphs for ids in sentences)
        found = torch.full((len(rows), most, widest), END_ID)
        found[:, :, 0] = START_ID
        lengths = torch.zeros(len(rows), most, dtype=torch.long)
        for b, (sentences, (*_, flip)) in enumerate(zip(paragraphs, rows, strict=True)):
            for s, ids in enumerate(sentences):
                ids = [self.swap.get(word, word) for word in ids] if flip else ids
                found[b, s, :len(ids)] = torch.tensor(ids)
                lengths[b, s] = counted * (len(ids) - 1)
        return found, lengths

    def moments(self, rows, frames):
        """Return `sight.when` of the sentences of rows, (B, S, frames, 4), and `inside` of a Batch.
        """
        most = max(len(self.ids[clip][place]) for clip, place, _ in rows) + 1
        found = torch.zeros(len(rows), most, frames, MOMENT)
        inside = torch.zeros(len(rows), most, frames, dtype=torch.bool)
        for b, (clip, place, _) in enumerate(rows):
            times, duration = self.features.of(clip)[1], self.durations[clip]
            own = self.spans[clip][place]
            whole = [(0.0, duration)] * (most - len(own))
            spans = when(times, [*own, *whole], duration)
            inside[b, :, :len(times)] = spans[..., 0] > 0
            if not self.segments:
                spans = when(times, [(0.0, duration)] * most, duration)
            found[b, :, :len(times)] = spans
        return found, inside

    def starts(self, clips, frames):
        """Return at which frames of clips a sentence of any paragraph starts, (P, frames)."""
        found = torch.zeros(len(clips), frames, dtype=torch.bool)
        for row, clip in zip(found, clips, strict=True):
            row[self.begun[clip]] = True
        return found

    def beginnings(self, clip):
        """Return the places of the frames at which a sentence of a clip starts."""
        times, duration = self.features.of(clip)[1], self.durations[clip]
        return [min(np.searchsorted(times, start - 1e-2), len(times) - 1)
                for spans in self.spans[clip] for start, end in spans
                if end - start < duration - 1e-2]       # else it tells no step, but the clip


def drawn(count, each, rng):
    """Return `each` of `count` places: drawn by `rng`, or the first ones; again and again if fewer.
    """
    order = np.arange(count) if rng is None else rng.permutation(count)
    return np.resize(order, each).tolist()
