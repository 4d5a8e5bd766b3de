"""How many digits of a program's outputs float64 keeps: a formula whose terms cancel loses them."""

from __future__ import annotations

import warnings
from itertools import islice
from typing import Any

import mpmath
import numpy as np

from ..errors import CancellationWarning
from .passes import PRECISIONS, points
from .program import Program

FEW = 8  # of the 15 or 16 that float64 has; the tolerances of the geometry and of the checks need about as many
_POINTS = 5
_MOST = 15


def digits_kept(program: Program) -> int:
    """Decimal digits that float64 keeps, from 0 to 15: the fewest of any output, each at the middle one of five points.

    The program is evaluated with 53 bits and with 600 digits at float64 inputs between -9/8 and 9/8. What it cannot
    see: cancellation elsewhere, as far out. 15 where fewer than three points are in the formula's domain.

    >>> from manifoldflow.codegen.lower import lower
    >>> from derivations import UnitFunction
    >>> phi = UnitFunction("(z + 1e5)**3 - 3e5*z**2 - 3e10*z - 1e15").phi
    >>> digits_kept(lower({"psi": phi})), digits_kept(lower({"psi": phi.expand()}))
    (0, 15)
    """
    found = (loss for point in points(len(program.inputs)) if (loss := _losses(program, point)) is not None)
    losses = list(islice(found, _POINTS))
    if len(losses) < 3:
        return _MOST
    worst = float(np.median(losses, axis=0).max(initial=0.0))
    return int(np.clip(-np.log10(max(worst, 1e-16)), 0, _MOST))


def _losses(program: Program, point: tuple[Any, ...]) -> list[float] | None:
    """Relative errors of the outputs at a point, those of numbers below 1e-300 counted as none; None off the domain."""
    values = {name: float(number) for name, number in zip(program.inputs, point, strict=True)}
    try:
        with mpmath.workprec(53):
            rounded = program.evaluate(values)
        with mpmath.workdps(PRECISIONS[-1]):
            exact = program.evaluate(values)
            if not all(isinstance(x, mpmath.mpf) and mpmath.isfinite(x) for x in (*exact.values(), *rounded.values())):
                return None
            return [float(abs(rounded[k] - x) / abs(x)) if abs(x) > 1e-300 else 0.0 for k, x in exact.items()]
    except (ZeroDivisionError, ValueError, OverflowError, TypeError):  # the last where a part is complex
        return None


def warn_where_digits_are_lost(formula: str, digits: int) -> None:
    """Issue a `CancellationWarning` where few digits are kept."""
    if digits < FEW:
        warnings.warn(
            f"Terms of {formula} cancel: for |z| about 1, float64 keeps {digits} of 15 digits of the values or slopes. "
            "Expand or simplify the formula, so that no large terms are subtracted.",
            CancellationWarning,
            stacklevel=5,
        )
