"""What both flow integrators share: error norm, step-size control, record of accepted steps, reasons to stop."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .geometry import add_multiple, copy, distance, gradient, newton_projection, newton_step, norm, residual
from .lines import accumulate, rooms
from .options import jit_bare

(
    RUNNING, REACHED_END, STATIONARY, STEP_UNDERFLOW, NOT_FINITE, PROJECTION_FAILED, SINGULAR, BUFFER_FULL, STEP_LIMIT,
    SWITCH,
) = range(10)  # fmt: skip

# (lambda h)^order |V| / lambda of a first step, in units of the tolerance: its error estimate is 1e-3 to 1e-1
# (explicit) or 0.1 to 0.3 (implicit) on the problems of the benchmarks.
FIRST_ERROR = 20.0

# A point that moves by less than this, relative to itself or to where it began, stays where it is.
REST = 1e-14

# Relative rounding of F: of its derivative in the pre-activations, which have some eps of their own sizes.
SHARPNESS_ROUNDING = 1e-12


class Control(NamedTuple):
    """What a run is asked for; times are flow times of dTheta/dt = -grad F.

    A point is stationary where |grad F| <= max(gradient_tolerance, rounding |normal part of the Euclidean gradient|).
    `cost_ratio` is that of an implicit step to an explicit one; with 0 the method is never switched. With `keep_dense`
    all implicit steps have polynomials, otherwise those that contain several of the output times `times`, increasing.
    The loop returns, as with a full record, whenever a multiple of `stop_every` steps has been accepted (0: never). A
    parameter that is not 0 stays at least `floor` in size.
    """

    t_end: float
    rtol: float
    atol: float
    gradient_tolerance: float
    rounding: float
    projection_tolerance: float
    max_steps: int
    keep_dense: bool
    cost_ratio: float
    times: np.ndarray
    stop_every: int
    floor: float


class State(NamedTuple):
    """Where a run stands: its scalars and counters at the positions named below, its point and gradient."""

    scalars: np.ndarray
    W: np.ndarray
    grad: np.ndarray
    counters: np.ndarray


class Record(NamedTuple):
    """Accepted steps: time, point, sharpness, gradient norm, residual, and the dense polynomial's coefficients.

    No polynomials are kept where `dense` has no rows.
    """

    t: np.ndarray
    W: np.ndarray
    numbers: np.ndarray
    dense: np.ndarray


# Positions in State.scalars and State.counters.
(
    T, H, SHARPNESS, GRADIENT_NORM, RESIDUAL, CURVATURE, BEGAN, ENTERED, LENGTH, REACH, PROMISE, GROWTH, PATIENCE, RATE,
    LEAVING, WAY_OUT, SIZE, UNDERWAY, ALLOWED, N_SCALARS,
) = range(20)  # fmt: skip
ACCEPTED, REJECTED, FIELD_EVALUATIONS, FACTORISATIONS, SWITCHES, RECORDED, SINCE_SWITCH, STIFF_STEPS = range(8)


@jit_bare
def error_norm(error, W, W_new, control):
    """Root mean square of error / (atol + rtol max(|W|, |W_new|)); NaN if anything is not finite."""
    total = 0.0
    for j in range(W.shape[0]):
        for k in range(W.shape[1]):
            scale = control.atol + control.rtol * max(abs(W[j, k]), abs(W_new[j, k]))
            total = accumulate(total, (error[j, k] / scale) ** 2)
    return np.sqrt(total / max(W.size, 1))


@jit_bare
def step_factor(error, order):
    """Factor for the next step after an error estimate of that order."""
    if error == 0.0:
        return 6.0
    return min(6.0, max(0.2, 0.9 * error ** (-1.0 / order)))


@jit_bare
def outputs_before(state, control, t):
    """Number of output times after the state's time and before t, and the place of the first."""
    first = np.searchsorted(control.times, state.scalars[T], side="right")
    return np.searchsorted(control.times, t, side="left") - first, first


@jit_bare
def next_time(state, control, longest):
    """Where the next step leads: as far as it may, or to the end, or to an output time that is alone on the way.

    That costs half a step on the average, and the output is as exact as the steps are. While a saddle is left a step is
    one over the rate of what grows there at most: longer ones would damp it, or not see it.
    """
    h = min(state.scalars[H], longest)
    if state.scalars[LEAVING] > 0.0:
        h = min(h, 1.0 / state.scalars[LEAVING])
    near_end = control.t_end - state.scalars[T] <= h * (1.0 + 1e-14)
    t_new = control.t_end if near_end else state.scalars[T] + h
    count, first = outputs_before(state, control, t_new)
    return control.times[first] if count == 1 else t_new


@jit_bare
def stationary_level(state, work, control):
    """Gradient norm at which the point last evaluated counts as stationary.

    Rounding does not while a saddle is left, LEAVING being the rate at which the way out of it grows, or 0; nor where
    samples are UNDERWAY whose part of the gradient is below it.
    """
    rounding = control.rounding if state.scalars[LEAVING] == state.scalars[UNDERWAY] == 0.0 else 0.0
    return max(control.gradient_tolerance, rounding * work.normal[0])


@jit_bare
def initialise(state, trial, problem, work, control, order):
    """Gradient and norms at the state's point, and a first step size if there is none; returns a reason code."""
    if state.scalars[H] <= 0.0:
        state.scalars[H] = _first_step(state, trial, problem, work, control, order)
    F, info = gradient(state.W, problem, work, state.grad)
    size = norm(state.grad)
    state.scalars[SHARPNESS], state.scalars[GRADIENT_NORM] = F, size
    if info != 0:
        return SINGULAR
    if not np.isfinite(size):
        return NOT_FINITE
    if size <= stationary_level(state, work, control):
        return STATIONARY
    return RUNNING


@jit_bare
def _first_step(state, trial, problem, work, control, order):
    """A first step from the sizes of V and of its rate of change, seen over a short Euler step.

    V changes to first order at the rate lambda, and its further derivatives are taken to do so at the same: a step of
    length h then has an error estimate of about (lambda h)^order |V| / lambda over FIRST_ERROR. (With derivatives as
    in Hairer, Norsett and Wanner I, II.4, that is of V and its first one, two first steps were refused.)
    """
    rest = control.t_end - state.scalars[T]
    gradient(state.W, problem, work, trial.grad)
    value, speed = error_norm(state.W, state.W, state.W, control), error_norm(trial.grad, state.W, state.W, control)
    if not (value > 0.0 and speed > 0.0):
        return min(1e-6, rest)
    short = min(0.01 * value / speed, rest)
    copy(state.W, trial.W)
    add_multiple(trial.W, -short, trial.grad)
    gradient(trial.W, problem, work, trial.scratch)
    state.counters[FIELD_EVALUATIONS] += 2
    add_multiple(trial.scratch, -1.0, trial.grad)
    rate = error_norm(trial.scratch, state.W, state.W, control) / (short * speed)
    if not np.isfinite(rate):
        return 0.01 * short
    longest = min(100.0 * short, rest)
    return min(longest, (FIRST_ERROR * rate / speed) ** (1.0 / order) / rate) if rate > 0.0 else longest


@jit_bare
def land(W_new, grad_new, problem, work, step, tolerance):
    """Project a trial point onto the manifold and evaluate there; returns (F, residual, reason).

    A Newton step from a residual below 1e-3 sqrt(tolerance) ends at rounding: it is taken without looking back, and the
    gradient's own evaluation shows whether it did.
    """
    near = 1e-3 * np.sqrt(tolerance)
    size = residual(W_new, problem, work)
    if not size <= near:
        size, _, info = newton_projection(W_new, problem, work, step, near, 20)
        if info != 0:
            return np.nan, size, SINGULAR
        if not size <= near:
            return np.nan, size, PROJECTION_FAILED
    if newton_step(problem, work, step) != 0:
        return np.nan, size, SINGULAR
    add_multiple(W_new, 1.0, step)
    F, info = gradient(W_new, problem, work, grad_new)
    size = distance(work, problem)
    if not size <= 0.1 * tolerance:
        size, _, info = newton_projection(W_new, problem, work, step, tolerance, 20)
        if info == 0 and not size <= tolerance:
            return np.nan, size, PROJECTION_FAILED
        F, info = gradient(W_new, problem, work, grad_new)
    if info != 0:
        return np.nan, size, SINGULAR
    return F, size, RUNNING if np.isfinite(F) else NOT_FINITE


@jit_bare
def accept(state, W_new, grad_new, F, size, t_new, work, control):
    """Move the state to the new point; returns the reason to stop, or RUNNING."""
    looks, speed = control.rounding > 0.0 and state.scalars[LEAVING] == 0.0, norm(grad_new)
    at_rest = looks and _is_at_rest(state.W, W_new, (t_new - state.scalars[T]) * speed)
    at_rest = at_rest or (looks and _has_settled(state, t_new, speed, control))
    copy(W_new, state.W)
    copy(grad_new, state.grad)
    state.scalars[T] = t_new
    state.scalars[SHARPNESS], state.scalars[GRADIENT_NORM] = F, speed
    state.scalars[RESIDUAL] = size
    state.counters[ACCEPTED] += 1
    state.counters[SINCE_SWITCH] += 1
    if at_rest or state.scalars[GRADIENT_NORM] <= stationary_level(state, work, control):
        return STATIONARY
    return REACHED_END if t_new == control.t_end else RUNNING


@jit_bare
def _is_at_rest(W, W_new, way):
    """Whether an implicit step went nowhere, although at the gradient's rate its `way` is longer than the point.

    Along a direction of curvature e it goes by the gradient over e at least: the point is then within REST of the end,
    and the gradient is what its rounding leaves, times the largest curvature.
    """
    size = norm(W_new)
    if not way > size:
        return False
    total = 0.0
    for j in range(W.shape[0]):
        for k in range(W.shape[1]):
            total = accumulate(total, (W_new[j, k] - W[j, k]) ** 2)
    return np.sqrt(total) <= REST * size


@jit_bare
def _has_settled(state, t, speed, control):
    """Whether a flow without an end has no way to go: |grad F| t has fallen to REST, as a power of t.

    So it falls next to minima of order 4 and more, to those of order 2 by more than tenfold in a step. Where the
    Euclidean gradient vanishes too, as for z^5 + z and labels of 0, nothing else shows it, and steps that are below any
    tolerance go on until one is lost.
    """
    before = (state.scalars[T] - state.scalars[BEGAN]) * state.scalars[GRADIENT_NORM]
    now = (t - state.scalars[BEGAN]) * speed
    endless = np.isinf(control.t_end) and control.gradient_tolerance == state.scalars[UNDERWAY] == 0.0
    return endless and 0.1 * before < now < before and now <= REST * state.scalars[SIZE]


@jit_bare
def write_record(record, state, W_trial, dense):
    """Append the accepted step to the record; BUFFER_FULL when that was the last free place.

    The dense polynomial W + sum_k dense[k-1] x^k, x in [0, 1], ends at the trial point; its linear term is moved so
    that it ends at the projected one.
    """
    k = state.counters[RECORDED]
    record.t[k] = state.scalars[T]
    copy(state.W, record.W[k])
    for column in range(3):
        record.numbers[k, column] = state.scalars[SHARPNESS + column]
    if record.dense.shape[0] > 0:
        for power in range(dense.shape[0]):
            copy(dense[power], record.dense[k, power])
        add_multiple(record.dense[k, 0], 1.0, state.W)
        add_multiple(record.dense[k, 0], -1.0, W_trial)
    state.counters[RECORDED] = k + 1
    return BUFFER_FULL if k + 1 == record.t.shape[0] else RUNNING


@jit_bare
def on_polynomial(W, dense, x, out):
    """out = W + sum_k dense[k-1] x^k."""
    copy(W, out)
    for power in range(dense.shape[0]):
        add_multiple(out, x ** (power + 1), dense[power])


@jit_bare
def reject(state, h, cause):
    """Try a step of length h next; the cause is the reason to stop once it would not move the clock."""
    state.scalars[H] = h
    state.counters[REJECTED] += 1
    return cause if state.scalars[T] + 0.1 * state.scalars[H] == state.scalars[T] else RUNNING


class Trial(NamedTuple):
    """What a method writes: trial point, dense coefficients (degree, m, r + p), and three scratch arrays."""

    W: np.ndarray
    dense: np.ndarray
    error: np.ndarray
    grad: np.ndarray
    scratch: np.ndarray


def new_trial(W, degree):
    """Arrays for trial steps from points like W; dense output of that degree."""
    trial = Trial(*rooms(W.shape, (degree, *W.shape), W.shape, W.shape, W.shape))
    trial.dense[:] = 0.0
    return trial


@jit_bare
def finish_step(state, trial, problem, work, record, control, t_new, size, order):
    """Land a trial step of error norm `size` <= 1 on the manifold, accept and record it; returns the reason.

    What `gradient` leaves in the workspace is then that of the state's point. A step that would not move the clock is
    no step. One along which F rises by more than rtol F is refused: estimates of the error miss it in long steps over
    stiff directions, where rounding of the linear systems is multiplied.
    """
    h = t_new - state.scalars[T]
    if h == 0.0:
        return STEP_UNDERFLOW
    if control.floor > 0.0:
        _keep_from_zero(state.W, trial.W, control.floor)
    copy(trial.W, trial.error)
    F, size_there, landed = land(trial.W, trial.grad, problem, work, trial.scratch, control.projection_tolerance)
    state.counters[FIELD_EVALUATIONS] += 1
    if landed != RUNNING:
        return reject(state, 0.25 * h, landed)
    if state.scalars[SHARPNESS] * (1.0 + max(control.rtol, SHARPNESS_ROUNDING)) < F:
        return reject(state, 0.25 * h, STEP_UNDERFLOW)
    shortened = h < state.scalars[H]
    state.scalars[H] = max(h * step_factor(size, order), state.scalars[H] if shortened else 0.0)
    reason = accept(state, trial.W, trial.grad, F, size_there, t_new, work, control)
    full = write_record(record, state, trial.error, trial.dense)
    if reason == RUNNING and state.counters[ACCEPTED] >= control.max_steps:
        reason = STEP_LIMIT
    if control.stop_every > 0 and state.counters[ACCEPTED] % control.stop_every == 0:
        full = BUFFER_FULL
    return reason if reason != RUNNING else full


@jit_bare
def _keep_from_zero(W, W_new, floor):
    """Let no entry vanish, and so be invariant, that did not before the step."""
    for j in range(W.shape[0]):
        for k in range(W.shape[1]):
            if abs(W_new[j, k]) < floor and W[j, k] != 0.0:
                W_new[j, k] = np.copysign(floor, W[j, k])


@jit_bare
def refuse(state, h, size, order):
    """Shorten a step of length h whose error norm is above 1, or not finite; returns the reason."""
    return reject(state, h * (step_factor(size, order) if np.isfinite(size) else 0.2), STEP_UNDERFLOW)


@jit_bare
def switch(state, h):
    """Leave the loop for the other method, which begins with step h."""
    state.scalars[H], state.scalars[ENTERED] = h, state.scalars[T]
    state.counters[SWITCHES] += 1
    state.counters[SINCE_SWITCH] = 0
    state.counters[STIFF_STEPS] = 0
    return SWITCH
