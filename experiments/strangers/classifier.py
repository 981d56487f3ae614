"""Do the words for what ImageNet's classifier sees occur in what people say of a picture?

    datasets --cached_concepts--> (P, W) against the words of the references
        --> results/concepts/NETWORK.DATASET.json --> table

    python -m experiments.strangers.classifier --data ../shared/flickr8k ../shared/coco-photos
    python -m experiments.strangers.classifier --table           # from the files alone

Precision at k is the fraction of a picture's k likeliest words that a reference names, in singular
or plural. It is compared with that of the k words which most pictures of the same dataset have, a
judge that sees no picture and knows the answers. Average precision ranks the pictures by a word's
probability; by chance it is the fraction of the pictures that have the word.
"""

import numpy as np
import torch

from coco.dataset import Split, read_split, split_names
from concepts.nouns import named
from encoders.concepts import WORDS, cached_concepts
from experiments.harness import markdown
from experiments.strangers.datasets import finished, parser_of, percent, run
from system.commands import run_command

NETWORKS = "efficientnet_lite0", "efficientnet_lite2"
LEAST = 0.02                # of the pictures have a word that is frequent
SURE = 0.5                  # the probability above which a word is taken for certain
KS = 1, 3
RESULT = {"data": str, "split": str, "pictures": int, "network": str,
          **{f"{kind}@{k}": float for kind in ("precision", "frequent") for k in KS},
          "sure": float, "precision_sure": float | None, "average_precision": {str: (float, float)}}


def pictures_of(root):
    """Return the pictures of val where a root has a split of that name, else those of all splits.
    """
    names = split_names(root)
    splits = [read_split(root, name) for name in (["val"] if "val" in names else names)]
    return Split(" and ".join(one.name for one in splits),
                 tuple(picture for one in splits for picture in one.pictures))


def said_of(split, words=WORDS):
    """Return which words the references of each picture have, booleans (P, W)."""
    return np.stack([named(picture.sentences, words).any(axis=0) for picture in split.pictures])


def precision_at(scores, said, k):
    """Return the fraction of each picture's k best words that are said; scores, said: (P, W)."""
    best = torch.as_tensor(scores).topk(k, dim=1).indices.numpy()
    return float(np.take_along_axis(said, best, 1).mean())


def average_precision(scores, said):
    """Return the mean precision at the places of the pictures that have a word; both (P,)."""
    order = np.argsort(-np.asarray(scores), kind="stable")
    hits = said[order]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())


def judge(split, network):
    """Return a result of the concepts of a network on a split."""
    scores, said = cached_concepts(split, network).numpy(), said_of(split)
    share = said.mean(axis=0)
    constant = np.tile(share, (len(said), 1))
    sure = scores.max(axis=1) >= SURE
    found = {"split": split.name, "pictures": len(said), "network": network}
    for k in KS:
        found[f"precision@{k}"] = precision_at(scores, said, k)
        found[f"frequent@{k}"] = precision_at(constant, said, k)
    found["sure"] = float(sure.mean())
    found["precision_sure"] = precision_at(scores[sure], said[sure], 1) if sure.any() else None
    frequent = [place for place in np.argsort(-share, kind="stable") if share[place] >= LEAST]
    found["average_precision"] = {WORDS[place]: (average_precision(scores[:, place],
                                                                   said[:, place]),
                                                 float(share[place])) for place in frequent}
    return found


def table(results):
    """Return Markdown tables of all results, and of the words of each dataset, in per cent."""
    found = finished(results, RESULT, "experiments.strangers.classifier")
    heading = ["data", "split", "pictures", "network", *(f"precision at {k}" for k in KS),
               *(f"of the {k} most frequent" for k in KS), f"likeliest above {SURE}",
               "precision of these", "frequent words", "average precision", "by chance"]
    rows = []
    for one in found:
        ranked = list(one["average_precision"].values())
        means = np.mean(ranked, axis=0) if ranked else (float("nan"), float("nan"))
        rows.append([one["data"], one["split"], one["pictures"], one["network"],
                     *(percent(one[f"{kind}@{k}"]) for kind in ("precision", "frequent")
                       for k in KS), percent(one["sure"]), percent(one["precision_sure"]),
                     len(ranked), *map(percent, means)])
    lines = [f"{one['data']}, {one['network']}: " + ", ".join(
        f"{word} {percent(value)} ({percent(chance)})"
        for word, (value, chance) in one["average_precision"].items()) for one in found]
    return "\n\n".join([markdown(heading, rows), "Average precision of each frequent word, and by "
                        "chance:", *lines])


def by_networks(options):
    """Return {name of a network: function of a root that judges it}."""
    return {network: lambda root, network=network: judge(pictures_of(root), network)
            for network in options.networks}


def main():
    """Judge the networks on the datasets that are not done yet, and print the table."""
    parser = parser_of("Compare the classifier's words with people's.", "concepts")
    parser.add_argument("--networks", nargs="+", default=NETWORKS, metavar="NAME",
                        help=f"with their classifiers ({', '.join(NETWORKS)})")
    run(parser.parse_args(), by_networks, table)


if __name__ == "__main__":
    run_command(main)
