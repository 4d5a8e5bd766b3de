"""Checks of the constants: critical points and infima, against central differences of the activation itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sympy import Expr

from derivations.analysis.assumptions import Assumptions, Extremum
from derivations.analysis.roots import number
from derivations.checks.digits import CONTEXT, PLAIN, STEP, exactly
from derivations.checks.evaluate import evaluate
from derivations.checks.result import CheckResult, verdict

Function = Callable[[Any], Any]

TOLERANCE = 1e-25
"""Constants are written out to forty digits for this check; critical points lose half of them."""

_SAMPLES = 100
_REACH = 2.5


def check_constants(found: Assumptions, *, rng: int = 0) -> tuple[CheckResult, ...]:
    """Check every constant: values at the points where it may be attained, and that no random point lies lower.

    The functions are computed from phi by central differences at two hundred digits.

    Args:
        found: The constants of one activation.
        rng: Seed of the random points.

    >>> from derivations.analysis.assumptions import assumptions
    >>> from derivations.unit import UnitFunction
    >>> [result.passed for result in check_constants(assumptions(UnitFunction("z**3 + z")))]
    [True, True, True, True]
    """
    slopes = _differences(found)
    return tuple(_checked(found, extremum, _FUNCTIONS[extremum.name](slopes), rng) for extremum in found.extrema)


def _checked(found: Assumptions, extremum: Extremum, function: Function, rng: int) -> CheckResult:
    there = [function(_mp(z)) for z, _ in extremum.critical]
    gaps = [_relative(x, _mp(value)) for x, (_, value) in zip(there, extremum.critical, strict=True)]
    points = _points(found, rng)
    values = [*there, *map(function, points)]
    least = _mp(extremum.infimum) if extremum.infimum.is_finite else CONTEXT.inf
    below = max((least - value) / (1 + abs(value)) for value in values)
    worst = max([*gaps, below, CONTEXT.zero])
    detail = f"{len(gaps)} critical values and {len(points)} random points, none lower than the infimum"
    return verdict(extremum.name, "fifty digits", float(worst), TOLERANCE, detail)


def _points(found: Assumptions, rng: int) -> list[Any]:
    """Random points of the interval, within reach of its middle."""
    if found.interval is None:
        return []
    low, high = number(found.interval.low), number(found.interval.high)
    low, high = max(low, min(high, _REACH) - 2 * _REACH), min(high, max(low, -_REACH) + 2 * _REACH)
    share = np.random.default_rng(rng).uniform(0.001, 0.999, _SAMPLES)
    return [exactly(float(z)) for z in low + share * (high - low)]


def _relative(value: Any, expected: Any) -> Any:
    return abs(value - expected) / (1 + abs(expected))


def _mp(x: Expr) -> Any:
    return CONTEXT.mpf(str(x.evalf(40))) if not x.is_Rational else exactly(int(x.p)) / int(x.q)


def _differences(found: Assumptions) -> list[Function]:
    """Phi and its first three derivatives as central differences, each of the one before."""
    phi = found.unit.phi

    def value(x: Any) -> Any:
        return evaluate(phi, lambda name, _: x, PLAIN)

    functions: list[Function] = [value]
    for _ in range(3):
        functions.append(_difference(functions[-1]))
    return functions


def _difference(function: Function) -> Function:
    return lambda x: (function(x + STEP) - function(x - STEP)) / (2 * STEP)


def _normality(slopes: list[Function]) -> Function:
    def value(x: Any) -> Any:
        bend = slopes[2](x)
        return abs(slopes[1](x) ** 2 * slopes[3](x) / bend) if abs(bend) > _NOUGHT else CONTEXT.inf

    return value


_NOUGHT = exactly(10) ** -40

_FUNCTIONS: dict[str, Callable[[list[Function]], Function]] = {
    "rho1": lambda slopes: slopes[1],
    "rho2": lambda slopes: slopes[3],
    "gamma": lambda slopes: lambda x: slopes[3](x) / slopes[1](x),
    "beta": _normality,
}
