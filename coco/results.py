"""Read what any program wrote about the pictures or the questions of a split.

    [{"image_id": 391895, "caption": "a man on a motorcycle"}, ...]     COCO's file of results
    [{"question_id": 262148000, "answer": "down"}, ...]                 EvalAI's

    path --kind_of--> CAPTIONS or ANSWERS       path, ids --read_results--> texts, one for each id
"""

from system.files import BadInput, read_json

CAPTIONS, ANSWERS = ("image_id", "caption"), ("question_id", "answer")
REMEDY = "give captions as COCO's result files have them, or answers as EvalAI takes them"


def kind_of(path):
    """Return CAPTIONS or ANSWERS, by the keys of a file's first entry; else raise `BadInput`."""
    first = next(iter(read_json(path, REMEDY, [dict])), {})
    for kind in (CAPTIONS, ANSWERS):
        if first.keys() >= {*kind}:
            return kind
    raise BadInput(f"{path} has neither captions nor answers: {REMEDY}")


def read_results(path, kind, ids, split):
    """Return the captions or answers in a file, a list in the order of `ids`.

    kind: CAPTIONS or ANSWERS.  ids: those of the pictures or questions of a split of this name.
    Raises `BadInput` if it is damaged, or has an id twice, one of another split or not all: a
    corpus that lacks what was hard is another corpus.
    """
    (key, value), found, known = kind, {}, set(ids)
    remedy = f"give one {value} for each {key} of {split}"
    for one in read_json(path, REMEDY, [{key: int, value: str}]):
        id = one[key]
        if id in found or id not in known:
            raise BadInput(f"{path} has the {key} {id}"
                           f"{' twice' if id in found else f', which is not in {split}'}: {remedy}")
        found[id] = one[value]
    if missing := [id for id in ids if id not in found]:
        raise BadInput(f"{path} lacks {len(missing)} of {len(known)}, the {key} {missing[0]} for "
                       f"one: {remedy}")
    return [found[id] for id in ids]
