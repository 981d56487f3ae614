"""Questions on drawn scenes have one answer, that of their program, and do not give it away."""

import json
import random
import re
from collections import Counter, defaultdict
from types import SimpleNamespace

import pytest

import prepare
from scenes import dataset as pictures
from scenes import world
from scenes.dataset import HELD_OUT, SEEN
from scenes.facts import FILE, OBJECTS, facts, lookup, read_facts
from scenes.graph import describe
from scenes.programs import Scene, Undecided, answer, box, gap, join, run, step, then
from scenes.questions import annotators
from scenes.questions.balance import pool, select
from scenes.questions.dataset import PER_PICTURE, draw, read_scenes
from scenes.questions.families import FAMILIES, FORMS
from scenes.questions.phrases import Kind, Spoken, the
from scenes.questions.phrases import select as program_of
from system.files import BadInput

SIZES = {"train": 16, "val": 6, "test": 8, "novel": 6}
SPLITS = tuple(SIZES)
TABLE = lookup(facts(0))
BALL, MUG, CAT, STAR = (Kind(shape=shape) for shape in ("ball", "mug", "cat", "star"))
RED, BLUE = Kind(colour="red"), Kind(colour="blue")
LEFT_OF_MUG = Kind(relation="left of", other=MUG)


def thing(size, colour, shape, left, width, in_air=False):
    """Return what describe() reads of a thing that is as high as wide, on the ground or above."""
    return SimpleNamespace(shape=shape, colour=colour, size=size, group=0, in_air=in_air,
                           middle=left + width / 2,
                           box=lambda: [left, 10 if in_air else 200 - width, width, width])


ROW = describe([thing("large", "red", "ball", 10, 90), thing("small", "blue", "mug", 104, 24),
                thing("small", "blue", "cat", 170, 40)], "room")
OVER = describe([thing("small", "yellow", "star", 40, 40, in_air=True),
                 thing("large", "yellow", "car", 10, 95)], "beach")
ASIDE = describe([thing("small", "yellow", "star", 40, 40, in_air=True),
                  thing("small", "red", "car", 150, 50)], "night")
HIGH = describe([thing("small", "yellow", "star", 40, 40, in_air=True),
                 thing("small", "red", "mug", 40, 40)], "snow")


def drawn_graphs(number, split, monkeypatch):
    """Return {image id: graph} of a split as it is drawn, without the time that painting takes."""
    monkeypatch.setattr(world, "paint", lambda *_: None)
    first = {"pairs": world.PAIRS, "first": HELD_OUT} if split == "novel" else {"pairs": SEEN}
    return {n: world.scene(random.Random(f"0 {split} {n}"), **first)[1]
            for n in range(1, number + 1)}


def scenes_of(graphs, redrawn=False):
    return {n: Scene(graph, lookup(facts(0, redrawn))) for n, graph in graphs.items()}


@pytest.fixture(scope="module")
def asked():
    """Return {split: (scenes, questions, pairs)} of pictures that are not painted."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        for split, number in (("train", 150), ("test", 70)):
            scenes = scenes_of(drawn_graphs(number, split, patch), split == "test")
            found[split] = scenes, *select(pool(scenes, 0), PER_PICTURE * number, 0)
    return found


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("asked") / "questions", SIZES, progress=False)


def read(root, split, kind):
    name = "v2_OpenEnded_mscoco_{}_{}" if kind == "questions" else "v2_mscoco_{}_{}"
    return json.loads((root / f"{name.format(split, kind)}.json").read_text(encoding="utf-8"))


def value(program, graph):
    return answer(run(program, Scene(graph, TABLE))[-1])


# Programs.

@pytest.mark.parametrize("family, form, slots, graph, expected", [
    ("exist", 0, [Kind("large", "red", "ball")], ROW, "yes"),
    ("exist", 0, [Kind("small", "red")], ROW, "no"),
    ("count", 0, [Kind()], ROW, "3"), ("count", 0, [BLUE], ROW, "2"),
    ("count", 0, [STAR], ROW, "0"), ("colour", 0, [Kind("large", None, "ball")], ROW, "red"),
    ("colour", 1, [Kind(shape="cat", column="right")], ROW, "blue"),
    ("colour", 2, [LEFT_OF_MUG], ROW, "red"), ("size", 0, [RED], ROW, "large"),
    ("size", 1, [Kind(column="middle")], ROW, "small"), ("size", 2, [LEFT_OF_MUG], ROW, "large"),
    ("shape", 0, [Kind("large")], ROW, "ball"),
    ("shape", 1, [Kind(colour="blue", column="right")], ROW, "cat"),
    ("background", 0, [], OVER, "beach"),
    ("compare counts", 0, [BLUE, RED], ROW, "yes"), ("compare counts", 0, [RED, BLUE], ROW, "no"),
    ("compare counts", 1, [RED, BLUE], ROW, "yes"), ("compare counts", 1, [CAT, MUG], ROW, "no"),
    ("compare counts", 2, [CAT, MUG], ROW, "yes"), ("compare counts", 2, [RED, BLUE], ROW, "no"),
    ("same attribute", 0, [CAT, MUG], ROW, "yes"), ("same attribute", 0, [CAT, BALL], ROW, "no"),
    ("same attribute", 1, [RED, Kind(colour="blue", column="right")], ROW, "no"),
    ("relation", 0, [BALL, "left of", CAT], ROW, "yes"),
    ("relation", 0, [BALL, "right of", CAT], ROW, "no"),
    ("relation", 0, [BALL, "next to", MUG], ROW, "yes"),
    ("relation", 0, [STAR, "next to", Kind(shape="car")], ASIDE, "no"),
    ("relation", 0, [STAR, "next to", Kind(shape="mug")], HIGH, "no"),
    ("relation", 0, [STAR, "above", Kind(shape="car")], OVER, "yes"),
    ("related thing", 0, ["right of", MUG], ROW, "cat"),
    ("related thing", 0, ["below", STAR], OVER, "car"),
    ("logic", 0, [BALL, CAT], ROW, "yes"), ("logic", 0, [BALL, STAR], ROW, "no"),
    ("logic", 1, [BALL, STAR], ROW, "yes"), ("logic", 1, [Kind(shape="tree"), STAR], ROW, "no"),
    ("where", 0, [BALL], ROW, "left"), ("where", 0, [MUG], ROW, "middle"),
    *((relation, 0, [RED], ROW, TABLE["ball", relation]) for relation in OBJECTS)])
def test_each_family_answers_as_a_person_would(family, form, slots, graph, expected):
    form = [one for one in FORMS if one.family == family][form]
    assert value(form.program(*slots), graph) == expected


@pytest.mark.parametrize("program, graph", [
    (then(the(BLUE), "query_shape"), ROW), (then(the(STAR), "query_colour"), ROW),
    (then(the(Kind(relation="below", other=STAR)), "query_shape"), ASIDE),
    (then(the(Kind(relation="next to", other=MUG)), "query_shape"), ROW),      # two are
    (then(the(Kind(relation="next to", other=CAT)), "query_shape"), ROW),      # the ball is near
    (join("is_related", the(BALL), the(CAT), "next to"), ROW),
    (join("is_related", the(STAR), the(Kind(shape="car")), "next to"), OVER),
    (then(the(Kind(relation="left of", other=STAR)), "query_shape"), OVER)])
def test_what_one_could_argue_about_is_not_asked(program, graph):
    with pytest.raises(Undecided):
        run(program, Scene(graph))


@pytest.mark.parametrize("left", [65, 76, 90, 150])
def test_a_thing_near_the_border_of_two_columns_has_no_place(left):
    graph = describe([thing("small", "red", "ball", left - 20, 40)], "room")
    for program in (then(the(BALL), "query_column"),
                    *(then(the(Kind(column=column)), "query_shape")
                      for column in ("left", "middle", "right"))):
        with pytest.raises(Undecided):
            run(program, Scene(graph))


def test_nobody_is_asked_for_a_size_where_all_things_have_one():
    alike = describe([thing("small", "red", "ball", 9, 30), thing("small", "blue", "cat", 99, 30)],
                     "room")
    for program in (then(the(BALL), "query_size"), then(program_of(Kind("small")), "count"),
                    then(program_of(Kind("large", "red")), "exist")):
        with pytest.raises(Undecided):
            run(program, Scene(alike))


def test_the_box_is_that_of_the_one_thing_asked_about():
    def found(program):
        return box(program, run(program, Scene(ROW)), Scene(ROW))
    assert found(then(the(BALL), "query_colour")) == ROW["objects"][0]["box"]
    assert found(then(the(LEFT_OF_MUG), "query_colour")) == ROW["objects"][0]["box"]
    assert found(then(program_of(CAT), "count")) == ROW["objects"][2]["box"]
    assert found(then(program_of(BLUE), "count")) is None           # two
    assert found(then(program_of(STAR), "exist")) is None           # none
    assert found(then([step("scene")], "query_background")) is None
    both = [form for form in FORMS if form.family == "same attribute"][0].program(BALL, CAT)
    assert found(both) is None                                      # which of the two?


@pytest.mark.parametrize("program", [
    [step("scene"), step("fly", [0])], [step("scene", [3])], [step("scene"), step("exist")],
    [step("scene"), step("filter_shape", [0])]])
def test_what_is_no_program_is_refused_in_a_sentence(program):
    with pytest.raises(BadInput, match="step [01] of a program cannot be executed .*: draw"):
        run(program, Scene(ROW))


# What is asked.

def test_there_are_twelve_families_or_more_with_three_wordings_or_more():
    assert len(FAMILIES) >= 12
    assert all(len(form.wordings) >= 3 for form in FORMS)


def test_every_answer_is_the_executors_and_no_picture_is_asked_twice(asked):
    for scenes, questions, _ in asked.values():
        for one in questions:           # `unique` raises where there is not one referent
            assert answer(run(one.program, scenes[one.picture])[-1]) == one.answer
        assert {one.family for one in questions} == set(FAMILIES)
        assert len({(one.picture, one.question) for one in questions}) == len(questions)


def test_of_a_question_every_answer_is_equally_frequent(asked):
    for _, questions, _ in asked.values():
        counts = defaultdict(Counter)
        for one in questions:
            counts[one.question][one.answer] += 1
        assert all(len(by) > 1 and len({*by.values()}) == 1 for by in counts.values())


def test_what_is_next_to_a_thing_is_close_beside_it_and_what_is_not_is_far_away(asked):
    gaps = defaultdict(list)
    for scenes, questions, _ in asked.values():
        for one in questions:
            if one.family == "relation" and one.program[-1]["value_inputs"] == ["next to"]:
                scene, values = scenes[one.picture], run(one.program, scenes[one.picture])
                (i,), (j,) = (values[place] for place in one.program[-1]["inputs"])
                gaps[one.answer].append(gap(scene, i, j))
                assert one.answer == "no" or scene.objects[i]["row"] == scene.objects[j]["row"]
    assert max(gaps["yes"]) < 50 and min(gaps["no"]) > 89


def test_questions_of_the_background_name_all_choices_and_people_say_no_other_word(asked):
    said = [one for one in asked["train"][1] if one.family == "background"]
    choices = {one.answer for one in said}
    assert len(choices) == 6 and all(
        choices <= {*re.findall("[a-z]+", one.question)} for one in said)
    rng = random.Random(0)
    for one in said:
        assert {*annotators.answers(one.answer, None, rng)} <= choices


def test_families_are_about_equally_frequent(asked):
    _, questions, _ = asked["train"]
    counts = Counter(one.family for one in questions)
    assert max(counts.values()) < 1.25 * min(counts.values())


def test_a_lookup_of_the_question_knows_no_more_than_its_family(asked):
    train, test = asked["train"][1], asked["test"][1]
    by_question, by_family = defaultdict(Counter), defaultdict(Counter)
    for one in train:
        by_question[one.question][one.answer] += 1
        by_family[one.family][one.answer] += 1
    right, majority, count = Counter(), Counter(), Counter()
    for one in test:
        usual = by_family[one.family].most_common(1)[0][0]
        # all answers of a known question tie: the mean over them, not the luck of one
        said = by_question.get(one.question, {usual: 1})
        known = [word for word, number in said.items() if number == max(said.values())]
        right[one.family] += (one.answer in known) / len(known)
        majority[one.family] += usual == one.answer
        count[one.family] += 1
    for family in FAMILIES:
        # two points; of the few questions here one is as much
        assert right[family] - majority[family] <= max(1, 0.02 * count[family]), family


def test_a_pair_is_one_question_with_two_pictures_and_two_answers(asked):
    for _, questions, pairs in asked.values():
        assert len(pairs) > len(questions) / 3
        for one, other in ((questions[i], questions[j]) for i, j in pairs):
            # so what reads the question alone is wrong of one of the two
            assert one.question == other.question and one.program == other.program
            assert one.answer != other.answer and one.picture != other.picture


def test_the_same_seed_asks_the_same_and_another_one_other_questions(asked):
    scenes = dict(list(asked["train"][0].items())[:10])
    first, again, other = (select(pool(scenes, seed), 90, seed) for seed in (0, 0, 1))
    assert first == again != other


def test_nothing_that_a_picture_may_propose_is_said_in_bad_english(asked):
    for one in asked["train"][1]:
        assert one.question[0].isupper() and one.question.endswith("?")
        assert "  " not in one.question and " a o" not in one.question


def test_a_kind_is_said_in_all_its_forms():
    kind = Kind("large", "orange", "butterfly", "left")
    spoken = [Spoken(kind, random.Random(seed)) for seed in range(20)]
    assert "big orange butterfly on the left" in {f"{one}" for one in spoken}
    assert "a big orange butterfly on the left" in {f"{one:a}" for one in spoken}
    assert "big orange butterflies on the left" in {f"{one:s}" for one in spoken}
    assert f"{Spoken(Kind(colour='orange'), random.Random(0)):a}" == "an orange toy"
    assert f"{Spoken(Kind(), random.Random(0)):s}" == "toys"


# Facts and people.

def test_redrawn_facts_are_others_and_the_rest_stays():
    table, redrawn = facts(0), facts(0, redrawn=True)
    assert len(table) <= 100 and not any(fact["redrawn"] for fact in table)
    assert sum(fact["redrawn"] for fact in redrawn) == len(table) // 2
    for old, new in zip(table, redrawn, strict=True):
        assert [old[key] for key in ("id", "subject", "relation")] == [
            new[key] for key in ("id", "subject", "relation")]
        assert (old["object"] != new["object"]) == new["redrawn"]
    for relation, objects in OBJECTS.items():
        assert sorted(objects) == sorted(fact["object"] for fact in redrawn
                                         if fact["relation"] == relation)
    assert facts(1) != table


def test_a_question_about_a_fact_does_not_name_the_shape(asked):
    families = {one.question: one.family for one in asked["train"][1]}
    assert all("toy" in question for question, family in families.items() if family in OBJECTS)


def test_ten_people_disagree_in_known_ways_and_most_say_what_is_true(asked):
    rng = random.Random(0)
    for said in sorted({one.answer for one in asked["train"][1]}):
        known = {said, *annotators.neighbours(said), *annotators.SYNONYMS.get(said, ())}
        for _ in range(30):
            given = annotators.answers(said, None, rng)
            assert len(given) == 10 and given.count(said) >= 7 and {*given} <= known
    assert annotators.neighbours("0") == ["1"] and annotators.neighbours("3") == ["2", "4"]
    small, large = ([annotators.answers("red", box, rng).count("red") for _ in range(300)]
                    for box in ([0, 0, 40, 40], [0, 0, 90, 90]))
    assert sum(small) < sum(large) < 3000       # what is small is harder to see


# The files.

@pytest.mark.parametrize("split", SPLITS)
def test_the_files_are_those_of_vqa_v2_with_programs_beside(root, split):
    questions, annotations = read(root, split, "questions"), read(root, split, "annotations")
    programs, pairs = read(root, split, "programs"), read(root, split, "complementary_pairs")
    table = read_facts(root / FILE.format(split))
    scenes = read_scenes(root, split, table)
    ids = [one["question_id"] for one in questions["questions"]]
    assert ids == sorted(set(ids)) == [one["question_id"] for one in annotations["annotations"]]
    assert sorted(map(int, programs)) == ids and {i for pair in pairs for i in pair} <= set(ids)
    assert (questions["task_type"], questions["data_subtype"]) == ("Open-Ended", split)
    for one, told in zip(questions["questions"], annotations["annotations"], strict=True):
        known = programs[str(one["question_id"])]
        assert one["image_id"] == told["image_id"] == one["question_id"] // 1000
        assert (root / split / f"{one['image_id']:012d}.jpg").exists()
        values = run(known["program"], scenes[one["image_id"]])
        assert told["multiple_choice_answer"] == answer(values[-1])
        assert [a["answer_id"] for a in told["answers"]] == list(range(1, 11))
        counts = Counter(a["answer"] for a in told["answers"])
        assert counts.most_common(1)[0][0] == told["multiple_choice_answer"]
        assert told["question_type"] == known["family"]
        assert (known["fact"] is not None) == (known["family"] in OBJECTS)
        if known["fact"] is not None:
            fact = table[known["fact"]]
            assert fact["id"] == known["fact"] and fact["object"] == answer(values[-1])
    assert any(fact["redrawn"] for fact in table) == (split in ("test", "novel"))


def test_it_is_done_at_once_if_it_is_there_and_goes_on_where_it_was_stopped(root, capsys):
    before = {path.name: path.read_bytes() for path in root.glob("*.json")}
    for name in ("v2_OpenEnded_mscoco_val_questions.json", "facts_val.json"):
        (root / name).unlink()
    sizes = [word for split, size in SIZES.items() for word in (f"--{split}", str(size))]
    prepare.main(["questions", "--root", str(root), *sizes])
    assert {path.name: path.read_bytes() for path in root.glob("*.json")} == before
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"next: python train.py --data {root} --run runs/vqa_grounded --recipe vqa_grounded")
    assert pictures.draw(root, SIZES, progress=False) == root       # the pictures are scenes'


@pytest.mark.parametrize("options, message", [
    (["--seed", "1"], "holds something else"), (["--train", "17"], "holds something else"),
    (["--test", "0"], "test needs between 1 and")])
def test_a_root_with_anything_else_and_impossible_sizes_are_refused(root, options, message):
    before = sorted(path.name for path in root.rglob("*"))
    sizes = [word for split, size in SIZES.items() for word in (f"--{split}", str(size))]
    with pytest.raises(BadInput, match=message):
        prepare.main(["questions", "--root", str(root), *sizes, *options])
    assert sorted(path.name for path in root.rglob("*")) == before


def test_questions_of_another_version_are_refused(root, monkeypatch):
    monkeypatch.setattr("scenes.questions.dataset.VERSION", 99)
    with pytest.raises(BadInput, match="holds something else, v2_OpenEnded"):
        draw(root, SIZES, progress=False)
