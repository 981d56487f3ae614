"""An order drawn by hashes, which no version of Python, NumPy or torch changes."""

import hashlib


def in_drawn_order(items, seed, key):
    """Return `items` sorted by a hash of `seed` and `key(item)`.

    Which of two items comes first depends on these two alone, not on the order or number of the
    others, so a longer choice begins as a shorter one does.
    """
    def draw(item):
        return hashlib.sha256(f"{seed} {key(item)}".encode()).digest()

    return sorted(items, key=draw)
