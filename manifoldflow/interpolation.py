"""Diagonal linear networks as interpolation problems: which labels they reach, and their flattest point by duality.

With w = u^2 - v^2 (or v^2) the outputs are linear, f = A w with A = a^T (n, m). On M, F = sum_j q_j (u_j^2 + v_j^2)
with q_j = 8 sum_i a_ji^2, and for given w the smallest u^2 + v^2 is |w|. The smallest sharpness is therefore that of
the convex program

    min sum_j q_j |w_j|  subject to  A w = y           (w >= 0 without signs),

a linear program. Its dual, max y . lam subject to |A^T lam| <= q (A^T lam <= q without signs), bounds F from below by
any lam that satisfies the constraints, so that an answer is checked by numbers that do not depend on who found it. lam
are the multipliers of the flattest point. Source: HaoChen et al. (2021); Li, Wang and Arora (2022).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.optimize

from .errors import UnreachableLabelsError
from .network import SIGNED_SQUARES, SQUARES
from .validation import Array

if TYPE_CHECKING:
    from .manifold import ZeroLossManifold

# The simplex method's own tolerances, the smallest that HiGHS takes; what it finds is then solved for again.
_HIGHS = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
_ZERO = 1e-9  # share of the largest |w_j| below which a feature is tried without
_MISSED = 1e-10  # labels that are missed by more than this share of 1 + max |y| are out of reach


@dataclass(frozen=True, eq=False)
class LeastNorm:
    """The solution: parameters W (m, p), the multipliers lam (n,), and a lower bound of F on M."""

    W: Array
    lam: Array
    lower_bound: float


def is_diagonal(manifold: ZeroLossManifold) -> bool:
    """True for units a (u^2 - v^2) and a v^2 that meet no inputs."""
    return manifold.coordinates.d == 0 and manifold.network.unit in (SIGNED_SQUARES, SQUARES)


def least_norm(manifold: ZeroLossManifold) -> LeastNorm | None:
    """Solve the program by SciPy's HiGHS; None where it gives up."""
    A, y, signed = manifold.a.T, manifold.y, manifold.network.unit == SIGNED_SQUARES
    # 8: twice the squared gradient (2u)^2 + (2v)^2 of u^2 - v^2. Typed here, and checked by every result: F comes
    # from the derived kernel, and meets the bound only if the two agree.
    q = 8.0 * (A**2).sum(axis=0)
    found = _solve(A, y, q, signed)
    if found is None:
        return None
    w, lam = _refined_primal(A, y, found[0]), _refined_dual(A, q, *found)
    lam = lam / max(1.0, _largest_share(A.T @ lam, q, signed))
    columns = [np.maximum(w, 0.0), np.maximum(-w, 0.0)] if signed else [w]
    return LeastNorm(np.sqrt(np.stack(columns, axis=1)), lam, float(y @ lam))


def _solve(A: Array, y: Array, q: Array, signed: bool) -> tuple[Array, Array] | None:
    """The w and lam of HiGHS, of the problem with data, labels and weights of size 1."""
    U, size = _independent(A), np.array([np.abs(A).max(), max(np.abs(y).max(), 1e-300), max(q.max(), 1e-300)])
    equations = U.T @ A / size[0]
    program = scipy.optimize.linprog(
        np.concatenate([q, q] if signed else [q]) / size[2],
        A_eq=np.concatenate([equations, -equations], axis=1) if signed else equations,
        b_eq=U.T @ y / size[1],
        method="highs",
        options=_HIGHS,
    )
    if program.status != 0:
        return None
    m = q.size
    w = program.x[:m] - program.x[m:] if signed else program.x
    return w * (size[1] / size[0]), U @ program.eqlin.marginals * (size[2] / size[0])


def _independent(A: Array) -> Array:
    """U (n, rank) such that U^T A w = U^T y are the equations A w = y without those that follow from others."""
    n = len(A)
    if np.linalg.matrix_rank(A) == n:
        return np.eye(n)
    U, values, _ = np.linalg.svd(A, full_matrices=False)
    return np.asarray(U[:, values > max(A.shape) * np.finfo(float).eps * values[0]])


def _refined_primal(A: Array, y: Array, w: Array) -> Array:
    """A w = y to rounding, by the features that w uses, where their signs stay."""
    used = np.abs(w) > _ZERO * np.abs(w).max()
    again = np.zeros_like(w)
    again[used] = np.linalg.lstsq(A[:, used], y, rcond=None)[0]
    better = np.abs(A @ again - y).max() <= np.abs(A @ w - y).max()
    return again if better and np.all(again * w >= 0.0) else w


def _refined_dual(A: Array, q: Array, w: Array, lam: Array) -> Array:
    """A_j^T lam = q_j sign(w_j) to rounding for the features that w uses, by the smallest change of lam."""
    used = np.abs(w) > _ZERO * np.abs(w).max()
    missing = q[used] * np.sign(w[used]) - A[:, used].T @ lam
    return np.asarray(lam + np.linalg.lstsq(A[:, used].T, missing, rcond=None)[0])


def _largest_share(slopes: Array, q: Array, signed: bool) -> float:
    """Largest share of its bound that a constraint of the dual takes; above 1 where one is not met."""
    taken = np.abs(slopes) if signed else slopes
    return float(np.max(taken[q > 0.0] / q[q > 0.0], initial=0.0))


def check_interpolable(manifold: ZeroLossManifold) -> None:
    """Raise `UnreachableLabelsError` where no w, of signs that the network allows, has A w = y."""
    A, y = manifold.a.T, manifold.y
    if manifold.network.unit == SQUARES:
        _check_signs(A, y)
        missed = scipy.optimize.nnls(A, y, maxiter=100 * A.shape[1])[1]
        wanted = "no w = v^2 >= 0 has X w = y"
    else:
        missed = float(np.linalg.norm(A @ np.linalg.lstsq(A, y, rcond=None)[0] - y))
        wanted = "no w = u^2 - v^2 has X w = y"
    if missed > _MISSED * (1.0 + np.abs(y).max()) * np.sqrt(y.size):
        raise UnreachableLabelsError(
            f"{wanted}: |X w - y| is at least {missed:.3g} (n = {y.size} samples, d = {A.shape[1]} features, rank "
            f"{np.linalg.matrix_rank(A)}). Remove samples, change y, or "
            + ("allow signs: DiagonalLinearNetwork(signed=True)." if "v^2 >=" in wanted else "add features.")
        )


def _check_signs(A: Array, y: Array) -> None:
    """A sample whose features have one sign reaches labels of that sign only."""
    wrong = ((A >= 0.0).all(axis=1) & (y < 0.0)) | ((A <= 0.0).all(axis=1) & (y > 0.0))
    if wrong.any():
        i = int(np.flatnonzero(wrong)[0])
        sign = "no feature is negative" if y[i] < 0.0 else "no feature is positive"
        raise UnreachableLabelsError(
            f"{int(wrong.sum())} of {y.size} labels are out of reach: y[{i}] = {y[i]:.6g}, where {sign} and no weight "
            "v^2 is negative. Change y, or allow signs: DiagonalLinearNetwork(signed=True)."
        )
