"""Events of a flow: sign changes of functions (t, theta) -> float, located to rounding; SciPy's conventions.

Two attributes of the function are read. `terminal`: True, or the number of the occurrence that ends the run.
`direction`: positive for changes from negative to positive values only, negative for the others, 0 (default) for both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.optimize import brentq

from .errors import InputError
from .validation import Array

Event = Callable[[float, Array], float]


def event_list(events: Event | Sequence[Event] | None) -> list[Event]:
    """The events as a list, checked; `InputError` for what is none."""
    given = [] if events is None else [events] if callable(events) else events
    if not isinstance(given, (list, tuple)) or not all(callable(event) for event in given):
        raise InputError("events must be functions (t, theta) -> float, one or a sequence of them.")
    for event in given:
        terminal, direction = getattr(event, "terminal", False), getattr(event, "direction", 0.0)
        if not isinstance(terminal, (bool, int, np.bool_, np.integer)) or terminal < 0:
            raise InputError(f"terminal of an event must be True, False or a number of occurrences; got {terminal!r}.")
        if not isinstance(direction, (int, float, np.number)) or np.isnan(direction):
            raise InputError(f"direction of an event must be a number, of which the sign counts; got {direction!r}.")
    return list(given)


def crossings(event: Event, t: Array, point: Callable[[float], Array]) -> list[float]:
    """Times between the knots t (k,) at which the event's value changes its sign in the direction that it asks for."""

    def value(time: float) -> float:
        return _number(event(time, point(time)))

    roots, way = [], np.sign(getattr(event, "direction", 0.0))
    before = value(t[0])
    for start, end in pairwise(t):
        after = value(end)
        crossed = before * after < 0.0 or (after == 0.0 and before != 0.0)
        if crossed and way * (after - before) >= 0.0:
            roots.append(float(brentq(value, start, end, xtol=1e-14, rtol=1e-13) if after else end))
        before = after
    return roots


def end_of_run(event: Event, times: list[float], seen: int) -> float:
    """The time at which the event ends the run, after `seen` occurrences before `times`; infinite where it does not."""
    left = int(getattr(event, "terminal", False)) - seen
    return times[left - 1] if 0 < left <= len(times) else np.inf


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"An event must return one number; got {type(value).__name__} {value!r}.") from error
