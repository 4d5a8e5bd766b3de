"""Exact zeros, limits and values of rational functions."""

from __future__ import annotations

from fractions import Fraction

from sympy import (
    CRootOf,
    Expr,
    Integer,
    Poly,
    Rational,
    cancel,
    factor_list,
    fraction,
    limit,
    oo,
    radsimp,
    real_root,
    sign,
    simplify,
    sqrt,
    sqrtdenest,
)

from derivations.analysis.generator import Curve, T, reduced

_DIGITS = 30
_SIMPLE = 40
_NOUGHT = Rational(1, 10**25)
"""Numbers that agree to this are taken for equal."""


def zeros(ratio: Expr, low: Expr, high: Expr) -> tuple[Expr, ...]:
    """The real zeros of a rational function between two ends, in ascending order, each once.

    >>> zeros(T**4 - 4 * T**2 + 3, Integer(0), oo)
    (1, sqrt(3))
    """
    above = fraction(cancel(ratio))[0]
    found: set[Expr] = set()
    for factor, _ in factor_list(above, T)[1] if above.has(T) else ():
        found |= set(_real_roots(Poly(factor, T)))
    return tuple(sorted((x for x in found if less(low, x) and less(x, high)), key=number))


def poles(ratio: Expr, low: Expr, high: Expr) -> tuple[Expr, ...]:
    """The poles of a rational function between two ends.

    >>> poles(1 / (T - 1), -oo, oo)
    (1,)
    """
    return zeros(fraction(cancel(ratio))[1], low, high)


def _real_roots(poly: Poly) -> list[Expr]:
    """Real roots; those of a polynomial in t^k by way of t^k, which keeps radicals short."""
    inner, step = reduced(poly)
    roots = []
    for root in set(inner.real_roots()):
        if step % 2:
            roots.append(real_root(root, step))
        elif number(root) >= 0:
            positive = sqrtdenest(root ** Rational(1, step))
            roots += [positive, -positive]
    return roots


def number(x: Expr) -> float:
    """A real number as a float, infinities included; by thirty digits, so that equal ones are equal."""
    return float(x.evalf(_DIGITS)) if x not in (oo, -oo) else float("inf") * (1 if x == oo else -1)


def less(x: Expr, y: Expr) -> bool:
    """Whether x < y, by thirty digits."""
    if oo in (x, y) or -oo in (x, y):
        return number(x) < number(y)
    return bool((y - x).evalf(_DIGITS, chop=True) > _NOUGHT)


def between(low: Expr, high: Expr) -> Rational:
    """A rational number strictly between two ends."""
    if low == -oo and high == oo:
        return Integer(0)
    if low == -oo or high == oo:
        end = Rational(Fraction(number(high if low == -oo else low)))
        return end - 1 if low == -oo else end + 1
    return Rational(Fraction((number(low) + number(high)) / 2))


def sign_at(ratio: Expr, t: Rational) -> int:
    """The sign of a rational function at a rational number, exactly; nought at a pole."""
    value = cancel(ratio).subs(T, t)
    return int(sign(value)) if value.is_Rational else 0


def value_at(curve: Curve, t: Expr) -> Expr:
    """The size of a curve's value at a zero of something, in a short form where there is one; infinite at a pole."""
    return curve.factor.subs(curve.z, curve.generator.back(t)) * _size(curve.ratio, t)


def _size(ratio: Expr, t: Expr) -> Expr:
    """The size of a rational function at a finite number; a root of a polynomial is left no power beyond its degree."""
    parts = [Poly(part, T) for part in fraction(cancel(ratio))]
    if isinstance(t, CRootOf):
        parts = [part.rem(Poly(t.poly.as_expr().subs(t.poly.gen, T), T)) for part in parts]
    above, below = (part.as_expr().subs(T, t) for part in parts)
    if abs(below.evalf(_DIGITS, chop=True)) < _NOUGHT:
        return oo
    value = _short(above / below)
    return -value if number(value) < 0 else value


def _short(value: Expr) -> Expr:
    """An algebraic number in a short form where there is one, itself otherwise."""
    if value.is_Rational or value.has(CRootOf) or not value.is_finite:
        return value
    square = radsimp(simplify(value**2))
    if square.is_Rational:
        return sqrt(square) * int(sign(value.evalf(_DIGITS)))
    short = sqrtdenest(radsimp(simplify(value)))
    return short if short.count_ops() < _SIMPLE else value


def limit_at(curve: Curve, t: Expr, side: str) -> Expr:
    """The size of a curve's limit at an end of an interval of t, from the side "+" or "-"."""
    z = curve.generator.back(t)
    if t.is_finite and (z.is_finite or not curve.factor.has(curve.z)):
        return value_at(curve, t)
    if not curve.factor.has(curve.z):
        return abs(curve.factor * _short(limit(curve.ratio, T, t, side)))
    return abs(limit(curve.factor * curve.ratio.subs(T, curve.generator.of(curve.z)), curve.z, z, side))
