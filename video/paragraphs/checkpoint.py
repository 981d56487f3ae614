"""A narrator: clips to paragraphs; and the one file that holds it whole.

    clips --features--> ClipFeatures;  features, segments --paragraphs--> lists of sentences
    path of a clip --narrate--> paragraphs, lists of sentences
    narrator --save_narrator--> best.safetensors --load_narrator--> narrator

In the file kernels and matrices are float16 and the encoder is included, so loading needs no other
file and no network. The file may come from a stranger: nothing is built before its header is
checked, and nothing loaded before every tensor is.

Shape letters:  P clips   T frames   L grid cells   D channels
"""

import math
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch

from decoders.search import Search
from encoders import transform as transforms
from encoders.backbones import NAMES, Backbone
from encoders.transform import Transform
from system import tensor_file
from system.files import BadInput
from system.processor import refuse_device
from system.shapes import misfit
from video.clips import open_clip
from video.features import ClipFeatures, cells_of, clip_features, encode_clips
from video.paragraphs.settings import MODELS
from video.paragraphs.sight import MOMENT, when
from video.paragraphs.teller import FIRST, Sizes
from video.paragraphs.words import sentence_of
from video.paragraphs.writing import write
from vocabulary import Vocabulary

KIND, FORMAT = "narrator", 2
BATCH_SIZE = 32             # clips in one pass
LARGEST = 1 << 16           # of whole numbers in a header
REMEDY = "give a run of the recipe paragraphs, or its checkpoint"
SHAPE = {
    "architecture": {"encoder": {"backbone": str},
                     "model": {"name": str, "guessed": int, "embed_size": int,
                               "hidden_size": int, "dropout": float}},
    "words": [str], "rate": float, "segments": bool, "longest": int, "most": int, "about": dict,
    "transform": transforms.SHAPE,
}


@dataclass
class Narrator:
    """An encoder and a model of paragraphs, with the words it knows.

    rate: frames a second it looks at.  segments: whether it is to be given the parts of a clip.
    longest: ids of a sentence at most; most: sentences.  about: settings, scores, versions.
    """

    backbone: torch.nn.Module
    model: torch.nn.Module
    vocab: Vocabulary
    transform: Transform
    architecture: dict
    rate: float
    segments: bool
    longest: int
    most: int
    about: dict

    @classmethod
    def build(cls, architecture, vocab, transform, rate, segments, longest, most,
              weights="pretrained"):
        """Build an untrained narrator; `architecture` has the arguments of both networks."""
        backbone = Backbone(architecture["encoder"]["backbone"], weights, grid=True)
        dials = {key: value for key, value in architecture["model"].items() if key != "name"}
        model = MODELS[architecture["model"]["name"]](Sizes(
            backbone.channels, cells_of(backbone, transform), len(vocab), **dials))
        return cls(backbone, model, vocab, transform, architecture, rate, segments, longest, most,
                   {})

    def features(self, clips, name="clips"):
        """Return the `ClipFeatures` of clips, computed only once."""
        return clip_features(self.backbone, self.transform, clips, rate=self.rate, name=name)

    def search(self, **changes):
        """Return the `Search` for a sentence of this narrator."""
        return Search(**{"max_length": self.longest, **changes})

    def paragraphs(self, features, durations, segments=None, search=None):
        """Return the sentences about each of the P clips of `ClipFeatures`.

        durations: of each clip, in seconds.  segments: of each clip the spans that its sentences
        are to tell, pairs of seconds, which a narrator of segments needs.
        """
        if segments is None and self.segments:
            raise BadInput("this checkpoint tells given parts of a clip, and none are given: train "
                           "one with --no-segments")
        segments = segments if self.segments else None
        search, found = search or self.search(), []
        for start in range(0, len(features), BATCH_SIZE):
            clips = range(start, min(start + BATCH_SIZE, len(features)))
            found += self.some(features, clips, durations, segments, search)
        return found

    def some(self, features, clips, durations, segments, search):
        """Return the sentences about some clips by their places; see `paragraphs`."""
        device = self.model.output.bias.device
        rows, frames = features.batch(clips)
        moments = torch.zeros(len(clips), self.most, frames.shape[1], MOMENT)
        for place, clip in enumerate(clips):
            times, duration = features.of(clip)[1], durations[clip]
            spans = [*segments[clip][:self.most]] if segments else []
            spans += [(0.0, duration)] * (self.most - len(spans))
            moments[place, :, :len(times)] = when(times, spans, duration)
        count = None
        if segments:
            count = torch.tensor([len(segments[clip]) for clip in clips], device=device)
        captions = write(self.model, torch.from_numpy(rows).float().to(device),
                         torch.from_numpy(frames).to(device), moments.to(device), search, count)
        return [[sentence_of(self.vocab.decode(one)) for one in paragraph]
                for paragraph in captions]

    def narrate(self, path, search=None):
        """Return the paragraphs about the clip at a path, each a list of sentences.

        They are `search.captions`, of which only sampled ones can be several. Raises `BadInput`
        for a path at which is no clip.
        """
        clip, search = open_clip(path), search or self.search()
        one = encode_clips(self.backbone, self.transform, [clip], rate=self.rate)
        times = search.captions
        every = ClipFeatures(np.concatenate([one.rows] * times),
                             np.arange(times + 1) * len(one.rows),
                             np.concatenate([one.times] * times))
        return self.paragraphs(every, [clip.duration] * times, search=replace(search, captions=1))

    def tensors(self):
        """Return the weights and buffers of both networks by name, those of a checkpoint."""
        return {f"{part}.{name}": tensor for part in ("backbone", "model")
                for name, tensor in getattr(self, part).state_dict().items()}

    def load_tensors(self, tensors, assign=False):
        """Load what `tensors` returned; `assign` puts the tensors in place instead of copying them.
        """
        for part in ("backbone", "model"):
            getattr(self, part).load_state_dict({
                name.removeprefix(f"{part}."): tensor for name, tensor in tensors.items()
                if name.startswith(f"{part}.")}, assign=assign)


def save_narrator(path, narrator, **about):
    """Write a self-contained checkpoint; `about` (settings, scores) goes into its header."""
    fields = ("architecture", "rate", "segments", "longest", "most")
    header = {**{name: getattr(narrator, name) for name in fields}, "words": narrator.vocab.words,
              "transform": asdict(narrator.transform)}
    tensor_file.save(path, KIND, FORMAT, narrator, header, about)


def load_narrator(path, device="cpu"):
    """Read a checkpoint, or the best one of a run's folder, ready to use on `device`.

    Raises `BadInput` for a file that `save_narrator` did not write, and for a device that cannot
    be used.
    """
    refuse_device(device)
    narrator = tensor_file.load(path, KIND, FORMAT, REMEDY, build_empty)
    narrator.model.eval()
    narrator.model.to(device)
    narrator.backbone.to(device)
    return narrator


def build_empty(header):
    """Build the narrator of a header, its tensors without memory; `BadInput` if it is unsound."""
    refuse_unsound(header)
    fields = {key: header[key] for key in ("architecture", "rate", "segments", "longest", "most")}
    with tensor_file.no_memory():
        found = Narrator.build(vocab=Vocabulary(words=header["words"][FIRST:]),
                               transform=Transform.from_header(header["transform"]),
                               weights=None, **fields)
    return replace(found, about=header["about"])


def refuse_unsound(header):
    """Raise `BadInput` unless every field has its type and a sane value."""
    if place := misfit(header, SHAPE, "its header"):
        raise BadInput(f"{place} is not what it should be")
    encoder, model = (header["architecture"][key] for key in ("encoder", "model"))
    words = header["words"]
    sizes = [model["embed_size"], model["hidden_size"], model["guessed"], header["most"]]
    tensor_file.refuse_broken({
        f"its backbone is unknown ({encoder['backbone']!r:.40})": encoder["backbone"] in NAMES,
        f"its model is unknown ({model['name']!r:.40})": model["name"] in MODELS,
        "its vocabulary is none":
            words[:FIRST] == Vocabulary(words=[]).words and len(words) > FIRST,
        "its sizes are absurd": all(1 <= size <= LARGEST for size in sizes)
            and 3 <= header["longest"] <= LARGEST and model["guessed"] <= len(words) - FIRST,
        "its dropout is no probability": 0 <= model["dropout"] < 1,
        "its frames a second are absurd": 0 < header["rate"] < math.inf,
        **transforms.rules(header["transform"]),
    })
