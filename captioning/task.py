"""The captioning task: what the engine in training/ needs to train and judge a captioner.

    CaptioningSettings --Captioning--> captioner, objective, batches, CIDEr on val

Data are a split's captions and its pictures' features, cached if the encoder is frozen. The
objective is cross-entropy, or the rewards of sampled captions if `settings.samples` says so.
"""

import math
import sys
from dataclasses import asdict

import torch

from captioning.captioner import Captioner
from captioning.checkpoint import load_captioner, save_captioner
from captioning.complaints import complaints_about, warn_of_shared
from captioning.evaluation import FEW, score, tokenized_references
from captioning.objectives import CrossEntropy, caption_loss
from captioning.self_critical import Rewards, SelfCritical
from captioning.words import length_of, longest_read, vocabulary_of, warn_of_words
from coco.dataset import read_split
from coco.instances import instances_file
from coco.readable import readable
from data_loader import CaptionData, tokenized
from decoders.registry import own_arguments, wants_grid
from encoders.backbones import transform_of
from encoders.features import cached_features, encode_split
from scoring.metrics import METRICS
from scoring.scores import CiderD
from system.cache import cache_name
from system.contents import content_hashes
from system.distributed import broadcast, is_main, main_first, rank, world_size
from system.files import BadInput
from system.tensor_file import best_file
from training.task import Task
from training.watching import warn
from vocabulary import read_words

VAL_BATCH = 256             # captions of val in one forward pass
LEAST_STEPS = 150           # of an epoch: after fewer there is little to validate; a third of them
                            # where a captioner goes on, which has less to learn and can forget
MORE = 4                    # ids of a sample over those of a caption: whether it ends is rewarded


class Captioning(Task):
    """A captioner's training on a dataset in COCO's layout, chosen by CIDEr on val.

    features: function of (backbone, transform, split, views) that gives a frozen encoder's output,
    `cached_features` or one that hands over ready-made features.
    """

    name, key, better = "captioning", "CIDEr", max
    shown = ("val_loss", "CIDEr", "distinct", "sentence")
    places = ("data", "start", "weights", "boxes")
    curves, unit = {"perplexity": "perplexity", "CIDEr": METRICS["CIDEr"].label}, "word"
    before = None               # CIDEr on val before the first step, if it goes on and was measured

    def __init__(self, settings, features=cached_features):
        super().__init__(settings)
        self.features = features

    def read(self):
        """Read the captions of train and val."""
        with main_first():                              # the others find them kept
            settings = self.settings
            self.train_split = read_split(settings.data, "train").first(settings.train_pictures)
            self.val_split = read_split(settings.data, "val").first(settings.val_pictures)
            self.content = content_of(settings, self.train_split, self.val_split)

    def prepare(self, device):
        """Build vocabulary, captioner and objective, and encode train if the encoder is frozen."""
        self.device = device
        self.prepare_captions()
        self.prepare_captioner()
        backbone = self.captioner.encoder.backbone
        self.train.transform = self.captioner.transform
        if backbone.frozen:
            self.train.features = self.features(backbone, self.train.transform, self.train_split,
                                                self.settings.views)
        if is_main():
            warn_of_shared(self.train_split, self.val_split)
        self.objective = self.build_objective()
        # of batch-norm, to see that a frozen encoder stays as it is
        self.statistics = [one.clone() for one in backbone.buffers()]
        steps = len(self.order(0))
        least = LEAST_STEPS // 3 if self.start else LEAST_STEPS
        self.passes = max(1, -(-least // steps))            # over the training data, in an epoch
        self.steps_per_epoch = self.passes * steps
        if self.passes > 1 and is_main():
            print(f"train has few captions, {len(self.train)}: an epoch is {self.passes} passes "
                  "over them", file=sys.stderr)

    @torch.no_grad()
    def before_first_step(self):
        """Note and print the CIDEr on val of a captioner that goes on."""
        if self.start and self.key == "CIDEr":
            self.objective.eval()
            self.before, count = broadcast(self.measure())["CIDEr"], len(self.val_split.pictures)
            if is_main():
                print(f"before training: CIDEr {self.before:.3f} on val, {count} pictures"
                      f"{', which are few' if count < FEW else ''}", file=sys.stderr)

    def prepare_captions(self):
        """Leave out pictures that cannot be read and turn captions into integers."""
        settings = self.settings
        self.start = load_captioner(settings.start, boxes=settings.beside()
                                    ) if settings.start else None
        with main_first():                              # the others find the texts tokenised
            self.train_split = readable(self.train_split)
            self.val_split = readable(self.val_split)
            tokens = self.tokens_read()
            self.vocab = vocabulary_of(tokens, settings.vocab_threshold, self.start)
            self.max_length = length_of(tokens, settings.max_length)
            longest = longest_read(self.max_length)
            self.train = CaptionData(self.train_split, self.vocab, longest=longest)
            self.val = CaptionData(self.val_split, self.vocab, longest=longest)
        self.references = tokenized_references(self.val_split)
        if is_main():
            warn_of_words(self.vocab, tokens, tokenized(self.val_split), self.start)
        self.choose_key()

    def tokens_read(self):
        """Return the `Tokens` of which the vocabulary is made: those of train."""
        return tokenized(self.train_split)

    def choose_key(self):
        """Let the loss choose the best epoch where CIDEr is 0 whatever the captions are."""
        if CiderD([[sentence.split() for sentence in picture] for picture in self.references
                   ]).discerns:
            return
        self.key, self.better = "val_loss", min
        self.shown = tuple(name for name in self.shown if name != "CIDEr")
        self.curves = {name: title for name, title in self.curves.items() if name != "CIDEr"}
        if is_main():
            warn("CIDEr compares pictures, and val has no two whose captions differ: the loss on "
                 "val chooses the best epoch; put more pictures into val for scores")

    def prepare_captioner(self):
        """Build the captioner from the seed, or take the weights of the run it starts with."""
        settings = self.settings
        torch.manual_seed(settings.seed)
        built, backbone = self.architecture(), None
        if settings.boxes:
            from encoders.boxes import chosen  # imports torchvision
            built["encoder"]["boxes"], backbone = chosen(settings, self.train_split)
            if backbone and not backbone.reads_images and settings.views > 1:
                raise BadInput(f"{settings.boxes} has features of each picture as it is, and of "
                               "no other view: give --views 1")
        transform = transform_of(settings.encoder, settings.fit)
        if backbone:
            built["encoder"]["backbone"] = backbone.name
            transform = backbone.transform(settings.fit)
        self.captioner = Captioner.build(built, self.vocab, transform,
                                         None if backbone else settings.weights,
                                         settings.tune_from)
        if backbone:
            self.captioner.encoder.backbone = backbone
        self.captioner.to(self.device)
        self.captioner.about = {"max_length": self.max_length,
                                "no_repeat_ngram": settings.no_repeat_ngram}
        if self.start and self.start.certain is not None:
            self.captioner.about["certain"] = self.start.certain
        if self.start:                                  # before its features are asked for
            self.take_over()

    def architecture(self):
        """Return the arguments of encoder and decoder, as a checkpoint keeps them."""
        built = architecture(self.settings)
        if self.start and self.start.certain is not None:   # it keeps the classifier it names by
            built["encoder"]["concepts"] = self.start.architecture["encoder"]["concepts"]
        return built

    def take_over(self):
        """Give the captioner the weights of the one that training begins with."""
        take_over(self.captioner, self.start)

    def build_objective(self):
        """Return cross-entropy or self-critical training over encoder and decoder."""
        settings, captioner = self.settings, self.captioner
        # of a frozen encoder only the linear layer: the rest is in the features
        encoder = captioner.encoder if self.train.features is None else captioner.encoder.embed
        if settings.samples:
            rewards = Rewards(self.train_split, self.vocab, settings.hallucination)
            return SelfCritical(encoder, captioner.decoder, rewards, settings.samples,
                                self.max_length + MORE)
        return CrossEntropy(encoder, captioner.decoder, settings.label_smoothing)

    def groups(self):
        """Return the decoder with the linear layer and, at its own rate, tuned encoder stages."""
        encoder = self.captioner.encoder
        tuned = [one for one in encoder.backbone.parameters() if one.requires_grad]
        heads = [*encoder.embed.parameters(), *self.captioner.decoder.parameters()]
        groups = [{"params": heads, "peak": self.settings.learning_rate}]
        return groups + ([{"params": tuned, "peak": self.settings.encoder_rate}] if tuned else [])

    def order(self, number):
        """Return which captions each batch of pass `number` has in this process."""
        settings = self.settings
        return self.train.order(settings.batch_size, settings.seed, number,
                                settings.one_per_picture, settings.captions_per_picture,
                                (rank(), world_size()))

    def batches(self, epoch, start):
        """Yield this process's part of the batches of an epoch, from batch `start` on."""
        for number in range(epoch * self.passes, (epoch + 1) * self.passes):
            order = self.order(number)
            yield from self.train.read(order[start:], self.settings.seed, number,
                                       self.settings.workers)
            start = max(0, start - len(order))

    def measure(self):
        """Return loss per word under teacher forcing, and scores of free-running captions."""
        encoder, decoder = self.captioner.encoder, self.captioner.decoder
        self.val.features = self.val_features()
        if not is_main():           # the others have helped to encode val
            return None
        total, words = 0.0, 0
        for batch in self.val.read(self.val.order(VAL_BATCH)):
            batch = batch.to(self.device)
            scores = decoder(encoder.embed(batch.images), batch.captions)
            loss, count = caption_loss(scores, batch.captions, batch.lengths.to(self.device))
            total, words = total + loss.item(), words + count.item()
        sentences = [best for best, *_ in self.captioner.sentences(self.val.features[0])]
        scores, _ = score(sentences, self.references)
        loss = total / words
        return {"val_loss": loss, "perplexity": math.exp(loss), **scores, "sentence": sentences[0]}

    def val_features(self):
        """Return the backbone's output for val: cached if it is frozen, else as it is now."""
        backbone, transform = self.captioner.encoder.backbone, self.captioner.transform
        if backbone.frozen:
            return self.features(backbone, transform, self.val_split, 1)
        return encode_split(backbone, transform, self.val_split) if is_main() else None

    def tensors(self):
        """Return the captioner's weights by name."""
        return self.captioner.tensors()

    def load_tensors(self, tensors):
        """Put back what `tensors` returned."""
        self.captioner.load_tensors(tensors)

    def save_best(self, path, row):
        """Write the captioner as a checkpoint with its settings and scores."""
        save_captioner(path, self.captioner, settings=asdict(self.settings), val=row,
                       **self.captioner.about)

    def record(self, folder):
        """Write the vocabulary."""
        self.vocab.save(folder / "vocabulary.json")

    def compare(self, folder):
        """Raise `BadInput` if the folder's run has another vocabulary."""
        path = folder / "vocabulary.json"
        if read_words(path) != self.vocab.words:
            raise BadInput(f"{path} is not of the captions that {self.settings.data} has now: "
                           "give another --run, or the data that this one was begun with")

    def complaints(self, history):
        """Return what the epochs so far show to be wrong."""
        return complaints_about(history, self)


def take_over(captioner, other):
    """Give a captioner the weights of another of the same build, whose words are its first ones."""
    if other.architecture != captioner.architecture:
        raise BadInput("--start is another kind of captioner: give the same encoder, decoder and "
                       "sizes as it was trained with")
    given = other.tensors()
    for name, tensor in captioner.tensors().items():
        if name not in given:           # such as published stages beside tuned ones
            continue
        if tensor.shape == given[name].shape:
            tensor.copy_(given[name])
        else:                           # a row a word: those of new words stay as they began
            tensor[:len(given[name])].copy_(given[name])


def content_of(settings, train, val):
    """Return hashes of all that a training reads, by what each is of."""
    found = {}
    for name, split in (("train", train), ("val", val)):
        found[f"the captions of {name}"] = cache_name(
            [[picture.id, picture.sentences] for picture in split.pictures])
        found[f"the pictures of {name}"] = cache_name(
            content_hashes([picture.file for picture in split.pictures]))
    files = {"the start": settings.start and best_file(settings.start),
             "the file of weights": settings.weights,
             "the boxes": settings.boxes and best_file(settings.boxes)}
    for what, file in files.items():    # "pretrained" and None are no files
        found[what] = file and content_hashes([file])[0] or str(file)
    if settings.boxes == "truth":
        files = {instances_file(picture) for split in (train, val) for picture in split.pictures}
        found["the boxes"] = cache_name(content_hashes(sorted(files)))
    elif settings.boxes:
        from encoders.boxes import content_of_features
        found["the boxes"] = content_of_features(settings.boxes) or found["the boxes"]
    return found


def architecture(settings):
    """Return the arguments of encoder and decoder, as a checkpoint keeps them."""
    name, sizes = settings.decoder, ("embed_size", "hidden_size", "num_layers", "dropout")
    return {"encoder": {"backbone": settings.encoder, "grid": wants_grid(name)},
            "decoder": {"name": name, **{key: getattr(settings, key) for key in sizes},
                        **own_arguments(name)}}
