"""Caption a split with a checkpoint, or with several as one ensemble, and score the captions.

    python evaluate.py runs/small --data data/scenes --split test --json results/scenes-test.json
    python evaluate.py captions.json --data data/coco       # that any program wrote; no Java needed

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
from captioning.evaluation import FEW, add_slow_scores, evaluate, left_out, report_of, table
from coco.dataset import read_split
from coco.readable import readable
from coco.results import ANSWERS, CAPTIONS, read_results, results_kind
from decoders.search import STRONGEST, Search
from scoring.metrics import METRICS
from system.commands import one_line, run_command
from system.files import BadInput, write_json
from system.outputs import json_in, keys_in, output_file
from system.processor import add_device, name_gpu
from system.tensor_file import best_file, kind_of
from vqa.accuracy import RULES

# options that also mean something for a file of results, where nothing is written any more
OF_FILES = {"checkpoints", "data", "split", "limit", "json", "device"}


def arguments():
    parser = argparse.ArgumentParser(description="Caption a split and score it as coco-caption "
                                     "does. Scores are printed x 100; files hold 0 to 1.")
    parser.add_argument("checkpoints", nargs="+", metavar="checkpoint", help="a run's folder or a "
                        ".safetensors checkpoint; several are evaluated as one ensemble. Or a COCO "
                        "result file or EvalAI's answers, which are scored as they are")
    parser.add_argument("--data", required=True, help="dataset in COCO's layout, or a root of "
                        "questions or clips")
    parser.add_argument("--split", default="val", help="train, val, test or another, as novel "
                        "of the scenes (val)")
    parser.add_argument("--beam", type=int, default=3, help="beams; 1 is greedy (3)")
    parser.add_argument("--length-penalty", type=float, default=Search.length_penalty,
                        help="rank by log-probability / length ** this (%(default)s)")
    parser.add_argument("--max-length", type=int, help="ids of a caption at most, <start> and "
                        "<end> counted (as it was trained)")
    parser.add_argument("--views", type=int, choices=(1, 2, 3), default=1, help="sizes in which "
                        "each picture is read, its words chosen by their mean probability: the "
                        "captioner's own, one larger, two larger (1)")
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
    options = parser.parse_args()
    if is_file_of_results(options.checkpoints[0]):
        refuse_needless_options(parser, options)
    return options


def is_file_of_results(path):
    """Return whether a path names captions or answers that are written already."""
    return Path(path).suffix.lower() == ".json" and not Path(path).is_dir()


def refuse_needless_options(parser, options):
    """Raise `BadInput` for options that mean nothing for a file of results."""
    path, *more = options.checkpoints
    if more:
        raise BadInput(f"{path} is a file of results, which is scored by itself: give no other")
    known = OF_FILES | ({"rules", "val"} if results_kind(path) == ANSWERS else set())
    for name, value in vars(options).items():
        if name not in known and value != parser.get_default(name):
            raise BadInput(f"--{name.replace('_', '-')} means nothing for {path}, a file of "
                           "results: leave it out")


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
    return with_slow_scores(split, report, results)


def evaluate_captions(options):
    """Score the captions in a COCO result file; see `evaluate_captioners` for what is returned."""
    path, split = options.checkpoints[0], read_split(options.data, options.split)
    split = split.first(options.limit)      # no picture is opened, so none needs to be there
    sentences = read_results(path, CAPTIONS, [picture.id for picture in split.pictures], split.name)
    report, results, _ = report_of(sentences, split, f"captions of {one_line(Path(path).name)}")
    return with_slow_scores(split, report, results)


def with_slow_scores(split, report, results):
    """Return a report, its captions, and the function that adds what takes long."""
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


def evaluator_of(options):
    """Return what evaluates the checkpoints or the file of results, what prints its report, and
    what each entry of --results has.
    """
    path = options.checkpoints[0]
    if is_file_of_results(path):
        if results_kind(path) == CAPTIONS:
            return evaluate_captions, table, CAPTIONS
        module = import_module(MODULES["question answerer"])
        return module.evaluate_file, module.table, ANSWERS
    *kinds, last = [f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}" for kind in
                    (*EVALUATORS, *MODULES)]
    remedy = (f"give {', '.join(kinds)} or {last}, or a run's folder made by train.py, or a .json "
              "file of results")
    kind = kind_of(best_file(path), remedy)
    if kind in EVALUATORS:
        return EVALUATORS[kind], table, CAPTIONS
    if kind not in MODULES:
        raise BadInput(f"{path} is a {kind}, which nothing evaluates: {remedy}")
    module = import_module(MODULES[kind])
    return module.evaluate_split, module.table, WRITTEN.get(kind, ())


def is_report(path):
    """Return whether a file holds a report, and nothing that is not in one."""
    about = {"split", "pictures", "references", "search", "tokenizer"}
    found = keys_in(path)
    return (about <= found <= about | METRICS.keys() | {"distinct"}
            or found == {"split", "pictures", "AP", "AP50", "boxes"}
            or {"split", "questions"} <= found <= ANSWERED
            or any({*import_module(name).KEYS} <= found for name in CLIPS.values()))


def is_results(path, keys):
    """Return whether a file holds a list of objects with these keys."""
    content = json_in(path)
    return isinstance(content, list) and all(
        isinstance(one, dict) and one.keys() == {*keys} for one in content)


def check_outputs(options, keys):
    """Raise `BadInput` if a file that the options name would be lost by writing there.

    keys: of each entry of --results.
    """
    references, written = (Path(options.data) / "annotations").resolve(), []
    for name, what, ours in (("json", "a report of this command", is_report),
                             ("results", f"a file of {' and '.join(keys)}",
                              lambda path: is_results(path, keys))):
        if getattr(options, name) is not None:
            path = output_file(getattr(options, name), what, ours)
            if references in path.resolve().parents:
                raise BadInput(f"--{name} {path} would lie among the references: give another "
                               "folder")
            written.append(path.resolve())
            setattr(options, name, path)
    if len(written) > len(set(written)):
        raise BadInput(f"--json and --results both name {written[0]}: give two files")


# By the kind that a checkpoint's header says it is of: what evaluates it, or the module that has
# that and what prints the report, imported when it is needed
EVALUATORS = {"captioner": evaluate_captioners, "detector": evaluate_detector}
CLIPS = {"action labeller": "video.actions.evaluation", "narrator": "video.paragraphs.evaluation"}
MODULES = {"question answerer": "vqa.results", **CLIPS}
WRITTEN = {"question answerer": ANSWERS, "narrator": ("video", "sentences")}
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
    evaluator, lines, keys = evaluator_of(options)
    check_outputs(options, keys)
    name_gpu(options.device)
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
