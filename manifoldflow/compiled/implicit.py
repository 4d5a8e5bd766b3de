"""Linearly implicit (Rosenbrock) steps for the sharpness flow with the block structure of its Jacobian.

With V = -grad F, V' = -(D - J^T K^{-1} N), where D has one block a unit and N = N1 + J D has n rows. The system
(I - c V') k = b, c = gamma h, is the same as S k - J^T w = b, (J - c N1) k = J b with S = I + c D: one (r + p) x (r +
p) factorisation a unit and one n x n Schur complement (J - c N1) S^{-1} J^T. No matrix of the size of all parameters.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .geometry import (
    add_multiple,
    apply_blocks,
    apply_jacobian,
    copy_scaled,
    gradient,
    preactivations,
    second_derivatives,
)
from .lapack import cholesky, cholesky_solve, gemm, lu, lu_solve
from .options import jit
from .stepping import (
    FACTORISATIONS,
    FIELD_EVALUATIONS,
    NOT_FINITE,
    RUNNING,
    H,
    T,
    finish_step,
    initialise,
    new_trial,
    reject,
)


class Factors(NamedTuple):
    """Factors of I - c V': blocks S (Cholesky, or LU where indefinite), columns S^{-1} J^T, the Schur complement's
    LU.
    """

    blocks: np.ndarray
    pivots: np.ndarray
    definite: np.ndarray
    columns: np.ndarray
    g: np.ndarray
    row: np.ndarray
    schur: np.ndarray
    schur_pivots: np.ndarray
    weighted: np.ndarray
    image: np.ndarray
    row_block: np.ndarray


@jit
def new_factors(m, n, r, p):
    """Room for the factors: about m (r + p)(n + r + p) numbers."""
    D, v = r + p, 1 + p
    return Factors(
        np.empty((m, D, D)),
        np.empty((m, D), np.int32),
        np.empty(m, np.bool_),
        np.empty((m, n, D)),
        np.empty((v, m, n)),
        np.empty((v, m, n)),
        np.empty((n, n)),
        np.empty(n, np.int32),
        np.empty((n, r)),
        np.empty((2, n)),
        np.empty((n, D)),
    )


@jit
def factorise(state, problem, work, factors, c, scratch):
    """Factor I - c V' at the state's point; False if a block or the Schur complement is singular or not finite."""
    R = problem.R
    n, r = R.shape
    _, info = second_derivatives(state.W, problem, work, scratch)
    if info != 0:
        return False
    factors.g[:] = work.g
    preactivations(scratch, R, work.z)
    apply_blocks(work.H, work.z, scratch[:, r:], work.t)
    for q in range(work.g.shape[0]):
        for j in range(state.W.shape[0]):
            for i in range(n):
                factors.row[q, j, i] = work.g[q, j, i] - c * work.t[q, j, i]
    factors.schur[:] = 0.0
    for j in range(state.W.shape[0]):
        _curvature_block(work.E, R, j, c, factors)
        _scaled_rows(factors.g, R, j, factors.columns[j])
        if not _factor_block(factors, work.E, R, j, c):
            return False
        _solve_block(factors, j, factors.columns[j])
        _scaled_rows(factors.row, R, j, factors.row_block)
        gemm(False, True, 1.0, factors.row_block, factors.columns[j], 1.0, factors.schur)
    return lu(factors.schur, factors.schur_pivots) == 0


@jit
def _curvature_block(E, R, j, c, factors):
    """blocks[j] = I + c sum_i A_i^T E_ji A_i."""
    n, r = R.shape
    block = factors.blocks[j]
    for i in range(n):
        for k in range(r):
            factors.weighted[i, k] = E[0, 0, j, i] * R[i, k]
    gemm(True, False, c, R, factors.weighted, 0.0, block[:r, :r])
    n_own = E.shape[0] - 1
    for q in range(n_own):
        for k in range(r):
            total = 0.0
            for i in range(n):
                total += E[0, q + 1, j, i] * R[i, k]
            block[k, r + q] = c * total
            block[r + q, k] = c * total
        for k in range(n_own):
            total = 0.0
            for i in range(n):
                total += E[q + 1, k + 1, j, i]
            block[r + q, r + k] = c * total
    for k in range(r + n_own):
        block[k, k] += 1.0


@jit
def _scaled_rows(t, R, j, out):
    """Row i of out is A_i^T t_ji."""
    n, r = R.shape
    for i in range(n):
        for k in range(r):
            out[i, k] = t[0, j, i] * R[i, k]
        for q in range(t.shape[0] - 1):
            out[i, r + q] = t[q + 1, j, i]


@jit
def _factor_block(factors, E, R, j, c):
    """Cholesky; LU of the block formed again when it is indefinite, as it can be far from stationarity."""
    factors.definite[j] = cholesky(factors.blocks[j]) == 0
    if factors.definite[j]:
        return True
    _curvature_block(E, R, j, c, factors)
    return lu(factors.blocks[j], factors.pivots[j]) == 0


@jit
def _solve_block(factors, j, rows):
    if factors.definite[j]:
        cholesky_solve(factors.blocks[j], rows)
    else:
        lu_solve(factors.blocks[j], factors.pivots[j], rows)


@jit
def solve(problem, work, factors, rhs):
    """rhs <- (I - c V')^{-1} rhs."""
    r = problem.R.shape[1]
    preactivations(rhs, problem.R, work.z)
    apply_jacobian(factors.g, work.z, rhs[:, r:], factors.image[0])
    for j in range(rhs.shape[0]):
        _solve_block(factors, j, rhs[j : j + 1])
    preactivations(rhs, problem.R, work.z)
    apply_jacobian(factors.row, work.z, rhs[:, r:], factors.image[1])
    for i in range(factors.image.shape[1]):
        factors.image[0, i] -= factors.image[1, i]
    lu_solve(factors.schur, factors.schur_pivots, factors.image[:1])
    for j in range(rhs.shape[0]):
        gemm(False, False, 1.0, factors.image[:1], factors.columns[j], 1.0, rhs[j : j + 1])


@jit
def implicit_advance(state, problem, work, record, control, gamma, A, C, dense_weights, order):
    """Advance until the record is full or there is a reason to stop; returns the reason.

    A (k, k) and C (k, k) are a Rosenbrock tableau in the form that needs no product with the Jacobian (Hairer and
    Wanner II, IV.7): (I / (gamma h) - V') u_i = V(W + sum A_ij u_j) + sum C_ij u_j / h. The method is stiffly
    accurate: the last stage value plus its u is the trial point, and that u the error estimate. dense_weights is (3,
    k).
    """
    trial = new_trial(state.W)
    stages = np.empty((A.shape[0], *state.W.shape))
    factors = new_factors(state.W.shape[0], problem.R.shape[0], problem.R.shape[1], work.g.shape[0] - 1)
    reason = initialise(state, problem, work, control)
    while reason == RUNNING:
        h = min(state.scalars[H], control.t_end - state.scalars[T])
        state.counters[FACTORISATIONS] += 1
        finite = factorise(state, problem, work, factors, gamma * h, trial.scratch)
        if finite and _stages(state, problem, work, factors, stages, trial, h, gamma, A, C):
            if control.keep_dense:
                _dense(state, stages, trial, dense_weights)
            reason = finish_step(state, trial, problem, work, record, control, h, order)
        else:
            reason = reject(state, 0.25, NOT_FINITE)
    return reason


@jit
def _stages(state, problem, work, factors, stages, trial, h, gamma, A, C):
    """Fill the stages, the trial point and the error estimate; False if a value is not finite."""
    n_stages = A.shape[0]
    for stage in range(n_stages):
        u = stages[stage]
        if stage == 0:
            copy_scaled(u, -gamma * h, state.grad)
        else:
            trial.W[:] = state.W
            for previous in range(stage):
                add_multiple(trial.W, A[stage, previous], stages[previous])
            F, info = gradient(trial.W, problem, work, u)
            state.counters[FIELD_EVALUATIONS] += 1
            if info != 0 or not np.isfinite(F):
                return False
            copy_scaled(u, -gamma * h, u)
        for previous in range(stage):
            add_multiple(u, gamma * C[stage, previous], stages[previous])
        solve(problem, work, factors, u)
    trial.error[:] = stages[n_stages - 1]
    add_multiple(trial.W, 1.0, trial.error)
    return True


@jit
def _dense(state, stages, trial, dense_weights):
    """Powers of x in (1 - x) W + x (W_new + (1 - x) (d1 + x (d2 + x d3))), d = dense_weights . stages."""
    trial.dense[:] = 0.0
    add_multiple(trial.dense[0], 1.0, trial.W)
    add_multiple(trial.dense[0], -1.0, state.W)
    for row in range(3):
        for stage in range(stages.shape[0]):
            add_multiple(trial.dense[row], dense_weights[row, stage], stages[stage])
            add_multiple(trial.dense[row + 1], -dense_weights[row, stage], stages[stage])
