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
from .projection import rounding_level
from .validation import Array

TURN_EVERY = 64  # accepted steps after which the order of the features is looked at again
# Parameters that die out stop here: they are far below any atol, and from 0 they could not grow again.
FLOOR = 1e-120
FLAT = 1e-8  # share of its terms below which the block of a unit in use, which vanishes at the end, is zero


def can_turn(manifold: ZeroLossManifold) -> bool:
    """True for units a w(c) that meet no inputs."""
    unit = manifold.network.unit
    return manifold.coordinates.d == 0 and unit.a not in (unit.psi / unit.a).free_symbols


def turned(manifold: ZeroLossManifold, W: Array) -> geometry.Problem:
    """The manifold's problem with samples turned for a factorisation of J J^T at W.

    Labels that are rounding of the others are those that W has: features that die out could not meet them.
    """
    work, n, W = manifold.workspace(), manifold.n, W.copy()  # W may be locked
    geometry.residual(W, manifold.problem, work)
    slopes = np.sign(manifold.a) * np.linalg.norm(work.g, axis=0)
    Q, _, pivots = scipy.linalg.qr(slopes.T, mode="full", pivoting=True)
    a = manifold.a @ Q
    for k, j in enumerate(pivots[:n]):
        a[j, k + 1 :] = 0.0
    problem = manifold.problem._replace(a=np.ascontiguousarray(a), y=Q.T @ manifold.y)
    geometry.output(W, problem, work)
    met = np.maximum(np.abs(problem.y), np.abs(work.f)) <= rounding_level(manifold, W)
    return problem._replace(y=np.where(met, work.f, problem.y))


def problem_at(manifold: ZeroLossManifold, W: Array | None) -> geometry.Problem:
    """The problem turned at W, or as it is where W is None."""
    return manifold.problem if W is None else turned(manifold, W)


def residuals(manifold: ZeroLossManifold, points: Array) -> Array:
    """Max |f - y| at points (k, m, r + p), in the samples as they were given, (k,)."""
    work = manifold.workspace()
    return np.array([geometry.residual(W, manifold.problem, work) for W in points])


class Turning:
    """The problem as an integration sees it: `at` the point for which its samples were turned, None where they cannot
    be.
    """

    def __init__(self, manifold: ZeroLossManifold, W: Array) -> None:
        self.manifold, self.possible = manifold, can_turn(manifold)
        self.set_to(W.copy() if self.possible else None)

    def set_to(self, W: Array | None) -> None:
        """Turn the samples for W."""
        self.at, self.problem = W, problem_at(self.manifold, W)

    def turn_at(self, W: Array) -> bool:
        """Turn the samples for W; False if they are turned for it."""
        if self.at is not None and np.array_equal(self.at, W):
            return False
        self.set_to(W.copy())
        return True

    def way_out(self, W: Array) -> tuple[float, float]:
        """The largest rate at which small parameters grow away from a stationary W, and how large they are, over |W|.

        (0, 0) where none grows, or would from 0. A unit that dies out is free of the constraints, as its row of J
        vanishes; its rates are the eigenvalues of minus its own block, the sum of E_ji over the samples.
        """
        work = self.manifold.workspace()
        _, info = geometry.second_derivatives(W, self.problem, work, np.empty_like(W))
        if info != 0 or not np.isfinite(work.E).all():
            return 0.0, 0.0
        values, directions = np.linalg.eigh(np.moveaxis(work.E[1:, 1:].sum(axis=-1), -1, 0))
        along = np.abs(np.einsum("jp,jp->j", W, directions[:, :, 0]))
        terms = np.abs(work.lam[0] * work.H).sum(axis=(0, 1, 3))
        grows = (-values[:, 0] > FLAT * terms) & (along > 0.0)
        if not grows.any():
            return 0.0, 0.0
        return float(-values[grows, 0].min()), float(along[grows].max() / np.abs(W).max())
