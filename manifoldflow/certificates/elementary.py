"""Elementary functions of intervals, each from a Taylor series whose remainder is bounded, in interval arithmetic.

NumPy's and the C library's functions are not correctly rounded and differ between machines, so none is called. A
function is evaluated at the end points of an interval, and monotonicity does the rest: sums, products, square roots and
the remainder's interval are rounded outward, so nothing has to be known about rounding errors here.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache, wraps
from math import factorial

import numpy as np

from ..compiled.directed import horner
from ..validation import Array
from .interval import INF, LARGEST, SMALLEST, WHOLE, Interval, down, exactly, stack, up, where

PointFunction = Callable[[Array], Interval]  # an enclosure of the value at each number
IntervalFunction = Callable[[Interval], Interval]

# Decimals of the constants, more than two float64 hold; a test compares them with mpmath.
_PI = Fraction("3.14159265358979323846264338327950288419716939937510582097494459")
_LN2 = Fraction("0.69314718055994530941723212145817656807550013436025525412068001")
_E = Fraction("2.71828182845904523536028747135266249775724709369995957496696763")
_DECIMALS = Fraction(1, 10**60)
_COARSE_PERIODS = 2.0**20  # beyond it the first parts of pi/2 times the number of quarter turns are not exact


def _constant(value: Fraction, rest: tuple[float, ...] = ()) -> Interval:
    """A constant known to 1e-60, less some float64."""
    value -= sum(map(Fraction, rest), Fraction(0))
    return Interval(exactly(value - _DECIMALS).lo, exactly(value + _DECIMALS).hi)


def _head(value: Fraction, bits: int) -> float:
    """The first bits of a number between 1/2 and 2, few enough that a product with a whole number is exact."""
    return float(Fraction(round(value * 2**bits), 2**bits))


PI, E, LN2 = _constant(_PI), _constant(_E), _constant(_LN2)
_LN2_HEAD = _head(_LN2, 32)
_LN2_TAIL = _constant(_LN2, (_LN2_HEAD,))
_QUARTER_HEAD = _head(_PI / 2, 31)
_QUARTER_NEXT = float(Fraction(round((_PI / 2 - Fraction(_QUARTER_HEAD)) * 2**62), 2**62))
_QUARTER_TAIL = _constant(_PI / 2, (_QUARTER_HEAD, _QUARTER_NEXT))
_HALF = Interval(0.5)


def _increasing(function: PointFunction) -> IntervalFunction:
    """From end points to intervals."""

    @wraps(function)
    def on_interval(x: Interval) -> Interval:
        if x.lo is x.hi:
            return function(x.lo)
        ends = function(np.stack([x.lo, x.hi]))
        return Interval(ends.lo[0], ends.hi[1])

    return on_interval


def _odd(function: PointFunction) -> PointFunction:
    """From numbers >= 0 to all."""

    @wraps(function)
    def at(x: Array) -> Interval:
        positive = function(np.abs(x))
        return where(x >= 0.0, positive, -positive)

    return at


def _series(coefficients: Interval, t: Interval) -> Interval:
    """Horner's scheme, the last coefficient first."""
    lo, hi = t.lo.flatten(), t.hi.flatten()
    horner(coefficients.lo, coefficients.hi, lo, hi)
    return Interval(lo.reshape(t.lo.shape), hi.reshape(t.hi.shape))


def _with_remainder(terms: list[Fraction], remainder: tuple[Fraction, Fraction]) -> Interval:
    """Coefficients of a series, then the interval that stands for all that follow."""
    return stack([*map(exactly, terms), Interval(exactly(remainder[0]).lo, exactly(remainder[1]).hi)])


# --- exp and what is made of it -------------------------------------------------------------------


@cache
def _exp_series() -> Interval:
    """|r| < 0.36: the Lagrange form of the remainder has exp(xi) between 0.69 and 1.44."""
    remainder = Fraction(2, 3 * factorial(14)), Fraction(3, 2 * factorial(14))
    return _with_remainder([Fraction(1, factorial(k)) for k in range(14)], remainder)


def _exp_at(x: Array) -> Interval:
    """2^k exp(r) with r = x - k ln 2."""
    inside = np.clip(x, -746.0, 710.0)
    k = np.rint(inside / _LN2_HEAD)
    r = Interval(inside) - Interval(k * _LN2_HEAD) - Interval(k) * _LN2_TAIL
    value = _series(_exp_series(), r)
    with np.errstate(all="ignore"):
        lo, hi = (np.ldexp(end, k.astype(np.int64)) for end in (value.lo, value.hi))
    # Scaling rounds only where the result is subnormal or overflows.
    lo = np.where(lo < 1e-300, np.maximum(down(lo), 0.0), np.minimum(lo, LARGEST))
    hi = np.where(hi < 1e-300, up(hi), hi)
    lo = np.where(x <= -746.0, 0.0, np.where(x >= 710.0, LARGEST, lo))
    hi = np.where(x <= -746.0, SMALLEST, np.where(x >= 710.0, INF, hi))
    return Interval(np.where(x == 0.0, 1.0, lo), np.where(x == 0.0, 1.0, hi))


@cache
def _sinh_series() -> Interval:
    """sinh(x)/x in x^2 for |x| <= 1; the remainder has cosh(xi) between 1 and 1.55."""
    last = Fraction(1, factorial(19))
    return _with_remainder([Fraction(1, factorial(2 * k + 1)) for k in range(9)], (last, last * Fraction(31, 20)))


def _sinh_at(x: Array) -> Interval:
    """For x >= 0: the series up to 1, (e^x - e^-x)/2 beyond."""
    small = Interval(np.minimum(x, 1.0))
    near = small * _series(_sinh_series(), small.power(2))
    return where(x <= 1.0, near, (_exp_at(x) - _exp_at(-x)) * _HALF)


def _cosh_at(x: Array) -> Interval:
    value = (_exp_at(x) + _exp_at(-x)) * _HALF
    return Interval(np.maximum(value.lo, 1.0), value.hi)


def _tanh_at(x: Array) -> Interval:
    """For x >= 0: sinh/cosh up to 1, 1 - 2/(e^2x + 1) beyond."""
    small = np.minimum(x, 1.0)
    near = _sinh_at(small) / _cosh_at(small)
    with np.errstate(over="ignore"):
        far = 1.0 - 2.0 / (_exp_at(2.0 * x) + 1.0)
    return _clipped(where(x <= 1.0, near, far), 0.0, 1.0)


def _sech_at(x: Array) -> Interval:
    """For x >= 0, falling: 2t/(1 + t^2) with t = e^-x."""
    t = _exp_at(-x)
    return _clipped(2.0 * t / (1.0 + t.power(2)), 0.0, 1.0)


def _sigmoid_at(x: Array) -> Interval:
    t = _exp_at(-np.abs(x))
    return _clipped(where(x >= 0.0, 1.0 / (1.0 + t), t / (1.0 + t)), 0.0, 1.0)


def _softplus_at(x: Array) -> Interval:
    positive = np.maximum(x, 0.0)
    return Interval(positive) + _log1p(_exp_at(-np.abs(x)))


def _clipped(value: Interval, low: float, high: float) -> Interval:
    """Cut off what the function does not reach."""
    return Interval(np.clip(value.lo, low, high), np.clip(value.hi, low, high))


def _of_size(function: PointFunction, *, falling: bool) -> IntervalFunction:
    """An even function that is monotone in |x|."""

    def on_interval(x: Interval) -> Interval:
        near, far = (function(size) for size in (x.mig, x.mag))
        return Interval(far.lo, near.hi) if falling else Interval(near.lo, far.hi)

    return on_interval


# --- logarithm, arcus and area functions ----------------------------------------------------------


@cache
def _area_series(n_terms: int, largest: Fraction) -> Interval:
    """atanh(s)/s in s^2 <= largest: positive terms, those that follow at most a geometric series."""
    last = Fraction(1, 2 * n_terms + 1)
    return _with_remainder([Fraction(1, 2 * k + 1) for k in range(n_terms)], (last, last / (1 - largest)))


def _log_at(x: Array) -> Interval:
    """k ln 2 + log m for x > 0, log m = 2 atanh((m - 1)/(m + 1)) with m between sqrt 1/2 and sqrt 2."""
    mantissa, k = np.frexp(np.where(x > 0.0, np.minimum(x, LARGEST), 1.0))
    low = mantissa < 0.7072
    mantissa, k = np.where(low, 2.0 * mantissa, mantissa), k - low
    s = (Interval(mantissa) - 1.0) / (Interval(mantissa) + 1.0)  # |s| < 0.1718
    value = 2.0 * s * _series(_area_series(11, Fraction(1, 33)), s.power(2))
    value = (Interval(k * _LN2_HEAD) + value) + Interval(np.asarray(k, dtype=float)) * _LN2_TAIL
    return Interval(value.lo, np.where(x == INF, INF, value.hi))


def log(x: Interval) -> Interval:
    """The logarithm; the whole line where the interval is not positive."""
    return where(x.lo > 0.0, _increasing(_log_at)(x), WHOLE)


def _log1p(t: Interval) -> Interval:
    """log(1 + t) for t >= 0, with all digits where t is small: 2 atanh(t/(2 + t)), t/(2 + t) <= 1/3."""
    small = Interval(np.minimum(t.lo, 1.0), np.minimum(t.hi, 1.0))
    s = small / (2.0 + small)
    near = 2.0 * s * _series(_area_series(17, Fraction(1, 8)), s.power(2))
    return where(t.hi <= 1.0, near, log(1.0 + t))


@cache
def _arcus_series() -> Interval:
    """atan(s)/s in s^2 < 1/16: alternating, so what follows lies between nought and its first term."""
    return _with_remainder([Fraction((-1) ** k, 2 * k + 1) for k in range(14)], (Fraction(0), Fraction(1, 29)))


def _atan_at(x: Array) -> Interval:
    """For x >= 0: pi/2 - atan(1/x) beyond 1, then the angle is halved twice."""
    large = x > 1.0
    s = where(large, 1.0 / Interval(np.maximum(x, 1.0)), Interval(np.minimum(x, 1.0)))
    for _ in range(2):
        s = s / (1.0 + (1.0 + s.power(2)).sqrt())
    value = 4.0 * s * _series(_arcus_series(), s.power(2))
    return where(large, PI * _HALF - value, value)


def _asinh_at(x: Array) -> Interval:
    """For x >= 0: log1p(x + x^2/(1 + sqrt(1 + x^2))); beyond 1e100, log 2x and less than 1e-199 more."""
    point = Interval(np.minimum(x, 1e100))
    square = point.power(2)
    near = _log1p(point + square / (1.0 + (1.0 + square).sqrt()))
    far = _log_at(np.maximum(x, 1.0)) + LN2 + Interval(0.0, 1e-199)
    return where(x <= 1e100, near, far)


def _erf_at(x: Array) -> Interval:
    """For x >= 0: 2/sqrt(pi) x e^-x^2 (1 + t/3 (1 + t/5 (1 + ...))) with t = 2 x^2; erfc(6) < 2.2e-17."""
    inside = x <= 6.0
    point = Interval(np.where(inside, x, 0.0))  # those outside need no terms
    square = point.power(2)
    t, total = 2.0 * square, Interval(1.0, 2.0)
    # From here on each factor t/(2k + 1) is below 1/2, so that what follows is at most a geometric series.
    last = int(4.0 * float(np.max(square.hi, initial=0.0))) + 25
    for k in range(last, 0, -1):
        total = 1.0 + t / float(2 * k + 1) * total
    value = 2.0 * point / PI.sqrt() * _exp(-square) * total
    return _clipped(where(inside, value, Interval(down(1.0), 1.0)), 0.0, 1.0)


# --- angles ---------------------------------------------------------------------------------------


@cache
def _sine_series() -> Interval:
    """sin(r)/r in r^2 < 0.65: alternating and falling."""
    last = Fraction((-1) ** 10, factorial(21))
    return _with_remainder([Fraction((-1) ** k, factorial(2 * k + 1)) for k in range(10)], (Fraction(0), last))


@cache
def _cosine_series() -> Interval:
    last = Fraction((-1) ** 10, factorial(20))
    return _with_remainder([Fraction((-1) ** k, factorial(2 * k)) for k in range(10)], (Fraction(0), last))


def _turned(x: Array, quarters: int) -> Interval:
    """sin(x + quarters pi/2) at each number: r = x - k pi/2, and the quadrant says which of sin r, cos r it is."""
    inside = np.where(np.abs(x) < _COARSE_PERIODS, x, 0.0)
    k = np.rint(inside / (_QUARTER_HEAD + _QUARTER_NEXT))
    r = Interval(inside) - Interval(k * _QUARTER_HEAD) - Interval(k * _QUARTER_NEXT) - Interval(k) * _QUARTER_TAIL
    square = r.power(2)
    sine, cosine = r * _series(_sine_series(), square), _series(_cosine_series(), square)
    quadrant = np.mod(k + quarters, 4.0)
    value = where(quadrant % 2.0 == 0.0, sine, cosine)
    value = where(quadrant >= 2.0, -value, value)
    return where(np.abs(x) < _COARSE_PERIODS, _clipped(value, -1.0, 1.0), Interval(-1.0, 1.0))


def _contains_turn(x: Interval, quarter: int, period: int) -> Array:
    """Whether quarter pi/2 + k period pi/2 may lie in the interval, for a whole k."""
    turns = (x - float(quarter) * (PI * _HALF)) / (float(period) * (PI * _HALF))
    return np.asarray(np.floor(turns.hi) >= np.ceil(turns.lo))


def _wave(x: Interval, quarters: int) -> Interval:
    """sin(x + quarters pi/2): the end points, and 1 or -1 where a crest or trough may lie between."""
    ends = _turned(np.stack([x.lo, x.hi]), quarters)
    value = ends[0].hull(ends[1])
    crest, trough = (_contains_turn(x, place - quarters, 4) for place in (1, 3))
    return Interval(np.where(trough, -1.0, value.lo), np.where(crest, 1.0, value.hi))


def sin(x: Interval) -> Interval:
    """The sine."""
    return _wave(x, 0)


def cos(x: Interval) -> Interval:
    """The cosine."""
    return _wave(x, 1)


def tan(x: Interval) -> Interval:
    """The tangent; the whole line where a pole may lie in the interval."""
    ends = [_turned(end, 0) / _turned(end, 1) for end in (x.lo, x.hi)]
    return where(_contains_turn(x, 1, 2), WHOLE, Interval(ends[0].lo, ends[1].hi))


# --- powers, and the table ------------------------------------------------------------------------

_exp = _increasing(_exp_at)


def power(base: Interval, exponent: Interval) -> Interval:
    """base^exponent = exp(exponent log base) for a base > 0, and 0^k = 0 for k > 0; else the whole line."""
    positive = _exp(exponent * log(base))
    # Where the base begins at nought, base^exponent rises from 0 to its value at the other end.
    end = _exp(exponent * _increasing(_log_at)(Interval(np.maximum(base.hi, SMALLEST))))
    from_nought = Interval(0.0 * end.lo, np.where(base.hi > 0.0, end.hi, 0.0))
    return where(base.lo > 0.0, positive, where((base.lo == 0.0) & (exponent.lo > 0.0), from_nought, WHOLE))


FUNCTIONS: dict[str, IntervalFunction] = {
    "sqrt": Interval.sqrt,
    "exp": _exp,
    "log": log,
    "sin": sin,
    "cos": cos,
    "tan": tan,
    "sinh": _increasing(_odd(_sinh_at)),
    "cosh": _of_size(_cosh_at, falling=False),
    "tanh": _increasing(_odd(_tanh_at)),
    "sech": _of_size(_sech_at, falling=True),
    "atan": _increasing(_odd(_atan_at)),
    "asinh": _increasing(_odd(_asinh_at)),
    "erf": _increasing(_odd(_erf_at)),
    "sigmoid": _increasing(_sigmoid_at),
    "softplus": _increasing(_softplus_at),
}
"""By the name of the operation in a program; every function that a formula may call."""

CONSTANTS: dict[str, Interval] = {"pi": PI, "e": E}
