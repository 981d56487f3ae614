"""A model that answers questions trains, resumes, is saved, judged and asked."""

import json
import sys
from dataclasses import replace

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import answer
import evaluate
import train as train_command
from system import kept, tensor_file
from system.files import BadInput, write_json
from tests.asking import ten, write_questions
from tests.test_regions import write_boxes
from training import loop
from training import run as runs
from training.folders import read_history
from vqa.accuracy import RULES
from vqa.card import pack
from vqa.checkpoint import FORMAT, KIND, LARGEST, load_answerer
from vqa.families.parts import Answered
from vqa.files import read_questions
from vqa.settings import RECIPES, VQASettings
from vqa.task import VQA, Objective
from vqa.words import Batch, counted

pytestmark = pytest.mark.usefixtures("no_curves")
SIZES = {"train": 12, "val": 6}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_questions(tmp_path_factory.mktemp("asked"), SIZES)


@pytest.fixture(scope="module")
def settings(root):
    return VQASettings(str(root), encoder="tiny", epochs=12, batch_size=12, learning_rate=0.02,
                       warmup=3, patience=12, embed_size=12, hidden_size=24, answer_threshold=1)


@pytest.fixture(scope="module")
def run(settings, tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "save_curves", lambda *_: None)
        loop.train(VQA(settings), folder)
    return folder


def begun(settings, folder, **changes):
    return loop.Run(VQA(replace(settings, **changes)), folder)


def command(monkeypatch, main, *words):
    monkeypatch.setattr(sys, "argv", ["x.py", *map(str, words)])
    return main()


def test_it_learns_to_see_what_the_question_asks(run):
    history = read_history(run, ("accuracy",))
    assert history[-1]["accuracy"] > 0.95 and history[0]["accuracy"] < 0.7
    assert history[-1].keys() >= {"other", "yes/no", "distinct", "sentence"}


def test_a_killed_run_ends_bit_for_bit_as_one_that_was_not(settings, tmp_path, monkeypatch):
    class Kill(BaseException):
        pass

    settings = replace(settings, epochs=2, average=0.5)
    whole = loop.train(VQA(settings), tmp_path / "whole")
    monkeypatch.setattr(runs, "SAVE_EVERY", -1)             # the state is saved before every step
    taken, step = [], loop.step

    def killed(one, batch):
        taken.append(batch)
        if len(taken) == 5:
            raise Kill
        return step(one, batch)

    monkeypatch.setattr(loop, "step", killed)
    with pytest.raises(Kill):
        loop.train(VQA(settings), tmp_path / "killed")
    assert loop.train(VQA(settings), tmp_path / "killed") == whole
    for name in ("state.safetensors", "best.safetensors"):
        ours, theirs = (load_file(tmp_path / run / name) for run in ("killed", "whole"))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_the_loss_is_that_of_the_paper_summed_over_answers(output):
    scores, targets = torch.randn(3, 4), torch.tensor([[1, 0.3, 0, 0]] * 3)
    numbers = torch.zeros(3, 1, dtype=torch.long)

    class Model(torch.nn.Module):
        def forward(self, *_):
            return Answered(scores)

    batch = Batch(torch.zeros(3, 2), numbers, numbers[0], targets, torch.tensor([1.0, 1, 0]))
    loss, shown, count = Objective(Model(), output)(batch)
    guess = scores.sigmoid() if output == "sigmoid" else scores.softmax(dim=1)
    each = targets * guess.log()
    if output == "sigmoid":
        each += (1 - targets) * (1 - guess).log()
    torch.testing.assert_close(loss, -each[:2].sum())       # the third does not count
    assert count == 2 and shown == loss


def test_processes_share_a_batch_and_one_without_a_question_adds_nothing(settings, tmp_path):
    task = begun(settings, tmp_path, dropout=0.0).task
    rows = task.order(0)[0]
    whole = task.objective(task.train.batch(rows))
    parts = [task.objective(task.train.batch(rows[rank::2])) for rank in range(2)]
    torch.testing.assert_close(whole[0], parts[0][0] + parts[1][0])
    assert whole[2] == sum(part[2] for part in parts) == len(rows)
    idle = task.objective(task.train.batch(rows[:1], False))
    assert idle[0] == 0 and idle[2] == 0


def test_an_epoch_of_few_questions_is_several_passes_and_a_resumed_one_skips_them(
        settings, tmp_path, monkeypatch):
    monkeypatch.setattr("vqa.task.LEAST_STEPS", 7)
    task = begun(settings, tmp_path).task
    assert task.steps_per_epoch == 9                        # three passes of three batches
    batches = list(task.batches(1, 0))
    assert len(batches) == 9 and len(list(task.batches(1, 4))) == 5
    assert torch.equal(next(task.batches(1, 4)).questions, batches[4].questions)


def test_data_that_changed_are_refused(settings, tmp_path):
    root = write_questions(tmp_path / "root", SIZES)
    begun(settings, tmp_path / "run", data=str(root)).save()
    path = root / "v2_mscoco_train_annotations.json"
    path.write_text(path.read_text().replace("grey", "gray"))
    with pytest.raises(BadInput, match="the questions of train changed"):
        begun(settings, tmp_path / "run", data=str(root))


def test_a_split_that_nobody_answered_is_refused(settings, tmp_path):
    root = write_questions(tmp_path / "root", SIZES)
    (root / "v2_mscoco_val_annotations.json").unlink()
    with pytest.raises(BadInput, match="no annotations of val, so there is nothing"):
        begun(settings, tmp_path / "run", data=str(root))
    assert not (tmp_path / "run").exists()


def test_questions_about_unreadable_pictures_are_left_out(settings, tmp_path, capsys):
    root = write_questions(tmp_path / "root", SIZES)
    (root / "train" / "000003.jpg").write_bytes(b"no picture")
    task = begun(settings, tmp_path / "run", data=str(root)).task
    assert len(task.train) == 33 and "000003.jpg" in capsys.readouterr().err


@pytest.mark.parametrize("changes", [
    {"grid": False, "model": "joint"}, {"model": "stacked", "gated": False},
    {"boxes": "truth", "streams": 2, "soft": False, "output": "softmax"}, {"model": "question"}])
def test_every_way_of_seeing_trains_and_comes_back(settings, tmp_path, changes, root):
    if "boxes" in changes and not (root / "annotations" / "instances_train.json").exists():
        write_boxes(root, SIZES)
    settings = replace(settings, epochs=1, **changes)
    loop.train(VQA(settings), tmp_path)
    found, questions = load_answerer(tmp_path), read_questions(root, "val")
    assert found.output == settings.output
    assert found.architecture["encoder"].get("boxes", {}).get("boxes") == changes.get("boxes")
    said = found.predicted(found.features(questions), questions.picture, questions.texts)
    assert len(said) == 18 and {*said} <= {*found.answers.spelled}


@pytest.fixture
def forged(run, tmp_path):
    """A checkpoint with a valid digest whose header was changed by a function."""
    def forge(change):
        tensors, header = tensor_file.read(run / "best.safetensors", KIND, FORMAT, "")
        change(tensors, header)
        tensor_file.write(tmp_path / "forged.safetensors", KIND, FORMAT, tensors, header)
        return tmp_path / "forged.safetensors"
    return forge


def put(*places, value):
    def change(tensors, header):
        for place in places[:-1]:
            header = header[place]
        header[places[-1]] = value
    return change


@pytest.mark.parametrize("change, said", [
    (put("output", value="sign"), "its output is neither"),
    (put("answers", value=[]), "it has no answers"),
    (put("answers", value=["yes"]), "its tensor"),
    (put("words", value=["a", "b", "c", "d"]), "its vocabulary is none"),
    (put("longest", value=0), "its sizes are absurd"),
    (put("architecture", "model", "hidden_size", value=LARGEST), "its tensor"),
    (put("architecture", "model", "name", value="magic"), "its model is unknown"),
    (put("architecture", "model", "more", value=1), "it cannot be built"),
    (put("architecture", "model", "dropout", value="x"), "dropout is not what it should be"),
    (put("architecture", "encoder", "backbone", value="x"), "its backbone is unknown"),
    (put("architecture", "encoder", "boxes", value={"boxes": "truth", "most": 0}), "its regions"),
    (put("transform", "size", value=10**9), "its pictures have an absurd size"),
    (lambda tensors, header: tensors["model.energy.weight"].fill_(float("nan")), "not finite"),
    (lambda tensors, header: tensors.pop("model.energy.weight"), "is missing"),
    (lambda tensors, header: header.pop("about"), "about is not what it should be")])
def test_an_unsound_checkpoint_is_refused_in_one_sentence(forged, change, said):
    with pytest.raises(BadInput, match=f"is no {KIND} that this program can use, .*{said}"):
        load_answerer(forged(change))


def test_a_damaged_checkpoint_is_refused(run, tmp_path):
    data = bytearray((run / "best.safetensors").read_bytes())
    data[-3] ^= 1
    (tmp_path / "x.safetensors").write_bytes(data)
    with pytest.raises(BadInput, match="is damaged"):
        load_answerer(tmp_path / "x.safetensors")
    with pytest.raises(BadInput, match="leave it out"):
        load_answerer(run, boxes="x")


def test_train_py_trains_by_its_recipes(root, tmp_path, monkeypatch, capsys):
    assert RECIPES.keys() <= train_command.RECIPES.keys()
    assert command(monkeypatch, train_command.main, "--data", root, "--run", tmp_path / "run",
                   "--recipe", "vqa_joint", "--encoder", "tiny", "--epochs", 1, "--hidden-size", 8,
                   "--answer-threshold", 1, "--device", "cpu") == 0
    assert "next: python evaluate.py" in capsys.readouterr().out
    assert load_answerer(tmp_path / "run").architecture["model"]["name"] == "joint"
    assert "finished" in train_command.status_of(tmp_path / "run")


def test_evaluate_py_scores_answers_and_prints_baselines(run, root, tmp_path, monkeypatch, capsys):
    report, results = tmp_path / "report.json", tmp_path / "results.json"
    words = [run, "--data", root, "--split", "val", "--json", report, "--results", results,
             "--device", "cpu"]
    for _ in range(2):                  # the second time over its own files, baselines kept
        command(monkeypatch, evaluate.main, *words)
    found, said = json.loads(report.read_text()), json.loads(results.read_text())
    assert (found["split"], found["questions"], found["rules"]) == ("val", 18, "official")
    assert found["accuracy"] > 0.95 and found["pair_accuracy"] == 1
    assert found["by_answer_type"].keys() == {"other", "yes/no"}
    assert {one["question_id"] for one in said} == {*read_questions(root, "val").ids.tolist()}
    names = ["most frequent", "per question type", "question lookup", "question only",
             "picture only"]
    assert [*found["baselines"]] == names
    assert found["baselines"]["question only"]["pair_accuracy"] == 0
    printed = capsys.readouterr().out
    assert "baseline: question lookup" in printed and "pairs  100.00" in printed
    assert kept.kept()["baselines"][1] >= 2         # files, which the cache knows


@pytest.mark.parametrize("words, said", [
    (["x", "y"], "by itself"), (["--split", "novel"], "no questions of a split")])
def test_what_cannot_be_evaluated_is_refused(run, root, monkeypatch, words, said):
    with pytest.raises(BadInput, match=said):
        command(monkeypatch, evaluate.main, run, *words, "--data", root)


def test_without_annotations_the_answers_are_written_and_not_scored(run, tmp_path, monkeypatch):
    root = write_questions(tmp_path / "root", {"test": 3})
    (root / "v2_mscoco_test_annotations.json").unlink()
    words = [run, "--data", root, "--split", "test", "--rules", RULES[-1]]
    with pytest.raises(BadInput, match="give another --split, or --results"):
        command(monkeypatch, evaluate.main, *words)
    command(monkeypatch, evaluate.main, *words, "--results", tmp_path / "results.json")
    assert len(json.loads((tmp_path / "results.json").read_text())) == 9


def test_answer_py_says_the_likeliest_answers_and_which_words_it_has_not_read(
        run, tmp_path, monkeypatch, capsys):
    Image.new("RGB", (48, 48), (210, 40, 40)).save(tmp_path / "red.png")
    assert command(monkeypatch, answer.main, tmp_path / "red.png", "What color is this zebra?",
                   "--checkpoint", run, "--top", 2, "--device", "cpu") == 0
    out, error = capsys.readouterr()
    lines = [line.split("\t") for line in out.splitlines()]
    assert len(lines) == 2 and lines[0][0] == "red"
    assert 1 >= float(lines[0][1]) >= float(lines[1][1]) >= 0
    assert "it has not learned zebra:" in error


@pytest.mark.parametrize("words, said", [
    (["red.png", "?"], "has no word"), (["red.png", "why?", "--top", "0"], "--top takes"),
    (["missing.png", "why?"], "missing.png is missing")])
def test_what_cannot_be_asked_is_refused(run, tmp_path, monkeypatch, words, said):
    Image.new("RGB", (8, 8)).save(tmp_path / "red.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=said):
        command(monkeypatch, answer.main, *words, "--checkpoint", run)


def test_a_run_is_packed_with_a_card_that_holds_its_scores_beside_the_baselines(
        run, root, tmp_path):
    report, file = tmp_path / "report.json", tmp_path / "packed.safetensors"
    scores = {"accuracy": 0.97, "by_answer_type": {"other": 1, "yes/no": 0.95},
              "pair_accuracy": None}
    blind = {"accuracy": 0.5, "by_answer_type": {"yes/no": 0.6}, "pair_accuracy": 0}
    write_json(report, {"split": "val", "questions": 18, "rules": "official", **scores,
                        "baselines": {"question only": blind}})
    for _ in range(2):                  # the second time over its own files
        said = pack(run, file, report, "Plain colours.").read_text()
    assert "| this model | 97.0 | 100.0 | 95.0 |  |" in said and "36 questions" in said
    assert "| question only | 50.0 |  | 60.0 | 0.0 |" in said and "Plain colours." in said
    assert "--run runs/whole --recipe vqa " in said and str(root.parent) not in said
    assert "a coarse grid of cells" in said and "facts" not in said
    assert load_answerer(file).about["settings"]["data"] == f"data/{root.name}"
    file.write_bytes(b"mine")
    with pytest.raises(BadInput, match="is not an answerer packed before"):
        pack(run, file, report, "")


@pytest.mark.parametrize("changes, said", [
    ({"model": "magic"}, "model must be one of"), ({"streams": 3}, "streams must be 1 or 2"),
    ({"streams": 2, "model": "grounded"}, "streams must be 1 for modules, grounded"),
    ({"batch_size": 1}, "pairs_together needs"), ({"output": "x"}, "output must be"),
    ({"boxes": "truth", "fit": "crop"}, "boxes of truth need"), ({"longest": 0}, "longest must")])
def test_settings_that_make_no_sense_are_refused(settings, changes, said):
    with pytest.raises(BadInput, match=said):
        replace(settings, **changes)


def test_counted_baselines_are_the_most_frequent_answers():
    class Asked:
        def __init__(self, *rows):
            self.texts, self.question_types, given = map(list, zip(*rows, strict=True))
            self.answers = [tuple(one["answer"] for one in ten(answer)) for answer in given]

    train = Asked(("is it red?", "is it", "yes"), ("is it blue?", "is it", "no"),
                  ("is it green?", "is it", "no"), ("what color?", "what", "red"),
                  ("who?", "who", "no"))
    asked = Asked(("Is it red", "is it", "x"), ("is it small?", "is it", "x"),
                  ("what is it?", "what", "x"), ("why?", "why", "x"))
    assert counted(train, asked) == {
        "most frequent": ["no"] * 4, "per question type": ["no", "no", "red", "no"],
        "question lookup": ["yes", "no", "red", "no"]}
