"""Zeros of a function of z, enclosed: one near each of many guesses, or all in an interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..validation import Array
from .arithmetic import Arithmetic
from .interval import Interval, Mask
from .quantities import Quantity

_FIRST = 4.0 * 2.0**-52
_GROWTH = 4.0
_TRIES = 24
_PARTS = 64
_ROUNDS = 40
_MOST_PARTS = 512


def solve_near(quantity: Quantity, target: Interval, guess: Array, arithmetic: Arithmetic) -> tuple[Interval, Mask]:
    """Where quantity(z) = target has exactly one solution near each guess, for every number in the target.

    An interval Newton step: N = c - (quantity(c) - target) / slope(Z) within Z proves it. Returns the enclosures and
    which of them are proved.

    >>> from derivations import UnitFunction
    >>> from .arithmetic import Float64Intervals
    >>> from .quantities import derivative
    >>> phi = derivative(UnitFunction("z**3 + z"), 0)
    >>> found, proved = solve_near(phi, Interval(np.array([2.0])), np.array([1.0001]), Float64Intervals())
    >>> bool(proved[0] and found.lo[0] <= 1.0 <= found.hi[0]), bool(found.hi[0] - found.lo[0] < 1e-15)
    (True, True)
    """
    guess = _polished(quantity, target, guess, arithmetic)
    centre = Interval(guess)
    excess = arithmetic.enclose(quantity.program, centre)["value"] - target
    lo, hi = np.array(guess), np.array(guess)
    proved = np.zeros(guess.shape, dtype=bool)
    # A first radius from the slope at the guess: the target's width and the rounding of the value, twice.
    slope = arithmetic.enclose(quantity.program, centre)["slope"]
    with np.errstate(all="ignore"):
        radius = np.nan_to_num(2.0 * excess.mag / slope.mig, nan=1.0, posinf=1.0) + _FIRST * np.abs(guess) + 1e-300
    for _ in range(_TRIES):
        wide = Interval(guess - radius, guess + radius)
        slopes = arithmetic.enclose(quantity.program, wide)["slope"]
        step = centre - excess / slopes
        inside = ~proved & (step.lo > wide.lo) & (step.hi < wide.hi) & (slopes.mig > 0.0)
        lo, hi = np.where(inside, step.lo, lo), np.where(inside, step.hi, hi)
        proved |= inside
        if proved.all():
            break
        radius = np.where(proved, radius, _GROWTH * radius)
    return Interval(lo, hi), proved


def _polished(quantity: Quantity, target: Interval, guess: Array, arithmetic: Arithmetic) -> Array:
    """A few Newton steps with the middles; what they do not improve stays."""
    best, middle = np.array(guess, dtype=float), target.mid
    for _ in range(3):
        found = arithmetic.enclose(quantity.program, Interval(best))
        with np.errstate(all="ignore"):
            moved = best - (found["value"].mid - middle) / found["slope"].mid
        again = arithmetic.enclose(quantity.program, Interval(np.where(np.isfinite(moved), moved, best)))
        better = np.abs(again["value"].mid - middle) < np.abs(found["value"].mid - middle)
        best = np.where(better & np.isfinite(moved), moved, best)
    return best


@dataclass(frozen=True, eq=False)
class Zeros:
    """Zeros of a function over [low, high]: `simple` enclosures of exactly one each, `undecided` parts may hold any.

    Everything else is proved to hold none; `identically` says that the function was only ever enclosed as [0, 0].
    """

    simple: Interval
    undecided: Interval
    identically: bool


def all_zeros(quantity: Quantity, low: float, high: float, arithmetic: Arithmetic) -> Zeros:
    """Every zero of a quantity in [low, high], by bisection: a part holds none, or one as its slope keeps its sign.

    >>> from derivations import UnitFunction
    >>> from .arithmetic import Float64Intervals
    >>> from .quantities import derivative
    >>> found = all_zeros(derivative(UnitFunction("tanh(z)"), 3), -5.0, 5.0, Float64Intervals())
    >>> found.simple.lo.size, found.undecided.lo.size
    (2, 0)
    """
    whole = arithmetic.enclose(quantity.program, Interval(np.array([low]), np.array([high])))["value"]
    parts, brackets = _first_parts(low, high), []
    if whole.lo[0] == 0.0 == whole.hi[0]:
        return Zeros(_none(), parts, identically=True)
    for _ in range(_ROUNDS):
        single, empty = _examined(quantity, parts, arithmetic)
        brackets.append(parts[single])
        parts = parts[~empty & ~single]
        if parts.lo.size == 0 or parts.lo.size > _MOST_PARTS:
            break
        parts = _cut(parts)
    # A zero on a common end of two parts is in neither of them for sure, but in their union.
    parts = _clusters(parts)
    single, empty = _examined(quantity, parts, arithmetic)
    simple = _narrowed(quantity, _joined([*brackets, parts[single]]), arithmetic)
    return Zeros(simple, parts[~empty & ~single], identically=False)


def _first_parts(low: float, high: float) -> Interval:
    """Parts of nearly equal length, so placed that a round number is no end."""
    inner = low + (high - low) * (np.arange(1, _PARTS) + 0.0371) / _PARTS
    cuts = np.concatenate([[low], np.clip(inner, low, high), [high]])
    return Interval(cuts[:-1], cuts[1:])


def _examined(quantity: Quantity, parts: Interval, arithmetic: Arithmetic) -> tuple[Mask, Mask]:
    """Which parts hold exactly one zero, and which none."""
    found = arithmetic.enclose(quantity.program, parts)
    left, right = (arithmetic.enclose(quantity.program, Interval(end))["value"] for end in (parts.lo, parts.hi))
    rising = (left.hi < 0.0) & (right.lo > 0.0)
    falling = (left.lo > 0.0) & (right.hi < 0.0)
    level = ((left.lo > 0.0) & (right.lo > 0.0)) | ((left.hi < 0.0) & (right.hi < 0.0))
    # An infinite slope may come from a place where the function is not defined.
    monotone = (found["slope"].mig > 0.0) & np.isfinite(found["value"].mag)
    return monotone & (rising | falling), (found["value"].mig > 0.0) | (monotone & level)


def _clusters(parts: Interval) -> Interval:
    """Parts that touch, joined."""
    order = np.argsort(parts.lo)
    lo, hi = parts.lo[order], np.maximum.accumulate(parts.hi[order]) if order.size else parts.hi
    first = np.concatenate([[True], lo[1:] > hi[:-1]]) if order.size else np.zeros(0, dtype=bool)
    return Interval(lo[first], hi[np.concatenate([first[1:], [True]])] if order.size else hi)


def _cut(parts: Interval) -> Interval:
    """Two pieces of each part, of nearly equal length."""
    middle = np.clip(parts.lo + 0.4921875 * (parts.hi - parts.lo), parts.lo, parts.hi)
    return Interval(np.concatenate([parts.lo, middle]), np.concatenate([middle, parts.hi]))


def _narrowed(quantity: Quantity, brackets: Interval, arithmetic: Arithmetic) -> Interval:
    """Interval Newton steps on brackets that hold exactly one zero and where the slope keeps its sign."""
    for _ in range(_ROUNDS):
        if brackets.lo.size == 0:
            break
        centre = Interval(brackets.mid)
        slope = arithmetic.enclose(quantity.program, brackets)["slope"]
        value = arithmetic.enclose(quantity.program, centre)["value"]
        narrower = brackets.intersect(centre - value / slope)
        if not ((narrower.hi - narrower.lo) < 0.75 * (brackets.hi - brackets.lo)).any():
            break
        brackets = narrower
    order = np.argsort(brackets.lo)
    return brackets[order]


def _joined(parts: list[Interval]) -> Interval:
    return Interval(np.concatenate([x.lo for x in parts]), np.concatenate([x.hi for x in parts]))


def _none() -> Interval:
    return Interval(np.empty(0), np.empty(0))
