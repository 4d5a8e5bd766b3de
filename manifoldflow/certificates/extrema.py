"""The minimum of a function over an interval, enclosed by branch and bound.

A part of the interval is bounded from below three ways, of which the best counts: by the plain enclosure; by the mean
value form f(c) + f'(part)(part - c), whose error falls with the square of the width; and by the end points where the
slope keeps its sign. What is larger than a value that is attained is dropped, the rest is divided again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..codegen.program import Instruction, Program
from ..validation import Array
from .arithmetic import Arithmetic
from .interval import INF, Interval, stack
from .quantities import Quantity
from .record import Enclosure, above, below

RELATIVE = 1e-13  # width of a minimum that is not refined further
_PARTS = 16
_MOST_PARTS = 1024
_PIECES = 8
_ROUNDS = 24
Stop = Callable[[float, float], bool]


@dataclass(frozen=True)
class Minimum:
    """The enclosure of a minimum, and where what could not be told from it lies.

    `value` has low = -inf where no bound was found; `place` is the part with the smallest lower bound; `attained_at` a
    point where the function is at most value.high.
    """

    quantity: str
    value: Enclosure
    place: tuple[float, float]
    attained_at: float

    def why_not_positive(self) -> str:
        """Why no positive lower bound is proved, with the part of the interval that is at fault."""
        low, high = self.place
        if self.value.high <= 0.0:
            return f"{self.quantity} <= {above(self.value.high, 7)} at z = {self.attained_at!r}"
        if self.value.low == -INF:
            return f"{self.quantity} has no bound on [{low!r}, {high!r}]: it is not defined there, or too large"
        return f"{self.quantity} is only known to be >= {below(self.value.low, 7)} on [{low!r}, {high!r}]"


def minimum(
    quantity: Quantity, low: float, high: float, arithmetic: Arithmetic, *, stop: Stop | None = None
) -> Minimum:
    """Enclose the minimum of a quantity over [low, high]; `stop(lower, upper)` ends the search early.

    >>> from derivations import UnitFunction
    >>> from .arithmetic import Float64Intervals
    >>> from .quantities import derivative
    >>> found = minimum(derivative(UnitFunction("z**3 + z"), 1), -2.0, 3.0, Float64Intervals())
    >>> found.value.contains(1.0), found.value.width < 1e-12
    (True, True)
    """
    parts = _first_parts(low, high)
    best, best_at = INF, low
    settled, settled_at = INF, (low, high)  # the smallest bound of the parts that need not be divided again
    for _ in range(_ROUNDS):
        lower, points, values = _bounds(quantity, parts, arithmetic)
        k = int(np.argmin(values))
        if values[k] < best:
            best, best_at = float(values[k]), float(points[k])
        done = best - lower <= RELATIVE * abs(best)
        if done.any() and lower[done].min() < settled:
            settled, settled_at = _least(parts[done], lower[done])
        parts, lower = parts[~done], lower[~done]
        least, place = min(_least(parts, lower), (settled, settled_at), key=lambda bound: bound[0])
        split = _divided(parts)
        if split is None or (stop is not None and stop(least, best)):
            break
        parts = split
    # A part that was settled before a smaller value was found may have a bound above it.
    return Minimum(quantity.name, Enclosure(min(least, best), best), place, best_at)


def _least(parts: Interval, lower: Array) -> tuple[float, tuple[float, float]]:
    """The smallest bound, and the part that it belongs to."""
    if lower.size == 0:
        return INF, (INF, INF)
    k = int(np.argmin(lower))
    return float(lower[k]), (float(parts.lo[k]), float(parts.hi[k]))


def maximum_size(quantity: Quantity, low: float, high: float, arithmetic: Arithmetic) -> Minimum:
    """Enclose -max |quantity| over [low, high]: the minimum of -|quantity|, from both signs."""
    found = [minimum(signed, low, high, arithmetic) for signed in (quantity, negative(quantity))]
    value = Enclosure(*(min(getattr(x.value, end) for x in found) for end in ("low", "high")))
    worst = min(found, key=lambda x: x.value.low)
    return Minimum(f"|{quantity.name}|", value, worst.place, worst.attained_at)


def negative(quantity: Quantity) -> Quantity:
    """The quantity with the other sign."""
    program = quantity.program
    size = len(program.instructions)
    flipped = tuple(Instruction("neg", (k,)) for _, k in program.outputs)
    outputs = tuple((name, size + at) for at, (name, _) in enumerate(program.outputs))
    return Quantity(f"-({quantity.name})", Program(program.instructions + flipped, outputs))


def _bounds(quantity: Quantity, parts: Interval, arithmetic: Arithmetic) -> tuple[Array, Array, Array]:
    """Lower bounds over the parts, and points with values that are attained at most there."""
    middle = Interval(parts.mid)
    left, right = Interval(parts.lo), Interval(parts.hi)
    found = arithmetic.enclose(quantity.program, stack([parts, left, middle, right]))
    value, slope = found["value"], found["slope"][0]
    mean_value = value[2] + slope * (parts - middle)
    ends = np.where(slope.lo >= 0.0, value.lo[1], np.where(slope.hi <= 0.0, value.lo[3], -INF))
    # The slope's program may be defined where the value is not, so the plain enclosure must have succeeded too.
    lower = np.where(np.isfinite(value.lo[0]), np.maximum(np.maximum(value.lo[0], mean_value.lo), ends), -INF)
    return lower, np.concatenate([left.lo, middle.lo, right.lo]), value.hi[1:].ravel()


def _first_parts(low: float, high: float) -> Interval:
    """Equal parts, with an end at nought, where much that is nearly nought is exactly so."""
    cuts = np.clip(np.linspace(low, high, _PARTS + 1), low, high)
    cuts[-1] = high
    if low < 0.0 < high:
        cuts = np.unique(np.append(cuts, 0.0))
    return Interval(cuts[:-1], cuts[1:])


def _divided(parts: Interval) -> Interval | None:
    """Each part in pieces that share their ends; None where there are too many, or none can be divided."""
    if parts.lo.size > _MOST_PARTS or not (np.nextafter(parts.lo, INF) < parts.hi).any():
        return None
    cuts = np.linspace(parts.lo, parts.hi, _PIECES + 1)
    cuts = np.maximum.accumulate(np.clip(cuts, parts.lo, parts.hi))
    cuts[0], cuts[-1] = parts.lo, parts.hi
    return Interval(cuts[:-1].ravel(), cuts[1:].ravel())
