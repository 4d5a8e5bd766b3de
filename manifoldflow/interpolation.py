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
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
import scipy.optimize

from .errors import UnreachableLabelsError
from .network import SIGNED_SQUARES, SQUARES
from .validation import Array

if TYPE_CHECKING:
    from .manifold import ZeroLossManifold

GAP = 1e-10  # distance of F from its lower bound, relative to F, at which a point counts as global
_ZERO = 1e-9  # share of the largest x_j below which a feature is tried without
_MISSED = 1e-10  # labels that are missed by more than this share of 1 + max |y| are out of reach


@dataclass(frozen=True, eq=False)
class LeastNorm:
    """The solution: parameters W (m, p), the multipliers lam (n,), and a lower bound of F on M."""

    W: Array
    lam: Array
    lower_bound: float


def is_diagonal(manifold: ZeroLossManifold) -> bool:
    """True for units a (u^2 - v^2) and a v^2 that meet no inputs."""
    return manifold.inputs.shape[1] == 0 and manifold.network.unit in (SIGNED_SQUARES, SQUARES)


def least_norm(manifold: ZeroLossManifold) -> LeastNorm | None:
    """Solve the program by SciPy's HiGHS; None where it gives up.

    In standard form, min c . x subject to C x = y and x >= 0, the w of either sign being differences. Columns are
    divided by |a_j|^(3/2), which leaves |a_j|^(1/2) of the cost: HiGHS' tolerances are absolute, in x and in the cost,
    and this shares features of very different size between the two.
    """
    A, y = manifold.a.T, manifold.y
    squares = (A**2).sum(axis=0)
    squares[squares == 0.0] = 1.0  # a feature that is nowhere seen costs something, and stays out
    signs = (1.0, -1.0) if manifold.network.unit == SIGNED_SQUARES else (1.0,)
    C = np.concatenate([sign * A / squares**0.75 for sign in signs], axis=1)
    # 8: twice the squared gradient (2u)^2 + (2v)^2 of u^2 - v^2. Typed here, and checked by every result: F comes
    # from the derived kernel, and meets the bound only if the two agree.
    c = np.tile(8.0 * squares**0.25, len(signs))
    found = _solve(C, y, c)
    if found is None:
        return None
    x = _refined_primal(C, y, found[0])
    candidates = (found[1], _refined_dual(C, c, x, found[1]))
    lam, bound = max((_feasible(C, y, c, lam) for lam in candidates), key=itemgetter(1))
    return LeastNorm(np.sqrt(x.reshape(len(signs), -1) / squares**0.75).T, lam, bound)


def lower_bound(manifold: ZeroLossManifold) -> float:
    """The program's lower bound of F on M; minus infinity where there is none, and for other networks."""
    linear = least_norm(manifold) if is_diagonal(manifold) else None
    return -np.inf if linear is None else linear.lower_bound


def rounding_of_labels(manifold: ZeroLossManifold, lam: Array) -> float:
    """What 16 roundings of the labels may change of the least F, whose derivative in y is lam: much, where rows of X
    nearly agree.
    """
    return 16.0 * float(np.finfo(float).eps * np.abs(lam).sum() * np.abs(manifold.y).max(initial=0.0))


def _solve(C: Array, y: Array, c: Array) -> tuple[Array, Array] | None:
    """The x and lam of HiGHS, of the problem with orthonormal equations, and labels and costs of size 1."""
    U, values, V = np.linalg.svd(C, full_matrices=False)
    kept = values > max(C.shape) * np.finfo(float).eps * values[0]  # the other equations follow from these
    U, values, V = U[:, kept], values[kept], V[kept]
    right = U.T @ y / values
    size, price = float(np.abs(right).max(initial=np.finfo(float).tiny)), float(c.max())
    program = scipy.optimize.linprog(c / price, A_eq=V, b_eq=right / size, method="highs")
    if program.status != 0:
        return None
    return program.x * size, U @ (program.eqlin.marginals * price / values)


def _refined_primal(C: Array, y: Array, x: Array) -> Array:
    """C x = y to rounding, by the features that x uses, where their signs stay."""
    used = x > _ZERO * x.max()
    again = np.zeros_like(x)
    again[used] = np.linalg.lstsq(C[:, used], y, rcond=None)[0]
    better = np.abs(C @ again - y).max() <= np.abs(C @ x - y).max()
    return again if better and np.all(again >= 0.0) else np.maximum(x, 0.0)


def _refined_dual(C: Array, c: Array, x: Array, lam: Array) -> Array:
    """C_j^T lam = c_j to rounding for the features that x uses, by the smallest change of lam."""
    used = x > 0.0
    missing = c[used] - C[:, used].T @ lam
    return np.asarray(lam + np.linalg.lstsq(C[:, used].T, missing, rcond=None)[0])


def _feasible(C: Array, y: Array, c: Array, lam: Array) -> tuple[Array, float]:
    """A multiple of lam that meets all constraints C^T lam <= c, and the bound y . lam."""
    lam = lam / max(1.0, float((C.T @ lam / c).max()))
    return lam, float(y @ lam)


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
