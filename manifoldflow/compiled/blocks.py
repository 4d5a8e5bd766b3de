"""Factors of I - c V' for the flow's field V, one block a unit and one n x n Schur complement.

With V = -grad F - omega J^T K^{-1} (f - y), on M: V' = -(D - J^T K^{-1} (N - omega J)), where D has the block
R_hat^T E_j R_hat for unit j and N = N1 + J D has n rows. The system (I - c V') k = b is the same as S k - J^T w = b,
((1 + c omega) J - c N1) k = J b with S = I + c D. Right-hand sides and solutions are coefficient arrays: with
H_j = R_hat S_j^{-1} R_hat^T the image of k is v = H (b + J^T w), and k = b + J^T w - c E v. No matrix of the size of
all parameters, and after the factorisation no cost above (n + p)^2 a unit. The blocks of eight units stand side by side
in a batch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .batches import padded
from .coefficients import gather, image_of_coefficients, parameters
from .geometry import add_multiple, apply_blocks, copy, curvature
from .lapack import add_weighted_batch, apply_batch, batch_inverses, cholesky, cholesky_inverse, gemm, lu, lu_solve
from .lines import LANES
from .options import jit_bare


class Factors(NamedTuple):
    """Batches of blocks (groups, N, N, 8), N = n + p or r + p, padded; J, N1 and the rows; the Schur complement's LU.

    Then scratch: for a batch, a line of eight numbers an index; for one block; right-hand sides; coefficients.
    """

    blocks: np.ndarray
    g: np.ndarray
    n1: np.ndarray
    row: np.ndarray
    schur: np.ndarray
    schur_pivots: np.ndarray
    triangle: np.ndarray
    lines: np.ndarray
    square: np.ndarray
    weighted: np.ndarray
    half: np.ndarray
    pivots: np.ndarray
    rhs: np.ndarray
    normal: np.ndarray
    given: np.ndarray
    solved: np.ndarray


def new_factors(m, n, r, p, wide):
    """Room for the factors: about m (n + p)^2 numbers when wide, else m (r + p)^2."""
    N, D, v = n + p, r + p, 1 + p
    order = padded(N if wide else D)
    return Factors(
        np.zeros((-(-m // LANES), order, order, LANES)),
        np.empty((v, m, n)),
        np.empty((v, m, n)),
        np.empty((v, m, n)),
        np.empty((n, n)),
        np.empty(n, np.int32),
        np.empty((order, order, LANES)),
        np.zeros((4, max(order, n), LANES)),
        np.empty((max(N, D), max(N, D))),
        np.empty((N, max(N, D))),
        np.empty((D, max(N, D))),
        np.empty(D, np.int32),
        np.empty((2, n)),
        np.empty((m, N)),
        np.empty((m, D)),
        np.empty((m, D)),
    )


@jit_bare
def rate_bound(W, problem, frame, work):
    """Bound on the largest eigenvalue of D at the point whose pre-activations and multipliers are in work; fills E.

    The largest absolute row sum of a block E_ji times the largest eigenvalue of R_hat^T R_hat.
    """
    curvature(W, problem, work)
    E, largest = work.E, work.scratch[0]  # of each sample: there is no order in which eight sums would wait for another
    largest[:] = 0.0
    for q in range(E.shape[0]):
        for j in range(E.shape[2]):
            for i in range(E.shape[3]):
                total = 0.0
                for k in range(E.shape[0]):
                    total += abs(E[q, k, j, i])
                largest[i] = max(largest[i], total)
    size = 0.0
    for i in range(largest.shape[0]):
        size = max(size, largest[i])
    return size * frame.largest


@jit_bare
def linearise(problem, work, stages, factors):
    """What of V' does not depend on c, at the point that stages.start and work hold: J, and N1 = (H grad F)^T in J."""
    n = problem.G.shape[0]
    for q in range(work.g.shape[0]):
        copy(work.g[q], factors.g[q])
    image_of_coefficients(stages.value, problem.G, factors.normal)
    copy(factors.normal[:, :n], work.z)
    apply_blocks(work.H, work.z, factors.normal[:, n:], factors.n1)  # of -grad F: `factorise` adds it


@jit_bare
def factorise(problem, frame, work, factors, c, omega):
    """Factor I - c V'; False if a block or the Schur complement is singular or not finite."""
    for q in range(factors.row.shape[0]):
        for j in range(factors.row.shape[1]):
            for i in range(factors.row.shape[2]):
                factors.row[q, j, i] = (1.0 + c * omega) * factors.g[q, j, i] + c * factors.n1[q, j, i]
    factors.schur[:] = 0.0
    m = factors.g.shape[1]
    for first in range(0, m, LANES):
        last = min(first + LANES, m)
        if frame.wide and work.E.shape[0] == 1 and c * smallest(work.E[0, 0, first:last]) > -0.75 * frame.shift:
            if not _weighted_inverses(frame, work.E[0, 0, first:last], c, factors, first):
                return False
        else:
            for j in range(first, last):
                if not _general_block(problem, frame, work.E, factors, c, j):
                    return False
    return lu(factors.schur, factors.schur_pivots) == 0


@jit_bare
def smallest(e):
    """The smallest entry of a matrix; NaN if there is one."""
    least = np.inf
    for j in range(e.shape[0]):
        for i in range(e.shape[1]):
            if not e[j, i] >= least:
                least = e[j, i]
            if least != least:
                return least
    return least


@jit_bare
def _weighted_inverses(frame, e, c, factors, first):
    """H = (G^{-1} + c diag(e))^{-1} = d^{-1} (I - (I + d G' d)^{-1}) d^{-1} for up to eight units, without G^{-1}.

    d^2 = c e + shift: the shift keeps d away from zero, so that nothing cancels where c e is small, and G' = (G^{-1} -
    shift)^{-1} makes up for it.
    """
    n, H, d = e.shape[1], factors.blocks[first // LANES], factors.lines[0]
    d[:] = 1.0
    for lane in range(e.shape[0]):
        for i in range(n):
            d[i, lane] = np.sqrt(c * e[lane, i] + frame.shift)
    if not batch_inverses(d, frame.shifted, factors.triangle, factors.lines[1], H):
        return False
    row, g = factors.lines[2], factors.lines[3]
    _to_lanes(factors.row[0], first, row)
    _to_lanes(factors.g[0], first, g)
    add_weighted_batch(row, H, g, factors.schur)
    return True


@jit_bare
def _to_lanes(x, first, lines):
    """Rows first to first + 8 of x, one in each lane; what is past the end is 0."""
    last = min(LANES, x.shape[0] - first)
    if last < LANES:
        lines[:] = 0.0
    for lane in range(last):
        for i in range(x.shape[1]):
            lines[i, lane] = x[first + lane, i]


@jit_bare
def _general_block(problem, frame, E, factors, c, j):
    """S^{-1} by Cholesky, or by LU where S is indefinite, and H = R_hat S^{-1} R_hat^T, which is kept when wide."""
    R_hat = frame.R_hat
    N, D = R_hat.shape
    weighted, half = factors.weighted[:, :D], factors.half[:, :N]
    S = factors.square[:D, :D]
    _curvature_block(E, R_hat, j, c, weighted, S)
    if cholesky(S) == 0:
        if cholesky_inverse(S) != 0:
            return False
        for i in range(D):
            for k in range(i):
                S[i, k] = S[k, i]
    else:
        _curvature_block(E, R_hat, j, c, weighted, S)
        if lu(S, factors.pivots) != 0:
            return False
        inverse = factors.half[:, :D]
        inverse[:] = 0.0
        for i in range(D):
            inverse[i, i] = 1.0
        lu_solve(S, factors.pivots, inverse)
        copy(inverse, S)
    if not frame.wide:
        _keep(S, factors, j)
    gemm(False, True, 1.0, S, R_hat, 0.0, half)
    image = factors.square[:N, :N]
    gemm(False, False, 1.0, R_hat, half, 0.0, image)
    if frame.wide:
        _keep(image, factors, j)
    _add_to_schur(factors.row, image, factors.g, j, factors.schur)
    return True


@jit_bare
def _keep(block, factors, j):
    """Put unit j's block into its lane."""
    batch, lane = factors.blocks[j // LANES], j % LANES
    for i in range(block.shape[0]):
        for k in range(block.shape[1]):
            batch[i, k, lane] = block[i, k]


@jit_bare
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


@jit_bare
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


@jit_bare
def _add_image_of_solution(problem, frame, factors, b, out):
    """out += H b, block by block."""
    if frame.wide:
        _add_products(factors, b, out)
        return
    n, r = problem.R.shape
    parameters(b, problem.R, factors.given)
    factors.solved[:] = 0.0
    _add_products(factors, factors.given, factors.solved)
    gemm(False, False, 1.0, factors.solved[:, :r], problem.RT, 1.0, out[:, :n])
    for j in range(b.shape[0]):
        for q in range(n, out.shape[1]):
            out[j, q] += factors.solved[j, r + q - n]


@jit_bare
def _add_products(factors, b, out):
    """out_j += B_j b_j for the blocks B_j that are kept."""
    x, y = factors.lines[0], factors.lines[1]
    for group in range(factors.blocks.shape[0]):
        first = group * LANES
        _to_lanes(b, first, x)
        apply_batch(factors.blocks[group], x, y)
        for lane in range(min(LANES, b.shape[0] - first)):
            for i in range(b.shape[1]):
                out[first + lane, i] += y[i, lane]


@jit_bare
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


@jit_bare
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


@jit_bare
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
    copy(image[:, :n], work.z)
    apply_blocks(work.E, work.z, image[:, n:], work.t)
    gather(-c, work.t, factors.normal)
    add_multiple(b, 1.0, factors.normal)
