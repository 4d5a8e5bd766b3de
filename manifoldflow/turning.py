"""Samples in a turned basis, for units that meet no inputs: a J J^T that is graded instead of singular.

There f = A w with A = a^T (n, m) and w_j a function of unit j's own parameters, so that samples can be turned by any
orthogonal matrix: {A w = y} = {Q^T A w = Q^T y}, and F = 2 |J|^2 stays. Where the flow tends to fewer features than
samples the other features die out, and J J^T = A diag(D) A^T, D_j = |grad w_j|^2, tends to a singular matrix: its small
eigenvalues are lost in the rounding of the large ones. With Q R = A diag(D)^(1/2) P, columns pivoted, row i of Q^T A is
exactly zero at the first i - 1 pivots, the largest features; J J^T then falls off towards its lower right corner, and
Cholesky's method keeps the digits of every part however small (Demmel and Veselic 1992). Source of the pivoted
factorisation: Powell and Reid (1969), Cox and Higham (1998).
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

from .compiled import geometry
from .manifold import ZeroLossManifold
from .validation import Array

TURN_EVERY = 64  # accepted steps after which the order of the features is looked at again


def can_turn(manifold: ZeroLossManifold) -> bool:
    """True for units a w(c) that meet no inputs."""
    unit = manifold.network.unit
    return manifold.coordinates.d == 0 and unit.a not in (unit.psi / unit.a).free_symbols


def turned(manifold: ZeroLossManifold, W: Array) -> geometry.Problem:
    """The manifold's problem with samples turned for a factorisation of J J^T at W."""
    work, n = manifold.workspace(), manifold.n
    geometry.residual(W, manifold.problem, work)
    slopes = np.sign(manifold.a) * np.linalg.norm(work.g, axis=0)
    Q, _, pivots = scipy.linalg.qr(slopes.T, mode="full", pivoting=True)
    a = manifold.a @ Q
    for k, j in enumerate(pivots[:n]):
        a[j, k + 1 :] = 0.0
    return manifold.problem._replace(a=np.ascontiguousarray(a), y=Q.T @ manifold.y)


def problem_at(manifold: ZeroLossManifold, W: Array | None) -> geometry.Problem:
    """The problem turned at W, or as it is where W is None."""
    return manifold.problem if W is None else turned(manifold, W)


def residuals(manifold: ZeroLossManifold, points: Array) -> Array:
    """Max |f - y| at points (k, m, r + p), in the samples as they were given, (k,)."""
    work = manifold.workspace()
    return np.array([geometry.residual(W, manifold.problem, work) for W in points])
