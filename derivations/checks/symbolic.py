"""The first way: SymPy differentiates the explicit loss of a small network with a generic unit.

Both sides are then rational functions of independent symbols: the data, the parameters and the value of every
derivative of the unit at every unit and sample. They are compared in exact fractions at random integers. Two
different rational functions agree at a random point with probability at most degree / range (Schwartz and
Zippel), and that bound is part of the result.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from sympy import Dummy, Expr, Integer, Rational, Symbol

from derivations.checks.definitions import DEFINITIONS
from derivations.checks.environment import Environment
from derivations.checks.evaluate import Arithmetic, evaluator
from derivations.checks.numbers import Degree
from derivations.checks.result import CheckResult, entries, verdict
from derivations.checks.space import Field, Point, Space
from derivations.errors import DerivationError
from derivations.functions import generic_unit
from derivations.records import Record
from derivations.rules import generic_records

Array = Any

_TIME = Symbol("t", real=True)

RANGE = 2**96
"""Random integers are drawn from 1 to this."""

SIZES = (2, 2, 2)
"""m, n and d of the explicit network."""


class SymbolicSpace(Space):
    """Arrays of SymPy expressions; derivatives are taken at the symbols themselves.

    Intermediate results of the orthogonalisation get names (`meaning` says what they stand for), and a
    derivative along a direction follows the chain of names: written out it would have millions of terms.
    """

    def __init__(self, point: Point, separable: bool) -> None:
        super().__init__(point)
        self.separable = separable
        self.meaning: dict[Expr, Expr] = {}
        self.rates: dict[Expr, Expr] = dict(zip(point.W.flat, point.U.flat, strict=True))

    def unit(self, z: Array, own: tuple[Array, ...], a: Array) -> Array:
        """The generic unit."""
        make = np.frompyfunc(
            lambda *x: generic_unit(x[0], tuple(x[1:-1]), x[-1], separable=self.separable), len(own) + 2, 1
        )
        return make(z, *own, a)

    def derivative(self, function: Field) -> Field:
        """Differentiate by every parameter's symbol."""
        return lambda w: _outer_diff(function(w), w)

    def laplacian(self, function: Field) -> Field:
        """Add up the second derivatives by every parameter's symbol."""
        return lambda w: sum(function(w).diff(x, 2) for x in w.flat)

    def along(self, function: Field, direction: Array) -> Field:
        """Differentiate by every symbol and name that moves, times its rate; only U is a direction here."""
        if direction is not self.at.U:
            raise DerivationError("the symbolic way differentiates along U only")
        return lambda w: _entrywise(self._rate, function(w))

    def named(self, value: Array) -> Array:
        """Stand for each entry by a symbol of its own."""
        return _entrywise(self._name, value)

    def _name(self, expr: Expr) -> Expr:
        name = Symbol(f"v_{len(self.meaning)}", real=True)
        self.meaning[name] = expr
        return name

    def _rate(self, expr: Expr) -> Expr:
        moving = sorted(expr.free_symbols & (self.rates.keys() | self.meaning.keys()), key=str)
        moved = expr.xreplace({x: x + _TIME * self._rate_of(x) for x in moving})
        return moved.diff(_TIME).xreplace({_TIME: Integer(0)})

    def _rate_of(self, symbol: Expr) -> Expr:
        if symbol not in self.rates:
            self.rates[symbol] = self._name(self._rate(self.meaning[symbol]))
        return self.rates[symbol]

    def by_z(self, function: Field) -> Field:
        """Differentiate each entry by a symbol put in the place of its pre-activation."""

        def value(z: Array) -> Array:
            places = np.array([Dummy(real=True) for _ in z.flat], dtype=object).reshape(z.shape)
            back = dict(zip(places.flat, z.flat, strict=True))
            return np.frompyfunc(lambda f, x: f.diff(x).xreplace(back), 2, 1)(function(places), places)

        return value


def _entrywise(change: Callable[[Expr], Expr], values: Array) -> Array:
    """Apply a change to every entry of an array, or to a single expression."""
    return np.frompyfunc(change, 1, 1)(values)


def _outer_diff(values: Array, parameters: Array) -> Array:
    array: Array = np.asarray(values, dtype=object)
    out = np.empty(array.shape + parameters.shape, dtype=object)
    for place in np.ndindex(out.shape):
        out[place] = array[place[: array.ndim]].diff(parameters[place[array.ndim :]])
    return out


def symbol_point(p: int) -> Point:
    """A small network whose every entry is a symbol.

    >>> symbol_point(0).y
    array([y_0, y_1], dtype=object)
    """
    m, n, d = SIZES
    return Point(
        _symbols("X", n, d),
        _symbols("a", m, n),
        _symbols("W", m, d + p),
        _symbols("U", m, d + p),
        _symbols("y", n),
    )


def _symbols(name: str, *shape: int) -> Array:
    out = np.empty(shape, dtype=object)
    for place in np.ndindex(shape):
        out[place] = Symbol("_".join([name, *map(str, place)]), real=True)
    return out


class _Draws:
    """Random values, one for every symbol and for every derivative of the unit at every argument."""

    def __init__(self, draw: Callable[[], Any], rational: Callable[[Rational], Any]) -> None:
        self.draw = draw
        self.values: dict[tuple[object, ...], Any] = {}
        self.arithmetic = Arithmetic(rational, derivative=self._derivative)

    def numbers(self, array: Array) -> Array:
        """An array of this shape."""
        return _entrywise(lambda _: self.draw(), array)

    def _derivative(self, node: Expr, arguments: tuple[Any, ...]) -> Any:
        key = (type(node).__name__, node.orders, arguments)
        if key not in self.values:
            self.values[key] = self.draw()
        return self.values[key]


@lru_cache(maxsize=512)
def check_symbolic(record: Record, p: int, separable: bool, seed: int) -> CheckResult:
    """Compare both sides of an equation in exact fractions at random integers.

    Args:
        record: The record to check.
        p: Number of own scalars.
        separable: Whether the unit is a phi(z).
        seed: Seed of the random integers.

    >>> check_symbolic(generic_records(0, False)[0], 0, False, 0).passed
    True
    """
    defined = _defined(record.name, p, separable)
    rng = random.Random(seed)
    exact = _Draws(lambda: Fraction(rng.randint(1, RANGE)), lambda x: Fraction(int(x.p), int(x.q)))
    wrong = sum(x != 0 for x in _difference(defined, record, exact).flat)
    bounds = _difference(defined, record, _Draws(lambda: Degree(1, 0), lambda x: Degree(0, 0)))
    chance = sum(x.top for x in bounds.flat) / RANGE
    detail = f"{entries(defined.left)} at random integers, exactly; a wrong formula passes with chance < {chance:.0e}"
    return verdict(record.name, "symbolic", float(wrong), 0.0, detail)


@dataclass(frozen=True)
class _Defined:
    """What a definition says of the explicit network, in symbols: the left side, and which labels and direction."""

    space: SymbolicSpace
    left: Array
    labels: Array
    direction: Array


@lru_cache(maxsize=64)
def _defined(name: str, p: int, separable: bool) -> _Defined:
    """Whatever the right side of the record may be."""
    space, definition = SymbolicSpace(symbol_point(p), separable), DEFINITIONS[name]
    left = np.asarray(definition.left(space), dtype=object)
    labels = space.output(space.at.W) if definition.on_manifold else space.at.y
    return _Defined(space, left, labels, definition.direction(space))


def _difference(defined: _Defined, record: Record, draws: _Draws) -> Array:
    """Left minus right at a random point, in the numbers that `draws` makes."""
    space = defined.space
    point = _random_point(defined, draws)
    records = {x.name: x for x in generic_records(space.at.W.shape[1] - space.at.d, space.separable)}
    env = Environment(point, records, draws.arithmetic)
    return np.asarray(
        _entrywise(_evaluator(space, point, draws.arithmetic), defined.left)
        - env.right(record, DEFINITIONS[record.name]),
        dtype=object,
    )


def _random_point(defined: _Defined, draws: _Draws) -> Point:
    """Random numbers for every symbol; labels and direction as the definition needs them."""
    free = Point(*[draws.numbers(array) for array in _arrays(defined.space.at)])
    value = _evaluator(defined.space, free, draws.arithmetic)
    labels = _entrywise(value, defined.labels)
    return Point(free.X, free.a, free.W, _entrywise(value, defined.direction), labels)


def _arrays(point: Point) -> tuple[Array, ...]:
    return point.X, point.a, point.W, point.U, point.y


def _evaluator(space: SymbolicSpace, values: Point, arithmetic: Arithmetic) -> Callable[[Expr], Any]:
    """A function that gives expressions their value, names by way of what they stand for."""
    pairs = zip(_arrays(space.at), _arrays(values), strict=True)
    table = {
        symbol.name: number for names, numbers in pairs for symbol, number in zip(names.flat, numbers.flat, strict=True)
    }

    def entry(name: str, index: tuple[int, ...]) -> Any:
        return table[name] if name in table else value(space.meaning[Symbol(name, real=True)])

    value = evaluator(entry, arithmetic)
    return value
