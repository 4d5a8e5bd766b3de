"""Where A1 fails (S11): is the rank-one point a minimum or a maximum in a sample's features, and where that changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from derivations import UnitFunction

from ..errors import InputError
from ..manifold import ZeroLossManifold
from ..reproducible import reproducible
from ..validation import instance, real_array
from .arithmetic import Arithmetic
from .arithmetic import arithmetic as arithmetic_named
from .extrema import minimum, negative
from .features import ExactData
from .interval import Interval, Mask
from .quantities import derivative, derivatives
from .record import Certificate, Enclosure
from .roots import all_zeros, solve_near

_SCAN = np.concatenate([-np.logspace(4, -6, 4001), [0.0], np.logspace(-6, 4, 4001)])


@dataclass(frozen=True, eq=False)
class RankOnePoint:
    """What the rank-one point z_ji = phi^{-1}(y_i / sum_j a_j) is in the features of each sample.

    `kinds` has one of "minimum", "maximum" (both strict), "undecided", "none" for each sample; `z` and `curvature`
    enclose the features and the Hessian's weights E_ji, (n,). The certificate claims that F has a strict local maximum
    at the rank-one point along all moves of at least one sample's features.
    """

    certificate: Certificate
    kinds: tuple[str, ...]
    z: Interval
    curvature: Interval


@reproducible
def rank_one_point(manifold: ZeroLossManifold, *, arithmetic: str = "float64", bits: int = 128) -> RankOnePoint:
    """Prove, sample by sample, whether F has a strict minimum or maximum at the rank-one point.

    It is critical for every activation. There E_ji = 4 a^2 s_i phi' phi''', so a move of one sample's features, for
    which the samples must be independent and the units two or more, changes F by sum_j E_ji u_ji^2 / 2 to second order.

    Args:
        manifold: the zero-loss manifold, with units a*phi(z) and equal output weights.
        arithmetic: "float64", or "arb" (extra `certify`).
        bits: precision of Arb.

    Returns:
        A `RankOnePoint`; where phi does not take the value y_i / sum_j a_j, or not once, the nearest to 0 found counts.

    Raises:
        InputError: units of another form, or output weights that differ.
        CertificateError: Arb is asked for and not installed.

    Source: S11.

    >>> import manifoldflow as mf
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("tanh(z)", width=2), np.eye(2), [0.2, 1.6])
    >>> rank_one_point(man).kinds
    ('maximum', 'minimum')
    """
    instance("manifold", manifold, ZeroLossManifold)
    data, chosen = ExactData.of_plain_units(manifold), arithmetic_named(arithmetic, bits)
    if not data.equal_weights:
        raise InputError("The rank-one point is critical only for equal output weights; these differ between units.")
    z, exists = rank_one_features(data, chosen)
    found = chosen.enclose(derivatives(manifold.network.unit, 3), z)
    # The derived E where all units agree: then C = 0.
    curvature = 4.0 * data.scale[0] * (found["1"] * found["3"])
    kinds = tuple(_kind(*ends) for ends in zip(curvature.lo, curvature.hi, exists, strict=True))
    regular = bool((found["1"].mig > 0.0).all())
    return RankOnePoint(_maximum(data, kinds, curvature, regular, chosen), kinds, z, curvature)


def rank_one_features(data: ExactData, chosen: Arithmetic) -> tuple[Interval, Mask]:
    """Enclosures of phi^{-1}(y_i / sum_j a_j), (n,), and which are proved to contain exactly one solution."""
    manifold = data.manifold
    target = Interval(manifold.y) / data.a.sum(axis=0)
    guess = np.array([_nearest_solution(manifold, float(value)) for value in target.mid])
    return solve_near(derivative(manifold.network.unit, 0), target, guess, chosen)


def _nearest_solution(manifold: ZeroLossManifold, target: float) -> float:
    """A z near where phi crosses the target, of those on a grid the nearest to 0; 0 where it crosses nowhere."""
    excess = manifold.kernel.table(_SCAN)[0] - target
    left, right = excess[:-1], excess[1:]
    finite = np.isfinite(left) & np.isfinite(right)
    crossing = np.flatnonzero(finite & (np.sign(left) != np.sign(right)))
    if crossing.size == 0:
        return 0.0
    k = int(crossing[np.argmin(np.abs(_SCAN[crossing]))])
    return float(_SCAN[k] + (_SCAN[k + 1] - _SCAN[k]) * left[k] / (left[k] - right[k]))


def _kind(low: float, high: float, exists: bool) -> str:
    if not exists:
        return "none"
    return "minimum" if low > 0.0 else "maximum" if high < 0.0 else "undecided"


def _maximum(
    data: ExactData, kinds: tuple[str, ...], curvature: Interval, regular: bool, chosen: Arithmetic
) -> Certificate:
    name, m = "rank-one maximum", data.manifold.m
    at = [i for i, kind in enumerate(kinds) if kind == "maximum"]
    claim = "the rank-one point is a strict local maximum of F in the features of a sample"
    dependent = "the samples are not proved to be independent, so that "
    if not at and not data.mu.is_positive:
        reason = f"{dependent}M need not have a rank-one point"
        return Certificate(name, False, claim, reason, chosen.description)
    if not at:
        counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in ("minimum", "undecided", "none") if kind in kinds)
        reason, opposite = f"of the {len(kinds)} samples: {counts}", all(kind == "minimum" for kind in kinds)
        return Certificate(name, False, claim, reason, chosen.description, refuted=opposite)
    i = min(at, key=lambda k: float(curvature.hi[k]))
    claim = f"the rank-one point is a strict local maximum of F in the features of {len(at)} of {len(kinds)} samples; "
    claim += f"in those of sample {i}, E = {Enclosure.of(curvature[i])}"
    reason = "" if m > 1 else "there is only one unit, so that the features of a sample cannot move"
    if not regular:
        reason = "phi' is not proved to differ from 0 at every sample, so that J J^T may be singular there"
    if not data.mu.is_positive:
        reason = f"{dependent}the features of one may not move alone"
    return Certificate(name, not reason, claim, reason, chosen.description)


# --- thresholds -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Thresholds:
    """Where the rank-one point turns from a minimum into a maximum: the values phi(z) at the zeros z of phi'''.

    `z` and `values` enclose them, (k,), ascending in z; the certificate claims that there are no others with z in the
    range.
    """

    certificate: Certificate
    z: Interval
    values: Interval


@reproducible
def stability_thresholds(
    unit: UnitFunction | str,
    z_range: tuple[float, float] = (-10.0, 10.0),
    *,
    arithmetic: str = "float64",
    bits: int = 128,
) -> Thresholds:
    """Enclose every y/m, for z in a range, at which the rank-one point changes between minimum and maximum.

    These are the roots of phi'''(phi^{-1}(y)): all zeros z of phi''' are isolated, then mapped by phi. Where phi' keeps
    its sign over the range, which is proved too, each value belongs to one z.

    Args:
        unit: the unit function a*phi(z), or its formula.
        z_range: where zeros are looked for.
        arithmetic: "float64", or "arb" (extra `certify`).
        bits: precision of Arb.

    Returns:
        `Thresholds`; the certificate says why where zeros may be missing.

    Raises:
        InputError: a unit of another form, or a range that does not increase.
        CertificateError: Arb is asked for and not installed.

    Source: S11.

    >>> found = stability_thresholds("tanh(z)")
    >>> found.certificate.proved, found.values.mid * np.sqrt(3.0)
    (True, array([-1.,  1.]))
    """
    unit = unit if isinstance(unit, UnitFunction) else UnitFunction(unit)
    low, high = map(float, real_array("z_range", z_range, shape=(2,)))
    if not low < high:
        raise InputError(f"z_range must increase; got {z_range!r}.")
    chosen = arithmetic_named(arithmetic, bits)
    zeros = all_zeros(derivative(unit, 3), low, high, chosen)
    values = chosen.enclose(derivatives(unit, 1), zeros.simple)["0"]
    claim = f"phi''' has {zeros.simple.lo.size} zeros with z in [{low!r}, {high!r}], at these values of phi"
    reason = _why_incomplete(unit, zeros.undecided, zeros.identically, (low, high), chosen)
    certificate = Certificate("stability thresholds", not reason, claim, reason, chosen.description)
    return Thresholds(certificate, zeros.simple, values)


def _why_incomplete(
    unit: UnitFunction, undecided: Interval, identically: bool, bound: tuple[float, float], chosen: Arithmetic
) -> str:
    if identically:
        return "phi''' is nought everywhere: F does not tell the rank-one point from its neighbours"
    if undecided.lo.size:
        low, high = float(undecided.lo[0]), float(undecided.hi[0])
        return f"phi''' could not be told from nought on {undecided.lo.size} parts, the first [{low!r}, {high!r}]"
    slope = derivative(unit, 1)
    rising = minimum(slope, *bound, chosen, stop=_is_decided)
    if rising.value.is_positive or minimum(negative(slope), *bound, chosen, stop=_is_decided).value.is_positive:
        return ""
    return f"phi' is not proved to keep its sign ({rising.why_not_positive()}), so a value may belong to several z"


def _is_decided(lower: float, upper: float) -> bool:
    return lower > 0.0 or upper <= 0.0


