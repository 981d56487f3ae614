"""Say what a clip shows as plain data, which paragraphs and labels are made from and judged by.

    {"background": "beach", "frames": 18, "held_out": [],
     "things": [{"shape": "car", "colour": "red", "facing": "left", "screen": false}, ...],
     "events": [{"thing": 0, "action": "move", "direction": "left", "colours": [], "meets": [1],
                 "parts": [], "behind": null, "path": [0.5, 0.18], "first": 2, "last": 7}, ...],
     "moments": [{"frame": 0, "graph": the scene graph of a still picture}, ...]}

Things and what an event names of them are places in `things`; `colour` is the first one a thing
has. `path` is where its middle is before and after, in widths of the picture from the left. An
event begins after frame `first` and has ended at frame `last`. Events that begin together
last equally long; otherwise they follow one another. A moment lies before the first event, and one
after each of those that end together; its graph holds what is in view, `group` being the thing.
"""

from scenes.dataset import GRAPH
from scenes.graph import describe
from scenes.motion.events import pairs_of
from scenes.motion.frames import mover, toys
from scenes.scenery import SIDE

APART = 100                     # pixels: neighbours farther apart are not "next to" one another
TRUTH = {"background": str, "frames": int,
         "things": [{"shape": str, "colour": str, "facing": str, "screen": bool}],
         "events": [{"thing": int, "action": str, "direction": str | None, "colours": [str],
                     "meets": [int], "parts": [int], "behind": int | None,
                     "path": (float, float), "first": int, "last": int}],
         "moments": [{"frame": int, "graph": {key: GRAPH[key] for key in
                                              ("background", "objects", "relations")}}]}


def truth(clip):
    """Return what a clip shows, TRUTH and `held_out`; things never in view are left out."""
    movers = [i for i in range(len(clip.movers))
              if any(clip.seen(state, i) for state in clip.states)]
    number = {i: place for place, i in enumerate(movers)}
    things = [{"shape": clip.movers[i].shape, "colour": clip.states[0].colours[i],
               "facing": clip.movers[i].facing, "screen": False} for i in movers]
    if clip.screen:
        number[len(clip.movers)] = len(things)
        shape, colour = clip.screen
        things.append({"shape": shape, "colour": colour, "facing": "left", "screen": True})
    return {"background": clip.background, "frames": clip.frames,
            "held_out": sorted(pairs_of(clip)), "things": things,
            "events": [event_truth(clip, event, number) for step in clip.steps for event in step],
            "moments": list(moments(clip, number))}


def event_truth(clip, event, number):
    """Return an event as plain data; number: a thing's place in the truth by that in the clip."""
    first, last = event.frames
    hides = event.action in ("hide", "come out")
    return {"thing": number[event.thing], "action": event.action, "direction": event.direction,
            "colours": list(event.colours), "meets": [number[i] for i in event.meets],
            "parts": [number[i] for i in event.parts],
            "behind": max(number.values()) if hides else None, "first": first, "last": last,
            "path": [round(mover(clip, event.thing, at).middle / SIDE, 3) for at in event.frames]}


def moments(clip, number):
    """Yield the frame and the scene graph before the first events and after all others."""
    rests = [0, *(events[0].frames[1] for events in clip.steps)]
    for at, state in zip(rests, clip.states, strict=True):
        things = [thing for thing in toys(clip, at) if thing.group in number
                  and (thing.group == len(clip.movers) or clip.seen(state, thing.group))]
        for thing in things:
            thing.group = number[thing.group]
        graph = describe(things, clip.background)
        middles = [thing.middle for thing in things]
        graph["relations"] = [one for one in graph["relations"] if one["relation"] != "next to"
                              or abs(middles[one["subject"]] - middles[one["object"]]) < APART]
        yield {"frame": at, "graph": graph}
