"""Geodesic convexity measured: the sharpness along a geodesic, its derivatives, and whether it is convex there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from .compiled import geometry
from .errors import GeometryError, InputError
from .geodesics import RTOL, Path
from .immutable import ReadOnlyArrays, lock
from .manifold import ZeroLossManifold
from .reproducible import reproducible
from .validation import Array, instance, positive_integer, real_array

# Error allowed for a second derivative, relative to the sum of the absolute values of its terms: some hundred times
# what is seen against automatic differentiation for Gram matrices of condition 1e6.
HESSIAN_ERROR = 1e-9
EPS = np.finfo(float).eps


@dataclass(frozen=True, eq=False)
class GeodesicConvexity(ReadOnlyArrays):
    """F along a geodesic gamma at k equidistant times, and a verdict on its convexity there.

    `t`, `sharpness` F, `first` = <grad F, gamma'>, `second` = <Hess F[gamma'], gamma'>, `second_error`: (k,) each;
    `second_difference` of F and `difference_error`, rounding and truncation: (k - 2,), at t[1:-1]; `consistent`: the
    two second derivatives agree within their errors at every time; `smallest`, the smallest second derivative along the
    segment (refined between the times), met at `smallest_at`; `lower_bound` of it between the times, from its own
    second differences, an estimate and no enclosure; `verdict`: "convex" where that bound is positive, "not convex"
    where `smallest` is negative beyond its error, else "undecided", which it is too where `consistent` is False.
    """

    t: Array
    sharpness: Array
    first: Array
    second: Array
    second_error: Array
    second_difference: Array
    difference_error: Array
    consistent: bool
    smallest: float
    smallest_at: float
    lower_bound: float
    verdict: str
    message: str

    def __repr__(self) -> str:
        where = f"{self.smallest:.4g} at t = {self.smallest_at:.4g}"
        return f"GeodesicConvexity({self.verdict}: smallest second derivative {where})"


@reproducible
def geodesic_convexity(
    manifold: ZeroLossManifold,
    theta: ArrayLike,
    u: ArrayLike,
    *,
    t_span: tuple[float, float] = (0.0, 1.0),
    n_points: int = 129,
) -> GeodesicConvexity:
    """Measure whether F is convex along the geodesic gamma from theta with velocity u: (F o gamma)'' against 0.

    The second derivative <Hess F[gamma'], gamma'> comes from the structured Hessian and is compared with second
    differences of F, (F(t - h) - 2 F(t) + F(t + h)) / h^2, within their errors: 4 times the rounding of F over h^2, and
    h^2 / 12 times the fourth derivative.

    Args:
        manifold: the zero-loss manifold.
        theta: a point on it, (m, d + p), at t = 0.
        u: velocity there, (m, d + p), projected to be tangent.
        t_span: times between which it is looked at, start before end.
        n_points: number of equidistant times, at least 5.

    Returns:
        An immutable `GeodesicConvexity`.

    Raises:
        InputError: an argument outside its domain.
        GeometryError: theta is not on M, or the geodesic leaves the region where it can be followed.

    Source: S3 (local geodesic convexity; far from stationarity it fails), with E of `docs/theory.md`.

    >>> import manifoldflow as mf
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=2), np.eye(2), [2.0, 2.0])
    >>> u = [[0.3, 0.0], [-0.3, 0.0]]
    >>> geodesic_convexity(man, mf.flattest_point(man).x, u).verdict
    'convex'
    """
    instance("manifold", manifold, ZeroLossManifold)
    count = positive_integer("n_points", n_points)
    low, high = real_array("t_span", t_span, shape=(2,))
    if count < 5 or not low < high:
        raise InputError(f"n_points must be at least 5 and t_span increase; got {n_points} and {t_span!r}.")
    t = np.linspace(low, high, count)
    path = manifold.geodesic(theta, u, t[[0, -1]]).path
    rows = np.array([_measure(path, float(time)) for time in t])
    smallest, at = _refined_minimum(path, t, rows[:, 2])
    return judge(t, *rows.T, smallest=smallest, smallest_at=at)


def _measure(path: Path, t: float) -> tuple[float, float, float, float, float]:
    """F, its two derivatives along the geodesic, the second's error, and the rounding of F."""
    manifold = path.manifold
    W, U = path.reduced(t)
    work, gradient, image = manifold.workspace(), np.empty_like(W), np.empty_like(W)
    F, info = geometry.gradient(W, manifold.problem, work, gradient)
    info = max(abs(info), abs(geometry.hessian_vector_product(W, manifold.problem, work, U, image)))
    if info != 0 or not np.isfinite(image).all():
        raise GeometryError(f"The Hessian of the sharpness cannot be evaluated at t = {t:.4g} of the geodesic.")
    r = manifold.problem.R.shape[1]
    own = np.broadcast_to(U[:, r:].T[:, :, None], (U.shape[1] - r, *work.z.shape))
    v = np.abs(np.concatenate([(U[:, :r] @ manifold.problem.R.T)[None], own]))
    # E is what is left of Hess h after the multipliers' part, which may cancel it: both count.
    size = np.abs(work.E) + np.abs(work.lam[0] * work.H)
    terms = float(np.einsum("pqji,pji,qji->", size, v, v))
    # A point of the geodesic is off along it by the tolerance of the integration.
    noise = 16.0 * EPS * abs(F) + 2.0 * RTOL * float(np.linalg.norm(gradient)) * float(np.linalg.norm(W))
    return F, float(np.vdot(gradient, U)), float(np.vdot(image, U)), HESSIAN_ERROR * terms, noise


def _refined_minimum(path: Path, t: Array, second: Array) -> tuple[float, float]:
    """The smallest second derivative next to the smallest seen, and where."""
    k = int(np.argmin(second))
    low, high = float(t[max(k - 1, 0)]), float(t[min(k + 1, t.size - 1)])
    options = {"xatol": 1e-6 * (high - low)}
    refined = minimize_scalar(
        lambda time: _measure(path, float(time))[2], bounds=(low, high), method="bounded", options=options
    )
    return (float(refined.fun), float(refined.x)) if refined.fun < second[k] else (float(second[k]), float(t[k]))


def judge(
    t: Array, F: Array, first: Array, second: Array, error: Array, noise: Array, *, smallest: float, smallest_at: float
) -> GeodesicConvexity:
    """The verdict on measured numbers: F and its derivatives at equidistant times t, the errors of `second` and F.

    >>> t = np.linspace(-1.0, 1.0, 9)
    >>> small = np.full(9, 1e-12)
    >>> judge(t, t**2, 2 * t, np.full(9, 2.0), small, small, smallest=2.0, smallest_at=0.0).verdict
    'convex'
    >>> judge(t, t**2, 2 * t, np.full(9, 2.1), small, small, smallest=2.1, smallest_at=0.0).verdict
    'undecided'
    """
    h = float(t[1] - t[0])
    difference = (F[:-2] - 2.0 * F[1:-1] + F[2:]) / h**2
    bend = _largest_nearby(np.abs(second[:-2] - 2.0 * second[1:-1] + second[2:]))  # h^2 (F o gamma)''''
    # Twice the leading terms, for the orders after them.
    difference_error = 4.0 * noise[1:-1] / h**2 + 2.0 * bend / 12.0
    consistent = bool(np.all(np.abs(difference - second[1:-1]) <= difference_error + error[1:-1]))
    between = np.maximum(np.concatenate([bend[:1], bend]), np.concatenate([bend, bend[-1:]]))
    lower = np.minimum(second[:-1], second[1:]) - 2.0 * between / 8.0 - np.maximum(error[:-1], error[1:])
    lower_bound = float(min(lower.min(), smallest))
    verdict, message = _verdict(consistent, smallest, float(error.max()), lower_bound)
    return GeodesicConvexity(
        t=_frozen(t), sharpness=_frozen(F), first=_frozen(first), second=_frozen(second), second_error=_frozen(error),
        second_difference=_frozen(difference), difference_error=_frozen(difference_error), consistent=consistent,
        smallest=smallest, smallest_at=smallest_at, lower_bound=lower_bound, verdict=verdict, message=message,
    )  # fmt: skip


def _frozen(values: Array) -> Array:
    copied = np.array(values)
    lock(copied)
    return copied


def _largest_nearby(values: Array) -> Array:
    """The largest of each value and its neighbours."""
    padded = np.concatenate([values[:1], values, values[-1:]])
    return np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])


def _verdict(consistent: bool, smallest: float, error: float, lower_bound: float) -> tuple[str, str]:
    if not consistent:
        return "undecided", (
            "Second differences of F and the Hessian disagree beyond their errors. Use more points or a shorter span."
        )
    if smallest < -error:
        return "not convex", f"The second derivative falls to {smallest:.4g}, below 0 beyond its error {error:.1g}."
    if lower_bound > 0.0:
        return "convex", f"The second derivative is at least {lower_bound:.4g} (an estimate between the times)."
    return "undecided", (
        f"The smallest second derivative {smallest:.4g} is not told from 0: between the times it may fall to "
        f"{lower_bound:.4g} (error {error:.1g}). Use more points; where F is constant along the geodesic it stays so."
    )
