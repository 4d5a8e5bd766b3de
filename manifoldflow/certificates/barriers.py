"""Points that no pre-activation crosses, because |phi'| is too large there (S7), and whether it stays large beyond."""

from __future__ import annotations

import numpy as np

from derivations import UnitFunction

from .arithmetic import Arithmetic
from .extrema import minimum
from .features import ExactData
from .interval import INF, Interval
from .quantities import derivative
from .record import smallest

_OUTWARD = (0.0, 1e-14, 1e-12, 1e-9, 1e-6, 1e-3, -1e-14, -1e-12)  # where a barrier is looked for, from the computed end
_FAR = (0.0, 1.0, 4.0, 16.0, 256.0, 1e4, 1e8)  # distances from which on |phi'| is shown to grow
_HIGHEST = 8


def slope_limit(sharpness: Interval, data: ExactData) -> float:
    """An upper bound of sqrt(F / (2 s_i a_ji^2)), which |phi'(z_ji)| cannot exceed while F does not grow (S7)."""
    return float((sharpness / (2.0 * smallest(data.scale).interval)).sqrt().hi)


def barrier(unit: UnitFunction, end: float, sign: float, limit: float, arithmetic: Arithmetic) -> float | None:
    """A point at the computed end, or a little beyond, where |phi'| exceeds the limit; None where none is proved to."""
    points = end + sign * np.array(_OUTWARD) * max(1.0, abs(end))
    slopes = arithmetic.enclose(derivative(unit, 1).program, Interval(points))["value"]
    outside = np.flatnonzero(slopes.mig > limit)
    return float(points[outside[0]]) if outside.size else None


def stays_beyond(unit: UnitFunction, end: float, sign: float, limit: float, arithmetic: Arithmetic) -> bool:
    """Whether phi' > limit is proved on the whole half line from the end in the direction of the sign.

    From some point on phi' grows outward (`grows_for_ever`); up to there its minimum is enclosed.
    """
    for distance in _FAR:
        far = end + sign * distance
        if grows_for_ever(unit, far, sign, arithmetic):
            low, high = min(end, far), max(end, far)
            found = minimum(derivative(unit, 1), low, high, arithmetic, stop=lambda lower, _: lower > limit)
            return found.value.low > limit
    return False


def grows_for_ever(unit: UnitFunction, start: float, sign: float, arithmetic: Arithmetic) -> bool:
    """Whether phi' is proved to increase outward from start, to infinity in the direction of the sign.

    Along that direction the k-th derivative of phi' is sign^k phi^(k+1). One that is >= 0 on the half line, with those
    of lower order positive at its start, makes all of these positive on the half line.
    """
    point = Interval(np.array([start]))
    half_line = Interval(np.array([start if sign > 0 else -INF]), np.array([INF if sign > 0 else start]))
    for order in range(2, _HIGHEST):
        program = derivative(unit, order).program
        direction = sign ** (order - 1)
        if (Interval(direction) * arithmetic.enclose(program, half_line)["value"]).lo[0] >= 0.0:
            return True
        if not (Interval(direction) * arithmetic.enclose(program, point)["value"]).lo[0] > 0.0:
            return False
    return False
