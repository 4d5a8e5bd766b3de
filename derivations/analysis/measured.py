"""Where A1 seems to hold, looked at on a grid: for activations whose signs cannot be decided exactly."""

from __future__ import annotations

import numpy as np
from sympy import Expr, Float, Rational

from derivations.checks.points import finite_value
from derivations.functions import ActivationDerivative
from derivations.pointwise import unit_derivative
from derivations.stable import exposed
from derivations.unit import UnitFunction

GRID = np.linspace(-6.0, 6.0, 241)
"""What is looked at; nothing is known between its points and beyond its ends."""


def measured_intervals(unit: UnitFunction) -> list[tuple[Expr, Expr]]:
    """The runs of grid points at which phi' and phi''' are positive, by their first and last point.

    >>> measured_intervals(UnitFunction("z**3 + exp(z)"))
    [(-6, 6)]
    """
    runs, run = [], []
    for z in GRID:
        if _positive(unit, float(z)):
            run.append(z)
        elif run:
            runs.append(run)
            run = []
    return [(_exact(found[0]), _exact(found[-1])) for found in [*runs, run] if len(found) > 1]


def _positive(unit: UnitFunction, z: float) -> bool:
    values = [_derivative(unit, order, z) for order in (0, 1, 3)]
    return all(x is not None for x in values) and min(x for x in values[1:] if x is not None) > 0


def _derivative(unit: UnitFunction, order: int, z: float) -> float | None:
    return finite_value(exposed(unit_derivative(unit, ActivationDerivative(order, unit.z))), {unit.z: z})


def _exact(z: float) -> Expr:
    return Rational(str(Float(round(float(z), 6), 12)))
