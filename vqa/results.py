"""Evaluate the answers to a split's questions: those of an answerer, or those in a file.

    options --evaluate_split--> report, answers as EvalAI takes them, function of what takes long
    options --evaluate_file-->  the same, of answers that any program wrote
"""

from coco.results import ANSWERS, read_results
from system.files import BadInput
from vqa.checkpoint import load_answerer
from vqa.evaluation import beside, report
from vqa.evaluation import table as table
from vqa.facts import fact_accuracy, know, reads_facts, reasoned, table_of
from vqa.files import read_questions
from vqa.task import first, readable_only


def evaluate_split(options):
    """Do what evaluate.py asks for: (report, answers, function of (report, what to say))."""
    if len(options.checkpoints) > 1:
        raise BadInput("a question answerer is evaluated by itself: give one checkpoint")
    answerer = load_answerer(options.checkpoints[0], options.device, options.boxes)
    questions = readable_only(asked(options))
    if not questions.answers and not options.results:
        raise BadInput(f"{options.data} has no annotations of {questions.split}, so answers have "
                       "no score: give another --split, or --results to write the answers")
    facts = []
    if reads_facts(answerer) and not options.no_facts:
        know(answerer, facts := table_of(questions))
    given = answerer.model.given(questions) if options.layouts == "gold" else None
    said, used = reasoned(answerer, answerer.features(questions), questions.picture,
                          questions.texts, given)
    found = {"split": questions.split, "questions": len(said)}
    if questions.answers:
        found = report(questions, said, options.rules)
    if options.layouts == "gold":
        found["layouts"] = "gold"
    if facts and (known := fact_accuracy(questions, said, used, facts)):
        found["fact_accuracy"] = known

    def finish():
        baselines, remarks = beside(questions, answerer, options.data, options.rules)
        return {**found, **({"baselines": baselines} if baselines else {})}, remarks

    return found, entries(questions, said), finish


def evaluate_file(options):
    """Score the answers in EvalAI's file; see `evaluate_split` for what is returned."""
    questions, path = asked(options), options.checkpoints[0]
    if not questions.answers:
        raise BadInput(f"{options.data} has no annotations of {questions.split}, so answers have "
                       "no score: give another --split")
    said = read_results(path, ANSWERS, questions.ids.tolist(), questions.split)
    found = report(questions, said, options.rules)
    return found, entries(questions, said), lambda: (found, [])


def asked(options):
    """Return the questions that the options name."""
    return first(read_questions(options.data, options.split, options.val), options.limit)


def entries(questions, said):
    """Return answers to all questions as EvalAI takes them."""
    return [{"question_id": id, "answer": answer}
            for id, answer in zip(questions.ids.tolist(), said, strict=True)]
