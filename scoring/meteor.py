"""METEOR (Denkowski and Lavie 2014), by coco-caption's own program, which needs Java.

    sentences, references --meteor-1.5.jar--> score
"""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path


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
    if not shutil.which("java"):
        return "it needs Java"
    # the program escapes the address of its own folder twice, finds no data there and ends
    folder = Path(find_spec("pycocoevalcap").submodule_search_locations[0]).absolute()
    return ("its program cannot run from a folder with a space or an accent in its path"
            if "%" in folder.as_uri() else None)
