"""Explicit Runge-Kutta steps for the sharpness flow: Dormand and Prince's 8(5,3) in one compiled loop."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .blocks import curvature_bound
from .coefficients import (
    combine,
    evaluate_stage,
    image_of_coefficients,
    new_stages,
    parameters,
    start_stages,
)
from .geometry import add_multiple, curvature
from .options import jit
from .stepping import (
    ACCEPTED,
    CURVATURE,
    FIELD_EVALUATIONS,
    NOT_FINITE,
    RUNNING,
    STIFF_STEPS,
    SWITCHES,
    H,
    T,
    error_norm,
    finish_step,
    initialise,
    needs_dense,
    new_trial,
    refuse,
    reject,
    switch,
)

# Steps of this length over the largest rate are stable (real axis); the rate is known by a bound, often 1.3 times it.
STABILITY_LIMIT = 6.1


class Explicit(NamedTuple):
    """Tableau: A (k, k) of all stages; b and two error estimates (2, main) over the `main` first; dense (degree, k)."""

    A: np.ndarray
    b: np.ndarray
    errors: np.ndarray
    dense: np.ndarray
    main: int
    degree: int
    order: int


@jit
def explicit_advance(state, problem, frame, work, record, control, tableau):
    """Advance until the record is full or there is a reason to stop; returns the reason.

    Stages leave the manifold by no more than the method's error, and every accepted point is projected back onto it.
    """
    trial = new_trial(state.W, tableau.degree)
    stages = new_stages(tableau.A.shape[0], problem.a.shape[0], problem.G.shape[0], work.g.shape[0] - 1)
    reason = initialise(state, trial, problem, work, control, tableau.order)
    fresh = True
    while reason == RUNNING:
        if fresh:
            start_stages(state.W, problem, frame, work, stages, False)
            stages.coefficients[0] = stages.value
            image_of_coefficients(stages.value, problem.G, stages.images[0])
            if control.cost_ratio > 0.0 and _is_stiff(state, problem, frame, work):
                return switch(state, state.scalars[H])
        h = min(state.scalars[H], control.t_end - state.scalars[T])
        accepted = state.counters[ACCEPTED]
        if _stages(state, problem, frame, work, stages, 1, tableau.main, h, tableau):
            combine(h * tableau.b, stages.coefficients[: tableau.main], stages.combined)
            parameters(stages.combined, problem.R, trial.W)
            add_multiple(trial.W, 1.0, state.W)
            size = _error(state, problem, stages, trial, control, h, tableau)
            if not size <= 1.0:
                reason = refuse(state, size, tableau.order)
            elif needs_dense(state, control, h) and not _dense(state, problem, frame, work, stages, trial, h, tableau):
                reason = reject(state, 0.25, NOT_FINITE)
            else:
                reason = finish_step(state, trial, problem, work, record, control, h, size, tableau.order)
        else:
            reason = reject(state, 0.25, NOT_FINITE)
        fresh = state.counters[ACCEPTED] > accepted
    return reason


@jit
def _stages(state, problem, frame, work, stages, first, last, h, tableau):
    """Fill stages first to last and their images; False if one is not finite."""
    for k in range(first, last):
        combine(h * tableau.A[k, :k], stages.images[:k], stages.trial)
        add_multiple(stages.trial, 1.0, stages.start)
        state.counters[FIELD_EVALUATIONS] += 1
        if not evaluate_stage(stages, k, problem, frame, work, 0.0, False):
            return False
        image_of_coefficients(stages.coefficients[k], problem.G, stages.images[k])
    return True


@jit
def _error(state, problem, stages, trial, control, h, tableau):
    """Error norm: the estimate of order 5, reduced by that of order 3 (Hairer, Norsett, Wanner I, II.10)."""
    combine(h * tableau.errors[0], stages.coefficients[: tableau.main], stages.combined)
    parameters(stages.combined, problem.R, trial.error)
    fifth = error_norm(trial.error, state.W, trial.W, control)
    combine(h * tableau.errors[1], stages.coefficients[: tableau.main], stages.combined)
    parameters(stages.combined, problem.R, trial.error)
    third = error_norm(trial.error, state.W, trial.W, control)
    if fifth == 0.0 and third == 0.0:
        return 0.0
    return fifth * fifth / np.sqrt(fifth * fifth + 0.01 * third * third)


@jit
def _dense(state, problem, frame, work, stages, trial, h, tableau):
    """The further stages of the dense output, and its coefficients; False if a stage is not finite."""
    if not _stages(state, problem, frame, work, stages, tableau.main, tableau.A.shape[0], h, tableau):
        return False
    for power in range(tableau.dense.shape[0]):
        combine(h * tableau.dense[power], stages.coefficients, stages.combined)
        parameters(stages.combined, problem.R, trial.dense[power])
    return True


@jit
def _is_stiff(state, problem, frame, work):
    """True after many steps near the limit of stability, twice as many each time the implicit method gave up before."""
    if state.counters[ACCEPTED] % 8 == 0 or state.scalars[CURVATURE] == 0.0:
        curvature(state.W, problem, work)
        state.scalars[CURVATURE] = curvature_bound(work.E, frame.largest)
    if state.scalars[H] * state.scalars[CURVATURE] > 0.7 * STABILITY_LIMIT:
        state.counters[STIFF_STEPS] += 1
    elif state.counters[STIFF_STEPS] > 0:
        state.counters[STIFF_STEPS] -= 1
    return state.counters[STIFF_STEPS] >= 24 * 2 ** min(state.counters[SWITCHES] // 2, 20)
