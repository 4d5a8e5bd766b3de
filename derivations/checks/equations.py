"""Numerical checks of the records that are equations."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from derivations.checks.definitions import DEFINITIONS, Definition
from derivations.checks.environment import Environment
from derivations.checks.evaluate import Arithmetic, evaluate
from derivations.checks.numbers import Sized, sized
from derivations.checks.points import find_point, slopes
from derivations.checks.result import CheckResult, entries, unchecked, verdict
from derivations.checks.space import Point, Space
from derivations.checks.ways import Way
from derivations.functions import ActivationDerivative, UnitDerivative
from derivations.pointwise import plain_derivative
from derivations.records import Record
from derivations.unit import UnitFunction

Array = Any


def check_equation(
    record: Record, records: Mapping[str, Record], unit: UnitFunction, way: Way, seed: int
) -> CheckResult:
    """Compare both sides of an equation at a random point.

    Args:
        record: The record to check.
        records: Those that define what it uses.
        unit: The unit function.
        way: How the left side is differentiated.
        seed: Seed of the random point.
    """
    known = _left_side(record.name, unit, way, seed)
    if known is None:
        reason = "no random point was found at which the unit and its derivatives are finite and of like size"
        return unchecked(record.name, way.method, way.tolerance, reason)
    drawn, point, left = known
    right = right_side(record, records, point, unit, way)
    detail = f"{entries(left)} at a random point, m = {len(drawn.W)}, n = {len(drawn.X)}, d = {drawn.d}"
    steepest = max(float(abs(slope).max()) for slope in slopes(unit, drawn) if slope is not None)
    found = deviation(left, right, max(1.0, steepest**2))
    return verdict(record.name, way.method, found, way.tolerance, detail)


@lru_cache(maxsize=64)
def _left_side(name: str, unit: UnitFunction, way: Way, seed: int) -> tuple[Point, Point, Array] | None:
    """A random point, the same as the definition needs it, and the left side there, whatever the right side may be."""
    drawn = find_point(unit, seed, way.spread)
    if drawn is None:
        return None
    definition = DEFINITIONS[name]
    space = _prepared(way, way.point(drawn), unit, definition)
    return drawn, space.at, np.asarray(definition.left(space), dtype=object)


def right_side(record: Record, records: Mapping[str, Record], point: Point, unit: UnitFunction, way: Way) -> Array:
    """A record's right side at a point, in numbers that know their size."""
    wrapped = Point(*[np.frompyfunc(sized, 1, 1)(x) for x in (point.X, point.a, point.W, point.U, point.y)])
    env = Environment(wrapped, records, sized_arithmetic(unit, way.arithmetic))
    return np.asarray(env.right(record, DEFINITIONS[record.name]), dtype=object)


def deviation(left: Array, right: Array, usual: float = 1.0) -> float:
    """The largest difference, relative to the largest size of what is added up on the right.

    Where nothing at all stands on the right it is relative to the `usual` size, that of F.

    >>> deviation(np.array([1.0], dtype=object), np.array([sized(2.0)], dtype=object))
    0.5
    """
    gap = max(abs(x - sized(y).value) for x, y in zip(left.flat, right.flat, strict=True))
    size = max(sized(y).size for y in right.flat)
    return float(gap / (size or usual))


def sized_arithmetic(unit: UnitFunction, plain: Arithmetic) -> Arithmetic:
    """Numbers with their sizes, and the unit's own derivatives in the place of generic ones."""

    def derivative(node: UnitDerivative | ActivationDerivative, arguments: tuple[Any, ...]) -> Sized:
        return sized(derivative_value(unit, node, tuple(sized(x).value for x in arguments), plain))

    return Arithmetic(lambda x: sized(plain.rational(x)), derivative=derivative)


def derivative_value(
    unit: UnitFunction,
    node: UnitDerivative | ActivationDerivative,
    arguments: tuple[Any, ...],
    plain: Arithmetic,
) -> Any:
    """The unit's derivative that a generic one stands for, at these arguments."""
    names = (unit.z,) if isinstance(node, ActivationDerivative) else (unit.z, *unit.c, unit.a)
    expr = plain_derivative(unit, node.func(*node.orders, *names))
    values = {symbol.name: value for symbol, value in zip(names, arguments, strict=True)}
    return evaluate(expr, lambda name, _: values[name], plain)


def _prepared(way: Way, point: Point, unit: UnitFunction, definition: Definition) -> Space:
    """The space at the point, with labels and direction as the definition needs them."""
    space = way.space(point, unit)
    labels = space.output(point.W) if definition.on_manifold else point.y
    return way.space(Point(point.X, point.a, point.W, definition.direction(space), labels), unit)
