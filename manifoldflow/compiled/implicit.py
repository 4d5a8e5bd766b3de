"""Linearly implicit (Rosenbrock) steps for the sharpness flow; `blocks` has the structure of its Jacobian."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .blocks import factorise, linearise, rate_bound, solve
from .coefficients import (
    add_combination,
    combine,
    drop_idle_part,
    evaluate_stage,
    parameters,
    scale,
    start_stages,
)
from .geometry import add_multiple, copy, near_stationarity, norm
from .options import jit_bare
from .stepping import (
    ACCEPTED,
    BEGAN,
    CURVATURE,
    ENTERED,
    FACTORISATIONS,
    FIELD_EVALUATIONS,
    GRADIENT_NORM,
    GROWTH,
    LENGTH,
    NOT_FINITE,
    PATIENCE,
    PROMISE,
    REACH,
    RUNNING,
    SINCE_SWITCH,
    H,
    T,
    error_norm,
    finish_step,
    initialise,
    land,
    next_time,
    on_polynomial,
    outputs_before,
    refuse,
    reject,
    switch,
)

# The rate omega at which stages are pulled back to the manifold, over the bound on the largest rate of the flow.
# Between 1e-3 and 1e-1 the number of steps varies little; with 0, steps on the digits are bounded by an instability.
PULL = 3e-3
# Steps of less than this, relative to the point, are stable without it, and it would bring in the rounding of f - y;
# unless they are so long, over the largest rate, that the rounding of a stage's normal part is multiplied without end.
NEGLIGIBLE, ENDLESS = 1e-5, 1e12
LONGEST = 1e250  # over the largest rate: entries of the linear systems stay finite
TINY = 1e-290


class Rosenbrock(NamedTuple):
    """Tableau: gamma, A and C (k, k), dense weights (3, k) and degree, order of the error estimate."""

    gamma: float
    A: np.ndarray
    C: np.ndarray
    dense: np.ndarray
    degree: int
    order: int


@jit_bare
def implicit_advance(state, problem, frame, work, record, control, tableau, trial, stages, factors):
    """Advance until the record is full or there is a reason to stop; returns the reason.

    The tableau is in the form that needs no product with the Jacobian (Hairer and Wanner II, IV.7): (I / (gamma h) -
    V') u_i = V(W + sum A_ij u_j) + sum C_ij u_j / h. The method is stiffly accurate: the last stage value plus its u
    is the trial point, and that u the error estimate.
    """
    reason = initialise(state, trial, problem, work, control, tableau.order)
    fresh = True
    while reason == RUNNING:
        if fresh:
            _linearise(state, problem, frame, work, stages, factors)
        t_new = next_time(state, control, LONGEST / max(state.scalars[CURVATURE], TINY))
        h = t_new - state.scalars[T]
        accepted = state.counters[ACCEPTED]
        state.counters[FACTORISATIONS] += 1
        omega = _pull(state, h)
        if factorise(problem, frame, work, factors, tableau.gamma * h, omega) and _stages(
            state, problem, frame, work, factors, stages, h, omega, tableau
        ):
            source = _parameter_source(stages, problem, frame, h * state.scalars[CURVATURE])
            _trial_point(state, source, stages, trial, tableau)
            size = error_norm(trial.error, state.W, trial.W, control)
            if size <= 1.0:
                if control.keep_dense or outputs_before(state, control, t_new)[0] > 0:
                    _dense(state, source, stages, trial, tableau.dense)
                reason = finish_step(state, trial, problem, work, record, control, t_new, size, tableau.order)
            else:
                reason = refuse(state, h, size, tableau.order)
        else:
            reason = reject(state, 0.25 * h, NOT_FINITE)
        fresh = state.counters[ACCEPTED] > accepted
        if fresh:
            longest = state.scalars[LENGTH] if state.counters[SINCE_SWITCH] > 1 else 0.0
            state.scalars[LENGTH] = max(longest, h)
        if reason == RUNNING and fresh and _explicit_is_cheaper(state, control):
            return _give_up(state, control)
    return reason


@jit_bare
def implicit_outputs(t, W, dense, times, problem, work, tolerance, points, numbers, trial):
    """The points at `times`, increasing, by the polynomials of the steps between the knots W (k + 1, m, r + p) at t.

    Fills points, sharpness, gradient norm and residual; returns the number of times before the first that does not
    land on M.
    """
    for index in range(times.shape[0]):
        k = np.searchsorted(t, times[index], side="right") - 1
        x = (times[index] - t[k]) / (t[k + 1] - t[k])
        on_polynomial(W[k], dense[k], x, points[index])
        F, size, reason = land(points[index], trial.grad, problem, work, trial.scratch, tolerance)
        if reason != RUNNING:
            return index
        numbers[index, 0], numbers[index, 1], numbers[index, 2] = F, norm(trial.grad), size
    return times.shape[0]


@jit_bare
def _linearise(state, problem, frame, work, stages, factors):
    """V and its linearisation at the state's point."""
    refine = near_stationarity(state.scalars[GRADIENT_NORM], work)
    start_stages(state.W, problem, frame, work, stages, refine)
    state.scalars[CURVATURE] = rate_bound(state.W, problem, frame, work)
    linearise(problem, work, stages, factors)


@jit_bare
def _pull(state, h):
    """The rate at which the stages of a step are pulled back to the manifold."""
    moving = h * state.scalars[GRADIENT_NORM] > NEGLIGIBLE * norm(state.W)
    return PULL * state.scalars[CURVATURE] if moving or h * state.scalars[CURVATURE] > ENDLESS else 0.0


@jit_bare
def _explicit_is_cheaper(state, control):
    """Whether explicit steps, as long as they were for the rate then, would cross the next one at less cost.

    Seen after a few steps, or at once where it would be at half the cost.
    """
    worth = control.cost_ratio * state.scalars[REACH] / state.scalars[CURVATURE]
    steps = state.counters[SINCE_SWITCH]
    return (steps > 6 and state.scalars[H] < worth) or (steps > 2 and state.scalars[H] < 0.5 * worth)


@jit_bare
def _give_up(state, control):
    """Leave for the explicit method, and what is expected of this one from now on: steps of PROMISE + GROWTH t.

    The patience until the next trial doubles, unless this one paid: explicit steps, as long as they may be now, would
    have cost more. Then a transient has made the steps short, and when it is over they grow to the longest, LENGTH.
    """
    scalars, t = state.scalars, state.scalars[T]
    explicit = scalars[REACH] / scalars[CURVATURE]
    paid = t - scalars[ENTERED] > control.cost_ratio * explicit * state.counters[SINCE_SWITCH]
    seen = scalars[LENGTH] if paid else scalars[H]
    scalars[GROWTH] = max(scalars[GROWTH], seen / (t - scalars[BEGAN]))
    scalars[PROMISE] = scalars[H] - scalars[GROWTH] * t
    scalars[PATIENCE] = 2.0 if paid else 2.0 * scalars[PATIENCE]
    scalars[LENGTH] = 0.5 * explicit
    return switch(state, scalars[LENGTH])


@jit_bare
def _stages(state, problem, frame, work, factors, stages, h, omega, tableau):
    """Fill the stages u as coefficients and images; False if a value is not finite."""
    c = tableau.gamma * h
    refine = near_stationarity(state.scalars[GRADIENT_NORM], work)
    for k in range(tableau.A.shape[0]):
        u = stages.coefficients[k]
        if k == 0:
            copy(stages.value, u)
        else:
            add_combination(stages.start, 1.0, tableau.A[k, :k], stages.images[:k], stages.trial)
            state.counters[FIELD_EVALUATIONS] += 1
            if not evaluate_stage(stages, k, problem, frame, work, omega, refine):
                return False
        scale(u, c)
        add_combination(u, tableau.gamma, tableau.C[k, :k], stages.coefficients[:k], u)
        solve(problem, frame, work, factors, c, u, stages.images[k])
        drop_idle_part(u, frame, stages.combined)
    return True


@jit_bare
def _parameter_source(stages, problem, frame, stiffness):
    """Arrays of the stages u and the matrix that turns them into parameters, whichever loses less to rounding.

    In stiff directions a coefficient is what remains of terms `stiffness` = c |E| times as large; an image is as exact
    as the solution, and loses the condition of R on the way to parameters.
    """
    if stiffness > frame.condition:
        return stages.images, frame.inverse
    return stages.coefficients, problem.R


@jit_bare
def _trial_point(state, source, stages, trial, tableau):
    """The trial point and its error estimate, the last stage."""
    u, to_parameters = source
    last = tableau.A.shape[0] - 1
    parameters(u[last], to_parameters, trial.error)
    combine(1.0, tableau.A[last, :last], u[:last], stages.combined)
    parameters(stages.combined, to_parameters, trial.W)
    add_multiple(trial.W, 1.0, state.W)
    add_multiple(trial.W, 1.0, trial.error)


@jit_bare
def _dense(state, source, stages, trial, weights):
    """Powers of x in (1 - x) W + x (W_new + (1 - x) (d1 + x (d2 + x d3))), d = weights . stages."""
    u, to_parameters = source
    trial.dense[:] = 0.0
    add_multiple(trial.dense[0], 1.0, trial.W)
    add_multiple(trial.dense[0], -1.0, state.W)
    for row in range(3):
        combine(1.0, weights[row], u, stages.combined)
        parameters(stages.combined, to_parameters, trial.scratch)
        add_multiple(trial.dense[row], 1.0, trial.scratch)
        add_multiple(trial.dense[row + 1], -1.0, trial.scratch)
