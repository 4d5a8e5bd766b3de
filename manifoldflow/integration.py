"""One integration of the sharpness flow: compiled loops in chunks; between them switching, events, output, progress."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .checkpoint import Checkpoint
from .compiled import geometry, stepping
from .compiled.blocks import new_factors
from .compiled.coefficients import new_stages
from .compiled.explicit import Explicit, explicit_advance
from .compiled.implicit import Rosenbrock, implicit_advance
from .compiled.lines import in_lines, square
from .conditioning import SINGULAR
from .cost import cost_ratio
from .events import Event, crossings, end_of_run
from .immutable import lock
from .interpolation import GAP, lower_bound
from .manifold import ZeroLossManifold
from .rest import is_underway
from .snapshots import put_back, snapshot
from .solution import REASONS, FlowSolution
from .tableaus import dormand_prince, rodas5p
from .trajectory import Segment, Trajectory
from .trust_region import EPS
from .turning import FLOOR, TURN_EVERY, Turning, residuals
from .validation import Array

LIMIT = 1e-12  # distance of F from its lower bound, relative to F, at which a flow without an end has reached its limit
LEFT = 1e-4  # share of |W| to which the way out of a saddle grows before steps are as long as errors allow again


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


class Integration:
    """One integration: a compiled loop advances in chunks of a fixed record; between chunks Python looks at them."""

    def __init__(
        self,
        manifold: ZeroLossManifold,
        W: Array,
        numbers: tuple[float, float, float],
        t0: float,
        control: stepping.Control,
        method: str,
        orthogonal: Array,
        work: geometry.Workspace,
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
        self.work, self.frame = work._replace(K=in_lines(square(work.K))), manifold.coordinates.frame
        ratio, self.turning = cost_ratio(manifold) if method == "auto" else 0.0, Turning(manifold, W)
        self.control = control._replace(cost_ratio=ratio)
        if self.turning.possible:
            self.control = self.control._replace(stop_every=TURN_EVERY, floor=FLOOR)
        self.method = "explicit" if method == "auto" else method
        self.steps_by_method = {"explicit": 0, "implicit": 0}
        scalars = np.zeros(stepping.N_SCALARS)
        scalars[[stepping.T, stepping.BEGAN]] = t0
        scalars[stepping.PATIENCE], scalars[stepping.SIZE] = 1.0, np.linalg.norm(W)
        scalars[stepping.ALLOWED] = control.projection_tolerance
        self.state = stepping.State(scalars, W.copy(), np.empty_like(W), np.zeros(8, np.int64))
        self.tableaus: dict[str, Explicit | Rosenbrock] = {"explicit": dormand_prince(), "implicit": rodas5p()}
        self._scratch: dict[str, tuple[Any, ...]] = {}
        self.reason = "running"
        self.t_events: list[list[float]] = [[] for _ in self.events]
        self.W_events: list[list[Array]] = [[] for _ in self.events]
        self.output = Trajectory(manifold, self.control, memory_limit, dense=keep_path)
        self.sampled: list[tuple[float, Array, Array]] = []  # output times, points and numbers
        self.output.add(Segment(np.array([t0]), W[None].copy(), np.array([numbers]), None))
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
                if self.reason == "stationary" and np.isfinite(self.control.t_end) and not self._is_as_flat_as_wanted():
                    self._take(self._rest())
                if self.reason == "stationary" and self._has_way_to_go():
                    self.state.scalars[stepping.UNDERWAY], self.reason = 1.0, "running"
                if self.checkpoint is not None and time.monotonic() - written >= self.checkpoint_interval:
                    self.checkpoint.save(snapshot(self))
                    written = time.monotonic()
        except KeyboardInterrupt:
            self._go_back()
            self.reason = "interrupted"
        except Exception:  # of an event or the callback: what there is can be resumed
            self._go_back()
            self._save()
            raise
        self._save()

    def _save(self) -> None:
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
        explicit, (record, *scratch) = self.method == "explicit", self._scratch_of(self.method)
        before = self.output.segments[-1]
        self.state.counters[stepping.RECORDED] = 0
        tolerance = self.state.scalars[stepping.ALLOWED]
        self.control = self.output.control = self.control._replace(projection_tolerance=tolerance)
        advance = explicit_advance if explicit else implicit_advance
        code = advance(
            self.state, self.turning.problem, self.frame, self.work, record, self.control, self.tableaus[self.method],
            *scratch,
        )  # fmt: skip
        k = int(self.state.counters[stepping.RECORDED])
        self.steps_by_method[self.method] += k
        if self.turning.possible:
            record.numbers[:k, 2] = residuals(self.manifold, record.W[:k])
        segment = Segment(
            np.concatenate([before.t[-1:], record.t[:k]]),
            np.concatenate([before.W[-1:], record.W[:k]]),
            np.concatenate([before.numbers[-1:], record.numbers[:k]]),
            record.dense[:k].copy() if record.dense.size else None,
            explicit,
            self.turning.at,
        )
        self._continue_after(REASONS[int(code)][0])
        return segment

    def _allow_for_rounding(self) -> bool:
        """Far out, outputs are sums of large terms and f - y is their rounding; whether by more than was allowed."""
        here, allowed = self.manifold.projection_tolerance(self.state.W), self.control.projection_tolerance
        self.state.scalars[stepping.ALLOWED] = max(here, allowed)
        return 0.0 < 2.0 * allowed < here

    def _rest(self) -> Segment:
        """The rest of a finite span, in which a point stays whose gradient is what rounding leaves of 0.

        Steps would go on, as long as rounding lets them be.
        """
        last, end = self.output.segments[-1], self.control.t_end
        W, numbers = last.W[-1], last.numbers[-1]
        self.state.scalars[stepping.T], self.reason = end, "reached_end"
        still = np.zeros((1, 1, *W.shape))
        return Segment(np.array([last.t[-1], end]), np.stack([W, W]), np.stack([numbers, numbers]), still)

    def _scratch_of(self, method: str) -> tuple[Any, ...]:
        """What a method writes: its record of steps, then its scratch; made when it is first used."""
        if method not in self._scratch:
            self._scratch[method] = self._new_scratch(method)
        return self._scratch[method]

    def _new_scratch(self, method: str) -> tuple[Any, ...]:
        m, p = self.manifold.m, self.manifold.network.p
        n, r = self.manifold.problem.R.shape
        stages = new_stages(len(self.tableaus[method].A), m, n, p)
        if method == "explicit":
            return self._new_record(0), stepping.new_trial(self.state.W, 0), stages
        degree = rodas5p().degree
        factors = new_factors(m, n, r, p, self.frame.wide)
        return self._new_record(degree), stepping.new_trial(self.state.W, degree), stages, factors

    def _continue_after(self, name: str) -> None:
        if name == "switch":
            self.method = "implicit" if self.method == "explicit" else "explicit"
        if name == "not_finite" and self.manifold.condition(self.lift(self.state.W)) > SINGULAR:
            name = "singular"  # seen by a stage of the step, which knows only that no finite number came
        if name == "projection_failed" and self._allow_for_rounding():
            name = "buffer_full"
        if self.turning.possible:
            name = self._turn_or_end(name)
        if name == "singular" and self._is_at_limit(max(self.control.rtol, GAP)):
            name = "limit"
        self.reason = "running" if name in ("buffer_full", "switch") else name

    def _turn_or_end(self, name: str) -> str:
        """At the limit of the flow the end; elsewhere the samples are turned once more; saddles are left."""
        state, endless = self.state, np.isinf(self.control.t_end)
        if endless and self._has_vanished:
            return "limit"
        due = name == "buffer_full" and state.counters[stepping.ACCEPTED] % TURN_EVERY == 0
        if (name == "stationary" and endless) or (due and state.scalars[stepping.LEAVING] > 0.0):
            name = self._leave_saddle(name)
        if not due and name not in ("singular", "stationary"):
            return name
        singular = name == "singular" or self.manifold.condition(self.lift(state.W)) > SINGULAR
        if endless and singular and self._is_at_limit(LIMIT):
            return "limit"
        return name if name in ("saddle", "stationary") or not self.turning.turn_at(state.W) else "buffer_full"

    def _leave_saddle(self, name: str) -> str:
        """Where the gradient is rounding, and the parameters with which the way down begins too: let them grow."""
        scalars = self.state.scalars
        self.turning.turn_at(self.state.W)
        rate, size = self.turning.way_out(self.state.W)
        wanted = scalars[stepping.GRADIENT_NORM] <= self.control.gradient_tolerance
        if wanted or rate == 0.0 or size > LEFT or self._is_at_limit(LIMIT):
            rate = size = 0.0
        stuck = rate > 0.0 and not size > scalars[stepping.WAY_OUT]
        scalars[[stepping.LEAVING, stepping.WAY_OUT]] = rate, size
        return "saddle" if stuck else "buffer_full" if rate > 0.0 else name

    def _new_record(self, degree: int) -> stepping.Record:
        # About 16 MB, so that Ctrl-C, events and callbacks are looked at often.
        shape = self.state.W.shape
        k = min(max(400_000 // max(self.state.W.size, 1), 4), 32 if self.callback else 256)
        polynomials = degree and (self.control.keep_dense or self.control.times.size)
        dense = np.empty((k if polynomials else 0, degree, *shape))
        return stepping.Record(np.empty(k), np.empty((k, *shape)), np.empty((k, 3)), dense)

    def _take(self, segment: Segment) -> None:
        """Look for events in a new segment, sample it, keep it, and report."""
        if segment.t.size == 1:
            return
        segment = self._until_event(segment)
        if self.reason != "event" and np.isinf(self.control.t_end):
            at_rounding = self.reason == "stationary" and not self._is_as_flat_as_wanted()
            segment, ending = self.output.until_rounding(segment, at_rounding)
            self.reason = ending or self.reason
        self._sample(segment)
        self.output.add(segment)
        self._mark()
        if self.callback is not None and self.callback(self._progress()) and self.reason == "running":
            self.reason = "stopped"

    def _has_way_to_go(self) -> bool:
        """Whether a run without an end, stationary to rounding, is to go on: once, and from where it is."""
        scalars, endless = self.state.scalars, np.isinf(self.control.t_end) and not self._is_as_flat_as_wanted()
        first = scalars[stepping.UNDERWAY] == 0.0 and scalars[stepping.T] == self.output.span[1]
        return endless and first and is_underway(self.manifold, self.state.W, self.work)

    def _is_as_flat_as_wanted(self) -> bool:
        return bool(0.0 < self.control.gradient_tolerance >= self.state.scalars[stepping.GRADIENT_NORM])

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

        def point(t: float) -> Array:
            return self.lift(self.output.point(segment, t))

        found = [crossings(event, segment.t, point) for event in self.events]
        ends = [end_of_run(*each) for each in zip(self.events, found, map(len, self.t_events), strict=True)]
        stop = min(ends, default=np.inf)
        for times, kept, points in zip(found, self.t_events, self.W_events, strict=True):
            kept += [t for t in times if t <= stop]
            points += [self.output.point(segment, t) for t in times if t <= stop]
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
            np.concatenate([segment.numbers[:keep], [self.output.numbers_at(W)]]),
            dense,
            segment.explicit,
            segment.turned_at,
        )

    def _sample(self, segment: Segment) -> None:
        """Evaluate the output times that lie in a segment."""
        if self.times is None:
            return
        first = len(self.sampled)
        times = self.times[first : int(np.searchsorted(self.times, segment.t[-1], side="right"))]
        if not times.size:
            return
        self.sampled.extend(zip(times.tolist(), *self.output.outputs(segment, times), strict=True))

    def _is_at_limit(self, share: float) -> bool:
        """Where M ends: is F the least that there is, to that share of itself?"""
        F = float(self.state.scalars[stepping.SHARPNESS])
        return bool(F - self._lower_bound <= share * F)

    @property
    def _has_vanished(self) -> bool:
        """Whether F has fallen to rounding of its rounding at the start, as labels of 0 let it."""
        return bool(self.state.scalars[stepping.SHARPNESS] <= EPS**2 * self.output.segments[0].numbers[0, 0])

    @cached_property
    def _lower_bound(self) -> float:
        return lower_bound(self.manifold)

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
