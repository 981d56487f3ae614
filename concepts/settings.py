"""The settings of a captioner with concepts, and its recipe."""

from dataclasses import dataclass

from captioning.settings import ATTENTION, CaptioningSettings
from decoders.registry import wants_grid
from encoders.classifiers import AVERAGED
from training.settings import dial

SIDE = 7            # cells, of the smallest grid that an encoder with a classifier has
RECIPES = {
    # Knowing When to Look with the classifier's words as further cells
    "concepts": {**ATTENTION, "captions_per_picture": 5}}


@dataclass(frozen=True)
class ConceptSettings(CaptioningSettings):
    """The dials of captioning, and those of concepts and of sentences without pictures."""

    concepts: int = dial(5, "words of the encoder's classifier that become cells, at most")
    least: float = dial(0.05, "certainty, above chance, below which such a word is left out")
    concept_dropout: float = dial(0.2, "fraction of such words left out in training")
    text: str | None = dial(None, "COCO captions files of sentences without pictures to learn "
                            "from, with commas between")
    text_weight: float = dial(1.0, "weight of such a word beside one of a picture's")

    @property
    def files(self):
        """The files of sentences, a list."""
        return self.text.split(",") if self.text else []

    def rules(self):
        """Return the rules of captioning, and those of the fields above."""
        return {
            **super().rules(),
            "concepts are cells beside a grid's: give a decoder that attends, and no boxes":
                wants_grid(self.decoder) and self.boxes is None,
            f"concepts need an encoder with a classifier of one layer, one of "
            f"{', '.join(sorted(AVERAGED))}": self.encoder in AVERAGED,
            "concepts must not be negative": self.concepts >= 0,
            f"objects takes at most {2 * SIDE - 1} concepts, lest they and the grid's cells be as "
            "many as those of a larger grid":
                self.decoder != "objects" or self.concepts < 2 * SIDE,
            "least must be above 0 and below 1": 0 < self.least < 1,
            "concept_dropout must be at least 0 and below 1": 0 <= self.concept_dropout < 1,
            "text_weight must be above 0": self.text_weight > 0,
            "text is for cross-entropy: leave it out where samples are rewarded":
                not (self.text and self.samples),
        }
