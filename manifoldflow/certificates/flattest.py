"""The exact flattest point of M, enclosed, and a proof that it is the global minimum of the sharpness (S13)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..assumptions import confinement
from ..errors import ManifoldflowError
from ..flattest import flattest_point
from ..manifold import ZeroLossManifold
from ..reproducible import reproducible
from ..validation import Array, instance
from .arithmetic import Arithmetic
from .arithmetic import arithmetic as arithmetic_named
from .barriers import barrier, slope_limit, stays_beyond
from .extrema import minimum
from .features import Ball, ExactData
from .interval import INF, WHOLE, Interval, where
from .quantities import derivative, derivatives
from .record import Certificate, Enclosure, above
from .roots import solve_near

_WIDENINGS = 14


@dataclass(frozen=True, eq=False)
class FlattestEnclosure:
    """The pre-activations of the flattest point, entrywise between `low` and `high` (m, n), and its sharpness F*.

    The certificate claims that a point of M with these exists and that F is larger at all others, up to directions
    orthogonal to the data. `distance` bounds how far theta, where one was given, is from it within the data's span.
    """

    certificate: Certificate
    low: Array
    high: Array
    sharpness: Enclosure
    distance: float


@reproducible
def enclose_flattest_point(
    manifold: ZeroLossManifold, theta: ArrayLike | None = None, *, arithmetic: str = "float64", bits: int = 128
) -> FlattestEnclosure:
    """Enclose the flattest point of M and prove that it is the global minimum of F.

    The n monotone equations sum_j a_j phi((phi'')^{-1}(k_i / a_j)) = y_i are solved by changes of sign and interval
    Newton steps. That their solution is the global minimum needs phi' > 0 and phi''' > 0 wherever a unit of an equally
    flat point may be: on an interval outside of which phi' is proved to be too large, on all of the line.

    Args:
        manifold: the zero-loss manifold, with units a*phi(z).
        theta: a point whose distance from the exact one is wanted, such as `flattest_point(manifold).x`.
        arithmetic: "float64", or "arb" (extra `certify`).
        bits: precision of Arb.

    Returns:
        A `FlattestEnclosure`; its certificate says why where there is no proof. Where not even the equations could be
        enclosed, `low` and `high` are NaN; else they enclose their solution, global or not.

    Raises:
        InputError: units of another form, or an argument outside its domain.
        CertificateError: Arb is asked for and not installed.

    Source: S1, S2, S10, S13.

    >>> import manifoldflow as mf
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=4), np.eye(2), [8.0, 40.0])
    >>> found = enclose_flattest_point(man, mf.flattest_point(man).x)
    >>> found.certificate.proved, found.low[0].round(9), found.distance < 1e-14
    (True, array([1., 2.]), True)
    >>> print(found.sharpness)
    [1479.999, 1480.001]
    """
    instance("manifold", manifold, ZeroLossManifold)
    data, chosen = ExactData.of_plain_units(manifold), arithmetic_named(arithmetic, bits)
    try:
        found = flattest_point(manifold, n_starts=1, max_iterations=0)
    except ManifoldflowError as error:
        return _refused(data, chosen, f"no candidate was found: {error}")
    if not (found.is_global and data.mu.is_positive):
        return _refused(data, chosen, _no_candidate(data))
    guess = manifold.preactivations(found.x)
    Z = _equal_units(data, guess, chosen) if data.equal_weights else _signed_units(data, guess, chosen)
    if Z is None:
        return _refused(data, chosen, "the scalar equations could not be enclosed to a change of sign")
    reason = _why_not_global(data, Z, chosen)
    return _enclosed(data, Z, reason, chosen) if theta is None else _measured(data, Z, reason, chosen, theta)


_CLAIM = "the flattest point is unique in the data's span and global"


def _no_candidate(data: ExactData) -> str:
    if not data.mu.is_positive:
        return f"mu > 0 is not proved (mu <= {above(data.mu.high)}): Z may not range over all matrices"
    return "A1 was not seen to hold wherever phi' is small enough for an equally flat point, so S13 does not apply"


def _refused(data: ExactData, chosen: Arithmetic, reason: str) -> FlattestEnclosure:
    nothing = np.full(data.manifold.a.shape, np.nan)
    certificate = Certificate("flattest point", False, _CLAIM, reason, chosen.description)
    return FlattestEnclosure(certificate, nothing, nothing, Enclosure(0.0, INF), INF)


def _enclosed(data: ExactData, Z: Interval, reason: str, chosen: Arithmetic) -> FlattestEnclosure:
    sharpness = Enclosure.of(_sharpness(data, Z, chosen))
    claim = f"{_CLAIM}: F* = {sharpness.within(12)}, pre-activations to {above(float(Z.radius.max()))}"
    certificate = Certificate("flattest point", not reason, claim, reason, chosen.description)
    return FlattestEnclosure(certificate, Z.lo, Z.hi, sharpness, INF)


def _measured(data: ExactData, Z: Interval, reason: str, chosen: Arithmetic, theta: ArrayLike) -> FlattestEnclosure:
    """With the distance: |theta - theta*| <= |Z - Z*| / sqrt(mu) in the span."""
    found = _enclosed(data, Z, reason, chosen)
    difference = (Ball.around(data.manifold, theta).z - Z).power(2).sum().sqrt()
    distance = float((difference / Interval(data.mu.low).sqrt()).hi)
    return FlattestEnclosure(found.certificate, found.low, found.high, found.sharpness, distance)


def _sharpness(data: ExactData, Z: Interval, chosen: Arithmetic) -> Interval:
    slopes = chosen.enclose(derivatives(data.manifold.network.unit, 1), Z)["1"]
    return 2.0 * (slopes.power(2) * data.scale).sum()


# --- the equations --------------------------------------------------------------------------------


def _equal_units(data: ExactData, guess: Array, chosen: Arithmetic) -> Interval | None:
    """phi(z_i) = y_i / (m a_i): all units agree."""
    manifold = data.manifold
    target = Interval(manifold.y) / (Interval(float(manifold.m)) * Interval(manifold.a[0]))
    phi = derivative(manifold.network.unit, 0)
    found, proved = solve_near(phi, target, guess.mean(axis=0), chosen)
    rows = (manifold.m, 1)
    return Interval(np.tile(found.lo, rows), np.tile(found.hi, rows)) if proved.all() else None


def _signed_units(data: ExactData, guess: Array, chosen: Arithmetic) -> Interval | None:
    """z_ji = (phi'')^{-1}(k_i / a_j), with k_i between two numbers at which the outputs lie on both sides of y_i."""
    unit = data.manifold.network.unit
    bend = chosen.enclose(derivatives(unit, 2), Interval(guess))["2"].mid
    k = (data.manifold.a * bend).mean(axis=0)
    width = 2.0**-50 * np.maximum(np.abs(k), np.abs(data.manifold.a * bend).max(axis=0)) + 1e-300
    for _ in range(_WIDENINGS):
        low, high = k - width, k + width
        ends = [_excess(data, Interval(value), guess, chosen) for value in (low, high)]
        bracketed = (ends[0].hi < 0.0) & (ends[1].lo > 0.0)
        if bracketed.all():
            found, proved = solve_near(derivative(unit, 2), Interval(low, high) / data.a, guess, chosen)
            return found if proved.all() else None
        width = np.where(bracketed, width, 4.0 * width)
    return None


def _excess(data: ExactData, k: Interval, guess: Array, chosen: Arithmetic) -> Interval:
    """sum_j a_j phi((phi'')^{-1}(k_i / a_j)) - y_i, (n,)."""
    unit = data.manifold.network.unit
    found, proved = solve_near(derivative(unit, 2), k / data.a, guess, chosen)
    values = where(proved, chosen.enclose(derivatives(unit, 1), found)["0"], WHOLE)
    return (data.a * values).sum(axis=0) - data.manifold.y


# --- is it global? --------------------------------------------------------------------------------


def _why_not_global(data: ExactData, Z: Interval, chosen: Arithmetic) -> str:
    """Empty where A1 is proved on an interval outside of which every unit would alone exceed F*."""
    manifold = data.manifold
    unit = manifold.network.unit
    limit = slope_limit(_sharpness(data, Z, chosen), data)
    seen, confined = confinement(manifold, Z.mid, limit)
    if not confined:
        return "|phi'| was not seen to exceed what F* allows on both sides"
    starts = float(Z.lo.min()), float(Z.hi.max())
    low, high = (barrier(unit, start, end, limit, chosen) for start, end in zip(starts, seen, strict=True))
    if low is None or high is None or not (low < starts[0] and starts[1] < high):
        return f"no interval around the pre-activations was found at whose ends |phi'| > {above(limit)} is proved"
    for order in (1, 3):
        found = minimum(derivative(unit, order), low, high, chosen)
        if not found.value.is_positive:
            return f"A1 is not proved: {found.why_not_positive()}"
    for end, sign in ((low, -1.0), (high, 1.0)):
        if not stays_beyond(unit, end, sign, limit, chosen):
            side = "below" if sign < 0 else "above"
            return f"phi' > {above(limit)} is not proved for all z {side} {end!r}: an equally flat point may be there"
    return ""

