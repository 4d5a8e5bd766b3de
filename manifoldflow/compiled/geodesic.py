"""Geodesics and the vectors carried along them: Dormand and Prince's method of order 8(5,3) in one compiled loop.

A state (k, m, r + p) holds the point W, its velocity U = W' and vectors V carried along: U' = -J^T K^{-1} q(U, U) and
V' = -J^T K^{-1} q(U, V), with q_i(U, V) = sum_j u_ji^T H_ji v_ji.
"""

from __future__ import annotations

import numpy as np

from .geometry import (
    add_multiple,
    apply_blocks,
    assemble,
    curvature,
    factor_gram,
    preactivations,
    residual,
    subtract_normal,
    upper_jacobian_gram,
)
from .lapack import cholesky_solve
from .options import jit

REACHED, BUFFER_FULL, STEP_UNDERFLOW, LEFT_DOMAIN, SINGULAR, STEP_LIMIT = range(6)


@jit
def field(state, problem, work, out):
    """The state's derivative; a reason code, REACHED where it could be evaluated."""
    r = problem.R.shape[1]
    W, U = state[0], state[1]
    if not np.isfinite(residual(W, problem, work)):
        return LEFT_DOMAIN
    upper_jacobian_gram(work.g, problem.G, work.K)
    if factor_gram(work.K) != 0:
        return SINGULAR
    work.lam[:] = 0.0
    curvature(W, problem, work)
    out[0] = U
    for k in range(1, state.shape[0]):
        preactivations(state[k], problem.RT, work.z)
        apply_blocks(work.H, work.z, state[k][:, r:], work.t)
        _contract(problem, work, U)
        cholesky_solve(work.K, work.scratch)
        work.t[:] = 0.0
        subtract_normal(work.t, work.g, work.scratch[0])
        assemble(work.t, problem.R, out[k])
    return REACHED


@jit
def _contract(problem, work, U):
    """scratch_i = sum_j u_ji . t_ji."""
    r = problem.R.shape[1]
    preactivations(U, problem.RT, work.z)
    work.scratch[:] = 0.0
    for j in range(U.shape[0]):
        for i in range(problem.G.shape[0]):
            total = work.t[0, j, i] * work.z[j, i]
            for q in range(U.shape[1] - r):
                total += work.t[q + 1, j, i] * U[j, r + q]
            work.scratch[0, i] += total


@jit
def advance(problem, work, t, h, t_end, state, times, states, A, B, E3, E5, rtol, atol, max_steps):
    """Integrate `state` in place from t to t_end >= t, first step h (0: chosen here); fill times and states by accepted
    steps. Errors of state[k] are held to atol[k] + rtol |state[k]|.

    Returns (reason, accepted steps, t, next h); BUFFER_FULL asks to be called again.
    """
    stages = np.empty((A.shape[0] + 1, *state.shape))
    trial = np.empty_like(state)
    reason = field(state, problem, work, stages[0])
    if reason != REACHED:
        return reason, 0, t, h
    if h == 0.0:
        h = _first_step(state, stages[0], t_end - t, rtol, atol)
    accepted = 0
    for _ in range(max_steps):
        if t >= t_end:
            return REACHED, accepted, t, h
        if accepted == times.shape[0]:
            return BUFFER_FULL, accepted, t, h
        taken = min(h, t_end - t)
        if not t + taken > t:
            return reason if reason != REACHED else STEP_UNDERFLOW, accepted, t, h
        reason = one_step(problem, work, taken, state, stages, trial, A, B)
        size = _error(state, trial, stages, taken, E3, E5, rtol, atol) if reason == REACHED else np.inf
        if not size < 1.0:
            h = taken * (max(0.2, 0.9 * size**-0.125) if np.isfinite(size) else 0.2)
            continue
        t = t_end if taken == t_end - t else t + taken
        proposed = taken * (min(10.0, 0.9 * size**-0.125) if size > 0.0 else 10.0)
        h = max(h, proposed) if taken < h else proposed  # a step cut short by the end says little
        state[:] = trial
        stages[0] = stages[-1]
        times[accepted] = t
        states[accepted] = state
        accepted += 1
    return STEP_LIMIT, accepted, t, h


@jit
def one_step(problem, work, h, state, stages, trial, A, B):
    """The state a step h on, in `trial`; stages[0] holds the derivative at the start, the last that at the end."""
    n_stages = A.shape[0]
    for stage in range(1, n_stages + 1):
        trial[:] = state
        for k in range(state.shape[0]):
            for previous in range(stage):
                weight = A[stage, previous] if stage < n_stages else B[previous]
                if weight != 0.0:
                    add_multiple(trial[k], h * weight, stages[previous, k])
        reason = field(trial, problem, work, stages[stage])
        if reason != REACHED:
            return reason
    return REACHED


@jit
def _error(state, trial, stages, h, E3, E5, rtol, atol):
    """Hairer, Norsett and Wanner's combination of the errors of orders 5 and 3, over the root mean square tolerance."""
    fifth, third = 0.0, 0.0
    for k in range(state.shape[0]):
        for j in range(state.shape[1]):
            for c in range(state.shape[2]):
                scale = atol[k] + rtol * max(abs(state[k, j, c]), abs(trial[k, j, c]))
                e5, e3 = 0.0, 0.0
                for stage in range(stages.shape[0]):
                    e5 += E5[stage] * stages[stage, k, j, c]
                    e3 += E3[stage] * stages[stage, k, j, c]
                fifth += (e5 / scale) ** 2
                third += (e3 / scale) ** 2
    if fifth == 0.0 and third == 0.0:
        return 0.0
    return h * fifth / np.sqrt((fifth + 0.01 * third) * state.size)


@jit
def _first_step(state, derivative, span, rtol, atol):
    """A hundredth of the time in which the state would move by its own size; the error control does the rest."""
    size, speed = 0.0, 0.0
    for k in range(state.shape[0]):
        for j in range(state.shape[1]):
            for c in range(state.shape[2]):
                scale = atol[k] + rtol * abs(state[k, j, c])
                size += (state[k, j, c] / scale) ** 2
                speed += (derivative[k, j, c] / scale) ** 2
    return min(span, 0.01 * np.sqrt(size / speed)) if size > 0.0 and speed > 0.0 else span
