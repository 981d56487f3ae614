"""Captions for a split -> COCO result file -> BLEU, METEOR, ROUGE-L, CIDEr-D.

    features --search--> sentences --ptb.tokenize--> words --scores.py--> report

A score here is always of free-running captions against all references of a named split, over the
whole corpus, equal to coco-caption's and on its scale (0 to 1, CIDEr 0 to 10). Figures under
teacher forcing are called loss, perplexity or token accuracy, never BLEU.

METEOR (Denkowski and Lavie 2014) is coco-caption's own program. It needs Java and is left out where
there is none.
"""

import os
import shutil

from decoders.search import Search
from scoring import ptb
from scoring.scores import CiderD, bleu, rouge_l
from system.files import BadInput

TOKENIZER = "PTB (coco-caption's, in Python)"
# Scores of your own by name, for every report and history: functions of the candidates, one list of
# words a picture, and the references, several a picture, that give a number for them all.
METRICS = {}


def tokens(sentence):
    """A sentence as the scorers want it: lower-case PTB tokens without punctuation, in a string."""
    return " ".join(ptb.tokenize(sentence))


def tokenized_references(split):
    """The references of every picture, in the order of the split, tokenised."""
    found = [[tokens(sentence) for sentence in picture.sentences] for picture in split.pictures]
    if not any(map(any, found)):
        raise BadInput(f"no caption of {split.name} has a word that could be scored: give captions "
                       "in words, not signs alone")
    return found


def score(candidates, references, meteor=False):
    """Corpus scores and each picture's CIDEr.

    candidates: one sentence per picture.  references: `tokenized_references`.
    Returns ({"Bleu_1": ..., "ROUGE_L": ..., "CIDEr": ..., "distinct": ...}, CIDEr (pictures,)).
    `distinct` is the number of different sentences: a captioner that says one thing of every
    picture is broken however it scores.
    """
    tokenized = [tokens(sentence) for sentence in candidates]
    words = [sentence.split() for sentence in tokenized]
    truths = [[sentence.split() for sentence in sentences] for sentences in references]
    scores = {f"Bleu_{n}": value for n, value in enumerate(bleu(words, truths), 1)}
    # coco-caption's ROUGE-L alone takes "1 1/2", which has a hard space, for one word
    scores["ROUGE_L"] = rouge_l([sentence.split(" ") for sentence in tokenized],
                                [[sentence.split(" ") for sentence in sentences]
                                 for sentences in references])
    each = CiderD(truths).scores(words)
    scores["CIDEr"] = float(each.mean())
    scores |= {name: float(metric(words, truths)) for name, metric in METRICS.items()}
    if meteor and shutil.which("java"):
        scores["METEOR"] = meteor_score(tokenized, references)
    return {**scores, "distinct": len(set(candidates))}, each


def meteor_score(candidates, references):
    """METEOR 1.5 by its own jar, which must not write numbers with a decimal comma."""
    from pycocoevalcap.meteor.meteor import Meteor  # needed for METEOR alone

    truth, result = dict(enumerate(references)), {k: [one] for k, one in enumerate(candidates)}
    before = os.environ.get("JAVA_TOOL_OPTIONS")
    os.environ["JAVA_TOOL_OPTIONS"] = f"{before or ''} -Duser.language=en -Duser.country=US"
    try:
        return float(Meteor().compute_score(truth, result)[0])
    finally:
        os.environ.pop("JAVA_TOOL_OPTIONS")
        if before is not None:
            os.environ["JAVA_TOOL_OPTIONS"] = before


def evaluate(captioner, split, search=None, meteor=False):
    """Caption and score a split: (report, COCO results, each picture's CIDEr).

    captioner: a `Captioner` or an `Ensemble`.  METEOR is computed only if asked for, since Java
    takes ten seconds to start.
    """
    search = search or Search()
    sentences = [best for best, *_ in captioner.sentences(captioner.features(split)[0], search)]
    return report_of(sentences, split, captioner.search_line(search), meteor)


def report_of(sentences, split, how, meteor=False):
    """What `evaluate` returns, for sentences found in any way: one a picture, `how` in words."""
    scores, each = score(sentences, tokenized_references(split), meteor)
    report = {"split": split.name, "pictures": len(split.pictures),
              "references": len(split.sentences), "search": how, "tokenizer": TOKENIZER,
              **scores}
    results = [{"image_id": picture.id, "caption": sentence}
               for picture, sentence in zip(split.pictures, sentences, strict=True)]
    return report, results, each


def table(report):
    """A report as lines of text, scores x 100 as papers print them."""
    lines = []
    for name, value in report.items():
        shown = f"{100 * value:6.1f}" if isinstance(value, float) else value
        lines.append(f"{name:>10}  {shown}")
    return "\n".join(lines)
