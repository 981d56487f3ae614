"""Write answers as EvalAI takes them, and read such files.

    [{"question_id": 262148000, "answer": "down"}, ...]         every question once
"""

from system.files import BadInput, read_json, write_json

RESULTS = [{"question_id": int, "answer": str}]
REMEDY = "give the results of this split's questions"


def write_results(path, questions, predicted):
    """Write the answers to all questions, in their order, whole or not at all."""
    write_json(path, [{"question_id": id, "answer": answer} for id, answer in
                      zip(questions.ids.tolist(), predicted, strict=True)])


def read_results(path, questions):
    """Return the answers in a file in the order of the questions.

    Raises `BadInput` if it is damaged, or answers a question twice, one of another split or not
    all.
    """
    found, known = {}, set(questions.ids.tolist())
    for one in read_json(path, REMEDY, RESULTS):
        id = one["question_id"]
        if id in found or id not in known:
            what = "twice" if id in found else f"which {questions.split} does not ask"
            raise BadInput(f"{path} answers question {id}{',' * (id not in found)} {what}: "
                           f"{REMEDY}")
        found[id] = one["answer"]
    missing = [id for id in questions.ids.tolist() if id not in found]
    if missing:
        raise BadInput(f"{path} has no answer to {len(missing)} of {len(known)} questions, "
                       f"{missing[0]} for one: {REMEDY}")
    return [found[id] for id in questions.ids.tolist()]
