"""A captioner: an encoder, a decoder and what else it takes to turn pictures into sentences.

    split --features--> (views, P, D) or (views, P, L, D)     encoded once, then read from disk
    features (P, D) or (P, L, D) --sentences--> lists of sentences, best first, one a picture
    pictures --describe--> the same lists, of pictures that are open

`Describer` has what one captioner and an ensemble (ensemble.py) do alike, so a caller need not know
which of the two it was given. checkpoint.py writes a captioner into a file and reads it again.

Shape letters:  P pictures   D channels   L grid cells   E embedding
"""

from dataclasses import dataclass

import torch
from tqdm.auto import tqdm

from coco.pictures import upright
from decoders.registry import build_decoder
from decoders.search import Search
from decoders.search import search as run_search
from encoders.concept_cells import ConceptEncoder
from encoders.encoding import encode, fast
from encoders.features import cached_features
from encoders.transform import Transform
from model import EncoderCNN
from system.files import BadInput
from vocabulary import UNK_ID, Vocabulary


class Describer:
    """What a captioner and an ensemble have in common.

    A subclass has a `decoder`, a `vocab`, the defaults `max_length` and `no_repeat_ngram` of a
    search, its `members`, which are captioners that each see a picture for themselves, and the
    methods `together`, `features` and `embed`.
    """

    batch_size = 128        # pictures in one search

    def networks(self):
        """Return each member's backbone, `fast`."""
        return [fast(one.encoder.backbone) for one in self.members]

    def images(self, picture):
        """Return an RGB picture as each member's encoder sees it, a list of tensors (3, S, S)."""
        return [one.transform(picture) for one in self.members]

    def encode_images(self, networks, images):
        """Return the features (P, ...), float16, of the `images` of P pictures by the `networks`.
        """
        return self.together([encode(network, torch.stack(some)) for network, some
                              in zip(networks, zip(*images, strict=True), strict=True)])

    def encode(self, pictures):
        """Return the features (P, ...), float16, of PIL pictures, seen as `open_picture` does."""
        return self.encode_images(self.networks(), [
            self.images(upright(picture)) for picture in pictures])

    def sentences(self, features, search=None):
        """Return a list of sentences, best first, for each of features (P, D) or (P, L, D)."""
        return [[self.vocab.decode(one.words) for one in found]
                for found in self.hypotheses(features, search)]

    def hypotheses(self, features, search=None):
        """Return what `sentences` does as a list of `Hypothesis` for each picture."""
        search, starts = search or self.search(), range(0, len(features), self.batch_size)
        bar = tqdm(starts, "captions", leave=False, unit="batch", disable=len(starts) < 2)
        batches = (features[start:start + self.batch_size] for start in bar)
        return [found for batch in batches for found in run_search(
            self.decoder, self.embed(batch), search, self.constraints(batch, search))]

    def constraints(self, features, search):
        """Return what captions of features (P, ...) must name, see `decoders.search`, or None."""

    def search(self, **changes):
        """Return the `Search` for this captioner, as long as captions that it has learned."""
        return Search(**{"max_length": self.max_length, "no_repeat_ngram": self.no_repeat_ngram,
                         **changes})

    def naming(self, words):
        """Return the `naming` of a `Search` for captions that say each word or its plural.

        BadInput: the vocabulary does not have a word.
        """
        words, known = [word.strip().lower() for word in words], self.vocab.words[UNK_ID + 1:]
        for word in words:
            if word not in known:
                raise BadInput(f"the captioner does not know the word {word!r:.40}: name one of "
                               f"the {len(known):,} of its vocabulary")
        return tuple(map(self.forms, words))

    def forms(self, word):
        """Return the ids of a word and of its plural, those that the vocabulary has."""
        from scoring.objects import plural  # here: few searches name anything

        return tuple(self.vocab(form) for form in dict.fromkeys([word, plural(word)])
                     if form in self.vocab)

    def describe(self, pictures, search=None):
        """Return a list of sentences, best first, for each of some PIL pictures of any size."""
        return self.sentences(self.encode(pictures), search) if pictures else []

    def search_line(self, search):
        """Return in one line how captions are found by a `Search`, for a report."""
        return str(search)

    def search_words(self, search):
        """Return what captions a `Search` finds, for readers who know no search."""
        count = search.captions
        found = ("a sentence" if count == 1 else f"{count} sentences") + " drawn at random"
        if search.method == "greedy" or search.method == "beam" and search.beam == 1:
            found = "a sentence that goes on with the likeliest word each time"
        elif search.method == "beam":
            found = ("the likeliest sentence" if count == 1 else f"the {count} likeliest sentences"
                     ) + " it found"
        named = " and ".join(self.vocab.words[forms[0]] for forms in search.naming)
        return f"each by {found}" + (f"; it had to name {named}" if named else "")


@dataclass
class Captioner(Describer):
    """One encoder and one decoder with their vocabulary and transform.

    architecture: arguments of the encoder and the decoder.  about: recipe, data, scores, versions.
    """

    encoder: torch.nn.Module
    decoder: torch.nn.Module
    vocab: Vocabulary
    transform: Transform
    architecture: dict
    about: dict

    def __post_init__(self):
        if len(self.vocab) != self.decoder.words.num_embeddings:
            raise BadInput(f"the vocabulary has {len(self.vocab)} words and the decoder "
                           f"{self.decoder.words.num_embeddings}: they belong to different runs")

    @property
    def members(self):
        """The captioners that see a picture: it alone."""
        return [self]

    @staticmethod
    def together(parts):
        """Return the members' features as `embed` takes them."""
        part, = parts
        return part

    @property
    def max_length(self):
        """Ids of the longest caption it writes, by the captions that it was trained on."""
        return self.about.get("max_length", Search.max_length)

    @property
    def no_repeat_ngram(self):
        """Words of an n-gram that a caption says once only, 0 for no such rule."""
        return self.about.get("no_repeat_ngram", Search.no_repeat_ngram)

    @property
    def certain(self):
        """The probability from which on a concept of its classifier is named, None for no rule."""
        known = "concepts" in self.architecture["encoder"]
        return self.about.get("certain") if known else None

    def names_certain(self, search):
        """Return whether a search must name certain concepts: beams do, one alone is greedy."""
        return (self.certain is not None and search.method == "beam" and search.beam > 1
                and not search.naming)

    def certain_words(self, features, search):
        """Return the words of which captions of each picture must name one, P lists.

        features: (P, L + 1, D).  None where there is no such rule, or where `search` says itself
        what is named.
        """
        if not self.names_certain(search):
            return None
        words = self.architecture["encoder"]["concepts"]["words"]
        return [[word for word, probability in zip(words, row, strict=True)
                 if probability >= self.certain and self.forms(word)]
                for row in features[:, -1, :len(words)].tolist()]

    def constraints(self, features, search):
        """Return what beams of features (P, L + 1, D) must name, see `certain_words`, or None."""
        certain = self.certain_words(features, search)
        return None if certain is None else [
            [tuple(form for word in words for form in self.forms(word))] if words else []
            for words in certain]

    @classmethod
    def build(cls, architecture, vocab, transform, weights="pretrained", tune_from=None):
        """Build an untrained captioner; `architecture` has the arguments of both networks."""
        encoder = build_encoder(architecture["decoder"]["embed_size"], weights, tune_from,
                                **architecture["encoder"])
        decoder = build_decoder(vocab_size=len(vocab), **architecture["decoder"])
        if "concepts" in architecture["encoder"]:
            encoder.embed.share(decoder.words, vocab)
        return cls(encoder, decoder, vocab, transform, architecture, {})

    def features(self, split, views=1):
        """Return the backbone's features of a split (views, P, ...), computed only once."""
        return cached_features(self.encoder.backbone, self.transform, split, views)

    @torch.no_grad()
    def embed(self, features):
        """Return the backbone's features (P, ...) as the decoder reads them, a tensor (P, ..., E).
        """
        device = next(self.decoder.parameters()).device
        return self.encoder.embed(torch.tensor(features, dtype=torch.float, device=device))

    def search_line(self, search):
        """Return in one line how captions are found by a `Search`, for a report."""
        if not self.names_certain(search):
            return str(search)
        return f"{search}, naming a concept of {self.certain:g} or more"

    def search_words(self, search):
        """Return what captions a `Search` finds, for readers who know no search."""
        rule = "; where it was sure enough to see something, it had to say so"
        return super().search_words(search) + rule * self.names_certain(search)

    def of_cells(self, weights):
        """Return those of attention weights (B, T, n) that are of the grid's cells or regions."""
        concepts = "concepts" in self.architecture["encoder"]
        return weights[..., :-self.encoder.embed.beside] if concepts else weights

    def to(self, device):
        """Move both networks to a device and return the captioner."""
        self.encoder.to(device)
        self.decoder.to(device)
        return self

    def tensors(self):
        """Return both networks' weights and buffers by name, those of a checkpoint."""
        found = {f"{part}.{name}": tensor for part in ("encoder", "decoder")
                 for name, tensor in getattr(self, part).state_dict().items()}
        return found if self.encoder.backbone.carried else {
            name: one for name, one in found.items() if not name.startswith("encoder.backbone.")}

    def load_tensors(self, tensors, assign=False):
        """Load what `tensors` returned; `assign` puts the tensors in place instead of copying them.
        """
        for part in ("encoder", "decoder"):
            getattr(self, part).load_state_dict({
                name.removeprefix(f"{part}."): tensor for name, tensor in tensors.items()
                if name.startswith(f"{part}.")}, self.encoder.backbone.carried, assign)


def build_encoder(embed_size, weights, tune_from, backbone, grid, boxes=None, concepts=None):
    """Build the encoder that reads a picture whole, as a grid, given the source of `boxes` as
    regions, or given `concepts` as a grid and words; see `EncoderCNN`, `RegionEncoder` and
    `ConceptEncoder`."""
    if concepts is not None:
        return ConceptEncoder(embed_size, backbone, weights, tune_from, **concepts)
    if boxes is None:
        return EncoderCNN(embed_size, backbone, weights, grid, tune_from)
    from encoders.boxes import RegionEncoder  # imports torchvision, which takes a second
    return RegionEncoder(embed_size, backbone, weights, boxes)
