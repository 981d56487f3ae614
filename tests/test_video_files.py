"""Sentences and actions in time are read as their files have them, and what is odd is told."""

import json

import numpy as np
import pytest

from coco.dataset import tell
from system.files import BadInput, write_json
from tests.moving import write_activitynet, write_class_files, write_multithumos
from video.activitynet import (
    read_activitynet,
    read_paragraphs,
    read_results,
    read_youcook2,
    write_results,
)
from video.spans import Action, Segment, Video, faults, frame_labels
from video.thumos import read_multithumos, read_thumos14

DANCE = {"v_1": {"duration": 10.5, "timestamps": [[0, 4], [2.5, 10.5]],
                 "sentences": ["A girl dances.", " She bows."]}}
JUMPS = {"video_test_0000004": {"subset": "testing", "duration": 3.0,
                                "actions": [[11, 0.2, 1.1], [65, 1.0, 2.0], [11, 1.5, 3.0]]}}
COOK = {"database": {
    "a": {"duration": 20, "subset": "training", "recipe_type": "113", "video_url": "x",
          "annotations": [{"segment": [9, 12], "id": 0, "sentence": "melt butter"}]},
    "b": {"duration": 30.5, "subset": "validation", "annotations": []}}}


@pytest.fixture(autouse=True)
def say_again():
    """Whatever was told in another test is told again."""
    tell.cache_clear()


def test_activitynet_is_read_and_written_as_it_was(tmp_path, capsys):
    write_json(tmp_path / "val.json", DANCE)
    videos = read_activitynet(tmp_path / "val.json")
    assert videos == [Video("v_1", 10.5, (Segment(0, 4, "A girl dances."),
                                          Segment(2.5, 10.5, " She bows.")))]
    write_activitynet(tmp_path / "again.json", videos)
    assert json.loads((tmp_path / "again.json").read_text()) == DANCE
    assert capsys.readouterr().err == ""        # that sentences overlap is usual


def test_results_are_read_as_they_were_written(tmp_path):
    results = {"v_1": read_spans(DANCE), "v_2": ()}
    write_results(tmp_path / "mine.json", results)
    assert read_results(tmp_path / "mine.json") == results
    whole = json.loads((tmp_path / "mine.json").read_text())
    assert whole["version"] == "VERSION 1.0" and whole["external_data"]["used"] is False
    assert whole["results"]["v_1"][0] == {"sentence": "A girl dances.", "timestamp": [0, 4]}


def read_spans(found):
    """The segments of the first video in ActivityNet's form."""
    one = next(iter(found.values()))
    return tuple(Segment(*times, sentence) for times, sentence in
                 zip(one["timestamps"], one["sentences"], strict=True))


def test_youcook2_is_read_by_subset(tmp_path):
    write_json(tmp_path / "cook.json", COOK)
    assert read_youcook2(tmp_path / "cook.json", "training") == [
        Video("a", 20, (Segment(9, 12, "melt butter"),), "training")]
    assert [one.name for one in read_youcook2(tmp_path / "cook.json")] == ["a", "b"]
    with pytest.raises(BadInput, match="no subset 'test': it has training, validation"):
        read_youcook2(tmp_path / "cook.json", "test")


def test_multithumos_is_read_and_written_as_it_was(tmp_path):
    write_json(tmp_path / "multi.json", JUMPS)
    videos, names = read_multithumos(tmp_path / "multi.json")
    assert videos == [Video("video_test_0000004", 3.0, (
        Action(0.2, 1.1, 10), Action(1.0, 2.0, 64), Action(1.5, 3.0, 10)), "testing")]
    assert len(names) == 65 and names[10] == "11"
    write_multithumos(tmp_path / "again.json", videos)
    assert json.loads((tmp_path / "again.json").read_text()) == JUMPS


def test_multithumos_text_files_are_read_as_they_were_written(tmp_path):
    videos = [Video("video_test_0000001", 9.0, (Action(1.0, 2.5, 0), Action(0.5, 8.0, 1)),
                    "testing"),
              Video("video_validation_0000002", None, (Action(3.0, 4.0, 1),), "training")]
    names = "Jump", "Run"
    write_class_files(tmp_path, videos, names)
    assert (tmp_path / "class_list.txt").read_text() == "1 Jump\n2 Run\n"
    assert read_multithumos(tmp_path, {"video_test_0000001": 9.0}) == (videos, names)


def test_thumos14_leaves_ambiguous_spans_out_unless_asked(tmp_path):
    (tmp_path / "Diving_val.txt").write_text("video_validation_0000001  1.0 2.0\n\n")
    (tmp_path / "Ambiguous_val.txt").write_text("video_validation_0000001 5.0 6.0\n")
    (tmp_path / "Diving_test.txt").write_text("video_test_0000009 5.0 6.0\n")
    videos, names = read_thumos14(tmp_path, "val")
    assert names == ("Diving",) and videos == [
        Video("video_validation_0000001", None, (Action(1.0, 2.0, 0),), "training")]
    videos, names = read_thumos14(tmp_path, "val", ambiguous=True)
    assert names == ("Ambiguous", "Diving")
    assert videos[0].spans == (Action(5.0, 6.0, 0), Action(1.0, 2.0, 1))
    with pytest.raises(BadInput, match="has no file <class>_train.txt"):
        read_thumos14(tmp_path, "train")


def test_odd_spans_are_counted_told_in_one_line_and_kept(tmp_path, capsys):
    actions = [[1, 0.0, 2.0], [1, 1.0, 3.5], [2, 1.0, 1.0], [2, 0.0, 1.0], [1, 1.5, 1.9]]
    write_json(tmp_path / "odd.json", {"v": {"subset": "x", "duration": 3, "actions": actions}})
    [video], _ = read_multithumos(tmp_path / "odd.json")
    # of class 1, sorted by start, two begin before the end of the one before; 2's only touch
    assert faults([video]) == {"late": 1, "empty": 1, "overlapping": 2}
    assert len(video.spans) == 5
    assert capsys.readouterr().err == (
        f"{tmp_path / 'odd.json'}: of 5 spans, 1 end after their video, 1 have no length, 2 begin "
        "before the end of the one before of the same class; they are kept\n")
    assert faults([Video("v", 9, (Segment(3, 5, "b"), Segment(1, 4, "a")))]) == {"unordered": 1}
    # what is rounded in a file is no fault, and of an unknown duration nothing is late
    assert faults([Video("v", 9.996, (Segment(0, 10, "a"),))]) == {}
    assert faults([Video("v", None, (Segment(0, 10, "a"),))]) == {}


def test_a_frame_has_the_labels_of_the_spans_around_its_time():
    video = Video("v", 1.05, (Action(0.2, 0.5, 1), Action(0.85, 7.0, 0), Action(0.9, 0.1, 1)))
    expected = np.zeros((10, 2), bool)
    expected[3:5, 1] = True         # 0.3 and 0.4 s: neither 0.2 nor 0.5, as in the common program
    expected[9:, 0] = True          # the span is cut at the last frame
    assert (frame_labels(video, 2) == expected).all()
    for hz in (4, 10, 25):
        slow = [[any(one.label == label and one.start < frame / hz < one.end
                     for one in video.spans) for label in range(2)]
                for frame in range(int(1.05 * hz))]
        assert (frame_labels(video, 2, hz) == slow).all()
    # 8.2 * 30 is a little less than 246, and a clip that long is looked at 246 times
    assert len(frame_labels(Video("v", 8.2, ()), 2, 30)) == 246
    with pytest.raises(BadInput, match="duration of v is not known"):
        frame_labels(Video("v", None, ()), 2)


@pytest.mark.parametrize("reader, content, told", [
    (read_activitynet, {}, "has no video"),
    (read_activitynet, [], "it is not what it should be"),
    (read_activitynet, {"v": {**DANCE["v_1"], "timestamps": [[0, 4]]}},
     "2 sentences and 1 timestamps of the video v"),
    (read_activitynet, {"v": {**DANCE["v_1"], "timestamps": [[0, 4], [1]]}}, r"v.timestamps\[1\]"),
    (read_activitynet, {"v": {**DANCE["v_1"], "duration": 0}}, "a duration of 0 s"),
    (read_activitynet, {"v": {**DANCE["v_1"], "sentences": ["a", None]}}, r"v.sentences\[1\]"),
    (read_paragraphs, {"v": ["a"]}, "it.v is not what it should be"),
    (read_results, {"v": []}, "it.results is not"),
    (read_youcook2, DANCE, "it.database is not"),
    (read_multithumos, {"v": {"subset": "x", "duration": 3, "actions": [[66, 0.0, 1.0]]}},
     "the class 66 in the video v, and classes are 1 to 65"),
    (read_multithumos, {"v": {"subset": "x", "duration": 3, "actions": [["1", 0.0, 1.0]]}},
     r"actions\[0\]")])
def test_a_damaged_file_is_told_in_one_sentence(tmp_path, reader, content, told):
    write_json(tmp_path / "bad.json", content)
    with pytest.raises(BadInput, match=told) as refused:
        reader(tmp_path / "bad.json")
    assert "bad.json" in str(refused.value) and "get the annotations again" in str(refused.value)
    (tmp_path / "bad.json").write_text('{"v_1": {"dura')
    with pytest.raises(BadInput, match="is not JSON"):
        reader(tmp_path / "bad.json")


@pytest.mark.parametrize("line", ["video 1.0", "video 1.0 x", "video nan 2.0", "video 1 inf",
                                  "a video 1.0 2.0"])
def test_a_damaged_line_is_told_with_its_place(tmp_path, line):
    (tmp_path / "Run_val.txt").write_text(f"video_validation_1 0.0 1.0\n{line}\n")
    with pytest.raises(BadInput, match=f"Run_val.txt: line 2 is '{line}'"):
        read_thumos14(tmp_path, "val")


@pytest.mark.parametrize("text", ["", "1 Jump\n3 Run\n", "Jump\n", "1 Jump high\n"])
def test_a_list_of_classes_has_a_number_and_a_name_in_a_line(tmp_path, text):
    (tmp_path / "class_list.txt").write_text(text)
    with pytest.raises(BadInput, match="is no list of classes"):
        read_multithumos(tmp_path)


def test_a_class_without_its_file_is_told(tmp_path):
    (tmp_path / "class_list.txt").write_text("1 Jump\n")
    with pytest.raises(BadInput, match=r"Jump.txt is not there"):
        read_multithumos(tmp_path)


def test_real_captions_round_trip(shared_video, tmp_path, capsys):
    folder = shared_video / "activitynet-captions"
    counts = {"train": (10009, 37421), "val_2": (4885, 17031)}
    for name, expected in counts.items():
        videos = read_activitynet(folder / f"{name}.json")
        assert (len(videos), sum(len(one.spans) for one in videos)) == expected
    assert "of 37421 spans, 29 end after their video, 4 have no length" in capsys.readouterr().err
    write_activitynet(tmp_path / "again.json", videos)
    assert json.loads((tmp_path / "again.json").read_text(encoding="utf-8")) == json.loads(
        (folder / "val_2.json").read_text(encoding="utf-8"))
    cook = read_youcook2(shared_video / "youcook2" / "yc2_annotations_trainval.json")
    assert len(cook) == 1333 + 457 and sum(len(one.spans) for one in cook) == 13829
