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

_OUTWARD = (1e-14, 1e-12, 1e-9, 1e-6, 1e-3)  # how far beyond the computed end a barrier is looked for
_STEPS, _FINER, _ROUNDS = 1025, 33, 8
_FAR = (0.0, 1.0, 4.0, 16.0, 256.0, 1e4, 1e8)  # distances from which on |phi'| is shown to grow
_HIGHEST = 8


def slope_limit(sharpness: Interval, data: ExactData) -> float:
    """An upper bound of sqrt(F / (2 s_i a_ji^2)), which |phi'(z_ji)| cannot exceed while F does not grow (S7)."""
    return float((sharpness / (2.0 * smallest(data.scale).interval)).sqrt().hi)


def barrier(unit: UnitFunction, start: float, end: float, limit: float, arithmetic: Arithmetic) -> float | None:
    """The first point found from start to end, or just beyond it, where |phi'| is proved to exceed the limit.

    None where there is none. A barrier narrower than the steps can be missed; the next one serves as well.
    """
    outward = end + np.sign(end - start) * np.array(_OUTWARD) * max(1.0, abs(end))
    points = np.concatenate([np.linspace(start, end, _STEPS), outward])
    found = None
    for _ in range(_ROUNDS):
        slopes = arithmetic.enclose(derivative(unit, 1).program, Interval(points))["value"]
        outside = np.flatnonzero(slopes.mig > limit)
        if outside.size == 0:
            return found
        k = int(outside[0])
        found = float(points[k])
        points = np.linspace(points[max(k - 1, 0)], found, _FINER)
    return found


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
