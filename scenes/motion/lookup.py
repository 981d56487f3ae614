"""Guess whether a thing goes left or right without watching it: by place, facing and time alone.

    truths of train, truths of test --accuracies--> shares of right guesses, which should be chance

Each guess is the direction that is the more frequent in train where all three are the same. Were
one of these tables right more often than not, a model could seem to see motion in a single frame.
"""

from collections import Counter, defaultdict

PLACES, TIMES = 8, 4            # parts of the picture's width, and of the clip


def goings(truth):
    """Return the events of a truth in which a thing goes left or right."""
    return [event for event in truth["events"] if event["direction"]]


def look(truth, event, at):
    """Return place and facing of the thing of an event at a frame."""
    (start, end), first, last = event["path"], event["first"], event["last"]
    place = start + (end - start) * (at - first) / (last - first)
    return int(place * PLACES // 1), truth["things"][event["thing"]]["facing"]


def starts(truth):
    """Yield ((place, facing, time), direction) of all that goes, where it is seen before it does.
    """
    for event in goings(truth):
        if event["action"] not in ("enter", "come out"):
            time = event["first"] * TIMES // truth["frames"]
            yield (*look(truth, event, event["first"]), time), event["direction"]


def underway(truth):
    """Yield ((place, facing), direction) of all that goes in each frame, which shows no time."""
    for event in goings(truth):
        for at in range(event["first"] + 1, event["last"]):
            yield look(truth, event, at), event["direction"]


def accuracy(rows, train, test):
    """Return the share of directions in test that a table made from train guesses right."""
    table, both = defaultdict(Counter), Counter()
    for key, direction in (row for truth in train for row in rows(truth)):
        table[key][direction] += 1
        both[direction] += 1
    told = [(table.get(key, both).most_common(1)[0][0], direction)
            for truth in test for key, direction in rows(truth)]
    return sum(guess == direction for guess, direction in told) / max(1, len(told))


def accuracies(train, test):
    """Return how often the tables are right: of things about to go, and of things under way."""
    return {"about to go": accuracy(starts, train, test),
            "under way in a frame": accuracy(underway, train, test)}
