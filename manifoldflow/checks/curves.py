"""Checks of retractions and geodesics: velocity, acceleration, and whether the curve stays on the manifold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from ..validation import Array, generator, positive_integer, positive_number
from .derivatives import scale_of
from .differences import Difference, Order, differentiate, slope, smallest_order, tried
from .protocol import REFUSALS, GeodesicManifold, Manifold, checked_point, is_induced, unit_tangents, wrong_projection
from .record import CheckResult, Comparison, outcome

Residual = Callable[[Any], Any]
_ON_MANIFOLD = 1e-8  # largest residual, and largest movement of a point by a zero step, relative to 1 + |point|


@dataclass(frozen=True, eq=False)
class _Expected:
    """A vector by differences, what it should be, and the size that an error is relative to."""

    claimed: Array
    found: Difference
    scale: float

    @property
    def off(self) -> float:
        """How far it is from that, relative to the size; NaN where it could not be measured."""
        return float(np.linalg.norm(self.found.value - self.claimed)) / self.scale

    @property
    def error(self) -> float:
        """Its estimated error, relative to the size: errors of single components add up."""
        return float(np.linalg.norm(self.found.error)) / self.scale


def check_retraction(
    manifold: Manifold,
    point: Any,
    *,
    order: int = 2,
    residual: Residual | None = None,
    rng: int | np.random.Generator = 0,
    n_directions: int = 3,
    resolution: float = 1e-4,
    tolerance: float = 1e-8,
) -> CheckResult:
    """Check a retraction R: R(point, 0) = point, d/dt R(point, t u) = u; of order 2, no tangential acceleration.

    A retraction of order 2 agrees with the geodesics to third order in the step, which Hessians along it need.

    Args:
        manifold: a `Manifold` with the metric of the surrounding space.
        point: where, an array of any shape.
        order: 1, or 2 for a second-order retraction.
        residual: a function that vanishes on the manifold alone, to see whether the retraction's points lie on it.
        rng, n_directions, resolution: as for `check_gradient`; an acceleration is relative to the whole
            acceleration, and at least to |u|^2 / |point|.
        tolerance: the relative error that passes, as of a retraction that is found by iteration.

    Returns:
        An immutable `CheckResult`: `order` is the slope of the tangential part of R(point, h u) - point - h u, 2 for a
        first-order retraction and 3 for one of second order.

    Raises:
        InputError: an argument outside its domain.

    Source: Absil and Malick (2012).

    >>> import manifoldflow as mf
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=3), np.eye(2), [1.0, 2.0])
    >>> check_retraction(man, man.random_point(rng=0), residual=man.residual).verdict
    'ok'
    """
    point, stream = checked_point(manifold, point), generator(rng)
    count, needed = positive_integer("n_directions", n_directions), positive_number("resolution", resolution)
    allowed = positive_number("tolerance", tolerance, allow_zero=True)
    if order not in (1, 2):
        raise InputError(f"order must be 1 or 2; got {order!r}.")
    fault = wrong_projection(manifold, point, stream)
    tangents = unit_tangents(manifold, point, count, stream)
    if order == 2 and not is_induced(manifold, point, tangents):
        return _not_induced("retraction")
    curves = [_curve(manifold.retraction, point, u) for u in tangents]
    faults = [fault] if fault else []
    faults += _not_a_start(curves[0], point) + _off(residual, curves[0], point, scale_of(point, tangents[0]))
    parts, orders = [], []
    for curve, u in zip(curves, tangents, strict=True):
        scale = scale_of(point, u)
        velocity = differentiate(curve, 1, scale)
        parts.append(_Expected(u.ravel(), velocity, float(np.linalg.norm(u))))
        if order == 2:
            parts.append(_tangential(manifold, point, differentiate(curve, 2, scale), u))
        orders.append(_tangential_order(manifold, point, velocity, u))
    return _judged("retraction", parts, (needed, allowed), faults, orders, order + 1)


def check_geodesic(
    manifold: GeodesicManifold,
    point: Any,
    tangent: Any | None = None,
    *,
    residual: Residual | None = None,
    rng: int | np.random.Generator = 0,
    n_points: int = 4,
    resolution: float = 1e-4,
    tolerance: float = 1e-8,
) -> CheckResult:
    """Check that t -> exp(point, t u) is the geodesic with velocity u: it stays on M, without tangential acceleration.

    At times from 0 to 1 its velocity must be tangent where it is and of constant length, and its acceleration normal.

    Args:
        manifold: a `GeodesicManifold` with the metric of the surrounding space.
        point: where it begins.
        tangent: u (None: random, a tenth of the point's size).
        residual: a function that vanishes on the manifold alone.
        rng: seed of u.
        n_points: times at which it is looked at, the first is 0.
        resolution: as for `check_retraction`.
        tolerance: the relative error that passes, as of a geodesic that is integrated.

    Returns:
        An immutable `CheckResult`; `order` as for `check_retraction`, 3.

    Raises:
        InputError: an argument outside its domain.

    >>> import manifoldflow as mf
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=3), np.eye(2), [1.0, 2.0])
    >>> check_geodesic(man, man.random_point(rng=0)).verdict
    'ok'
    """
    point, stream = checked_point(manifold, point), generator(rng)
    count, needed = positive_integer("n_points", n_points), positive_number("resolution", resolution)
    allowed = positive_number("tolerance", tolerance, allow_zero=True)
    if not isinstance(manifold, GeodesicManifold):
        raise InputError(f"manifold must have a method exp(point, tangent); a {type(manifold).__name__} has none.")
    fault = wrong_projection(manifold, point, stream)
    directions = unit_tangents(manifold, point, 2, stream)
    if not is_induced(manifold, point, directions):
        return _not_induced("geodesic")
    size = float(np.linalg.norm(point)) or 1.0
    u = 0.1 * size * directions[0] if tangent is None else np.asarray(manifold.projection(point, tangent))
    curve = _curve(manifold.exp, point, u)
    faults = ([fault] if fault else []) + _not_a_start(curve, point) + _off(residual, curve, point, 1.0)
    start = differentiate(curve, 1, 1.0)
    parts = [_Expected(u.ravel(), start, float(np.linalg.norm(u)))]
    for t in np.linspace(0.0, 1.0, count):
        try:
            parts += _at(manifold, curve, float(t), point, u)
        except REFUSALS as error:
            faults.append(f"At time {t:.2g} the curve is not on the manifold: {error}")
    return _judged("geodesic", parts, (needed, allowed), faults, [_tangential_order(manifold, point, start, u)], 3)


def _at(manifold: Manifold, curve: Callable[[float], Array], t: float, point: Array, u: Array) -> list[_Expected]:
    """Velocity and acceleration at a time of a geodesic against what they should be."""
    here = tried(curve, t, point.size).reshape(point.shape)
    speed = float(np.linalg.norm(u))
    velocity = differentiate(lambda s: tried(curve, t + s, point.size), 1, 0.5)
    if not np.isfinite(velocity.value).all():
        return [_Expected(u.ravel(), velocity, speed)]
    along = np.asarray(manifold.projection(here, velocity.value.reshape(point.shape))).ravel()
    along *= speed / max(float(np.linalg.norm(along)), np.finfo(float).tiny)
    acceleration = differentiate(lambda s: tried(curve, t + s, point.size), 2, 0.5)
    return [_Expected(along, velocity, speed), _tangential(manifold, here, acceleration, u)]


def _curve(step: Callable[[Any, Any], Any], point: Array, u: Array) -> Callable[[float], Array]:
    return lambda t: np.asarray(step(point, t * u), dtype=np.float64).ravel()


def _tangential(manifold: Manifold, here: Array, found: Difference, u: Array) -> _Expected:
    """The acceleration, which should be its own normal part."""
    a = found.value
    if not np.isfinite(a).all():
        return _Expected(np.zeros_like(a), found, 1.0)
    normal = a - np.asarray(manifold.projection(here, a.reshape(here.shape))).ravel()
    least = float(np.vdot(u, u)) / (float(np.linalg.norm(here)) or 1.0)
    return _Expected(normal, found, max(float(np.linalg.norm(a)), least))


def _tangential_order(
    manifold: Manifold, point: Array, found: Difference, u: Array
) -> Order:
    """Slope of the tangential part of c(h) - c(0) - h u."""
    remainders = [
        float(np.linalg.norm(manifold.projection(point, (ends[0] - found.centre - h * u.ravel()).reshape(point.shape))))
        for h, ends in zip(found.steps, found.values, strict=True)
    ]
    return slope(found.steps, np.array(remainders), float(np.linalg.norm(found.noise)))


def _not_a_start(curve: Callable[[float], Array], point: Array) -> list[str]:
    moved = float(np.linalg.norm(curve(0.0) - point.ravel()))
    allowed = _ON_MANIFOLD * (1.0 + float(np.linalg.norm(point)))
    return [] if moved <= allowed else [f"A step of length 0 moves the point by {moved:.1e}."]


def _off(residual: Residual | None, curve: Callable[[float], Array], point: Array, scale: float) -> list[str]:
    """Where points of the curve, for steps of 1/16 and less of the scale, are not on the manifold."""
    if residual is None:
        return []
    curve_at = (tried(curve, scale * step, point.size) for step in (0.0625, 1e-2, 1e-3, 1e-6))
    points = [x.reshape(point.shape) for x in curve_at if np.isfinite(x).all()]
    worst = max((float(np.abs(residual(x)).max()) for x in points), default=0.0)
    allowed = _ON_MANIFOLD * (1.0 + float(np.linalg.norm(point)))
    return [] if worst <= allowed else [f"Its points are not on the manifold: the residual is {worst:.1e}."]


def _judged(
    check: str, parts: list[_Expected], limits: tuple[float, float], faults: list[str],
    orders: list[Order], expected: int,
) -> CheckResult:  # fmt: skip
    """The verdict of several comparisons, each of one number; limits: resolution and tolerance."""
    together = Comparison(
        np.array([part.off for part in parts]), np.zeros(len(parts)), np.array([part.error for part in parts]), 1.0,
        np.eye(len(parts)), limits[1],
    )  # fmt: skip
    floor = together.floor() if together.decided else np.inf
    verdict, reason = outcome(together, floor, limits[0], faults)
    order, window = smallest_order(orders)
    return CheckResult(check, verdict, together.relative_error, floor, order, expected, window, reason)


def _not_induced(check: str) -> CheckResult:
    reason = "The metric is not that of the surrounding space, in which accelerations are measured here."
    return CheckResult(check, "not decided", np.nan, np.inf, None, 3, (0.0, 0.0), reason)
