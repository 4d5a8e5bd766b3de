"""Explicit Runge-Kutta steps for the sharpness flow: Dormand and Prince's 8(5,3) in one compiled loop."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .blocks import rate_bound
from .coefficients import (
    add_combination,
    combine,
    evaluate_stage,
    image_of_coefficients,
    parameters,
    start_stages,
)
from .geometry import add_multiple, copy, gradient, norm
from .lines import accumulate
from .options import jit_bare
from .stepping import (
    ACCEPTED,
    FIELD_EVALUATIONS,
    GROWTH,
    LENGTH,
    NOT_FINITE,
    PATIENCE,
    PROMISE,
    RATE,
    REACH,
    RUNNING,
    STIFF_STEPS,
    H,
    T,
    error_norm,
    finish_step,
    initialise,
    land,
    next_time,
    on_polynomial,
    refuse,
    reject,
    switch,
)

# Longest step over the largest rate. On the real axis 6.38 is the limit of stability; what is seen of the rate may be a
# fifth too small.
STABLE = 5.0
# From one step to the next: growth where the bound on the largest rate (up to 3 times too large) does not show it to be
# safe, and how much of a rate that has bounded a step is still believed.
CAREFUL, BELIEVED = 1.15, 0.97
# Error of a polynomial, in the norm of error estimates, that is lost beside those of steps.
NEGLIGIBLE = 3e-4
MANY = 4  # outputs for which the further stages of a polynomial pay
# Differences that show the largest rate, relative to the point: of rtol, and of 1, for rounding.
LEAST_DIFFERENCE, ROUNDING = 1e-4, 1e-13


class Explicit(NamedTuple):
    """Tableau: A (k, k), b (k,) and two error estimates (2, k); order of the estimate.

    `extended` is A with the rows of four further stages, and `dense` (7, k + 4) the powers of the polynomial.
    """

    A: np.ndarray
    b: np.ndarray
    errors: np.ndarray
    order: int
    extended: np.ndarray
    dense: np.ndarray


@jit_bare
def explicit_advance(state, problem, frame, work, record, control, tableau, trial, stages):
    """Advance until the record is full or there is a reason to stop; returns the reason.

    Stages leave the manifold by no more than the method's error, and every accepted point is projected back onto it.
    """
    reason = initialise(state, trial, problem, work, control, tableau.order)
    if reason == RUNNING:
        _first_stage(state.W, problem, frame, work, stages)
    while reason == RUNNING:
        if control.cost_ratio > 0.0 and _implicit_is_cheaper(state, control):
            state.scalars[REACH] = rate_bound(state.W, problem, frame, work) * state.scalars[LENGTH]
            return switch(state, state.scalars[H])
        t_new, longest = next_time(state, control, np.inf), state.scalars[H]
        h = t_new - state.scalars[T]
        accepted = state.counters[ACCEPTED]
        state.counters[FIELD_EVALUATIONS] += tableau.A.shape[0] - 1
        if _trial_point(state.W, problem, frame, work, stages, h, tableau, trial.W):
            size = _error(state, problem, stages, trial, control, h, tableau)
            if size <= 1.0:
                reason = finish_step(state, trial, problem, work, record, control, t_new, size, tableau.order)
            else:
                reason = refuse(state, h, size, tableau.order)
        else:
            reason = reject(state, 0.25 * h, NOT_FINITE)
        if state.counters[ACCEPTED] > accepted:
            _first_stage(state.W, problem, frame, work, stages)
            _stay_stable(state, problem, frame, work, stages, control, longest)
    return reason


@jit_bare
def explicit_outputs(t, W, times, problem, frame, work, tableau, control, points, numbers, trial, stages):
    """The points at `times`, increasing, of steps between the knots W (k + 1, m, r + p) at t.

    Fills points, sharpness, gradient norm and residual; returns the number of times reached.
    """
    first = 0
    while first < times.shape[0]:
        k = np.searchsorted(t, times[first], side="right") - 1
        last = np.searchsorted(times, t[k + 1], side="left")
        gradient(W[k], problem, work, trial.grad)
        first += _outputs_of_step(
            W[k], t[k], t[k + 1], times[first:last], problem, frame, work, tableau, control, points[first:last],
            numbers[first:last], trial, stages,
        )  # fmt: skip
        if first < last:
            return first
    return first


@jit_bare
def _outputs_of_step(W, t, end, times, problem, frame, work, tableau, control, points, numbers, trial, stages):
    """The points at times within a step from W, where `gradient` was evaluated last; returns how many were reached.

    A few are found by steps that end there. Many are taken from the polynomial of a step, up to where it is less exact
    than steps are; then by a step, from whose end a polynomial goes on, over twice as much as the last one reached.
    """
    done, h = 0, end - t
    while done < times.shape[0]:
        _first_stage(W, problem, frame, work, stages)
        taken, left = 0, times[done:]
        while taken == 0 and left.shape[0] >= MANY and left[MANY - 1] < t + h:
            if _polynomial(problem, frame, work, stages, h, tableau, trial.dense):
                taken = _along_polynomial(W, t, h, left, problem, work, control, points[done:], numbers[done:], trial)
            h = max(0.25 * h, 2.0 * (left[taken - 1] - t) if taken > 0 else 0.0)
        done += taken
        alone = True
        while alone and done < times.shape[0]:
            if not _trial_point(W, problem, frame, work, stages, times[done] - t, tableau, points[done]):
                return done
            if not _land_output(points[done], numbers[done], problem, work, control, trial):
                return done
            done += 1
            alone = taken == 0
        W, t = points[done - 1], times[done - 1]
        h = min(h, end - t)
    return done


@jit_bare
def _land_output(point, numbers, problem, work, control, trial):
    """Project an output onto the manifold; False where that fails."""
    F, size, reason = land(point, trial.grad, problem, work, trial.scratch, control.projection_tolerance)
    numbers[0], numbers[1], numbers[2] = F, norm(trial.grad), size
    return reason == RUNNING


@jit_bare
def _along_polynomial(W, t, h, times, problem, work, control, points, numbers, trial):
    """The points at times after t on the polynomial of a step of length h; how many are as exact as the step.

    The error at the share x of the step is taken as x h (p' - V): the defect's integral, were it as large all the way.
    """
    for index in range(np.searchsorted(times, t + h)):
        x = (times[index] - t) / h
        on_polynomial(W, trial.dense, x, points[index])
        if not _land_output(points[index], numbers[index], problem, work, control, trial):
            return index
        trial.error[:] = 0.0
        for power in range(trial.dense.shape[0]):
            add_multiple(trial.error, x * (power + 1) * x**power, trial.dense[power])
        add_multiple(trial.error, x * h, trial.grad)
        if not error_norm(trial.error, W, points[index], control) <= NEGLIGIBLE:
            return index
    return np.searchsorted(times, t + h)


@jit_bare
def _polynomial(problem, frame, work, stages, h, tableau, dense):
    """The powers of the polynomial through the stages of a step and four more; False if one is not finite."""
    if not _further_stages(problem, frame, work, stages, h, tableau.extended):
        return False
    for power in range(dense.shape[0]):
        combine(h, tableau.dense[power], stages.coefficients, stages.combined)
        parameters(stages.combined, problem.R, dense[power])
    return True


@jit_bare
def _first_stage(W, problem, frame, work, stages):
    """The first stage at W, from what `gradient` left in the workspace there."""
    start_stages(W, problem, frame, work, stages, False)
    copy(stages.value, stages.coefficients[0])
    image_of_coefficients(stages.value, problem.G, stages.images[0])


@jit_bare
def _trial_point(W, problem, frame, work, stages, h, tableau, W_new):
    """The further stages and the point of a step from W; False if a stage is not finite."""
    if not _further_stages(problem, frame, work, stages, h, tableau.A):
        return False
    combine(h, tableau.b, stages.coefficients, stages.combined)
    parameters(stages.combined, problem.R, W_new)
    add_multiple(W_new, 1.0, W)
    return True


@jit_bare
def _further_stages(problem, frame, work, stages, h, A):
    """The stages after the first; False if one is not finite."""
    for k in range(1, A.shape[0]):
        add_combination(stages.start, h, A[k, :k], stages.images[:k], stages.trial)
        if not evaluate_stage(stages, k, problem, frame, work, 0.0, False):
            return False
        image_of_coefficients(stages.coefficients[k], problem.G, stages.images[k])
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
def _stay_stable(state, problem, frame, work, stages, control, h):
    """Keep the next step within the limit of stability, after one of length h unless an output time cut it short.

    Bounded by error estimates alone, steps would swing about the limit and leave errors near the tolerance in stiff
    directions. Counts the steps that are bounded so; LENGTH is the mean of steps, of the last foremost.
    """
    scalars, counters = state.scalars, state.counters
    seen = _rate_seen(stages, max(LEAST_DIFFERENCE * control.rtol, ROUNDING))
    scalars[RATE] = max(seen, BELIEVED * scalars[RATE] if h * scalars[RATE] > 0.8 * STABLE else 0.0)
    longest = STABLE / scalars[RATE] if scalars[RATE] > 0.0 else np.inf
    careful = CAREFUL * h
    bounded = min(scalars[H], longest) > careful and scalars[H] * rate_bound(state.W, problem, frame, work) > STABLE
    if bounded:
        scalars[H] = careful
    elif scalars[H] > longest:
        scalars[H] = longest
        counters[STIFF_STEPS] += 1
    else:
        counters[STIFF_STEPS] = max(0, counters[STIFF_STEPS] - 1)
    scalars[LENGTH] += 0.2 * (scalars[H] - scalars[LENGTH])


@jit_bare
def _rate_seen(stages, least):
    """The largest rate, where it shows: the difference of V at the last stage and at the new point over theirs.

    The two belong to one time, and errors in stiff directions grow in the stage long before they do in the point
    (Hairer and Wanner II, IV.2). 0 where they lie too close to show anything.
    """
    last = stages.images.shape[0] - 1
    apart, speeds, size = 0.0, 0.0, 0.0
    for j in range(stages.start.shape[0]):
        for i in range(stages.start.shape[1]):
            apart = accumulate(apart, (stages.trial[j, i] - stages.start[j, i]) ** 2)
            speeds = accumulate(speeds, (stages.images[last, j, i] - stages.images[0, j, i]) ** 2)
            size = accumulate(size, stages.start[j, i] ** 2)
    return np.sqrt(speeds / apart) if apart > least * least * size else 0.0


@jit_bare
def _implicit_is_cheaper(state, control):
    """Whether implicit steps seem to pay: tried, at first, after many steps at the limit of stability.

    When the implicit method gave up, the length of its steps was known. It is taken to grow with the time since then,
    at the largest rate seen.
    """
    scalars, stiff = state.scalars, state.counters[STIFF_STEPS]
    if scalars[GROWTH] == 0.0:
        return stiff >= 8
    expected = scalars[PROMISE] + scalars[GROWTH] * scalars[T]
    return stiff >= scalars[PATIENCE] and expected > control.cost_ratio * scalars[LENGTH]
