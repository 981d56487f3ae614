"""How does a captioner do on strangers' photographs, and what does it see that is not there?

    checkpoint, datasets --caption--> scores, CHAIR, captions that name a dog
        --> results/strangers/CHECKPOINT.DATASET.json --> table, and gains of one over another

    python -m experiments.strangers.captions --data ../shared/flickr8k ../shared/coco-sample
    python -m experiments.strangers.captions --table          # from the files alone

Of the dataset that a captioner was trained on val is captioned, of any other every picture.
Sentences of the references, each held against the other references and the instances of its
picture, show what CHAIR is of people: that much is misread, or seen by one and overlooked by all
others. A dog stands for what a captioner learned too well: a fifth of Flickr8k's pictures show one.
"""

from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np

from caption import SHIPPED
from captioning.checkpoint import load_captioner
from captioning.ensemble import Views
from captioning.evaluation import evaluate, objects_of
from coco.dataset import Split, read_split, split_names
from experiments.harness import markdown
from experiments.strangers.datasets import each_of, finished, parser_of, percent, run
from scoring.chair import absent, chair
from scoring.metrics import METRICS
from scoring.objects import categories, known_by, objects_in
from scoring.significance import paired_bootstrap
from system.commands import run_command
from system.files import read_json
from system.processor import add_device
from system.tensor_file import best_file

COMMON = "dog"              # on the pictures of Flickr8k
MOST = 8                    # kinds of absent objects that a result lists
SHOWN = ("CIDEr", "Bleu_4", "METEOR", "CHAIRi", "CHAIRs")
EACH = ("CIDEr", "CHAIRs")  # of every picture; the latter is 1 if an absent object is named
RESULT = {"data": str, "checkpoint": str, "split": str, "pictures": int, "dog": float,
          "unknown_dog": float, "absent": [[str | int]],
          "people": {"CHAIRi": float, "CHAIRs": float},
          **dict.fromkeys(SHOWN, float | None)}


def pictures_of(root, captioner, trained_on=None):
    """Return the pictures that a captioner is judged by, as one `Split`.

    trained_on: the name of the dataset of whose pictures it has seen train; that of its settings.
    """
    trained_on = trained_on or Path(captioner.about.get("settings", {}).get("data", "")).name
    names = ["val"] if Path(root).name == trained_on else split_names(root)
    splits = [read_split(root, name) for name in names]
    return Split(" and ".join(one.name for one in splits),
                 tuple(picture for one in splits for picture in one.pictures))


def people(split):
    """Return the CHAIR of references, each held against the others and the instances."""
    sentences, objects = [], []
    for place in range(max(len(picture.sentences) for picture in split.pictures)):
        having = [one for one in split.pictures if len(one.sentences) > max(1, place)]
        sentences += [picture.sentences[place] for picture in having]
        objects += objects_of(Split(split.name, tuple(
            replace(one, sentences=one.sentences[:place] + one.sentences[place + 1:])
            for one in having)))
    return dict(zip(("CHAIRi", "CHAIRs"), chair(sentences, objects), strict=True))


def common(sentences, split):
    """Return the fractions of sentences that name a COMMON object, and one that no reference knows.
    """
    naming = [any(COMMON in categories(label) for label in objects_in(sentence))
              for sentence in sentences]
    unknown = [named and COMMON not in known_by(picture.sentences)
               for named, picture in zip(naming, split.pictures, strict=True)]
    return sum(naming) / len(naming), sum(unknown) / len(unknown)


def judge(captioner, root, trained_on=None):
    """Return the scores of a captioner on a dataset, and what it sees that is not there."""
    split = pictures_of(root, captioner, trained_on)
    report, results, ciders = evaluate(captioner, split, slow=True)
    sentences = [one["caption"] for one in results]
    named, unknown = common(sentences, split)
    wrong = [{one.label for one in absent(sentence, objects)}
             for sentence, objects in zip(sentences, objects_of(split), strict=True)]
    counts = Counter(label for labels in wrong for label in labels)
    each = [round(float(one), 4) for one in ciders], [float(bool(labels)) for labels in wrong]
    return report | {"dog": named, "unknown_dog": unknown, "absent": counts.most_common(MOST),
                     "people": people(split), "each": dict(zip(EACH, each, strict=True))}


def table(results):
    """Return a Markdown table of all captioners and datasets, in per cent, CIDEr x 100."""
    found = finished(results, RESULT, "experiments.strangers.captions")
    heading = ["data", "split", "pictures", "sentences of",
               *(METRICS[name].label for name in SHOWN), f"name a {COMMON}",
               f"a {COMMON} that no reference knows", "most often absent"]
    rows = []
    for data in dict.fromkeys(one["data"] for one in found):
        these = [one for one in found if one["data"] == data]
        about = [data, these[0]["split"], these[0]["pictures"]]
        rows.append([*about, "people", *(percent(these[0]["people"].get(name)) for name in SHOWN),
                     "", "", ""])
        rows += [[*about, one["checkpoint"], *(percent(one.get(name)) for name in SHOWN),
                  percent(one["dog"]), percent(one["unknown_dog"]),
                  ", ".join(f"{label} {count}" for label, count in one["absent"])]
                 for one in these]
    return "\n\n".join(filter(None, (markdown(heading, rows), gains(results, found))))


def gains(results, found):
    """Return a Markdown table of how far captioners lie above others on the same pictures.

    Each gain has the 95 % interval of a paired bootstrap over the pictures.  "" if there is none.
    """
    rows = []
    for one, other in combinations(found, 2):
        if one["data"] == other["data"]:
            first, second = (read_json(
                each_of(results / f"{it['checkpoint']}.{it['data']}.json"), "run "
                "experiments.strangers.captions again without the result beside it",
                dict.fromkeys(EACH, (float,) * it["pictures"])) for it in (one, other))
            rows.append([one["data"], one["checkpoint"], other["checkpoint"],
                         *(str(paired_bootstrap(*(METRICS[name].scale * np.array(it[name])
                                                  for it in (second, first)))) for name in EACH)])
    heading = ["data", "captioner", "over", *(METRICS[name].label for name in EACH)]
    return markdown(heading, rows) if rows else ""


def add_checkpoint(parser):
    """Add the options of a captioner to judge, and return the parser."""
    parser.add_argument("--checkpoint", default=SHIPPED,
                        help="a .safetensors checkpoint or a run's folder (the one in the box)")
    parser.add_argument("--trained-on", metavar="NAME", help="the dataset of whose pictures it has "
                        "seen train, so that val is captioned (that of its settings)")
    parser.add_argument("--views", type=int, choices=(1, 2, 3), default=1,
                        help="sizes in which it sees each picture, as evaluate.py's (1)")
    add_device(parser)
    return parser


def by_captioner(options, judge):
    """Return {its name: function of a root}; judge: function of captioner, root and
    the name of the dataset of whose pictures it has seen train."""
    path = best_file(options.checkpoint)
    name = path.parent.name if Path(options.checkpoint).is_dir() else path.stem
    if options.views > 1:
        name += f"-{options.views}-sizes"

    @cache
    def captioner():
        loaded = load_captioner(path, options.device)
        return Views(loaded, options.views) if options.views > 1 else loaded

    return {name: lambda root: {"checkpoint": name, **judge(
        captioner(), root, options.trained_on)}}


def main():
    """Judge the captioner on the datasets that are not done yet, and print the table."""
    parser = add_checkpoint(parser_of(
        "Judge a captioner on photographs of several datasets.", "strangers"))
    run(parser.parse_args(), lambda options: by_captioner(options, judge), table)


if __name__ == "__main__":
    run_command(main)
