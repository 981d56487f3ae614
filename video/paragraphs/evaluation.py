"""Score the paragraphs that a narrator writes about a split.

    Narrator, Told --evaluate--> {"split": ..., "Bleu_4": ..., "R@4": ..., "claims": {...}}

Overlap, repetition and diversity are those of scoring/paragraphs.py. Where the clips are drawn, the
claims of the paragraphs are checked against the truth, see scenes/motion/claims.py.
"""

from scenes.motion.claims import check, tally
from scoring.meteor import lacks_java
from scoring.metrics import METRICS
from scoring.paragraphs import DIVERSITY, REPETITION, paragraph_scores
from system.files import BadInput
from video.paragraphs.checkpoint import load_narrator
from video.paragraphs.files import read_told

KEYS = ("split", "clips", "missing", "R@4")     # of every report


def evaluate(narrator, told, search=None):
    """Return the report on a split and the paragraphs, lists of sentences."""
    search = search or narrator.search()
    clips = told.clips()
    written = narrator.paragraphs(narrator.features(clips, told.split),
                                  [clip.duration for clip in clips], told.spans(), search)
    return report_of(written, told, str(search)), written


def report_of(written, told, how):
    """Return the report on paragraphs, one for each clip of a split.

    how: the search that found the sentences, in words.
    """
    truths = told.truths()
    scores = paragraph_scores(dict(zip(told.names, written, strict=True)), told.references())
    return {"split": told.split, "clips": len(told),
            "references": sum(map(len, told.paragraphs)), "search": how, **scores,
            **({"claims": true_claims(written, truths)} if truths else {})}


def evaluate_split(options):
    """Do what evaluate.py asks for: (report, paragraphs, function of (report, what to say))."""
    if len(options.checkpoints) > 1:
        raise BadInput("a narrator is evaluated by itself: give one checkpoint")
    narrator = load_narrator(options.checkpoints[0], options.device)
    told = read_told(options.data, options.split).first(options.limit)
    search = narrator.search(beam=options.beam, length_penalty=options.length_penalty, **(
        {"max_length": options.max_length} if options.max_length else {}))
    report, written = evaluate(narrator, told, search)
    results = [{"video": name, "sentences": sentences}
               for name, sentences in zip(told.names, written, strict=True)]

    def finish():
        whole = add_slow(report, written, told)
        missing = lacks_java() or "its program failed"
        return whole, [] if "METEOR" in whole else [f"METEOR was left out: {missing}"]

    return report, results, finish


def add_slow(report, written, told):
    """Return a report with METEOR too, where it runs; written: the paragraphs it is on."""
    if "METEOR" in report or lacks_java():
        return report
    scores = paragraph_scores(dict(zip(told.names, written, strict=True)), told.references(),
                              slow=True)
    return report | {name: scores[name] for name in ("METEOR",) if name in scores}


def true_claims(written, truths):
    """Return the share of claims that are true, {kind: 0 to 1} and "all" of them.

    And of the paragraphs, those in which all are true and those that could be judged. A kind of
    which nothing is claimed is left out.
    """
    texts = [" ".join(sentences) for sentences in written]
    counts = tally(texts, truths)
    all_true, every = map(sum, zip(*counts.values(), strict=True))
    verdicts = [check(*pair).verdict for pair in zip(texts, truths, strict=True)]
    return {**{kind: true / count for kind, (true, count) in counts.items() if count},
            "all": all_true / max(1, every),
            "paragraphs": sum(one == "true" for one in verdicts) / len(verdicts),
            "understood": sum(one != "not understood" for one in verdicts) / len(verdicts)}


def table(report):
    """Return a report as lines of text, scores as papers print them."""
    rows = []
    for name, value in report.items():
        if name == "claims":
            rows += [(f"claims: {kind}", f"{100 * share:6.1f}") for kind, share in value.items()]
            continue
        if metric := METRICS.get(name):
            name, value = metric.label, f"{metric.scale * value:6.1f}"
        elif name in REPETITION or name in DIVERSITY:
            value = f"{100 * value:6.1f}"
        rows.append((name, value))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:>{width}}  {value}" for name, value in rows)
