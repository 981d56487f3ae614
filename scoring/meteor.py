"""METEOR (Denkowski and Lavie 2014), by coco-caption's own program, which needs Java.

    sentences, references --meteor-1.5.jar--> score
"""

import os
import shutil


def meteor(sentences, references):
    """Return METEOR 1.5 of the whole corpus, 0 to 1.

    sentences: one for each picture, tokens separated by spaces.  references: several for each.
    """
    from pycocoevalcap.meteor.meteor import Meteor  # needed for METEOR only

    truth, result = dict(enumerate(references)), {k: [one] for k, one in enumerate(sentences)}
    before = os.environ.get("JAVA_TOOL_OPTIONS")
    # pycocoevalcap reads the program's numbers, which must not have a decimal comma
    os.environ["JAVA_TOOL_OPTIONS"] = f"{before or ''} -Duser.language=en -Duser.country=US"
    try:
        return float(Meteor().compute_score(truth, result)[0])
    finally:
        os.environ.pop("JAVA_TOOL_OPTIONS")
        if before is not None:
            os.environ["JAVA_TOOL_OPTIONS"] = before


def lacks_java():
    """Return what METEOR lacks on this machine in a few words, or None."""
    return None if shutil.which("java") else "it needs Java"
