"""Find the entry of a captions file that is of a picture, by the end of its path.

    photos/cats/1.jpg, {"cats/1.jpg", "dogs/1.jpg"} --matches--> "cats/1.jpg"
"""

import os
import unicodedata
from collections import defaultdict
from pathlib import PureWindowsPath


def matches(files, names):
    """Return {file: number of its name}, and the files for which that cannot be told.

    names: those of a captions file, with or without folders. Of the names that end as the path of a
    picture, the one with the most folders and file names in common is its own, of several rather
    one that is wholly in the path. Either slash, letter case and ways of writing an accent count as
    one, and decide if all else is equal. A name is of the picture that has most in common with it,
    of none if two have equally much.
    """
    known, best, claims = defaultdict(list), {}, defaultdict(list)
    for number, name in enumerate(names):
        for end in ends(name):
            known[end].append(number)
    for path in {os.path.abspath(file) for file in files}:
        end = next((end for end in ends(path) if end in known), ())
        ranked = [((len(end), ends(names[number])[0] == end, alike(path, names[number])), number)
                  for number in known.get(end, ())]
        best[path] = [one for one in ranked if one[0] == max(ranked)[0]]
        for rank, number in best[path]:
            claims[number].append(rank)
    mine, unclear = {}, []
    for file in files:
        won = [(rank, number) for rank, number in best[os.path.abspath(file)]
               if rank == max(claims[number])]
        if len(won) == len(best[os.path.abspath(file)]) == 1 and claims[won[0][1]].count(
                won[0][0]) == 1:
            mine[file] = won[0][1]
        elif won:
            unclear.append(file)
    return mine, unclear


def ends(path):
    """Return the ends of a path as they are compared, the longest first."""
    parts = [unicodedata.normalize("NFC", unicodedata.normalize("NFC", part).casefold())
             for part in PureWindowsPath(path).parts]
    return [tuple(parts[start:]) for start in range(len(parts))]


def alike(path, name):
    """Return how many folder and file names two paths have in common, letter by letter."""
    return sum(map(str.__eq__, PureWindowsPath(path).parts[::-1],
                   PureWindowsPath(name).parts[::-1]))
