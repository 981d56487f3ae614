"""Joint embedding, the first family of the survey (arXiv:1607.05910, 2.1), and its two halves.

    questions --LSTM--> f_q(q) \\
                                * --> h --Classifier--> scores (B, A)
    features --mean cell--> f_v(v) /

"VQA: Visual Question Answering", Antol et al. 2015 (arXiv:1505.00468): question and picture become
vectors of one space, which are multiplied number by number. `Question` and `Picture` are the same
with one eye shut: what each scores, the other had no part in.

Shape letters are those of parts.py.
"""

from torch import nn

from vqa.families.parts import (
    Answered,
    Classifier,
    Family,
    QuestionReader,
    layer,
    mean_cell,
    per_picture,
)


class Question(Family):
    """Answer a question without the picture: an LSTM over its words."""

    def __init__(self, sizes):
        super().__init__()
        self.read = QuestionReader(sizes, nn.LSTM)
        self.from_question = layer(sizes.hidden_size, sizes.hidden_size, sizes.gated)
        self.classify = Classifier(sizes)

    def forward(self, features, questions, lengths, beside=None):
        """Return `Answered`, without weights; the features are not looked at."""
        return Answered(self.classify(self.from_question(self.read(questions, lengths))))


class Picture(Family):
    """Answer without the question: what is mostly asked of such a picture, and answered."""

    def __init__(self, sizes):
        super().__init__()
        self.sizes = sizes
        self.from_picture = layer(sizes.cell, sizes.hidden_size, sizes.gated)
        self.classify = Classifier(sizes)

    def forward(self, features, questions, lengths, beside=None):
        """Return `Answered`, without weights; the questions are not read."""
        scores = self.classify(self.from_picture(mean_cell(*self.sizes.cells(features))))
        return Answered(scores.repeat_interleave(len(questions) // len(features), 0))


class Joint(Family):
    """Question and pooled picture, each as a vector, multiplied."""

    def __init__(self, sizes):
        super().__init__()
        self.sizes, self.read = sizes, QuestionReader(sizes, nn.LSTM)
        self.from_question = layer(sizes.hidden_size, sizes.hidden_size, sizes.gated)
        self.from_picture = layer(sizes.cell, sizes.hidden_size, sizes.gated)
        self.classify = Classifier(sizes)

    def forward(self, features, questions, lengths, beside=None):
        """Return `Answered`, without weights, for features (P, D), (P, L, D) or (P, L, D + 5)."""
        question = self.from_question(self.read(questions, lengths))            # (B, H)
        picture = self.from_picture(mean_cell(*self.sizes.cells(features)))     # (P, H)
        joined = per_picture(question, picture) * picture.unsqueeze(1)          # (P, k, H)
        return Answered(self.classify(joined.flatten(0, 1)))
