"""Explicit Runge-Kutta steps for the sharpness flow: Dormand and Prince's 8(5,3) in one compiled loop."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .blocks import curvature_bound
from .coefficients import (
    add_combination,
    combine,
    evaluate_stage,
    image_of_coefficients,
    parameters,
    start_stages,
)
from .geometry import add_multiple, copy, curvature, gradient, norm
from .options import jit_bare
from .stepping import (
    ACCEPTED,
    CURVATURE,
    FIELD_EVALUATIONS,
    GROWTH,
    LENGTH,
    NOT_FINITE,
    PROMISE,
    REACH,
    RUNNING,
    STABILITY_LIMIT,
    STIFF_STEPS,
    SWITCHES,
    H,
    T,
    error_norm,
    finish_step,
    initialise,
    land,
    next_step,
    refuse,
    reject,
    switch,
)


class Explicit(NamedTuple):
    """Tableau: A (k, k), b (k,) and two error estimates (2, k); order of the estimate. Its dense output is a step."""

    A: np.ndarray
    b: np.ndarray
    errors: np.ndarray
    order: int


@jit_bare
def explicit_advance(state, problem, frame, work, record, control, tableau, trial, stages):
    """Advance until the record is full or there is a reason to stop; returns the reason.

    Stages leave the manifold by no more than the method's error, and every accepted point is projected back onto it.
    """
    reason = initialise(state, trial, problem, work, control, tableau.order)
    fresh = True
    while reason == RUNNING:
        if fresh:
            _first_stage(state.W, problem, frame, work, stages)
            _look_for_stiffness(state, problem, frame, work)
            if control.cost_ratio > 0.0 and _implicit_is_cheaper(state, control):
                state.scalars[REACH] = state.scalars[CURVATURE] * state.scalars[LENGTH]
                return switch(state, state.scalars[H])
        h = next_step(state, control)
        accepted = state.counters[ACCEPTED]
        state.counters[FIELD_EVALUATIONS] += tableau.A.shape[0] - 1
        if _trial_point(state.W, problem, frame, work, stages, h, tableau, trial.W):
            size = _error(state, problem, stages, trial, control, h, tableau)
            if size <= 1.0:
                reason = finish_step(state, trial, problem, work, record, control, h, size, tableau.order)
            else:
                reason = refuse(state, size, tableau.order)
        else:
            reason = reject(state, 0.25, NOT_FINITE)
        fresh = state.counters[ACCEPTED] > accepted
    return reason


@jit_bare
def explicit_outputs(t, W, times, problem, frame, work, tableau, tolerance, points, numbers, trial, stages):
    """The points at `times`, increasing, each by one step from the last of the knots W (k, m, r + p) at t (k,) before.

    As exact as the steps themselves, where a polynomial through the stages is less so for steps near the limit of
    stability. Fills points, sharpness, gradient norm and residual; returns the number of times reached.
    """
    last = -1
    for index in range(times.shape[0]):
        k = np.searchsorted(t, times[index], side="right") - 1
        if k != last:
            gradient(W[k], problem, work, trial.grad)
            _first_stage(W[k], problem, frame, work, stages)
            last = k
        if not _trial_point(W[k], problem, frame, work, stages, times[index] - t[k], tableau, points[index]):
            return index
        F, size, reason = land(points[index], trial.grad, problem, work, trial.scratch, tolerance)
        if reason != RUNNING:
            return index
        numbers[index, 0], numbers[index, 1], numbers[index, 2] = F, norm(trial.grad), size
    return times.shape[0]


@jit_bare
def _first_stage(W, problem, frame, work, stages):
    """The first stage at W, from what `gradient` left in the workspace there."""
    start_stages(W, problem, frame, work, stages, False)
    copy(stages.value, stages.coefficients[0])
    image_of_coefficients(stages.value, problem.G, stages.images[0])


@jit_bare
def _trial_point(W, problem, frame, work, stages, h, tableau, W_new):
    """The further stages and the point of a step from W; False if a stage is not finite."""
    for k in range(1, tableau.A.shape[0]):
        add_combination(stages.start, h, tableau.A[k, :k], stages.images[:k], stages.trial)
        if not evaluate_stage(stages, k, problem, frame, work, 0.0, False):
            return False
        image_of_coefficients(stages.coefficients[k], problem.G, stages.images[k])
    combine(h, tableau.b, stages.coefficients, stages.combined)
    parameters(stages.combined, problem.R, W_new)
    add_multiple(W_new, 1.0, W)
    return True


@jit_bare
def _error(state, problem, stages, trial, control, h, tableau):
    """Error norm: the estimate of order 5, reduced by that of order 3 (Hairer, Norsett, Wanner I, II.10)."""
    combine(h, tableau.errors[0], stages.coefficients, stages.combined)
    parameters(stages.combined, problem.R, trial.error)
    fifth = error_norm(trial.error, state.W, trial.W, control)
    combine(h, tableau.errors[1], stages.coefficients, stages.combined)
    parameters(stages.combined, problem.R, trial.error)
    third = error_norm(trial.error, state.W, trial.W, control)
    if fifth == 0.0 and third == 0.0:
        return 0.0
    return fifth * fifth / np.sqrt(fifth * fifth + 0.01 * third * third)


@jit_bare
def _look_for_stiffness(state, problem, frame, work):
    """Count the steps that the limit of stability bounds: near it, by a bound on the largest rate, and not growing.

    LENGTH is the mean of their lengths, of the last foremost. The bound is renewed where it matters. Where several are
    bounded so, the next is kept from swinging beyond them, which would let errors in stiff directions grow.
    """
    scalars, counters = state.scalars, state.counters
    near = 0.7 * STABILITY_LIMIT
    if counters[ACCEPTED] % 8 == 0 or scalars[CURVATURE] == 0.0 or scalars[H] * scalars[CURVATURE] > near:
        curvature(state.W, problem, work)
        scalars[CURVATURE] = curvature_bound(work.E, frame.largest)
    scalars[LENGTH] += 0.2 * (scalars[H] - scalars[LENGTH])
    if scalars[H] * scalars[CURVATURE] <= near:
        counters[STIFF_STEPS] = max(0, counters[STIFF_STEPS] - 1)
    elif scalars[H] < 1.25 * scalars[LENGTH]:
        counters[STIFF_STEPS] += 1
        if counters[STIFF_STEPS] >= 3:
            scalars[H] = min(scalars[H], 1.05 * scalars[LENGTH])


@jit_bare
def _implicit_is_cheaper(state, control):
    """Whether implicit steps seem to pay: tried, at first, after many steps at the limit of stability.

    When the implicit method gave up, the length of its steps was known. It is taken to grow with the time since then,
    at the largest rate seen. The patience with steps at the limit doubles each time.
    """
    scalars, stiff = state.scalars, state.counters[STIFF_STEPS]
    if scalars[GROWTH] == 0.0:
        return stiff >= 10
    expected = scalars[PROMISE] + scalars[GROWTH] * scalars[T]
    return stiff >= 2 ** min(state.counters[SWITCHES] // 2, 20) and expected > control.cost_ratio * scalars[LENGTH]
