"""Say where a JSON value is not what a reader of it expects.

    misfit(value, {"epoch": int, "best": float | None, "rows": [{"name": str}]}) -> "rows[2].name"

A shape is a type or a union of types; a dict of the keys that must be there (all but those that may
be None), or {str: shape} for any keys; [shape] for a list of any length, or (shape, shape) for one
of this length.
"""

from types import UnionType

LARGEST = 1e300             # a number beyond, infinity or NaN cannot be calculated with
WRITTEN = {float: (float, int)}         # 1.0 may be written 1; not isinstance: True is an int


def misfit(value, shape, place="it"):
    """Return the place in `value` that has not this shape, or None."""
    if isinstance(shape, UnionType):
        return None if any(misfit(value, one) is None for one in shape.__args__) else place
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return place
        if shape == {str: str} and {*map(type, value.values())} <= {str}:
            return None
        pairs = dict.fromkeys(value, shape[str]) if str in shape else shape
        return first((value.get(key), one, f"{place}.{key}") for key, one in pairs.items())
    if isinstance(shape, list | tuple):
        if not isinstance(value, list):
            return place
        # at once where it can be, since captions come by the hundred thousand
        if isinstance(shape, list) and shape[0] in (str, int) and {*map(type, value)} <= {*shape}:
            return None
        shapes = shape if isinstance(shape, tuple) else shape * len(value)
        return place if len(value) != len(shapes) else first(
            (one, kind, f"{place}[{number}]")
            for number, (one, kind) in enumerate(zip(value, shapes, strict=True)))
    fine = type(value) in WRITTEN.get(shape, (shape,)) and (
        shape not in (int, float) or abs(value) <= LARGEST)
    return None if fine else place


def first(parts):
    """Return the first misfit of (value, shape, place)s, or None."""
    return next((found for part in parts if (found := misfit(*part))), None)
