"""Questions about facts are answered from a table, whatever it says, and the fact is named."""

import json
import shutil
import sys
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch.nn import functional

import answer
import evaluate
from system.files import BadInput, write_json
from tests.asking import write_facts, write_questions
from training import loop
from vocabulary import Vocabulary
from vqa import results
from vqa.checkpoint import load_answerer
from vqa.facts import behind, know, shares, table_of
from vqa.families.knowledge import NEVER, Knowledge, Table
from vqa.families.parts import Sizes
from vqa.settings import VQASettings
from vqa.task import VQA
from vqa.words import Answers

pytestmark = pytest.mark.usefixtures("no_curves")
THINGS, RELATIONS = ("cat", "ball", "car"), ("made", "stored")
OBJECTS = ("wood", "glass", "wax", "attic", "garden", "cellar")
VOCAB, ANSWERS = Vocabulary(words=[*THINGS, *RELATIONS]), Answers([*OBJECTS, "yes"])
QUESTIONS = torch.tensor([[VOCAB(relation)] for relation in RELATIONS for _ in THINGS])
LENGTHS = torch.ones(6, dtype=torch.long)
FEATURES = torch.eye(8)[[0, 1, 2] * 2]          # a thing's kind as a number
SIZES = Sizes(channels=8, words=len(VOCAB), answers=7, embed_size=6, hidden_size=16, dropout=0.0,
              gated=True, streams=1, places=False)


def facts(objects=OBJECTS):
    pairs = [(thing, relation) for relation in RELATIONS for thing in THINGS]
    return [{"id": number, "subject": thing, "relation": relation, "object": said,
             "redrawn": False} for number, ((thing, relation), said) in enumerate(
                 zip(pairs, objects, strict=True))]


def built(table):
    torch.manual_seed(0)
    model = Knowledge(SIZES)
    give(model, table)
    return model


def give(model, table):
    know(SimpleNamespace(model=model, vocab=VOCAB, answers=ANSWERS), table)


@pytest.fixture(scope="module")
def taught():
    """A model that has learned from answers alone, by one table."""
    model = built(facts())
    model.told[:6] = True
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(80):
        scores = model(FEATURES, QUESTIONS, LENGTHS).scores
        optimizer.zero_grad()
        functional.binary_cross_entropy_with_logits(scores, torch.eye(6, 7)).backward()
        optimizer.step()
    return model.eval()


def said(model):
    """The answers, and the facts that they are from."""
    found = model(FEATURES, QUESTIONS, LENGTHS)
    places = found.scores.argmax(dim=1).tolist()
    used = [behind(model.table, row, [place])[0]
            for row, place in zip(found.facts.tolist(), places, strict=True)]
    return [ANSWERS.spelled[place] for place in places], [one and one["id"] for one in used]


def test_the_score_of_a_fact_is_what_is_asked_times_its_relation_and_what_is_seen_its_subject():
    model = built(facts(("wood",) * 2 + OBJECTS[2:])).eval()
    found = model(FEATURES, QUESTIONS, LENGTHS)
    others, _, question, seen = model.look(FEATURES, QUESTIONS, LENGTHS)
    words = model.read.words.weight
    for row in range(6):
        asked, shown = model.asked(question)[row], model.shown(seen)[row]
        scores = [model.relation.weight @ words[VOCAB(fact["relation"])] @ asked
                  + model.subject.weight @ words[VOCAB(fact["subject"])] @ shown
                  + model.bias[0] for fact in model.table.facts]
        expected = torch.stack([max(scores[:2]), *scores[2:]])
        torch.testing.assert_close(found.scores[row, [0, 2, 3, 4, 5]], expected)
        torch.testing.assert_close(found.facts[row], torch.stack(scores).softmax(dim=0))
    torch.testing.assert_close(found.scores[:, [1, 6]], others[:, [1, 6]])


def test_the_right_fact_is_found_by_question_and_picture(taught):
    give(taught, facts())
    assert said(taught) == ([*OBJECTS], [*range(6)])


def test_another_table_gives_other_answers_by_the_same_facts(taught):
    give(taught, facts())
    before = taught(FEATURES, QUESTIONS, LENGTHS).scores
    order = [1, 2, 0, 5, 3, 4]
    give(taught, facts([OBJECTS[number] for number in order]))
    assert said(taught) == ([OBJECTS[number] for number in order], [*range(6)])
    assert torch.equal(taught(FEATURES, QUESTIONS, LENGTHS).scores[:, [*order, 6]], before)


def test_the_order_of_the_facts_means_nothing(taught):
    give(taught, facts()[::-1])
    assert said(taught) == ([*OBJECTS], [*range(6)])


def test_a_table_redrawn_in_training_with_its_answers_would_teach_the_same():
    order, gradients = [5, 3, 0, 1, 4, 2], []
    for table in (OBJECTS, [OBJECTS[number] for number in order]):
        model = built(facts(table))
        targets = torch.eye(7)[[OBJECTS.index(one) for one in table]]
        functional.binary_cross_entropy_with_logits(
            model(FEATURES, QUESTIONS, LENGTHS).scores, targets).backward()
        gradients.append([one.grad for one in (model.subject.weight, model.read.words.weight)])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_without_the_table_what_only_facts_say_is_not_said(taught):
    give(taught, [])
    found = taught(FEATURES, QUESTIONS, LENGTHS).scores
    assert (found[:, :6] == NEVER).all() and (found[:, 6] > NEVER).all()
    assert said(taught) == (["yes"] * 6, [None] * 6)
    give(taught, facts()[:1])           # of one fact, the others' answers neither
    assert (taught(FEATURES, QUESTIONS, LENGTHS).scores[:, 1:6] == NEVER).all()


def test_the_words_of_a_text_share_it():
    assert shares(VOCAB, ["cat"])[0].nonzero().tolist() == [[VOCAB("cat")]]
    assert shares(VOCAB, ["cat made cat"])[0, [VOCAB("cat"), VOCAB("made")]].tolist() == [
        pytest.approx(2 / 3), pytest.approx(1 / 3)]


def test_facts_in_words_that_were_not_learned_are_left_out(capsys):
    model = built(facts())
    for part in ("subject", "relation", "object"):
        give(model, [facts()[0], {**facts()[1], part: "zebra"}])
        assert [one["id"] for one in model.table.facts] == [0]
    assert "1 of 2 facts are left out" in capsys.readouterr().err
    with pytest.raises(BadInput, match="none has words and an answer"):
        give(model, [{**facts()[1], "object": "zebra"}])


def test_the_fact_behind_an_answer_is_the_likeliest_that_says_so():
    table = Table(tuple("abc"), None, None, torch.tensor([4, 2, 4]))
    assert behind(table, [0.2, 0.5, 0.3], [4, 2, 0]) == ["c", "b", None]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = write_questions(tmp_path_factory.mktemp("facts"), {"train": 12, "val": 6, "test": 6})
    for split in ("train", "val"):
        write_facts(root, split, ["wood", "glass", "wax"])
    return write_facts(root, "test", ["wax", "wood", "glass"], redrawn=True)


@pytest.fixture(scope="module")
def run(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "facts"
    settings = VQASettings(str(root), model="knowledge", encoder="tiny", epochs=12, batch_size=12,
                           learning_rate=0.02, warmup=3, patience=12, embed_size=12,
                           hidden_size=24, answer_threshold=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "save_curves", lambda *_: None)
        loop.train(VQA(settings), folder)
    return folder


def command(monkeypatch, main, *words):
    monkeypatch.setattr(sys, "argv", ["x.py", *map(str, words)])
    monkeypatch.setattr(results, "beside", lambda *_: ({}, []))
    return main()


def test_redrawn_facts_are_read_from_the_split_s_table(run, root, tmp_path, monkeypatch, capsys):
    words = run, "--data", root, "--split", "test", "--json", tmp_path / "report.json"
    command(monkeypatch, evaluate.main, *words)
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["accuracy"] > 0.9
    assert found["fact_accuracy"] == {"questions": 6, "all": 1, "redrawn": 1, "unchanged": None}
    assert "right with the right fact, redrawn  100.00" in capsys.readouterr().out
    command(monkeypatch, evaluate.main, *words, "--no-facts")       # over its own report
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["by_question_type"]["made of"] == 0 and "fact_accuracy" not in found


def test_answer_py_names_the_fact(run, root, tmp_path, monkeypatch, capsys):
    Image.new("RGB", (48, 48), (210, 40, 40)).save(tmp_path / "red.png")
    words = tmp_path / "red.png", "What is it made of?", "--checkpoint", run, "--top", 1
    command(monkeypatch, answer.main, *words, "--facts", root / "facts_test.json")
    assert capsys.readouterr().out.split("\t")[::2] == ["wax", "red: made of wax\n"]
    command(monkeypatch, answer.main, *words)
    out, error = capsys.readouterr()
    assert out.count("\t") == 1 and "it knows no facts until --facts" in error


@pytest.mark.parametrize("text", ["{", "[]", '{"facts": [{"subject": 3}]}'])
def test_a_damaged_table_is_refused_in_a_sentence(text, tmp_path):
    (tmp_path / "facts_val.json").write_text(text)
    with pytest.raises(BadInput, match="facts_val.json is .*draw the questions again"):
        table_of(SimpleNamespace(root=tmp_path, split="val"))


def test_a_root_without_a_table_is_refused(run, tmp_path):
    settings = load_answerer(run).about["settings"]
    bare = write_questions(tmp_path, {"train": 3, "val": 3})
    with pytest.raises(BadInput, match="has no facts_train.json, the table"):
        VQA(VQASettings(**{**settings, "data": str(bare)})).read()


def test_the_tables_are_part_of_what_a_run_has_read(run, root, tmp_path):
    other = shutil.copytree(root, tmp_path / "other")
    write_facts(other, "val", ["wax", "wood", "glass"])
    settings, found = load_answerer(run).about["settings"], []
    for one in (root, other):
        task = VQA(VQASettings(**{**settings, "data": str(one)}))
        task.read()
        found.append(task.content["the facts"])
    assert found[0] != found[1]


def test_the_table_of_a_split_that_train_has_lent_is_that_of_train(tmp_path):
    write_json(tmp_path / "facts_train.json", {"facts": facts()})
    assert table_of(SimpleNamespace(root=tmp_path, split="val, lent by train")) == facts()


def test_programs_that_need_a_fact_that_is_not_there_are_refused(run, monkeypatch, tmp_path):
    other = write_questions(tmp_path / "other", {"test": 3})
    write_facts(other, "test", ["wood", "glass", "wax"])
    programs = json.loads((other / "v2_mscoco_test_programs.json").read_text())
    write_json(other / "v2_mscoco_test_programs.json",
               {id: {**one, "fact": 7} for id, one in programs.items()})
    with pytest.raises(BadInput, match="needs the fact 7 for question 10, which .* has not"):
        command(monkeypatch, evaluate.main, run, "--data", other, "--split", "test")
