"""The sharpness flow dTheta/dt = -grad F on the zero-loss manifold: arguments in, immutable solution out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike

import numpy as np
from numpy.typing import ArrayLike

from .assumptions import warn_where_theorems_do_not_apply
from .checkpoint import Checkpoint, content_hash
from .compiled import stepping
from .compiled.lines import square
from .conditioning import is_clearly_well_conditioned, warn_where_ill_conditioned
from .errors import InputError
from .events import Event, event_list
from .integration import FlowProgress, Integration
from .manifold import ZeroLossManifold
from .reproducible import reproducible
from .solution import FlowSolution
from .trust_region import ROUNDING
from .turning import can_turn, problem_at, residuals
from .validation import Array, instance, one_of, positive_integer, positive_number, real_array

__all__ = ["FlowSolution", "sharpness_flow"]

METHODS = ("auto", "explicit", "implicit")

SMALLEST_RTOL = 10.0 * float(np.finfo(float).eps)  # below it error estimates are rounding and steps shrink without end


@reproducible
def sharpness_flow(
    manifold: ZeroLossManifold,
    theta: ArrayLike,
    t_span: tuple[float, float] = (0.0, np.inf),
    *,
    rtol: float = 1e-8,
    atol: float = 1e-10,
    method: str = "auto",
    t_eval: ArrayLike | None = None,
    events: Event | Sequence[Event] | None = None,
    gradient_tolerance: float = 0.0,
    max_steps: int = 1_000_000,
    dense_output: bool = True,
    callback: Callable[[FlowProgress], object] | None = None,
    memory_limit: float = 1e9,
    checkpoint: str | PathLike[str] | None = None,
    checkpoint_interval: float = 60.0,
) -> FlowSolution:
    """Integrate dTheta/dt = -grad F on M from theta; every point of the solution lies on M to rounding.

    Label-noise SGD of step size eta and noise sigma runs at sigma^2 / (2 n) of this clock (single samples) or sigma^2
    / 2 (full batch), with flow time eta^2 k after k steps.

    Args:
        manifold: the zero-loss manifold.
        theta: starting point on it, (m, d + p).
        t_span: flow times; the end may be infinite, for the limit point.
        rtol: relative tolerance of a step's error in each parameter (reduced coordinates), at least 10 eps. Steps
            along which F rises by more than rtol F are refused.
        atol: absolute tolerance of the same error.
        method: "explicit" (Dormand-Prince 8(5,3)), "implicit" (Rodas5P on the block structure, for stiff data such as
            real images) or "auto", which begins explicitly and changes where steps are bounded by stability and the
            implicit method takes less work; `stats` says which steps were taken by which.
        t_eval: output times; None gives every step. One that lies alone in a step ends it; others are found by `sol`.
        events: functions (t, theta) -> float whose sign changes are located. As with SciPy's `solve_ivp`, attributes
            `terminal` (True, or the number of the occurrence that stops the run) and `direction` (a sign) are read, and
            of two changes within one step none is seen. A value of zero at the start is no change.
        gradient_tolerance: stop when |grad F| is at most this. An infinite span also ends where |grad F| is rounding,
            20 eps of the Euclidean gradient's normal part, and no short row of X is on its way beside longer ones; or
            where F no longer falls and the point rests: "stationary"; or "not_attained" where the point runs away, as
            with saturating units, along which F falls for ever; or once it is 1e5 times as far out as it began.
        max_steps: bound on accepted steps.
        dense_output: keep what `sol` needs: every step, 1 number a parameter (explicit) or 5 (implicit). Between
            implicit steps it is of order 4 and about ten times less exact than they are.
        callback: called with a `FlowProgress` after at most 32 steps; a true result stops the run.
        memory_limit: bytes of steps and dense output to keep. Above it first the polynomials are dropped, then every
            second step; `sol` integrates again from the step before. With dense_output=False and t_eval, only the
            points at t_eval are kept.
        checkpoint: a file to go on from if it exists, and to write; the bits are those of a run in one go. Arguments
            must be the same (events and callbacks cannot be compared).
        checkpoint_interval: seconds between writes; it is also written at the end.

    Returns:
        An immutable `FlowSolution`; a run that stopped early holds what it has, and says why in `status`.

    Raises:
        InputError: an argument outside its domain.
        GeometryError: theta is not on M, or J J^T is singular there.
        CheckpointError: the checkpoint cannot be written or read, or belongs to other arguments.

    Warns:
        AssumptionWarning: the activation fails A1 or A3, or the data A2, on the range that occurs; the flow runs, and
            the message names the statements that do not apply.
        IllConditionedWarning: the condition number of J J^T is above 1e10 at the start.

    Source: Gatmiry et al. (ICML 2024), S4 and S8; the linear algebra is in `docs/how_it_works.md`.

    >>> import manifoldflow as mf
    >>> net = mf.TwoLayerNetwork("z**3 + z", width=4)
    >>> data = mf.datasets.synthetic(n=3, d=6, rng=0)
    >>> man = mf.ZeroLossManifold(net, data.X, data.y)
    >>> sol = sharpness_flow(man, man.random_point(rng=0))
    >>> sol.status, bool(sol.residual.max() < 1e-12)
    ('stationary', True)
    """
    shape = instance("manifold", manifold, ZeroLossManifold).shape
    start, t0, t1 = real_array("theta", theta, shape=shape), *_span(t_span)
    tolerances = (_relative_tolerance(rtol), positive_number("atol", atol, allow_zero=True))
    keep_path = instance("dense_output", dense_output, bool)
    times, watched = _output_times(t_eval, t0, t1), event_list(events)
    chosen = one_of("method", method, METHODS)
    W = manifold.coordinates.reduce(start)
    once = manifold.distinct
    turns = can_turn(once)
    sharpness, gradient, work = once.gradient_at(W, problem_at(once, W if turns else None))
    warn_where_theorems_do_not_apply(manifold, work.z, sharpness)
    if not turns and not is_clearly_well_conditioned(square(work.K)):
        warn_where_ill_conditioned(manifold.condition(start), stacklevel=4)
    speed = float(np.linalg.norm(gradient))
    residual = float(residuals(once, W[None])[0]) if turns else float(np.abs(work.f - once.y).max(initial=0.0))
    flat = speed <= ROUNDING * work.normal[0]
    if chosen == "explicit" and np.isinf(t1) and gradient_tolerance == 0.0 and not flat:
        raise InputError(
            "method='explicit' cannot follow an infinite span to rounding: its steps stay bounded by stability. "
            "Give gradient_tolerance > 0 or an end of t_span, or use method='implicit'."
        )
    # A finite span goes on below rounding, to where nothing moves: but not beside a saddle, which would be left later.
    rounding = ROUNDING if np.isinf(t1) else 0.0 if turns else ROUNDING**2
    control = stepping.Control(
        t1, *tolerances, positive_number("gradient_tolerance", gradient_tolerance, allow_zero=True),
        rounding, once.projection_tolerance(W),
        positive_integer("max_steps", max_steps), keep_path or bool(watched), 0.0,
        np.empty(0) if times is None else times, 0, 0.0,
    )  # fmt: skip
    resumed = None if checkpoint is None else Checkpoint(checkpoint, "a sharpness flow", {
        **_asked(manifold, start, control), "t_span": content_hash(t0, t1), "t_eval": content_hash(times),
        "method": content_hash(chosen), "number of events": content_hash(len(watched)),
        "dense_output": content_hash(keep_path), "memory_limit": content_hash(memory_limit),
    })  # fmt: skip
    run = Integration(
        once, W, (sharpness, speed, residual), t0, control, chosen,
        manifold.coordinates.orthogonal_part(start), work,
        events=watched, times=times, callback=callback, keep_path=keep_path,
        memory_limit=positive_number("memory_limit", memory_limit, allow_infinity=True),
        checkpoint=resumed,
        checkpoint_interval=positive_number("checkpoint_interval", checkpoint_interval, allow_zero=True),
    )  # fmt: skip
    run.integrate()
    return run.solution()


def _asked(manifold: ZeroLossManifold, start: Array, control: stepping.Control) -> dict[str, str]:
    """Hashes of the problem and the tolerances."""
    unit = manifold.network.unit
    return {
        "network": content_hash(unit.formula, unit.own, manifold.a, manifold.network.inputs(manifold.X)),
        "y": content_hash(manifold.y), "theta": content_hash(start),
        "tolerances": content_hash(control._replace(max_steps=0, times=np.empty(0))),
    }  # fmt: skip


def _relative_tolerance(rtol: float) -> float:
    checked = positive_number("rtol", rtol)
    if checked < SMALLEST_RTOL:
        raise InputError(
            f"rtol must be at least 10 eps = {SMALLEST_RTOL:.3g}, the rounding of a step; got {rtol!r}. Use that "
            "with the atol you need, or loosen rtol."
        )
    return checked


def _span(t_span: tuple[float, float]) -> tuple[float, float]:
    try:
        t0, t1 = (float(t) for t in t_span)
    except (TypeError, ValueError) as error:
        raise InputError(f"t_span must be a pair (start, end); got {t_span!r}.") from error
    if not np.isfinite(t0) or np.isnan(t1) or not t1 > t0:
        raise InputError(f"t_span must have a finite start before its end (the end may be infinite); got {t_span!r}.")
    return t0, t1


def _output_times(t_eval: ArrayLike | None, t0: float, t1: float) -> Array | None:
    if t_eval is None:
        return None
    times = real_array("t_eval", t_eval, ndim=1)
    if times.size and (times[0] < t0 or times[-1] > t1 or np.any(np.diff(times) <= 0)):
        raise InputError(f"t_eval must increase within t_span [{t0:.6g}, {t1:.6g}].")
    return times
