"""Is the Riemannian Hessian of the sharpness at least c on a ball? Intervals for E, then a verified Cholesky.

Hess F[U, U] = sum_ji E_ji u_ji^2 with u_ji = U_j . x_i, so for U in the span of the data it splits into one n x n
problem a unit: it is at least c |U|^2 where D^(1/2) G D^(1/2) - c I has no negative eigenvalue, D the diagonal of lower
bounds of E_j over the ball. That does not use that U is tangent, sum_j B_ji u_ji = 0 for each sample i. A second bound
does: on this hyperplane sum_j E_ji u_ji^2 >= t_i sum_j u_ji^2 with t_i up to the second smallest E_ji, so that E may be
negative for one unit; D is then the diagonal of the t_i, the same for all units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError
from ..manifold import ZeroLossManifold
from ..reproducible import reproducible
from ..validation import Array, instance, positive_number
from .features import Ball
from .interval import INF, Interval, Mask
from .linear import floor_root, hadamard_gram, product, smallest_eigenvalue_bound, solution_near
from .record import Certificate, above, below

_BISECTIONS = 60
_SLACKS = (1e-14, 1e-11, 1e-7)
_WORK = 2e9  # operations that the blocks of single units may take; beyond, one block bounds all units


@dataclass(frozen=True)
class HessianBound:
    """A lower bound of the Riemannian Hessian at all points of M within `radius` of theta.

    `bound` is the largest c that was proved on the tangent space within the data's span, -inf where none was. `blocks`
    says which bound is the larger: "units" (a block for each), "samples" (one for all, with the smallest E of each
    sample, for large sizes) or "tangent" (one for all, with tangency).
    """

    certificate: Certificate
    bound: float
    radius: float
    blocks: str


@reproducible
def hessian_lower_bound(
    manifold: ZeroLossManifold, theta: ArrayLike, radius: float, bound: float | None = None
) -> HessianBound:
    """Prove Hess F >= c at every point of M in a ball, on T intersected with the span of the data.

    E_ji = 4 a^2 s phi' phi''' + a phi'' (4 a s phi'' - lambda), with lambda = (J J^T)^{-1} J grad F enclosed over the
    ball by a verified linear system.

    Args:
        manifold: the zero-loss manifold, with units a*phi(z) and independent samples.
        theta: centre of the ball, (m, d).
        radius: of the ball, in the Euclidean norm over all parameters; may be 0.
        bound: the c to be proved (None: the largest that can be).

    Returns:
        A `HessianBound`; its certificate says why where there is no proof.

    Raises:
        InputError: units of another form, or an argument outside its domain.

    Source: S3, S10 (E of `docs/theory.md`); Rump, Verification of positive definiteness (BIT 2006).

    >>> import manifoldflow as mf
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=3), np.eye(2), [3.0, 3.0])
    >>> found = hessian_lower_bound(man, mf.flattest_point(man).x, 1e-9)
    >>> eigenvalue = man.hessian_spectrum(mf.flattest_point(man).x)[0]
    >>> bool(0.99999 * eigenvalue < found.bound < eigenvalue)
    True
    """
    instance("manifold", manifold, ZeroLossManifold)
    wanted = None if bound is None else _finite(bound)
    ball = Ball.around(manifold, theta, positive_number("radius", radius, allow_zero=True))
    curvatures = hessian_weights(ball)
    found, blocks, reason = (-INF, "none", _SINGULAR) if curvatures is None else _bound(ball, curvatures)
    if wanted is not None and not reason and found < wanted:
        reason = f"only {below(found, 17)} is proved"
    claim = f"Hess F >= {_number(found, wanted)} at all points of M within {above(ball.radius)} of theta"
    certificate = Certificate("Hessian bound", not reason, claim, reason, ball.arithmetic.description)
    return HessianBound(certificate, found, ball.radius, blocks)


_SINGULAR = "J J^T may be singular in the ball, so that the multipliers cannot be enclosed; take a smaller radius"


def _number(found: float, wanted: float | None) -> str:
    if wanted is not None:
        return below(wanted, 17)
    return "c" if found == -INF else below(found, 7)


def _finite(value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not np.isfinite(value):
        raise InputError(f"bound must be a finite number; got {value!r}.")
    return float(value)


def gradient_weight(a: Any, s: Any, first: Any, second: Any) -> Any:
    """A_ji, the Euclidean gradient of F being A X; for intervals, and any numbers that can be multiplied."""
    return 4.0 * a * a * s * first * second


def hessian_weight(a: Any, s: Any, first: Any, second: Any, third: Any, lam: Any) -> Any:
    """E_ji in a form whose second term is small near stationary points, where a phi'' is nearly lambda / (4 s)."""
    return 4.0 * a * a * s * first * third + a * second * (4.0 * a * s * second - lam)


def multipliers(ball: Ball) -> Interval | None:
    """lambda = (J J^T)^{-1} J grad F over the ball, (n,); None where J J^T may be singular there."""
    G, B = ball.data.gram, ball.slopes[0]
    A = gradient_weight(ball.data.a, ball.data.s, *ball.phi[1:3])
    K = hadamard_gram(B, B, G)
    middle = _approximate_multipliers(K.mid, B.mid, A.mid, G.mid)
    if middle is None:
        return None
    # K (lambda - middle) = J (A - B middle) X, which is small near stationary points.
    rest = A - B * Interval(middle)
    difference = solution_near(K, (B * product(rest, G)).sum(axis=0))
    return None if difference is None else Interval(middle) + difference


def _approximate_multipliers(K: Array, B: Array, A: Array, G: Array) -> Array | None:
    if not all(np.isfinite(part).all() for part in (K, B, A)):
        return None
    try:
        return np.asarray(np.linalg.solve(K, np.sum(B * (A @ G), axis=0)))
    except np.linalg.LinAlgError:
        return None


def hessian_weights(ball: Ball) -> Interval | None:
    """E over the ball, (m, n)."""
    lam = multipliers(ball)
    if lam is None:
        return None
    _, first, second, third = ball.phi
    found: Interval = hessian_weight(ball.data.a, ball.data.s, first, second, third, lam)
    return found


def _bound(ball: Ball, E: Interval) -> tuple[float, str, str]:
    """The largest c, the kind of blocks, and why there is no positive one."""
    m, n = E.lo.shape
    if not ball.data.mu.is_positive:
        return -INF, "none", "the samples are not proved to be independent (A2), so E bounds nothing from below"
    if not np.isfinite(E.lo).all():
        return -INF, "none", "the activation cannot be enclosed in the ball: it is not real there, or too large"
    tangent = tangent_floors(E.lo, ball.slopes[0])
    if not (tangent > 0.0).all():
        i = int(np.argmin(tangent))
        known = f"along tangent moves of sample {i}'s features E is only known to be >= {below(float(tangent[i]))}"
        return -INF, "none", f"{known}: the Hessian may have a negative eigenvalue in the ball"
    found = {"tangent": _block_bound(ball, tangent)}
    if E.lo.min() > 0.0:
        per_unit = m * float(n) ** 3 <= _WORK
        rows = np.unique(E.lo, axis=0) if per_unit else E.lo.min(axis=0, keepdims=True)
        found["units" if per_unit else "samples"] = min(_block_bound(ball, row) for row in rows)
    best = max(found, key=lambda kind: found[kind])
    return found[best], best, ""


def _block_bound(ball: Ball, row: Array) -> float:
    """A lower bound of lambda_min(D^(1/2) G D^(1/2)), D the diagonal of the row; min D mu keeps the digits of mu."""
    root = Interval(floor_root(row))
    plain = float((Interval(row.min()) * Interval(ball.data.mu.low)).lo)
    return max(plain, smallest_eigenvalue_bound(root.reshape(-1, 1) * ball.data.gram * root))


def tangent_floors(e: Array, B: Interval) -> Array:
    """Numbers t_i with sum_j e_ji u_j^2 >= t_i sum_j u_j^2 wherever sum_j B_ji u_j = 0, (n,), for e (m, n).

    With d = e - t, of which one entry is negative and the others positive, the form is positive on the hyperplane where
    sum_j B_j^2 / d_j < 0 (the inertia of the bordered matrix). The left side grows with t between the two smallest e.

    >>> tangent_floors(np.array([[-1.0], [3.0]]), Interval(np.array([[1.0], [1.0]]))).round(6)
    array([1.])
    """
    second = min(1, len(e) - 1)
    least, high = np.partition(e, (0, second), axis=0)[[0, second]]
    low, (small, large) = least, (B.mig**2, B.mag**2)
    for _ in range(_BISECTIONS):  # in floating point
        middle = 0.5 * (low + high)
        with np.errstate(all="ignore"):
            holds = (np.where(e < middle, small, large) / (e - middle)).sum(axis=0) < 0.0
        low, high = np.where(holds, middle, low), np.where(holds, high, middle)
    floors = least
    for slack in _SLACKS:  # and proved, a little below
        candidate = low - slack * (low - least)
        floors = np.maximum(floors, np.where(_is_positive_on_hyperplane(e, candidate, B), candidate, least))
    return floors


def _is_positive_on_hyperplane(e: Array, t: Array, B: Interval) -> Mask:
    """Whether sum_j B_j^2 / (e_j - t) < 0 is proved, with exactly one e_j below t, for each column."""
    d = Interval(e) - Interval(t)
    one = ((d.hi < 0.0).sum(axis=0) == 1) & ((d.lo > 0.0).sum(axis=0) == len(e) - 1)
    return one & ((B.power(2) / d).sum(axis=0).hi < 0.0)


def convex_radius(manifold: ZeroLossManifold, theta: ArrayLike, share: float = 0.5) -> float:
    """A radius, of those that are a power of two, for which `hessian_lower_bound` is at least a share of that at theta.

    0 where there is no positive bound at theta.
    """
    here = hessian_lower_bound(manifold, theta, 0.0).bound
    if not here > 0.0:
        return 0.0
    scale = 1.0 + float(np.linalg.norm(np.asarray(theta)))
    exponents = np.arange(-40, int(np.log2(scale)) + 2)
    low, high = -1, exponents.size
    while high - low > 1:
        middle = (low + high) // 2
        fits = hessian_lower_bound(manifold, theta, float(np.ldexp(1.0, exponents[middle]))).bound >= share * here
        low, high = (middle, high) if fits else (low, middle)
    return float(np.ldexp(1.0, exponents[low])) if low >= 0 else 0.0
