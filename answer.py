"""Answer a question about a photograph, with a checkpoint that --recipe vqa trained.

    python answer.py photo.jpg "how many dogs?" --checkpoint runs/vqa_grounded

A line is an answer and how sure it is: the accuracy that is expected of it or, of a checkpoint with
--output softmax, its probability among all answers that the checkpoint knows. With --facts FILE a
checkpoint of the recipe vqa_knowledge says beside an answer which fact of the file it is from.
"""

import argparse
import sys

from coco.pictures import open_picture
from scenes.facts import read_facts
from system.commands import one_line, run_command
from system.files import BadInput
from system.processor import add_device, name_gpu
from vqa.checkpoint import load_answerer
from vqa.facts import know, reads_facts
from vqa.words import question_words

REMEDY = "check its path, or give another"


def arguments():
    parser = argparse.ArgumentParser(
        description="Answer a question about a picture: a line for each of the likeliest answers, "
        "the answer, a tab, and how sure it is, 0 to 1. Without network.")
    parser.add_argument("picture", help="a photograph")
    parser.add_argument("question", help="what is asked, in quotation marks")
    parser.add_argument("--checkpoint", required=True,
                        help="a .safetensors checkpoint or a run's folder of --recipe vqa")
    parser.add_argument("--top", type=int, default=5, help="answers (%(default)s)")
    parser.add_argument("--boxes", metavar="FILE", help="weights of the detector that a checkpoint "
                        "of regions needs, if they are not the published ones")
    parser.add_argument("--facts", metavar="FILE", help="the table that a checkpoint of the recipe "
                        "vqa_knowledge looks facts up in, such as data/questions/facts_test.json")
    add_device(parser)
    return parser.parse_args()


def main():
    options = arguments()
    if options.top < 1:
        raise BadInput("--top takes a whole number of 1 or more")
    if not question_words(options.question):
        raise BadInput("the question has no word: ask something, as in 'how many dogs?'")
    picture = open_picture(options.picture, REMEDY)
    answerer = load_answerer(options.checkpoint, options.device, options.boxes)
    if options.facts and not reads_facts(answerer):
        raise BadInput("--facts is for a checkpoint of the recipe vqa_knowledge, and this one "
                       "looks nothing up: leave it out")
    if options.facts:
        know(answerer, read_facts(options.facts))
    name_gpu(options.device)
    for answer, sure, fact in answerer.answer(picture, options.question, options.top):
        print(f"{one_line(answer)}\t{sure:.3f}" + (f"\t{said(fact)}" if fact else ""))
    if reads_facts(answerer) and not options.facts:
        print("it knows no facts until --facts gives it some", file=sys.stderr)
    if unknown := answerer.unknown(options.question):
        print(f"it has not learned {one_line(', '.join(unknown))}: it answers as if an unknown word"
              " stood there", file=sys.stderr)
    return 0


def said(fact):
    """Return a fact as a line of text."""
    return one_line(f"{fact['subject']}: {fact['relation']} {fact['object']}")


if __name__ == "__main__":
    run_command(main)
