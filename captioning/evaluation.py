"""Captions for a split -> COCO result file -> BLEU, METEOR, ROUGE-L, CIDEr-D, CHAIR.

    features --search--> sentences --ptb.tokenize--> words --scoring.metrics--> report
    instances and references of a split --objects_of--> what each picture shows, for CHAIR

A score here is always of free-running captions against all references of a named split, over the
whole corpus, equal to coco-caption's and on its scale (0 to 1, CIDEr 0 to 10). Figures under
teacher forcing are called loss, perplexity or token accuracy, never BLEU.
"""

from coco.instances import NONE, find_instances, read_instances
from scoring import ptb
from scoring.metrics import FAILED, METRICS, compute
from scoring.objects import CATEGORIES, known_by
from system.files import BadInput

TOKENIZER = "PTB (coco-caption's, in Python)"
FEW = 100                   # pictures, of which a gain in CIDEr-D is known to some nine points
WIDTH = 10                  # of a table's names, so that a metric that comes later stands below
# what metrics are given: lists of words, and strings of tokens
INPUTS = ("candidates", "references", "sentences", "reference_sentences", "objects")


def tokens(sentence):
    """Return the PTB tokens of a sentence, lower case, without punctuation, joined by spaces."""
    return " ".join(ptb.tokenize(sentence))


def tokenized_references(split):
    """Return the tokenised references of each picture, in the order of the split."""
    found = [[tokens(sentence) for sentence in picture.sentences] for picture in split.pictures]
    if not any(map(any, found)):
        raise BadInput(f"no caption of {split.name} has a word that could be scored: give captions "
                       "in words, not signs alone")
    return found


def objects_of(split):
    """Return the set of COCO's categories that each picture of a split shows, a list.

    Those of the split's instances file are united with those that references name or imply, as in
    Rohrbach et al. 2018; where there is no such file the references alone know them.
    """
    files = [find_instances(picture) for picture in split.pictures]
    return [shown(picture.sentences, read_instances(file).get(picture.id, NONE).names
                  if file else ()) for picture, file in zip(split.pictures, files, strict=True)]


def shown(sentences, names=()):
    """Return the set of categories that sentences name or imply, or that an instances file names.
    """
    names = set(names)
    # another dataset's categories, such as "mug", are words
    return known_by(sentences) | names & set(CATEGORIES) | known_by(names - set(CATEGORIES))


def score(candidates, references, slow=False, fast=True, objects=None):
    """Compute the scores of a corpus: ({"Bleu_1": ..., "distinct": ...}, CIDEr-D (pictures,)).

    candidates: one sentence for each picture.  references: from `tokenized_references`.
    slow: compute METEOR too.  fast: compute the others; without them there is no CIDEr-D.
    objects: from `objects_of`; without them there is no CHAIR.
    """
    sentences = [tokens(sentence) for sentence in candidates]
    words = [sentence.split() for sentence in sentences]
    truths = [[sentence.split() for sentence in picture] for picture in references]
    given = dict(zip(INPUTS, (words, truths, sentences, references, objects), strict=True))
    if objects is None:
        del given["objects"]
    scores, each = compute(given, slow, fast)
    # A captioner that writes one sentence for every picture is broken however it scores.
    return {**scores, "distinct": len(set(candidates))}, each.get("CIDEr")


def evaluate(captioner, split, search=None, slow=False):
    """Caption and score a split: (report, COCO results, each picture's CIDEr); slow: METEOR too."""
    search = search or captioner.search()
    sentences = [best for best, *_ in captioner.sentences(captioner.features(split)[0], search)]
    return report_of(sentences, split, captioner.search_line(search), slow)


def report_of(sentences, split, how, slow=False):
    """Score sentences, one for each picture of a split, and say what was scored.

    how: the search that found the sentences, in words.  slow: compute METEOR too.
    Returns the report, the entries of a COCO result file, and each picture's CIDEr-D (pictures,).
    """
    scores, each = score(sentences, tokenized_references(split), slow, objects=objects_of(split))
    report = {"split": split.name, "pictures": len(split.pictures),
              "references": len(split.sentences), "search": how, "tokenizer": TOKENIZER,
              **scores}
    results = [{"image_id": picture.id, "caption": sentence}
               for picture, sentence in zip(split.pictures, sentences, strict=True)]
    return report, results, each


def add_slow_scores(report, results, split):
    """Return a report with the slow scores too; results: the entries of its COCO result file."""
    if all(metric.missing(INPUTS) for metric in METRICS.values() if metric.slow):
        return report
    scores, _ = score([one["caption"] for one in results], tokenized_references(split), slow=True,
                      fast=False)
    return {**{name: value for name, value in report.items() if name not in scores}, **scores}


def table(report):
    """Return a report as lines of text, scores as papers print them."""
    rows = []
    for name, value in report.items():
        if metric := METRICS.get(name):
            name, value = metric.label, f"{metric.scale * value:6.1f}"
        elif isinstance(value, float):
            value = f"{value:6.2f}"
        rows.append((name, value))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:>{max(width, WIDTH)}}  {value}" for name, value in rows)


def left_out(report):
    """Return a line for each metric that is not in a report, with the reason."""
    return [f"{metric.label} was left out: "
            f"{FAILED.get(name) or metric.missing(INPUTS) or 'it was not asked for'}"
            for name, metric in METRICS.items() if name not in report]
