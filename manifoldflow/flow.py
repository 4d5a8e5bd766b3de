"""The sharpness flow dTheta/dt = -grad F on the zero-loss manifold: arguments in, immutable solution out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from .assumptions import warn_where_theorems_do_not_apply
from .errors import InputError
from .manifold import ZeroLossManifold
from .tableaus import dormand_prince, rodas5p
from .validation import Array, one_of, positive_integer, positive_number, real_array

METHODS = ("auto", "explicit", "implicit")
Event = Callable[[float, Array], float]

# Reason codes, in the order of the compiled integrators' constants; each text says what to do.
REASONS = (
    ("running", "The integration is under way."),
    ("reached_end", "The end of t_span was reached."),
    ("stationary", "Stationary: the gradient norm is at or below gradient_tolerance."),
    ("step_underflow", "The step size fell to rounding level. Loosen rtol and atol, or start elsewhere."),
    ("not_finite", "The activation is not finite near here: the flow left its domain. Check the formula's domain."),
    ("projection_failed", "A step could not be projected back onto the manifold. Tighten rtol."),
    ("singular", "J J^T became singular: the zero-loss set is not a manifold here. Remove dependent samples or widen the network."),
    ("buffer_full", "The record is full."),
    ("step_limit", "max_steps was reached. Raise it, loosen rtol, or use method='implicit'."),
    ("event", "A terminal event occurred."),
    ("interrupted", "Interrupted by the user; what was computed is kept."),
)
_SUCCESS = ("reached_end", "stationary", "event")


@dataclass(frozen=True, eq=False)
class FlowSolution:
    """A solution of the sharpness flow: every output point with its sharpness, gradient norm and residual.

    `t` (k,) flow times; `theta` (k, m, d + p); `sharpness`, `gradient_norm`, `residual` (max |f - y|), each (k,);
    `status` a reason code and `message` its text; `success`: the end, a stationary point or a terminal event was reached;
    `t_events`, `theta_events`: one array an event; `stats`: method and counters; `sol(t)`: the point at any time between.
    """

    t: Array
    W: Array
    sharpness: Array
    gradient_norm: Array
    residual: Array
    status: str
    message: str
    stats: MappingProxyType[str, Any]
    t_events: tuple[Array, ...]
    manifold: ZeroLossManifold
    orthogonal: Array
    path: Path | None

    @property
    def success(self) -> bool:
        """True where the run ended as asked: end of the span, stationary point, or terminal event."""
        return self.status in _SUCCESS

    @cached_property
    def theta(self) -> Array:
        """Points on M, (k, m, d + p), made from the reduced ones when first asked for."""
        return self._lift(self.W)

    @property
    def theta_events(self) -> tuple[Array, ...]:
        """Points at the events' times, (k_e, m, d + p) each."""
        return tuple(np.stack([self.sol(t) for t in times]) if times.size else self.theta[:0] for times in self.t_events)

    def sol(self, t: float) -> Array:
        """The point of M at flow time t, (m, d + p): dense output of order 4, projected onto M.

        Raises `InputError` outside the integrated span, or when the run was made with dense_output=False.
        """
        if self.path is None:
            raise InputError("This solution has no dense output; integrate with dense_output=True.")
        return self._lift(self.path.on_manifold(t))

    def _lift(self, W: Array) -> Array:
        return self.manifold.coordinates.expand(W) + self.orthogonal

    def __repr__(self) -> str:
        return (
            f"FlowSolution({self.status}: {self.t.size} points, t = {self.t[0]:.4g} to {self.t[-1]:.4g}, "
            f"sharpness {self.sharpness[0]:.8g} to {self.sharpness[-1]:.8g}, |grad F| {self.gradient_norm[-1]:.2e})"
        )


@dataclass(frozen=True, eq=False)
class Path:
    """Dense output: knots t (k,), points (k, m, r + p), coefficients (k - 1, 4, m, r + p) of each step's polynomial."""

    t: Array
    W: Array
    dense: Array
    manifold: ZeroLossManifold

    def raw(self, t: float) -> Array:
        """The interpolating polynomial at t, not projected."""
        if not self.t[0] <= t <= self.t[-1]:
            raise InputError(f"t must lie in the integrated span [{self.t[0]:.6g}, {self.t[-1]:.6g}]; got {t!r}.")
        k = min(int(np.searchsorted(self.t, t, side="right")) - 1, len(self.dense) - 1)
        if k < 0:
            return self.W[0].copy()
        x = (t - self.t[k]) / (self.t[k + 1] - self.t[k])
        q = self.dense[k]
        return self.W[k] + x * (q[0] + x * (q[1] + x * (q[2] + x * q[3])))

    def on_manifold(self, t: float) -> Array:
        """The point at t, projected onto M."""
        W = self.raw(t)
        self.manifold._newton(W)
        return W


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
    gradient_tolerance: float | None = None,
    max_steps: int = 1_000_000,
    dense_output: bool = True,
) -> FlowSolution:
    """Integrate dTheta/dt = -grad F on M from theta; every point of the solution lies on M to rounding.

    Label-noise SGD of step size eta and noise sigma runs at sigma^2 / (2 n) of this clock (single samples) or sigma^2 / 2
    (full batch), with flow time eta^2 k after k steps (MATH section 3).

    Args:
        manifold: the zero-loss manifold.
        theta: starting point on it, (m, d + p).
        t_span: flow times; the end may be infinite, for the limit point.
        rtol, atol: tolerances of a step's error in each parameter (reduced coordinates).
        method: "explicit" (Dormand-Prince 5(4)), "implicit" (Rodas5P on the block structure, for stiff data such as
            real images) or "auto", which compares the two costs from the curvature at the start.
        t_eval: output times; None gives every step.
        events: functions (t, theta) -> float whose sign changes are located; `terminal = True` on one stops there.
        gradient_tolerance: stop when |grad F| is at most this; None: 0, or for an infinite span 1e-10 of the Euclidean
            gradient at the start.
        max_steps: bound on accepted steps.
        dense_output: keep what `sol` needs (five numbers a parameter and step).

    Returns:
        An immutable `FlowSolution`; a run that stopped early holds what it has, and says why in `status`.

    Raises:
        InputError: an argument outside its domain. GeometryError: theta is not on M, or J J^T is singular there.

    Warns:
        AssumptionWarning: the activation fails A1 or A3, or the data A2, on the range that occurs; the flow runs, and the
        message names the statements that do not apply.

    Source: Gatmiry et al. (ICML 2024); MATH section 5 for the linear algebra; S4, S8.

    >>> import manifoldflow as mf
    >>> net = mf.TwoLayerNetwork("z**3 + z", width=4)
    >>> data = mf.datasets.synthetic(n=3, d=6, rng=0)
    >>> man = mf.ZeroLossManifold(net, data.X, data.y)
    >>> sol = sharpness_flow(man, man.random_point(rng=0))
    >>> sol.status, bool(sol.residual.max() < 1e-12)
    ('stationary', True)
    """
    start, t0, t1 = _start(manifold, theta), *_span(t_span)
    tolerances = (positive_number("rtol", rtol), positive_number("atol", atol, allow_zero=True))
    keep_dense = dense_output or t_eval is not None or events is not None
    times = _output_times(t_eval, t0, t1)
    W = manifold.coordinates.reduce(start)
    warn_where_theorems_do_not_apply(manifold, W)
    chosen = _choose_method(manifold, W, t1 - t0) if one_of("method", method, METHODS) == "auto" else method
    if gradient_tolerance is None:
        gradient_tolerance = default_gradient_tolerance(manifold, W) if np.isinf(t1) else 0.0
    control = manifold.kernel.stepping.Control(
        t1, *tolerances, positive_number("gradient_tolerance", gradient_tolerance, allow_zero=True),
        manifold.projection_tolerance(), positive_integer("max_steps", max_steps), keep_dense,
    )  # fmt: skip
    run = _Run(manifold, W, t0, control, chosen, _event_list(events), manifold.coordinates.orthogonal_part(start))
    run.integrate()
    return run.solution(times, dense_output)


def default_gradient_tolerance(manifold: ZeroLossManifold, W: Array) -> float:
    """1e-10 of the Euclidean gradient's norm at W: rounding is about eps cond(J) of it."""
    geometry, work = manifold.kernel.geometry, manifold._workspace()
    geometry.sharpness(W, manifold.problem, work)
    euclidean = np.empty_like(W)
    geometry.assemble(work.alpha, manifold.problem.R, euclidean)
    return 1e-10 * float(np.linalg.norm(euclidean))


class _Run:
    """One integration: the compiled loop advances in chunks of a fixed record; between chunks events are looked for."""

    def __init__(
        self, manifold: ZeroLossManifold, W: Array, t0: float, control: Any, method: str, events: list[Event], orthogonal: Array
    ) -> None:
        stepping = manifold.kernel.stepping
        self.manifold, self.control, self.method, self.events, self.orthogonal = manifold, control, method, events, orthogonal
        self.work = manifold._workspace()
        scalars = np.zeros(6)
        scalars[0] = t0
        self.state = stepping.State(scalars, W.copy(), np.empty_like(W), np.zeros(5, np.int64))
        _, scalars[3] = t0, 0.0
        self.chunks: list[tuple[Array, Array, Array, Array]] = []
        self.t_events: list[list[float]] = [[] for _ in events]
        self.reason = "running"
        self._advance = self._bind(method)
        self._record_start(W)

    def _bind(self, method: str) -> Callable[[Any], int]:
        kernel, problem = self.manifold.kernel, self.manifold.problem
        if method == "explicit":
            explicit = dormand_prince()
            return lambda record: kernel.explicit.explicit_advance(
                self.state, problem, self.work, record, self.control,
                explicit.A, explicit.b, explicit.error, explicit.dense, explicit.order,
            )  # fmt: skip
        rosenbrock = rodas5p()
        return lambda record: kernel.implicit.implicit_advance(
            self.state, problem, self.work, record, self.control,
            rosenbrock.gamma, rosenbrock.A, rosenbrock.C, rosenbrock.dense, rosenbrock.order,
        )  # fmt: skip

    def _record_start(self, W: Array) -> None:
        residual = np.abs(self.manifold.kernel.geometry.output(W, self.manifold.problem, self.work) - self.manifold.y).max()
        F, _ = self.manifold.kernel.geometry.gradient(W, self.manifold.problem, self.work, self.state.grad)
        numbers = np.array([[F, np.linalg.norm(self.state.grad), residual]])
        self.chunks.append((self.state.scalars[:1].copy(), W[None].copy(), numbers, np.empty((0, 4, *W.shape))))

    def integrate(self) -> None:
        """Advance to a reason to stop."""
        try:
            while self.reason == "running":
                self._next_chunk()
        except KeyboardInterrupt:
            self.reason = "interrupted"

    def _next_chunk(self) -> None:
        record = self._new_record()
        self.state.counters[4] = 0
        code = int(self._advance(record))
        k = int(self.state.counters[4])
        self.chunks.append((record.t[:k], record.W[:k], record.numbers[:k], record.dense[:k]))
        name = REASONS[code][0]
        self.reason = "running" if name == "buffer_full" else name
        if self.events and k:
            self._locate_events(k)

    def _new_record(self) -> Any:
        # About 16 MB a record, so that Ctrl-C and events are looked at often and memory grows with the steps taken.
        shape = self.state.W.shape
        k = int(np.clip(400_000 // max(self.state.W.size, 1), 4, 256))
        dense = np.empty((k if self.control.keep_dense else 0, 4, *shape))
        return self.manifold.kernel.stepping.Record(np.empty(k), np.empty((k, *shape)), np.empty((k, 3)), dense)

    def _locate_events(self, k: int) -> None:
        """Find sign changes of each event function between consecutive steps of the last chunk; stop at a terminal one."""
        path = self.path()
        first = len(path.t) - 1 - k
        stop = np.inf
        for number, event in enumerate(self.events):
            for root in _sign_changes(event, path, first, self):
                if root <= stop:
                    self.t_events[number].append(root)
                if getattr(event, "terminal", False):
                    stop = min(stop, root)
                    break
        if np.isfinite(stop):
            self.reason = "event"
            self._truncate(path, stop)

    def _truncate(self, path: Path, stop: float) -> None:
        """Keep the steps before the event, and the event's own point as the last."""
        keep = int(np.searchsorted(path.t, stop, side="left"))
        numbers = np.concatenate([c[2] for c in self.chunks])
        W = path.on_manifold(stop)
        F, _ = self.manifold.kernel.geometry.gradient(W, self.manifold.problem, self.work, self.state.grad)
        residual = np.abs(self.work.f - self.manifold.y).max()
        last = np.array([[F, np.linalg.norm(self.state.grad), residual]])
        x = (stop - path.t[keep - 1]) / (path.t[keep] - path.t[keep - 1])
        scaled = path.dense[keep - 1 : keep] * (x ** np.arange(1, 5))[None, :, None, None]
        self.chunks = [
            (path.t[:keep], path.W[:keep], numbers[:keep], path.dense[: keep - 1]),
            (np.array([stop]), W[None], last, scaled),
        ]
        self.t_events = [[t for t in times if t <= stop] for times in self.t_events]

    def lift(self, W: Array) -> Array:
        """Full parameters of a reduced point."""
        return self.manifold.coordinates.expand(W) + self.orthogonal

    def path(self) -> Path:
        """Dense output of everything so far."""
        t, W, _, dense = (np.concatenate(parts) for parts in zip(*self.chunks, strict=True))
        return Path(t, W, dense, self.manifold)

    def solution(self, times: Array | None, dense_output: bool) -> FlowSolution:
        """The immutable result, at the steps or at the times asked for."""
        numbers = np.concatenate([chunk[2] for chunk in self.chunks])
        path = self.path()
        t, W = path.t, path.W
        if times is not None:
            t = times[times <= path.t[-1]]
            W = np.stack([path.on_manifold(x) for x in t]) if t.size else path.W[:0]
            numbers = np.array([self._measure(w) for w in W]).reshape(-1, 3)
        for array in (t, W, numbers):
            array.flags.writeable = False
        return FlowSolution(
            t=t, W=W, sharpness=numbers[:, 0], gradient_norm=numbers[:, 1], residual=numbers[:, 2],
            status=self.reason, message=dict(REASONS)[self.reason], stats=self._stats(),
            t_events=tuple(np.array(times) for times in self.t_events), manifold=self.manifold,
            orthogonal=self.orthogonal, path=path if dense_output else None,
        )  # fmt: skip

    def _measure(self, W: Array) -> tuple[float, float, float]:
        F, _ = self.manifold.kernel.geometry.gradient(W, self.manifold.problem, self.work, self.state.grad)
        return F, float(np.linalg.norm(self.state.grad)), float(np.abs(self.work.f - self.manifold.y).max())

    def _stats(self) -> MappingProxyType[str, Any]:
        names = ("accepted", "rejected", "field_evaluations", "factorisations")
        counters = dict(zip(names, map(int, self.state.counters), strict=False))
        return MappingProxyType({"method": self.method, **counters, "last_step": float(self.state.scalars[1])})


def _sign_changes(event: Event, path: Path, first: int, run: _Run) -> list[float]:
    def value(t: float) -> float:
        return float(event(t, run.lift(path.on_manifold(t))))

    roots = []
    before = value(path.t[first])
    for k in range(first, len(path.t) - 1):
        after = value(path.t[k + 1])
        if before == 0.0 and k == 0:
            pass  # an event that holds at the start is not a change
        elif before * after < 0.0 or (after == 0.0 and before != 0.0):
            roots.append(brentq(value, path.t[k], path.t[k + 1], xtol=1e-14, rtol=1e-13) if after else path.t[k + 1])
        before = after
    return roots


def _start(manifold: ZeroLossManifold, theta: ArrayLike) -> Array:
    if not isinstance(manifold, ZeroLossManifold):
        raise InputError(f"manifold must be a ZeroLossManifold; got {type(manifold).__name__}.")
    start = manifold._point("theta", theta)
    manifold._gradient(start)
    return start


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


def _event_list(events: Event | Sequence[Event] | None) -> list[Event]:
    given = [] if events is None else [events] if callable(events) else list(events)
    if not all(callable(event) for event in given):
        raise InputError("events must be functions (t, theta) -> float, one or a sequence of them.")
    return given


def _choose_method(manifold: ZeroLossManifold, W: Array, span: float) -> str:
    """The method with the smaller estimated cost.

    Explicit steps are bounded by stability: 3.3 / (largest curvature), so a span T needs at least T curvature / 3.3 of
    them at about 8 gradients of 8 m n^2 operations; an implicit step costs about 6.5 m r^3 more, and some 300 cross any
    span at the tolerances in use. The curvature is bounded by the largest |E| times the largest eigenvalue of S.
    """
    geometry, work, grad = manifold.kernel.geometry, manifold._workspace(), np.empty_like(W)
    geometry.second_derivatives(W, manifold.problem, work, grad)
    largest = max(float(manifold.coordinates.singular_values[0] ** 2), float(manifold.n))
    curvature = float(np.abs(work.E).max()) * largest
    n, r = manifold.problem.R.shape
    stable_steps = span * curvature / 3.3 if curvature > 0.0 else 0.0
    explicit_cost = max(stable_steps, 100.0) * 8.0 * 8.0 * n**2
    implicit_cost = 300.0 * (9.0 * 8.0 * n**2 + 2.0 * (n + r) * (r + manifold.network.p) * (n + r))
    return "explicit" if explicit_cost <= implicit_cost else "implicit"
