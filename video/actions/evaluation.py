"""Score a labeller by the frames of a split, and what it is compared with.

    labeller, split --evaluate--> report {"mAP": ..., "prevalence": ..., "by_class": ...}
    report --table--> lines of text

`prevalence` is what equal scores for all frames get, `oracle_without_timing` what one gets that
knows how often a class is in a clip but not when: see scoring/frames.py. `mAP_common` is by the
rules of the tool that others use. All depend on `grid_hz`.
"""

import math

from scoring.frames import frame_map, video_shares


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


def table(report):
    """Return a report as lines of text."""
    lines = [f"{key:24}{report[key]}" for key in ("split", "clips", "frames", "grid_hz")]
    lines += [f"{key:24}{100 * report[key]:.1f}" for key in
              ("mAP", "mAP_common", "prevalence", "oracle_without_timing")]
    lines += [f"  {name:22}{'no frame' if one is None else f'{100 * one:.1f}'}"
              for name, one in report["by_class"].items()]
    return "\n".join(lines)
