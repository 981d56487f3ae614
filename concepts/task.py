"""The task of captioning with concepts: words of the classifier are cells, and texts teach too.

    ConceptSettings --Conceptual--> captioner, objective, batches, CIDEr on val

All but encoder, vocabulary and objective are captioning's.
"""

from dataclasses import replace

import torch

from captioning.task import Captioning, take_over
from captioning.words import longest_read
from coco.dataset import Split
from concepts.noise import Errors
from concepts.nouns import named
from concepts.objective import WithText
from concepts.text import Text, read_text
from data_loader import tokenized
from encoders.concepts import WORDS, cached_concepts
from system.contents import content_hashes
from system.files import BadInput


class Conceptual(Captioning):
    """Captioning whose encoder gives words beside cells, and which may learn from texts."""

    name = "captioning with concepts"
    places = (*Captioning.places, "text")

    def read(self):
        """Read the captions of train and val, and the sentences without pictures."""
        super().read()
        files = self.settings.files
        self.text_split = read_text(files) if files else None
        self.content["the sentences without pictures"] = str(content_hashes(files))

    def tokens_read(self):
        """Return the `Tokens` of train and of the sentences without pictures."""
        if not self.text_split:
            return super().tokens_read()
        return tokenized(Split("train and text", (*self.train_split.pictures,
                                                  *self.text_split.pictures)))

    def architecture(self):
        """Return the arguments of encoder and decoder, with those of the concepts."""
        settings, built, apart = self.settings, super().architecture(), self.settings.tune_from
        if self.start:
            before = self.start.architecture["encoder"].get("concepts")
            if not before or self.start.certain is not None:    # the latter's are no cells
                raise BadInput("--start is a captioner without concepts as cells: give a run of "
                               "the recipe concepts, or leave it out")
            apart = apart if before["apart"] is None else before["apart"]
        built["encoder"]["concepts"] = {"words": list(WORDS), "most": settings.concepts,
                                        "least": settings.least, "apart": apart}
        return built

    def take_over(self):
        """Give the captioner the weights of the one that training begins with."""
        # it may have had all stages in common with the classifier
        before = self.start.architecture
        mine = {**before["encoder"]["concepts"],
                "apart": self.captioner.architecture["encoder"]["concepts"]["apart"]}
        take_over(self.captioner, replace(self.start, architecture={
            **before, "encoder": {**before["encoder"], "concepts": mine}}))

    def prepare_captioner(self):
        """Build the captioner, whose embedding leaves out words in training."""
        super().prepare_captioner()
        self.captioner.about["task"] = self.name        # which no dial tells
        self.captioner.encoder.embed.dropout = self.settings.concept_dropout

    def build_objective(self):
        """Return cross-entropy, with that of texts if there are any, or self-critical training."""
        settings, captioner = self.settings, self.captioner
        if settings.samples:
            return super().build_objective()
        embed = captioner.encoder.embed
        encoder = captioner.encoder if self.train.features is None else embed
        return WithText(encoder, embed, captioner.decoder, settings.label_smoothing, self.text(),
                        settings.batch_size, settings.text_weight)

    def text(self):
        """Return the `Text`, or None if there are no files of sentences."""
        if not self.text_split:
            return None
        settings = self.settings
        if self.train.features is None:
            seen = cached_concepts(self.train_split, settings.encoder, settings.fit)
        else:
            seen = torch.tensor(self.train.features[0, :, -1, :len(WORDS)]).float()
        seen = self.captioner.encoder.embed.certainties(seen.to(self.device)).cpu().numpy()
        errors = Errors(named(self.train_split.sentences, WORDS), self.train.picture, seen,
                        max(1, settings.concepts), settings.least)
        return Text(self.text_split, self.vocab, WORDS, errors, longest_read(self.max_length))
