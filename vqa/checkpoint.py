"""An answerer: a picture and a question to answers; and the one file that holds it whole.

    split --features--> (P, D), (P, L, D) or (P, K, D + 5)     encoded once, then read from disk
    features, texts --answered--> scores (N, A)    picture, question --answer--> likeliest answers
    answerer --save_answerer--> best.safetensors --load_answerer--> answerer

In the file kernels and matrices are float16 and the encoder is included, so loading needs no other
file and no network; only an answerer of regions may, see encoders/boxes.py. The file may come from
a stranger: nothing is built before its header is checked, and nothing loaded before every tensor
is.

Shape letters:  N questions   P pictures   A answers   others as in parts.py
"""

from dataclasses import asdict, dataclass, replace

import torch

from encoders import transform as transforms
from encoders.backbones import NAMES, Backbone
from encoders.encoding import encode, fast
from encoders.features import cached_features
from encoders.transform import Transform
from system import tensor_file
from system.files import BadInput
from system.processor import refuse_device
from system.shapes import misfit
from vocabulary import UNK_ID, Vocabulary
from vqa import words
from vqa.facts import behind
from vqa.families.parts import Sizes
from vqa.settings import MODELS

KIND, FORMAT = "question answerer", 1
REMEDY = "give a run of a recipe for questions, as vqa_grounded, or its checkpoint"
BATCH_SIZE = 256            # questions in one pass
LARGEST = 1 << 16           # of whole numbers in a header
MOST = 1000                 # regions of a picture
SHAPE = {
    "architecture": {"encoder": {"backbone": str, "grid": bool},
                     "model": {"name": str, "embed_size": int, "hidden_size": int,
                               "dropout": float, "gated": bool, "streams": int, "places": bool,
                               "tokens": list | None}},
    "words": [str], "answers": [str], "longest": int, "output": str, "about": dict,
    "transform": transforms.SHAPE,
}
BOXES = {"boxes": str, "most": int, "channels": int | None, "weights": str | None,
         "names": list | None}      # a source of encoders/boxes.py, whatever its kind


@dataclass
class Answerer:
    """An encoder and a model of any family, with the words it reads and the answers it gives.

    answers: `words.Answers`.  longest: words at which a question is cut.  output: "sigmoid", each
    answer's expected accuracy, or "softmax".  about: settings, scores, versions.
    """

    backbone: torch.nn.Module
    model: torch.nn.Module
    vocab: Vocabulary
    answers: words.Answers
    transform: Transform
    architecture: dict
    longest: int
    output: str
    about: dict

    @classmethod
    def build(cls, architecture, vocab, answers, transform, longest, output, backbone=None,
              weights="pretrained"):
        """Build an untrained answerer; `architecture` has the arguments of both networks.

        backbone: the encoder, where it is there already.
        """
        backbone = backbone or build_backbone(weights, **architecture["encoder"])
        dials = {key: value for key, value in architecture["model"].items() if key != "name"}
        model = MODELS[architecture["model"]["name"]](
            Sizes(backbone.channels, len(vocab), len(answers), **dials))
        return cls(backbone, model, vocab, answers, transform, architecture, longest, output, {})

    def features(self, split):
        """Return the features (P, ...) of the pictures of a split, computed only once."""
        return cached_features(self.backbone, self.transform, split)[0]

    @torch.no_grad()
    def answered(self, features, picture, texts, beside=None):
        """Yield `Answered`, scores (B, A) and weights, of some questions after others.

        features: (P, ...).  picture: (N,), the row that each of the N questions is about.
        beside: what the model is given beside the words, (N, ...), if not what it makes of them.
        """
        self.model.eval()
        device = next(self.model.parameters()).device
        questions, lengths = words.encode(texts, self.vocab, self.longest)
        for start in range(0, len(texts), BATCH_SIZE):
            part = slice(start, start + BATCH_SIZE)
            seen = torch.from_numpy(features[picture[part]]).float().to(device)
            more = None if beside is None else beside[part].to(device)
            yield self.model(seen, questions[part].to(device), lengths[part].to(device), more)

    def sure(self, scores):
        """Return how sure each answer is, (B, A) on the CPU, of scores (B, A)."""
        return (scores.sigmoid() if self.output == "sigmoid" else scores.softmax(dim=1)).cpu()

    def predicted(self, features, picture, texts, beside=None):
        """Return the likeliest answer to each of N questions; see `answered`."""
        return [self.answers.spelled[place]
                for one in self.answered(features, picture, texts, beside)
                for place in self.sure(one.scores).argmax(dim=1).tolist()]

    def answer(self, picture, question, top=5):
        """Return (answer, probability, the fact that it is from or None) of the likeliest answers
        about a PIL picture, best first."""
        image = self.transform(picture.convert("RGB"))
        features = encode(fast(self.backbone), image[None])
        one, = self.answered(features, torch.zeros(1, dtype=torch.long).numpy(), [question])
        found, = self.sure(one.scores)
        values, places = (part.tolist() for part in found.topk(min(top, len(found))))
        facts = [None] * len(places) if one.facts is None else behind(
            self.model.table, one.facts[0].tolist(), places)
        return list(zip(map(self.answers.spelled.__getitem__, places), values, facts, strict=True))

    def unknown(self, question):
        """Return the words of a question that were in none of those it was trained on."""
        return [word for word in words.question_words(question)[:self.longest]
                if self.vocab(word) == UNK_ID]

    def tensors(self):
        """Return the weights and buffers of both networks by name, those of a checkpoint."""
        parts = {"model": self.model}
        if self.backbone.carried:
            parts["backbone"] = self.backbone
        return {f"{part}.{name}": tensor for part, module in parts.items()
                for name, tensor in module.state_dict().items()}

    def load_tensors(self, tensors, assign=False):
        """Load what `tensors` returned; `assign` puts the tensors in place instead of copying them.
        """
        for part in ("backbone", "model")[not self.backbone.carried:]:
            getattr(self, part).load_state_dict({
                name.removeprefix(f"{part}."): tensor for name, tensor in tensors.items()
                if name.startswith(f"{part}.")}, assign=assign)


def build_backbone(weights, backbone, grid, boxes=None):
    """Build the frozen encoder that pools, gives a grid or, by a source of boxes, regions."""
    if boxes is None:
        return Backbone(backbone, weights, grid)
    from encoders.boxes import BACKBONES  # imports torchvision, which takes a second
    return BACKBONES[boxes["boxes"]](backbone, weights, boxes)


def save_answerer(path, answerer, **about):
    """Write a self-contained checkpoint; `about` (settings, scores) goes into its header."""
    header = {"architecture": answerer.architecture, "words": answerer.vocab.words,
              "answers": answerer.answers.spelled, "transform": asdict(answerer.transform),
              "longest": answerer.longest, "output": answerer.output}
    tensor_file.save(path, KIND, FORMAT, answerer, header, about)


def load_answerer(path, device="cpu", boxes=None):
    """Read a checkpoint, or the best one of a run's folder, ready to use on `device`.

    boxes: what the answerer needs beside it, see `boxes.complete`. Raises `BadInput` for a file
    that `save_answerer` did not write, and for a device that cannot be used.
    """
    refuse_device(device)
    answerer = tensor_file.load(path, KIND, FORMAT, REMEDY, build_empty)
    if not answerer.backbone.carried:
        from encoders.boxes import complete  # imports torchvision
        answerer.backbone = complete(answerer.backbone, boxes)
    elif boxes:
        raise BadInput("--boxes is for checkpoints that read bottom-up features or need a "
                       "published detector, and this one has all in it: leave it out")
    answerer.model.eval()
    answerer.model.to(device)
    answerer.backbone.to(device)
    return answerer


def build_empty(header):
    """Build the answerer of a header, its tensors without memory; `BadInput` if it is unsound."""
    refuse_unsound(header)
    with tensor_file.no_memory():
        found = Answerer.build(header["architecture"], Vocabulary(words=header["words"][3:]),
                               words.Answers(header["answers"]),
                               Transform.from_header(header["transform"]), header["longest"],
                               header["output"], weights=None)
    return replace(found, about=header["about"])


def refuse_unsound(header):
    """Raise `BadInput` unless every field has its type and a sane value."""
    if place := misfit(header, SHAPE, "its header"):
        raise BadInput(f"{place} is not what it should be")
    encoder, model = (header["architecture"][key] for key in ("encoder", "model"))
    boxes = encoder.get("boxes")
    sizes = [model["embed_size"], model["hidden_size"], header["longest"]]
    tensor_file.refuse_broken({
        "its regions are absurd": boxes is None or misfit(boxes, BOXES) is None
            and encoder["grid"] and 1 <= boxes["most"] <= MOST
            and 1 <= (boxes.get("channels") or 1) <= LARGEST
            and all(isinstance(name, str) for name in boxes.get("names") or []),
        f"its backbone is unknown ({encoder['backbone']!r:.40})":
            encoder["backbone"] in NAMES or bool((boxes or {}).get("channels")),
        f"its model is unknown ({model['name']!r:.40})": model["name"] in MODELS,
        "its tokens are no texts": all(isinstance(one, str) for one in model.get("tokens") or []),
        "its sizes are absurd": all(1 <= size <= LARGEST for size in sizes),
        "its dropout is no probability": 0 <= model["dropout"] < 1,
        "its classifier has neither one nor two streams": model["streams"] in (1, 2),
        "its output is neither sigmoid nor softmax": header["output"] in ("sigmoid", "softmax"),
        "it has no answers": bool(header["answers"]),
        "its vocabulary is none":
            header["words"][:3] == Vocabulary(words=[]).words and len(header["words"]) > 3,
        **transforms.rules(header["transform"]),
    })
