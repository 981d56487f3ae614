"""The settings of the training of a model that writes paragraphs about clips, and its recipe."""

from dataclasses import dataclass

from encoders.backbones import NAMES as ENCODERS
from training.settings import Settings, at_least_one, dial
from video.paragraphs.flat import Flat
from video.paragraphs.hierarchical import Hierarchical
from video.paragraphs.independent import Independent

# What a sentence is told of those before it; a page each, and all else is teller.py.
MODELS = {"hierarchical": Hierarchical, "independent": Independent, "flat": Flat}


@dataclass(frozen=True)
class ParagraphSettings(Settings):
    """What the training of a model that tells what happens in clips depends on."""

    epochs: int = dial(8, "passes over the clips of train at most")
    batch_size: int = dial(8, "clips a step")
    learning_rate: float = dial(4e-3, "peak rate of AdamW")
    warmup: int = dial(100, "steps of linear rise, before a cosine fall to 0")
    average: float = dial(0.99, "decay a step of the averaged weights that are used; 0 is off")
    patience: int = dial(4, "epochs without a better score before stopping")

    encoder: str = dial("efficientnet_lite0_fine", "backbone, see encoders/backbones.py")
    weights: str | None = dial("pretrained", "pretrained, or a local .pth or .safetensors file")
    fit: str = dial("squash", "frame to square: squash it, or crop the middle")
    rate: float = dial(4.0, "frames a second that are looked at")
    model: str = dial("hierarchical", "what a sentence knows of those before it: "
                      + ", ".join(MODELS))
    segments: bool = dial(False, "a sentence looks at a given part of the clip, and there are as "
                          "many as parts; else at the whole clip, and the model decides when to "
                          "end")
    embed_size: int = dial(64, "size of a word's vector")
    hidden_size: int = dial(192, "size of the states of both recurrent networks")
    dropout: float = dial(0.3, "fraction of word vectors, patches and outputs silenced")
    guessed: int = dial(256, "words, the most frequent ones, that cells of frames guess")
    words_first: int = dial(6, "passes over train before all others in which cells learn which "
                            "words are said of what they show")
    said: float = dial(0.3, "weight of that loss later on")
    located: float = dial(0.3, "weight of how little words look at the time that their sentence is "
                          "about, which is known in training")
    mirror: bool = dial(True, "half of the clips of a step are mirrored, left and right in their "
                        "sentences exchanged")
    each: int = dial(3, "paragraphs of a clip in a step, drawn anew every time")
    longest: int = dial(24, "ids of a sentence at most, <start> and <end> counted")
    most: int = dial(8, "sentences of a paragraph at most")
    vocab_threshold: int = dial(1, "occurrences in train below which a word is <unk>")

    def rules(self):
        """Return the engine's rules and those of the fields above."""
        return {
            **super().rules(),
            **at_least_one(self, "embed_size", "hidden_size", "guessed", "each", "most",
                           "vocab_threshold"),
            f"encoder must be one of {', '.join(ENCODERS)}": self.encoder in ENCODERS,
            f"model must be one of {', '.join(MODELS)}": self.model in MODELS,
            "fit must be squash or crop": self.fit in ("squash", "crop"),
            "rate must be above 0": self.rate > 0,
            "longest must be 3 or more: <start>, a word, <end>": self.longest >= 3,
            "dropout must be at least 0 and below 1": 0 <= self.dropout < 1,
            "said, located and words_first must be 0 or more":
                min(self.said, self.located, self.words_first) >= 0,
        }


# A recipe's name keeps its meaning for good: scores are quoted with it.
RECIPES = {
    # hierarchical recurrent networks (arXiv:1510.07712)
    "paragraphs": {},
}
