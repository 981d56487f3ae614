"""An order drawn by hashes, which no version of Python, NumPy or torch changes."""

import hashlib


def in_drawn_order(items, seed, key):
    """Return `items` sorted by a hash of `seed` and `key(item)`.

    Which of two items comes first does not depend on the order or the number of the others, so the
    first items of a set are the same however many are chosen.
    """
    def draw(item):
        return hashlib.sha256(f"{seed} {key(item)}".encode()).digest()

    return sorted(items, key=draw)
