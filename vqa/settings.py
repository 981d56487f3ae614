"""The settings of the training of a model that answers questions, and its named recipes."""

from dataclasses import dataclass

from encoders.backbones import NAMES as ENCODERS
from training.settings import Settings, at_least_one, dial
from vqa.families.grounded import Grounded
from vqa.families.joint import Joint, Picture, Question
from vqa.families.knowledge import Knowledge
from vqa.families.stacked import Stacked
from vqa.families.tips import Tips
from vqa.modules.network import Modules

# The model families, a page each; all are built and called as parts.py says.
MODELS = {"tips": Tips, "joint": Joint, "stacked": Stacked, "grounded": Grounded,
          "modules": Modules, "knowledge": Knowledge,
          "question": Question, "picture": Picture}      # the last two have one eye shut


@dataclass(frozen=True)
class VQASettings(Settings):
    """What the training of a model that answers questions about pictures depends on.

    Every trick of "Tips and Tricks for Visual Question Answering" is a dial.
    """

    epochs: int = dial(20, "epochs at most, each a pass over train, or several over few questions")
    batch_size: int = dial(256, "questions a step")
    learning_rate: float = dial(1e-3, "peak rate of AdamW")
    warmup: int = dial(50, "steps of linear rise, before a cosine fall to 0")

    encoder: str = dial("efficientnet_lite0", "backbone, see encoders/backbones.py")
    weights: str | None = dial("pretrained", "pretrained, or a local .pth or .safetensors file")
    boxes: str | None = dial(None, "where regions come from, in place of a grid's cells: a run of "
                             "recipe detector, truth for those of the instances file, a detector "
                             "of torchvision, or a file or folder of bottom-up features")
    grid: bool = dial(True, "look at a grid of cells; else at the picture as one pooled cell")
    places: bool = dial(True, "a cell's vector says where it lies")
    fit: str = dial("squash", "picture to square: squash it, or crop the middle")
    model: str = dial("tips", "family: " + ", ".join(MODELS))
    embed_size: int = dial(300, "size of a word's vector, as GloVe's")
    hidden_size: int = dial(512, "size of the question's vector and of the layers")
    dropout: float = dial(0.2, "fraction of word vectors and before the scores silenced")
    gated: bool = dial(True, "layers are gated tanh; else ReLU")
    output: str = dial("sigmoid", "an answer's score is a probability of its own, sigmoid, or one "
                       "of all answers', softmax")
    soft: bool = dial(True, "the target of an answer is its accuracy, 0 to 1; else 1 for what most "
                      "annotators say")
    streams: int = dial(1, "of the classifier: 2 has one of text and one of pictures")
    glove: str | None = dial(None, "text file of GloVe vectors with which words and, with two "
                             "streams, answers begin")
    answer_pictures: bool = dial(True, "with two streams, an answer begins with the mean feature "
                                 "of the pictures it was given for")
    pairs_together: bool = dial(True, "complementary pairs stay in one batch")
    questions_per_picture: int = dial(1, "of a picture side by side in a batch, which computes "
                                      "what depends on the picture alone once for them")
    longest: int = dial(14, "words at which a question is cut")
    vocab_threshold: int = dial(1, "occurrences in train below which a word is <unk>")
    answer_threshold: int = dial(9, "questions of train whose first answer it is, below which an "
                                 "answer is never given")
    train_questions: int | None = dial(None, "questions of train used, the first; None is all")
    val_questions: int | None = dial(None, "questions of val, the first; None is all")

    def beside(self):
        """Return the files of features or weights that a checkpoint of regions needs, or None."""
        if not self.boxes:
            return None
        from encoders.boxes import beside  # imports torchvision, which takes a second
        return beside(self.boxes, self.weights)

    def rules(self):
        """Return the engine's rules and those of the fields above."""
        return {
            **super().rules(),
            **at_least_one(self, "embed_size", "hidden_size", "longest", "vocab_threshold",
                           "answer_threshold", "questions_per_picture"),
            f"encoder must be one of {', '.join(ENCODERS)}": self.encoder in ENCODERS,
            f"model must be one of {', '.join(MODELS)}": self.model in MODELS,
            "boxes of truth need fit squash, since a crop would move them":
                self.boxes != "truth" or self.fit == "squash",
            "fit must be squash or crop": self.fit in ("squash", "crop"),
            "output must be sigmoid or softmax": self.output in ("sigmoid", "softmax"),
            "streams must be 1 or 2": self.streams in (1, 2),
            "streams must be 1 for modules, grounded and knowledge, which have no such classifier":
                self.streams == 1 or self.model not in ("modules", "grounded", "knowledge"),
            "dropout must be at least 0 and below 1": 0 <= self.dropout < 1,
            "pairs_together needs a batch_size of 2 or more":
                not self.pairs_together or self.batch_size > 1,
            "pairs_together, which are of two pictures, exclude more questions_per_picture than 1":
                not self.pairs_together or self.questions_per_picture == 1,
            "train_questions and val_questions must be 1 or more": all(
                count is None or count >= 1
                for count in (self.train_questions, self.val_questions)),
        }


# float32, since many small products take longer in bfloat16
GROUNDED = {"output": "softmax", "batch_size": 64, "embed_size": 128, "hidden_size": 128,
            "dropout": 0.1, "epochs": 14, "warmup": 100, "precision": "float32"}
# A recipe's name keeps its meaning for good: scores are quoted with it.
RECIPES = {
    # Tips and Tricks (arXiv:1708.02711) on a grid, or on regions by --boxes
    "vqa": {},
    # a question's LSTM and the pooled picture (arXiv:1505.00468)
    "vqa_joint": {"model": "joint", "grid": False},
    # stacked attention networks, two glimpses (arXiv:1511.02274)
    "vqa_stacked": {"model": "stacked"},
    # words looked up in the picture by a regression, three heads, two glimpses
    "vqa_grounded": {"model": "grounded", **GROUNDED},
    # the same beside a table of facts (arXiv:1606.05433)
    "vqa_knowledge": {"model": "knowledge", **GROUNDED},
    # a network of modules (arXiv:1511.02799), on regions by --boxes; needs the questions' programs
    "vqa_modules": {"model": "modules", "embed_size": 64, "hidden_size": 128, "epochs": 4,
                    "learning_rate": 3e-3, "precision": "float32"},
}
