"""A model of paragraphs: what a sentence knows of the others, and that it trains and is used."""

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import caption
import evaluate
import train as train_command
from decoders.search import Search, search
from scenes.motion.dataset import draw
from system import tensor_file
from system.files import BadInput
from training import loop
from training import run as runs
from video.features import ClipFeatures
from video.paragraphs import evaluation, writing
from video.paragraphs import task as tasks
from video.paragraphs.baselines import constant, nearest
from video.paragraphs.card import pack
from video.paragraphs.checkpoint import FORMAT, KIND, LARGEST, load_narrator
from video.paragraphs.evaluation import true_claims
from video.paragraphs.files import Told, read_told
from video.paragraphs.grounding import ground, guess_loss
from video.paragraphs.settings import MODELS, ParagraphSettings
from video.paragraphs.sight import MOMENT, Sight, mirrored, stages_of, when
from video.paragraphs.task import Paragraphs, end_loss, look_loss, start_loss
from video.paragraphs.teller import Beginning, Sizes
from video.paragraphs.words import Batch, Part, sentence_of, vocabulary_of, words_of
from video.paragraphs.writing import write
from video.spans import Segment
from vocabulary import END_ID, START_ID, Vocabulary

pytestmark = pytest.mark.usefixtures("no_curves")
SIZES = {"train": 6, "val": 2, "test": 2, "novel": 1}
CLIPS, FRAMES, CELLS, CHANNELS, WORDS = 2, 5, 16, 7, 12


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """An epoch is one pass, and METEOR's program, which takes half a minute, does not run."""
    monkeypatch.setattr(tasks, "LEAST_STEPS", 1)
    monkeypatch.setattr(evaluation, "lacks_java", lambda: "it is not asked for")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("moving") / "motion", SIZES, progress=False)


@pytest.fixture(scope="module")
def settings(root):
    return ParagraphSettings(str(root), encoder="tiny", epochs=2, batch_size=3, embed_size=8,
                             hidden_size=12, warmup=2, words_first=1, most=6)


@pytest.fixture(scope="module")
def run(settings, tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "save_curves", lambda *_: None)
        patch.setattr(tasks, "LEAST_STEPS", 1)
        loop.train(Paragraphs(settings), folder)
    return folder


def model_of(name):
    torch.manual_seed(0)
    found = MODELS[name](Sizes(CHANNELS, CELLS, WORDS, WORDS - 3, 6, 10, 0.0))
    torch.nn.init.normal_(found.output.weight)
    return found.eval()


def batch_of(sentences=3, seed=0):
    """Two paragraphs about each of two clips, of which the second has a frame less."""
    random = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, WORDS, (2 * CLIPS, sentences, 6), generator=random)
    ids[:, :, 0] = START_ID
    lengths = torch.randint(2, 6, (2 * CLIPS, sentences), generator=random)
    for row, length in zip(ids.flatten(0, 1), lengths.flatten(), strict=True):
        row[length:] = END_ID
    frames = torch.ones(CLIPS, FRAMES, dtype=torch.bool)
    frames[1, -1] = False
    moments = torch.rand(2 * CLIPS, sentences, FRAMES, MOMENT, generator=random)
    return Batch(torch.randn(CLIPS, FRAMES, CELLS, CHANNELS, generator=random), frames, ids,
                 lengths, moments, moments[..., 0] > 0.5, moments[::2, 0, :, 1] > 0.5)


def command(monkeypatch, main, *words):
    monkeypatch.setattr(sys, "argv", ["x.py", *map(str, words)])
    return main()


@pytest.mark.parametrize("name", MODELS)
def test_a_step_is_the_taught_forward_word_for_word(name):
    model, batch = model_of(name), batch_of()
    taught = model(batch)
    seen, *_ = model.sight(batch.features, batch.frames)
    for each in range(2):                           # both paragraphs of each clip
        rows = slice(each, None, 2)
        memory = model.nothing(CLIPS)
        for number, ids in enumerate(batch.sentences[rows].unbind(1)):
            beginning = Beginning(seen, batch.moments[rows, number], model.first(memory))
            torch.testing.assert_close(model.over(beginning), taught.ends[rows, number].sigmoid())
            state = model.begin(beginning)
            for place in range(ids.shape[1] - 1):
                scores, state = model.step(ids[:, place], state)
                asked = batch.lengths[rows, number] > place
                torch.testing.assert_close(scores[asked], taught.scores[rows, number, place][asked])
            words, hidden = model.hear(ids[:, :-1], memory)
            memory = model.remember(memory, words, hidden, batch.lengths[rows, number])


def reach(model, cut):
    """How much the second sentence moves with a word that only the first one has."""
    batch = batch_of()
    alone = WORDS - 1
    batch.sentences[batch.sentences == alone] = 3
    batch.sentences[:, 0, 1] = alone
    if cut:
        whole = model.first
        model.first = lambda memory: whole(tuple(one.detach() for one in memory))
    hidden = model.told(batch.sentences, batch.lengths)
    loss = torch.nn.functional.one_hot(torch.tensor(0), hidden.shape[-1]) * hidden[:, 1]
    gradient, = torch.autograd.grad(loss.sum(), model.words.weight)
    return gradient[alone].abs().sum().item()


def test_only_the_memory_leads_from_one_sentence_to_the_next():
    assert reach(model_of("hierarchical"), cut=False) > 1e-5
    assert reach(model_of("hierarchical"), cut=True) == 0
    assert reach(model_of("flat"), cut=False) > 1e-5
    assert reach(model_of("independent"), cut=False) == 0


@pytest.mark.parametrize("name", MODELS)
def test_a_paragraph_does_not_depend_on_what_stands_beside_it(name):
    model, batch = model_of(name), batch_of()
    alone = Batch(batch.features[1:, :-1], batch.frames[1:, :-1], batch.sentences[2:, :2],
                  batch.lengths[2:, :2], batch.moments[2:, :2, :-1], batch.inside[2:, :2, :-1],
                  batch.starts[1:, :-1])
    whole, part = model(batch), model(alone)
    torch.testing.assert_close(part.scores, whole.scores[2:, :2])
    torch.testing.assert_close(part.ends, whole.ends[2:, :2])
    assert whole.weights[2:, ..., -1].sum() == 0        # nobody looks at a frame that is not there


@pytest.mark.parametrize("settings", [
    Search(beam=3, captions=3, max_length=7), Search("greedy", max_length=7),
    Search("sample", captions=4, max_length=7, top_k=3)])
def test_the_search_of_all_decoders_drives_it(settings):
    model, batch = model_of("hierarchical"), batch_of()
    seen, *_ = model.sight(batch.features, batch.frames)
    beginning = Beginning(seen, batch.moments[::2, 0], model.first(model.nothing(CLIPS)))
    found = search(model, beginning, settings)
    assert [len(one) for one in found] == [settings.captions] * CLIPS
    for clip, several in enumerate(found):              # its probabilities are those of `forward`
        for one in several:
            ids = torch.tensor(one.words)[None, None]
            moments = batch.moments[::2, :1][clip:clip + 1]
            inside = moments[..., 0] > 0
            alone = Batch(batch.features[clip:clip + 1], batch.frames[clip:clip + 1], ids,
                          torch.tensor([[len(one.words) - 1]]), moments, inside, inside[:, 0])
            scores = model(alone).scores[0, 0].log_softmax(1)
            said = scores.gather(1, ids[0, 0, 1:, None]).sum().item()
            assert one.log_probability == pytest.approx(said, abs=1e-3)


def test_a_paragraph_is_written_until_it_ends_or_its_segments_do(monkeypatch):
    model, batch = model_of("hierarchical"), batch_of()
    settings = Search("greedy", max_length=6)
    given = batch.features, batch.frames, batch.moments[::2], settings
    counts = [len(one) for one in write(model, *given, torch.tensor([1, 3]))]
    assert counts == [1, 3]
    monkeypatch.setattr(model, "over", lambda one: torch.full((len(one),), 0.9))
    assert [len(one) for one in write(model, *given)] == [1, 1]     # never none
    monkeypatch.setattr(model, "over", lambda one: torch.full((len(one),), 0.1))
    alone = write(model, *given)
    assert [len(one) for one in alone] == [3, 3]
    # what has ended takes no part, and the others do not notice
    assert write(model, *given, torch.tensor([1, 3]))[1] == alone[1]


def test_a_third_word_in_a_row_that_has_been_said_costs(monkeypatch):
    model, batch = model_of("hierarchical"), batch_of()
    seen, *_ = model.sight(batch.features, batch.frames)
    beginning = Beginning(seen, batch.moments[::2, 0], model.first(model.nothing(CLIPS)))
    captions = [[[START_ID, 5, 6, 7, 8, END_ID]], [[START_ID, 4, END_ID]]]
    sparing = writing.Sparing(model, writing.said_before(captions, "cpu"))
    plain, state = model.begin(beginning), sparing.begin(beginning)
    for place, words in enumerate([(START_ID, START_ID), (5, 5), (6, 6), (7, 7)]):
        words = torch.tensor(words)
        scores, plain = model.step(words, plain)
        spared, state = sparing.step(words, state)
        cost = torch.zeros_like(scores)
        if place >= 2:                                  # after 5 6 comes 7, after 6 7 comes 8
            cost[0, 5 + place] = writing.COST
        torch.testing.assert_close(scores[:, 1:] - spared[:, 1:], cost[:, 1:])     # but <start>
    given = (batch.features, batch.frames, batch.moments[::2],
             Search("greedy", max_length=9, allow_repetition=True))
    repeats = {}
    for cost in (0, 1e6):
        monkeypatch.setattr(writing, "COST", cost)
        said = [[{*zip(one[1:-3], one[2:-2], one[3:-1], strict=True)} for one in paragraph]
                for paragraph in write(model, *given, torch.tensor([3, 3]))]
        repeats[cost] = sum(len(later & earlier) for paragraph in said
                            for place, later in enumerate(paragraph) for earlier in
                            paragraph[:place])
    assert repeats[0] > 0 and repeats[1e6] == 0


def test_the_losses_are_those_of_a_loop():
    lengths = torch.tensor([[3, 2, 0], [4, 0, 0], [0, 0, 0]])
    ends = torch.randn(3, 3)
    guess = ends.sigmoid()
    hand = -((1 - guess[0, 1]).log() + guess[0, 2].log() + guess[1, 1].log())
    torch.testing.assert_close(end_loss(ends, lengths), hand)
    weights = torch.tensor([[[0.5, 0.5], [1.0, 0.0]]])[None, None]          # two heads
    inside = torch.tensor([[[True, False]]])
    torch.testing.assert_close(look_loss(weights, inside)[0, 0, 0],
                               -torch.tensor([0.5, 1.0]).log().mean())


def test_what_cells_guess_is_asked_of_every_sentence_within_its_span():
    batch, guesses = batch_of(), torch.randn(CLIPS, FRAMES, CELLS, WORDS - 5)
    batch.inside[1, 2] = False                          # too short to have a frame
    batch.lengths[3, 2] = 0                             # not written
    total = 0
    for row, (sentences, lengths) in enumerate(zip(batch.sentences, batch.lengths, strict=True)):
        for number, (ids, length) in enumerate(zip(sentences, lengths, strict=True)):
            if not length or (row, number) == (1, 2):
                continue
            odds = guesses[row // 2][batch.inside[row, number]].flatten(0, 1).exp().sum(dim=0)
            said = torch.tensor([word in ids for word in range(3, WORDS - 2)])
            right = torch.where(said, odds / (1 + odds), 1 / (1 + odds))
            total = total - right.log().sum()
    torch.testing.assert_close(guess_loss(guesses, batch), total)


def test_frames_know_how_many_steps_have_started():
    starts = torch.tensor([[0.0, 1.0, 0.0, 0.5, 0.0]])
    stages = stages_of(starts)[0, :, :4]
    assert stages.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0.5, 0.5, 0],
                               [0, 0.5, 0.5, 0]]
    batch = batch_of()
    hand = -torch.where(batch.starts, 0.8, 0.2).log()[batch.frames].sum()
    torch.testing.assert_close(start_loss(torch.full((CLIPS, FRAMES), 0.8).logit(), batch), hand)


def test_a_step_starts_where_a_sentence_of_any_paragraph_does(settings):
    times = np.arange(0, 2, 0.25)
    told = Told(None, "train", ("a",), (((Segment(0, 2, "It is day."), Segment(0.5, 1, "It goes.")),
                                         (Segment(1.3, 2, "It leaves."),)),))
    vocab = vocabulary_of(told, 1)
    kept = ClipFeatures(np.ones((8, 4, 2), np.float16), np.array([0, 8]), times)
    found = Part(told, vocab, kept, [2.0], settings).batch([0]).starts
    assert times[found[0]].tolist() == [0.5, 1.5]       # the first sentence tells the whole clip


@pytest.mark.parametrize("words, expected", [
    ("a cat goes left right", "a cat goes right"), ("a cat goes left", "a cat goes <unk>"),
    ("a goes left", "a <unk> goes <unk>")])
def test_a_mirrored_clip_has_its_sides_and_its_words_exchanged(words, expected):
    features = torch.arange(8.0).view(1, 4, 2)              # a grid of 2 x 2
    assert mirrored(features)[0, :, 0].tolist() == [2, 0, 6, 4]
    told = Told(None, "train", ("a",), (((Segment(0, 1, "A cat goes left."),),),))
    vocab = Vocabulary(words=words.split())
    kept = ClipFeatures(np.ones((2, 4, 2), np.float16), np.array([0, 2]), np.array([0.0, 0.5]))
    part = Part(told, vocab, kept, [1.0], ParagraphSettings("x"))

    class Always:
        def random(self, count):
            return np.zeros(count)

        def permutation(self, count):
            return np.arange(count)

    written = [vocab.decode(part.batch([0], rng, 1, mirror).sentences[0, 0].tolist())
               for rng, mirror in ((None, False), (Always(), True))]
    assert written[1] == expected and written[0].endswith("goes left")


def test_words_are_found_in_the_cells_they_are_said_of():
    """Of nine cells of three frames one is of the sentence's word, and nobody says which."""
    random = np.random.default_rng(0)
    rows = 0.1 * random.standard_normal((90, 9, 4)).astype(np.float16)
    for clip in range(30):
        rows[3 * clip + random.integers(3), random.integers(9), clip % 3] = 1
    names = [str(clip) for clip in range(30)]
    told = Told(None, "train", tuple(names), tuple(
        ((Segment(0, 1, ("red", "blue", "green")[clip % 3]),),) for clip in range(30)))
    vocab = vocabulary_of(told, 1)
    part = Part(told, vocab, ClipFeatures(rows, np.arange(0, 91, 3), np.zeros(90)), [1.0] * 30,
                ParagraphSettings("x"))
    torch.manual_seed(0)
    sight = Sight(4, 9, 3, 0.0)
    ground(sight, part, 200, seed=0, each=1)
    shown = torch.full((3, 1, 9, 4), 0.0)
    shown[range(3), 0, 4, range(3)] = 1                 # a clip of one frame for each word
    guesses = sight.guess(shown, torch.ones(3, 1, dtype=torch.bool))[2]
    found = guesses[:, 0, 4].argmax(dim=1).tolist()
    assert [vocab.words[3 + one] for one in found] == ["red", "blue", "green"]


def test_frames_know_how_they_lie_to_a_sentence():
    found = when(np.array([0.0, 1.0, 2.0]), [(0.0, 1.0), (1.0, 3.0)], 4.0)
    assert found[0].tolist() == [[1, 0, 0, 0.25], [1, 1, 0.25, 0.25], [0, 2, 0.5, 0.25]]
    assert found[1, :, 0].tolist() == [0, 1, 1] and found[1, 0, 1] == -0.5


def test_a_sentence_is_written_as_people_write_one():
    assert words_of("A red ball, it jumps.") == ["a", "red", "ball", ",", "it", "jumps"]
    assert sentence_of("a red ball jumps") == "A red ball jumps."


def test_a_killed_run_ends_bit_for_bit_as_one_that_was_not(settings, tmp_path, monkeypatch):
    class Kill(BaseException):
        pass

    settings = replace(settings, average=0.5)
    whole = loop.train(Paragraphs(settings), tmp_path / "whole")
    monkeypatch.setattr(runs, "SAVE_EVERY", -1)             # the state is saved before every step
    taken, step = [], loop.step

    def killed(one, batch):
        taken.append(batch)
        if len(taken) == 3:
            raise Kill
        return step(one, batch)

    monkeypatch.setattr(loop, "step", killed)
    with pytest.raises(Kill):
        loop.train(Paragraphs(settings), tmp_path / "killed")
    assert loop.train(Paragraphs(settings), tmp_path / "killed") == whole
    for name in ("state.safetensors", "best.safetensors"):
        ours, theirs = (load_file(tmp_path / run / name) for run in ("killed", "whole"))
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs) and ours.keys() == {
            *theirs}


def test_a_process_without_a_clip_adds_nothing(settings, tmp_path):
    task = loop.Run(Paragraphs(settings), tmp_path / "run").task
    idle = task.train.batch([0], np.random.default_rng(0), 2, True, counted=False)
    objective, loss, count = task.objective(idle)
    assert (objective.item(), loss.item(), count.item()) == (0, 0, 0)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("segments", [True, False])
def test_every_model_trains_and_is_evaluated_by_commands(
        root, tmp_path, monkeypatch, capsys, model, segments):
    report, results = tmp_path / "report.json", tmp_path / "results.json"
    flag = "--segments" if segments else "--no-segments"
    small = ("--encoder", "tiny", "--epochs", 1, "--hidden-size", 8, "--embed-size", 8,
             "--words-first", 1, "--device", "cpu")
    assert command(monkeypatch, train_command.main, "--data", root, "--run", tmp_path / "run",
                   "--recipe", "paragraphs", "--model", model, flag, *small) == 0
    assert "next: python evaluate.py" in capsys.readouterr().out
    for _ in range(2):                  # the second time over its own files
        command(monkeypatch, evaluate.main, tmp_path / "run", "--data", root, "--split", "test",
                "--json", report, "--results", results, "--device", "cpu")
    found = json.loads(report.read_text())
    assert found["clips"] == 2 and found["references"] == 10
    assert {"Bleu_4", "ROUGE_L", "CIDEr", "R@4", "Div_2", "claims"} <= found.keys()
    told = read_told(root, "test")
    if segments:
        assert [len(one["sentences"]) for one in json.loads(results.read_text())] == [
            len(one) for one in told.spans()]
    assert "claims: understood" in capsys.readouterr().out


def test_without_the_drawn_truth_claims_are_left_out(run, root, tmp_path, monkeypatch):
    for name in ("test", "activitynet"):
        shutil.copytree(root / name, tmp_path / "root" / name)
    report = tmp_path / "report.json"
    command(monkeypatch, evaluate.main, run, "--data", tmp_path / "root", "--split", "test",
            "--json", report, "--device", "cpu")
    found = json.loads(report.read_text())
    assert "claims" not in found and "CIDEr" in found


def test_caption_py_tells_a_clip_and_says_what_is_none(run, root, tmp_path, monkeypatch, capsys):
    clip = next((root / "test").iterdir())
    Image.new("RGB", (32, 32)).save(tmp_path / "still.png")
    words = "--checkpoint", run, "--device", "cpu"
    assert command(monkeypatch, caption.main, clip, root / "show" / "test.gif", *words) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == [str(clip), str(root / "show" / "test.gif")]
    assert all(line[1].endswith(".") for line in lines)
    assert command(monkeypatch, caption.main, clip, "--sample", 3, "--json", *words) == 0
    assert len(json.loads(capsys.readouterr().out)["captions"]) == 3
    assert command(monkeypatch, caption.main, tmp_path / "still.png", clip, *words) == 1
    assert "is a single picture, in which nothing moves" in capsys.readouterr().err
    with pytest.raises(BadInput, match="--gallery is not for clips"):
        command(monkeypatch, caption.main, clip, "--gallery", tmp_path / "x.html", *words)


@pytest.mark.parametrize("name", ["film.mp4", "folder"])
def test_a_captioner_of_pictures_refuses_a_clip(tmp_path, monkeypatch, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "frames.json").write_text("{}")
    with pytest.raises(BadInput, match=f"{name} is a clip, and the checkpoint describes pictures"):
        command(monkeypatch, caption.main, tmp_path / name)


def test_a_narrator_of_segments_needs_them(settings, root, tmp_path):
    loop.train(Paragraphs(replace(settings, segments=True, epochs=1)), tmp_path / "run")
    with pytest.raises(BadInput, match="train one with --no-segments"):
        load_narrator(tmp_path / "run").narrate(root / "show" / "test.gif")


def broken(root, tmp_path, change):
    copied = tmp_path / "root"
    shutil.copytree(root, copied)
    change(copied)
    return copied


def rewrite(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("change, said", [
    (lambda root: shutil.rmtree(root / "activitynet"), "has no activitynet/train_1.json"),
    (lambda root: shutil.rmtree(root / "val" / "video_val_0000002"),
     "video_val_0000002 is missing: bring it back"),
    (lambda root: [rewrite(file, lambda found: found["video_train_0000001"].update(
        sentences=[], timestamps=[])) for file in (root / "activitynet").glob("train_*")],
     "has no sentence about video_train_0000001"),
    (lambda root: rewrite(root / "annotations" / "events_val.json",
                          lambda found: found["clips"].pop("video_val_0000001")),
     "says nothing of video_val_0000001")])
def test_a_bad_root_is_refused_in_one_sentence(settings, root, tmp_path, change, said):
    settings = replace(settings, data=str(broken(root, tmp_path, change)))
    with pytest.raises(BadInput, match=said):
        loop.train(Paragraphs(settings), tmp_path / "run")


def test_paragraphs_that_changed_are_refused(settings, root, tmp_path):
    data = broken(root, tmp_path, lambda root: None)
    one = replace(settings, data=str(data))
    loop.Run(Paragraphs(one), tmp_path / "run").save()
    rewrite(data / "activitynet" / "train_2.json",
            lambda found: found["video_train_0000001"]["sentences"].__setitem__(0, "A cat."))
    with pytest.raises(BadInput, match="the paragraphs of train changed"):
        loop.Run(Paragraphs(one), tmp_path / "run")


@pytest.fixture
def forged(run, tmp_path):
    """Write the run's checkpoint with a change of tensors or header."""
    def forge(change):
        path = tmp_path / "forged.safetensors"
        tensors, header = tensor_file.read(run / "best.safetensors", KIND, FORMAT, "x")
        change(tensors, header)
        tensor_file.write(path, KIND, FORMAT, tensors, header)
        return path
    return forge


def put(*places, value):
    def change(_, header):
        for place in places[:-1]:
            header = header[place]
        header[places[-1]] = value
    return change


@pytest.mark.parametrize("change, said", [
    (put("architecture", "model", "hidden_size", value=LARGEST), "its tensor"),
    (put("architecture", "model", "hidden_size", value=0), "its sizes are absurd"),
    (put("architecture", "model", "guessed", value=10_000), "its sizes are absurd"),
    (put("architecture", "model", "name", value="magic"), "its model is unknown"),
    (put("architecture", "encoder", "backbone", value="x"), "its backbone is unknown"),
    (put("words", value=["a", "b", "c", "d"]), "its vocabulary is none"),
    (put("rate", value=0.0), "its frames a second are absurd"),
    (put("longest", value=2), "its sizes are absurd"),
    (put("transform", "size", value=10**9), "its pictures have an absurd size"),
    (lambda tensors, _: tensors.pop("model.ends.weight"), "is missing"),
    (lambda tensors, _: tensors["model.ends.weight"].fill_(float("inf")), "not finite")])
def test_an_unsound_checkpoint_is_refused_in_one_sentence(forged, change, said):
    with pytest.raises(BadInput, match=f"is no {KIND} that this program can use, .*{said}"):
        load_narrator(forged(change))


def test_baselines_are_paragraphs_of_train():
    told = [((Segment(0, 1, text),),) for text in
            ("A red ball jumps.", "A red cat jumps.", "A blue tree grows at sunset.")]
    train = Told(None, "train", ("a", "b", "c"), tuple(told))
    asked = Told(None, "test", ("x", "y"), tuple(told[:2]))
    assert {one for one, in constant(train, asked)} < {"A red ball jumps.", "A red cat jumps."}
    rows = np.zeros((9, 1, 3), np.float16)
    rows[range(9), 0, np.repeat(range(3), 3)] = 1
    features = ClipFeatures(rows, np.array([0, 3, 6, 9]), np.zeros(9))
    others = ClipFeatures(rows[3:], np.array([0, 3, 6]), np.zeros(6))
    assert nearest(train, asked, features, others) == [["A red cat jumps."],
                                                       ["A blue tree grows at sunset."]]


def test_the_truth_of_a_drawn_clip_is_all_true(root):
    told = read_told(root, "test")
    written = [[one.sentence for one in first] for first, *_ in told.paragraphs]
    found = true_claims(written, told.truths())
    assert found["all"] == found["paragraphs"] == found["understood"] == 1
    assert true_claims([["A purple cow."]] * 2, told.truths())["understood"] == 0


def test_a_run_is_packed_with_a_card_that_holds_its_scores(run, root, tmp_path, monkeypatch):
    report, file = tmp_path / "report.json", tmp_path / "packed.safetensors"
    command(monkeypatch, evaluate.main, run, "--data", root, "--split", "test", "--json", report,
            "--device", "cpu")
    for _ in range(2):                  # the second time over its own files
        said = pack(run, file, report, "Drawn clips.").read_text()
    assert "6 clips, 30 paragraphs" in said and "Drawn clips." in said and "R@4" in said
    assert "--run runs/whole --recipe paragraphs " in said and str(root.parent) not in said
    assert load_narrator(file).about["settings"]["data"] == f"data/{root.name}"
