"""Read sentences in time: ActivityNet Captions, its results, which are written too, and YouCook2.

    {"v_QOlSCBRmfWY": {"duration": 82.73, "timestamps": [[0.83, 19.86]],
                       "sentences": ["A young woman is seen"]}}             read_activitynet
    {"v_QOlSCBRmfWY": "A young woman is seen standing. She dances."}        read_paragraphs
    {"version": "VERSION 1.0", "external_data": {...},
     "results": {"v_QOlSCBRmfWY": [{"sentence": "A woman dances",
                                    "timestamp": [1.2, 4.5]}]}}             read_results
    {"database": {"GLd3aX16zBg": {"duration": 241.62, "subset": "training",
        "annotations": [{"segment": [90, 102], "id": 0, "sentence": "spread margarine"}]}}}
                                                                            read_youcook2

Krishna et al. 2017 (arXiv:1705.00754); Zhou et al. 2018 (arXiv:1703.09788). val_1 and val_2 are the
same videos by two annotators; people who score paragraphs divide val_1's in two halves.
"""

from system.files import BadInput, read_json, writable, write_json
from system.records import collector_paused
from video.spans import Segment, Video, tell_faults

REMEDY = "get the annotations again, or give another file"
TIMES = (float, float)
ACTIVITYNET = {str: {"duration": float, "timestamps": [TIMES], "sentences": [str]}}
RESULTS = {"results": {str: [{"sentence": str, "timestamp": TIMES}]}}
YOUCOOK2 = {"database": {str: {"duration": float, "subset": str, "annotations": [
    {"segment": TIMES, "sentence": str}]}}}


@collector_paused()
def read_activitynet(path):
    """Return the videos of a file of ActivityNet Captions, a list in its order.

    Raises `BadInput` for a file that is damaged, of another kind or without a video.
    """
    videos = []
    for name, one in read_json(path, REMEDY, ACTIVITYNET).items():
        if len(one["timestamps"]) != len(one["sentences"]):
            raise BadInput(f"{path} has {len(one['sentences'])} sentences and "
                           f"{len(one['timestamps'])} timestamps of the video {name[:80]}: "
                           f"{REMEDY}")
        videos.append(Video(name, one["duration"], tuple(
            Segment(start, end, writable(sentence)) for (start, end), sentence in
            zip(one["timestamps"], one["sentences"], strict=True))))
    return sound(path, videos)


@collector_paused()
def read_youcook2(path, subset=None):
    """Return the videos of YouCook2's file, of the subset training or validation or of both."""
    database = read_json(path, REMEDY, YOUCOOK2)["database"]
    subsets = sorted({one["subset"] for one in database.values()})
    if subset is not None and subset not in subsets:
        raise BadInput(f"{path} has no subset '{subset}': it has {', '.join(subsets) or 'none'}")
    return sound(path, [Video(name, one["duration"], tuple(
        Segment(*each["segment"], writable(each["sentence"])) for each in one["annotations"]),
        one["subset"]) for name, one in database.items() if subset in (None, one["subset"])])


def sound(path, videos):
    """Return videos and tell of their faults; raise `BadInput` if they cannot be used."""
    if not videos:
        raise BadInput(f"{path} has no video: {REMEDY}")
    for video in videos:
        if video.duration is not None and video.duration <= 0:
            raise BadInput(f"{path} gives the video {video.name[:80]} a duration of "
                           f"{video.duration} s: {REMEDY}")
    tell_faults(path, videos)
    return videos


def read_paragraphs(path):
    """Return {video: paragraph} of a file of reference paragraphs; raise `BadInput` if damaged."""
    return {name: writable(text) for name, text in read_json(path, REMEDY, {str: str}).items()}


def read_results(path):
    """Return {video: segments} of a file of results; raise `BadInput` if it is damaged."""
    return {name: tuple(Segment(*one["timestamp"], writable(one["sentence"])) for one in found)
            for name, found in read_json(path, REMEDY, RESULTS)["results"].items()}


def write_results(path, segments, external=""):
    """Write {video: segments} as the challenge takes it, whole or not at all.

    external: what the model saw beside the task's own data, in words.
    """
    write_json(path, {"version": "VERSION 1.0", "results": {
        name: [{"sentence": one.sentence, "timestamp": [one.start, one.end]} for one in found]
        for name, found in segments.items()},
        "external_data": {"used": bool(external), "details": external}})
