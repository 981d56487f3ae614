"""Read what any program wrote about the pictures or the questions of a split.

    [{"image_id": 391895, "caption": "a man on a motorcycle"}, ...]     COCO's file of results
    [{"question_id": 262148000, "answer": "down"}, ...]                 EvalAI's

    path --results_kind--> CAPTIONS or ANSWERS      path, ids --read_results--> texts
"""

from coco.dataset import tell
from system.files import BadInput, read_json

CAPTIONS, ANSWERS = ("image_id", "caption"), ("question_id", "answer")
REMEDY = ('give a list as in [{"image_id": 391895, "caption": "a man"}, ...] or '
          '[{"question_id": 1, "answer": "yes"}, ...], ids as whole numbers')


def results_kind(path):
    """Return CAPTIONS or ANSWERS, by the keys of a file's first entry; else raise `BadInput`."""
    first = next(iter(read_json(path, REMEDY, [dict])), {})
    for kind in (CAPTIONS, ANSWERS):
        if first.keys() >= {*kind}:
            return kind
    raise BadInput(f"{path} has neither captions nor answers: {REMEDY}")


def read_results(path, kind, ids, split):
    """Return the captions or answers in a file, a list in the order of `ids`.

    kind: CAPTIONS or ANSWERS.  ids: those of the pictures or questions of a split of this name;
    entries of others count nothing, which is told on stderr.
    Raises `BadInput` if it is damaged, has one of these ids twice or lacks one.
    """
    (key, value), found = kind, {}
    entries, known = read_json(path, REMEDY, [{key: int, value: str}]), set(ids)
    for one in entries:
        id = one[key]
        if id in found:
            raise BadInput(f"{path} has the {key} {id} twice: give one {value} for each")
        if id in known:
            found[id] = one[value]
    if missing := [id for id in ids if id not in found]:
        raise BadInput(f"{path} lacks {len(missing)} of the {len(known)} that {split} has, the "
                       f"{key} {missing[0]} for one: give one {value} for each, or another --split")
    if others := len(entries) - len(found):
        tell(f"{path}: {others} of {len(entries)} entries are not of what is scored, and count "
             "nothing")
    return [found[id] for id in ids]
