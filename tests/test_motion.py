"""Clips show what their truth says, so do paragraphs and labels, and no frame gives it away."""

import json
import random
import re
import shutil
from itertools import combinations, pairwise, permutations, product
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image

import prepare
from scenes.dataset import HELD_OUT
from scenes.drawing import COLOURS
from scenes.motion import dataset, events, frames, lookup
from scenes.motion.claims import check, tally
from scenes.motion.dataset import draw, one_clip, read_truths
from scenes.motion.events import HELD_OUT_ACTS, INSIDE, State, after, compose, possible
from scenes.motion.labels import CLASSES, frame_labels, labels_of, spans
from scenes.motion.paragraphs import paragraphs
from system.files import BadInput

SIZES = {"train": 2, "val": 1, "test": 1, "novel": 1}
SIXTY = json.loads((Path(__file__).parent / "data" / "sixty_paragraphs.json").read_text())
WIDTHS = {-1: -0.1, 0: 0.18, 1: 0.5, 2: 0.82, 3: 1.1}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("moving") / "motion", SIZES, progress=False)


@pytest.fixture(scope="module")
def told():
    """Return [(clip, truth, paragraphs)] of clips that are not painted."""
    return [one_clip(0, split, number) for split, size in (("train", 26), ("novel", 10))
            for number in range(1, size + 1)]


@pytest.fixture(scope="module")
def clips(told):
    """Return the first (clip, truth) that together show everything that can happen."""
    chosen, seen = [], set()
    for clip, truth, _ in told:
        new = {label for event in truth["events"] for label in labels_of(event)} - seen
        if new:
            chosen.append((clip, truth))
            seen |= new
    assert len(seen) == len(CLASSES)
    return chosen


def text(paragraph):
    return " ".join(sentence.text for sentence in paragraph)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*")) if path.is_file()}


def quick(clip):
    """Return what lookup.py reads of a truth, with places by station; the truth takes longer."""
    found = [{"thing": event.thing, "action": event.action, "direction": event.direction,
              "path": [WIDTHS[state.stations[event.thing]] for state in clip.states[step:step + 2]],
              "first": event.frames[0], "last": event.frames[1]}
             for step, some in enumerate(clip.steps) for event in some]
    return {"frames": clip.frames, "events": found,
            "things": [{"facing": mover.facing} for mover in clip.movers]}


# No frame gives away what happens.

def states(clip):
    """Yield every state of a clip's movers of two colours."""
    for stations in permutations(events.STATIONS, len(clip.movers)):
        colours = tuple(mover.colours[at % 2] for at, mover in enumerate(clip.movers))
        yield State(stations, colours, tuple("grow" in mover.acts and not clip.screen
                                             for mover in clip.movers))


@pytest.mark.parametrize("seed", range(4))
def test_every_step_can_be_undone_by_one_of_the_same_weight(seed):
    clip, _ = events.cast(random.Random(seed), novel=True)
    rng = random.Random(seed)
    for state in rng.sample(list(states(clip)), 8):
        for weight, some in rng.sample(ways := possible(clip, state), min(4, len(ways))):
            there = state
            for event in some:
                there = after(there, event)
            if there == state:
                continue                            # a jump undoes itself
            assert weight in [pytest.approx(other) for other, back in possible(clip, there)
                              if led(there, back) == state]


def led(state, some):
    for event in some:
        state = after(state, event)
    return state


@pytest.mark.parametrize("seed", range(4))
def test_from_everywhere_a_thing_goes_left_as_often_as_right(seed):
    clip, _ = events.cast(random.Random(seed), novel=False)
    for station in INSIDE:
        weights = {"left": 0, "right": 0}
        for state in states(clip):
            if state.stations[0] == station:
                for weight, (event, *_) in possible(clip, state):
                    if event.thing == 0 and event.direction:
                        weights[event.direction] += weight
        assert weights["left"] == pytest.approx(weights["right"])


def test_no_state_weighs_more_than_is_allowed_for():
    for seed in range(40):
        clip, state = events.cast(random.Random(seed), novel=True)
        assert sum(weight for weight, _ in possible(clip, state)) < events.MOST


def test_place_facing_and_time_do_not_tell_left_from_right():
    drawn = [quick(compose(random.Random(number))) for number in range(600)]
    for share in lookup.accuracies(drawn[:400], drawn[400:]).values():
        assert abs(share - 0.5) < 0.08


def test_a_lookup_finds_what_is_there_to_be_found():
    drawn = [quick(compose(random.Random(number))) for number in range(60)]
    for truth in drawn:
        truth["things"] = [{"facing": event["direction"]} for event in truth["events"]]
        for number, event in enumerate(truth["events"]):
            event["thing"] = number         # faces where it goes
    with patch.multiple(lookup, PLACES=1, TIMES=1):
        assert set(lookup.accuracies(drawn[:40], drawn[40:]).values()) == {1.0}


# What happens is seen.

def pictures(clip):
    return np.stack([np.asarray(one, int) for one in frames.frames(clip)])


def masks(clip, whole):
    """Return {thing: where it is seen, (frames, y, x)}: what changes without it."""
    shown, found = frames.toys, {}
    for i in range(len(clip.movers)):
        with patch.object(frames, "toys", lambda clip, at, i=i: [
                thing for thing in shown(clip, at) if thing.group != i]):
            found[i] = abs(whole - pictures(clip)).max(axis=3) > 24
    return found


def measure(mask):
    """Return the box of a mask (left, top, right, bottom); None if nothing is seen."""
    down, across = np.nonzero(mask)
    return (across.min(), down.min(), across.max(), down.max()) if len(down) else None


def colours(picture, mask):
    """Return how many pixels under a mask are nearest to each of COLOURS."""
    near = [np.linalg.norm(picture[mask] - rgb, axis=1) for rgb in COLOURS.values()]
    return np.bincount(np.argmin(near, axis=0), minlength=len(COLOURS))


def shows(event, seen_at, whole):
    """Return whether the frames show an event; seen_at: the masks of all things."""
    first, last = event["first"], event["last"]
    mask = seen_at[event["thing"]]
    boxes = [measure(one) for one in mask[first:last + 1]]
    start, end = boxes[0], boxes[-1]
    seen = [box for box in boxes if box]
    middles = [(left + right) / 2 for left, _, right, _ in seen]
    if event["direction"]:
        forwards = all((b - a) * (1 if event["direction"] == "right" else -1) > -1
                       for a, b in pairwise(middles))
        if not forwards or abs(middles[-1] - middles[0]) < 8:
            return False
    for other in event["meets"] + event["parts"]:
        beside = [measure(one) for one in seen_at[other][[first, last]]]
        gaps = [max(a[0] - b[2], b[0] - a[2]) if a else 99
                for a, b in zip((start, end), beside, strict=True)]
        if (gaps[0] > gaps[1]) != (other in event["meets"]):
            return False
    width = frames.SIDE - 1
    if event["action"] == "jump":
        return start[1] == end[1] and min(box[1] for box in boxes) < start[1] - 10
    if event["action"] in ("grow", "shrink"):
        bigger, smaller = (end, start) if event["action"] == "grow" else (start, end)
        return bigger[3] - bigger[1] > 1.2 * (smaller[3] - smaller[1])
    if event["action"] == "change colour":
        old, new = (list(COLOURS).index(colour) for colour in event["colours"])
        before, then = (colours(whole[at], mask[at]) for at in (first, last))
        return before[old] > then[old] and then[new] > before[new]
    return {"move": start and end, "enter": not start and end, "leave": start and not end,
            "hide": start and not end and seen[-1][0] > 0 and seen[-1][2] < width,
            "come out": not start and end and seen[0][0] > 0 and seen[0][2] < width,
            }[event["action"]]


def test_every_event_is_seen_on_the_frames(clips):
    for clip, truth in clips:
        whole = pictures(clip)
        seen_at = [mask for i, mask in masks(clip, whole).items()
                   if any(clip.seen(state, i) for state in clip.states)]
        for event in truth["events"]:
            assert shows(event, seen_at, whole), (truth["things"], event)
            if event["direction"]:
                wrong = {"left": "right", "right": "left"}[event["direction"]]
                assert not shows({**event, "direction": wrong}, seen_at, whole)


@pytest.mark.parametrize("screen", events.SCREENS)
def test_all_that_may_hide_is_hidden(screen):
    clip, _ = events.cast(random.Random(0), novel=True)
    clip.screen, clip.frames = (screen, "blue"), 1
    clip.states = [State((events.SCREEN,), ("red",), (False,))] * 2
    clip.steps = [(events.Event(0, "jump", frames=(5, 9)),)]
    for shape, facing in product(HELD_OUT_ACTS, ("left", "right")):
        clip.movers = [events.Mover(shape, facing, 0, ("red",), ())]
        if shape != screen and clip.movers[0].row == "ground":
            assert not masks(clip, pictures(clip))[0].any(), shape


def test_a_frame_has_the_labels_of_what_is_under_way():
    event = {"action": "enter", "direction": "right", "meets": [1], "parts": [], "first": 2,
             "last": 5}
    truth = {"frames": 8, "events": [event, {**event, "action": "jump", "direction": None,
                                             "meets": []}]}
    labels = frame_labels(truth)
    assert labels.shape == (8, len(CLASSES)) and not labels[[0, 1, 2, 5, 6, 7]].any()
    assert {CLASSES[c] for c in np.nonzero(labels[3])[0]} == {"Enter", "MoveRight", "Meet", "Jump"}
    assert (labels[3] == labels[4]).all()


def test_a_frame_has_one_and_a_half_labels(told):
    labels = np.concatenate([frame_labels(truth) for _, truth, _ in told])
    assert labels.sum(1).mean() > 1.4 and labels.any(0).all()


# Paragraphs, and the judgement of them.

def test_every_paragraph_is_true_and_tells_all_events_in_two_to_five_sentences(told):
    for _, truth, five in told:
        assert len(five) == len({text(one) for one in five}) == 5
        for one in five:
            verdict = check(text(one), truth)
            assert verdict.verdict == "true", (verdict.why, text(one))
            assert 2 <= len(one) <= 5 and 2 <= len(truth["events"]) <= 5
            actions = [claim for claim in verdict.claims if claim.kind == "action"]
            assert len(actions) == len(truth["events"])
            assert all(0 <= s.start < s.end <= truth["frames"] / frames.RATE for s in one)


def test_a_paragraph_with_two_sentences_swapped_is_false(told):
    verdicts = []
    for _, truth, five in told[:18]:
        for one in five:
            for i, j in combinations(range(len(one)), 2):
                if one[i].end <= one[j].start:
                    other = list(one)
                    other[i], other[j] = one[j], one[i]
                    verdicts.append(check(text(other), truth).verdict)
    # some stay true: who comes in from the right also "moves to the left"
    assert len(verdicts) > 150 and verdicts.count("false") > 0.97 * len(verdicts)
    assert "not understood" not in verdicts


@pytest.mark.parametrize("old, new", [
    ("from the left", "from the right"), ("to the left", "to the right"), ("jumps", "grows"),
    ("hides behind", "comes out from behind"), (" while ", " and then "), ("enters", "leaves"),
    ("turns red", "turns blue"), ("turns", "grows while it turns"), ("shrinks", "grows")])
def test_a_false_word_makes_a_paragraph_false(told, old, new):
    found = [(text(one).replace(old, new), truth) for _, truth, five in told for one in five
             if old in text(one)]
    assert found and {check(*pair).verdict for pair in found} == {"false"}


CLIP = SIXTY["clips"]["1"]      # a ball goes right to a mug; it grows while a car enters


@pytest.mark.parametrize("paragraph, kind", [
    ("The ball moves right. Then it grows.", None),
    ("The ball moves right. Then a car enters and it grows.", "reference"),
    ("A car enters. It grows.", "reference"), ("The ball grows. It enters.", "reference"),
    ("There is a black ball at night. It moves to the right.", None),
    ("There is a mug. It moves to the right.", "reference"),
    ("The ball moves left.", "action"), ("The ball jumps.", "action"), ("It jumps.", "action"),
    ("A cat grows.", "object"), ("The red ball grows.", "colour"),
    ("The ball moves to a tree.", "object"), ("The ball moves to the car.", "action"),
    ("The ball moves to the green mug.", "colour"), ("The ball grows, then it moves.", "order"),
    ("The car enters before the ball moves.", "order"),
    ("After the ball has moved, the car enters.", None),
    ("The ball moves. At the same time the car enters.", "order"),
    ("Finally, the ball moves.", "order"), ("Finally, the car enters.", None),
    ("In the snow the ball grows.", "background"), ("At night the ball grows.", None),
    ("A car comes in on the left.  \n", None), ("A car comes in on the right.", "action"),
    ("There are two cars at night.", "count"), ("A tiny ball is left of a mug.", None)])
def test_the_claim_that_is_wrong_is_named(paragraph, kind):
    verdict = check(paragraph, CLIP)
    assert verdict.verdict == ("true" if kind is None else "false"), verdict
    assert kind is None or verdict.why.startswith(f"the {kind}:"), verdict.why


@pytest.mark.parametrize("paragraph", [
    "", "...", "The ball sings.", "The ball moves a zebra.", "Moves. Jumps.", "And then.",
    "The ball turns to.", "The ball hides behind.", "The mug the ball.", "Left right left.",
    "No ball grows.", "Two balls grow.", "The ball does not grow.", "The ball meets two cars."])
def test_what_is_no_paragraph_about_a_clip_is_not_understood(paragraph):
    assert check(paragraph, CLIP).verdict == "not understood"


def test_sixty_paragraphs_of_a_person_are_judged_as_the_person_meant_them():
    """They were written by the look of twelve clips, before the grammar was."""
    verdicts = [(one["true"], check(one["text"], SIXTY["clips"][one["clip"]]).verdict)
                for one in SIXTY["paragraphs"]]
    assert len(verdicts) == 60
    assert not {(True, "false"), (False, "true")} & set(verdicts)
    assert sum(verdict == "not understood" for _, verdict in verdicts) <= 2


def test_claims_are_counted_by_kind(told):
    pairs = [(text(one), truth) for _, truth, five in told[:10] for one in five]
    counts = tally(*zip(*pairs, strict=True))
    assert all(true == total for true, total in counts.values())
    assert all(counts[kind][1] for kind in ("action", "order", "reference", "object", "colour"))


# The files.

def test_a_clip_is_a_folder_of_frames_with_their_times(root):
    for split, size in SIZES.items():
        truths = read_truths(root, split)
        assert list(truths) == sorted(path.name for path in (root / split).iterdir())
        assert len(truths) == size
        for name, truth in truths.items():
            folder = root / split / name
            known = json.loads((folder / "frames.json").read_text())
            assert known["duration"] == truth["frames"] / frames.RATE
            assert known["times"] == [n / frames.RATE for n in range(truth["frames"])]
            assert sorted(path.name for path in folder.glob("*.png")) == [
                f"{n:06d}.png" for n in range(truth["frames"])]
            with Image.open(folder / "000000.png") as picture:
                assert picture.size == (frames.SIDE, frames.SIDE) and picture.mode == "RGB"
        with Image.open(root / "show" / f"{split}.gif") as shown:
            assert shown.is_animated


def test_paragraphs_are_written_as_in_activitynet_captions(root):
    for split, size in SIZES.items():
        truths = read_truths(root, split)
        for k in range(1, 6):
            found = json.loads((root / "activitynet" / f"{split}_{k}.json").read_text())
            assert len(found) == size
            for name, one in found.items():
                assert set(one) == {"duration", "timestamps", "sentences"}
                assert len(one["timestamps"]) == len(one["sentences"])
                assert check(" ".join(one["sentences"]), truths[name]).verdict == "true"


def test_labels_are_written_as_in_multithumos(root):
    folder = root / "multithumos"
    classes = dict(line.split() for line in (folder / "class_list.txt").read_text().splitlines())
    assert list(classes.values()) == list(CLASSES) and list(classes) == [
        str(number) for number in range(1, 1 + len(CLASSES))]
    lines = [(label, *line.split()) for label in CLASSES for line in
             (folder / "annotations" / f"{label}.txt").read_text().splitlines()]
    wanted = [(label, name, f"{start:.2f}", f"{end:.2f}") for split in SIZES
              for name, truth in read_truths(root, split).items()
              for label, start, end in spans(truth)]
    assert sorted(lines) == sorted(wanted)
    videos = json.loads((folder / "multithumos.json").read_text())
    assert sorted((classes[str(c)], name, f"{start:.2f}", f"{end:.2f}")
                  for name, one in videos.items() for c, start, end in one["actions"]
                  ) == sorted(wanted)


def test_only_novel_has_what_is_held_out(root, told):
    held = {*HELD_OUT, *((shape, act) for shape, acts in HELD_OUT_ACTS.items() for act in acts)}
    for clip, truth, _ in told:
        shown = {(clip.movers[event.thing].shape, event.action)
                 for some in clip.steps for event in some} & held
        assert shown <= {tuple(pair) for pair in truth["held_out"]} <= held
    assert all(bool(truth["held_out"]) == (split == "novel") for split in SIZES
               for truth in read_truths(root, split).values())


def sized(root, **other):
    return ["motion", "--root", str(root), *(word for split, size in {**SIZES, **other}.items()
                                             for word in (f"--{split}", str(size)))]


def test_the_command_is_done_at_once_if_the_clips_are_there(root, capsys):
    before = contents(root)
    assert prepare.main(sized(root)) == 0
    printed = capsys.readouterr().out
    assert "already holds these clips" in printed
    assert printed.rstrip().endswith("--recipe actions")
    assert contents(root) == before


def test_two_draws_are_the_same_to_the_byte_and_end_with_what_a_lookup_guesses(
        root, tmp_path, capsys):
    assert prepare.main(sized(tmp_path / "again")) == 0
    assert re.search(r"place, facing and time alone: [\d.]+% of things", capsys.readouterr().out)
    assert contents(tmp_path / "again") == contents(root)


def test_motion_is_a_folder_that_is_drawn_where_it_is_missing_and_all_else_a_path(
        tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dataset, "SIZES", SIZES)
    assert dataset.find_root("elsewhere/clips") == Path("elsewhere/clips")
    assert not [*tmp_path.iterdir()]
    found = dataset.find_root("motion")
    assert found == Path("data/motion") and len(read_truths(found, "train")) == SIZES["train"]
    capsys.readouterr()
    assert dataset.find_root("motion") == found and not capsys.readouterr().out


@pytest.mark.parametrize("wrong, message", [
    ({"train": 4}, "holds something else"), ({"test": 0}, "test needs between 1 and .* clips")])
def test_other_clips_and_impossible_sizes_are_refused(root, wrong, message):
    before = contents(root)
    with pytest.raises(BadInput, match=message):
        prepare.main(sized(root, **wrong))
    assert contents(root) == before


def test_a_root_that_lacks_a_frame_or_is_damaged_is_refused(root, tmp_path):
    few = shutil.copytree(root, tmp_path / "few")
    frame = next((few / "val").glob("*/000003.png"))
    kept = frame.read_bytes()
    frame.unlink()
    with pytest.raises(BadInput, match="frames of val in place of"):
        draw(few, SIZES, progress=False)
    frame.write_bytes(kept)
    path = few / dataset.EVENTS.format("test")
    path.write_text(path.read_text().replace('"action"', '"Action"'))
    with pytest.raises(BadInput, match=r"events_test.json is damaged.*draw the clips again"):
        read_truths(few, "test")


def test_paragraphs_depend_on_nothing_but_truth_and_seed(told):
    _, truth, _ = told[0]
    again = [paragraphs(truth, random.Random(3)) for _ in range(2)]
    assert again[0] == again[1] != paragraphs(truth, random.Random(4))
