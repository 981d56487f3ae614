"""Caption a split with a checkpoint, or with several as one ensemble, and score the captions.

    python evaluate.py runs/small --data data/scenes --split test --json results/scenes-test.json

A detector's checkpoint is scored by the boxes that it finds, a question answerer's by its answers
to the questions of a split, an action labeller's by the labels of all frames, a narrator by its
paragraphs about the clips of a split.
"""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from captioning.checkpoint import load_captioner, refuse_needless
from captioning.ensemble import Views, combine
from captioning.evaluation import add_slow_scores, evaluate, left_out, table
from coco.dataset import read_split
from coco.readable import readable
from decoders.search import STRONGEST, Search
from scoring.metrics import METRICS
from system.commands import run_command
from system.files import BadInput, write_json
from system.outputs import json_in, keys_in, output_file
from system.processor import add_device, name_gpu
from system.tensor_file import best_file, kind_of
from vqa.accuracy import RULES

FEW = 100                   # pictures, of which a gain in CIDEr-D is known to some nine points


def arguments():
    parser = argparse.ArgumentParser(description="Caption a split and score it as coco-caption "
                                     "does. Scores are printed x 100; files hold 0 to 1.")
    parser.add_argument("checkpoints", nargs="+", metavar="checkpoint", help="a run's folder or a "
                        ".safetensors checkpoint; several are evaluated as one ensemble")
    parser.add_argument("--data", required=True, help="dataset in COCO's layout")
    parser.add_argument("--split", default="val", help="train, val, test or another, as novel "
                        "of the scenes (val)")
    parser.add_argument("--beam", type=int, default=3, help="beams; 1 is greedy (3)")
    parser.add_argument("--length-penalty", type=float, default=Search.length_penalty,
                        help="rank by log-probability / length ** this (%(default)s)")
    parser.add_argument("--max-length", type=int, help="ids of a caption at most, <start> and "
                        "<end> counted (as it was trained)")
    parser.add_argument("--views", type=int, choices=(1, 2, 3), default=1, help="ways in which a "
                        "captioner sees each picture, whose probabilities are averaged: whole, "
                        "mirrored, its middle (1)")
    parser.add_argument("--boxes", metavar="PATH", help="what a captioner of regions needs beside "
                        "its checkpoint: bottom-up features of these pictures, or a file of the "
                        "detector's weights")
    parser.add_argument("--limit", type=int, help="only the first so many pictures, questions or "
                        "clips")
    parser.add_argument("--rules", default=RULES[0], choices=RULES,
                        help="of VQA accuracy, for a question answerer (%(default)s)")
    parser.add_argument("--val", action="store_true", help="for a question answerer: of the "
                        "split only the questions that are kept aside where a root has no val")
    parser.add_argument("--no-facts", action="store_true", help="for a question answerer with a "
                        "table of facts: withhold the split's table, facts_<split>.json")
    parser.add_argument("--layouts", default="predicted", choices=("predicted", "gold"),
                        help="of a network of modules: as it reads the question, or by the "
                        "program of each (%(default)s)")
    parser.add_argument("--json", help="write the report to this file")
    parser.add_argument("--results", help="write the captions as a COCO result file, or the "
                        "answers as EvalAI takes them")
    add_device(parser)
    return parser.parse_args()


def evaluate_captioners(options):
    """Caption a split: (report, captions, function of what takes long: (report, what to say))."""
    captioners = [load_captioner(path, options.device, options.boxes)
                  for path in options.checkpoints]
    refuse_needless(options.boxes, captioners)
    captioner = combine(captioners)
    if options.views > 1:
        if len(captioners) > 1:
            raise BadInput("--views is for one captioner: leave it out, or evaluate each alone")
        captioner = Views(captioner, options.views)
    split = readable(read_split(options.data, options.split).first(options.limit))
    settings = captioner.search(beam=options.beam, length_penalty=options.length_penalty, **(
        {"max_length": options.max_length} if options.max_length else {}))
    report, results, _ = evaluate(captioner, split, settings)

    def finish():
        whole = add_slow_scores(report, results, split)
        few = [f"{len(split.pictures)} pictures are few: others might give quite different scores"
               ] * (len(split.pictures) < FEW)
        return whole, [*few, *left_out(whole),
                       "SPICE was left out: its CoreNLP models are not part of this project"]

    return report, results, finish


def evaluate_detector(options):
    """Look for objects in a split; see `evaluate_captioners` for what is returned."""
    from detection.evaluation import evaluate  # both import torchvision, which takes a
    from encoders.regions import load_detector  # second
    if len(options.checkpoints) > 1 or options.results:
        raise BadInput("a detector is evaluated by itself and writes no captions: give one "
                       "checkpoint and no --results")
    backbone = load_detector(options.checkpoints[0]).to(options.device)
    split = readable(read_split(options.data, options.split).first(options.limit))
    report = {"split": split.name, "pictures": len(split.pictures), **evaluate(backbone, split)}
    return report, None, lambda: (report, [])


def evaluate_answerer(options):
    """Answer the questions of a split; see `evaluate_captioners` for what is returned."""
    from vqa.checkpoint import load_answerer
    from vqa.evaluation import beside
    from vqa.evaluation import report as answer_report
    from vqa.facts import fact_accuracy, know, reads_facts, reasoned, table_of
    from vqa.files import read_questions
    from vqa.task import first, readable_only
    if len(options.checkpoints) > 1:
        raise BadInput("a question answerer is evaluated by itself: give one checkpoint")
    answerer = load_answerer(options.checkpoints[0], options.device, options.boxes)
    questions = readable_only(first(read_questions(options.data, options.split, options.val),
                                    options.limit))
    if not questions.answers and not options.results:
        raise BadInput(f"{options.data} has no annotations of {questions.split}, so answers have "
                       "no score: give another --split, or --results to write the answers")
    facts = []
    if reads_facts(answerer) and not options.no_facts:
        know(answerer, facts := table_of(questions))
    given = answerer.model.given(questions) if options.layouts == "gold" else None
    said, used = reasoned(answerer, answerer.features(questions), questions.picture,
                          questions.texts, given)
    report = {"split": questions.split, "questions": len(said)}
    if questions.answers:
        report = answer_report(questions, said, options.rules)
    if options.layouts == "gold":
        report["layouts"] = "gold"
    if facts and (found := fact_accuracy(questions, said, used, facts)):
        report["fact_accuracy"] = found
    results = [{"question_id": id, "answer": answer}
               for id, answer in zip(questions.ids.tolist(), said, strict=True)]

    def finish():
        baselines, remarks = beside(questions, answerer, options.data, options.rules)
        return {**report, **({"baselines": baselines} if baselines else {})}, remarks

    return report, results, finish


def answer_table(report):
    """Return a report on answers as lines of text."""
    from vqa.evaluation import table
    return table(report)


def of_clips(name):
    """Return what a module of CLIPS evaluates with, and what prints its report."""
    module = import_module(name)
    return module.evaluate_split, module.table


def is_report(path):
    """Return whether a file holds a report, and nothing that is not in one."""
    about = {"split", "pictures", "references", "search", "tokenizer"}
    found = keys_in(path)
    return (about <= found <= about | METRICS.keys() | {"distinct"}
            or found == {"split", "pictures", "AP", "AP50", "boxes"}
            or {"split", "questions"} <= found <= ANSWERED
            or any(set(import_module(name).KEYS) <= found for name in CLIPS.values()))


def is_results(path):
    """Return whether a file holds the entries of a COCO result file, or of EvalAI's."""
    content = json_in(path)
    return isinstance(content, list) and all(
        isinstance(one, dict) and one.keys() in (
            {"image_id", "caption"}, {"question_id", "answer"}, {"video", "sentences"})
        for one in content)


def check_outputs(options):
    """Raise `BadInput` if a file that the options name would be lost by writing there."""
    references, written = (Path(options.data) / "annotations").resolve(), []
    for name, what, ours in (("json", "a report of this command", is_report),
                             ("results", "a COCO result file", is_results)):
        if getattr(options, name) is not None:
            path = output_file(getattr(options, name), what, ours)
            if references in path.resolve().parents:
                raise BadInput(f"--{name} {path} would lie among the references: give another "
                               "folder")
            written.append(path.resolve())
            setattr(options, name, path)
    if len(written) > len(set(written)):
        raise BadInput(f"--json and --results both name {written[0]}: give two files")


# By the kind that a checkpoint's header says it is of: what evaluates it, and what prints a report.
EVALUATORS = {"captioner": (evaluate_captioners, table), "detector": (evaluate_detector, table),
              "question answerer": (evaluate_answerer, answer_table)}
# and of what is about clips the module that has both, imported when it is needed
CLIPS = {"action labeller": "video.actions.evaluation", "narrator": "video.paragraphs.evaluation"}
# the keys of a report on answers
ANSWERED = {"split", "questions", "rules", "accuracy", "by_answer_type", "by_question_type",
            "arithmetic", "harmonic", "pair_accuracy", "wups", "fact_accuracy",
            "baselines", "layouts"}


def main():
    options = arguments()
    if options.beam < 1 or (options.limit is not None and options.limit < 1):
        raise BadInput("--beam and --limit take whole numbers of 1 or more")
    if options.max_length is not None and options.max_length < 3:
        raise BadInput("--max-length takes a whole number of 3 or more")
    if not 0 <= options.length_penalty <= STRONGEST:
        raise BadInput(f"--length-penalty takes a number from 0 to {STRONGEST}")
    *kinds, last = [f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}" for kind in
                    (*EVALUATORS, *CLIPS)]
    remedy = f"give {', '.join(kinds)} or {last}, or a run's folder made by train.py"
    kind = kind_of(best_file(options.checkpoints[0]), remedy)
    if kind not in EVALUATORS and kind not in CLIPS:
        raise BadInput(f"{options.checkpoints[0]} is a {kind}, which nothing evaluates: {remedy}")
    check_outputs(options)
    name_gpu(options.device)
    evaluator, lines = EVALUATORS.get(kind) or of_clips(CLIPS[kind])
    report, results, finish = evaluator(options)
    print(lines(report), flush=True)
    write(options, report, results)
    for path in filter(None, (options.json, options.results)):
        print(f"wrote {path}", file=sys.stderr)
    # METEOR's program takes long, and may be stopped: all else is kept before it starts
    whole, remarks = finish()
    if added := {name: value for name, value in whole.items() if name not in report}:
        print(lines(added))
        write(options, whole, results)
    for line in remarks:
        print(line, file=sys.stderr)


def write(options, report, results):
    """Write the files that the options ask for."""
    if options.json:
        write_json(options.json, report, indent=1)
    if options.results:
        write_json(options.results, results)


if __name__ == "__main__":
    run_command(main)
