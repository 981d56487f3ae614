"""Score a labeller by the frames of a split, and what it is compared with.

    labeller, split --evaluate--> report {"mAP": ..., "prevalence": ..., "by_class": ...}
    report --table--> lines of text

`prevalence` is what equal scores for all frames get, `oracle_without_timing` what one gets that
knows how often a class is in a clip but not when: see scoring/frames.py. `mAP_common` is by the
rules of the tool that others use. All depend on `grid_hz`.
"""

import math

from scoring.frames import frame_map, video_shares
from system.files import BadInput
from video.actions.checkpoint import load_labeller
from video.actions.files import read_actions

KEYS = ("split", "clips", "frames", "grid_hz", "mAP", "mAP_common", "prevalence",
        "oracle_without_timing", "by_class")        # of every report

def scored(labeller, split):
    """Return the scores and the labels of each clip's frames, arrays (T, C)."""
    scores = labeller.scores(labeller.features(split.clips, split.name))
    labels = split.labels(labeller.hz)
    # a last frame that does not fit whole into a clip has no label
    return [some[:len(one)].numpy() for some, one in zip(scores, labels, strict=True)], labels


def report_of(scores, labels, split, hz):
    """Return the report on the scores of a split's frames; of a class without frames it has None.
    """
    found = frame_map(scores, labels, hz)
    return {"split": split.name, "clips": len(labels), "frames": found.frames, "grid_hz": hz,
            "mAP": found.mean, "mAP_common": frame_map(scores, labels, hz, common=True).mean,
            "prevalence": found.prevalence,
            "oracle_without_timing": frame_map(video_shares(labels), labels, hz).mean,
            "by_class": {name: None if math.isnan(one) else one for name, one in
                         zip(split.classes, found.each.tolist(), strict=True)}}


def evaluate(labeller, split):
    """Return the report on the labels of a split."""
    return report_of(*scored(labeller, split), split, labeller.hz)


def evaluate_split(options):
    """Do what evaluate.py asks for: (report, None, function of (report, what to say))."""
    if len(options.checkpoints) > 1 or options.results:
        raise BadInput("an action labeller is evaluated by itself and writes no captions: give "
                       "one checkpoint and no --results")
    labeller = load_labeller(options.checkpoints[0], options.device)
    report = evaluate(labeller, read_actions(options.data, options.split).first(options.limit))
    return report, None, lambda: (report, [])


def table(report):
    """Return a report as lines of text."""
    lines = [f"{key:24}{report[key]}" for key in ("split", "clips", "frames", "grid_hz")]
    lines += [f"{key:24}{100 * report[key]:.1f}" for key in
              ("mAP", "mAP_common", "prevalence", "oracle_without_timing")]
    lines += [f"  {name:22}{'no frame' if one is None else f'{100 * one:.1f}'}"
              for name, one in report["by_class"].items()]
    return "\n".join(lines)
