"""Compose a clip: which things it shows and what they do, by a walk that has no direction in time.

    cast -> walk -> steps of one or two events at once, with their frames -> Clip

Three stations lie in the picture, 0 to 2 from left to right, and one beyond either edge, -1 and 3.
A thing waits at a station that no other has, or goes to the next one. Some clips have a
screen at station 1, a big house or mug: whatever stands on the ground there is hidden behind it.

Each event has one that undoes it: to enter and to leave, to grow and to shrink, to go left and to
go right. A step takes any possible event, or two of different things at once, by weights that are
the same for an event and for what undoes it, and the first state is drawn by the sum of weights
there. Such a walk is as likely as the same walk backwards, at every step. So of a thing between
two places no frame tells which way it goes; and since stations beyond the edges are taken like
those within, it goes left as often as right from wherever it is.
"""

from dataclasses import dataclass, replace
from itertools import combinations

from scenes.dataset import HELD_OUT, SEEN
from scenes.drawing import PAINTERS, TILTING
from scenes.scenery import BACKDROPS
from scenes.world import IN_AIR, PAIRS

STATIONS, INSIDE, SCREEN = range(-1, 4), range(3), 1
ACTS = ("jump", "change colour", "grow", "shrink")      # without going anywhere
SCREENS = ("house", "mug")              # the shapes behind which all others can hide
# one act of each shape is left to the split `novel`
HELD_OUT_ACTS = {"ball": ("jump",), "balloon": ("change colour",), "butterfly": ("grow", "shrink"),
                 "car": ("jump",), "cat": ("change colour",), "house": ("grow", "shrink"),
                 "mug": ("jump",), "mushroom": ("change colour",), "star": ("grow", "shrink"),
                 "tree": ("jump",)}
GO, TWO = 2, 3                          # weights: to go against to act, two events against one
MOST = 170                              # at least the sum of weights of any state
EVENTS = 5                              # a clip, at most
STEPS = (2, 3, 3, 4)                    # a clip
LASTING, PAUSES = range(5, 9), (0, 0, 0, 0, 0, 1, 2)       # frames: of a step, between two
FRAMES = range(12, 25)                  # a clip


@dataclass(frozen=True)
class Mover:
    """A thing of a clip: its shape and looks, and the colours and acts it may have."""

    shape: str
    facing: str
    tilt: int
    colours: tuple
    acts: tuple

    @property
    def row(self):
        """Whether the thing hangs in the air or stands on the ground."""
        return "air" if self.shape in IN_AIR else "ground"


@dataclass(frozen=True)
class State:
    """What may change, each with a value for every mover: station, colour, whether it has grown."""

    stations: tuple
    colours: tuple
    grown: tuple


@dataclass(frozen=True)
class Event:
    """Something that a thing does; meets, parts: the things it comes to or goes away from."""

    thing: int
    action: str                 # of ACTS, or move, enter, leave, hide, come out
    direction: str | None = None
    colours: tuple = ()         # of a change: before and after
    meets: tuple = ()
    parts: tuple = ()
    frames: tuple = ()          # the last before it begins and the first after it has ended


@dataclass
class Clip:
    """A clip: movers and screen, the states at rest, and between two of them a step of events."""

    background: str
    movers: list
    screen: tuple | None        # shape and colour
    states: list
    steps: list                 # tuples of events, one fewer than states
    frames: int
    look: int                   # the seed of the backdrop

    def hidden(self, state, i):
        """Return whether mover `i` is behind the screen."""
        ground = self.movers[i].row == "ground"
        return bool(self.screen) and ground and state.stations[i] == SCREEN

    def seen(self, state, i):
        """Return whether mover `i` is in the picture and not hidden."""
        return state.stations[i] in INSIDE and not self.hidden(state, i)

    def neighbours(self, state, i):
        """Return the things in view beside mover `i`, in its row; none if it is not in view."""
        return tuple(j for j, other in enumerate(self.movers)
                     if self.seen(state, i) and self.seen(state, j)
                     and other.row == self.movers[i].row
                     and abs(state.stations[j] - state.stations[i]) == 1)


def with_value(state, name, i, value):
    """Return the state with another `name` of mover `i`."""
    values = list(getattr(state, name))
    values[i] = value
    return replace(state, **{name: tuple(values)})


def after(state, event):
    """Return the state after an event."""
    i = event.thing
    if event.direction:
        step = 1 if event.direction == "right" else -1
        return with_value(state, "stations", i, state.stations[i] + step)
    if event.colours:
        return with_value(state, "colours", i, event.colours[1])
    if event.action in ("grow", "shrink"):
        return with_value(state, "grown", i, event.action == "grow")
    return state


def goings(clip, state):
    """Return every way for a thing to go to a free station, as events without an action yet."""
    return [Event(i, "", direction) for i, start in enumerate(state.stations)
            for end, direction in ((start - 1, "left"), (start + 1, "right"))
            if end in STATIONS and end not in state.stations]


def acts(clip, state, i):
    """Return [(weight, event)] of what mover `i` can do where it is; each act weighs 1."""
    mover, own = clip.movers[i], state.colours[i]
    found = [(1, Event(i, "jump"))] if "jump" in mover.acts else []
    if "grow" in mover.acts and not clip.screen:        # something big could not hide
        found.append((1, Event(i, "shrink" if state.grown[i] else "grow")))
    if "change colour" in mover.acts:
        others = [colour for colour in mover.colours if colour != own]
        found += [(1 / len(others), Event(i, "change colour", colours=(own, colour)))
                  for colour in others]
    return found


def possible(clip, state):
    """Return [(weight, events)] of every step: an event, or two of which at most one goes."""
    everything = [acts(clip, state, i) for i in range(len(clip.movers))]
    acting = [pair for i, some in enumerate(everything) if clip.seen(state, i) for pair in some]
    found = [(weight, (act,)) for weight, act in acting]
    found += [(TWO * first * second, (one, other)) for (first, one), (second, other)
              in combinations(acting, 2) if one.thing != other.thing]
    for event in goings(clip, state):
        beside = [(weight, act) for weight, act in acting if act.thing != event.thing]
        # acts of things out of view become weight of going alone: all goings weigh the same
        unseen = sum(weight for i, some in enumerate(everything) for weight, _ in some
                     if i != event.thing and not clip.seen(state, i))
        found.append((GO * (1 + TWO * unseen), (event,)))
        found += [(GO * TWO * weight, (event, act)) for weight, act in beside]
    return found


def named(clip, state, event, frames):
    """Return an event with its frames and, if a thing goes, what that is called and whom it meets.
    """
    i, start, there = event.thing, state.stations[event.thing], after(state, event)
    if not event.direction:
        return replace(event, frames=frames)
    end = there.stations[i]
    action = ("enter" if start not in INSIDE else "leave" if end not in INSIDE
              else "hide" if clip.hidden(there, i)
              else "come out" if clip.hidden(state, i) else "move")
    return replace(event, action=action, frames=frames, meets=clip.neighbours(there, i),
                   parts=clip.neighbours(state, i))


def cast(rng, novel):
    """Draw a clip in which nothing has happened yet, and its first state."""
    pairs = PAIRS if novel else SEEN
    colours = {shape: tuple(colour for one, colour in pairs if one == shape) for shape in PAINTERS}
    screen = rng.choice(SCREENS) if rng.random() < 0.4 else None
    shapes = rng.sample([shape for shape in PAINTERS if shape != screen], rng.choice((2, 3, 3)))
    movers = [Mover(shape, rng.choice(("left", "right")),
                    rng.choice((-12, 0, 12)) if shape in TILTING else 0, colours[shape],
                    tuple(act for act in ACTS if novel or act not in HELD_OUT_ACTS[shape]))
              for shape in shapes]
    clip = Clip(rng.choice(sorted(BACKDROPS)), movers,
                screen and (screen, rng.choice(colours[screen])), [], [], 0,
                rng.getrandbits(32))
    while True:
        state = State(tuple(rng.sample(STATIONS, len(movers))),
                      tuple(rng.choice(mover.colours) for mover in movers),
                      tuple("grow" in mover.acts and not screen and rng.random() < 0.5
                            for mover in movers))
        if rng.random() * MOST < sum(weight for weight, _ in possible(clip, state)):
            return clip, state


def schedule(rng, number):
    """Draw the frames (last before, first after) of `number` steps, and the frames of a clip."""
    while True:
        spans, at = [], rng.choice(PAUSES)
        for _ in range(number):
            spans.append((at, at + rng.choice(LASTING)))
            at = spans[-1][1] + rng.choice(PAUSES)
        if at + 1 in FRAMES:
            return spans, at + 1


def walk(rng, novel):
    """Draw a clip."""
    clip, state = cast(rng, novel)
    spans, clip.frames = schedule(rng, rng.choice(STEPS))
    clip.states.append(state)
    spare = EVENTS - len(spans)         # beside one a step
    for span in spans:
        weights, ways = zip(*possible(clip, state), strict=True)
        events, = rng.choices(ways, weights)
        # what goes stays: to leave out an act changes nothing of who can go where
        events = events[:1 + min(spare, 1)]
        spare -= len(events) - 1
        clip.steps.append(tuple(named(clip, state, event, span) for event in events))
        for event in events:
            state = after(state, event)
        clip.states.append(state)
    return clip


def pairs_of(clip):
    """Return the held-out pairs, of shape and colour or of shape and act, that a clip shows."""
    shown = {(mover.shape, state.colours[i]) for state in clip.states
             for i, mover in enumerate(clip.movers) if clip.seen(state, i)}
    shown |= {clip.screen} if clip.screen else set()
    done = {(clip.movers[event.thing].shape, event.action)
            for events in clip.steps for event in events}
    return (shown & set(HELD_OUT)) | {(shape, act) for shape, act in done
                                      if act in HELD_OUT_ACTS[shape]}


def compose(rng, novel=False):
    """Draw a clip; novel: one with a pair that no other clip has."""
    while True:
        clip = walk(rng, novel)
        if not novel or pairs_of(clip):
            return clip
