"""Explicit Runge-Kutta steps for the sharpness flow: any tableau with an embedded error and a dense output."""

from __future__ import annotations

import numpy as np

from .geometry import add_multiple, copy_scaled, gradient
from .options import jit
from .stepping import FIELD_EVALUATIONS, NOT_FINITE, RUNNING, H, T, finish_step, initialise, new_trial, reject


@jit
def explicit_advance(state, problem, work, record, control, A, b, error_weights, dense_weights, order):
    """Advance until the record is full or there is a reason to stop; returns the reason.

    A (k, k), b (k,), error_weights (k + 1,) and dense_weights (k + 1, 4) are the tableau as SciPy's solvers hold it;
    `order` is that of the step's error estimate. Stages leave the manifold by no more than the method's error, and
    every accepted point is projected back onto it.
    """
    trial = new_trial(state.W)
    stages = np.empty((A.shape[0] + 1, *state.W.shape))
    reason = initialise(state, problem, work, control)
    while reason == RUNNING:
        h = min(state.scalars[H], control.t_end - state.scalars[T])
        if _stages(state, problem, work, stages, trial, h, A, b):
            _combine(stages, h * error_weights, trial.error)
            if control.keep_dense:
                for power in range(4):
                    _combine(stages, h * dense_weights[:, power], trial.dense[power])
            reason = finish_step(state, trial, problem, work, record, control, h, order)
        else:
            reason = reject(state, 0.25, NOT_FINITE)
    return reason


@jit
def _stages(state, problem, work, stages, trial, h, A, b):
    """Fill the stages (values of dTheta/dt; the last is at the trial point); False if one is not finite."""
    n_stages = A.shape[0]
    copy_scaled(stages[0], -1.0, state.grad)
    for stage in range(1, n_stages + 1):
        trial.W[:] = state.W
        for previous in range(stage):
            weight = A[stage, previous] if stage < n_stages else b[previous]
            add_multiple(trial.W, h * weight, stages[previous])
        F, info = gradient(trial.W, problem, work, trial.scratch)
        state.counters[FIELD_EVALUATIONS] += 1
        if info != 0 or not np.isfinite(F):
            return False
        copy_scaled(stages[stage], -1.0, trial.scratch)
    return True


@jit
def _combine(stages, weights, out):
    out[:] = 0.0
    for stage in range(stages.shape[0]):
        add_multiple(out, weights[stage], stages[stage])
