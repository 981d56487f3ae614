"""Average precision counts ties once, says its grid, and stands beside what no model gets."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from scoring.frames import average_precision, frame_map, video_shares
from system.files import BadInput
from video.spans import faults, frame_labels
from video.thumos import read_multithumos

FRAMES = some.lists(some.tuples(some.integers(0, 5), some.booleans()), min_size=1, max_size=12)


def slow_precision(scores, truth):
    """Go through the thresholds from above, and add precision times the recall gained."""
    found, before = Fraction(0), 0
    for least in sorted(set(scores), reverse=True):
        chosen = [true for score, true in zip(scores, truth, strict=True) if score >= least]
        found += Fraction(sum(chosen) - before, sum(truth)) * Fraction(sum(chosen), len(chosen))
        before = sum(chosen)
    return float(found)


def slow_precision_in_order(scores, truth):
    """Mean the precision at each true frame; of equal scores the earlier frame ranks first."""
    ranked = sorted(range(len(scores)), key=lambda frame: (-scores[frame], frame))
    hits, found = 0, []
    for rank, frame in enumerate(ranked, 1):
        if truth[frame]:
            hits += 1
            found.append(hits / rank)
    return sum(found) / len(found)


@settings(deadline=None, max_examples=80, derandomize=True)
@given(FRAMES.filter(lambda frames: any(true for _, true in frames)), some.randoms())
def test_average_precision_is_that_of_a_slow_reference(frames, random):
    scores, truth = map(np.array, zip(*frames, strict=True))
    exact = slow_precision(scores.tolist(), truth.tolist())
    assert average_precision(scores, truth) == pytest.approx(exact, abs=1e-12)
    in_order = slow_precision_in_order(scores.tolist(), truth.tolist())
    assert average_precision(scores, truth, in_order=True) == pytest.approx(in_order, abs=1e-12)
    random.shuffle(frames)
    scores, truth = map(np.array, zip(*frames, strict=True))
    assert average_precision(scores, truth) == pytest.approx(exact, abs=1e-12)


def test_average_precision_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn, which is no "
                                  "requirement: pip install scikit-learn")
    random = np.random.default_rng(0)
    for frames in range(2, 200):
        # rounded, so that many are equal
        scores, truth = random.random(frames).round(1), random.random(frames) < 0.3
        truth[0] = True
        assert average_precision(scores, truth) == pytest.approx(
            metrics.average_precision_score(truth, scores), abs=1e-9)


@pytest.mark.parametrize("scores, truth, together, in_order", [
    ([.9, .8, .7, .6], [1, 0, 1, 0], (1 + 2 / 3) / 2, (1 + 2 / 3) / 2),
    ([.5, .5, .5, .5], [1, 0, 0, 0], 1 / 4, 1),             # what order breaks, it flatters
    ([.5, .5, .5, .5], [0, 0, 0, 1], 1 / 4, 1 / 4),
    ([.9, .5, .5], [0, 1, 1], 2 / 3, (1 / 2 + 2 / 3) / 2),
    ([1, 2], [1, 1], 1, 1)])
def test_average_precision_by_hand(scores, truth, together, in_order):
    scores, truth = np.array(scores), np.array(truth, bool)
    assert average_precision(scores, truth) == pytest.approx(together)
    assert average_precision(scores, truth, in_order=True) == pytest.approx(in_order)


def two_videos():
    """Scores and labels of 3 + 2 frames and three classes, of which no frame has the last."""
    truth = [np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0]], bool), np.array([[0, 0, 0], [1, 0, 0]],
                                                                         bool)]
    return [np.array([[9, 1, 0], [8, 5, 0], [7, 4, 0]]), np.array([[6, 0, 0], [5, 2, 1]])], truth


def test_frames_of_all_videos_are_ranked_together_and_absent_classes_told():
    scores, truth = two_videos()
    found = frame_map(scores, truth, hz=10)
    first = (1 + 1 + 3 / 5) / 3
    assert found.each[:2] == pytest.approx([first, 1]) and np.isnan(found.each[2])
    assert (found.hz, found.frames, found.absent) == (10, 5, [2])
    assert found.mean == pytest.approx((first + 1) / 2)
    assert found.prevalence == pytest.approx((3 / 5 + 2 / 5) / 2)
    common = frame_map(scores, truth, hz=10, common=True)
    assert common.mean == pytest.approx((first + 1) / 3)        # the absent one counts 0


def test_equal_scores_get_the_prevalence_and_perfect_ones_all():
    _, truth = two_videos()
    equal = frame_map([np.zeros(one.shape) for one in truth], truth, hz=1)
    assert equal.mean == pytest.approx(equal.prevalence)
    assert frame_map([one.astype(float) for one in truth], truth, hz=1).mean == 1


def test_an_oracle_without_timing_scores_all_frames_of_a_video_alike():
    _, truth = two_videos()
    shares = video_shares(truth)
    assert shares[0].tolist() == [[2 / 3, 2 / 3, 0]] * 3 and shares[1].tolist() == [[.5, 0, 0]] * 2
    # class 0: two of three, then three of five; class 1: two of three
    expected = (2 / 3 * 2 / 3 + 1 / 3 * 3 / 5 + 2 / 3) / 2
    assert frame_map(shares, truth, hz=1).mean == pytest.approx(expected)


def test_different_grids_and_rules_are_not_compared():
    scores, truth = two_videos()
    one = frame_map(scores, truth, hz=10)
    assert one.gain(frame_map(scores, truth, hz=10)) == 0
    for other in (frame_map(scores, truth, hz=25), frame_map(scores[:1], truth[:1], hz=10),
                  frame_map(scores, truth, hz=10, common=True)):
        with pytest.raises(BadInput, match="score both on one grid"):
            one.gain(other)


def test_scores_that_are_no_numbers_and_labels_that_none_has_are_refused():
    scores, truth = two_videos()
    with pytest.raises(BadInput, match="the model has diverged"):
        frame_map([one * np.nan for one in scores], truth, hz=10)
    with pytest.raises(BadInput, match="5 scores of 3 frames"):
        average_precision(np.zeros(5), np.ones(3, bool))
    with pytest.raises(BadInput, match="none of the 5 frames has a label"):
        frame_map(scores, [one & False for one in truth], hz=10)


def test_multithumos_is_read_and_its_floors_are_reproduced(shared_video):
    """Of MultiTHUMOS's test at 10 Hz: equal scores get 2.37 %, shares without timing 28.9 %.

    By the common tool equal scores get 2.90 %, if the videos are in the order of their names.
    """
    videos, names = read_multithumos(shared_video / "dense-actions" / "multithumos.json")
    assert (len(videos), sum(len(one.spans) for one in videos), len(names)) == (413, 38690, 65)
    assert {span.label for one in videos for span in one.spans} == set(range(65))
    assert faults(videos) == {"late": 65, "empty": 7, "overlapping": 861}
    videos = sorted(videos, key=lambda video: video.name)
    truth = [frame_labels(one, 65) for one in videos if one.subset == "testing"]
    found = frame_map(video_shares(truth), truth, hz=10)
    assert (len(truth), found.frames, found.absent) == (213, 461762, [])
    assert 100 * found.prevalence == pytest.approx(2.37, abs=0.005)
    assert 100 * found.mean == pytest.approx(28.9, abs=0.05)
    equal = [np.broadcast_to(0.0, one.shape) for one in truth]
    common = frame_map(equal, truth, hz=10, common=True)
    assert 100 * common.mean == pytest.approx(2.90, abs=0.005)
