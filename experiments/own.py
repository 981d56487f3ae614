"""Do the README's commands for pictures of one's own, on few and many, and judge the sentences.

    dataset --N pictures of train--> photographs, captions.csv --README's commands--> sentences
        about pictures of val, kept aside --judged--> results/own/N.json, and a table

    python -m experiments.own --data ../shared/flickr8k

A captioner of N pictures is compared with the sentence that is most frequent among theirs.
"""

import argparse
import csv
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from captioning.evaluation import score, tokenized_references
from coco.dataset import in_drawn_order, read_split
from experiments.baselines import most_frequent
from experiments.harness import markdown
from system.commands import run_command
from system.files import BadInput, write_json
from vocabulary import tokenize

SIZES = 20, 60, 200, 2000
ASIDE = 300                 # pictures of val that are described; nothing is chosen by them
FILLERS = {"a", "an", "the", "and", "of", "in", "on", "at", "to", "with", "by", "is", "are", ",",
           "."}


def readme_commands():
    """Return the README's commands for one's own pictures, as lists of words."""
    blocks = re.findall(r"```bash\n(.*?)```", Path("README.md").read_text("utf-8"), re.S)
    found = [block for block in blocks if "prepare.py folder" in block]
    if not found:
        raise BadInput("README.md has no commands for one's own pictures: run this in the project")
    return [shlex.split(line, comments=True) for line in found[0].splitlines()]


def photographs(split, folder):
    """Copy the pictures of a split into a folder, and return a CSV of their sentences beside it."""
    (folder / "photos").mkdir(parents=True)
    rows = [("file", "caption")]
    for picture in split:
        shutil.copy(picture.file, folder / "photos" / picture.file.name)
        rows += [(picture.file.name, sentence) for sentence in picture.sentences]
    with open(folder / "captions.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def run_commands(folder):
    """Run the README's commands in `folder`, on its photographs; return the seconds of each."""
    places = {"photos": folder / "photos", "captions.csv": folder / "captions.csv",
              "data/mine": folder / "data", "runs/mine": folder / "run", "FOLDER": folder / "aside",
              "page.html": folder / "page.html"}
    seconds = {}
    for words in readme_commands():
        words = [sys.executable, *(str(places.get(word, word)) for word in words[1:])]
        begin = time.monotonic()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        seconds[words[1]] = round(time.monotonic() - begin, 1)
    return seconds


def sentences_of(folder):
    """Return {file name: sentence} of the pictures aside, as the run in `folder` describes them."""
    done = subprocess.run([sys.executable, "caption.py", folder / "aside", "--json", "--checkpoint",
                           folder / "run"], check=True, stdout=subprocess.PIPE)
    rows = [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]
    return {Path(row["file"]).name: row["captions"][0] for row in rows}


def thrice(sentence):
    """Return whether a word other than FILLERS, which may well, occurs three times."""
    counts = Counter(word for word in tokenize(sentence) if word not in FILLERS)
    return max(counts.values(), default=0) >= 3


def judged(data, size, seed):
    """Do the README's commands on `size` pictures of train and return what came of it."""
    train = in_drawn_order(read_split(data, "train").pictures, seed, lambda one: one.id)[:size]
    aside = read_split(data, "val").first(ASIDE)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        photographs(train, folder)
        (folder / "aside").mkdir()
        for picture in aside.pictures:
            shutil.copy(picture.file, folder / "aside" / picture.file.name)
        seconds = run_commands(folder)
        found = sentences_of(folder)
        constant = most_frequent(read_split(folder / "data", "train"), aside, None)
    sentences = [found[picture.file.name] for picture in aside.pictures]
    references = tokenized_references(aside)
    return {"pictures": size, "seconds": seconds, "minutes": round(sum(seconds.values()) / 60, 2),
            "distinct": len(set(sentences)), "thrice": sum(map(thrice, sentences)),
            "CIDEr": round(score(sentences, references)[0]["CIDEr"], 4),
            "constant": round(score(constant, references)[0]["CIDEr"], 4),
            "sentences": sentences[:12]}


def table(rows):
    """Return the results as a table in Markdown."""
    return markdown(["pictures", "minutes", "different sentences", "with a word thrice", "CIDEr",
                     "most frequent sentence"],
                    [[row["pictures"], f"{row['minutes']:.1f}", f"{row['distinct']} of {ASIDE}",
                      row["thrice"], f"{100 * row['CIDEr']:.1f}",
                      f"{100 * row['constant']:.1f}"] for row in rows])


def main():
    parser = argparse.ArgumentParser(description="Do the README's commands for one's own pictures "
                                     "on pictures of a dataset, and judge the sentences.")
    parser.add_argument("--data", required=True, help="dataset in COCO's layout")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of pictures")
    parser.add_argument("--seed", type=int, default=0, help="of which pictures (%(default)s)")
    options = parser.parse_args()
    rows = []
    for size in options.sizes:
        rows.append(judged(options.data, size, options.seed))
        write_json(f"results/own/{size}.json", rows[-1], indent=1)
        print(*rows[-1]["sentences"], sep="\n", flush=True)
    print(table(rows))


if __name__ == "__main__":
    run_command(main)
