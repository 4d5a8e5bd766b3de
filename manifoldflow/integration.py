"""One integration of the sharpness flow: compiled loops in chunks; between them switching, events, output, progress."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq

from .checkpoint import Arrays, Checkpoint
from .compiled import geometry, stepping
from .compiled.batches import padded
from .compiled.blocks import new_factors
from .compiled.coefficients import Frame, new_stages
from .compiled.explicit import Explicit, explicit_advance
from .compiled.implicit import Rosenbrock, implicit_advance
from .conditioning import SINGULAR
from .immutable import lock
from .interpolation import GAP, is_at_lower_bound
from .manifold import ZeroLossManifold
from .solution import REASONS, FlowSolution
from .tableaus import dormand_prince, rodas5p
from .trajectory import Segment, Trajectory
from .validation import Array

Event = Callable[[float, Array], float]


@dataclass(frozen=True, eq=False)
class FlowProgress:
    """Where a running integration stands: what a callback is given.

    Flow time `t` and the end asked for `t_end`; `sharpness`, `gradient_norm`, `residual` there; accepted `steps`; the
    `method` in use; `theta` the point, (m, d + p), made when asked for.
    """

    t: float
    t_end: float
    sharpness: float
    gradient_norm: float
    residual: float
    steps: int
    method: str
    lift: Callable[[], Array]

    @property
    def theta(self) -> Array:
        """The point on M, (m, d + p)."""
        return self.lift()


def frame_of(manifold: ZeroLossManifold) -> Frame:
    """What the implicit method needs of the data, once for an integration."""
    coordinates, p = manifold.coordinates, manifold.network.p
    n, r = coordinates.R.shape
    R_hat = np.zeros((n + p, r + p))
    R_hat[:n, :r] = coordinates.R
    R_hat[n:, r:] = np.eye(p)
    eigenvalues = coordinates.singular_values[:r] ** 2
    wide = r == n
    shift = 0.5 / coordinates.largest if wide else 0.0  # nothing else reads it
    shifted = np.zeros((padded(n), padded(n)))
    shifted[:n, :n] = (coordinates.left * (eigenvalues / (1.0 - shift * eigenvalues))) @ coordinates.left.T
    return Frame(
        R_hat, coordinates.left, wide, shifted, shift, max(coordinates.largest, float(n) if p else 0.0)
    )


def cost_ratio(manifold: ZeroLossManifold, frame: Frame) -> float:
    """Time of an implicit step over that of an explicit one.

    From counts of operations and their rates as measured on one machine (ns); a wrong ratio costs time only.
    """
    n, r = manifold.problem.R.shape
    m, p = manifold.m, manifold.network.p
    N, D = n + p, r + p
    evaluation = 1000.0 + 3.0 * m * n + (7.0 * m * n**2 + n**3 / 3.0) / min(50.0, 12.0 + 0.35 * n)
    if frame.wide and p == 0:
        block = 800.0 + 60.0 * n + 3.0 * n**2 + n**3 / 30.0
    else:
        block = 2000.0 + (4.0 * N * D**2 + 2.0 * N**2 * D + D**3) / 14.0
    solve = 500.0 + m * (2.0 * n**2 / 25.0 + 0.25 * (N if frame.wide else D) ** 2 + 4.0 * n)
    return (10.0 * evaluation + 8.0 * solve + m * block) / (16.0 * evaluation)


class Integration:
    """One integration: a compiled loop advances in chunks of a fixed record; between chunks Python looks at them."""

    def __init__(
        self,
        manifold: ZeroLossManifold,
        W: Array,
        t0: float,
        control: stepping.Control,
        method: str,
        orthogonal: Array,
        *,
        events: list[Event] | None = None,
        times: Array | None = None,
        callback: Callable[[FlowProgress], object] | None = None,
        memory_limit: float = np.inf,
        keep_path: bool = False,
        checkpoint: Checkpoint | None = None,
        checkpoint_interval: float = np.inf,
    ) -> None:
        self.manifold, self.orthogonal, self.callback = manifold, orthogonal, callback
        self.events, self.times, self.keep_path = events or [], times, keep_path
        self.work, self.frame = manifold.workspace(), frame_of(manifold)
        ratio = cost_ratio(manifold, self.frame) if method == "auto" else 0.0
        self.control = control._replace(cost_ratio=ratio)
        self.method = "explicit" if method == "auto" else method
        self.steps_by_method = {"explicit": 0, "implicit": 0}
        scalars = np.zeros(7)
        scalars[stepping.T] = t0
        self.state = stepping.State(scalars, W.copy(), np.empty_like(W), np.zeros(8, np.int64))
        self.tableaus: dict[str, Explicit | Rosenbrock] = {"explicit": dormand_prince(), "implicit": rodas5p()}
        self._scratch: dict[str, tuple[Any, ...]] = {}
        self.reason = "running"
        self.t_events: list[list[float]] = [[] for _ in self.events]
        self.W_events: list[list[Array]] = [[] for _ in self.events]
        self.output = Trajectory(manifold, self.frame, self.control, memory_limit, dense=keep_path)
        self.sampled: list[tuple[float, Array, tuple[float, float, float]]] = []
        start = np.array([self._measure(W)])
        self.output.add(Segment(np.array([t0]), W[None].copy(), start, None))
        self._sample(self.output.segments[0])
        self.checkpoint, self.checkpoint_interval = checkpoint, checkpoint_interval
        if checkpoint is not None:
            checkpoint.restore(lambda arrays: put_back(self, arrays))

    def integrate(self) -> None:
        """Advance to a reason to stop, writing checkpoints on the way."""
        written = time.monotonic()
        self._mark()
        try:
            while self.reason == "running":
                self._take(self._next_segment())
                if self.checkpoint is not None and time.monotonic() - written >= self.checkpoint_interval:
                    self.checkpoint.save(snapshot(self))
                    written = time.monotonic()
        except KeyboardInterrupt:
            self._go_back()
            self.reason = "interrupted"
        if self.checkpoint is not None:
            self.checkpoint.save(snapshot(self))

    def _mark(self) -> None:
        """Note the run as it is when a segment has been kept: Ctrl-C may come between a segment's steps and that."""
        state, output = self.state, self.output
        self.marked = (
            (state.scalars.copy(), state.W.copy(), state.counters.copy()), self.method, dict(self.steps_by_method),
            len(self.sampled), [len(times) for times in self.t_events],
            (list(output.segments), output.stride, output.dense),
        )  # fmt: skip

    def _go_back(self) -> None:
        """To the last mark: state and path then belong together."""
        (scalars, W, counters), self.method, self.steps_by_method, sampled, events, kept = self.marked
        self.state.scalars[:], self.state.W[:], self.state.counters[:] = scalars, W, counters
        del self.sampled[sampled:]
        for count, times, points in zip(events, self.t_events, self.W_events, strict=True):
            del times[count:], points[count:]
        self.output.segments, self.output.stride, self.output.dense = kept

    def _next_segment(self) -> Segment:
        """Run the compiled loop until its record is full, the method changes, or it has a reason to stop."""
        record, explicit = self._new_record(), self.method == "explicit"
        before = self.output.segments[-1]
        self.state.counters[stepping.RECORDED] = 0
        advance = explicit_advance if explicit else implicit_advance
        code = advance(
            self.state, self.manifold.problem, self.frame, self.work, record, self.control, self.tableaus[self.method],
            *self._scratch_of(self.method),
        )  # fmt: skip
        k = int(self.state.counters[stepping.RECORDED])
        self.steps_by_method[self.method] += k
        self._continue_after(REASONS[int(code)][0])
        return Segment(
            np.append(before.t[-1], record.t[:k]),
            np.concatenate([before.W[-1:], record.W[:k]]),
            np.concatenate([before.numbers[-1:], record.numbers[:k]]),
            record.dense[:k] if record.dense.size else None,
            explicit,
        )

    def _scratch_of(self, method: str) -> tuple[Any, ...]:
        """What a method writes on the way, made when it is first used."""
        if method not in self._scratch:
            self._scratch[method] = self._new_scratch(method)
        return self._scratch[method]

    def _new_scratch(self, method: str) -> tuple[Any, ...]:
        m, p = self.manifold.m, self.manifold.network.p
        n, r = self.manifold.problem.R.shape
        stages = new_stages(len(self.tableaus[method].A), m, n, p)
        if method == "explicit":
            return stepping.new_trial(self.state.W, 0), stages
        return stepping.new_trial(self.state.W, rodas5p().degree), stages, new_factors(m, n, r, p, self.frame.wide)

    def _continue_after(self, name: str) -> None:
        if name == "switch":
            self.method = "implicit" if self.method == "explicit" else "explicit"
        if name == "not_finite" and self.manifold.condition(self.lift(self.state.W)) > SINGULAR:
            name = "singular"  # seen by a stage of the step, which knows only that no finite number came
        if name == "singular" and self._is_at_limit():
            name = "limit"
        self.reason = "running" if name in ("buffer_full", "switch") else name

    def _new_record(self) -> stepping.Record:
        # About 16 MB a record, so that Ctrl-C, events and callbacks are looked at often.
        shape, degree = self.state.W.shape, rodas5p().degree if self.method == "implicit" else 0
        k = int(np.clip(400_000 // max(self.state.W.size, 1), 4, 32 if self.callback else 256))
        dense = np.empty((k if self.control.keep_dense and degree else 0, degree, *shape))
        return stepping.Record(np.empty(k), np.empty((k, *shape)), np.empty((k, 3)), dense)

    def _take(self, segment: Segment) -> None:
        """Look for events in a new segment, sample it, keep it, and report."""
        if segment.t.size == 1:
            return
        segment = self._until_event(segment)
        self._sample(segment)
        self.output.add(segment)
        self._mark()
        if self.callback is not None and self.callback(self._progress()) and self.reason == "running":
            self.reason = "stopped"

    def _progress(self) -> FlowProgress:
        t, (sharpness, gradient_norm, residual) = self.output.span[1], self.output.segments[-1].numbers[-1]
        W = self.output.segments[-1].W[-1]
        steps = int(self.state.counters[stepping.ACCEPTED])
        return FlowProgress(
            t, self.control.t_end, float(sharpness), float(gradient_norm), float(residual), steps, self.method,
            lambda: self.lift(W),
        )  # fmt: skip

    def _until_event(self, segment: Segment) -> Segment:
        """Record the events in a segment; cut it at the first terminal one."""
        found = [
            (t, number, bool(getattr(event, "terminal", False)))
            for number, event in enumerate(self.events)
            for t in _sign_changes(event, segment, self)
        ]
        stop = min((t for t, _, terminal in found if terminal), default=np.inf)
        for t, number, _ in sorted(found):
            if t <= stop:
                self.t_events[number].append(t)
                self.W_events[number].append(self.output.point(segment, t))
        if np.isinf(stop):
            return segment
        self.reason = "event"
        return self._cut(segment, stop)

    def _cut(self, segment: Segment, stop: float) -> Segment:
        keep = int(np.searchsorted(segment.t, stop, side="left"))
        W = self.output.point(segment, stop)
        dense = None
        if segment.dense is not None:
            x = (stop - segment.t[keep - 1]) / (segment.t[keep] - segment.t[keep - 1])
            dense = segment.dense[:keep].copy()
            dense[-1] *= (x ** np.arange(1, dense.shape[1] + 1))[:, None, None]
        return Segment(
            np.append(segment.t[:keep], stop),
            np.concatenate([segment.W[:keep], W[None]]),
            np.concatenate([segment.numbers[:keep], [self._measure(W)]]),
            dense,
            segment.explicit,
        )

    def _sample(self, segment: Segment) -> None:
        """Evaluate the output times that lie in a segment."""
        if self.times is None:
            return
        first = len(self.sampled)
        times = self.times[first : int(np.searchsorted(self.times, segment.t[-1], side="right"))]
        if segment.explicit and times.size:
            points, numbers = self.output.explicit_outputs(segment, times)
            self.sampled.extend((float(t), W, tuple(row)) for t, W, row in zip(times, points, numbers, strict=False))
            times = times[len(points) :]
        for t in times:
            W = self.output.point(segment, t)
            self.sampled.append((float(t), W, self._measure(W)))

    def _is_at_limit(self) -> bool:
        """Where M ends: is F the least that there is, to the tolerance asked for?"""
        F = float(self.state.scalars[stepping.SHARPNESS])
        return is_at_lower_bound(self.manifold, F, max(self.control.rtol, GAP))

    def lift(self, W: Array) -> Array:
        """Full parameters of a reduced point."""
        return self.manifold.coordinates.expand(W) + self.orthogonal

    def solution(self) -> FlowSolution:
        """The immutable result, at the steps or at the times asked for."""
        if self.times is None:
            t, W, numbers = self.output.knots()
        else:
            t = np.array([entry[0] for entry in self.sampled])
            W = np.array([entry[1] for entry in self.sampled]).reshape(-1, *self.state.W.shape)
            numbers = np.array([entry[2] for entry in self.sampled]).reshape(-1, 3)
        t_events = tuple(np.array(times) for times in self.t_events)
        W_events = tuple(np.array(points).reshape(-1, *self.state.W.shape) for points in self.W_events)
        lock(t, W, numbers, t_events, W_events, self.orthogonal)
        return FlowSolution(
            t=t, W=W, sharpness=numbers[:, 0], gradient_norm=numbers[:, 1], residual=numbers[:, 2],
            status=self.reason, message=dict(REASONS)[self.reason], counters=self._counters(),
            t_events=t_events, W_events=W_events, manifold=self.manifold,
            orthogonal=self.orthogonal, path=self.output if self.keep_path else None,
        )  # fmt: skip

    def _measure(self, W: Array) -> tuple[float, float, float]:
        """Sharpness, gradient norm and residual at a point."""
        work, gradient = self.manifold.workspace(), np.empty_like(W)
        F, _ = geometry.gradient(W, self.manifold.problem, work, gradient)
        return F, float(np.linalg.norm(gradient)), float(np.abs(work.f - self.manifold.y).max())

    def _counters(self) -> tuple[tuple[str, Any], ...]:
        names = ("accepted", "rejected", "field_evaluations", "factorisations", "switches")
        used = "+".join(name for name, steps in self.steps_by_method.items() if steps) or self.method
        return (
            ("method", used),
            *zip(names, map(int, self.state.counters), strict=False),
            ("explicit_steps", self.steps_by_method["explicit"]),
            ("implicit_steps", self.steps_by_method["implicit"]),
            ("last_step", float(self.state.scalars[stepping.H])),
            ("record_stride", self.output.stride),
        )


def snapshot(run: Integration) -> dict[str, Array]:
    """Everything that changes while a run advances, as named arrays.

    An interruption and the step limit are not kept: a run that goes on from here is under way.
    """
    unfinished = run.reason in ("interrupted", "stopped", "step_limit")
    arrays = {
        "scalars": run.state.scalars, "W": run.state.W, "counters": run.state.counters,
        "reason": np.array("running" if unfinished else run.reason),
        "method": np.array(run.method), "steps": np.array(list(run.steps_by_method.values())),
        "stride": np.array(run.output.stride), "dense": np.array(run.output.dense),
        "sampled.t": np.array([entry[0] for entry in run.sampled]),
        "sampled.W": np.array([entry[1] for entry in run.sampled]).reshape(-1, *run.state.W.shape),
        "sampled.numbers": np.array([entry[2] for entry in run.sampled]).reshape(-1, 3),
    }  # fmt: skip
    for number, (times, points) in enumerate(zip(run.t_events, run.W_events, strict=True)):
        arrays[f"event{number}.t"] = np.array(times)
        arrays[f"event{number}.W"] = np.array(points).reshape(-1, *run.state.W.shape)
    for number, segment in enumerate(run.output.segments):
        for name in ("t", "W", "numbers", "dense"):
            if getattr(segment, name) is not None:
                arrays[f"segment{number}.{name}"] = getattr(segment, name)
        arrays[f"segment{number}.explicit"] = np.array(segment.explicit)
    return arrays


def put_back(run: Integration, arrays: Arrays) -> None:
    """Continue a run where `snapshot` saw it."""
    run.state.scalars[:], run.state.W[:], run.state.counters[:] = arrays["scalars"], arrays["W"], arrays["counters"]
    run.reason, run.method = str(arrays["reason"]), str(arrays["method"])
    if run.state.counters[stepping.ACCEPTED] >= run.control.max_steps:
        run.reason = "step_limit"
    run.steps_by_method = dict(zip(run.steps_by_method, map(int, arrays["steps"]), strict=True))
    run.output.stride, run.output.dense = int(arrays["stride"]), bool(arrays["dense"])
    sampled = zip(arrays["sampled.t"], arrays["sampled.W"], arrays["sampled.numbers"], strict=True)
    run.sampled = [(float(t), W, (float(x[0]), float(x[1]), float(x[2]))) for t, W, x in sampled]
    for number in range(len(run.events)):
        run.t_events[number] = arrays[f"event{number}.t"].tolist()
        run.W_events[number] = list(arrays[f"event{number}.W"])
    count = sum(name.startswith("segment") and name.endswith(".t") for name in arrays)
    run.output.segments = [
        Segment(
            arrays[f"segment{number}.t"], arrays[f"segment{number}.W"], arrays[f"segment{number}.numbers"],
            arrays.get(f"segment{number}.dense"), bool(arrays[f"segment{number}.explicit"]),
        )
        for number in range(count)
    ]


def _sign_changes(event: Event, segment: Segment, run: Integration) -> list[float]:
    def value(t: float) -> float:
        return float(event(t, run.lift(run.output.point(segment, t))))

    roots = []
    before = value(segment.t[0])
    for start, end in zip(segment.t[:-1], segment.t[1:], strict=True):
        after = value(end)
        if before * after < 0.0 or (after == 0.0 and before != 0.0):
            roots.append(float(brentq(value, start, end, xtol=1e-14, rtol=1e-13) if after else end))
        before = after
    return roots
