"""Is a dataset whole? Every picture, caption and id of a root looked at, and a verdict."""


def check(root):
    """Print a table of what `root` holds and what is wrong with it; return it as a dict.

    report["verdict"] is "good" or "bad": a command ends with exit status 1 for "bad".
    Raises `BadInput` if root is no dataset at all.
    """
    raise NotImplementedError
