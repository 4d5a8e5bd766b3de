"""Where phi'' is not injective (S11): critical points of the sharpness whose neurons disagree, found and proved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..manifold import ZeroLossManifold
from ..reproducible import reproducible
from ..validation import Array, instance, real_array
from .arithmetic import Arithmetic, Float64Intervals
from .extrema import minimum, negative
from .features import Ball, ExactData
from .interval import INF, Interval, stack
from .linear import inverse, product
from .quantities import derivative, derivatives
from .rank_one import rank_one_features
from .record import Certificate, above

_STARTS = 49  # on each axis of the plane of two features
_NEWTON_STEPS = 40
_DIVISIONS, _SAMPLES = 6, 50  # how many divisions of the units and samples are tried,
_ENOUGH = 3  # until so many candidates are found
_APART = 1e-3  # features that are nearer than this are the rank-one point again
_CONVERGED = 1e-12
_INFLATIONS = 8


@dataclass(frozen=True, eq=False)
class DisagreeingPoint:
    """A point of M with grad F = 0 at which the units differ on sample `sample`.

    Its pre-activations lie entrywise between `low` and `high`, (m, n); theta (m, d) is within `distance` of it. The
    certificate says why where none is proved, and the arrays are then NaN.
    """

    certificate: Certificate
    theta: Array
    low: Array
    high: Array
    distance: float
    sample: int


@dataclass(frozen=True)
class _Pair:
    """Features u of the first `count` units and v of the others on one sample, found in floating point."""

    sample: int
    count: int
    u: float
    v: float


@reproducible
def disagreeing_critical_point(
    manifold: ZeroLossManifold, z_range: tuple[float, float] = (-8.0, 8.0)
) -> DisagreeingPoint:
    """Find a critical point of F on M whose neurons disagree, and prove that it exists.

    On one sample p units have the feature u and the others v with phi''(u) = phi''(v) and p phi(u) + (m - p) phi(v) =
    y_i / a; a Krawczyk test proves that this system has a solution in two disjoint intervals. On the other samples all
    units agree. Then a phi'' does not depend on the unit, so the gradient of F is J^T lambda: nothing is left of it
    along M.

    Args:
        manifold: the zero-loss manifold, with units a*phi(z), equal output weights and independent samples.
        z_range: where u and v are looked for, from a grid of starts; a solution may be missed.

    Returns:
        A `DisagreeingPoint`; its certificate is refuted where phi'' is proved to be injective on the range.

    Raises:
        InputError: units of another form, output weights that differ, or an argument outside its domain.

    Source: S1, S11; Krawczyk's test as in Rump, Verification methods (Acta Numerica 2010), section 13.

    >>> import manifoldflow as mf
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("tanh(z)", width=2), np.eye(2), [1.1, 0.3])
    >>> found = disagreeing_critical_point(man)
    >>> found.certificate.proved, bool(np.abs(np.diff(found.low[:, found.sample])).min() > 0.1)
    (True, True)
    >>> bool(np.linalg.norm(man.gradient(found.theta)) < 1e-13)
    True
    """
    instance("manifold", manifold, ZeroLossManifold)
    data, chosen = ExactData.of_plain_units(manifold), Float64Intervals()
    low, high = map(float, real_array("z_range", z_range, shape=(2,)))
    if not low < high:
        raise InputError(f"z_range must increase; got {z_range!r}.")
    if not data.equal_weights:
        raise InputError("With output weights that differ the units disagree anyway; give all the same weight.")
    reason, refuted = _why_none(data, low, high, chosen)
    if reason:
        return _none(data, reason, refuted, chosen)
    pairs = _candidates(data, low, high)
    for pair in pairs:
        found = _krawczyk(data, pair, chosen)
        if found is not None:
            return _point(data, pair, found, chosen)
    what = f"{len(pairs)} candidates could not be proved" if pairs else "no solution was found from the grid of starts"
    return _none(data, f"{what} with z in [{low!r}, {high!r}]", False, chosen)


_NAME, _CLAIM = "disagreeing critical point", "grad F = 0 at a point of M whose units differ on a sample"


def _none(data: ExactData, reason: str, refuted: bool, chosen: Arithmetic) -> DisagreeingPoint:
    m, n = data.manifold.a.shape
    certificate = Certificate(_NAME, False, _CLAIM, reason, chosen.description, refuted)
    nothing = np.full((m, n), np.nan)
    return DisagreeingPoint(certificate, np.full(data.manifold.shape, np.nan), nothing, nothing, INF, -1)


def _why_none(data: ExactData, low: float, high: float, chosen: Arithmetic) -> tuple[str, bool]:
    """Why there can be no such point, or it is not looked for; and whether that is proved."""
    if data.manifold.m < 2:
        return "there is only one unit", True
    if not data.mu.is_positive:
        return "the samples are not proved to be independent (A2), so Z may not range over all matrices", False
    third = derivative(data.manifold.network.unit, 3)
    ends = [minimum(quantity, low, high, chosen, stop=_is_decided).value for quantity in (third, negative(third))]
    if ends[0].low == 0.0 == ends[1].low:
        return "phi'' is constant: every point of M is critical", False
    if ends[0].is_positive or ends[1].is_positive:
        return f"phi''' keeps its sign on [{low!r}, {high!r}], so phi'' is injective there", True
    return "", False


def _is_decided(lower: float, upper: float) -> bool:
    return lower > 0.0 or upper < 0.0


# --- floating point: candidates -------------------------------------------------------------------


def _candidates(data: ExactData, low: float, high: float) -> list[_Pair]:
    """Solutions that Newton's method finds from a grid, the best conditioned for each sample and division of units."""
    manifold = data.manifold
    axis = np.linspace(low, high, _STARTS)
    u, v = (grid.ravel() for grid in np.meshgrid(axis, axis + 0.013 * (high - low) / _STARTS))
    counts = np.unique(np.linspace(1, manifold.m // 2, min(manifold.m // 2, _DIVISIONS)).round().astype(int))
    pairs: list[_Pair] = []
    for i in range(min(manifold.n, _SAMPLES)):
        target = float(manifold.y[i] / manifold.a[0, i])
        found = [(int(count), _newton(data, target, int(count), u, v, low, high)) for count in counts]
        pairs += [_Pair(i, count, *solution) for count, solution in found if solution is not None]
        if len(pairs) >= _ENOUGH:
            break
    return pairs


def _newton(
    data: ExactData, target: float, count: int, u: Array, v: Array, low: float, high: float
) -> tuple[float, float] | None:
    kernel, m = data.manifold.kernel, data.manifold.m
    with np.errstate(all="ignore"):
        for _ in range(_NEWTON_STEPS):
            first, second = kernel.table(u), kernel.table(v)
            bend = first[2] - second[2]
            excess = count * first[0] + (m - count) * second[0] - target
            a, b, c, d = first[3], -second[3], count * first[1], (m - count) * second[1]
            det = a * d - b * c
            u, v = u - (d * bend - b * excess) / det, v - (a * excess - c * bend) / det
        good = (np.abs(bend) < _CONVERGED) & (np.abs(excess) < _CONVERGED * (1.0 + abs(target)))
        good &= (np.abs(u - v) > _APART) & (np.minimum(u, v) > low) & (np.maximum(u, v) < high)
        # Where the slopes vanish everything is nearly critical: of those left, the best conditioned counts.
        size = np.where(good & np.isfinite(det), np.abs(det), -1.0)
    k = int(np.argmax(size))
    return (float(u[k]), float(v[k])) if size[k] > 0.0 else None


# --- intervals: proof -----------------------------------------------------------------------------


def _krawczyk(data: ExactData, pair: _Pair, chosen: Arithmetic) -> Interval | None:
    """Two disjoint intervals with a solution, (2,), by x - Y g(x) + (I - Y Dg(box)) (box - x) inside the box."""
    centre = np.array([pair.u, pair.v])
    values, slopes = _system(data, pair, Interval(centre), chosen)
    Y = inverse(slopes.mid)
    if Y is None:
        return None
    step = product(Y, values.reshape(2, 1)).reshape(2)
    radius = 2.0 * step.mag + 1e-15 * np.abs(centre)
    for _ in range(_INFLATIONS):
        box = Interval(centre).widened(radius)
        rest = Interval(np.eye(2)) - product(Y, _system(data, pair, box, chosen)[1])
        image = (Interval(centre) - step) + product(rest, (box - Interval(centre)).reshape(2, 1)).reshape(2)
        if ((image.lo > box.lo) & (image.hi < box.hi)).all():
            apart = image.hi[0] < image.lo[1] or image.hi[1] < image.lo[0]
            return image if apart else None
        radius = 3.0 * radius
    return None


def _system(data: ExactData, pair: _Pair, x: Interval, chosen: Arithmetic) -> tuple[Interval, Interval]:
    """g = (phi''(u) - phi''(v), p phi(u) + (m - p) phi(v) - y / a), (2,), and its Jacobian, (2, 2)."""
    manifold = data.manifold
    found = chosen.enclose(derivatives(manifold.network.unit, 3), x)
    counts = Interval(np.array([float(pair.count), float(manifold.m - pair.count)]))
    target = Interval(manifold.y[pair.sample]) / Interval(manifold.a[0, pair.sample])
    outputs = counts * found["0"]
    values = stack([found["2"][0] - found["2"][1], outputs[0] + outputs[1] - target])
    tops = stack([found["3"][0], -found["3"][1]])
    return values, stack([tops, counts * found["1"]])


def _point(data: ExactData, pair: _Pair, found: Interval, chosen: Arithmetic) -> DisagreeingPoint:
    """The other samples at their rank-one features, and the weights that give all of these."""
    manifold = data.manifold
    features, exist = rank_one_features(data, chosen)
    exist[pair.sample] = True
    if not exist.all():
        i = int(np.flatnonzero(~exist)[0])
        return _none(data, f"phi is not proved to take the value y / sum_j a_j of sample {i} just once", False, chosen)
    lo, hi = (np.tile(end, (manifold.m, 1)) for end in (features.lo, features.hi))
    first = np.arange(manifold.m) < pair.count
    lo[:, pair.sample] = np.where(first, found.lo[0], found.lo[1])
    hi[:, pair.sample] = np.where(first, found.hi[0], found.hi[1])
    Z = Interval(lo, hi)
    coordinates = manifold.coordinates
    theta = coordinates.expand(coordinates.weights_from_preactivations(Z.mid))
    gap = (Ball(data, theta).z - Z).power(2).sum().sqrt() / Interval(data.mu.low).sqrt()
    claim = f"grad F = 0 at a point of M within {above(float(gap.hi))} of theta: on sample {pair.sample}, "
    claim += f"{pair.count} of {manifold.m} units have z = {found.mid[0]:.9g}, the others {found.mid[1]:.9g}"
    certificate = Certificate(_NAME, True, claim, "", chosen.description)
    return DisagreeingPoint(certificate, theta, lo, hi, float(gap.hi), pair.sample)
