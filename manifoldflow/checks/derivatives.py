"""Checks of gradients and Hessians along curves of a manifold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..validation import Array, generator, positive_integer, positive_number
from .differences import EPS, Difference, Order, differentiate, slope, smallest_order
from .protocol import (
    GeodesicManifold,
    Manifold,
    checked_point,
    inner,
    is_induced,
    length,
    unit_tangents,
    wrong_projection,
)
from .record import CheckResult, Comparison, outcome

Cost = Callable[[Any], Any]
Field = Callable[[Any], Any]
Operator = Callable[[Any, Any], Any]


def check_gradient(
    manifold: Manifold,
    cost: Cost,
    gradient: Field,
    point: Any,
    *,
    oracle: Field | None = None,
    rng: int | np.random.Generator = 0,
    n_directions: int = 6,
    resolution: float = 1e-5,
    tolerance: float = 1e-10,
) -> CheckResult:
    """Check a Riemannian gradient: d/dt cost(R(point, t u)) at 0 is <gradient, u> for tangent vectors u.

    The derivative is measured by extrapolated differences with an error estimate, along the gradient and in random
    directions; the gradient must be tangent too.

    Args:
        manifold: any `Manifold`; its own metric is used where it has one.
        cost: point -> float.
        gradient: point -> tangent vector, of the points' shape.
        point: where, an array of any shape.
        oracle: an exact gradient, if there is one (automatic differentiation): then it is compared with too.
        rng: seed of the directions.
        n_directions: how many, besides the gradient itself. An error orthogonal to all is not seen.
        resolution: the relative error that must be noticeable for "ok".
        tolerance: the relative error that passes for the derivative's own rounding. Beside it 1000 roundings of the
            cost over the point's size are allowed, which is what is left of a gradient at a stationary point.

    Returns:
        An immutable `CheckResult`.

    Raises:
        InputError: an argument outside its domain.

    Source: Absil, Mahony and Sepulchre (2008), section 3.6.

    >>> import manifoldflow as mf
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=3), np.eye(2), [1.0, 2.0])
    >>> found = check_gradient(man, man.sharpness, man.gradient, man.random_point(rng=0))
    >>> found.verdict, found.detection_floor < 1e-7
    ('ok', True)
    """
    point, stream = checked_point(manifold, point), generator(rng)
    count, needed = positive_integer("n_directions", n_directions), positive_number("resolution", resolution)
    allowed = positive_number("tolerance", tolerance, allow_zero=True)
    g = np.asarray(gradient(point), dtype=np.float64)
    faults = [*_tangency(manifold, point, g, "gradient", stream), *_against(oracle and oracle(point), g)]
    size = length(manifold, point, g)
    directions = unit_tangents(manifold, point, count, stream) + ([g / size] if size > 0.0 else [])
    differences = [
        differentiate(_values(cost, manifold.retraction, point, u), 1, scale_of(point, u)) for u in directions
    ]
    injected = unit_tangents(manifold, point, 4, stream) + directions[-1:]
    comparison = _comparison(
        [inner(manifold, point, g, u) for u in directions], differences, size,
        [[size * inner(manifold, point, w, u) for u in directions] for w in injected], allowed,
    )  # fmt: skip
    return _result("gradient", comparison, differences, needed, faults, expected=2)


def check_hessian(
    manifold: Manifold,
    gradient: Field,
    hessian: Operator,
    point: Any,
    *,
    cost: Cost | None = None,
    oracle: Operator | None = None,
    rng: int | np.random.Generator = 0,
    n_directions: int = 6,
    resolution: float = 1e-5,
    tolerance: float = 1e-10,
) -> CheckResult:
    """Check a Riemannian Hessian, and that it is symmetric and tangent.

    Without `cost` against the gradient: d/dt <gradient(R(point, t u)), v> at 0 is <hessian(u), v> for tangent u, v,
    which holds where the metric is that of the surrounding space. With `cost`, for any metric, by second differences
    along geodesics (`exp`, or else the retraction, which must be of second order): d^2/dt^2 cost is <hessian(u), u>.
    The first sees smaller errors, the second does not trust the gradient.

    Args:
        manifold: any `Manifold`.
        gradient: point -> Riemannian gradient.
        hessian: (point, tangent vector) -> tangent vector.
        point: where, an array of any shape.
        cost: point -> float, or None.
        oracle: an exact Hessian, if there is one; compared on the directions.
        rng, n_directions, resolution, tolerance: as for `check_gradient`.

    Returns:
        An immutable `CheckResult`; "not decided" where the metric is another and no cost is given.

    Raises:
        InputError: an argument outside its domain.

    Source: Absil, Mahony and Sepulchre (2008), sections 5.3 and 5.5.

    >>> import manifoldflow as mf
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=3), np.eye(2), [1.0, 2.0])
    >>> theta = man.random_point(rng=0)
    >>> check_hessian(man, man.gradient, man.hessian_vector_product, theta).verdict
    'ok'
    >>> wrong = lambda theta, u: (1.0 + 1e-6) * man.hessian_vector_product(theta, u)
    >>> check_hessian(man, man.gradient, wrong, theta).verdict
    'wrong'
    """
    point, stream = checked_point(manifold, point), generator(rng)
    count, needed = positive_integer("n_directions", n_directions), positive_number("resolution", resolution)
    allowed = positive_number("tolerance", tolerance, allow_zero=True)
    directions = unit_tangents(manifold, point, count, stream)
    images = [np.asarray(hessian(point, u), dtype=np.float64) for u in directions]
    size = max((length(manifold, point, image) for image in images), default=0.0)
    faults = _asymmetry(manifold, point, directions, images, size)
    for u, image in zip(directions, images, strict=True):
        faults += [*_tangency(manifold, point, image, "Hessian", stream), *_against(oracle and oracle(point, u), image)]
    if cost is not None:
        differences = [_along_geodesic(manifold, cost, point, u) for u in directions]
        tests = [[u] for u in directions]
    elif is_induced(manifold, point, directions):
        differences = [_along_curve(manifold, gradient, point, u, directions) for u in directions]
        tests = [directions for _ in directions]
    else:
        reason = "The metric is not that of the surrounding space: give cost, to differentiate along geodesics."
        return CheckResult("hessian", "not decided", np.nan, np.inf, None, 2, (0.0, 0.0), reason)
    pairs = [(k, v) for k, row in enumerate(tests) for v in row]
    comparison = _comparison(
        [inner(manifold, point, images[k], v) for k, v in pairs], differences, size,
        [[size * inner(manifold, point, w, v) for _, v in pairs] for w in unit_tangents(manifold, point, 4, stream)],
        allowed,
    )  # fmt: skip
    start = [0.0] * len(pairs) if cost is None else [inner(manifold, point, gradient(point), u) for u in directions]
    return _result(
        "hessian", comparison, differences, needed, faults, expected=2 if cost is None else 3, slopes=np.array(start)
    )


def _along_curve(manifold: Manifold, gradient: Field, point: Array, u: Array, tests: list[Array]) -> Difference:
    def components(t: float) -> Array:
        moved = np.asarray(gradient(manifold.retraction(point, t * u)))
        return np.array([np.vdot(moved, v) for v in tests])

    return differentiate(components, 1, scale_of(point, u))


def _along_geodesic(manifold: Manifold, cost: Cost, point: Array, u: Array) -> Difference:
    curve = manifold.exp if isinstance(manifold, GeodesicManifold) else manifold.retraction
    return differentiate(_values(cost, curve, point, u), 2, scale_of(point, u))


def _values(cost: Cost, curve: Operator, point: Array, u: Array) -> Callable[[float], Array]:
    return lambda t: np.array([cost(curve(point, t * u))])


def scale_of(point: Array, u: Array) -> float:
    """The longest step: the size of the point, over that of the direction."""
    size = float(np.linalg.norm(point))
    return (size if size > 0.0 else 1.0) / max(float(np.linalg.norm(u)), np.finfo(float).tiny)


def _tangency(manifold: Manifold, point: Array, vector: Array, name: str, stream: np.random.Generator) -> list[str]:
    fault = wrong_projection(manifold, point, stream)
    if fault:
        return [fault]
    size = float(np.linalg.norm(vector))
    off = float(np.linalg.norm(manifold.projection(point, vector) - vector))
    return [f"The {name} is not tangent: {off / size:.1e} of it is normal."] if off > 1e-7 * size else []


def _asymmetry(manifold: Manifold, point: Array, us: list[Array], images: list[Array], size: float) -> list[str]:
    pairs = [(j, k) for j in range(len(us)) for k in range(j)]
    skew = [inner(manifold, point, images[j], us[k]) - inner(manifold, point, us[j], images[k]) for j, k in pairs]
    worst = max((abs(x) for x in skew), default=0.0)
    return [f"The Hessian is not symmetric: by {worst / size:.1e} of its size."] if worst > 1e-7 * size else []


def _against(exact: Any, claimed: Array) -> list[str]:
    """Compare with an exact derivative; both are exact to rounding times a condition, taken to be below 1e5."""
    if exact is None:
        return []
    size = float(np.linalg.norm(exact))
    error = float(np.linalg.norm(claimed - np.asarray(exact)))
    return [f"It differs from the oracle by {error / size:.1e} of it."] if error > 1e-11 * size else []


def _comparison(
    claimed: list[float], differences: list[Difference], size: float, effects: Any, tolerance: float
) -> Comparison:
    natural = max(float(np.abs(found.centre).max()) / found.steps.max(initial=np.inf) for found in differences)
    return Comparison(
        np.array(claimed), np.concatenate([found.value for found in differences]),
        np.concatenate([found.error for found in differences]), size, np.array(effects),
        tolerance * size + 1e3 * EPS * natural,
    )  # fmt: skip


def _result(
    check: str, comparison: Comparison, differences: list[Difference], resolution: float, faults: list[str],
    expected: int, slopes: Array | None = None,
) -> CheckResult:  # fmt: skip
    floor = comparison.floor() if comparison.decided and comparison.scale > 0.0 else np.inf
    verdict, reason = outcome(comparison, floor, resolution, faults)
    order, window = _order(comparison, differences, expected, slopes)
    return CheckResult(check, verdict, comparison.relative_error, floor, order, expected, window, reason)


def _order(
    comparison: Comparison, differences: list[Difference], expected: int, slopes: Array | None
) -> Order:
    """Smallest slope of the remainders f(h) - f(0) - h f'(0) [- h^2/2 f''(0)], each of its largest component."""
    found, at = [], 0
    for difference in differences:
        k = difference.value.size
        here = slice(at, at + k)
        at += k
        h = difference.steps[:, None]
        claimed = comparison.claimed[here]
        first = claimed if expected == 2 or slopes is None else slopes[here]
        taylor = difference.centre + h * first + (0.5 * h**2 * claimed if expected == 3 else 0.0)
        remainder = np.abs(difference.values[:, 0] - taylor).max(axis=1)
        found.append(slope(difference.steps, remainder, float(difference.noise.max())))
    return smallest_order(found)
