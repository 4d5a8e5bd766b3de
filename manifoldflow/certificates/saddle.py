"""Has the Riemannian Hessian a negative eigenvalue? One tangent vector proves it: the convexity of S3 is local."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

from ..manifold import ZeroLossManifold
from ..reproducible import reproducible
from ..validation import Array, instance, positive_number
from .curvature import hessian_weights
from .existence import exact_zero_loss_point
from .features import Ball
from .interval import INF, Interval
from .linear import hadamard_gram, product, solution_near
from .record import Certificate, above


@dataclass(frozen=True, eq=False)
class NegativeCurvature:
    """An upper bound of the smallest eigenvalue of Hess F at all points of M within `radius` of theta.

    `direction` (m, d) is the vector whose tangential part proves it.
    """

    certificate: Certificate
    bound: float
    radius: float
    direction: Array


@reproducible
def negative_curvature(
    manifold: ZeroLossManifold, theta: ArrayLike, radius: float | None = None
) -> NegativeCurvature:
    """Prove that the Riemannian Hessian has a negative eigenvalue at every point of M in a ball, by a tangent vector.

    V = U - J^T (J J^T)^{-1} J U is tangent for every U and no longer than U, so the smallest eigenvalue is at most
    sum_ji E_ji v_ji^2 / |U|^2 where that is negative; U is an approximate eigenvector.

    Args:
        manifold: the zero-loss manifold, with units a*phi(z).
        theta: a point of it, (m, d).
        radius: of the ball (None: the smallest within which M is proved to have a point).

    Returns:
        A `NegativeCurvature`; its certificate says why where there is no proof.

    Raises:
        InputError: units of another form, or an argument outside its domain.
        GeometryError: theta is not on M.

    Source: S3 (convexity is local), S11.

    >>> import manifoldflow as mf
    >>> data = mf.datasets.synthetic(n=5, d=20)
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("sinh(z)", width=10), data.X, data.y)
    >>> found = negative_curvature(man, man.random_point(rng=0))
    >>> found.certificate.proved, found.bound < 0.0
    (True, True)
    """
    instance("manifold", manifold, ZeroLossManifold)
    given = manifold.point("theta", theta)
    ball = Ball.around(manifold, given)
    if radius is None:
        found = exact_zero_loss_point(manifold, given)
        if not found.certificate.proved:
            return _result(ball, np.zeros(manifold.shape), INF, found.certificate.reason)
        ball = Ball(ball.data, given, found.radius)
    else:
        ball = Ball(ball.data, given, positive_number("radius", radius, allow_zero=True))
    direction = _softest_direction(manifold, given)
    if direction is None:
        return _result(ball, np.zeros(manifold.shape), INF, "no direction was found by the eigenvalue solver")
    return _result(ball, direction, *_quotient(ball, direction))


def _result(ball: Ball, direction: Array, bound: float, reason: str) -> NegativeCurvature:
    what = above(bound) if bound < 0.0 else "a negative number"
    claim = f"Hess F has an eigenvalue <= {what} at all points of M within {above(ball.radius)} of theta"
    certificate = Certificate("negative curvature", not reason, claim, reason, ball.arithmetic.description)
    return NegativeCurvature(certificate, bound, ball.radius, direction)


def _quotient(ball: Ball, direction: Array) -> tuple[float, str]:
    """An upper bound of the smallest eigenvalue, and why none is negative."""
    E, G, B = hessian_weights(ball), ball.data.gram, ball.slopes[0]
    u = product(direction, np.ascontiguousarray(ball.data.inputs.T))
    normal = solution_near(hadamard_gram(B, B, G), (B * u).sum(axis=0))
    if E is None or normal is None:
        return INF, "J J^T may be singular in the ball; take a smaller radius"
    v = u - product(B * normal, G)
    quotient = (E * v.power(2)).sum() / Interval(direction).power(2).sum()
    bound = float(quotient.hi)
    return bound, "" if bound < 0.0 else f"the quotient of the softest direction is only known to be <= {above(bound)}"


def _softest_direction(manifold: ZeroLossManifold, theta: Array) -> Array | None:
    """An eigenvector of the smallest eigenvalue, in floating point; any vector would do for the proof."""
    reduced, coordinates = manifold.reduced, manifold.coordinates
    W = coordinates.reduce(theta)

    def image(vector: Array) -> Array:
        return reduced.hessian_vector_product(W, vector.reshape(W.shape)).ravel()

    start = np.random.default_rng(0).normal(size=W.size)
    if W.size < 3:
        vectors = np.linalg.eigh(np.array([image(row) for row in np.eye(W.size)]))[1]
        return coordinates.expand(vectors[:, 0].reshape(W.shape))
    try:
        operator = LinearOperator((W.size, W.size), matvec=image, dtype=float)
        vector = eigsh(operator, k=1, which="SA", v0=start, tol=1e-6, maxiter=100 * W.size)[1][:, 0]
    except ArpackError:
        return None
    return coordinates.expand(vector.reshape(W.shape))
