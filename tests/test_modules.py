"""A network of modules executes what the executor does, and reads layouts off questions."""

import json
import random
import sys
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

import answer as answer_command
import evaluate
from scenes import world
from scenes.facts import facts, lookup
from scenes.programs import Scene, join, step, then
from scenes.programs import run as execute
from scenes.questions.balance import pool
from scenes.questions.families import FORMS
from system.files import BadInput
from tests.asking import write_questions
from training import loop
from vqa.checkpoint import load_answerer
from vqa.clevr import program_of
from vqa.families.parts import Sizes
from vqa.files import read_questions
from vqa.modules import layouts
from vqa.modules.layouts import END, is_answer, postfix, program, waiting
from vqa.modules.network import SURE, Modules
from vqa.modules.steps import MODULES, Seen
from vqa.settings import VQASettings
from vqa.task import VQA
from vqa.words import Answers

pytestmark = pytest.mark.usefixtures("no_curves")
SIZES = Sizes(channels=6, words=11, answers=5, embed_size=4, hidden_size=7, dropout=0.0,
              gated=True, streams=1, places=True)
TABLE = lookup(facts(0))


def layout(steps):
    return postfix([(one["function"], one["inputs"], one["value_inputs"]) for one in steps])


@pytest.fixture(scope="module")
def asked():
    """({picture: Scene}, [(picture, program, answer)]) of some questions of every form."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "paint", lambda *_: None)
        scenes = {n: Scene(world.scene(random.Random(n))[1], TABLE) for n in range(12)}
    found, random_ = [], random.Random(0)
    for form, by_slots in pool(scenes, 0).items():
        all_ = [(picture, form.program(*slots), said) for slots, answers in by_slots.items()
                for said, pictures in answers.items() for picture in pictures]
        found += random_.sample(all_, min(40, len(all_)))
    return scenes, found


@pytest.fixture(scope="module")
def model(asked):
    """A network for these programs and answers whose tables of names and facts are sure."""
    spelled = Answers(sorted({said for _, _, said in asked[1]}))
    tokens = sorted({token for _, one, _ in asked[1] for token in layout(one)})
    torch.manual_seed(0)
    found = Modules(replace(SIZES, answers=len(spelled), tokens=tokens)).eval()
    found.begin(spelled, None)
    with torch.no_grad():
        for table, relation in enumerate(found.words.facts, 1):
            for row, name in enumerate(found.names):
                if (name, relation) in TABLE and TABLE[name, relation] in spelled.places:
                    found.tables[table, row, spelled.places[TABLE[name, relation]]] = SURE
    found.spelled = spelled
    return found


def seen(model, scenes):
    """Return `Seen` of scene graphs, as eyes that are never wrong see them, behind one cell more.
    """
    most = 1 + max(len(scene.objects) for scene in scenes)
    there = torch.zeros(len(scenes), most)
    values = torch.zeros(len(scenes), most, len(model.words.values))
    relations = torch.zeros(len(scenes), most, most, len(model.words.relations))
    background = torch.zeros(len(scenes), len(model.spelled))
    for row, scene in enumerate(scenes):
        there[row, 1:1 + len(scene.objects)] = 1
        if scene.background in model.spelled.places:
            background[row, model.spelled.places[scene.background]] = 1
        for i, thing in enumerate(scene.objects, 1):
            for name, start, known in model.words.parts():
                if thing[name] in known:
                    values[row, i, start + known.index(thing[name])] = 1
        for i, relation, j in scene.relations:
            if relation in model.words.relations:
                relations[row, i + 1, j + 1, model.words.relations.index(relation)] = 1
    return Seen(there, values, relations, background)


def test_with_eyes_that_are_never_wrong_it_answers_as_the_executor_does(asked, model):
    scenes, questions = asked
    codes = model.grammar.encode([layout(one) for _, one, _ in questions])
    eyes = seen(model, [scenes[picture] for picture, _, _ in questions])
    values = model.execute(eyes, codes)
    right = model.right(values[-1], codes)
    assert [model.spelled.spelled[place] for place in right.argmax(dim=1)] == [
        said for _, _, said in questions]
    assert (right.max(dim=1).values > 0.99).all()
    done = {one["function"] for _, steps, _ in questions for one in steps}
    assert {layouts.kind_of(function)[0] for function in done} == MODULES.keys() - {
        "union", "intersect", "same"}               # which CLEVR has and drawn questions have not
    for number, (picture, steps, _) in enumerate(questions[::7]):     # every step, not the last
        for place, true in enumerate(execute(steps, scenes[picture])):
            if isinstance(true, tuple):
                cells = values[place, 7 * number, 1:1 + len(scenes[picture].objects)]
                assert cells.nonzero().flatten().tolist() == [*true]


def test_a_batch_is_executed_as_one_by_one(asked, model):
    scenes, questions = asked
    questions = random.Random(1).sample(questions, 9)
    codes = model.grammar.encode([layout(one) for _, one, _ in questions])
    torch.manual_seed(0)
    eyes = Seen(*(torch.rand(3, *one.shape[1:]) for one in seen(model, [*scenes.values()][:3])))
    whole = model.execute(eyes, codes)
    for row in range(9):                            # three questions own a picture
        one = Seen(*(part[row // 3:row // 3 + 1] for part in eyes))
        alone = model.execute(one, codes[row:row + 1])[:, 0]
        torch.testing.assert_close(whole[:, row], alone)


def test_counting_is_the_sum_of_throws(model):
    maps = torch.rand(3, 4)
    found = MODULES["count"](None, maps)
    expected = torch.zeros(3, found.shape[1])
    for outcome in range(16):
        thrown = torch.tensor([outcome >> place & 1 for place in range(4)])
        chance = torch.where(thrown == 1, maps, 1 - maps).prod(dim=1)
        expected[:, thrown.sum()] += chance
    torch.testing.assert_close(found, expected)
    assert MODULES["count"](None, torch.ones(1, 30))[0, -1] == 1        # more than ten are ten
    torch.testing.assert_close(MODULES["exist"](None, maps)[:, 0], 1 - found[:, 0])


def test_union_intersection_and_same_are_those_of_sets(model):
    one, other = torch.tensor([[1.0, 1, 0, 0]]), torch.tensor([[0.0, 1, 1, 0]])
    assert MODULES["union"](None, one, other).tolist() == [[1, 1, 1, 0]]
    assert MODULES["intersect"](None, one, other).tolist() == [[0, 1, 0, 0]]
    small = Modules(replace(SIZES, tokens=["scene", "filter_color red", "filter_color blue",
                                           "unique", "same_color", "count"]))
    values = torch.tensor([[[1.0, 0], [1, 0], [0, 1], [1, 0]]])
    eyes = Seen(torch.ones(1, 4), values, torch.zeros(1, 4, 4, 0), torch.zeros(1, 5))
    codes = small.grammar.encode([("scene", "filter_color blue", "unique", "same_color", "count"),
                                  ("scene", "filter_color red", "count")])
    assert small.execute(eyes, codes)[-1, :, 2:6].argmax(dim=1).tolist() == [0, 3]


def test_programs_and_layouts_are_each_other_s_inverse(asked):
    families = set()
    for _, steps, _ in asked[1]:
        families.add(tuple(one["function"] for one in steps))
        assert program(layout(steps)) == steps and is_answer(waiting(layout(steps)))
    assert len(families) > len(FORMS) / 2
    scene, red = step("scene"), [step("scene"), step("filter_color", [0], ["red"])]
    clevr = [{"type": one["function"], "inputs": one["inputs"], "value_inputs": one["value_inputs"]}
             for one in then(join("union", red, [scene]), "count")]
    found = postfix(program_of(clevr, "x", {}))
    assert found == ("scene", "filter_color red", "scene", "union", "count")
    # a value that two steps take is computed for both
    assert postfix([("scene", [], []), ("exist", [0], []), ("and", [1, 1], [])]) == (
        "scene", "exist", "scene", "exist", "and")


@pytest.mark.parametrize("steps, said", [
    ([("scene", [], []), ("magic", [0], [])], "magic"),
    ([("scene", [], []), ("filter_", [0], [])], "filter_"),
    ([("scene", [], []), ("count", [1], [])], "do not follow"),
    ([("scene", [], [])] + [("and", [n, n], []) for n in range(20)], "too many")])
def test_what_is_no_program_is_refused(steps, said):
    with pytest.raises(BadInput, match=said):
        waiting(postfix(steps))


def test_a_generator_s_layouts_are_valid_whatever_it_likes_best(model):
    questions, lengths = torch.randint(3, 11, (9, 5)), torch.tensor([5, 2, 4] * 3)
    generator = model.read
    kept = generator.out.bias.detach().clone()
    for liked in (END, *map(model.grammar.ids.get, ("scene", "and", "union", "unique", "count"))):
        with torch.no_grad():
            generator.out.bias.copy_(kept)
            if liked is not None:
                generator.out.bias[liked] += 100
        found = generator(questions, lengths)
        assert found.shape[1] <= layouts.LONGEST
        for row in found.tolist():
            assert is_answer(waiting(model.grammar.decode(row)))
            assert END not in row[:len(model.grammar.decode(row))]
        assert model(torch.rand(9, 4, 6), questions, lengths).scores.isfinite().all()
    with torch.no_grad():
        generator.out.bias.copy_(kept)


def test_a_generator_s_loss_is_that_of_its_words_summed(model):
    questions, lengths = torch.randint(3, 11, (2, 5)), torch.tensor([5, 2])
    codes = model.grammar.encode([("scene", "exist"), ("scene", "unique", "query_shape")])
    found = model.read.loss(questions, lengths, codes)
    for row, length in enumerate((2, 3)):
        words_of = questions[row:row + 1, :lengths[row]], lengths[row:row + 1]
        tokens = [END, *codes[row, :length].tolist(), END]
        scores, _ = model.read.write(torch.tensor([tokens[:-1]]), *model.read.read(*words_of))
        expected = functional.cross_entropy(scores[0], torch.tensor(tokens[1:]), reduction="sum")
        torch.testing.assert_close(found[row], expected)


def test_every_weight_learns_from_gold_layouts(asked, model):
    _, questions = asked
    codes = model.grammar.encode([layout(one) for _, one, _ in questions[::6]])
    count = len(codes)
    learner = Modules(replace(SIZES, answers=len(model.spelled), tokens=model.grammar.tokens[1:]))
    found = learner(torch.rand(count, 4, 6), torch.randint(3, 11, (count, 5)),
                    torch.full((count,), 5), codes)
    (found.scores.square().sum() + found.loss.sum()).backward()
    assert all(one.grad.any() for one in learner.parameters())


def test_layouts_are_learned_by_heart(model):
    torch.manual_seed(0)
    sizes = replace(SIZES, hidden_size=24, embed_size=12, tokens=model.grammar.tokens[1:])
    generator, grammar = Modules(sizes).read, model.grammar
    codes = grammar.encode([("scene", "exist"), ("scene", "unique", "query_shape"),
                            ("scene", "exist", "scene", "exist", "or")])
    asked_ = torch.tensor([[3, 4, 5, 6], [3, 7, 5, 1], [4, 4, 3, 1]]), torch.tensor([4, 3, 3])
    optimizer = torch.optim.AdamW(generator.parameters(), lr=0.02)
    for _ in range(40):
        optimizer.zero_grad()
        generator.loss(*asked_, codes).sum().backward()
        optimizer.step()
    assert generator.eval()(*asked_).tolist() == codes.tolist()


def test_what_is_not_there_is_on_no_map(model):
    rows = torch.zeros(2, 5, 11)
    rows[:, :3] = torch.rand(2, 3, 11)
    rows[:, :3, -1] = 1
    codes = model.grammar.encode([("scene", "count")] * 2)
    found = model(rows, torch.full((2, 3), 4), torch.tensor([3, 3]), codes)
    assert not found.weights[:, [0, 3, 4]].any()        # row 0 is the whole picture
    torch.testing.assert_close(found.weights.sum(dim=1), torch.ones(2))
    rows[:, 1:] = 0                                     # a detector may find nothing
    assert model(rows, torch.full((2, 3), 4), torch.tensor([3, 3])).scores.isfinite().all()


def test_the_steps_of_a_question_can_be_looked_at(model):
    codes = model.grammar.encode([("scene", "unique", "query_shape"), ("scene", "exist")])
    asked_ = torch.rand(2, 4, 6), torch.full((2, 3), 4), torch.tensor([3, 3])
    (_, cells), _, (name, words_) = model.steps(*asked_, codes)
    assert cells.shape == (4,) and name == "query_shape" and "ball" in words_
    assert sum(words_.values()) == pytest.approx(1)
    _, (_, truth) = model.steps(*(one.flip(0) for one in (*asked_, codes)))
    assert [*truth] == ["yes", "no"] and sum(truth.values()) == pytest.approx(1)


def test_a_run_trains_is_saved_judged_and_asked(tmp_path, monkeypatch, capsys):
    root = write_questions(tmp_path / "root", {"train": 12, "val": 6}, programs=True)
    settings = VQASettings(str(root), encoder="tiny", epochs=10, batch_size=12, learning_rate=0.02,
                           warmup=3, model="modules", embed_size=12, hidden_size=24,
                           answer_threshold=1)
    history = loop.train(VQA(settings), tmp_path / "run")
    assert history[-1]["accuracy"] > 0.6
    found, questions = load_answerer(tmp_path / "run"), read_questions(root, "val")
    features = found.features(questions)
    given = found.model.given(questions)
    assert found.predicted(features, questions.picture, questions.texts, given)
    monkeypatch.setattr("vqa.results.beside", lambda *_: ({}, []))
    for which in ("gold", "predicted"):
        monkeypatch.setattr(sys, "argv", [
            "x", str(tmp_path / "run"), "--data", str(root), "--layouts", which, "--json",
            str(tmp_path / "x.json"), "--device", "cpu"])
        evaluate.main()
        assert json.loads((tmp_path / "x.json").read_text()).get("layouts", "predicted") == which
    monkeypatch.setattr(sys, "argv", ["x", str(questions.pictures[0].file), "Is this red?",
                                      "--checkpoint", str(tmp_path / "run"), "--device", "cpu"])
    assert answer_command.main() == 0 and "\t" in capsys.readouterr().out.splitlines()[-1]
    path = root / "v2_mscoco_train_programs.json"
    path.write_text(path.read_text().replace('"blue"', '"azure"'))
    with pytest.raises(BadInput, match="what stands beside the questions changed"):
        loop.Run(VQA(settings), tmp_path / "run")


@pytest.mark.parametrize("change, said", [
    (lambda path: path.unlink(), "learns from the program of every question"),
    (lambda path: path.write_text("{}"), "has no program of question 10 that"),
    (lambda path: path.write_text(path.read_text().replace("unique", "magic")), "'magic'"),
    (lambda path: path.write_text(path.read_text().replace("query_colour", "unique")), "no answer"),
    (lambda path: path.write_text("[1]"), "programs.json")])
def test_a_root_without_sound_programs_is_refused_in_one_sentence(tmp_path, change, said):
    root = write_questions(tmp_path, {"train": 3, "val": 3}, programs=True)
    change(root / "v2_mscoco_train_programs.json")
    with pytest.raises(BadInput, match=said):
        VQA(VQASettings(str(root), encoder="tiny", model="modules")).read()


@pytest.mark.parametrize("tokens, said", [
    ([], "no answer"), (["scene"], "no answer"), (["scene", "magic"], "magic"),
    (["scene", "count", "count"], "no answer"), (["scene", "query_size"], "size of a thing")])
def test_tokens_that_make_no_layouts_are_refused(tokens, said):
    with pytest.raises(BadInput, match=said):
        Modules(replace(SIZES, tokens=tokens))


def test_a_step_that_train_has_not_is_refused(model):
    with pytest.raises(BadInput, match="'filter_colour mauve'"):
        model.grammar.encode([("scene", "filter_colour mauve", "count")])
