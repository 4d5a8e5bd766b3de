"""The constants of an instance between proved ends: the interval of S7 by barriers, infima by branch and bound."""

from __future__ import annotations

import mpmath
import numpy as np

from derivations import UnitFunction
from manifoldflow.certificates.arithmetic import Float64Intervals
from manifoldflow.certificates.barriers import barrier
from manifoldflow.certificates.extrema import maximum_size, minimum
from manifoldflow.certificates.quantities import Quantity, derivative, quantity, ratio, tilt
from manifoldflow.errors import CertificateError

from . import extrema as fast
from .family import Array
from .geometry import Geometry
from .instance import Instance
from .measured import sharp_slope, stated_slope

Ends = tuple[fast.Extrema, fast.Extrema]
"""Lower and upper ends of every infimum."""


def constants(instance: Instance, point: Geometry, Z: Array) -> tuple[Ends, Ends]:
    """Enclosures of the constants over the interval of S7, and over that of S7*; `point` has mpmath's numbers.

    Raises `CertificateError` where they cannot be enclosed.
    """
    # An infimum is at most the value at a feature, which decides where an inequality is attained.
    reached = fast.Extrema(*fast.quantities(point.table).reshape(5, -1).min(axis=1))
    stated = _enclosed(instance, Z, stated_slope(point), reached)
    return stated, _enclosed(instance, Z, sharp_slope(point, stated[0].rho1), reached)


def _enclosed(instance: Instance, Z: Array, slope: mpmath.mpf, reached: fast.Extrema) -> Ends:
    unit, arithmetic = instance.family.unit(instance.values), Float64Intervals()
    limit = float(np.nextafter(float(slope), np.inf))
    seen = fast.interval(instance.family, instance.values, Z, limit)
    if seen is None:
        raise CertificateError("phi' was not seen to exceed on both sides what F allows, so nothing confines z (S7).")
    ends = [barrier(unit, start, end, limit, arithmetic) for start, end in zip((Z.min(), Z.max()), seen, strict=True)]
    if ends[0] is None or ends[1] is None:
        raise CertificateError(f"No point on both sides was found where phi' > {limit!r} is proved (S7).")
    low, high = min(ends[0], np.nextafter(Z.min(), -np.inf)), max(ends[1], np.nextafter(Z.max(), np.inf))
    least, most = _infima(unit, float(low), float(high), arithmetic)
    return least, fast.Extrema(*(min(getattr(most, name), value) for name, value in vars(reached).items()))


def _infima(unit: UnitFunction, low: float, high: float, arithmetic: Float64Intervals) -> Ends:
    wanted = derivative(unit, 1), derivative(unit, 3), ratio(unit), product(unit)
    rho1, rho2, quotient, both = (minimum(quantity, low, high, arithmetic).value for quantity in wanted)
    if not (rho1.is_positive and rho2.is_positive):
        raise CertificateError(f"A1 is not proved on [{low!r}, {high!r}]: rho1 = {rho1}, rho2 = {rho2}.")
    size = maximum_size(tilt(unit), low, high, arithmetic).value
    beta = (1 / mpmath.mpf(-size.low), 1 / mpmath.mpf(-size.high)) if size.high < 0.0 else (mpmath.mpf(0), mpmath.inf)
    exact = [(mpmath.mpf(x.low), mpmath.mpf(x.high)) for x in (rho1, rho2, quotient, both)]
    lower_end, upper_end = (fast.Extrema(exact[0][k], exact[1][k], beta[k], exact[2][k], exact[3][k]) for k in (0, 1))
    return lower_end, upper_end


def product(unit: UnitFunction) -> Quantity:
    """phi' phi''', whose infimum is at least rho1 rho2."""
    first, third = (unit.phi.diff(unit.z, order) for order in (1, 3))  # type: ignore[union-attr]
    value = first * third
    return quantity(unit, "phi' phi'''", value, value.diff(unit.z))
