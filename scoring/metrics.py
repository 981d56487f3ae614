"""The one table of metrics: what each is called, on what scale papers print it, how it is computed.

    inputs by name --compute--> {name: score}, {name: score of each picture}

Reports, histories, cards, tables and curves read names, labels, order and scales here. To add a
metric, write a line in METRICS or, in a module of your own, call `add`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scoring.chair import chair
from scoring.meteor import lacks_java, meteor
from scoring.scores import CiderD, Unavailable, bleu, rouge_l


@dataclass(frozen=True)
class Metric:
    """A score of a model's answers; the higher, the better, but for CHAIR, whose best is 0."""

    name: str                   # its key in reports and histories
    label: str                  # its name in print
    # of the inputs: a number, several, or an array (pictures,); raises Unavailable if it fails
    function: Callable
    inputs: tuple[str, ...] = ("candidates", "references")
    part: int | None = None     # which of the several numbers that the function returns
    scale: float = 100          # a printed score is the score times this
    slow: bool = False          # computed only if asked for: Java takes ten seconds to begin
    lacks: Callable | None = None       # returns why this machine cannot compute it, or None

    def missing(self, given):
        """Return why the metric cannot be computed from the inputs named in `given`, or None."""
        absent = [name for name in self.inputs if name not in given]
        if absent:
            return f"it needs {' and '.join(absent)}"
        return self.lacks() if self.lacks else None


def cider_d(candidates, references):
    """Return the CIDEr-D of each picture, 0 to 10, as an array (pictures,).

    Raises `Unavailable` where it would be 0 whatever the candidates are.
    """
    scorer = CiderD(references)
    if not scorer.discerns:
        raise Unavailable("it compares pictures, and needs two or more whose references differ")
    return scorer.scores(candidates)


def spaced_rouge_l(sentences, reference_sentences):
    """Return ROUGE-L of strings: here alone coco-caption leaves "1 1/2", with a hard space, whole.
    """
    return rouge_l([sentence.split(" ") for sentence in sentences],
                   [[sentence.split(" ") for sentence in truths] for truths in reference_sentences])


TEXTS = ("sentences", "reference_sentences")
METRICS = {metric.name: metric for metric in (
    Metric("Bleu_1", "BLEU-1", bleu, part=0),
    Metric("Bleu_2", "BLEU-2", bleu, part=1),
    Metric("Bleu_3", "BLEU-3", bleu, part=2),
    Metric("Bleu_4", "BLEU-4", bleu, part=3),
    Metric("METEOR", "METEOR", meteor, TEXTS, slow=True, lacks=lacks_java),
    Metric("ROUGE_L", "ROUGE-L", spaced_rouge_l, TEXTS),
    Metric("CIDEr", "CIDEr-D", cider_d),
    Metric("CHAIRi", "CHAIRi", chair, ("sentences", "objects"), part=0),
    Metric("CHAIRs", "CHAIRs", chair, ("sentences", "objects"), part=1),
)}
FAILED = {}                 # why a metric, by its name, gave no score when it was last computed


def add(metric):
    """Add a metric to the table, or replace the one of the same name."""
    METRICS[metric.name] = metric


def compute(given, slow=False, fast=True):
    """Compute every metric whose inputs are given: ({name: score}, {name: scores (pictures,)}).

    given: "candidates", a list of words for each picture; "references", several such lists;
    "sentences" and "reference_sentences", the same as strings; "objects", the set of COCO's
    categories in each picture; and what your own metrics ask for.
    slow: compute the slow metrics too, after the others.  fast: compute the others.
    """
    scores, each, results = {}, {}, {}
    for metric in sorted(METRICS.values(), key=lambda metric: metric.slow):
        if not (slow if metric.slow else fast) or metric.missing(given):
            continue
        FAILED.pop(metric.name, None)
        key = metric.function, metric.inputs
        try:
            if key not in results:              # one count of n-grams gives all four BLEU
                results[key] = metric.function(*(given[name] for name in metric.inputs))
        except Unavailable as reason:
            FAILED[metric.name] = str(reason)
            continue
        result = results[key]
        if isinstance(result, np.ndarray):
            each[metric.name], result = result, result.mean()
        scores[metric.name] = float(result if metric.part is None else result[metric.part])
    return scores, each
