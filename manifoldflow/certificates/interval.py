"""Interval arithmetic in float64 with outward rounding, on whole arrays.

It rests on one assumption about the machine: + - * / and sqrt are rounded to the nearest float64, ties to even, with
gradual underflow (IEEE 754), so that the exact result lies between the neighbours of the computed one.
`check_machine` tests it. Infinite end points mean that nothing is known on that side; where an operation is not
defined on all of an interval, the result is the whole line.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import CertificateError
from ..validation import Array

INF = np.inf
Mask = NDArray[np.bool_]
LARGEST = float(np.finfo(float).max)
SMALLEST = 5e-324
_SAFE = 1e300  # below it no intermediate of an error-free sum overflows


def check_machine() -> None:
    """Raise `CertificateError` where the rounding is not to nearest or small numbers are flushed to nought.

    A library compiled with -ffast-math can switch gradual underflow off in the thread that loads it.
    """
    one, half_gap, small = np.array([1.0]), np.array([2.0**-53]), np.array([2.0**-1022])
    nearest = one + half_gap == one and one + 1.5 * half_gap > one and -one - 1.5 * half_gap < -one
    if not (nearest and small * 0.5 > 0.0 and (small * 0.5) * 2.0 == small):
        raise CertificateError(
            "Rigorous arithmetic needs rounding to nearest and gradual underflow; this thread has another mode, which "
            "a library compiled with -ffast-math can set. Run the certificate in a process that does not load it."
        )


def down(x: Array | float) -> Array:
    """The next smaller float64, entrywise; past the largest comes infinity, which is no reason for a warning."""
    with np.errstate(over="ignore"):
        return np.asarray(np.nextafter(x, -INF))


def up(x: Array | float) -> Array:
    """The next larger float64, entrywise; past the largest comes infinity, which is no reason for a warning."""
    with np.errstate(over="ignore"):
        return np.asarray(np.nextafter(x, INF))


class Interval:
    """Closed intervals [lo, hi], entrywise; immutable by convention.

    >>> third = Interval(1.0) / Interval(3.0)
    >>> Fraction(float(third.lo)) < Fraction(1, 3) < Fraction(float(third.hi))
    True
    """

    __slots__ = ("hi", "lo")
    __array_ufunc__ = None  # array * interval asks the interval

    def __init__(self, lo: ArrayLike, hi: ArrayLike | None = None) -> None:
        self.lo: Array = np.asarray(lo, dtype=np.float64)
        self.hi: Array = self.lo if hi is None else np.asarray(hi, dtype=np.float64)

    def __repr__(self) -> str:
        return f"Interval({self.lo!r}, {self.hi!r})"

    def __getitem__(self, key: Any) -> Interval:
        return Interval(self.lo[key], self.hi[key])

    def reshape(self, *shape: int) -> Interval:
        """The same intervals in another shape."""
        return Interval(self.lo.reshape(*shape), self.hi.reshape(*shape))

    @property
    def mid(self) -> Array:
        """A number inside: the middle where it is finite."""
        with np.errstate(all="ignore"):
            middle = 0.5 * self.lo + 0.5 * self.hi
        finite = np.where(np.isfinite(self.lo), self.lo, np.where(np.isfinite(self.hi), self.hi, 0.0))
        return np.clip(np.where(np.isfinite(middle), middle, finite), self.lo, self.hi)

    @property
    def radius(self) -> Array:
        """At least the distance from `mid` to either end."""
        middle = self.mid
        with np.errstate(all="ignore"):
            return up(np.maximum(up(self.hi - middle), up(middle - self.lo)))

    @property
    def mag(self) -> Array:
        """The largest absolute value."""
        return np.maximum(np.abs(self.lo), np.abs(self.hi))

    @property
    def mig(self) -> Array:
        """The smallest absolute value."""
        return np.maximum(np.maximum(self.lo, -self.hi), 0.0)

    def __neg__(self) -> Interval:
        return Interval(-self.hi, -self.lo)

    def __add__(self, other: Interval | ArrayLike) -> Interval:
        other = interval(other)
        return Interval(_sum(self.lo, other.lo, upwards=False), _sum(self.hi, other.hi, upwards=True))

    def __sub__(self, other: Interval | ArrayLike) -> Interval:
        return self + (-interval(other))

    def __mul__(self, other: Interval | ArrayLike) -> Interval:
        return _corners(np.multiply, self, interval(other))

    def __truediv__(self, other: Interval | ArrayLike) -> Interval:
        divisor = interval(other)
        pole = (divisor.lo <= 0.0) & (divisor.hi >= 0.0)
        safe = Interval(np.where(pole, 1.0, divisor.lo), np.where(pole, 1.0, divisor.hi)) if pole.any() else divisor
        quotient = _corners(np.divide, self, safe)
        return where(pole, WHOLE, quotient) if pole.any() else quotient

    def __radd__(self, other: ArrayLike) -> Interval:
        return self + other

    def __rsub__(self, other: ArrayLike) -> Interval:
        return interval(other) - self

    def __rmul__(self, other: ArrayLike) -> Interval:
        return self * other

    def __rtruediv__(self, other: ArrayLike) -> Interval:
        return interval(other) / self

    def power(self, exponent: int) -> Interval:
        """The power with a whole exponent >= 1, each number with itself: (x)^2 is not x times another x."""
        if exponent % 2 == 0:
            return Interval(_power(self.mig, exponent, upwards=False), _power(self.mag, exponent, upwards=True))
        lo, hi = np.abs(self.lo), np.abs(self.hi)
        return Interval(
            np.where(self.lo >= 0.0, _power(lo, exponent, upwards=False), -_power(lo, exponent, upwards=True)),
            np.where(self.hi >= 0.0, _power(hi, exponent, upwards=True), -_power(hi, exponent, upwards=False)),
        )

    def sqrt(self) -> Interval:
        """The square root; the whole line where the interval has negative numbers."""
        with np.errstate(all="ignore"):
            root = Interval(np.maximum(down(np.sqrt(self.lo)), 0.0), up(np.sqrt(self.hi)))
        root = Interval(root.lo, np.where(self.hi == 0.0, 0.0, root.hi))
        return where(~(self.lo >= 0.0), WHOLE, root)

    def intersect(self, other: Interval) -> Interval:
        """What is in both; for enclosures of the same numbers, which is never empty."""
        return Interval(np.maximum(self.lo, other.lo), np.minimum(self.hi, other.hi))

    def hull(self, other: Interval) -> Interval:
        """The smallest interval that contains both."""
        return Interval(np.minimum(self.lo, other.lo), np.maximum(self.hi, other.hi))

    def widened(self, radius: ArrayLike) -> Interval:
        """Everything within the radius of the interval."""
        return self + Interval(-np.asarray(radius, dtype=float), radius)

    def sum(self, axis: int | None = None) -> Interval:
        """The sum along an axis, or of everything: halves are added until one row is left."""
        ends = [end.ravel() if axis is None else np.moveaxis(end, axis, 0) for end in (self.lo, self.hi)]
        total = Interval(*ends)
        while len(total.lo) > 1:
            half = (len(total.lo) + 1) // 2
            pairs = len(total.lo) - half
            added, rest = total[:pairs] + total[half:], total[pairs:half]
            total = Interval(np.concatenate([added.lo, rest.lo]), np.concatenate([added.hi, rest.hi]))
        return total[0] if len(total.lo) else Interval(np.zeros(total.lo.shape[1:]))


WHOLE = Interval(-INF, INF)


def interval(value: Interval | ArrayLike) -> Interval:
    """`value` itself, or the thin intervals of these numbers."""
    return value if isinstance(value, Interval) else Interval(value)


@cache
def exactly(number: Fraction) -> Interval:
    """The tightest interval around a rational number.

    >>> tenth = exactly(Fraction(1, 10))
    >>> bool(Fraction(float(tenth.lo)) < Fraction(1, 10) < Fraction(float(tenth.hi)))
    True
    """
    try:
        near = number.numerator / number.denominator
    except OverflowError:
        return Interval(LARGEST, INF) if number > 0 else Interval(-INF, -LARGEST)
    below, above = Fraction(near) <= number, Fraction(near) >= number
    return Interval(near if below else down(near), near if above else up(near))


def where(condition: Any, yes: Interval, no: Interval) -> Interval:
    """Entrywise choice."""
    return Interval(np.where(condition, yes.lo, no.lo), np.where(condition, yes.hi, no.hi))


def stack(intervals: list[Interval]) -> Interval:
    """Intervals of equal shape along a new first axis."""
    return Interval(np.stack([x.lo for x in intervals]), np.stack([x.hi for x in intervals]))


def _sum(x: Array, y: Array, *, upwards: bool) -> Array:
    """x + y rounded in one direction: the rounding error of a sum is a float64 (Knuth), so its sign decides."""
    with np.errstate(all="ignore"):
        total = x + y
        part = total - x
        error = (x - (total - part)) + (y - part)
    # NaN where something is infinite; then, and near overflow, the neighbour is taken without looking.
    safe = np.abs(total) < _SAFE
    if upwards:
        return np.where(safe & (error <= 0.0), total, up(total))
    return np.where(safe & (error >= 0.0), total, down(total))


def _corners(operation: Callable[[Array, Array], Array], x: Interval, y: Interval) -> Interval:
    """Product or quotient: extreme at the corners. Nought times an infinite end is nought: that end is only a bound."""
    pairs = [(x.lo, y.lo), (x.lo, y.hi), (x.hi, y.lo), (x.hi, y.hi)]
    with np.errstate(all="ignore"):
        found = [operation(a, b) for a, b in pairs]
        if not all(np.isfinite(value).all() for value in found):
            known = [~np.isnan(abs(a) + abs(b)) for a, b in pairs]  # of what comes in as NaN nothing is known
            found = [np.where(np.isnan(value) & sure, 0.0, value) for value, sure in zip(found, known, strict=True)]
        least = np.minimum(np.minimum(found[0], found[1]), np.minimum(found[2], found[3]))
        most = np.maximum(np.maximum(found[0], found[1]), np.maximum(found[2], found[3]))
    lo, hi = down(least), up(most)
    if (least == 0.0).any() or (most == 0.0).any():
        lo, hi = _exact_noughts(operation, pairs, found, lo, hi)
    return Interval(lo, hi)


def _exact_noughts(
    operation: Callable[[Array, Array], Array],
    pairs: list[tuple[Array, Array]],
    found: list[Array],
    lo: Array,
    hi: Array,
) -> tuple[Array, Array]:
    """A corner that is nought because a factor is, and not by underflow, needs no widening."""
    exact = [(a == 0.0) | ((b == 0.0) if operation is np.multiply else np.isinf(b)) for a, b in pairs]
    lows = [np.where(nought, 0.0, down(value)) for nought, value in zip(exact, found, strict=True)]
    highs = [np.where(nought, 0.0, up(value)) for nought, value in zip(exact, found, strict=True)]
    return np.maximum(lo, np.minimum.reduce(lows)), np.minimum(hi, np.maximum.reduce(highs))


def _power(x: Array, exponent: int, *, upwards: bool) -> Array:
    """A power of numbers >= 0 rounded in one direction, by repeated squaring."""
    if exponent == 1:
        return x
    with np.errstate(all="ignore"):
        half = _power(x, exponent // 2, upwards=upwards)
        value = _rounded(half * half, upwards)
        if exponent % 2:
            value = _rounded(value * x, upwards)
    return np.where((x == 0.0) | (x == 1.0), x, value)


def _rounded(x: Array, upwards: bool) -> Array:
    """Outward, but not below nought; inf times nought does not occur, for a base that is 0 is put back."""
    return up(x) if upwards else np.maximum(down(np.nan_to_num(x, nan=0.0, posinf=INF)), 0.0)
