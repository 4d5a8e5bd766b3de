"""Is there an exact zero-loss point near a computed one? Newton and Kantorovich's argument along the normal space.

From theta one moves by J^T R w with R about (J J^T)^{-1} and w (n,), so that g(w) = f(theta + J^T R w) - y has a
Jacobian close to the identity. Where |I - Dg| <= q < 1 for all |w| <= rho and |g(0)| + q rho <= rho, the map w - g(w)
takes that box into itself and contracts, so g has a zero in it, within |g(0)|/(1 - q) of w = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..errors import GeometryError, ProjectionError
from ..manifold import ZeroLossManifold
from ..repeats import constraints_once
from ..reproducible import reproducible
from ..validation import Array, instance, positive_number
from .features import Ball
from .interval import INF, LARGEST, Interval, interval
from .linear import distance_from_identity, inverse, jacobian_gram, product, row_sum_norm
from .record import Certificate, above

_FAR = 1e-9  # relative distance from which the computed nearest point is the better way
_GROWTH = (1.0625, 1.5, 3.0, 10.0, 100.0)  # of rho over |g(0)|


@dataclass(frozen=True)
class ExactPoint:
    """Whether M has a point within `radius` (Euclidean norm over all parameters) of theta.

    `radius` is the smallest that was proved, inf where none was; `contraction` is q.
    """

    certificate: Certificate
    radius: float
    contraction: float


@reproducible
def exact_zero_loss_point(
    manifold: ZeroLossManifold, theta: ArrayLike, radius: float | None = None
) -> ExactPoint:
    """Prove that parameters with f = y exactly exist within a distance of theta.

    Args:
        manifold: the zero-loss manifold, with units of any form. Its data may be dependent as long as J J^T is
            invertible; equal samples with equal labels are taken once.
        theta: (m, d + p), near the manifold or not.
        radius: what is to be proved (None: the smallest distance that can be).

    Returns:
        An `ExactPoint`; its certificate says why where there is no proof.

    Raises:
        InputError: an argument outside its domain.

    Source: Rump, Verification methods (Acta Numerica 2010), section 13, on the set f(theta + J^T R w) = y.

    >>> import manifoldflow as mf
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=4), np.eye(2), [1.0, 2.0])
    >>> found = exact_zero_loss_point(man, man.random_point(rng=0))
    >>> found.certificate.proved, found.radius < 1e-13
    (True, True)
    """
    manifold = _with_equal_samples_once(instance("manifold", manifold, ZeroLossManifold))
    wanted = None if radius is None else positive_number("radius", radius)
    centre = Ball.around(manifold, theta)
    found = _around(centre)
    if found.radius > _FAR * (1.0 + float(np.linalg.norm(centre.theta))):
        found = min(found, _by_way_of_the_nearest_point(centre), key=lambda one: one.radius)
    reason = found.reason
    if wanted is not None and wanted < found.radius < INF:
        reason = f"only a distance of {above(found.radius, 8)} is proved"
    certificate = Certificate(
        "zero-loss point", not reason, _claim(found.radius, wanted), reason, centre.arithmetic.description
    )
    return ExactPoint(certificate, found.radius, found.contraction)


def _with_equal_samples_once(manifold: ZeroLossManifold) -> ZeroLossManifold:
    """The same M without the samples that repeat others, where their labels are equal to the last bit."""
    twins = manifold.repeats.first[manifold.repeats.group]
    if not manifold.repeats.any or (manifold.y != manifold.y[twins]).any():
        return manifold
    return ZeroLossManifold(*constraints_once(manifold))


class _Proof(NamedTuple):
    """The distance that is proved, inf where none is; q; and why there is none."""

    radius: float
    contraction: float
    reason: str = ""


def _claim(found: float, wanted: float | None) -> str:
    if wanted is None and found == INF:
        return "a point with f = y exactly lies near theta"
    distance = above(found, 4) if wanted is None else above(wanted, 17)
    return f"a point with f = y exactly lies within {distance} of theta"


def _by_way_of_the_nearest_point(centre: Ball) -> _Proof:
    """The distance to the nearest point as computed, and from there."""
    manifold = centre.data.manifold
    try:
        nearest = manifold.nearest_point(centre.theta)
    except (ProjectionError, GeometryError) as error:
        return _Proof(INF, INF, str(error))
    found = _around(Ball(centre.data, nearest, 0.0, centre.arithmetic))
    way = (interval(centre.theta) - interval(nearest)).power(2).sum().sqrt()
    return found._replace(radius=float((way + Interval(min(found.radius, LARGEST))).hi))


def _around(centre: Ball) -> _Proof:
    """The smallest distance from the centre that can be proved."""
    slopes = tuple(interval(part.mid) for part in centre.slopes)
    residual = centre.residual
    size = float(residual.mag.max())
    if not (np.isfinite(size) and all(np.isfinite(part.mid).all() for part in slopes)):
        return _Proof(INF, INF, "the unit function cannot be enclosed at theta; is it real there?")
    gram = jacobian_gram(slopes, slopes, centre.data.gram)
    R = inverse(gram.mid)
    if R is None:
        return _Proof(INF, INF, "J J^T is singular to rounding")
    for growth in _GROWTH:
        q = _contraction(centre, slopes, R, growth * size)
        if q < 1.0 and float((Interval(size) + Interval(q) * Interval(growth * size)).hi) <= growth * size:
            return _Proof(_length(R, gram, residual, q), q)
    reason = f"|f - y| <= {size:.2g} is too large for J J^T there (the contraction factor is {q:.2g}, not below 1)"
    return _Proof(INF, q, f"{reason}; move theta closer with nearest_point")


def _contraction(centre: Ball, slopes: tuple[Interval, ...], R: Array, rho: float) -> float:
    """|I - Dg| over |w_i| <= rho: with r = |R w|, z_ji moves by at most sum_k |B_jk| r_k |G_ki|, c_jq by sum_k
    |C_qjk| r_k.
    """
    n, G = R.shape[0], centre.data.gram
    reach = interval(product(np.abs(R), np.full((n, 1), rho)).hi)
    moves = [product(slopes[0].mag, reach * Interval(G.mag)), *(product(part.mag, reach) for part in slopes[1:])]
    own = tuple(c.widened(move.hi) for c, move in zip(centre.own, moves[1:], strict=True))
    there = centre.slopes_at(centre.z.widened(moves[0].hi), own)
    return distance_from_identity(product(jacobian_gram(there, slopes, G), R))


def _length(R: Array, gram: Interval, residual: Interval, q: float) -> float:
    """|J^T R w| for w = -g(0) + e, |e| <= q |g(0)|/(1 - q), where |J^T R w|^2 = w^T R^T K R w."""
    n = R.shape[0]
    form = product(np.ascontiguousarray(R.T), product(gram, R))
    middle = residual.mid
    u = product(R, middle[:, None])
    straight = (u.reshape(-1) * product(gram, u).reshape(-1)).sum()
    largest = Interval(float(residual.mag.max()))
    rest = Interval(float(residual.radius.max())) + Interval(q) / (1.0 - Interval(q)) * largest
    blur = Interval(row_sum_norm(form)).sqrt() * Interval(float(n)).sqrt() * rest
    return float((Interval(np.maximum(straight.hi, 0.0)).sqrt() + blur).hi)
