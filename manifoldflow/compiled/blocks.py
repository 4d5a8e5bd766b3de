"""Factors of I - c V' for the flow's field V, one block a unit and one n x n Schur complement.

With V = -grad F - omega J^T K^{-1} (f - y), on M: V' = -(D - J^T K^{-1} (N - omega J)), where D has the block
R_hat^T E_j R_hat for unit j and N = N1 + J D has n rows. The system (I - c V') k = b is the same as S k - J^T w = b,
((1 + c omega) J - c N1) k = J b with S = I + c D. Right-hand sides and solutions are coefficient arrays: with
H_j = R_hat S_j^{-1} R_hat^T the image of k is v = H (b + J^T w), and k = b + J^T w - c E v. No matrix of the size of
all parameters, and after the factorisation no cost above (n + p)^2 a unit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .coefficients import add_rows, gather, image_of_coefficients, parameters
from .geometry import add_multiple, apply_blocks
from .lapack import cholesky, cholesky_inverse, gemm, lu, lu_solve
from .options import jit

# Units are factored in this many parts, whose Schur complements are added in order: the same bits however many threads.
PARTS = 8


class Factors(NamedTuple):
    """Blocks (m, N, N), N = n + p or r + p; coefficients of J, N1 and the rows; the Schur complement's LU; scratch.

    The scratch arrays with PARTS in front are for one part each.
    """

    blocks: np.ndarray
    g: np.ndarray
    n1: np.ndarray
    row: np.ndarray
    schur: np.ndarray
    schur_pivots: np.ndarray
    partial: np.ndarray
    square: np.ndarray
    weighted: np.ndarray
    half: np.ndarray
    pivots: np.ndarray
    rhs: np.ndarray
    normal: np.ndarray
    given: np.ndarray
    solved: np.ndarray


@jit
def new_factors(m, n, r, p, wide):
    """Room for the factors: m (n + p)^2 numbers when wide, else m (r + p)^2."""
    N, D, v = n + p, r + p, 1 + p
    size = N if wide else D
    return Factors(
        np.empty((m, size, size)),
        np.empty((v, m, n)),
        np.empty((v, m, n)),
        np.empty((v, m, n)),
        np.empty((n, n)),
        np.empty(n, np.int32),
        np.empty((PARTS, n, n)),
        np.empty((PARTS, max(N, D), max(N, D))),
        np.empty((PARTS, N, max(N, D))),
        np.empty((PARTS, D, max(N, D))),
        np.empty((PARTS, D), np.int32),
        np.empty((2, n)),
        np.empty((m, N)),
        np.empty((m, D)),
        np.empty((m, D)),
    )


@jit
def curvature_bound(E, largest):
    """Bound on the largest eigenvalue of D: largest absolute row sum of a block E_ji times that of R_hat^T R_hat."""
    size = 0.0
    for j in range(E.shape[2]):
        for i in range(E.shape[3]):
            for q in range(E.shape[0]):
                total = 0.0
                for k in range(E.shape[0]):
                    total += abs(E[q, k, j, i])
                size = max(size, total)
    return size * largest


@jit
def linearise(problem, work, stages, factors):
    """What of V' does not depend on c, at the point that stages.start and work hold: J, and N1 = (H grad F)^T in J."""
    n = problem.G.shape[0]
    factors.g[:] = work.g
    image_of_coefficients(stages.value, problem.G, factors.normal)
    work.z[:] = factors.normal[:, :n]
    apply_blocks(work.H, work.z, factors.normal[:, n:], factors.n1)  # of -grad F: `factorise` adds it


@jit
def factorise(problem, frame, work, factors, c, omega):
    """Factor I - c V'; False if a block or the Schur complement is singular or not finite."""
    for q in range(factors.row.shape[0]):
        for j in range(factors.row.shape[1]):
            for i in range(factors.row.shape[2]):
                factors.row[q, j, i] = (1.0 + c * omega) * factors.g[q, j, i] + c * factors.n1[q, j, i]
    m = factors.blocks.shape[0]
    for part in range(PARTS):
        if not _factor_units(problem, frame, work.E, factors, c, part * m // PARTS, (part + 1) * m // PARTS, part):
            return False
    factors.schur[:] = factors.partial[0]
    for part in range(1, PARTS):
        for i in range(factors.schur.shape[0]):
            for k in range(factors.schur.shape[0]):
                factors.schur[i, k] += factors.partial[part, i, k]
    return lu(factors.schur, factors.schur_pivots) == 0


@jit
def _factor_units(problem, frame, E, factors, c, first, last, part):
    """Blocks of units first to last, and their share of the Schur complement."""
    schur = factors.partial[part]
    schur[:] = 0.0
    for j in range(first, last):
        if E.shape[0] == 1 and frame.wide and E[0, 0, j].min() * c > -0.75 * frame.shift:
            if not _weighted_inverse(frame, E[0, 0, j], c, factors.blocks[j], factors.weighted[part, 0]):
                return False
            _add_to_schur(factors.row, factors.blocks[j], factors.g, j, schur)
        elif not _general_block(frame, E, factors, c, j, part, schur):
            return False
    return True


@jit
def _weighted_inverse(frame, e, c, block, d):
    """H = (G^{-1} + c diag(e))^{-1} = d^{-1} (I - (I + d G' d)^{-1}) d^{-1}, d^2 = c e + shift, without inverting G.

    The shift keeps d away from zero, so that nothing cancels where c e is small; G' = (G^{-1} - shift)^{-1} makes up
    for it.
    """
    n = e.shape[0]
    for i in range(n):
        d[i] = np.sqrt(c * e[i] + frame.shift)
    for i in range(n):
        for k in range(i + 1):
            block[i, k] = d[i] * frame.shifted[i, k] * d[k]
        block[i, i] += 1.0
    if cholesky(block) != 0 or cholesky_inverse(block) != 0:
        return False
    for i in range(n):
        d[i] = 1.0 / d[i]
    for i in range(n):
        for k in range(i):
            value = -d[i] * block[i, k] * d[k]
            block[i, k] = value
            block[k, i] = value
        block[i, i] = d[i] * (1.0 - block[i, i]) * d[i]
    return True


@jit
def _general_block(frame, E, factors, c, j, part, schur):
    """S^{-1} by Cholesky, or by LU where S is indefinite, and H = R_hat S^{-1} R_hat^T, kept when wide."""
    R_hat = frame.R_hat
    N, D = R_hat.shape
    weighted, half = factors.weighted[part, :, :D], factors.half[part, :, :N]
    S = factors.square[part, :D, :D] if frame.wide else factors.blocks[j]
    _curvature_block(E, R_hat, j, c, weighted, S)
    if cholesky(S) == 0:
        if cholesky_inverse(S) != 0:
            return False
        for i in range(D):
            for k in range(i):
                S[k, i] = S[i, k]
    else:
        _curvature_block(E, R_hat, j, c, weighted, S)
        if lu(S, factors.pivots[part]) != 0:
            return False
        inverse = factors.half[part, :, :D]
        inverse[:] = 0.0
        for i in range(D):
            inverse[i, i] = 1.0
        lu_solve(S, factors.pivots[part], inverse)
        S[:] = inverse
    gemm(False, True, 1.0, S, R_hat, 0.0, half)
    image = factors.blocks[j] if frame.wide else factors.square[part, :N, :N]
    gemm(False, False, 1.0, R_hat, half, 0.0, image)
    _add_to_schur(factors.row, image, factors.g, j, schur)
    return True


@jit
def _curvature_block(E, R_hat, j, c, weighted, S):
    """S = I + c sum_i A_i^T E_ji A_i."""
    D = R_hat.shape[1]
    p = E.shape[0] - 1
    n, r = R_hat.shape[0] - p, D - p
    for i in range(n):
        for k in range(r):
            weighted[i, k] = E[0, 0, j, i] * R_hat[i, k]
        for q in range(p):
            weighted[i, r + q] = E[0, q + 1, j, i]
    for q in range(p):
        weighted[n + q] = 0.0
        for i in range(n):
            for k in range(r):
                weighted[n + q, k] += E[q + 1, 0, j, i] * R_hat[i, k]
            for k in range(p):
                weighted[n + q, r + k] += E[q + 1, k + 1, j, i]
    gemm(True, False, c, R_hat, weighted, 0.0, S)
    for k in range(D):
        S[k, k] += 1.0


@jit
def _add_to_schur(row, image, g, j, schur):
    """schur += P^T image Q, where P and Q hold unit j's coefficients of the rows and of J."""
    n = schur.shape[0]
    for i in range(n):
        factor = row[0, j, i]
        for k in range(n):
            schur[i, k] += factor * image[i, k] * g[0, j, k]
    for q in range(1, g.shape[0]):
        for i in range(n):
            for k in range(n):
                schur[i, k] += row[0, j, i] * image[i, n + q - 1] * g[q, j, k]
                schur[i, k] += row[q, j, i] * image[n + q - 1, k] * g[0, j, k]
                for own in range(1, g.shape[0]):
                    schur[i, k] += row[q, j, i] * image[n + q - 1, n + own - 1] * g[own, j, k]


@jit
def _add_image_of_solution(problem, frame, factors, b, out):
    """out += H b, block by block."""
    if frame.wide:
        for j in range(b.shape[0]):
            add_rows(b[j], factors.blocks[j], out[j])  # symmetric
        return
    n, r = problem.R.shape
    parameters(b, problem.R, factors.given)
    factors.solved[:] = 0.0
    for j in range(b.shape[0]):
        add_rows(factors.given[j], factors.blocks[j], factors.solved[j])
    gemm(False, True, 1.0, factors.solved[:, :r], problem.R, 1.0, out[:, :n])
    for j in range(b.shape[0]):
        for q in range(n, out.shape[1]):
            out[j, q] += factors.solved[j, r + q - n]


@jit
def _row_product(row, image, out):
    """out_i = sum_j row_ji . image_ji."""
    n = row.shape[2]
    out[:] = 0.0
    for j in range(row.shape[1]):
        for i in range(n):
            out[i] += row[0, j, i] * image[j, i]
        for q in range(1, row.shape[0]):
            for i in range(n):
                out[i] += row[q, j, i] * image[j, n + q - 1]


@jit
def _normal(g, w, out):
    """J^T w in coefficients."""
    n = g.shape[2]
    for j in range(g.shape[1]):
        for i in range(n):
            out[j, i] = w[i] * g[0, j, i]
        for q in range(1, g.shape[0]):
            total = 0.0
            for i in range(n):
                total += w[i] * g[q, j, i]
            out[j, n + q - 1] = total


@jit
def solve(problem, frame, work, factors, c, b, image):
    """b <- (I - c V')^{-1} b, and its image; both (m, n + p)."""
    n = problem.G.shape[0]
    image_of_coefficients(b, problem.G, image)
    _row_product(factors.g, image, factors.rhs[0])
    image[:] = 0.0
    _add_image_of_solution(problem, frame, factors, b, image)
    _row_product(factors.row, image, factors.rhs[1])
    for i in range(n):
        factors.rhs[0, i] -= factors.rhs[1, i]
    lu_solve(factors.schur, factors.schur_pivots, factors.rhs[:1])
    _normal(factors.g, factors.rhs[0], factors.normal)
    _add_image_of_solution(problem, frame, factors, factors.normal, image)
    add_multiple(b, 1.0, factors.normal)
    work.z[:] = image[:, :n]
    apply_blocks(work.E, work.z, image[:, n:], work.t)
    gather(work.t, factors.normal)
    add_multiple(b, -c, factors.normal)
