"""An instance evaluated again at 50 digits with enclosed constants, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

from manifoldflow.errors import CertificateError

from .enclosed import constants
from .family import DIGITS
from .geometry import Geometry, Numbers, geometry, refined_eigenvalue, spectrum
from .instance import Instance
from .layout import newton_step
from .measured import Data, Measured, excess, is_resolved

NOT_REFUTED, REFUTED, UNDECIDED = "not refuted", "refuted", "not decided"
ROUNDING = mpmath.mpf(10) ** (10 - DIGITS)  # of a ratio at 50 digits, with ten to spare
_NEWTON_STEPS = 12


@dataclass(frozen=True)
class Replay:
    """The ratio of an instance between two ends (the constants' enclosures), at 50 digits; NaN where there is none.

    `float64` is the ratio of the search; `reason` says why there is no enclosure.
    """

    low: Any
    high: Any
    float64: float
    reason: str = ""

    def verdict(self, percent: float = 0.0) -> str:
        """On the statement, or on it with its constant too large by so many per cent; an equality refutes neither.

        >>> found = Replay(mpmath.mpf("1.003"), mpmath.mpf("1.0031"), 1.003)
        >>> found.verdict(), found.verdict(1.0)
        ('not refuted', 'refuted')
        """
        with mpmath.workdps(DIGITS):
            claimed = (1 + mpmath.mpf(percent) / 100) * (1 - ROUNDING)
        if self.high < claimed:
            return REFUTED
        return NOT_REFUTED if self.low >= claimed else UNDECIDED


def replay(instance: Instance) -> Replay:
    """Evaluate the inequality on the exact numbers of the instance: labels are what theta gives, to 50 digits.

    The smallest eigenvalue is refined from that of float64. It is a Rayleigh quotient, so that a refutation needs no
    more; that it is the smallest, which "not refuted" needs, is float64's finding.
    """
    with mpmath.workdps(DIGITS):
        X, theta, a = (_exact(array) for array in (instance.X, instance.theta, instance.a))
        Z = theta @ X.T
        point = geometry(X, a, instance.family.digits(Z, instance.values))
        best = _flattest(instance, a, point.y)
        smallest = _smallest(instance, point) if instance.inequality.hessian else None
        try:
            stated, sharp = constants(instance, point, np.concatenate([Z, best]).astype(float))
        except CertificateError as error:
            return Replay(mpmath.nan, mpmath.nan, instance.ratio, str(error))
        if not is_resolved(point):
            return Replay(mpmath.nan, mpmath.nan, instance.ratio, "The point is critical: nothing is compared there.")
        difference = excess(point, instance.family.digits(best, instance.values))
        found = Measured(point, Z, Data.of(point.G), best, difference, (a**2).min(), stated[0], sharp[0], smallest)
        # Every right-hand side grows with the constants, so that their upper ends give the smaller ratio.
        high, low = (mpmath.mpf(instance.inequality.ratio(found.with_constants(*ends)))
                     for ends in zip(stated, sharp, strict=True))  # fmt: skip
        return Replay(low, high, instance.ratio)


def _exact(array: Numbers) -> Numbers:
    """Floats as the numbers that they are."""
    found = np.empty(array.shape, dtype=object)
    found.ravel()[:] = [mpmath.mpf(float(value)) for value in array.ravel()]
    return found


def _flattest(instance: Instance, a: Numbers, y: Numbers) -> Numbers:
    """The features of the flattest point: the file's, improved by Newton's method to the last digits."""
    Z = _exact(instance.flattest)
    k = (a[:, None] * instance.family.digits(Z, instance.values)[2]).sum(axis=0) / a.size
    for _ in range(_NEWTON_STEPS):
        step, k_step = newton_step(instance.family.digits(Z, instance.values), a, k, y)
        Z, k = Z + step, k + k_step
        if abs(step).max() < ROUNDING * (1 + abs(Z).max()):
            return Z
    raise CertificateError("The flattest point of the instance was not found from the features in the file.")


def _smallest(instance: Instance, point: Geometry) -> Any:
    table = instance.family.table(instance.theta @ instance.X.T, instance.values)
    vectors = spectrum(geometry(instance.X, instance.a, table), instance.groups)[1]
    quotient, _ = refined_eigenvalue(point, vectors[0])
    return quotient
