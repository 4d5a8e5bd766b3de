"""The second way: central differences of the explicit loss at two hundred digits.

With the step 10^-30 the truncation error of a central difference is of the order 10^-60; four of them nested,
the most that a definition needs, lose 120 of the 200 digits to cancellation. Sixty digits remain; fifty are
asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
from mpmath.ctx_mp import MPContext
from sympy import NumberSymbol, pi

from derivations.checks.evaluate import Arithmetic, evaluate
from derivations.checks.space import Field, Point, Space
from derivations.unit import UnitFunction

Array = Any

DIGITS = 200
TOLERANCE = 1e-50
_STEP_EXPONENT = -30


def _context() -> MPContext:
    """A context of our own: the digits of nobody else's numbers change."""
    context = MPContext()
    context.dps = DIGITS
    return context


CONTEXT = _context()
STEP = CONTEXT.mpf(10) ** _STEP_EXPONENT


def exactly(x: Any) -> Any:
    """A float, or a number of many digits, as a number of many digits.

    >>> exactly(0.5) == 0.5
    True
    """
    return CONTEXT.mpf(x)


def _functions() -> Mapping[str, Callable[[Any], Any]]:
    plain = ["exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asinh", "atan", "erf"]
    logistic = lambda x: 1 / (1 + CONTEXT.exp(-x))  # noqa: E731 (one of a table of functions)
    ramp = lambda x: CONTEXT.log(1 + CONTEXT.exp(x))  # noqa: E731
    return {name: getattr(CONTEXT, name) for name in plain} | {"sigmoid": logistic, "softplus": ramp}


def _constant(x: NumberSymbol) -> Any:
    return +CONTEXT.pi if x is pi else +CONTEXT.e


PLAIN = Arithmetic(lambda x: CONTEXT.mpf(int(x.p)) / int(x.q), constant=_constant, functions=_functions())


class DigitSpace(Space):
    """Arrays of numbers with two hundred digits; every derivative is a central difference."""

    def __init__(self, point: Point, unit: UnitFunction) -> None:
        super().__init__(point)
        names = ["z", *unit.own, "a"]
        value = lambda *x: evaluate(unit.psi, lambda name, _: x[names.index(name)], PLAIN)  # noqa: E731
        # A step in one parameter moves the pre-activations of one unit: those of the others are known.
        self._unit = np.frompyfunc(cache(value), unit.p + 2, 1)

    def unit(self, z: Array, own: tuple[Array, ...], a: Array) -> Array:
        """The unit at hand."""
        return self._unit(z, *own, a)

    def derivative(self, function: Field) -> Field:
        """Differences in every parameter."""

        def value(w: Array) -> Array:
            slopes = [self.along(function, direction)(w) for direction in _axes(w)]
            stacked = np.stack([np.asarray(slope, dtype=object) for slope in slopes], axis=-1)
            return stacked.reshape(stacked.shape[:-1] + w.shape)

        return value

    def laplacian(self, function: Field) -> Field:
        """Second differences in every parameter."""

        def value(w: Array) -> Array:
            sides = sum(function(w + x * STEP) + function(w - x * STEP) for x in _axes(w))
            return (sides - 2 * w.size * function(w)) / STEP**2

        return value

    def along(self, function: Field, direction: Array) -> Field:
        """A difference along the direction, over a step in the parameters that does not depend on its length."""
        step = STEP / (abs(direction).max() or 1)
        # The array stands first: mpmath, asked first, writes it out as text for an error before NumPy is asked.
        ahead = direction * step
        return lambda w: (function(w + ahead) - function(w - ahead)) / (2 * step)

    def by_z(self, function: Field) -> Field:
        """An entrywise difference."""
        return lambda z: (function(z + STEP) - function(z - STEP)) / (2 * STEP)


def _axes(w: Array) -> list[Array]:
    return [axis.reshape(w.shape) for axis in np.eye(w.size, dtype=object)]
